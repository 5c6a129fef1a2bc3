// Files beside a model that hold its tensors' bytes. Each is mapped once; none outside the model's folder is touched.

import Kiln
import KilnIR
import Synchronization

/// The files that a model's tensors name.
final class ExternalFiles: Sendable {
    private let model: String
    private let mapped = Mutex<[String: ByteRegion]>([:])

    /// - Parameter model: the model's path.
    init(model: String) { self.model = model }

    /// The bytes that a tensor names, with where they begin.
    func bytes(of tensor: ProtoTensor) throws -> (region: ByteRegion, range: Range<Int>) {
        func wrong(_ problem: String) -> ModelError {
            ModelError(model, "the tensor '\(tensor.name)' \(problem)", fix: "export the model again, and keep all its files together")
        }
        func entry(_ key: String) -> String? { tensor.externalData.first { $0.key == key }?.value }
        guard let location = entry("location"), !location.isEmpty else { throw wrong("lies in another file, and does not say which") }
        guard !location.hasPrefix("/"), !location.split(separator: "/").contains("..") else {
            throw wrong("lies in '\(location)', outside the model's folder")
        }
        let region = try file(location)
        guard let offset = Int(entry("offset") ?? "0"), let length = Int(entry("length") ?? "\(max(region.count - offset, 0))"), offset >= 0, length >= 0,
            offset <= region.count, length <= region.count - offset else {
            throw wrong("lies at bytes \(entry("offset") ?? "0") and \(entry("length") ?? "all") on in '\(location)', which has \(region.count)")
        }
        return (region, offset..<offset + length)
    }

    private func file(_ location: String) throws -> ByteRegion {
        try mapped.withLock { known in
            if let region = known[location] { return region }
            let folder = model.lastIndex(of: "/").map { model[...$0] } ?? ""
            let region = try FileSystem.map(folder + location)
            known[location] = region
            return region
        }
    }
}
