// What a graph's ports must be for other programs to call it: a graph comes in, and the user's error goes out where a call could not name an
// output or find out a size.

import KilnIR

extension Graph {
    /// Throws where two outputs share a name, or where a size is no whole dimension of an input, so that no call can tell what it is.
    func checkPorts() throws {
        var names: Set<String> = []
        if let twice = outputs.first(where: { !names.insert($0.name).inserted }) {
            throw CompileError(name, "has two outputs of the name '\(twice.name)'", fix: "give each output a name of its own")
        }
        let whole = Set(inputTypes.flatMap(\.shape))
        if let symbol = symbols.first(where: { !whole.contains(.symbol($0)) }) {
            throw CompileError(name, "the size '\(symbol)' is nowhere a whole dimension of an input, so that no call can tell what it is",
                               fix: "add an input that has it as a dimension, or give the sum one name")
        }
    }
}
