// What is known of packed panels, so that kernels which read the same ones find each other: the key under which a program keeps them.

import KilnIR

/// What panels hold: elements of one buffer, in the order of a register tile.
struct PanelContent: Hashable {
    /// The buffer that is packed, and where in it each element is: the axes by their position in `sizes`.
    var source: Int
    var address: Dim
    /// Sizes of the axes that are outside of panels, that panels are cut from, and that are summed over.
    var sizes: [[Dim]]
    var tile: Int
    var dtype: DType
}
