// Functions that are captured once for each signature of their arguments, and then run without recording anything.
import KilnExecution
import KilnIR
import KilnOps

/// A function that is captured at its first call with arguments of given types, and whose compiled code runs at every call.
///
/// A `Parameter` or `Buffer` that the function reads is read anew at each call, and one that it sets is set at each call, so that a whole
/// training step can be captured; random numbers are drawn anew. Everything else that the function takes from outside (tensors,
/// Swift values, which branch an `if` took) is fixed when it is captured. Results are leaves: no gradients flow out.
///
/// All of it is computed on one device: the GPU of what it uses, or the processor where nothing is on a GPU.
public final class JitFunction {
    private struct Captured {
        var program: TraceProgram
        /// The call that used it last.
        var lastUse = 0
        /// Where the program runs.
        var deviceID: DeviceID
        var variables: [Variable]
        var keyCount: Int
        var leaves: [DeviceBuffer]
        var outputs: [(box: TypeBox, deviceID: DeviceID)]
        var outputOfResult: [Int]
        var resultCount: Int
        var assigned: [Variable]
    }

    private let body: ([Tensor]) throws -> [Tensor]
    private struct Argument: Hashable {
        let type: TensorType
        let deviceID: DeviceID
    }

    /// One capture at a time, so that threads that need the same one make it once.
    private let capturing = Lock()
    private let lock = Lock()
    // Used under the lock.
    private var captured: [[Argument]: Captured] = [:]
    private var uses = 0
    private var captureCount = 0
    private let limit = 256

    /// How often the function was captured.
    public var captures: Int { lock.locked { captureCount } }

    public init(_ body: @escaping ([Tensor]) throws -> [Tensor]) { self.body = body }

    public func callAsFunction(_ arguments: [Tensor]) throws -> [Tensor] {
        for argument in arguments { if let error = argument.error { throw error } }
        // Within another capture this is a function like any other.
        if isCapturing { return try body(arguments) }
        let key = arguments.map { Argument(type: $0.type, deviceID: $0.deviceID) }
        let found = try known(key) ?? capturing.locked {
            if let known = known(key) { return known }
            let made = try capture(key)
            remember(made, key)
            return made
        }
        return try run(found, arguments)
    }

    private func known(_ key: [Argument]) -> Captured? {
        lock.locked {
            guard captured[key] != nil else { return nil }
            uses += 1
            captured[key]?.lastUse = uses
            return captured[key]
        }
    }

    /// Keeps a capture; the half that was not used for longest goes where there are too many.
    private func remember(_ made: Captured, _ key: [Argument]) {
        lock.locked {
            captureCount += 1
            uses += 1
            if captured.count >= limit {
                let middle = captured.values.map(\.lastUse).sorted()[captured.count / 2]
                captured = captured.filter { $0.value.lastUse >= middle }
            }
            captured[key] = made
            captured[key]?.lastUse = uses
        }
    }

    private func capture(_ types: [Argument]) throws -> Captured {
        let capture = Capture(.jit)
        let results = try capture.run {
            try body(types.enumerated().map { capture.argument($0.element.type, name: "x\($0.offset)", deviceID: $0.element.deviceID) })
        }
        let assigned = capture.assigned
        let given = capture.arguments + capture.variables.map(\.node) + capture.randomKeys
        let structure = try capture.structure(results + assigned.map(\.tensor))
        let deviceID = try Self.deviceID(of: structure)
        let inputs = (given.map { ($0, $0.rare?.name ?? "") } + structure.leaves.map { ($0, "constant") }).enumerated()
            .map { ($0.element.0, "\($0.element.1)_\($0.offset)") }
        let graph = try structure.graph(name: "jit", inputs: inputs, outputNames: structure.outputs.indices.map { "y\($0)" }) { node, isNumber in
            isNumber ? .number(node.scalar) : .input("")
        }
        let (program, seconds) = try timed { try TraceProgram(graph, Trace.shared.options(deviceID)) }
        ProgramCache.count(seconds)
        return Captured(program: program, deviceID: deviceID, variables: capture.variables.map(\.variable), keyCount: capture.randomKeys.count,
                        leaves: structure.leaves.map { $0.buffer! },
                        outputs: structure.outputDevices, outputOfResult: structure.outputOfRoot,
                        resultCount: results.count, assigned: assigned.map(\.variable))
    }

    /// The one device on which all is computed.
    private static func deviceID(of structure: Structure) throws -> DeviceID {
        let used = (structure.devices + structure.leaves.map(\.deviceID)).filter { $0 != .cpu && $0 != .any }
        guard let deviceID = used.first else { return .cpu }
        if let other = used.first(where: { $0 != deviceID }) {
            let names = [deviceID, other].map { deviceID in Trace.shared.locked { Trace.shared.devices.device(deviceID).description } }
            throw CompileError("jit", "the function computes on \(names[0]) and \(names[1])", fix: "capture a function for each device")
        }
        return deviceID
    }

    private func run(_ captured: Captured, _ arguments: [Tensor]) throws -> [Tensor] {
        let given = arguments + captured.variables.map(\.stored) + (0..<captured.keyCount).map { _ in RandomGenerator.shared.key(.cpu) }
        let nodes = given.map(\.node)
        try Trace.shared.evaluate(nodes)
        let buffers = Trace.shared.locked { nodes.map { $0.buffer! } } + captured.leaves
        let made = try captured.program.run(buffers, on: Trace.shared.accelerator(captured.deviceID))
        let leaves = try zip(captured.outputs, made).map { output, buffer in
            let deviceID = output.deviceID == .any ? captured.deviceID : output.deviceID
            return (box: output.box, buffer: try buffer.on(Trace.shared.accelerator(deviceID)), deviceID: deviceID)
        }
        let results = captured.outputOfResult.map { leaves[$0] }
        return Trace.shared.locked {
            for (variable, (box, buffer, deviceID)) in zip(captured.assigned, results.dropFirst(captured.resultCount)) {
                let node = Node(.leaf, box, buffer: buffer, deviceID: deviceID)
                node.slot = variable.stored.node.slot
                node.tracksGradient = node.slot != nil
                variable.stored = Trace.shared.hold(node)
            }
            return results.prefix(captured.resultCount).map { Trace.shared.hold(Node(.leaf, $0.box, buffer: $0.buffer, deviceID: $0.deviceID)) }
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
