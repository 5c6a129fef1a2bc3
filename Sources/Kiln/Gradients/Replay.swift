// What an op's reverse rule records, kept as a list to be recorded again: one signature's rule is asked once.
// A signature and the wanted operands come in; the instructions that give their gradients go out.
import KilnIR
import KilnOps
import KilnPasses

/// Which gradients an op's rule is asked for.
struct PullbackKey: Hashable {
    /// Bit `i` for operand `i`; operands past 64 share the last.
    var wanted: UInt64
    /// Bit `i` where result `i` has a cotangent.
    var seeded: UInt64
}

/// A list of ops to record.
///
///     tanh, operand 0 wanted:   0: square(result 0)   1: number 1   2: sub(1, 0)   3: mul(cotangent 0, 2)   gradient 0: 3
struct Replay: Sendable {
    enum Source: Hashable, Sendable {
        case operand(Int)
        case result(Int)
        case cotangent(Int)
        /// Result `result` of an instruction.
        case instruction(Int, result: Int)
    }

    enum Instruction: Sendable {
        case apply(Signature, [Source])
        case number(Scalar, TensorType)
        case literal(Literal)
    }

    private(set) var instructions: [Instruction] = []
    /// The gradient of each operand.
    private(set) var gradients: [Source?] = []

    /// Asks the op's rule. Runs under the trace's lock.
    init(_ signature: Signature, _ key: PullbackKey) throws {
        let builder = GraphBuilder("pullback")
        let operands = signature.operands.enumerated().map { builder.input("x\($0.offset)", $0.element.type) }
        let cotangents = signature.results.enumerated().map { index, box in
            key.seeded & Self.bit(index) != 0 ? builder.input("d\(index)", box.type) : nil
        }
        let results = builder.append(signature.op, operands, signature.attributes, regions: signature.regions)
        let starts = zip(results, cotangents).compactMap { result, cotangent in cotangent.map { (value: result, cotangent: $0) } }
        let targets = operands.indices.filter { key.wanted & Self.bit($0) != 0 }
        let found = try Differentiate.backward(builder, from: starts, to: targets.map { operands[$0] })
        if let error = builder.error { throw error }

        var sources: [ValueID: Source] = [:]
        for (index, operand) in operands.enumerated() { sources[operand.id] = .operand(index) }
        for (index, cotangent) in cotangents.enumerated() { if let cotangent { sources[cotangent.id] = .cotangent(index) } }
        for (index, result) in results.enumerated() { sources[result.id] = .result(index) }
        try record(builder.graph, wanted: found.compactMap { $0?.id }, &sources)
        gradients = Array(repeating: nil, count: operands.count)
        for (target, value) in zip(targets, found) { if let value { gradients[target] = sources[value.id] } }
    }

    /// Takes over the operations after the first, which is the op itself, as far as something wanted depends on them.
    private mutating func record(_ graph: Graph, wanted: [ValueID], _ sources: inout [ValueID: Source]) throws {
        var isLive = [Bool](repeating: false, count: graph.types.count)
        for value in wanted { isLive[value] = true }
        let kept = graph.operations.dropFirst().reversed().filter { operation in
            guard operation.results.contains(where: { isLive[$0] }) else { return false }
            for operand in operation.operands { isLive[operand] = true }
            return true
        }
        for operation in kept.reversed() {
            for (index, result) in operation.results.enumerated() { sources[result] = .instruction(instructions.count, result: index) }
            instructions.append(try instruction(operation, in: graph, sources))
        }
    }

    private func instruction(_ operation: Operation, in graph: Graph, _ sources: [ValueID: Source]) throws -> Instruction {
        let type = graph.type(of: operation.results[0])
        if operation.op === Catalogue.constants.full { return .number(operation.attributes.scalar("value") ?? 0, type) }
        if operation.op === Catalogue.constants.literal, let literal = operation.attributes.literal("value") { return .literal(literal) }
        let types = operation.operands.map { Trace.shared.signatures.intern(graph.type(of: $0)) }
        let signature = try Trace.shared.signatures.find(operation.op, types, operation.attributes, operation.regions, operation.location)
        return .apply(signature, operation.operands.map { sources[$0]! })
    }

    static func bit(_ index: Int) -> UInt64 { 1 << UInt64(min(index, 63)) }
}

extension Trace {
    /// What gives the gradients of a signature's operands; its rule is asked once.
    func pullback(of signature: Signature, _ key: PullbackKey) throws -> Replay {
        if let known = signature.pullbacks[key] { return try known.get() }
        let made = Result { try Replay(signature, key) }
        signature.pullbacks[key] = made
        return try made.get()
    }

    /// Records a list of ops, and gives the operands' gradients.
    func replay(_ replay: Replay, operands: [Node], results: [Node], cotangents: [Node?], at location: SourceLocation) -> [Node?] {
        ThreadState.current.pending.recorded += replay.instructions.count
        let deviceID = operands.first { $0.deviceID != .any }?.deviceID ?? .any
        var made: [[Node]] = []
        made.reserveCapacity(replay.instructions.count)
        func node(_ source: Replay.Source) -> Node {
            switch source {
            case .operand(let index): operands[index]
            case .result(let index): results[index]
            case .cotangent(let index): cotangents[index]!
            case .instruction(let index, let result): made[index][result]
            }
        }
        for instruction in replay.instructions {
            switch instruction {
            case .apply(let signature, let sources): made.append(apply(signature, sources.map(node), location, deviceID: deviceID))
            case .number(let value, let type): made.append([number(value, type, deviceID, location)])
            case .literal(let literal): made.append([Tensor(literal, device: devices.device(deviceID)).node])
            }
        }
        return replay.gradients.map { $0.map(node) }
    }
}
