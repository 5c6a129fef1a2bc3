// The one rule of conversions, in all places that convert: at the ends of each pair of dtypes, `cast` and `full`, by the host's kernels,
// on the emulated grid, folded before and interpreted, against `Scalar.converted(to:)`.

import KilnIR
import KilnOps
import Testing

struct ConversionTests {
    /// The numbers around every dtype's ends, as elements of `dtype`.
    private static func ends(_ dtype: DType) -> [Scalar] {
        var scalars: [Scalar] = [.bool(false), .bool(true), .real(0.5), .real(-0.5), .real(2.5), .real(-1.5), .real(300), .real(-300), .real(1e19), .real(1e39)]
        for other in DType.all {
            scalars += [other.least, other.greatest]
            switch other.kind {
            case .signed, .unsigned:
                let end = other.greatest.double
                scalars += [.real(end), .real(end + 1), .real(end.nextDown), .real(-end - 1), .real(-end - 2), .real(2 * end)]
                scalars += [.unsigned(UInt64(other.greatest.int64 &+ 1 as Int64 >= 0 ? other.greatest.int64 &+ 1 : 0))]
            case .float: scalars += [.real(-.infinity), .real(.nan), .real(-0.0)]
            case .bool: break
            }
        }
        var seen: Set<Scalar> = []
        return scalars.map { $0.converted(to: dtype) }.filter { seen.insert($0).inserted }
    }

    private static func isSame(_ a: Scalar, _ b: Scalar) -> Bool { a == b || a.double.isNaN && b.double.isNaN }

    @Test(arguments: Runner.all) func everyPlaceConvertsAlike(_ runner: Runner) throws {
        var conversions = 0
        for source in DType.all {
            let scalars = Self.ends(source), literal = Literal(source, [scalars.count], scalars: scalars)
            let builder = GraphBuilder("conversions")
            let x = builder.input("x", literal.type), known = builder.literal(literal)
            var outputs: [(String, Value)] = []
            for target in DType.all where target != source {
                outputs.append(("cast_\(target)", x.cast(to: target)))
                outputs.append(("folded_\(target)", known.cast(to: target)))
            }
            let graph = try builder.finish(outputs)
            var results = try Compiled.all(graph, runner).map { try $0.runInEveryOrder([literal], runner) }
            results.append(try Interpreter.run(graph, inputs: [literal]))
            for result in results {
                for (number, port) in graph.outputs.enumerated() {
                    for (position, scalar) in scalars.enumerated() {
                        let wanted = scalar.converted(to: result[number].dtype), found = result[number][position]
                        conversions += 1
                        if !Self.isSame(found, wanted) { Issue.record("\(source) \(scalar) by \(port.name): \(found), and not \(wanted)") }
                    }
                }
            }
        }
        print("conversions on the \(runner.testDescription): \(conversions)")
        #expect(conversions > 20_000)
    }

    @Test(arguments: Runner.all) func aFullIsACast(_ runner: Runner) throws {
        for target in DType.all {
            let builder = GraphBuilder("fulls")
            let scalars = [DType.f64, .i64, .u64, .bool].flatMap(Self.ends)
            let graph = try builder.finish(scalars.enumerated().map { ("y\($0)", builder.full($1, TensorType(target, [2]))) })
            var results = try Compiled.all(graph, runner).map { try $0.runInEveryOrder([], runner) }
            results.append(try Interpreter.run(graph, inputs: []))
            for result in results {
                for (scalar, found) in zip(scalars, result) where !Self.isSame(found[1], scalar.converted(to: target)) {
                    Issue.record("full(\(scalar), \(target)): \(found[1]), and not \(scalar.converted(to: target))")
                }
            }
        }
    }
}
