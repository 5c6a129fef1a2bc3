// Lesson 7: somebody else's trained model, from ONNX, in Swift and as a library for C: what kind of file is this?
// Usage: 07-models MODEL FOLDER FILE …   MODEL is the folder that `fetch` prints; writes FOLDER/libfiletype.so, filetype.h and kinds.txt.
import Foundation
import Kiln
import KilnONNX

/// What magika's own configuration says of its network.
struct Configuration: Decodable {
    /// How many bytes of a file's beginning and end the network sees, and how much of the file they are looked for in.
    var beg_size, end_size, block_size: Int
    /// What stands where there is no byte.
    var padding_token: Int32
    var target_labels_space: [String]
}

let (model, folder) = (CommandLine.arguments[1], CommandLine.arguments[2])
let configuration = try JSONDecoder().decode(Configuration.self, from: Data(contentsOf: URL(fileURLWithPath: model + "/config.min.json")))

/// What the network sees of a file: the first bytes that are not blank, and the last.
func features(_ bytes: [UInt8]) -> [Int32] {
    func isBlank(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }
    let start = bytes.prefix(configuration.block_size).drop(while: isBlank).prefix(configuration.beg_size)
    let block = bytes.suffix(configuration.block_size)
    let end = block[..<(block.lastIndex { !isBlank($0) }.map { $0 + 1 } ?? block.startIndex)].suffix(configuration.end_size)
    func padding(_ count: Int) -> [Int32] { Array(repeating: configuration.padding_token, count: count) }
    return start.map { Int32($0) } + padding(configuration.beg_size - start.count) + padding(configuration.end_size - end.count) + end.map { Int32($0) }
}

// The batch is a symbol: one compilation serves any number of files.
let graph = try Graph(onnx: model + "/model.onnx")
let classify = try CompiledGraph(graph)
let files = CommandLine.arguments.dropFirst(3)
let rows = try files.map { features(try FileSystem.contents(of: $0)) }
let scores = try classify(Tensor(rows.flatMap { $0 }, shape: [rows.count, rows[0].count]))
let (best, kinds) = (try scores.max(1).array(as: Float.self), try scores.argmax(1).array(as: Int.self))
for (number, file) in files.enumerated() {
    print("\(file): \(configuration.target_labels_space[kinds[number]]) (\(Int((best[number] * 100).rounded())) %)")
}

var library = graph
library.name = "filetype"
try library.writeLibrary(to: folder + "/libfiletype.so", header: folder + "/filetype.h")
try FileSystem.write(Array(configuration.target_labels_space.joined(separator: "\n").utf8), to: folder + "/kinds.txt")
