// What can be wrong with importing a model: what Kiln does not support, all at once; a node that contradicts itself; and inputs
// whose values decide shapes.

import KilnIR

/// A node that can't be imported, and why.
public struct UnsupportedNode: Hashable, Sendable, CustomStringConvertible {
    /// The node's name, or its first output's where it has none.
    public var node: String
    /// The operator with its domain, such as `com.microsoft::Gelu`.
    public var op: String
    public var version: Int
    public var reason: String
    /// What would help.
    public var fix = Fix.anotherExport

    /// What helps against a node that can't be imported.
    public enum Fix: String, Hashable, Sendable, CaseIterable {
        /// The operator is unknown.
        case otherOperator = "write the model with other operators, or define these as ONNX functions of operators that Kiln has"
        /// Something that must be known is computed from data or from open sizes.
        case fixedSizes = "export the model with the sizes fixed that these nodes depend on, or leave what comes before them to the program that calls the model"
        case anotherExport = "export the model with another operator set or other settings, so that these nodes are written in another way"
    }

    public var description: String { "\(node): \(op) (version \(version)): \(reason)" }
}

/// Everything in a model that Kiln does not support.
public struct UnsupportedModel: Error, CustomStringConvertible, Sendable {
    public var file: String
    public var nodes: [UnsupportedNode]

    public var description: String {
        let count = nodes.count == 1 ? "1 node that is" : "\(nodes.count) nodes that are"
        return "\(file): has \(count) not supported\n" + nodes.map { "  \($0)" }.joined(separator: "\n")
            + UnsupportedNode.Fix.allCases.filter { fix in nodes.contains { $0.fix == fix } }.map { "\n  fix: \($0.rawValue)" }.joined()
    }
}

/// A model that contradicts ONNX's rules or itself.
public struct ModelError: Error, CustomStringConvertible, Sendable, Hashable {
    public var file: String
    /// The node, with its operator; empty where it is the model as a whole.
    public var node: String
    public var problem: String
    public var fix: String

    public init(_ file: String, node: String = "", _ problem: String, fix: String = "export the model again") {
        self.file = file
        self.node = node
        self.problem = problem
        self.fix = fix
    }

    public var description: String { "\(file): \(node.isEmpty ? "" : node + ": ")\(problem)\n  fix: \(fix)" }
}

/// Inputs whose values decide shapes, so that they must be known when the model is imported.
public struct ValueNeeded: Error, CustomStringConvertible, Sendable, Hashable {
    public var file: String
    public var node: String
    /// What the node needs to know, such as "the new shape".
    public var what: String
    /// The inputs that it depends on.
    public var inputs: [String]

    public var description: String {
        "\(file): \(node): \(what) depends on the value of \(inputs.map { "'\($0)'" }.joined(separator: ", ")), which is not known before the model runs"
            + "\n  fix: give the value with the import (`values:`; `--value NAME=FILE.npy` or `--value NAME=2,3` on the command line)"
    }
}

/// Thrown by an operator's entry: this node is right, and Kiln can't do it.
struct Unsupported: Error {
    var reason: String
    var fix = UnsupportedNode.Fix.anotherExport
}
