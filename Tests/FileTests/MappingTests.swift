// Mapped files: the bytes are the file's, also where it is empty or no plain file, and stay what they were when it is replaced.

import Foundation
import Kiln
import KilnIR
import Testing

@Suite struct MappingTests {
    static func inFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "kiln-map-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    @Test func filesAreThere() throws {
        try Self.inFolder { folder in
            let bytes = (0..<9000).map { UInt8(truncatingIfNeeded: $0 * 7) }
            try FileSystem.write(bytes, to: folder + "/a")
            let region = try FileSystem.map(folder + "/a")
            #expect(region.bytes.elementsEqual(bytes))
            try FileSystem.write([1], to: folder + "/a")
            #expect(region.bytes.elementsEqual(bytes))
            try FileSystem.write([], to: folder + "/empty")
            #expect(try FileSystem.map(folder + "/empty").count == 0)
            #expect(try FileSystem.map("/dev/null").count == 0)
        }
    }

    @Test func namesFilesItCannotMap() {
        expectFailure("can't be opened") { _ = try FileSystem.map("/nowhere/at/all") }
        expectFailure("is a directory") { _ = try FileSystem.map("/tmp") }
    }

    /// What is laid out as a literal is shares the file's memory, what is not is copied.
    @Test func arraysShareTheirFile() throws {
        try Self.inFolder { folder in
            let values = [(name: "a", value: Fixtures.values(.f32)), (name: "b", value: Literal(.i64, [2], doubles: [3, 4]))]
            try NPY.write(values[0].value, to: folder + "/a.npy")
            #expect(try NPY.read(folder + "/a.npy") == values[0].value)
            for isCompressed in [false, true] {
                try NPZ.write(values, to: folder + "/a.npz", isCompressed: isCompressed)
                let read = try NPZ.read(folder + "/a.npz")
                #expect(read.map(\.name) == ["a", "b"] && read.map(\.value) == values.map(\.value))
                let places = read.map { $0.value.withUnsafeBytes { Int(bitPattern: $0.baseAddress) } }
                let apart = try FileSystem.contents(of: folder + "/a.npz").count
                if !isCompressed { #expect(abs(places[1] - places[0]) < apart) }
            }
            try Safetensors.write(values, to: folder + "/a.safetensors")
            let file = try Safetensors.map(folder + "/a.safetensors")
            #expect(try file.literal("b").withUnsafeBytes { $0.baseAddress } == file.literal("b").withUnsafeBytes { $0.baseAddress })
            #expect(try Set(Safetensors.read(folder + "/a.safetensors").map(\.value)) == Set(values.map(\.value)))
        }
    }
}
