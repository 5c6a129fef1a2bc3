// What a compilation consists of: the programs by their targets, and the jobs into which their kernels are shared out.

import KilnIR
import KilnKernels

/// The programs of one compilation. They come from one graph, so their arguments agree.
struct Build: Sendable {
    typealias Part = (program: Program, target: Target)
    let name: String
    /// Those for GPUs and the emulated grid, the most demanding first.
    let devices: [Part]
    /// The processor of the entries.
    let host: Target
    let jobs: [Job]
    /// The programs' big constants.
    let constants: SharedConstants
    /// The texts of the programs' checks, without repetitions.
    let messages: [String]

    init(_ parts: [Part], _ options: LLVMBackend.Options) throws {
        let hosts = parts.filter { $0.target.gpu == nil }
        guard let main = hosts.first ?? parts.first, hosts.count <= 1, Set(parts.map { $0.target.prefix("") }).count == parts.count else {
            throw InternalError("llvm", "compiles for \(parts.map { $0.target.processor }), not for different targets with one host")
        }
        for part in parts where part.program.symbols != main.program.symbols || part.program.measured != main.program.measured || part.program.argumentTypes != main.program.argumentTypes {
            throw InternalError("llvm", "the programs for \(main.target.processor) and \(part.target.processor) have different arguments")
        }
        name = main.program.name
        devices = parts.filter { $0.target.gpu != nil }.sorted { $0.target.demand > $1.target.demand }
        var host = options.host ?? hosts.first?.target ?? parts.first { $0.target.isEmulated }?.target ?? HostTarget.detect()
        host.gpu = nil
        self.host = host
        constants = SharedConstants(name, parts.map(\.program))
        var messages: [String] = []
        for part in parts { for message in part.program.messages where !messages.contains(message) { messages.append(message) } }
        self.messages = messages
        var jobs = parts.flatMap { part in
            let tasks = SharedTasks(part.program, isShared: part.target.gpu == nil)
            return Partition(part.program, tasks).parts.map { Job(program: part.program, target: part.target, part: $0, tasks: tasks) }
        }
        for number in jobs.indices where jobs[number].target.gpu != nil { jobs[number].part.hasEntry = false }
        if hosts.isEmpty {
            jobs.append(Job(program: main.program, target: host, part: KilnLLVM.Part(kernels: [], hasEntry: true),
                            tasks: SharedTasks(main.program, isShared: false), isTableAlone: true))
        }
        self.jobs = jobs.filter { !$0.part.kernels.isEmpty || $0.part.hasEntry }
    }
}

/// What becomes one module.
struct Job: Sendable {
    var program: Program
    var target: Target
    var part: Part
    /// The functions that the program's kernels become.
    var tasks: SharedTasks
    /// Whether there is no entry, only the program's table.
    var isTableAlone = false
}

/// Kernels that share a module.
struct Part: Sendable {
    var kernels: [Int]
    var hasEntry: Bool
}

/// How a program's kernels are shared out over modules: by their sizes, never by the number of threads.
struct Partition {
    let parts: [Part]

    init(_ program: Program, _ tasks: SharedTasks, mostParts: Int = 8, leastWeight: Int = 150) {
        let weights = program.kernels.indices.map { tasks.weight(of: $0, in: program) }
        let count = max(1, min(mostParts, weights.reduce(0, +) / leastWeight))
        var loads = [Int](repeating: 0, count: count)
        var parts = (0..<count).map { Part(kernels: [], hasEntry: $0 == 0) }
        for kernel in program.kernels.indices.filter({ weights[$0] > 0 }).sorted(by: { (weights[$1], $0) < (weights[$0], $1) }) {
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
        var known: Set<String> = []
        func visit(_ steps: [Step]) {
            for step in steps {
                switch step {
                case .check(_, let message): if known.insert(message).inserted { found.append(message) }
                case .branch(_, let then, let otherwise): visit(then + otherwise)
                case .loop(let test, _, let body): visit(test + body)
                case .launch, .copy, .exchange, .measure: break
                }
            }
        }
        visit(steps)
        return found
    }

    /// The types of inputs and of outputs.
    var argumentTypes: [[TensorType]] {
        [arguments { if case .input(let i) = $0 { i } else { nil } }, arguments { if case .output(let i) = $0 { i } else { nil } }].map { $0.map(\.type) }
    }
}

extension Target {
    /// By which devices are ordered: code for one architecture alone comes before what others run too.
    fileprivate var demand: Int {
        guard let gpu else { return 0 }
        return gpu.architecture * 4 + (gpu.isSpecific ? 2 : 0) + (isEmulated ? 0 : 1)
    }
}
