// Models of other frameworks, in ONNX's format: a file and its name come in, what a call or an import of it takes goes out.

import Foundation
import Kiln
import KilnCompiler
import KilnExecution
import KilnIR
import KilnONNX

/// A model with sizes that are all fixed, on random inputs: normally distributed numbers, small integers, and masks of ones.
struct ImportedWorkload: Workload {
    let path: String

    func makeInputs() throws -> [DeviceBuffer] {
        let graph = try Graph(onnx: path)
        var generator = SplitMix(seed: 1)
        return try zip(graph.inputs, graph.inputTypes).map { port, type in
            guard let shape = type.constantShape else { throw CompileError(port.name, "has open sizes: \(type)", fix: "export the model with fixed sizes") }
            let values = (0..<shape.reduce(1, *)).map { _ -> Scalar in
                if type.dtype.isFloat { return .real(generator.normal()) }
                return .integer(port.name.contains("mask") ? 1 : Int64(generator.next() % 1000))
            }
            return try Literal(type.dtype, shape, scalars: values.map { $0.converted(to: type.dtype) }).withUnsafeBytes { try DeviceBuffer(copying: $0) }
        }
    }

    func prepare(_ inputs: [DeviceBuffer]) throws -> () throws -> Void {
        let executable = try Executable(Pipeline.code(for: Graph(onnx: path)))
        return { _ = try executable.run(inputs) }
    }
}

/// Reading a model: the file is mapped, and a graph is made of it.
struct ImportWorkload: Workload {
    let path: String

    func makeInputs() throws -> [DeviceBuffer] { [] }

    func prepare(_ inputs: [DeviceBuffer]) throws -> () throws -> Void {
        { _ = try Graph(onnx: path) }
    }
}
