// Tensors, and modules' states, to and from files: .npy and .npz as NumPy has them, safetensors for weights.
import KilnIR

extension Tensor {
    /// The array of a `.npy` file.
    public init(npy path: String) throws { self.init(try NPY.read(path)) }

    /// Writes the value as a `.npy` file.
    public func write(npy path: String) throws { try NPY.write(literal(), to: path) }

    /// The arrays of a `.npz` file by name, or the tensors of a `.safetensors` file, told apart by the path's end.
    public static func load(_ path: String) throws -> [String: Tensor] {
        let entries = try path.hasSuffix(".safetensors") ? Safetensors.read(path) : NPZ.read(path)
        return Dictionary(entries.map { ($0.name, Tensor($0.value)) }, uniquingKeysWith: { first, _ in first })
    }

    /// Writes tensors by name as a `.npz` or `.safetensors` file, told apart by the path's end. The same tensors give the same bytes.
    public static func save(_ tensors: [String: Tensor], to path: String) throws {
        let entries = try tensors.sorted { $0.key < $1.key }.map { (name: $0.key, value: try $0.value.literal()) }
        if path.hasSuffix(".safetensors") { try Safetensors.write(entries, to: path) } else { try NPZ.write(entries, to: path) }
    }
}

extension Module {
    /// Writes parameters and buffers as a safetensors file.
    public func save(to path: String) throws { try Tensor.save(state(), to: path) }

    /// Takes over what `save(to:)` wrote; see `load(state:strict:)`.
    public func load(from path: String, strict: Bool = true) throws { try load(state: Tensor.load(path), strict: strict) }
}
