// A workload: something to compile once and to run many times, and what a run of it computes.

import Foundation
import Kiln
import KilnCompiler
import KilnExecution
import KilnIR
import KilnLLVM
import KilnOps

/// Something that is timed.
protocol Workload: Sendable {
    /// Makes what a run needs but compilation does not: random inputs.
    func makeInputs() throws -> [DeviceBuffer]
    /// Compiles and gives the function to be timed.
    func prepare(_ inputs: [DeviceBuffer]) throws -> () throws -> Void
}

/// A graph on random inputs.
struct GraphWorkload: Workload {
    let inputs: [(String, TensorType)]
    let body: @Sendable ([Value]) -> Value
    /// Below which number the elements of integer inputs are.
    var limit = 1

    init(_ inputs: [[Int]], dtype: DType = .f32, _ body: @escaping @Sendable ([Value]) -> Value) {
        self.inputs = inputs.enumerated().map { ("x\($0.offset)", TensorType(dtype, $0.element.map { .constant($0) })) }
        self.body = body
    }

    /// Inputs of several types; integers are drawn below `limit`.
    init(_ types: [TensorType], limit: Int, _ body: @escaping @Sendable ([Value]) -> Value) {
        inputs = types.enumerated().map { ("x\($0.offset)", $0.element) }
        self.body = body
        self.limit = limit
    }

    func graph() throws -> Graph { try graph(named: "benchmark") }

    func graph(named name: String) throws -> Graph {
        let builder = GraphBuilder(name)
        let values = inputs.map { builder.input($0.0, $0.1) }
        return try builder.finish([("y", body(values))])
    }

    func makeInputs() throws -> [DeviceBuffer] { try inputs.enumerated().map { try random($0.element.1, seed: $0.offset) } }

    func prepare(_ buffers: [DeviceBuffer]) throws -> () throws -> Void {
        let executable = try Executable(Pipeline.code(for: graph()))
        return { _ = try executable.run(buffers) }
    }

    /// Normally distributed elements.
    private func random(_ type: TensorType, seed: Int) throws -> DeviceBuffer {
        var generator = SplitMix(seed: UInt64(seed) &+ 1)
        let count = type.constantShape!.reduce(1, *)
        let buffer = try DeviceBuffer(byteCount: count * type.dtype.byteCount)
        for position in 0..<count {
            if type.dtype == .i64 {
                buffer.pointer.storeBytes(of: Int64(generator.next() % UInt64(limit)), toByteOffset: position * 8, as: Int64.self)
                continue
            }
            let value = Float(generator.normal())
            switch type.dtype {
            case .bf16: buffer.pointer.storeBytes(of: bfloat16Bits(Double(value)), toByteOffset: position * 2, as: UInt16.self)
            default: buffer.pointer.storeBytes(of: value, toByteOffset: position * 4, as: Float.self)
            }
        }
        return buffer
    }
}

extension SplitMix {
    /// In (0, 1).
    mutating func unit() -> Double { (Double(next() >> 11) + 0.5) / 9_007_199_254_740_992 }

    /// Normally distributed. (G. Box and M. Muller, "A note on the generation of random normal deviates", 1958.)
    mutating func normal() -> Double { (-2 * log(unit())).squareRoot() * cos(2 * .pi * unit()) }
}
