// Models whose sizes are open, written as exporters write them: their symbols must come through the shape arithmetic as themselves,
// and one compile must serve every size.

import Foundation
import Kiln
import KilnIR
import KilnONNX
import Synchronization
import Testing

@Suite struct DynamicShapeTests {
    @Test func headsAreSplitAndMerged() throws {
        var model = TestModel()
        let x = model.input("x", .float, "batch, sequence, 12")
        let (batch, sequence, heads, width) = (model.size(x, 0), model.size(x, 1), model.integer(3), model.integer(4))
        let split = model.node("Reshape", x, model.shape(batch, sequence, heads, width))
        let heads1 = model.node("Transpose", split, ["perm": .ints([0, 2, 1, 3])])
        let back = model.node("Transpose", heads1, ["perm": .ints([0, 2, 1, 3])])
        let open = model.integer(-1)
        let merged = model.node("Reshape", back, model.shape(batch, sequence, open))
        let flat = model.node("Reshape", merged, model.integers(-1, 12))
        model.output(heads1, merged, flat)
        #expect(try model.types() == ["f32[batch, 3, sequence, 4]", "f32[batch, sequence, 12]", "f32[batch*sequence, 12]"])
        try model.check(["batch": 2, "sequence": 5], ["batch": 1, "sequence": 1], ["batch": 3, "sequence": 8])
    }

    @Test func openSizeOfSumsDividesExactly() throws {
        var model = TestModel()
        let past = model.input("past", .float, "batch, 2, past, 4"), new = model.input("new", .float, "batch, 2, sequence, 4")
        let all = model.nodes("Concat", [past, new], outputs: 1, ["axis": .int(-2)])[0]
        let (batch, total, open) = (model.size(all, 0), model.size(all, 2), model.integer(-1))
        let merged = model.node("Reshape", all, model.shape(batch, total, open))
        let rows = model.node("Reshape", all, model.shape(open, total, model.integer(4)))
        model.output(merged, rows)
        #expect(try model.types() == ["f32[batch, past + sequence, 8]", "f32[2*batch, past + sequence, 4]"])
        try model.check(["batch": 2, "past": 3, "sequence": 1], ["batch": 1, "past": 0, "sequence": 4])
    }

    @Test func masksExpand() throws {
        var model = TestModel()
        let mask = model.input("mask", .int64, "batch, sequence")
        let (batch, sequence, one) = (model.size(mask, 0), model.size(mask, 1), model.integer(1))
        let wide = model.node("Unsqueeze", mask, model.integers(1, 2))
        let spread = model.node("Expand", wide, model.shape(batch, one, sequence, sequence))
        let float = model.node("Cast", spread, ["to": .int(1)])
        model.output(float)
        #expect(try model.types() == ["f32[batch, 1, sequence, sequence]"])
        try model.check(["batch": 2, "sequence": 3], ["batch": 1, "sequence": 7])
    }

    /// `torch.expand` writes -1 for the sizes that stay, and replaces them while the model runs.
    @Test func sizesThatStayAreReplaced() throws {
        var model = TestModel()
        let x = model.input("x", .float, "1, sequence, 1"), y = model.input("y", .float, "batch, 4")
        let wanted = model.shape(model.size(y, 0), model.integer(-1), model.size(y, 1))
        let ones = model.node("ConstantOfShape", model.integers(3), ["value": .tensor(Literal(.i64, [1], scalars: [1]))])
        let minus = model.node("Mul", ones, model.integer(-1))
        let sizes = model.node("Where", model.node("Equal", wanted, minus), ones, wanted)
        let wide = model.node("Expand", x, sizes)
        model.output(wide)
        #expect(try model.types() == ["f32[batch, sequence, 4]"])
        try model.check(["batch": 2, "sequence": 3], ["batch": 5, "sequence": 1])
    }

    @Test func causalMaskOfPositions() throws {
        var model = TestModel()
        let x = model.input("x", .float, "batch, sequence"), past = model.input("past", .float, "batch, past")
        let (length, before, one) = (model.size(x, 1), model.size(past, 1), model.integer(1))
        let total = model.node("Add", length, before)
        let rows = model.node("Range", before, total, one), columns = model.node("Range", model.integer(0), total, one)
        let mask = model.node("LessOrEqual", model.node("Unsqueeze", columns, model.integers(0)), model.node("Unsqueeze", rows, model.integers(1)))
        model.output(mask)
        #expect(try model.types() == ["bool[sequence, past + sequence]"])
        try model.check(["batch": 1, "sequence": 3, "past": 2], ["batch": 2, "sequence": 1, "past": 6], ["batch": 1, "sequence": 4, "past": 0])
    }

    @Test func tableIsCutToTheLength() throws {
        var model = TestModel()
        let x = model.input("x", .float, "batch, sequence, 2")
        let table = model.node("Constant", ["value": .tensor(Literal(.f32, [1, 16, 2], doubles: (0..<32).map { Double($0) }))])
        let end = model.node("Unsqueeze", model.size(x, 1), model.integers(0))
        let cut = model.node("Slice", table, model.integers(0), end, model.integers(1))
        model.output(model.node("Add", x, cut))
        #expect(try model.types() == ["f32[batch, sequence, 2]"])
        try model.check(["batch": 2, "sequence": 16], ["batch": 1, "sequence": 3])
    }

