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
try graph.writeLibrary(to: folder + "/libdigits.so", header: folder + "/digits.h")

let (_, test) = try Digits.load(CommandLine.arguments[1])
let scores = try CompiledGraph(graph)(test.images)
try write(test.images, "images.raw")
try write(test.classes.cast(to: .u8), "classes.raw")
try write(scores, "scores.raw")
print("wrote digits.kiln, libdigits.so and digits.h; accuracy in this process: \(try accuracy(scores, test.classes) * 100) %")

/// A tensor's elements, row by row, and nothing else.
func write(_ tensor: Tensor, _ name: String) throws { try FileSystem.write(tensor.literal().bytes, to: folder + "/" + name) }
