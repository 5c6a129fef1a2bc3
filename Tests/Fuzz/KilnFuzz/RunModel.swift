// Compiles an ONNX model, or its gradients, and runs that on small inputs: what comes out must be what the interpreter makes of the
// same graph.

import Kiln
import KilnExecution
import KilnIR
import KilnONNX
import KilnOps
import KilnPasses
import SwiftProtobuf

/// A model that is fine, and too much work to run.
private struct TooLarge: Error {}

/// More operations than this are not compiled.
private let operationLimit = 150

@Sendable func runModel(_ bytes: [UInt8]) throws {
    let model = try expectTold {
        let model = try ONNXModel(bytes: bytes)
        let ports = try ProtoModel(serializedBytes: bytes).graph.input
        return try (bytes.count % 4 == 0 ? trained(model, ports) : nil) ?? imported(model, ports, isTrainable: false)
    }
    let graph = model.graph
    guard graph.operationCount <= operationLimit else { throw TooLarge() }
    var numbers = InputNumbers(bytes)
    let calls = [0, 1, 2].compactMap { numbers.call(of: model, style: $0) }
    let expected = try calls.map { call in
        try Outcome(running: graph) {
            var reference = Reference()
            return try reference.run(graph, call.inputs, call.symbols)
        }
    }
    var options = try Device.cpu.options()
    options.verifies = true
    let compiled: CompiledGraph
    do { compiled = try expectTold { try CompiledGraph(graph, options: options) } } catch {
        // What nothing runs may be refused.
        if !(error is InternalError), !expected.contains(where: \.isValues) { throw error }
        throw Finding(description: "can't be compiled: \(error)\n\(graph)")
    }
    for (call, wanted) in zip(calls, expected) {
        let got = try Outcome(running: graph) { try compiled.run(call.inputs) }
        if let problem = try got.disagreement(with: wanted, graph, call) { throw Finding(description: "\(problem)\n\(call)\n\(graph)") }
        if case .values(let values) = got, try compiled.run(call.inputs) != values { throw Finding(description: "a second run gives other bits\n\(call)\n\(graph)") }
    }
}

/// The model with the gradients of its float outputs; nil where it has none.
private func trained(_ model: ONNXModel, _ ports: [ProtoValueInfo]) throws -> ImportedModel? {
    do {
        var model = try imported(model, ports, isTrainable: true)
        let graph = model.graph
        model.graph = try Differentiate.gradients(graph, of: graph.outputs.map(\.value).filter { graph.type(of: $0).dtype.isFloat },
                                                  withRespectTo: graph.inputs.map(\.value).filter { graph.type(of: $0).dtype.isFloat })
        return model
    } catch let error as InternalError { throw error } catch { return nil }
}

extension Graph {
    /// Operations, those of regions included.
    fileprivate var operationCount: Int { operations.reduce(operations.count) { $0 + $1.regions.reduce(0) { $0 + $1.operationCount } } }
}
