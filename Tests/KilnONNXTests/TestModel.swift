// Small models written in a test: nodes by name go in, and come out as the bytes of a file, imported or run.

import Foundation
import Kiln
import KilnIR
import KilnONNX
import KilnOps
import SwiftProtobuf
import Testing

/// A model under construction. Each node's method gives the name of its first output.
struct TestModel {
    private(set) var proto = ProtoModel()
    private var count = 0

    init(version: Int = 18) {
        var set = ProtoOperatorSet()
        set.version = Int64(version)
        proto.opsetImport = [set]
        proto.graph.name = "test"
    }

    enum Attribute {
        case int(Int), ints([Int]), float(Double), text(String), texts([String]), tensor(Literal)
    }

    /// An input whose shape is written as in `batch, 3, sequence`.
    mutating func input(_ name: String, _ element: ElementType, _ shape: String) -> String {
        var port = ProtoValueInfo()
        port.name = name
        var tensor = ProtoType.OfTensor()
        tensor.elemType = element.rawValue
        for size in shape.split(separator: ",").map({ $0.trimmingCharacters(in: .whitespaces) }) {
            var dim = ProtoShape.Dimension()
            if let number = Int64(size) { dim.dimValue = number } else { dim.dimParam = size }
            tensor.shape.dim.append(dim)
        }
        port.type.tensorType = tensor
        proto.graph.input.append(port)
        return name
    }

    mutating func node(_ op: String, _ inputs: String...) -> String { nodes(op, inputs, outputs: 1)[0] }
    mutating func node(_ op: String, _ attributes: [String: Attribute]) -> String { nodes(op, [], outputs: 1, attributes)[0] }
    mutating func node(_ op: String, _ a: String, _ attributes: [String: Attribute]) -> String { nodes(op, [a], outputs: 1, attributes)[0] }
    mutating func node(_ op: String, _ a: String, _ b: String, _ attributes: [String: Attribute]) -> String {
        nodes(op, [a, b], outputs: 1, attributes)[0]
    }
    mutating func node(_ op: String, _ a: String, _ b: String, _ c: String, _ attributes: [String: Attribute]) -> String {
        nodes(op, [a, b, c], outputs: 1, attributes)[0]
    }

    mutating func nodes(_ op: String, _ inputs: [String], outputs: Int, _ attributes: [String: Attribute] = [:]) -> [String] {
        var node = ProtoNode()
        node.opType = op
        node.input = inputs
        node.output = (0..<outputs).map { "\(op.lowercased())\(count).\($0)" }
        count += 1
        node.attribute = attributes.sorted { $0.key < $1.key }.map { name, value in
            var attribute = ProtoAttribute()
            attribute.name = name
            switch value {
            case .int(let value): attribute.i = Int64(value)
            case .ints(let values): attribute.ints = values.map { Int64($0) }
            case .float(let value): attribute.f = Float(value)
            case .text(let value): attribute.s = Data(value.utf8)
            case .texts(let values): attribute.strings = values.map { Data($0.utf8) }
            case .tensor(let value): attribute.t = Self.tensor(value)
            }
            return attribute
        }
        proto.graph.node.append(node)
        return node.output
    }

    private static func tensor(_ literal: Literal) -> ProtoTensor {
        var tensor = ProtoTensor()
        tensor.dataType = ElementType(literal.dtype).rawValue
        tensor.dims = literal.shape.map { Int64($0) }
        tensor.rawData = Data(literal.bytes)
        return tensor
    }

    /// A constant of one axis.
    mutating func integers(_ values: Int...) -> String {
        node("Constant", ["value": .tensor(Literal(.i64, [values.count], scalars: values.map { .integer(Int64($0)) }))])
    }

    mutating func integer(_ value: Int) -> String { node("Constant", ["value": .tensor(Literal(.i64, [], scalars: [.integer(Int64(value))]))]) }

    /// One size of a value, of rank 0, as exporters write it.
    mutating func size(_ value: String, _ axis: Int) -> String {
        let (shape, place) = (node("Shape", value), integer(axis))
        return node("Gather", shape, place, ["axis": .int(0)])
    }

    /// Numbers of rank 0 as one shape.
    mutating func shape(_ sizes: String...) -> String {
        let axis = integers(0)
        let parts = sizes.map { node("Unsqueeze", $0, axis) }
        return nodes("Concat", parts, outputs: 1, ["axis": .int(0)])[0]
    }

    mutating func output(_ names: String...) {
        for name in names {
            var port = ProtoValueInfo()
            port.name = name
            proto.graph.output.append(port)
        }
    }

    func imported(_ options: ImportOptions = ImportOptions()) throws -> ImportedModel {
        try ONNXModel(bytes: [UInt8](proto.serializedData()), file: "test.onnx").imported(options)
    }

    /// The outputs' types, as text.
    func types() throws -> [String] {
        let graph = try imported().graph
        return graph.outputs.map { "\(graph.types[$0.value])" }
    }

    /// Compiles once with sizes open, and holds what comes out at each of the sizes against the interpreter on a model of those sizes.
    func check(_ sizes: [String: Int]..., sourceLocation: Testing.SourceLocation = #_sourceLocation) throws {
        let model = try imported()
        let compiled = try CompiledGraph(model.graph)
        for symbols in sizes {
            let inputs = model.graph.inputs.enumerated().map { number, port -> Literal in
                let type = model.graph.types[port.value], shape = type.shape.map { $0.evaluate(symbols: symbols)! }
                // Whole numbers that differ, so that all arithmetic is exact and nothing that is moved goes unseen.
                return Literal(type.dtype, shape, scalars: (0..<shape.reduce(1, *)).map {
                    Scalar.integer(Int64(($0 * 7 + number) % 11) - (type.dtype.isFloat ? 5 : 0)).converted(to: type.dtype)
                })
            }
            var options = ImportOptions()
            for (port, value) in zip(model.graph.inputs, inputs) { options.inputs[port.name] = .tensor(value.shape.map { .constant($0) }) }
            let expected = try Interpreter.run(try imported(options).graph, inputs: inputs)
            for (result, expected) in zip(try compiled.run(inputs), expected) {
                #expect(result.type == expected.type && result.bytes == expected.bytes, "at \(symbols)", sourceLocation: sourceLocation)
            }
        }
    }
}
