// The attributes of an operation: a short list of named, typed constants.

/// An attribute's value.
public enum Attribute: Hashable, Sendable {
    case bool(Bool)
    case int(Int)
    case ints([Int])
    case dims([Dim])
    case scalar(Scalar)
    case dtype(DType)
    case string(String)
    case literal(Literal)
}

/// Named attributes in the order of the op's declaration. What is read is 0, false or empty where it is left out: an op's `infer` refuses what it
/// needs and is not given, and the tests of the catalogue see to it.
public struct Attributes: Hashable, Sendable {
    public var entries: [(name: String, value: Attribute)]

    public init(_ entries: [(name: String, value: Attribute)] = []) { self.entries = entries }
    public static let none = Attributes()

    public subscript(name: String) -> Attribute? {
        get { entries.first { $0.name == name }?.value }
        set {
            if let position = entries.firstIndex(where: { $0.name == name }) {
                if let newValue { entries[position].value = newValue } else { entries.remove(at: position) }
            } else if let newValue { entries.append((name, newValue)) }
        }
    }

    public func bool(_ name: String) -> Bool { if case .bool(let v)? = self[name] { v } else { false } }
    public func int(_ name: String) -> Int { if case .int(let v)? = self[name] { v } else { 0 } }
    public func ints(_ name: String) -> [Int] { if case .ints(let v)? = self[name] { v } else { [] } }
    public func dims(_ name: String) -> [Dim] { if case .dims(let v)? = self[name] { v } else { [] } }
    public func dtype(_ name: String) -> DType? { if case .dtype(let v)? = self[name] { v } else { nil } }
    public func scalar(_ name: String) -> Scalar? { if case .scalar(let v)? = self[name] { v } else { nil } }
    public func string(_ name: String) -> String? { if case .string(let v)? = self[name] { v } else { nil } }
    public func literal(_ name: String) -> Literal? { if case .literal(let v)? = self[name] { v } else { nil } }

    public static func == (a: Attributes, b: Attributes) -> Bool {
        a.entries.count == b.entries.count && zip(a.entries, b.entries).allSatisfy { $0.name == $1.name && $0.value == $1.value }
    }

    public func hash(into hasher: inout Hasher) {
        for entry in entries {
            hasher.combine(entry.name)
            hasher.combine(entry.value)
        }
    }
}

extension Attributes: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral elements: (String, Attribute)...) { self.init(elements.map { (name: $0.0, value: $0.1) }) }
}
