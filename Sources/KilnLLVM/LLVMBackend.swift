// Programs in loop IR to machine code. Kernels are shared out over modules by their size alone, so that the same program gives
// the same bytes; the modules are then optimised and translated on several threads.

import CLLVM
import Dispatch
import KilnIR
import KilnKernels

/// A program's machine code: ELF objects whose symbols start with the program's name.
public struct ObjectCode: Sendable {
    /// The program's name, the prefix of all symbols.
    public let name: String
    public let objects: [[UInt8]]
    public let timings: Timings

    /// Seconds of processor time of each stage, all threads together, and of the whole by the clock.
    public struct Timings: Sendable {
        public var emit = 0.0
        public var optimize = 0.0
        public var generate = 0.0
        public var total = 0.0
    }
}

/// The LLVM backend.
public enum LLVMBackend {
    public struct Options: Sendable {
        /// Threads that generate code; the result does not depend on it.
        public var threads: Int
        /// Checks each module before it is optimised.
        public var verifies: Bool

        public init(threads: Int = 0, verifies: Bool = false) {
            self.threads = threads
            self.verifies = verifies
        }
    }

    /// Compiles a program for a target.
    /// - Throws: `InternalError` where the program is malformed, `CompileError` for a target that LLVM does not know.
    public static func compile(_ program: Program, target: Target, options: Options = Options()) throws -> ObjectCode {
        let start = DispatchTime.now().uptimeNanoseconds
        let parts = Partition(program).parts
        let results = try concurrently(parts.count, threads: options.threads) { number in
            try compile(parts[number], of: program, target, options)
        }
        var timings = ObjectCode.Timings()
        for result in results {
            timings.emit += result.timings.emit
            timings.optimize += result.timings.optimize
            timings.generate += result.timings.generate
        }
        timings.total = Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
        return ObjectCode(name: program.name, objects: results.map(\.object), timings: timings)
    }

    /// LLVM's text of one kernel, or of the entry and the table for nil.
    public static func llvmText(_ program: Program, kernel: Int?, target: Target, optimized: Bool = true) throws -> String {
        let machine = try Machine(target)
        let module = try module(Part(kernels: kernel.map { [$0] } ?? [], hasEntry: kernel == nil), of: program, target, machine)
        try Passes.verify(module)
        if optimized { try Passes.run(on: module, machine) }
        return module.text
    }

    /// The assembly of one kernel, or of the entry and the table for nil.
    public static func assembly(_ program: Program, kernel: Int?, target: Target) throws -> String {
        let machine = try Machine(target)
        let module = try module(Part(kernels: kernel.map { [$0] } ?? [], hasEntry: kernel == nil), of: program, target, machine)
        try Passes.run(on: module, machine)
        return String(decoding: try machine.generate(module, LLVMAssemblyFile), as: UTF8.self)
    }

    // MARK: One part

    private struct Result: Sendable {
        var object: [UInt8]
        var timings: ObjectCode.Timings
    }

    private static func compile(_ part: Part, of program: Program, _ target: Target, _ options: Options) throws -> Result {
        var clock = DispatchTime.now().uptimeNanoseconds
        func lap() -> Double {
            let now = DispatchTime.now().uptimeNanoseconds
            defer { clock = now }
            return Double(now - clock) / 1e9
        }
        var timings = ObjectCode.Timings()
        let machine = try Machine(target)
        let module = try module(part, of: program, target, machine)
        if options.verifies { try Passes.verify(module) }
        timings.emit = lap()
        try Passes.run(on: module, machine)
        timings.optimize = lap()
        let object = try machine.generate(module, LLVMObjectFile)
        timings.generate = lap()
        return Result(object: object, timings: timings)
    }

    private static func module(_ part: Part, of program: Program, _ target: Target, _ machine: Machine) throws -> Module {
        let module = Module(name: program.name, target: machine.description)
        let tasks = TaskEmitter(module: module, program: program, target: target, maths: MathsTable())
        for kernel in part.kernels {
            for (number, phase) in program.kernels[kernel].phases.enumerated() {
                try tasks.emit(kernel: kernel, phase: number, .any)
                if phase.streams(in: program) { try tasks.emit(kernel: kernel, phase: number, .aligned) }
            }
        }
        guard part.hasEntry else { return module }
        let messages = program.messages
        let entry = try EntryEmitter.emit(module, program, target, messages: messages)
        try ProgramInfoEmitter(module: module, program: program, target: target).emit(entry: entry, messages: messages)
        return module
    }
}

/// Kernels that share a module.
struct Part: Sendable {
    var kernels: [Int]
    var hasEntry: Bool
}

/// How a program's kernels are shared out over modules: by their sizes, never by the number of threads.
struct Partition {
    let parts: [Part]

    init(_ program: Program, mostParts: Int = 8, leastWeight: Int = 150) {
        let weights = program.kernels.map { kernel in kernel.phases.reduce(10) { $0 + $1.weight } }
        let count = max(1, min(mostParts, weights.reduce(0, +) / leastWeight))
        var loads = [Int](repeating: 0, count: count)
        var parts = (0..<count).map { Part(kernels: [], hasEntry: $0 == 0) }
        for kernel in program.kernels.indices.sorted(by: { (weights[$1], $0) < (weights[$0], $1) }) {
            let lightest = loads.indices.min { (loads[$0], $0) < (loads[$1], $1) }!
            loads[lightest] += weights[kernel]
            parts[lightest].kernels.append(kernel)
        }
        for number in parts.indices { parts[number].kernels.sort() }
        self.parts = parts
    }
}

extension Program {
    /// The texts of all checks, without repetitions, in order.
    var messages: [String] {
        var found: [String] = []
        func visit(_ steps: [Step]) {
            for step in steps {
                switch step {
                case .check(_, let message): if !found.contains(message) { found.append(message) }
                case .branch(_, let then, let otherwise): visit(then + otherwise)
                case .loop(let test, _, let body): visit(test + body)
                case .launch, .copy: break
                }
            }
        }
        visit(steps)
        return found
    }
}

/// Runs `body` for `0..<count` on up to `threads` threads (0: as many as there are processors); the first error by number is thrown.
func concurrently<T: Sendable>(_ count: Int, threads: Int, _ body: @Sendable (Int) throws -> T) throws -> [T] {
    if count == 1 || threads == 1 { return try (0..<count).map(body) }
    let results = Slots<Swift.Result<T, any Error>>(count)
    let lanes = threads > 0 ? min(threads, count) : count
    DispatchQueue.concurrentPerform(iterations: lanes) { lane in
        for number in stride(from: lane, to: count, by: lanes) { results.set(number, Swift.Result { try body(number) }) }
    }
    return try results.values.map { try $0!.get() }
}

/// Results that threads write, each its own.
private final class Slots<T>: @unchecked Sendable {
    private let lock = DispatchSemaphore(value: 1)
    private(set) var values: [T?]

    init(_ count: Int) { values = Array(repeating: nil, count: count) }

    func set(_ position: Int, _ value: T) {
        lock.wait()
        values[position] = value
        lock.signal()
    }
}
