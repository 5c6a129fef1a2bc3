// That fusion makes no more than there was: groups over graphs of two sizes, whose operations may not multiply; and that the order of
// kernels, which is kept while they are merged, refuses a pair exactly where a third kernel lies between.

import KilnIR
import KilnOps
import KilnPasses
import Testing

struct FusionGrowthTests {
    struct Growing: Sendable, CustomTestStringConvertible {
        var name: String
        var body: @Sendable (GraphBuilder, Int) -> [Value]
        var testDescription: String { name }
        init(_ name: String, _ body: @escaping @Sendable (GraphBuilder, Int) -> [Value]) { (self.name, self.body) = (name, body) }
    }

    static let growing = [
        Growing("a chain") { builder, count in [(0..<count).reduce(builder.input("x", TensorType(.f32, ["n"]))) { $0 + Double($1 + 1) }] },
        Growing("uses of one value") { builder, count in
            let x = builder.input("x", TensorType(.f32, [256]))
            return [(1...count).reduce(x) { $0 + (x * Double($1)).exp() }]
        },
        Growing("outputs") { builder, count in
            let x = builder.input("x", TensorType(.f32, [256]))
            return (1...count).map { (x * Double($0)).exp() }
        },
        Growing("softmaxes") { builder, count in [(0..<count / 4).reduce(builder.input("x", TensorType(.f32, ["n", 64]))) { x, _ in x.softmax(1) }] },
        Growing("rolls") { builder, count in
            [(0..<count).reduce(builder.input("x", TensorType(.f32, [64]))) { x, step in
                Value.concatenate([x.slice(axis: 0, from: -29 - step % 5), x.slice(axis: 0, to: -29 - step % 5)])
            }]
        },
        Growing("doubled") { builder, count in
            [(0..<count).reduce(builder.input("x", TensorType(.f32, ["n"]))) { x, _ in
                Value.concatenate([x, x.flip(0)]).narrow(0, start: 1, length: x.dims[0])
            }]
        },
        Growing("both ways round") { builder, count in
            [(0..<count).reduce(builder.input("x", TensorType(.f32, [32, 32]))) { x, _ in (x + x.t()).tanh() }]
        },
        Growing("appends") { builder, count in
            var cache = builder.input("cache", TensorType(.f32, [16, 8]))
            return (0..<count).map { step in
                cache = Value.concatenate([cache, builder.input("x\(step)", TensorType(.f32, [1, 8])).exp()])
                return cache.sum(0)
            }
        },
        Growing("pools") { builder, count in
            [(0..<count / 4).reduce(builder.input("x", TensorType(.f32, [1, 4, 16, 16]))) { x, _ in x.maxPool2d(5, stride: 1, padding: 2) }]
        },
        Growing("turned views") { builder, count in
            [(0..<count).reduce(builder.input("x", TensorType(.f32, [4, 6]))) { x, _ in x.t().reshape([4, 6]) }.exp()]
        },
    ]

    /// Operations of the groups' regions, over those of the graph.
    private func growth(_ growing: Growing, _ size: Int) throws -> Double {
        let builder = GraphBuilder("growing")
        let graph = try builder.finish(growing.body(builder, size).enumerated().map { ("y\($0)", $1) })
        let groups = try PassRunner(verifies: size < 100).run(Passes.named(list: "fuse"), on: graph).graph
        let made = groups.operations.reduce(0) { $0 + $1.regions.reduce(1) { $0 + $1.operations.count } }
        let longest = groups.operations.flatMap(\.regions).map(\.operations.count).max() ?? 0
        #expect(longest < 1_500, "\(growing.name): a kernel of \(longest) operations")
        return Double(made) / Double(graph.operations.count)
    }

    @Test(arguments: growing) func makesNoMoreOfMore(_ growing: Growing) throws {
        let (few, many) = (try growth(growing, 40), try growth(growing, 400))
        #expect(many <= 1.5 * few, "\(growing.name): \(few) operations for each of 40, \(many) of 400")
    }

    @Test func orderRefusesExactlyWhatWouldTurnInACircle() {
        var random = Random(seed: 11)
        for _ in 0..<200 {
            let count = 14
            var order = GroupOrder(count: count)
            var edges: Set<[Int]> = []
            var name = Array(0..<count)
            for node in 0..<count {
                let sources = (0..<node).filter { _ in random.next() % 4 == 0 }
                order.add(node, after: sources.map { name[$0] })
                for source in sources { edges.insert([source, node]) }
                for source in sources where random.next() % 2 == 0 && name[source] != name[node] {
                    let (a, b) = (name[source], name[node])
                    // What is reached from the producer over another node.
                    var reached: Set<Int> = []
                    var stack = [a]
                    while let next = stack.popLast() {
                        for edge in edges where name[edge[0]] == next {
                            let target = name[edge[1]]
                            if target == next || next == a && target == b || !reached.insert(target).inserted { continue }
                            stack.append(target)
                        }
                    }
                    let merged = order.merge(a, b, as: a)
                    #expect(merged == !reached.contains(b))
                    if merged { for i in 0..<count where name[i] == b { name[i] = a } }
                }
            }
        }
    }
}
