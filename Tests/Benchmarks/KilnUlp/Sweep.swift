// One op's sweep: a kernel compiled once and run block by block, from several tasks.

import KilnCompiler
import KilnExecution
import KilnIR
import KilnKernels
import KilnLLVM

/// The greatest error met and where; the least magnitude where several are infinite.
struct Worst: Sendable {
    var ulp = 0.0
    var argument = Float(0)
    var value = Float(0)

    mutating func add(_ other: Worst) {
        if other.ulp > ulp || other.ulp == ulp && other.argument.magnitude < argument.magnitude { self = other }
    }
}

/// A sweep over the bit patterns of f32, every `step`-th of them.
struct Sweep: Sendable {
    private static let blockSize = 1 << 18
    private let executable: Executable
    private let reference: @Sendable ([Double]) -> Double
    private let step: Int

    /// Compiles the op for one block. It must have a reference of floats.
    init(_ op: OpDefinition, step: Int) throws {
        guard let reference = op.reference?.real else { throw InternalError("sweep", "'\(op.name)' has no reference") }
        let builder = GraphBuilder(op.name)
        let x = builder.input("x", TensorType(.f32, [.constant(Self.blockSize)]))
        let graph = try builder.finish([("y", Value.apply(op, x, at: .unknown))])
        let code = try JITCode(Pipeline.compile(graph).code)
        executable = try Executable(program: code.infoPointer, owner: code)
        self.reference = reference
        self.step = step
    }

    func run(threads: Int) async throws -> Worst {
        let blocks = ((1 << 32) / step + Self.blockSize - 1) / Self.blockSize
        return try await withThrowingTaskGroup(of: Worst.self) { group in
            for thread in 0..<threads {
                group.addTask {
                    var worst = Worst()
                    for block in stride(from: thread, to: blocks, by: threads) { worst.add(try self.run(block: block)) }
                    return worst
                }
            }
            return try await group.reduce(into: Worst()) { $0.add($1) }
        }
    }

    private func run(block: Int) throws -> Worst {
        let input = try DeviceBuffer(byteCount: Self.blockSize * 4)
        let arguments = input.mutableBytes.bindMemory(to: Float.self)
        // Past 2^32 the patterns come around again.
        for i in 0..<Self.blockSize { arguments[i] = Float(bitPattern: UInt32(truncatingIfNeeded: (block * Self.blockSize + i) * step)) }
        let output = try executable.run([input])[0]
        let values = output.bytes.bindMemory(to: Float.self)
        var worst = Worst()
        var exact = [0.0]
        for i in 0..<Self.blockSize {
            exact[0] = Double(arguments[i])
            let ulp = FloatError(values[i], exact: reference(exact)).ulp
            if ulp > worst.ulp { worst = Worst(ulp: ulp, argument: arguments[i], value: values[i]) }
        }
        return worst
    }
}
