// The suite's manifest: which cases there are, and where their values lie.

import Foundation
import Kiln
import KilnIR
import KilnONNX

/// A suite that `onnx_nodes.py` has written.
struct Manifest: Decodable {
    struct Case: Decodable {
        var name: String
        var kind: String
        var dir: String
        var rtol: Double
        var atol: Double
        var ops: [String: Int]
        var category: String
        var datasets: Int
        var inputs: [StoredValue]
        var outputs: [StoredValue]
    }
    var onnx: String
    var tests: [Case]
}

/// A value in the suite's files.
indirect enum StoredValue: Decodable {
    case tensor(name: String, element: ElementType?, file: String, storage: String, shape: [Int])
    case sequence(name: String, [StoredValue])
    case optional(name: String, StoredValue?)
    case absent(name: String)
    case other(name: String, String)

    private enum Keys: String, CodingKey { case type, name, dtype, shape, file, storage, elems, elem }

    init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: Keys.self)
        let name = try values.decodeIfPresent(String.self, forKey: .name) ?? ""
        switch try values.decode(String.self, forKey: .type) {
        case "tensor":
            self = .tensor(name: name, element: ElementType(onnxName: try values.decode(String.self, forKey: .dtype)),
                           file: try values.decode(String.self, forKey: .file), storage: try values.decode(String.self, forKey: .storage),
                           shape: try values.decode([Int].self, forKey: .shape))
        case "sequence": self = .sequence(name: name, try values.decode([StoredValue].self, forKey: .elems))
        case "optional": self = .optional(name: name, try values.decodeIfPresent(StoredValue.self, forKey: .elem))
        case "absent": self = .absent(name: name)
        case let type: self = .other(name: name, type)
        }
    }

    var name: String {
        switch self {
        case .tensor(let name, _, _, _, _), .sequence(let name, _), .optional(let name, _), .absent(let name), .other(let name, _): name
        }
    }
}

extension ElementType {
    /// The type with the name of ONNX's messages, such as `FLOAT8E4M3FN`.
    init?(onnxName name: String) {
        guard let type = Self.allCases.first(where: { "\($0)".uppercased() == name }) else { return nil }
        self = type
    }
}

/// A case's value in memory.
indirect enum TestValue {
    case tensor(Literal, ElementType)
    case sequence([TestValue])
    case optional(TestValue?)
    case absent

    init(_ stored: StoredValue, in folder: String) throws {
        switch stored {
        case .tensor(_, let element?, let file, "json", let shape):
            let texts = try JSONDecoder().decode([String].self, from: Data(contentsOf: URL(fileURLWithPath: folder + "/" + file)))
            self = .tensor(Literal(texts: texts, shape), element)
        case .tensor(_, let element?, let file, _, let shape):
            guard let dtype = element.dtype else { throw CaseError("no values of type \(element)") }
            let value = try NPY.read(folder + "/" + file)
            self = .tensor(Literal(dtype, shape, bytes: value.bytes), element)
        case .tensor(_, nil, _, _, _): throw CaseError("a value of an unknown element type")
        case .sequence(_, let parts): self = .sequence(try parts.map { try TestValue($0, in: folder) })
        case .optional(_, let part): self = .optional(try part.map { try TestValue($0, in: folder) })
        case .absent: self = .absent
        case .other(_, let type): throw CaseError("a value of type \(type)")
        }
    }

    /// What an importer is told of it.
    var spec: InputSpec? {
        switch self {
        case .tensor(let literal, _): .tensor(literal.shape.map { .constant($0) })
        case .sequence(let parts): .sequence(parts.compactMap(\.spec))
        case .optional(let part): .optional(part.flatMap(\.spec))
        case .absent: nil
        }
    }
}

/// Why a case can't be run.
struct CaseError: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
