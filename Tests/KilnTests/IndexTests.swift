// Indices that the user's tensors hold: one out of range is an error that names op, index, axis and line, where PyTorch has one, and
// counts from the end where PyTorch's does.
import Kiln
import Testing

@Suite struct IndexTests {
    private let table = Tensor([[1.0, 2], [3, 4], [5, 6]])

    /// The error of reading the tensor that the body makes.
    private func message(_ body: () -> Tensor) -> String {
        do {
            _ = try body().cast(to: .f64).array()
            return "no error"
        } catch { return "\(error)" }
    }

    @Test func lookingUp() throws {
        let line = #line + 1
        let found = message { table.embedding(Tensor([0, 1000])) }
        #expect(found.contains("embedding: index 1000 is out of range for axis 0 of size 3"), "\(found)")
        #expect(found.contains("IndexTests.swift:\(line)"), "\(found)")
        #expect(message { table.embedding(Tensor([-1])) }.contains("embedding: index -1 is out of range for axis 0 of size 3"))
        #expect(message { table.gather(1, Tensor([[0], [2], [1]])) }.contains("gather: index 2 is out of range for axis 1 of size 2"))
        #expect(message { table.indexSelect(0, Tensor([3])) }.contains("indexSelect: index 3 is out of range for axis 0 of size 3"))
        #expect(message { table.take(Tensor([3]), axis: 0) }.contains("take: index 3"))
        #expect(try table.take(Tensor([-1, 0]), axis: 0).array() == [5, 6, 1, 2])
        #expect(message { table[Tensor([0, 3])] }.contains("subscript: index 3 is out of range for axis 0 of size 3"))
        #expect(try table[Tensor([-3, 2])].array() == [1, 2, 5, 6])
        #expect(message { Tensor([0, 3]).oneHot(3) }.contains("oneHot: index 3 is out of range for axis 1 of size 3"))
    }

    @Test func writing() throws {
        let row = Tensor([1.0])
        #expect(message { Tensor.zeros([3]).scatter(0, Tensor([3]), row) }.contains("scatter: index 3 is out of range for axis 0 of size 3"))
        #expect(message { Tensor.zeros([3]).put(Tensor([4]), row, axis: 0, .add) }.contains("put: index 4 is out of range for axis 0 of size 3"))
        #expect(message {
            var x = Tensor.zeros([3])
            x[Tensor([7])] = row
            return x
        }.contains("subscript: index 7 is out of range for axis 0 of size 3"))
    }

    @Test func classes() throws {
        let scores = Tensor.zeros([2, 4])
        for wrong in [4, -100] {
            #expect(message { crossEntropy(scores, Tensor([0, wrong])) }.contains("crossEntropy: index \(wrong) is out of range for axis 1 of size 4"))
            #expect(message { nllLoss(scores, Tensor([wrong, 1])) }.contains("nllLoss: index \(wrong) is out of range for axis 1 of size 4"))
        }
        #expect(try crossEntropy(scores, Tensor([0, 3])).item() > 1.38)
    }

    /// A step of training fails as a whole; the next one, on right data, is as if it had not been.
    @Test func aStepOfTrainingFails() throws {
        let embedding = Embedding(4, 3)
        let loss = embedding(Tensor([0, 4])).sum()
        try loss.backward()
        #expect(message { loss }.contains("embedding: index 4 is out of range for axis 0 of size 4"))
        #expect(message { embedding.weight.sum() } == "no error")
    }

    @Test func inALibrary() throws {
        let graph = try compile(name: "lookup", inputs: [TensorSpec("table", .f32, ["n", 2]), TensorSpec("tokens", .i64, ["m"])]) { [$0[0].embedding($0[1])] }
        let compiled = try CompiledGraph(graph)
        let right = try compiled.run([Literal(.f32, [2, 2], doubles: [1, 2, 3, 4]), Literal(.i64, [1], doubles: [1])])
        #expect(right[0].doubles == [3, 4])
        let error = #expect(throws: (any Error).self) {
            try compiled.run([Literal(.f32, [2, 2], doubles: [1, 2, 3, 4]), Literal(.i64, [1], doubles: [2])])
        }
        #expect("\(error.map { "\($0)" } ?? "")".contains("index out of range: embedding: index 2 is out of range for axis 0 of size 2"))
    }
}
