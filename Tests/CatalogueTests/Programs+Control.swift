// Programs with branches and loops over tensors.

import KilnIR
import KilnOps
import KilnPasses

extension WholeProgram {
    private static func region(_ types: [TensorType], _ body: ([Value]) -> [Value]) throws -> Graph {
        let builder = GraphBuilder("region")
        let results = body(types.enumerated().map { builder.input("x\($0)", $1) })
        return try builder.finish(results.enumerated().map { ("y\($0)", $1) })
    }

    static let control = [
        WholeProgram(name: "a branch between products, and its gradient", integers: 0...9) { b, t in
            let type = TensorType(t, [7, 7]), x = b.input("x", type), y = b.input("y", type), n = b.input("n", TensorType(.i32, []))
            let regions = try [region([type, type]) { [$0[0].matmul($0[1]).tanh(), $0[1]] },
                               region([type, type]) { [($0[0] - $0[1]).exp(), $0[0].softmax(1)] }]
            let results = b.append(Catalogue.op(named: "if")!, [n .> 4, x, y], regions: regions)
            return try gradients(b.finish([("loss", (results[0] * results[1]).sum()), ("first", results[0])]), ["x", "y"])
        },
        WholeProgram(name: "a loop that carries tensors, and its gradient", integers: 3...3) { b, t in
            let type = TensorType(t, [5, 9]), weight = TensorType(t, [9, 9]), count = TensorType(.i64, [])
            let x = b.input("x", type), w = b.input("w", weight), limit = b.input("limit", count)
            let types = [type, TensorType(t, [5]), count, weight, count]
            let condition = try region(types) { [$0[2] .< $0[4]] }
            let body = try region(types) { v in
                let next = v[0].matmul(v[3]).tanh()
                return [next, v[1] + next.square().sum(1), v[2] + 1]
            }
            let start = b.full(0, TensorType(t, [5])), zero = b.full(0, count)
            let results = b.append(Catalogue.op(named: "while")!, [x, start, zero, w, limit], ["carried": .int(3)], regions: [condition, body])
            return try gradients(b.finish([("loss", (results[0].sum(1) * results[1]).sum()), ("x", results[0]), ("rounds", results[2])]), ["x", "w"])
        },
        WholeProgram(name: "a loop whose rounds depend on the data, in a branch") { b, t in
            let type = TensorType(t, [9]), x = b.input("x", type)
            let halve = try region([type]) { v in [v[0] * 0.5] }
            let large = try region([type]) { v in [v[0].square().sum() .> 0.25] }
            let outer = try region([type]) { v in
                v[0].builder.append(Catalogue.op(named: "while")!, [v[0]], ["carried": .int(1)], regions: [large, halve])
            }
            let same = try region([type]) { v in [v[0] + 1] }
            let results = b.append(Catalogue.op(named: "if")!, [x.square().sum() .> 0.01, x], regions: [outer, same])
            return try b.finish([("y", results[0]), ("sum", results[0].cumsum(0))])
        },
    ]
}
