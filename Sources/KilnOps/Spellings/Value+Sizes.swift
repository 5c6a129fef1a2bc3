// Single sizes of values whose number of axes nobody has checked, as those of models from files.

import KilnIR

extension Value {
    /// The size of an axis, counted from the end where it is negative. One that does not exist is the builder's mistake, and 1 stands in.
    public func size(axis: Int, file: StaticString = #fileID, line: UInt = #line) -> Dim {
        if has(counted(axis)) { return dims[counted(axis)] }
        _ = mistaken("size", axis: axis, at: SourceLocation(file, line))
        return 1
    }
}
