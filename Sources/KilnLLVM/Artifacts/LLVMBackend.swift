// Programs in loop IR to machine code. Kernels are shared out over modules by their size alone, so that the same program gives
// the same bytes; the modules are then optimised and translated on several threads, or taken from a cache.

import CLLVM
import Dispatch
import KilnIR
import KilnKernels
#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

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
    public typealias Options = LLVMOptions

    /// LLVM's version.
    public static var version: String {
        var (major, minor, patch): (UInt32, UInt32, UInt32) = (0, 0, 0)
        LLVMGetVersion(&major, &minor, &patch)
        return "\(major).\(minor).\(patch)"
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
        let machines = MachinePool()
        let results = try concurrently(build.jobs.map(\.part.weight), threads: options.threads) { try code(build.jobs[$0], of: build, machines, options) }
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

    // MARK: Texts to read

    /// What modules can be read as.
    public enum Listing: Sendable {
        /// LLVM's text, optimised.
        case llvm
        /// The target's assembly, PTX for a GPU.
        case assembly
    }

    /// LLVM's text of one kernel, or of the entry and the tables for nil.
    public static func llvmText(_ program: Program, kernel: Int?, target: Target) throws -> String {
        try text(program, kernel, target, .llvm)
    }

    /// The assembly of one kernel (PTX for a GPU), or of the entry and the tables for nil.
    public static func assembly(_ program: Program, kernel: Int?, target: Target) throws -> String {
        try text(program, kernel, target, .assembly)
    }

    /// The texts of all kernels in order, and of the entry and the tables after them. A launch that is like an earlier one is not shown again.
    public static func texts(_ program: Program, target: Target, _ listing: Listing, threads: Int = 0) throws -> [String] {
        let build = try Build([(program, target)], Options())
        let tasks = SharedTasks(program, isShared: target.gpu == nil)
        let own = Dictionary(grouping: tasks.own, by: \.kernel)
        let weights = program.kernels.map { $0.launches.reduce(0) { $0 + $1.weight } } + [program.steps.count]
        return try concurrently(weights, threads: threads) { number in
            guard number < program.kernels.count else { return try text(program, nil, target, listing, build, tasks) }
            let kernel = program.kernels[number]
            let same = kernel.launches.indices.filter { !tasks.isFirst(kernel: number, launch: $0) }.map { launch in
                let other = tasks.task(kernel: number, launch: launch)
                return "\(listing == .llvm ? ";" : "#") launch \(launch) of \(kernel.name) runs the code of launch \(other.launch) of \(program.kernels[other.kernel].name)\n"
            }
            let shown = try own[number].map { try text(program, number, target, listing, build, tasks, $0) } ?? ""
            return shown + same.joined()
        }
    }

    private static func text(_ program: Program, _ kernel: Int?, _ target: Target, _ listing: Listing) throws -> String {
        // A kernel by itself is shown with all of its launches.
        let tasks = SharedTasks(program, isShared: kernel == nil && target.gpu == nil)
        return try text(program, kernel, target, listing, Build([(program, target)], Options()), tasks, tasks.own.filter { $0.kernel == kernel })
    }

    private static func text(_ program: Program, _ kernel: Int?, _ target: Target, _ listing: Listing, _ build: Build, _ tasks: SharedTasks,
                             _ shown: [SharedTasks.Task] = []) throws -> String {
        let isGlue = kernel == nil && build.jobs.contains { $0.isGlue }
        let machine = try Machine(kernel == nil ? build.host : target, isGlue: isGlue)
        let part = Part(tasks: shown, hasEntry: kernel == nil, weight: 0)
        let devices = build.devices.map { DeviceCode(target: $0.target, ptx: $0.target.isPTX ? "" : nil, machineCode: nil) }
        let module = kernel == nil && target.gpu != nil ? try deviceModule(build, devices, machine)
            : try self.module(Job(program: program, target: target, part: part, tasks: tasks), of: build, machine)
        if listing == .llvm { try Passes.verify(module) }
        if !isGlue { try Passes.run(on: module, machine) }
        return listing == .llvm ? module.text : String(decoding: try machine.generate(module, LLVMAssemblyFile), as: UTF8.self)
    }

    // MARK: One part

    private struct Result: Sendable {
        /// An object, or PTX.
        var code: [UInt8]
        var timings = ObjectCode.Timings()
    }

    /// A part's code, from the cache where it is there.
    private static func code(_ job: Job, of build: Build, _ machines: MachinePool, _ options: Options) throws -> Result {
        func compile() throws -> Result {
            try machines.withMachine(job.target, isGlue: job.isGlue) { try self.compile(job, of: build, $0, options) }
        }
        guard let cache = options.cache, !options.verifies, let key = job.key(in: build) else { return try compile() }
        if let known = cache.code(for: key) { return Result(code: known) }
        let result = try compile()
        cache.keep(result.code, for: key)
        return result
    }

    private static func compile(_ job: Job, of build: Build, _ machine: Machine, _ options: Options) throws -> Result {
        func processorTime() -> Double {
            var time = timespec()
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
            return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
        }
        var clock = processorTime()
        func lap() -> Double {
            let now = processorTime()
            defer { clock = now }
            return now - clock
        }
        var timings = ObjectCode.Timings()
        let module = try module(job, of: build, machine)
        if options.verifies { try Passes.verify(module) }
        timings.emit = lap()
        if !job.isGlue { try Passes.run(on: module, machine) }
        timings.optimize = lap()
        let code = try machine.generate(module, job.target.isPTX ? LLVMAssemblyFile : LLVMObjectFile)
        timings.generate = lap()
        return Result(code: code, timings: timings)
    }

    private static func module(_ job: Job, of build: Build, _ machine: Machine) throws -> Module {
        let (program, target, part) = (job.program, job.target, job.part)
        // A module without an entry may serve other programs too.
        let module = Module(name: part.hasEntry || target.gpu != nil ? program.name : "kiln", target: machine.description)
        if target.gpu != nil, !part.tasks.isEmpty {
            let kernels = KernelEmitter(module: module, program: program, target: target, prefix: target.prefix(build.name),
                                        maths: MathsTable(hasLibrary: false))
            for task in part.tasks { try kernels.emit(kernel: task.kernel, launch: task.launch) }
        } else {
            let tasks = TaskEmitter(module: module, program: program, target: target, maths: MathsTable())
            for task in part.tasks {
                let launch = program.kernels[task.kernel].launches[task.launch]
                for variant in launch.streams(in: program) ? [TaskVariant.any, .aligned] : [.any] {
                    try tasks.emit(kernel: task.kernel, launch: task.launch, variant, name: job.tasks.name(kernel: task.kernel, launch: task.launch, variant),
                                   scalars: job.tasks.scalars(kernel: task.kernel, launch: task.launch))
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
