// Reads and imports an ONNX model as a program would: what the model leaves open is filled in, and the graph must be right.

import Foundation
import Kiln
import KilnIR
import KilnONNX
import KilnOps
import SwiftProtobuf

@Sendable func readModel(_ bytes: [UInt8]) throws {
    try expectTold {
        let model = try ONNXModel(bytes: bytes)
        let ports = try ProtoModel(serializedBytes: bytes).graph.input
        let graph = try imported(model, ports, isTrainable: false).graph
        try graph.verify(after: "importing")
        for operation in graph.operations { _ = try? graph.form(of: operation) }
        // Weights whose values decide shapes can't be trained, so that this may be refused.
        if bytes.count % 4 == 0 { do { _ = try imported(model, ports, isTrainable: true) } catch let error as InternalError { throw error } catch {} }
    }
}

/// Errors must be of the kinds that users are told of.
func expectTold<Result>(_ body: () throws -> Result) throws -> Result {
    do { return try body() } catch {
        switch error {
        case is Finding, is InternalError, is FileError, is ModelError, is UnsupportedModel, is ValueNeeded, is ShapeError, is CompileError: throw error
        default: throw Finding(description: "an error of no kind that users are told of: \(type(of: error)): \(error)")
        }
    }
}

/// The model with inputs of structure that is left open, and values of those that decide shapes.
func imported(_ model: ONNXModel, _ ports: [ProtoValueInfo], isTrainable: Bool) throws -> ImportedModel {
    var options = ImportOptions(isTrainable: isTrainable)
    for port in ports {
        switch port.type.value {
        case .sequenceType?: options.inputs[port.name] = .sequence([.tensor([2, 3]), .tensor([2, 3])])
        case .optionalType?: options.inputs[port.name] = .optional(.tensor([2, 3]))
        case .tensorType(let tensor)? where !tensor.hasShape: options.inputs[port.name] = .tensor([2, 3])
        default: break
        }
    }
    while true {
        do { return try model.imported(options) } catch let needed as ValueNeeded {
            guard let port = ports.first(where: { needed.inputs.contains($0.name) && options.values[$0.name] == nil }),
                let value = value(port.type.tensorType) else { throw needed }
            options.values[port.name] = value
        }
    }
}

/// Ones for a small tensor of constant shape.
private func value(_ type: ProtoType.OfTensor) -> Literal? {
    let shape = type.shape.dim.map { Int($0.dimValue) }
    guard let dtype = ElementType(rawValue: type.elemType)?.dtype, shape.allSatisfy({ $0 > 0 && $0 <= 16 }), shape.count <= 4 else { return nil }
    return Literal(dtype, shape, repeating: dtype == .bool ? .bool(true) : .integer(1))
}
