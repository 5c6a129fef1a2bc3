// A model in ONNX's format as a module: its weights become parameters, so that it can be trained further, or be part of a larger model.

import Kiln
import KilnIR
import KilnOps

/// An ONNX model as a module. Its parameters have the names of the model's constants; those that are not floats stay constants.
///
///     let model = try ONNXModule(onnx: "resnet50.onnx")
///     let optimizer = Adam(model.parameters, lr: 1e-4)
///     let logits = try model([images])[0]
///
/// Not thread-safe.
public final class ONNXModule: Module, CustomModuleChildren {
    /// The model's inputs in order, with their types; symbols are sizes that a call decides. Strings are u8 (see `ONNXModel`).
    public let inputs: [(name: String, type: TensorType)]
    /// The names of the model's outputs in order.
    public let outputs: [String]
    private let graph: Graph
    private let weights: [(name: String, parameter: Parameter)]

    package var children: [(name: String, value: Any)] { weights.map { ($0.name, $0.parameter) } }

    /// Reads a model. Throws what `ONNXModel` does.
    public init(onnx path: String, options: ImportOptions = ImportOptions()) throws {
        var options = options
        options.isTrainable = true
        let imported = try ONNXModel(contentsOf: path).imported(options)
        graph = imported.graph
        weights = imported.parameters.map { ($0.name, Parameter(Tensor($0.value))) }
        let known = Set(weights.map(\.name))
        inputs = zip(graph.inputs, graph.inputTypes).filter { !known.contains($0.0.name) }.map { ($0.name, $1) }
        outputs = graph.outputs.map(\.name)
    }

    /// The model's outputs for its inputs. Throws the user's error where an input is not of its type.
    public func callAsFunction(_ tensors: [Tensor]) throws -> [Tensor] {
        guard tensors.count == inputs.count else {
            throw CompileError(graph.name, "takes \(inputs.count) inputs, was given \(tensors.count)",
                               fix: "pass \(inputs.map { "\($0.name): \($0.type)" }.joined(separator: ", "))")
        }
        let given = Dictionary(uniqueKeysWithValues: zip(inputs.map(\.name), tensors) + weights.map { ($0.name, $0.parameter.value) })
        return try graph.applied(to: graph.inputs.map { given[$0.name]! })
    }

    /// The first output of a model of one input.
    public func callAsFunction(_ tensor: Tensor) throws -> Tensor { try self([tensor])[0] }
}