    @Test func inputsOfOneNameAreAMistake() {
        var model = TestModel()
        let x = model.input("x", .float, "n")
        _ = model.input("x", .float, "n")
        model.output(model.node("Relu", x))
        #expect(throws: ModelError.self) { try model.types() }
    }

    @Test func slicesOfOpenAxes() throws {
        var model = TestModel()
        let x = model.input("x", .float, "n, 6")
        func slice(_ start: Int, _ end: Int, _ step: Int = 1) -> String {
            let (starts, ends, axes, steps) = (model.integers(start), model.integers(end), model.integers(0), model.integers(step))
            return model.node("Slice", x, starts, ends, axes, steps)
        }
        let far = Int.max
        model.output(slice(1, far), slice(0, -1), slice(-1, far), slice(0, 1), slice(-4, far), slice(0, 4), slice(far, -far - 1, -1), slice(0, far, 2))
        #expect(try model.types() == ["f32[n - 1, 6]", "f32[n - 1, 6]", "f32[1, 6]", "f32[1, 6]", "f32[n - max(0, n - 4), 6]", "f32[min(n, 4), 6]",
                                      "f32[n, 6]", "f32[floor(n + 1, 2), 6]"])
        try model.check(["n": 1], ["n": 3], ["n": 4], ["n": 9])
    }

    @Test func partsOfOpenAxes() throws {
        var model = TestModel()
        let x = model.input("x", .float, "batch, n")
        let tiled = model.node("Tile", x, model.integers(1, 2))
        let halves = model.nodes("Split", [tiled], outputs: 2, ["axis": .int(1), "num_outputs": .int(2)])
        let thirds = model.nodes("Split", [x], outputs: 3, ["axis": .int(1), "num_outputs": .int(3)])
        model.output(halves[1], thirds[0], thirds[2])
        #expect(try model.types() == ["f32[batch, n]", "f32[batch, floor(n + 2, 3)]", "f32[batch, n - 2*floor(n + 2, 3)]"])
        try model.check(["batch": 1, "n": 5], ["batch": 2, "n": 9])
    }

    /// Sizes of images are scaled in floats.
    @Test func scaledSizes() throws {
        var model = TestModel()
        let x = model.input("x", .float, "batch, height")
        let float = model.node("Cast", model.size(x, 1), ["to": .int(1)])
        let two = model.node("Constant", ["value_float": .float(2)])
        let scaled = model.node("Cast", model.node("Floor", model.node("Mul", float, two)), ["to": .int(7)])
        let positions = model.node("Range", model.integer(0), scaled, model.integer(1))
        model.output(positions)
        #expect(try model.types() == ["i64[2*height]"])
        try model.check(["batch": 1, "height": 5], ["batch": 2, "height": 1])
    }

    /// Older exporters find positions as what is not zero among ones.
    @Test func positionsAmongOnes() throws {
        var model = TestModel()
        let x = model.input("x", .float, "batch, n")
        let shape = model.node("Unsqueeze", model.size(x, 1), model.integers(0))
        let ones = model.node("ConstantOfShape", shape, ["value": .tensor(Literal(.i64, [1], scalars: [1]))])
        let positions = model.node("Squeeze", model.node("Transpose", model.node("NonZero", ones)), model.integers(1))
        model.output(positions)
        #expect(try model.types() == ["i64[n]"])
        try model.check(["batch": 1, "n": 5], ["batch": 2, "n": 1])
    }

    /// What is found has a size of its own, with which shape arithmetic goes on.
    @Test func foundElements() throws {
        var model = TestModel()
        let x = model.input("x", .float, "n, 3")
        let found = model.node("NonZero", x)
        let count = model.node("Slice", model.node("Shape", found), model.integers(1), model.integers(2))
        let ones = model.node("ConstantOfShape", count)
        let rows = model.node("GatherND", x, model.node("Transpose", found))
        model.output(model.node("Add", rows, ones))
        try model.check(["n": 4], ["n": 1])
    }

    @Test func tableThatIsTooShortIsNamed() throws {
        var model = TestModel()
        let x = model.input("x", .float, "sequence")
        let table = model.node("Constant", ["value": .tensor(Literal(.f32, [4], doubles: [1, 2, 3, 4]))])
        model.output(model.node("Slice", table, model.integers(0), model.node("Shape", x)))
        let compiled = try CompiledGraph(try model.imported().graph)
        #expect(try compiled.run([Literal(.f32, [3], doubles: [0, 0, 0])])[0].doubles == [1, 2, 3])
        let error = #expect(throws: (any Error).self) { try compiled.run([Literal(.f32, [5], doubles: [0, 0, 0, 0, 0])]) }
        #expect("\(String(describing: error))".contains("0..<sequence is not within axis 0, of size 4"))
    }

    /// What decides a shape may be computed through a chain as long as the model, on a thread with little stack.
    @Test func sizesComeThroughLongChains() throws {
        var model = TestModel()
        let x = model.input("x", .float, "n, 3")
        var shape = model.node("Shape", x)
        let zeros = model.integers(0, 0)
        for _ in 0..<4000 { shape = model.node("Add", shape, zeros) }
        model.output(model.node("Reshape", x, shape))
        let types = Mutex<[String]>([])
        let thread = Thread { [model] in types.withLock { $0 = (try? model.types()) ?? [] } }
        thread.stackSize = 512 << 10
        thread.start()
        while !thread.isFinished { usleep(1000) }
        #expect(types.withLock { $0 } == ["f32[n, 3]"])
    }
}
