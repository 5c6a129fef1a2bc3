// Small inputs of a model, and what a run makes of them: values, or a refusal that the caller is told of.

import KilnExecution
import KilnIR
import KilnONNX
import KilnOps

/// One call of a graph.
struct ModelCall: CustomStringConvertible {
    var symbols: [String: Int]
    var inputs: [Literal]

    var description: String {
        "symbols \(symbols.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" })\n"
            + inputs.map { "input \($0.type): \($0.doubles.prefix(64))" }.joined(separator: "\n")
    }
}

/// Draws inputs; the same model gets the same ones.
struct InputNumbers {
    private var random: SeededGenerator

    init(_ bytes: [UInt8]) { random = SeededGenerator(bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }) }

    /// Inputs of one style: 0 has numbers that add up without rounding, 1 any between -2 and 2, 2 also those at which kernels go wrong.
    /// Nil where the sizes that were drawn don't fit the graph.
    mutating func call(of model: ImportedModel, style: Int) -> ModelCall? {
        let graph = model.graph, texts = Set(model.inputs.flatMap(\.port.textPorts))
        var symbols: [String: Int] = [:]
        for symbol in graph.symbols { symbols[symbol] = [1, 2, 3, style == 2 ? 0 : 4, 5][random.below(5)] }
        var inputs: [Literal] = []
        for (port, type) in zip(graph.inputs, graph.inputTypes) {
            let sizes = type.shape.compactMap { $0.evaluate(symbols: symbols) }
            guard sizes.count == type.rank, sizes.allSatisfy({ $0 >= 0 && $0 <= 1 << 12 }), sizes.reduce(1, { min($0, 1 << 16) * $1 }) <= 1 << 14 else { return nil }
            if let own = model.parameters.first(where: { $0.name == port.name })?.value {
                inputs.append(own)
                continue
            }
            let isText = texts.contains(port.name)
            inputs.append(Literal(type.dtype, sizes, scalars: (0..<sizes.reduce(1, *)).map { _ in isText ? .unsigned(letter()) : scalar(type.dtype, style) }))
        }
        return ModelCall(symbols: symbols, inputs: inputs)
    }

    private mutating func letter() -> UInt64 { UInt64(Array("abcAB 0\0".utf8)[random.below(8)]) }

    private static let reals: [Double] = [0, -0.0, 1, -1, 0.5, 1.5, -2.5, 100, -1e4, 1e9, 1e-40, 3e38, .infinity, -.infinity, .nan]
    private static let integers: [Int64] = [0, 1, -1, 2, 7, 64, 127, -128, 255, 1 << 15, 1 << 31, .max, .min]

    private mutating func scalar(_ dtype: DType, _ style: Int) -> Scalar {
        let isSpecial = style == 2 && random.below(3) == 0
        if dtype == .bool { return .bool(random.below(2) == 0) }
        if dtype.isFloat {
            if isSpecial { return .real(Self.reals[random.below(Self.reals.count)]) }
            return .real(style == 1 ? Double(random.below(1 << 20) - 1 << 19) * 0x1p-18 : Double(random.below(33) - 16) / 8)
        }
        if isSpecial { return .integer(Self.integers[random.below(Self.integers.count)]) }
        return .integer(Int64(random.below(6) - (dtype.isSigned ? 2 : 0)))
    }
}

/// How a run ended.
enum Outcome {
    case values([Literal])
    /// With an error of the caller's.
    case refused(any Error)

    var isValues: Bool { if case .values = self { true } else { false } }

    /// Mistakes of the caller's are the errors that may end a run.
    init(running graph: Graph, _ body: () throws -> [Literal]) throws {
        do { self = .values(try body()) } catch {
            switch error {
            case is CompileError, is ShapeError: self = .refused(error)
            case let error as RuntimeError where ["wrong shape", "evaluation failed", "check failed", "index out of range"].contains(error.name): self = .refused(error)
            case is Reference.TooMuch: throw error
            default: throw Finding(description: "\(error)\n\(graph)")
            }
        }
    }

