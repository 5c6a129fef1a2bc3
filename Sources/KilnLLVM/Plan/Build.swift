// What a compilation consists of: the programs by their targets, and the jobs into which their functions are shared out.

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
    let messages: Messages

    init(_ parts: [Part], _ options: LLVMOptions) throws {
        let hosts = parts.filter { $0.target.gpu == nil }
        guard let main = hosts.first ?? parts.first, hosts.count <= 1, Set(parts.map { $0.target.prefix("") }).count == parts.count else {
            throw InternalError("llvm", "compiles for \(parts.map { $0.target.processor }), not for different targets with one host")
        }
        for part in parts where part.program.symbols != main.program.symbols || part.program.dataDependent != main.program.dataDependent || part.program.argumentTypes != main.program.argumentTypes {
            throw InternalError("llvm", "the programs for \(main.target.processor) and \(part.target.processor) have different arguments")
        }
        name = main.program.name
        devices = parts.filter { $0.target.gpu != nil }.sorted { $0.target.demand > $1.target.demand }
        var host = options.host ?? hosts.first?.target ?? parts.first { $0.target.isEmulated }?.target ?? HostTarget.detect()
        host.gpu = nil
        self.host = host
        constants = SharedConstants(name, parts.map(\.program))
        messages = Messages(parts.map(\.program))
        var jobs = parts.flatMap { part in
            var tasks = SharedTasks(part.program, isShared: part.target.gpu == nil, threads: options.threads)
            let parts = Partition(part.program, tasks).parts
            for part in parts where !part.hasEntry { tasks.name(part.tasks) }
            return parts.map { Job(program: part.program, target: part.target, part: $0, tasks: tasks) }
        }
        for number in jobs.indices where jobs[number].target.gpu != nil { jobs[number].part.hasEntry = false }
        if hosts.isEmpty {
            jobs.append(Job(program: main.program, target: host, part: KilnLLVM.Part(tasks: [], hasEntry: true, weight: 0),
                            tasks: SharedTasks(main.program, isShared: false), isTableAlone: true))
        }
        self.jobs = jobs.filter { !$0.part.tasks.isEmpty || $0.part.hasEntry }
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

    /// Whether nothing runs more than once a call: as long as the program has steps, and translated in the simplest way, in linear time.
    var isGlue: Bool { part.tasks.isEmpty }
}

/// Functions that share a module.
struct Part: Sendable {
    var tasks: [SharedTasks.Task]
    var hasEntry: Bool
    /// How much code it is, by which the largest is begun first.
    var weight: Int
}

/// How a program's functions are shared out over modules: in their order and by their sizes, never by the number of threads, so that
/// programs that begin alike have modules in common. What is small as a whole is one module.
struct Partition {
    let parts: [Part]

    /// - Parameter leastWeight: of a module, but for the last; a module costs LLVM two milliseconds by itself, as much as a hundred statements.
    init(_ program: Program, _ tasks: SharedTasks, leastWeight: Int = 400) {
        let weights = tasks.own.map { 10 + program.kernels[$0.kernel].launches[$0.launch].weight }
        let entry = Part(tasks: [], hasEntry: true, weight: program.steps.count)
        // A long entry is translated by itself, in linear time, however little code its launches run.
        if weights.reduce(0, +) + Self.count(program.steps) <= leastWeight {
            parts = [Part(tasks: tasks.own, hasEntry: true, weight: weights.reduce(0, +))]
            return
        }
        var parts = [entry]
        var open = Part(tasks: [], hasEntry: false, weight: 0)
        for (place, weight) in zip(tasks.own, weights) {
            open.tasks.append(place)
            open.weight += weight
            if open.weight >= leastWeight {
                parts.append(open)
                open = Part(tasks: [], hasEntry: false, weight: 0)
            }
        }
        if !open.tasks.isEmpty { parts.append(open) }
        self.parts = parts
    }

    /// Steps, with those inside of branches and loops.
    private static func count(_ steps: [Step]) -> Int {
        steps.reduce(0) { sum, step in
            switch step {
            case .branch(_, let then, let otherwise): sum + 1 + count(then) + count(otherwise)
            case .loop(let test, _, let body): sum + 1 + count(test) + count(body)
            case .check, .launch, .copy, .exchange, .measure: sum + 1
            }
        }
    }
}

/// The texts of all checks of programs, without repetitions, in order.
struct Messages: Sendable {
    private(set) var texts: [String] = []
    private var numbers: [String: Int] = [:]

    init(_ programs: [Program]) {
        for program in programs { visit(program.steps) }
    }

    private mutating func visit(_ steps: [Step]) {
        for step in steps {
            switch step {
            case .check(_, let message):
                if numbers[message] == nil {
                    numbers[message] = texts.count
                    texts.append(message)
                }
            case .branch(_, let then, let otherwise):
                visit(then)
                visit(otherwise)
            case .loop(let test, _, let body):
                visit(test)
                visit(body)
            case .launch, .copy, .exchange, .measure: break
            }
        }
    }

    /// A text's number.
    func number(of text: String) -> Int? { numbers[text] }
}

extension Program {
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
