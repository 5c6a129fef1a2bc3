// Functions on tensors as regions of an op: control flow, and gradients that the user provides.
import KilnIR
import KilnOps

/// A function as a graph, with the tensors from outside that it uses.
private struct Region {
    var results: [Tensor]
    /// From outside, in order of first use.
    var captured: [Node]
    let arguments: [Node]
    let boundary: Int

    init(_ types: [TensorType], _ body: ([Tensor]) throws -> [Tensor]) rethrows {
        let capture = Capture(.region)
        // Variables are read by the capture around this one, if there is one.
        let results = try body(types.enumerated().map { capture.argument($0.element, name: "x\($0.offset)") })
        self.results = results
        arguments = capture.arguments
        boundary = capture.boundary
        captured = Trace.shared.locked { Structure(results.map(\.node), boundary: capture.boundary).captured }
    }

    /// The graph whose inputs are the arguments, then `captured`.
    func graph(_ name: String, captured: [Node]) throws -> Graph {
        for result in results { if let error = result.error { throw error } }
        let structure = Trace.shared.locked { Structure(results.map(\.node), boundary: boundary) }
        let inputs = arguments.enumerated().map { ($0.element, "x\($0.offset)") } + captured.enumerated().map { ($0.element, "c\($0.offset)") }
        var graph = try structure.graph(name: name, inputs: inputs, outputNames: structure.outputs.map { "y\($0)" }) { node, isNumber in
            isNumber ? .number(node.scalar) : .input("")
        }
        graph.outputs = structure.outputOfRoot.enumerated().map { Port("y\($0.offset)", graph.outputs[$0.element].value) }
        return graph
    }

    static func union(_ regions: [Region]) -> [Node] {
        var all: [Node] = []
        var seen: Set<ObjectIdentifier> = []
        for node in regions.flatMap(\.captured) where seen.insert(ObjectIdentifier(node)).inserted { all.append(node) }
        return all
    }
}

/// A function with a gradient of your own: `forward` computes the results, `pullback` the gradients of the inputs from those of the results.
///
/// Both are captured, so they must not read values. Gradients flow to `inputs` alone, not to what the closures take from outside. The
/// gradients are recorded like everything, so gradients of gradients go through `pullback`.
/// - Parameter pullback: takes the inputs, the results and the gradient of each result, which are floats; gives the gradient of each input.
public func withGradient(of inputs: [Tensor], forward: ([Tensor]) throws -> [Tensor],
                         pullback: (_ inputs: [Tensor], _ results: [Tensor], _ gradients: [Tensor]) throws -> [Tensor],
                         file: StaticString = #fileID, line: UInt = #line) throws -> [Tensor] {
    let location = SourceLocation(file, line)
    for input in inputs { if let error = input.error { throw error } }
    let types = inputs.map(\.type)
    let first = try noGrad { try Region(types, forward) }
    let results = first.results.map(\.type)
    let outside = first.captured.map { $0.box.type }
    // The gradient's region takes what the forward region does, whether it uses it or not.
    let second = try noGrad {
        try Region(types + outside + results + results) { arguments in
            let split = types.count + outside.count
            let given = try pullback(Array(arguments[..<types.count]), Array(arguments[split..<split + results.count]),
                                     Array(arguments[(split + results.count)...]))
            guard given.map(\.type) == types else {
                throw ShapeError(op: "withGradient", "the pullback gives \(given.map(\.type)), and the inputs are \(types)", operands: types,
                                 at: location, fix: "give one gradient for each input, of its type")
            }
            return given + outside.filter(\.dtype.isFloat).map { arguments[0].full(0, $0, at: location) }
        }
    }
    guard types.allSatisfy(\.dtype.isFloat), results.allSatisfy(\.dtype.isFloat) else {
        throw ShapeError(op: "withGradient", "only floats have gradients", operands: types + results, at: location,
                         fix: "take other inputs from outside the closures")
    }
    guard second.captured.isEmpty else {
        throw ShapeError(op: "withGradient", "the pullback uses a tensor from outside", operands: second.captured.map { $0.box.type }, at: location,
                         fix: "make it one of the inputs, with a gradient of zeros")
    }
    let regions = try [first.graph("forward", captured: first.captured), second.graph("gradient", captured: [])]
    let operands = inputs + first.captured.map { Tensor.hold($0).detach() }
    return Tensor.apply(Structural.callWithGradient, operands, .none, regions: regions, at: location)
}

/// The same for a function of one tensor.
public func withGradient(of input: Tensor, forward: (Tensor) throws -> Tensor,
                         pullback: (_ input: Tensor, _ result: Tensor, _ gradient: Tensor) throws -> Tensor,
                         file: StaticString = #fileID, line: UInt = #line) throws -> Tensor {
    try withGradient(of: [input], forward: { [try forward($0[0])] }, pullback: { [try pullback($0[0], $1[0], $2[0])] }, file: file, line: line)[0]
}

/// One of two computations, chosen by the value of a bool of rank 0 when it is computed; the results' types agree.
///
/// Both closures are captured, so they must not read values. Gradients flow through the one that is taken.
public func cond(_ condition: Tensor, then: () throws -> [Tensor], otherwise: () throws -> [Tensor], file: StaticString = #fileID,
                 line: UInt = #line) throws -> [Tensor] {
    let regions = try [Region([]) { _ in try then() }, Region([]) { _ in try otherwise() }]
    let outside = Region.union(regions)
    guard let op = Catalogue.op(named: "if") else { throw InternalError("cond", "the catalogue has no `if`") }
    return Tensor.apply(op, [condition] + outside.map { .hold($0) }, .none,
                        regions: try [regions[0].graph("then", captured: outside), regions[1].graph("else", captured: outside)],
                        at: SourceLocation(file, line))
}

/// Repeats `body` on the carried tensors while `condition`, a bool of rank 0, holds; their types stay.
///
/// Both closures are captured, so they must not read values. Gradients flow to the initial values and to what the body takes from outside.
public func whileLoop(_ initial: [Tensor], while condition: ([Tensor]) throws -> Tensor, _ body: ([Tensor]) throws -> [Tensor],
                      file: StaticString = #fileID, line: UInt = #line) throws -> [Tensor] {
    let types = initial.map(\.type)
    let regions = try [Region(types) { [try condition($0)] }, Region(types, body)]
    let outside = Region.union(regions)
    guard let op = Catalogue.op(named: "while") else { throw InternalError("whileLoop", "the catalogue has no `while`") }
    return Tensor.apply(op, initial + outside.map { .hold($0) }, ["carried": .int(initial.count)],
                        regions: try [regions[0].graph("condition", captured: outside), regions[1].graph("body", captured: outside)],
                        at: SourceLocation(file, line))
}