    /// What is wrong with this outcome of compiled code, or nil.
    func disagreement(with expected: Outcome, _ graph: Graph, _ call: ModelCall) throws -> String? {
        // Rounding may decide whether an index that is made of reals is in range.
        if isValues != expected.isValues, Tolerance.roundingDecidesWhetherItRuns(graph, call) { return nil }
        switch (self, expected) {
        case (.refused, .refused): return nil
        case (.refused(let error), .values): return "compiled code refuses what the interpreter runs: \(error)"
        case (.values, .refused(let error)): return "compiled code runs what the interpreter refuses: \(error)"
        case (.values(let got), .values(let wanted)):
            for (number, port) in graph.outputs.enumerated() {
                guard (got[number].dtype, got[number].shape.count) == (wanted[number].dtype, wanted[number].shape.count) else {
                    return "'\(port.name)' is \(got[number].type), and should be \(wanted[number].type)"
                }
            }
            guard zip(got, wanted).contains(where: { !$0.isSame(as: $1) }) else { return nil }
            return try Tolerance(graph, call, wanted).disagreement(got, graph)
        }
    }
}

extension Literal {
    /// Whether all elements are equal, any NaN to any other.
    fileprivate func isSame(as other: Literal) -> Bool {
        self == other || dtype.isFloat && shape == other.shape && (0..<count).allSatisfy { self[$0].isSame(as: other[$0]) }
    }
}

extension Scalar {
    fileprivate func isSame(as other: Scalar) -> Bool { self == other || double == other.double && int64 == other.int64 || double.isNaN && other.double.isNaN }
}

/// How far right results may be from the interpreter's: what several executions span in which every rounding is moved at random
/// (J. Vignes, "A stochastic arithmetic for reliable scientific computation", 1993).
private struct Tolerance {
    private let expected: [Literal]
    /// For each element of each output; infinite where rounding decides whether it is a number, or which integer.
    private var limits: [[Double]]
    /// The outputs whose sizes rounding decides.
    private var isOpen: Set<Int> = []
    private static let trials = 24

    /// Whether some executions end with values and some with an error of the caller's.
    static func roundingDecidesWhetherItRuns(_ graph: Graph, _ call: ModelCall) -> Bool {
        var ran = 0
        for trial in 0..<trials {
            var reference = Reference(noise: UInt64(trial))
            if (try? reference.run(graph, call.inputs, call.symbols)) != nil { ran += 1 }
        }
        return 0 < ran && ran < trials
    }

    init(_ graph: Graph, _ call: ModelCall, _ expected: [Literal]) throws {
        self.expected = expected
        limits = expected.map { literal in
            let most = literal.dtype.isFloat ? literal.doubles.reduce(0) { $1.isFinite ? max($0, abs($1)) : $0 } : 0
            return Array(repeating: 2 * literal.dtype.unitRoundoff * most + literal.dtype.leastNonzero, count: literal.count)
        }
        for trial in 0..<Self.trials {
            var reference = Reference(noise: UInt64(trial))
            let moved: [Literal]
            do { moved = try reference.run(graph, call.inputs, call.symbols) } catch is CompileError {
                isOpen.formUnion(limits.indices)
                continue
            }
            for number in limits.indices {
                guard moved[number].shape == expected[number].shape, !reference.isOpen else {
                    isOpen.insert(number)
                    continue
                }
                let own = expected[number].dtype.isFloat
                var most = 0.0
                for position in limits[number].indices {
                    if moved[number][position].isSame(as: expected[number][position]) { continue }
                    let (x, y) = (moved[number][position].double, expected[number][position].double)
                    if own, x.isFinite, y.isFinite { most = max(most, 3 * abs(x - y)) } else { limits[number][position] = .infinity }
                }
                limits[number] = limits[number].map { max($0, most) }
            }
        }
    }

    func disagreement(_ got: [Literal], _ graph: Graph) -> String? {
        for (number, port) in graph.outputs.enumerated() where !isOpen.contains(number) {
            guard got[number].shape == expected[number].shape else { return "'\(port.name)' is \(got[number].type), and should be \(expected[number].type)" }
            for position in limits[number].indices {
                let (own, wanted, limit) = (got[number][position], expected[number][position], limits[number][position])
                if own.isSame(as: wanted) || limit == .infinity || expected[number].dtype.isFloat && abs(own.double - wanted.double) <= limit { continue }
                return "'\(port.name)' is \(own) at \(position) of \(got[number].shape), and should be \(wanted); \(limit) is allowed"
            }
        }
        return nil
    }
}
