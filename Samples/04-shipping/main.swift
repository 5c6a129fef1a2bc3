// Lesson 4: a trained network as a shared object for other programs, for batches of any size.
// Usage: 04-shipping IMAGES.npz FOLDER   reads FOLDER/digits.safetensors; writes the graph, the library, its header, and for
// classify.c the test images, their classes and the scores that this process computes.
import Digits
import Kiln

let folder = CommandLine.arguments[2]
let model = makeNetwork()
try model.load(from: folder + "/digits.safetensors")
model.eval()

let graph = try compile(name: "digits", input: TensorSpec("images", .f32, ["batch", 1, 8, 8]), output: "scores") { model($0) }
try FileSystem.write(Array(graph.description.utf8), to: folder + "/digits.kiln")
// One library for all: where there is no GPU of these, it runs on the processor.
try graph.writeLibrary(to: folder + "/libdigits.so", header: folder + "/digits.h", gpus: [.sm80, .sm90a])

let (_, test) = try Digits.load(CommandLine.arguments[1])
let images = try test.images.literal()
let compilations = statistics.compilations
let classify = try CompiledGraph(graph)
let scores = try classify.run([images])[0]
// The size of a batch is a symbol: one compilation serves all, and an image's scores don't depend on its company.
for batch in [1, 7, 64, images.shape[0]] {
    let some = try classify.run([Literal(.f32, [batch, 1, 8, 8], bytes: Array(images.bytes.prefix(batch * 64 * 4)))])[0]
    precondition(some.bytes.elementsEqual(scores.bytes.prefix(batch * 10 * 4)), "batches of \(batch) give other bits")
}
precondition(statistics.compilations - compilations == 1, "one compilation serves every batch")

// Elements row by row, and nothing else.
try FileSystem.write(images.bytes, to: folder + "/images.raw")
try FileSystem.write(test.classes.cast(to: .u8).literal().bytes, to: folder + "/classes.raw")
try FileSystem.write(scores.bytes, to: folder + "/scores.raw")
print("wrote digits.kiln, libdigits.so and digits.h; accuracy in this process: \(try accuracy(Tensor(scores), test.classes) * 100) %")
