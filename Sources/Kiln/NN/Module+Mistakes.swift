// Where in a model a mistake was made: a layer and what it computed come in; a mistake of its own goes out with the layer's name.
import KilnIR

extension Module {
    /// Gives a mistake that this layer made, and not what it was given, the layer's name: `blocks.3.attention.query`, as far as it is known.
    ///
    /// Names are known to layers with parameters once these were asked for, by an optimizer, `load(state:)` or `namedParameters`.
    func named(_ input: Tensor, _ file: StaticString, _ line: UInt, body: () -> Tensor) -> Tensor {
        named([input], SourceLocation(file, line), body)
    }

    func named(_ a: Tensor, _ b: Tensor, _ c: Tensor, _ file: StaticString, _ line: UInt, body: () -> Tensor) -> Tensor {
        named([a, b, c], SourceLocation(file, line), body)
    }

    private func named(_ inputs: [Tensor], _ location: SourceLocation, _ body: () -> Tensor) -> Tensor {
        let result = ThreadState.current.called(from: location, body)
        guard let mistake = result.node.rare?.mistake, !inputs.contains(where: { $0.node.rare?.mistake === mistake }) else { return result }
        mistake.name(layer: String(describing: Swift.type(of: self)), path: path)
        return result
    }

    /// The dotted name, taken from the variables'.
    private var path: String {
        var walk = ModuleWalk(namesVariables: false)
        walk.visit(self, "")
        for (name, variable) in walk.variables where !variable.path.isEmpty && variable.path.hasSuffix("." + name) {
            return String(variable.path.dropLast(name.count + 1))
        }
        return ""
    }
}
