// Cases with known answers as files that Tests/gpu/runner/cases.c reads, which describes the format.

import Foundation
import KilnIR
import KilnOps

/// Cases whose inputs and outputs stand side by side in one graph.
struct CaseFile {
    let cases: [Case]
    let graph: Graph

    init(_ cases: [Case], name: String) throws {
        self.cases = cases
        let builder = GraphBuilder(name)
        var outputs: [(String, Value)] = []
        for (number, item) in cases.enumerated() {
            let results = try item.append(to: builder, prefix: "c\(number)_").results
            outputs += results.enumerated().map { ("c\(number)_y\($0)", $1) }
        }
        graph = try builder.finish(outputs)
    }

    /// The file's bytes, with the interpreter's results on inputs that are drawn here.
    func bytes(symbols: [String: Int], seed: UInt64) throws -> [UInt8] {
        var numbers = SampleNumbers(seed: seed)
        var text = "library \(graph.name).so \(graph.name)\n"
        var inputs: [Literal] = [], outputs: [(expected: Literal, bounds: [(least: Double, greatest: Double)]?)] = []
        for item in cases {
            let values = try item.draw(&numbers, symbols: symbols)
            inputs += values
            outputs += try Self.expected(item, values, symbols)
        }
        for input in inputs { text += "input \(input.dtype.rawValue) \(input.shape.count) \(input.shape.map(String.init).joined(separator: " "))\n" }
        var position = 0
        for item in cases {
            for _ in try item.graph().outputs {
                text += "output \(outputs[position].bounds == nil ? "exact" : "bounds") \(item.label)\n"
                position += 1
            }
        }
        var bytes = Array((text + "data\n").utf8)
        func append(_ block: [UInt8]) {
            bytes += [UInt8](repeating: 0, count: (64 - bytes.count % 64) % 64)
            bytes += block
        }
        for input in inputs { append(input.bytes) }
        for output in outputs {
            append(output.expected.bytes)
            if let bounds = output.bounds {
                append(bounds.flatMap { [$0.least, $0.greatest] }.flatMap { withUnsafeBytes(of: $0) { Array($0) } })
            }
        }
        return bytes
    }

    private static func expected(_ item: Case, _ values: [Literal], _ symbols: [String: Int]) throws
        -> [(expected: Literal, bounds: [(least: Double, greatest: Double)]?)] {
        let alone = try item.graph(showsOperands: true)
        let reference = try Interpreter.run(alone, inputs: values, symbols: symbols)
        let (operands, expected) = (Array(reference.prefix(values.count)), reference.dropFirst(values.count))
        guard let last = alone.operations.last else { return [] }
        let bounds = try Bound.ofResults(item.op, alone.context(of: last), operands, Array(expected))
        return zip(bounds, expected).map { ($1, $0.intervals($1)) }
    }
}

extension Bound {
    /// The least and the greatest number that each element may be; nil where every bit counts. NaNs stay NaNs.
    func intervals(_ expected: Literal) -> [(least: Double, greatest: Double)]? {
        let format = FloatFormat(expected.dtype)
        switch self {
        case .exact: return nil
        case .absolute(let limits):
            return zip(expected.doubles, limits).map { value, limit in
                value.isFinite && limit.isFinite ? (value - limit, value + limit) : limit.isFinite ? (value, value) : (-.infinity, .infinity)
            }
        case .ulp(let count, let exact):
            return exact.map { value in
                guard value.isFinite, value != 0 else { return (value, value) }
                let distance = count * format.unit(at: value)
                // What rounds past the greatest number is infinite.
                func open(_ bound: Double) -> Double { abs(bound) > format.greatest ? (bound < 0 ? -.infinity : .infinity) : bound }
                return (open(value - distance), open(value + distance))
            }
        }
    }
}
