// A model's inputs and outputs as ports of the graph: sequences and optionals are taken apart, symbols are named, and inputs
// whose values are given become constants.

import KilnIR
import KilnOps

/// What an input is, where the caller knows more than the model says.
public indirect enum InputSpec: Hashable, Sendable {
    /// A tensor of this shape, whose elements are of the model's type; strings have their width as the last size.
    case tensor(Shape)
    case sequence([InputSpec])
    /// Nil for an optional that holds nothing.
    case optional(InputSpec?)
    /// A tensor whose value is part of the compiled graph.
    case value(Literal)
}

/// How to import a model.
public struct ImportOptions: Sendable {
    /// Inputs whose values decide shapes, by name: they become constants of the graph.
    public var values: [String: Literal]
    /// Inputs whose shapes or structure the model leaves open, by name.
    public var inputs: [String: InputSpec]
    /// Whether constants of float types become inputs of the graph, to be trained.
    public var isTrainable: Bool
    /// Names of values inside the model that become outputs too, after the model's own.
    public var innerValues: [String]

    public init(values: [String: Literal] = [:], inputs: [String: InputSpec] = [:], isTrainable: Bool = false, innerValues: [String] = []) {
        self.innerValues = innerValues
        self.values = values
        self.inputs = inputs
        self.isTrainable = isTrainable
    }
}

/// What one input or output of a model has become.
public indirect enum ImportedPort: Hashable, Sendable {
    /// The graph's port of this name; the element type is ONNX's. Strings are u8 with one axis more, the last (see `ElementType.dtype`).
    case tensor(port: String, element: ElementType)
    case sequence([ImportedPort])
    case optional(ImportedPort?)
    /// An input that became a constant.
    case constant
    /// An output that nothing makes.
    case absent

    /// The graph's ports that hold strings.
    public var textPorts: [String] {
        switch self {
        case .tensor(let port, .string): [port]
        case .sequence(let parts): parts.flatMap(\.textPorts)
        case .optional(let part?): part.textPorts
        case .tensor, .optional(nil), .constant, .absent: []
        }
    }
}

/// A model as a graph.
public struct ImportedModel: Sendable {
    public var graph: Graph
    /// The model's inputs in order, by name.
    public var inputs: [(name: String, port: ImportedPort)]
    public var outputs: [(name: String, port: ImportedPort)]
    /// The values of the graph's inputs that were constants of the model, by name; only where it was imported to be trained.
    public var parameters: [(name: String, value: Literal)]
}

/// Makes a graph's ports.
struct PortMaker {
    let importer: Importer
    let scope: Scope
    private(set) var outputs: [(String, Value)] = []
    private(set) var parameters: [(name: String, value: Literal)] = []
    private var symbols: [String: String] = [:]
    private var takenSymbols: Set<String> = []

    init(importer: Importer, scope: Scope) {
        self.importer = importer
        self.scope = scope
    }

    // MARK: Inputs

    mutating func input(_ port: ProtoValueInfo) throws -> (name: String, port: ImportedPort) {
        let spec = importer.options.values[port.name].map(InputSpec.value) ?? importer.options.inputs[port.name]
        let (item, made) = try input(port.name, port.type, spec)
        scope.define(port.name, item)
        return (port.name, made)
    }

    private mutating func input(_ name: String, _ type: ProtoType, _ spec: InputSpec?) throws -> (Item, ImportedPort) {
        switch type.value {
        case .tensorType(let tensor)?: return try self.tensor(name, tensor, spec)
        case .sequenceType(let sequence)?:
            guard case .sequence(let parts)? = spec else {
                throw ModelError(importer.file, "the input '\(name)' is a sequence, whose length must be known",
                                 fix: "say what it holds (`inputs: [\"\(name)\": .sequence(…)]`)")
            }
            let made = try parts.enumerated().map { try input("\(name).\($0.offset)", sequence.elemType, $0.element) }
            return (.sequence(made.map(\.0)), .sequence(made.map(\.1)))
        case .optionalType(let optional)?:
            guard case .optional(let part)? = spec else {
                throw ModelError(importer.file, "whether the optional input '\(name)' holds something must be known",
                                 fix: "say so (`inputs: [\"\(name)\": .optional(…)]`)")
            }
            guard let part else { return (.optional(nil), .optional(nil)) }
            let made = try input(name, optional.elemType, part)
            return (.optional(made.0), .optional(made.1))
        default: throw ModelError(importer.file, "the input '\(name)' is neither a tensor nor a sequence or optional of tensors")
        }
    }

