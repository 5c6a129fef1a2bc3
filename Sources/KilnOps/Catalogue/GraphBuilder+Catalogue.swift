// Building graphs with the catalogue's constants.

import KilnIR

extension GraphBuilder {
    /// An empty graph under construction.
    public convenience init(_ name: String) { self.init(Graph(name: name), constants: Catalogue.constants) }
}
