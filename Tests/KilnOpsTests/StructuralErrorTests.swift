// What the structural ops say of the user's mistakes: the whole message, from the op's name to the fix.

import KilnIR
import KilnOps
import Testing

struct StructuralErrorTests {
    /// A mistake, on operands of the given types, and parts of what is said of it.
    struct Mistake: Sendable, CustomTestStringConvertible {
        var name: String
        var types: [TensorType]
        var body: @Sendable ([Value]) -> Value
        var says: [String]
        var testDescription: String { name }
    }

    static let matrix = TensorType(.f32, [2, 3])

    static let mistakes = [
        Mistake(name: "reshape", types: [matrix], body: { $0[0].reshape(4, 2) },
                says: ["reshape: 6 elements can't take the shape [4, 2], which holds 8", "operand 0: f32[2, 3]", "fix: give a shape with as many elements"]),
        Mistake(name: "reshape to a size of no number", types: [matrix], body: { $0[0].reshape(4, -1) }, says: ["reshape: 6 elements can't take the shape [4, 1]"]),
        Mistake(name: "permute", types: [matrix], body: { $0[0].permute(0, 0) }, says: ["permute: `axes` names an axis twice: [0, 0]"]),
        Mistake(name: "permute too few", types: [matrix], body: { $0[0].permute(0) }, says: ["has 1 of the operand's 2 axes", "name each axis of the operand once"]),
        Mistake(name: "transpose", types: [matrix], body: { $0[0].transpose(0, 2) }, says: ["transpose: axis 2 is not one of the operand's 2", "give an axis from -2 to 1"]),
        Mistake(name: "t", types: [TensorType(.f32, [1, 2, 3])], body: { $0[0].t() }, says: ["t: takes a matrix, was given 3 axes"]),
        Mistake(name: "expand", types: [matrix], body: { $0[0].expand(5, 3) }, says: ["broadcast: axis 0 of size 2 can't become axis 0 of [5, 3]", "fix: make the size 1 or 5"]),
        Mistake(name: "narrow", types: [matrix], body: { $0[0].narrow(1, start: 2, length: 2) }, says: ["slice: 2..<4 is not within axis 1, of size 3", "give 0 <= start <= end <= 3"]),
        Mistake(name: "pad", types: [matrix], body: { $0[0].pad([-2, -2]) }, says: ["pad: axis 1 of size 3 can't lose what -2 and -2 take away"]),
        Mistake(name: "concatenate", types: [matrix, TensorType(.f32, [4, 4])], body: { Value.concatenate($0, axis: 0) },
                says: ["concatenate: operand 1 has size 4 along axis 1, operand 0 has 3", "fix: make all sizes but those along axis 0 equal"]),
        Mistake(name: "concatenate dtypes", types: [matrix, TensorType(.f64, [2, 3])], body: { Value.concatenate($0) },
                says: ["operand 1 is f64[2, 3], which does not go with f32[2, 3]"]),
        Mistake(name: "windows", types: [matrix], body: { $0[0].maxPool([4]) }, says: ["windows: a window spans 4 positions, axis 1 has 3", "fix: pad the axis"]),
        Mistake(name: "maxPool", types: [matrix], body: { $0[0].maxPool([1, 1, 1]) }, says: ["maxPool: has windows of 3 axes for an operand of 2"]),
        Mistake(name: "sum", types: [matrix], body: { $0[0].sum(2) }, says: ["sum: axis 2 is not one of the operand's 2", "give an axis from -2 to 1"]),
        Mistake(name: "max of nothing", types: [TensorType(.f32, [2, 0])], body: { $0[0].max(1) }, says: ["reduce_max: axis 1 of size 0 may be empty"]),
        Mistake(name: "mean of integers", types: [TensorType(.i32, [3])], body: { $0[0].mean() }, says: ["mean: takes floats, was given i32", "fix: cast to f32 first"]),
        Mistake(name: "softmax", types: [matrix], body: { $0[0].softmax(5) }, says: ["softmax: axis 5 is not one of the operand's 2"]),
        Mistake(name: "cumsum", types: [TensorType(.bool, [3])], body: { $0[0].cumsum(0) }, says: ["scan_sum: operand 0 is of dtype bool, which it does not take"]),
        Mistake(name: "matmul", types: [matrix, TensorType(.f32, [4, 5])], body: { $0[0].matmul($0[1]) },
                says: ["contract: axis 1 of the left operand has size 3, axis 0 of the right has 4", "operand 1: f32[4, 5]", "a matrix product takes [m, k] and [k, n]"]),
        Mistake(name: "matmul dtypes", types: [matrix, TensorType(.f16, [3, 5])], body: { $0[0].matmul($0[1]) }, says: ["the operands' dtypes differ: f32 and f16"]),
        Mistake(name: "matmul of numbers", types: [matrix, TensorType(.f32, [])], body: { $0[0].matmul($0[1]) }, says: ["matmul: takes tensors of at least one axis"]),
        Mistake(name: "einsum", types: [matrix, matrix], body: { $0[0].einsum("ij,jk->iz", $0[1]) }, says: ["einsum: \"ij,jk->iz\" has a result label that no operand has"]),
        Mistake(name: "einsum rank", types: [matrix, matrix], body: { $0[0].einsum("ijk,jk->i", $0[1]) }, says: ["has 3 labels for the 2 axes of operand 0"]),
        Mistake(name: "einsum text", types: [matrix], body: { $0[0].einsum("i.->i") }, says: ["is no equation", "write labels, commas and one arrow"]),
        Mistake(name: "convolution channels", types: [TensorType(.f32, [1, 3, 8, 8]), TensorType(.f32, [4, 2, 3, 3])], body: { $0[0].conv2d($0[1]) },
                says: ["convolution: the images have 3 channels, the weights take 2 in 1 group", "fix: give weights of shape [o, 3, …]"]),
        Mistake(name: "convolution window", types: [TensorType(.f32, [1, 3, 2, 8]), TensorType(.f32, [4, 3, 3, 3])], body: { $0[0].conv2d($0[1]) },
                says: ["a window spans 3 positions, spatial axis 0 has 2 with its padding"]),
        Mistake(name: "convolution rank", types: [matrix, matrix], body: { $0[0].conv2d($0[1]) }, says: ["images of 2 axes and weights of 2 do not go together"]),
        Mistake(name: "take", types: [matrix, TensorType(.f32, [3])], body: { $0[0].take($0[1], axis: 0) }, says: ["take: operand 1 is of dtype f32, which it does not take"]),
        Mistake(name: "gather", types: [matrix, TensorType(.i64, [5, 1])], body: { $0[0].gather(1, $0[1]) }, says: ["take_along: the indices have size 5 along axis 0, the operand has 2"]),
        Mistake(name: "scatter", types: [matrix, TensorType(.i64, [2]), TensorType(.f32, [2, 2])], body: { $0[0].put($0[1], $0[2], axis: 0, .add) },
                says: ["scatter_add: the updates have size 2 along axis 1, and 3 is needed", "fix: give updates of shape [2, 3]"]),
        Mistake(name: "random key", types: [TensorType(.u64, [2])], body: { Value.uniform(key: $0[0], [3]) }, says: ["randomBits: takes a key of type u32[2], was given u64[2]"]),
        Mistake(name: "randint", types: [TensorType(.u32, [2])], body: { Value.randint(key: $0[0], [3], low: 5, high: 5) }, says: ["randint: 5..<5 is no range"]),
    ]