    private mutating func tensor(_ name: String, _ type: ProtoType.OfTensor, _ spec: InputSpec?) throws -> (Item, ImportedPort) {
        guard let element = ElementType(rawValue: type.elemType), let dtype = element.dtype else {
            throw ModelError(importer.file, "the input '\(name)' has elements of type \(type.elemType), which Kiln does not have")
        }
        var shape: Shape
        switch spec {
        case .value(let literal)?:
            guard literal.dtype == dtype else {
                throw ModelError(importer.file, "the value given for '\(name)' has elements of type \(literal.dtype), the input takes \(dtype)",
                                 fix: "give it as \(dtype)")
            }
            try demandWidth(element, literal.shape.map { .constant($0) }, type, name)
            return (.tensor(ImportedTensor(scope.builder.literal(literal, at: SourceLocation(name: name)), element)), .constant)
        case .tensor(let known)?:
            try demandWidth(element, known, type, name)
            shape = known
        case nil:
            guard type.hasShape else {
                throw ModelError(importer.file, "the model does not say how many axes the input '\(name)' has", fix: "say so (`inputs: [\"\(name)\": .tensor(…)]`)")
            }
            shape = type.shape.dim.enumerated().map { dim($0.element, "\(name)_\($0.offset)") }
            if element == .string { shape.append(.symbol(symbol("\(name)_width"))) }
        default: throw ModelError(importer.file, "the input '\(name)' is a tensor", fix: "say what tensor it is")
        }
        shape = shape.map { $0.constant.map { .constant(max($0, 0)) } ?? $0 }
        guard TensorType(dtype, shape).isPossible else { throw ModelError(importer.file, "the input '\(name)' has the impossible shape \(shape)") }
        let value = scope.builder.input(name, TensorType(dtype, shape))
        return (.tensor(ImportedTensor(value, element)), .tensor(port: name, element: element))
    }

    /// Throws where the shape given for strings does not end in their width.
    private func demandWidth(_ element: ElementType, _ shape: Shape, _ type: ProtoType.OfTensor, _ name: String) throws {
        let rank = type.hasShape ? type.shape.dim.count : max(shape.count - 1, 0)
        guard element == .string, shape.count != rank + 1 || shape.last == 0 else { return }
        throw ModelError(importer.file, "the input '\(name)' is of strings, and its shape is given as \(shape)", fix: "give their width, at least 1, as one size more, the last")
    }

    private mutating func dim(_ dim: ProtoShape.Dimension, _ name: String) -> Dim {
        switch dim.value {
        case .dimValue(let size)? where size >= 0: .constant(Int(size))
        // A question mark is some exporters' word for any size, not the name of one.
        case .dimParam(let symbol)? where !symbol.isEmpty && symbol != "?": importer.equalities.applied(to: .symbol(self.symbol(symbol)))
        default: importer.equalities.applied(to: .symbol(symbol(name)))
        }
    }

    /// A name that Kiln's text can write for one of the model's, the same each time.
    private mutating func symbol(_ name: String) -> String {
        if let known = symbols[name] { return known }
        var clean = String(name.unicodeScalars.map { $0.isASCII && ($0.properties.isAlphabetic || ("0"..."9").contains($0)) ? Character($0) : "_" })
        if clean.first.map({ !$0.isLetter && $0 != "_" }) ?? true { clean = "n" + clean }
        while !takenSymbols.insert(clean).inserted { clean += "_" }
        symbols[name] = clean
        return clean
    }

    /// A constant of the model as an input.
    mutating func parameter(_ name: String, _ literal: Literal) -> ImportedTensor {
        parameters.append((name, literal))
        return ImportedTensor(scope.builder.input(name, literal.type))
    }

    // MARK: Outputs

    mutating func output(_ name: String, _ item: Item) -> (name: String, port: ImportedPort) { (name, port(name, item)) }

    private mutating func port(_ name: String, _ item: Item) -> ImportedPort {
        switch item {
        case .tensor(let tensor):
            outputs.append((name, tensor.value))
            return .tensor(port: name, element: tensor.element)
        case .sequence(let items): return .sequence(items.enumerated().map { port("\(name).\($0.offset)", $0.element) })
        case .optional(let item): return .optional(item.map { port(name, $0) })
        case .absent, .unavailable: return .absent
        }
    }
}
