// Functions that are captured once for each signature of their arguments, and then run without recording anything.
import KilnExecution
import KilnIR
import KilnOps

/// A function that is captured at its first call with arguments of given types, and whose compiled code runs at every call.
///
/// A `Parameter` or `Buffer` that the function reads is read anew at each call, and one that it sets is set at each call, so that a whole
/// training step can be captured; random numbers are drawn anew. Everything else that the function takes from outside (tensors,
/// Swift values, which branch an `if` took) is fixed when it is captured. Results are leaves: no gradients flow out.
public final class JitFunction {
    private struct Captured {
        var program: TraceProgram
        var variables: [Variable]
        var keyCount: Int
        var leaves: [DeviceBuffer]
        var outputs: [TypeBox]
        var outputOfResult: [Int]
        var resultCount: Int
        var assigned: [Variable]
    }

    private let body: ([Tensor]) throws -> [Tensor]
    private var captured: [[TensorType]: Captured] = [:]
    /// How often the function was captured.
    public private(set) var captures = 0

    public init(_ body: @escaping ([Tensor]) throws -> [Tensor]) { self.body = body }

    public func callAsFunction(_ arguments: [Tensor]) throws -> [Tensor] {
        for argument in arguments { if let error = argument.error { throw error } }
        // Within another capture this is a function like any other.
        if isCapturing { return try body(arguments) }
        let key = arguments.map(\.type)
        let known = try captured[key] ?? capture(key)
        captured[key] = known
        return try run(known, arguments)
    }

    private func capture(_ types: [TensorType]) throws -> Captured {
        let capture = Capture(.jit)
        let results = try capture.run {
            try body(types.enumerated().map { capture.argument($0.element, name: "x\($0.offset)") })
        }
        let assigned = capture.assigned
        let given = capture.arguments + capture.variables.map(\.node) + capture.randomKeys
        captures += 1
        return try Trace.shared.locked {
            let structure = try capture.structure(results + assigned.map(\.tensor))
            let inputs = (given.map { ($0, $0.rare?.name ?? "") } + structure.leaves.map { ($0, "constant") }).enumerated()
                .map { ($0.element.0, "\($0.element.1)_\($0.offset)") }
            let graph = try structure.graph(name: "jit", inputs: inputs, outputNames: structure.outputs.indices.map { "y\($0)" }) { node in
                node.kind == .number && node.buffer == nil ? .number(node.scalar) : .input("")
            }
            let (program, seconds) = try timed { try TraceProgram(graph) }
            Evaluator.count(seconds)
            return Captured(program: program, variables: capture.variables.map(\.variable), keyCount: capture.randomKeys.count,
                            leaves: structure.leaves.map { $0.buffer! },
                            outputs: structure.outputs.map { structure.nodes[$0].box }, outputOfResult: structure.outputOfRoot,
                            resultCount: results.count, assigned: assigned.map(\.variable))
        }
    }

    private func run(_ captured: Captured, _ arguments: [Tensor]) throws -> [Tensor] {
        let given = arguments + captured.variables.map(\.stored) + (0..<captured.keyCount).map { _ in RandomGenerator.shared.key() }
        return try Trace.shared.locked {
            try Trace.shared.evaluate(given.map(\.node))
            let buffers = given.map { $0.node.buffer! } + captured.leaves
            let outputs = try captured.program.run(buffers)
            let results = captured.outputOfResult.map { (captured.outputs[$0], outputs[$0]) }
            for (variable, (box, buffer)) in zip(captured.assigned, results.dropFirst(captured.resultCount)) {
                let node = Node(.leaf, box, buffer: buffer)
                node.slot = variable.stored.node.slot
                node.tracksGradient = node.slot != nil
                variable.stored = Trace.shared.hold(node)
            }
            return results.prefix(captured.resultCount).map { Trace.shared.hold(Node(.leaf, $0, buffer: $1)) }
        }
    }
}

/// Captures a function of one tensor; see `JitFunction`.
public func jit(_ body: @escaping (Tensor) throws -> Tensor) -> (Tensor) throws -> Tensor {
    let function = JitFunction { [try body($0[0])] }
    return { try function([$0])[0] }
}

/// Captures a function of two tensors; see `JitFunction`.
public func jit(_ body: @escaping (Tensor, Tensor) throws -> Tensor) -> (Tensor, Tensor) throws -> Tensor {
    let function = JitFunction { [try body($0[0], $0[1])] }
    return { try function([$0, $1])[0] }
}

/// Captures a function of three tensors; see `JitFunction`.
public func jit(_ body: @escaping (Tensor, Tensor, Tensor) throws -> Tensor) -> (Tensor, Tensor, Tensor) throws -> Tensor {
    let function = JitFunction { [try body($0[0], $0[1], $0[2])] }
    return { try function([$0, $1, $2])[0] }
}

/// Captures a function of any number of tensors; see `JitFunction`.
public func jit(_ body: @escaping ([Tensor]) throws -> [Tensor]) -> JitFunction { JitFunction(body) }
