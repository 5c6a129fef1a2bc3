// An ONNX operator's entry in the tables: its name, its domain, and how a node of it becomes ops of Kiln's.

import KilnIR
import KilnOps

/// Where an operator's name is defined.
enum Domain: String, Sendable {
    case onnx = ""
    case ml = "ai.onnx.ml"
    case preview = "ai.onnx.preview"
    case training = "ai.onnx.preview.training"
    case microsoft = "com.microsoft"
}

/// An entry of the tables. The node's version of the operator is `NodeContext.version`; an entry serves all versions there are.
struct Operator: Sendable {
    typealias Translate = @Sendable (NodeContext) throws -> [Item]

    let name: String
    let domain: Domain
    let translate: Translate

    /// - Parameter translate: gives the node's outputs in order; fewer than the node names leaves the rest absent.
    init(_ name: String, _ domain: Domain = .onnx, items translate: @escaping Translate) {
        self.name = name
        self.domain = domain
        self.translate = translate
    }

    /// An operator with one result, a tensor of a type that Kiln has.
    init(_ name: String, _ domain: Domain = .onnx, _ translate: @escaping @Sendable (NodeContext) throws -> Value) {
        self.init(name, domain, items: { [.tensor(try translate($0))] })
    }
}

/// All operators that can be imported: the tables beside their declarations, one after another.
enum Operators {
    static let all: [Operator] = [
        activations,
        arithmetic,
        attention,
        casts,
        classical,
        constants,
        control,
        convolutions,
        found,
        grids,
        indexing,
        logic,
        losses,
        microsoftAttention,
        namedTrees,
        ngrams,
        normalizations,
        pooling,
        products,
        quantization,
        quantizedContributions,
        quantizedGathers,
        random,
        recurrences,
        recurrentLayers,
        reductions,
        regions,
        resizing,
        sequenceModels,
        sequences,
        shapes,
        signals,
        slicing,
        texts,
        training,
        trees,
    ].flatMap { $0 }

    private static let byName = Dictionary(all.map { (Key(name: $0.name, domain: $0.domain.rawValue), $0) }, uniquingKeysWith: { first, _ in first })

    private struct Key: Hashable {
        var name: String
        var domain: String
    }

    static func named(_ name: String, domain: String) -> Operator? {
        byName[Key(name: name, domain: domain == "ai.onnx" ? "" : domain)]
    }
}

extension ONNXModel {
    /// The operators that can be imported, each with its domain.
    package static var operators: [(name: String, domain: String)] { Operators.all.map { ($0.name, $0.domain.rawValue) } }
}
