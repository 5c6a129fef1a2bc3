// What an operator's entry is given: a node's inputs, attributes and version, with what is known of them.

import KilnIR
import KilnOps

/// A node under import.
struct NodeContext {
    let node: ProtoNode
    /// The version of the operator set that the node is of.
    let version: Int
    let scope: Scope
    let importer: Importer
    /// The texts among its inputs.
    let rows = TextRows()

    var builder: GraphBuilder { scope.builder }
    /// The node's name, or its first output's.
    var name: String { node.name.isEmpty ? node.output.first { !$0.isEmpty } ?? node.opType : node.name }
    var outputCount: Int { node.output.count }
    /// Whether the node names this output.
    func wants(_ output: Int) -> Bool { output < node.output.count && !node.output[output].isEmpty }

    // MARK: Inputs

    var inputCount: Int { node.input.count }

    /// What input `number` is; absent where the node leaves it out.
    func item(_ number: Int) throws -> Item {
        guard number < node.input.count, !node.input[number].isEmpty else { return .absent }
        guard let item = scope.find(node.input[number]) else {
            throw mistake("uses '\(node.input[number])', which nothing before it makes")
        }
        return item
    }

    func has(_ number: Int) -> Bool { number < node.input.count && !node.input[number].isEmpty }

    /// Input `number`, a tensor of any element type. Strings are numbers here, which may be moved; `text` gives what they are.
    func stored(_ number: Int) throws -> ImportedTensor {
        guard let tensor = try storedIfPresent(number) else { throw mistake("needs input \(number), which is left out") }
        return tensor
    }

    func storedIfPresent(_ number: Int) throws -> ImportedTensor? {
        switch try item(number) {
        case .tensor(let tensor), .optional(.tensor(let tensor)?): return numbered(tensor)
        case .absent: return nil
        case .sequence: throw mistake("input \(number) is a sequence, and a tensor is needed")
        case .optional: throw mistake("input \(number) is an optional without a tensor in it")
        case .unavailable: throw Unavailable()
        }
    }

    /// A tensor whose strings, if it has them, are numbers of this node's.
    func numbered(_ tensor: ImportedTensor) -> ImportedTensor {
        tensor.element == .string && tensor.value.dtype == .u8 ? ImportedTensor(rows.numbers(of: tensor.value), .string) : tensor
    }

    /// Input `number`, a tensor on which Kiln computes.
    func tensor(_ number: Int) throws -> Value {
        guard let value = try tensorIfPresent(number) else { throw mistake("needs input \(number), which is left out") }
        return value
    }

    func tensorIfPresent(_ number: Int) throws -> Value? {
        guard let tensor = try storedIfPresent(number) else { return nil }
        guard tensor.element.isNative else { throw Unsupported(reason: "input \(number) has elements of type \(tensor.element)") }
        return tensor.value
    }

    /// All inputs, none of which may be left out.
    func tensors() throws -> [Value] { try (0..<inputCount).map(tensor) }

    // MARK: Contents

    /// The elements of input `number`, integers or floats that are integral, as expressions over symbols. `what` says what they decide, such as "the new shape".
    func sizes(_ number: Int, _ what: String) throws -> [Dim] {
        let tensor = try stored(number)
        let elements = scope.contents.elements(of: tensor.value)
        if let sizes = elements?.compactMap(\.integral), sizes.count == elements?.count { return sizes }
        throw importer.unknown(self, what, [tensor.value])
    }

    /// The same, as numbers.
    func integers(_ number: Int, _ what: String) throws -> [Int] {
        let sizes = try sizes(number, what)
        let numbers = sizes.compactMap(\.constant)
        guard numbers.count == sizes.count else { throw Unsupported(reason: "\(what) depends on a size that is not fixed: \(sizes)") }
        return numbers
    }

    /// An attribute that became an input in a later version: the input's integers, or else the attribute's.
    func integers(input number: Int, orAttribute attribute: String, _ what: String) throws -> [Int]? {
        if has(number) { return try integers(number, what) }
        return integers(attribute)
    }

    /// All of input `number`, where it is known.
    func literal(_ number: Int, _ what: String) throws -> Literal {
        let tensor = try stored(number)
        if let literal = scope.contents.literal(of: tensor.value) { return literal }
        throw importer.unknown(self, what, [tensor.value])
    }

    func literalIfKnown(_ value: Value) -> Literal? { scope.contents.literal(of: value) }

