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
    /// The big constants, which the objects refer to as symbols.
    public let constants: SharedConstants
    /// The code for GPUs and the emulated grid, the most demanding first; also in the objects' tables.
    public let devices: [DeviceCode]
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
        /// The host that launches kernels, where no program for a host is among those compiled; nil is the one at hand.
        public var host: Target?
        /// The path of NVIDIA's assembler, for machine code beside the PTX.
        public var ptxas: String?

        public init(threads: Int = 0, verifies: Bool = false, host: Target? = nil, ptxas: String? = nil) {
            self.threads = threads
            self.verifies = verifies
            self.host = host
            self.ptxas = ptxas
        }
    }

    /// Compiles a program for a target.
    /// - Throws: `InternalError` where the program is malformed, `CompileError` for a target that LLVM does not know.
    public static func compile(_ program: Program, target: Target, options: Options = Options()) throws -> ObjectCode {
        try compile([(program, target)], options: options)
    }

    /// Compiles the programs that one graph became for several targets to code that has them all: at most one for a host.
    public static func compile(_ parts: [(program: Program, target: Target)], options: Options = Options()) throws -> ObjectCode {
        let start = DispatchTime.now().uptimeNanoseconds
        let build = try Build(parts, options)
        let results = try concurrently(build.jobs.count, threads: options.threads) { try compile(build.jobs[$0], of: build, options) }
        var timings = ObjectCode.Timings()
        for result in results {
            timings.emit += result.timings.emit
            timings.optimize += result.timings.optimize
            timings.generate += result.timings.generate
        }
        var objects = zip(build.jobs, results).compactMap { $0.target.isPTX ? nil : $1.code }
        let devices = try build.devices.map { part in
            guard part.target.isPTX else { return DeviceCode(target: part.target, ptx: nil, machineCode: nil) }
            let texts = zip(build.jobs, results).compactMap { $0.target == part.target ? String(decoding: $1.code, as: UTF8.self) : nil }
            let ptx = PTX.merge(texts)
            return DeviceCode(target: part.target, ptx: ptx, machineCode: try machineCode(ptx, part.target, options))
        }
        if let table = try build.constants.tableObject(build.host) { objects.append(table) }
        if !devices.isEmpty { objects.append(try deviceObject(build, devices)) }
        timings.total = Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
        return ObjectCode(name: build.name, objects: objects, constants: build.constants, devices: devices, timings: timings)
    }

    /// LLVM's text of one kernel, or of the entry and the tables for nil.
    public static func llvmText(_ program: Program, kernel: Int?, target: Target, optimized: Bool = true) throws -> String {
        let (module, machine) = try shown(program, kernel, target)
        try Passes.verify(module)
        if optimized { try Passes.run(on: module, machine) }
        return module.text
    }

    /// The assembly of one kernel (PTX for a GPU), or of the entry and the tables for nil.
    public static func assembly(_ program: Program, kernel: Int?, target: Target) throws -> String {
        let (module, machine) = try shown(program, kernel, target)
        try Passes.run(on: module, machine)
        return String(decoding: try machine.generate(module, LLVMAssemblyFile), as: UTF8.self)
    }

    private static func shown(_ program: Program, _ kernel: Int?, _ target: Target) throws -> (Module, Machine) {
        let build = try Build([(program, target)], Options())
        if kernel == nil, target.gpu != nil {
            let machine = try Machine(build.host)
            let devices = build.devices.map { DeviceCode(target: $0.target, ptx: $0.target.isPTX ? "" : nil, machineCode: nil) }
            return (try deviceModule(build, devices, machine), machine)
        }
        let machine = try Machine(target)
        let part = Part(kernels: kernel.map { [$0] } ?? [], hasEntry: kernel == nil)
        // A kernel by itself is shown with all of its phases.
        let tasks = SharedTasks(program, isShared: kernel == nil && target.gpu == nil)
        return (try module(Job(program: program, target: target, part: part, tasks: tasks), of: build, machine), machine)
    }

    // MARK: One part

    private struct Result: Sendable {
        /// An object, or PTX.
        var code: [UInt8]
        var timings: ObjectCode.Timings
    }

    private static func compile(_ job: Job, of build: Build, _ options: Options) throws -> Result {
        var clock = DispatchTime.now().uptimeNanoseconds
        func lap() -> Double {
            let now = DispatchTime.now().uptimeNanoseconds
            defer { clock = now }
            return Double(now - clock) / 1e9
        }
        var timings = ObjectCode.Timings()
        let machine = try Machine(job.target)
        let module = try module(job, of: build, machine)
        if options.verifies { try Passes.verify(module) }
        timings.emit = lap()
        try Passes.run(on: module, machine)
        timings.optimize = lap()
        let code = try machine.generate(module, job.target.isPTX ? LLVMAssemblyFile : LLVMObjectFile)
        timings.generate = lap()
        return Result(code: code, timings: timings)
    }

    private static func module(_ job: Job, of build: Build, _ machine: Machine) throws -> Module {
        let (program, target, part) = (job.program, job.target, job.part)
        let module = Module(name: program.name, target: machine.description)
        if target.gpu != nil, !part.kernels.isEmpty {
            let kernels = KernelEmitter(module: module, program: program, target: target, prefix: target.prefix(build.name),
                                        maths: MathsTable(hasLibrary: false))
            for kernel in part.kernels {
                for number in program.kernels[kernel].phases.indices { try kernels.emit(kernel: kernel, phase: number) }
            }
        } else {
            let tasks = TaskEmitter(module: module, program: program, target: target, maths: MathsTable())
            for kernel in part.kernels {
                for (number, phase) in program.kernels[kernel].phases.enumerated() where job.tasks.isFirst(kernel: kernel, phase: number) {
                    try tasks.emit(kernel: kernel, phase: number, .any)
                    if phase.streams(in: program) { try tasks.emit(kernel: kernel, phase: number, .aligned) }
                }
            }
        }
        guard part.hasEntry else { return module }
        let entry = !job.isTableAlone ? try EntryEmitter.emit(module, program, target, build, job.tasks) : nil
        try ProgramInfoEmitter(module: module, program: program, target: target).emit(entry: entry, messages: build.messages, devices: build.devices.count)
        return module
    }

    // MARK: Devices

    private static func machineCode(_ ptx: String, _ target: Target, _ options: Options) throws -> [UInt8]? {
        guard let ptxas = options.ptxas, !ptx.isEmpty else { return nil }
        return try PTX.assemble(ptx, for: target.processor, ptxas: ptxas).code
    }

    private static func deviceObject(_ build: Build, _ devices: [DeviceCode]) throws -> [UInt8] {
        let machine = try Machine(build.host)
        let module = try deviceModule(build, devices, machine)
        try Passes.run(on: module, machine)
        return try machine.generate(module, LLVMObjectFile)
    }

    /// The tables of devices and their entries; where there is no program for a host, also the program's table.
    private static func deviceModule(_ build: Build, _ devices: [DeviceCode], _ machine: Machine) throws -> Module {
        let module = Module(name: build.name, target: machine.description)
        try DevicesEmitter(module: module, host: build.host, name: build.name, messages: build.messages, sharedConstants: build.constants)
            .emit(Array(zip(build.devices.map(\.program), devices)).map { (program: $0, code: $1) })
        return module
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
