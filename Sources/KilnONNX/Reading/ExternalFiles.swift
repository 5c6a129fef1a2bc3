// Files beside a model that hold its tensors' bytes. Each is mapped once; none outside the model's folder is touched.

import Glibc
import Kiln
import KilnIR
import Synchronization

/// The files that a model's tensors name.
final class ExternalFiles: Sendable {
    private let model: String
    private let mapped = Mutex<[String: ByteRegion]>([:])

    /// - Parameter model: the model's path.
    init(model: String) { self.model = model }

    /// The files that were looked into.
    var paths: [String] { mapped.withLock { $0.keys.map { folder + $0 } } }

    /// The bytes that a tensor names, with where they begin.
    /// - Parameter needed: how many it has, where it does not say: the rest of the file may be others'.
    func bytes(of tensor: ProtoTensor, needed: Int) throws -> (region: ByteRegion, range: Range<Int>) {
        func wrong(_ problem: String) -> ModelError {
            ModelError(model, "the tensor '\(tensor.name)' \(problem)", fix: "export the model again, and keep all its files together")
        }
        func entry(_ key: String) -> String? { tensor.externalData.first { $0.key == key }?.value }
        guard let location = entry("location"), !location.isEmpty else { throw wrong("lies in another file, and does not say which") }
        guard !location.hasPrefix("/"), !location.split(separator: "/").contains("..") else {
            throw wrong("lies in '\(location)', outside the model's folder")
        }
        let region = try file(location)
        guard let offset = Int(entry("offset") ?? "0"), let length = Int(entry("length") ?? "\(needed)"), offset >= 0, length >= 0,
            offset <= region.count, length <= region.count - offset else {
            throw wrong("lies at bytes \(entry("offset") ?? "0") and \(entry("length") ?? "all") on in '\(location)', which has \(region.count)")
        }
        return (region, offset..<offset + length)
    }

    /// The model's, with a slash; empty for the one that the process is in.
    private var folder: String { model.lastIndex(of: "/").map { String(model[...$0]) } ?? "" }

    private func file(_ location: String) throws -> ByteRegion {
        try mapped.withLock { known in
            if let region = known[location] { return region }
            var status = stat()
            // What is a pipe would be waited for.
            if stat(folder + location, &status) == 0, status.st_mode & S_IFMT != S_IFREG {
                throw ModelError(model, "'\(location)', which holds tensors, is no plain file", fix: "export the model again, and keep all its files together")
            }
            // Links may lead within the model's folder, or within the one that the model itself is in where its name is a link.
            if let file = Self.resolved(folder + location) {
                let homes = [Self.resolved(folder.isEmpty ? "." : folder), Self.resolved(model).map { String($0[..<($0.lastIndex(of: "/") ?? $0.startIndex)]) }]
                guard homes.contains(where: { home in home.map { file.hasPrefix($0 == "/" ? $0 : $0 + "/") } ?? false }) else {
                    throw ModelError(model, "'\(location)', which holds tensors, is a link that leads out of the model's folder",
                                     fix: "put the file itself there")
                }
            }
            let region = try FileSystem.map(folder + location)
            known[location] = region
            return region
        }
    }

    /// A path with all links followed; nil where nothing is there.
    private static func resolved(_ path: String) -> String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        return String(cString: real)
    }
}
