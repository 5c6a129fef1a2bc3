// Functions on tensors as graphs for the ahead-of-time compiler: sizes may be symbols, and weights become constants.
import KilnIR
import KilnOps

/// What a compiled program takes: a name, an element type, and sizes, of which some may be symbols.
public struct TensorSpec: Sendable {
    public var name: String
    public var type: TensorType

    /// `TensorSpec("image", .f32, ["batch", 1, 8, 8])`
    public init(_ name: String, _ dtype: DType, _ shape: Shape) {
        self.name = name
        type = TensorType(dtype, shape)
    }
}

/// The graph of a function on tensors, for the compiler: run once on placeholders, whatever their sizes.
///
/// The function must not read values, and takes sizes from `dims`, where symbols are, rather than from `shape`. It must not set variables that
/// it doesn't give out, nor draw random numbers: a model is set to `eval()` first. Throws the mistake that the function made first.
/// - Parameters:
///   - name: the program's name, a C identifier.
///   - outputs: the results' names; "output", or "output0", … where they are left out.
public func compile(name: String, inputs: [TensorSpec], outputs: [String]? = nil, _ body: ([Tensor]) throws -> [Tensor]) throws -> Graph {
    let capture = Capture(.library)
    let results = try capture.run { try noGrad { try body(inputs.map { capture.argument($0.type, name: $0.name) }) } }
    let names = outputs ?? (results.count == 1 ? ["output"] : results.indices.map { "output\($0)" })
    guard names.count == results.count, Set(names).count == names.count else {
        throw CompileError("compile", "the function gives \(results.count) results, and \(names.count) names were given for them",
                           fix: "name each result once")
    }
    let structure = try capture.structure(results)
    try capture.checkNothingIsLost(results)
    if let stray = structure.placeholders.first(where: { node in !capture.arguments.contains { $0 === node } }) {
        throw Evaluator.unreadable(stray)
    }
    let arguments = capture.arguments.map { ($0, $0.rare?.name ?? "") }
    var graph = try structure.graph(name: name, inputs: arguments, outputNames: structure.outputs.map { "y\($0)" }) { node, isNumber in
        if isNumber { return .number(node.scalar) }
        if node.kind == .placeholder { return .input("") }
        guard let known = node.buffer else { throw InternalError("compile", "a value from before the capture was not computed") }
        let buffer = try known.on(nil)
        // A buffer is never written again.
        return .literal(Literal(node.box.type.dtype, node.box.sizes, region: ByteRegion(buffer.bytes, owner: buffer)))
    }
    // Two results may be the same value.
    graph.outputs = zip(names, structure.outputOfRoot).map { Port($0, graph.outputs[$1].value) }
    return graph
}

/// The same for a function of one tensor.
public func compile(name: String, input: TensorSpec, output: String = "output", _ body: (Tensor) throws -> Tensor) throws -> Graph {
    try compile(name: name, inputs: [input], outputs: [output]) { [try body($0[0])] }
}
