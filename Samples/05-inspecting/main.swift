// Lesson 5: what the compiler makes of a function. The graph is text: it can be written, read, changed, and compiled from there.
// Usage: 05-inspecting FOLDER   writes FOLDER/softmax.kiln, whose stages `kiln inspect` prints.
import Kiln

let graph = try compile(name: "softmax", input: TensorSpec("x", .f32, ["rows", 64])) { ($0 * 0.125).softmax(1) }
let text = graph.description
print(text)

let again = try Graph.parse(text, catalogue: Catalogue.op(named:))
precondition(again.isEquivalent(to: graph), "a graph's text reads back as the same graph")
let x = Tensor.randn([3, 64])
let total = try CompiledGraph(again)(x).sum([1]).array()
precondition(total.allSatisfy { abs($0 - 1) < 1e-5 }, "every row sums to one")
try FileSystem.write(Array(text.utf8), to: CommandLine.arguments[1] + "/softmax.kiln")