    /// The integers of a value of this graph as expressions over symbols, where they are known.
    func sizesIfKnown(_ value: Value) -> [Dim]? {
        let elements = scope.contents.elements(of: value)
        guard let sizes = elements?.compactMap(\.integral), sizes.count == elements?.count else { return nil }
        return sizes
    }

    // MARK: Attributes

    func attribute(_ name: String) -> ProtoAttribute? {
        guard let attribute = node.attribute.first(where: { $0.name == name }) else { return nil }
        // In a function's body an attribute may be the calling node's.
        guard !attribute.refAttrName.isEmpty else { return attribute }
        return scope.attributes[attribute.refAttrName]
    }

    func integer(_ name: String) -> Int? { attribute(name).flatMap { $0.hasI ? Int($0.i) : nil } }
    func integer(_ name: String, _ otherwise: Int) -> Int { integer(name) ?? otherwise }
    /// An attribute that counts something: at least 1, and not more than anything has.
    func count(_ name: String, _ otherwise: Int? = nil) throws -> Int {
        guard let count = integer(name) ?? otherwise, (1..<1 << 31).contains(count) else {
            throw mistake(integer(name).map { "has \($0) as '\(name)'" } ?? "has no attribute '\(name)'")
        }
        return count
    }
    func flag(_ name: String, _ otherwise: Bool = false) -> Bool { integer(name).map { $0 != 0 } ?? otherwise }
    func integers(_ name: String) -> [Int]? { attribute(name).map { $0.ints.map { Int($0) } } }
    func real(_ name: String) -> Double? { attribute(name).flatMap { $0.hasF ? Double($0.f) : nil } }
    func real(_ name: String, _ otherwise: Double) -> Double { real(name) ?? otherwise }
    func reals(_ name: String) -> [Double]? { attribute(name).map { $0.floats.map { Double($0) } } }
    func text(_ name: String) -> String? { attribute(name).flatMap { $0.hasS ? String(decoding: $0.s, as: UTF8.self) : nil } }
    func text(_ name: String, _ otherwise: String) -> String { text(name) ?? otherwise }
    func texts(_ name: String) -> [String]? { attribute(name).map { $0.strings.map { String(decoding: $0, as: UTF8.self) } } }

    /// A tensor as an attribute.
    func constant(_ name: String) throws -> (literal: Literal, element: ElementType)? {
        guard let attribute = attribute(name), attribute.hasT else { return nil }
        return try importer.read(attribute.t)
    }

    func graph(_ name: String) throws -> ProtoGraph {
        guard let attribute = attribute(name), attribute.hasG else { throw mistake("has no graph '\(name)'") }
        return attribute.g
    }

    /// The element type that an attribute names by its code.
    func element(_ name: String) throws -> ElementType? {
        guard let code = integer(name) else { return nil }
        return try element(code: code)
    }

    func element(code: Int) throws -> ElementType {
        guard let type = Int32(exactly: code).flatMap(ElementType.init(rawValue:)) else { throw Unsupported(reason: "no element type has the code \(code)") }
        return type
    }

    /// An axis as one from 0, for a tensor of so many axes. `rank` itself is allowed where a new axis may stand last.
    func axis(_ axis: Int, rank: Int, allowsEnd: Bool = false) throws -> Int {
        let counted = axis < 0 ? axis + rank + (allowsEnd ? 1 : 0) : axis
        guard counted >= 0, counted < rank + (allowsEnd ? 1 : 0) else { throw mistake("axis \(axis) is not one of \(rank)") }
        return counted
    }

    // MARK: Making values

    /// A constant of this graph.
    func literal(_ literal: Literal) -> Value { builder.literal(literal) }
    func full(_ value: Scalar, _ type: TensorType) -> Value { builder.full(value.converted(to: type.dtype), type) }
    /// Sizes as i64 of rank 1.
    func sizes(_ dims: [Dim]) -> Value { builder.sizes(dims) }
    /// A size as i64 of rank 0.
    func size(_ dim: Dim) -> Value { builder.sizes([dim]).reshaping(to: []) }

    // MARK: Errors

    /// The node contradicts ONNX's rules.
    func mistake(_ problem: String) -> ModelError { ModelError(importer.file, node: "\(name) (\(node.opType))", problem) }
}

/// Thrown where an input is what an unsupported node would have made: that one is reported, and this one is passed over.
struct Unavailable: Error {}