    @Test(arguments: mistakes) func mistakesAreNamed(_ mistake: Mistake) throws {
        let error = try #require(throws: ShapeError.self) { try graph(mistake.types, mistake.body) }
        for part in mistake.says { #expect(error.description.contains(part), "\(error)") }
        #expect(error.description.split(separator: "\n").count <= 15)
        #expect(!error.fix.isEmpty)
    }

    @Test func mistakesNameTheUsersLine() throws {
        let error = try #require(throws: ShapeError.self) { try graph([Self.matrix]) { $0[0].softmax(5) } }
        #expect(error.description.contains("at KilnOpsTests/StructuralErrorTests.swift:"))
    }

    @Test func controlChecksItsRegions() throws {
        var region = Graph(name: "r")
        region.outputs = [Port("y", region.addInput("x", TensorType(.f32, [2])))]
        let builder = GraphBuilder("test")
        let condition = builder.input("c", TensorType(.bool, [])), x = builder.input("x", TensorType(.f32, [3]))
        _ = builder.append(Structural.if, [condition, x], regions: [region, region])
        let error = try #require(builder.error as? ShapeError)
        #expect(error.description.contains("if: the region for true takes (f32[2]), and should be (f32[3])"))
    }

    /// What symbols leave open is a check of each call, with the message that a known mistake has.
    @Test func symbolsLeaveChecks() throws {
        let open = try graph([TensorType(.f32, ["n"])]) { $0[0].narrow(0, start: 0, length: 5) }
        let operation = try #require(open.operations.last)
        let checks = operation.op.checks(open.context(of: operation))
        #expect(checks.map(\.condition) == [.isNonNegative(.symbol("n") - 5)])
        #expect(checks[0].message.contains("slice: 0..<5 is not within axis 0, of size n"))
        #expect(try evaluate([pattern(6)], symbolic: [TensorType(.f64, ["n"])]) { $0[0].narrow(0, start: 0, length: 5) }.shape == [5])
        let error = try #require(throws: CompileError.self) {
            try evaluate([pattern(3)], symbolic: [TensorType(.f64, ["n"])]) { $0[0].narrow(0, start: 0, length: 5) }
        }
        #expect(error.description.contains("0..<5 is not within axis 0"))
    }
}
