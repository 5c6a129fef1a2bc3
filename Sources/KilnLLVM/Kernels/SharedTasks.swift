// Which launches of a program become one function: those that differ in nothing but the buffers they work on and the numbers they scale by, as a
// network's layers do. A program for a host comes in; for each launch, the first launch that is like it, and what a frame holds for it, go out.

import KilnIR
import KilnKernels

/// The functions that the launches of a host's kernels become.
struct SharedTasks: Sendable {
    /// A launch of a program.
    struct Task: Hashable, Sendable {
        var kernel: Int
        var launch: Int
    }

    /// By kernel and launch, the first of those that are alike, whose function all of them run.
    private let first: [[Task]]
    /// The launches that have functions of their own, in order.
    let own: [Task]
    /// What a function's code depends on, as text; nil for a launch whose code is not described by its statements alone.
    private let texts: [Task: String]
    /// By kernel and launch, what it touches: looked up once, as each of a long program's launches is asked about several times.
    private let surveys: [[LaunchSurvey]]
    /// By launch, the numbers that its function is given, the launch's own; nothing for launches whose functions are given none.
    private let scalars: [Task: [FloatConstant]]
    /// The functions' names.
    private var names: [Task: String] = [:]

    /// - Parameters:
    ///   - isShared: whether launches that are alike become one function; where only some are emitted, none may lean on others.
    ///   - threads: that write the texts; see `concurrently`.
    init(_ program: Program, isShared: Bool = true, threads: Int = 0) {
        var groups: [Group] = []
        var known: [Shape: Int] = [:]
        let surveys = program.kernels.map { $0.launches.map { LaunchSurvey($0, in: program) } }
        self.surveys = surveys
        var numbers: [[Int]] = []
        var scales: [[[FloatConstant]]] = []
        for kernel in program.kernels.indices {
            // Lowering knows of many that they are alike, at less than comparing loops costs.
            if isShared, let like = program.likeness.likes[kernel], numbers[like.kernel].allSatisfy({ groups[$0].hasText }),
                zip(like.own, like.others).allSatisfy({ Shape.Content(program.buffers[$0]) == Shape.Content(program.buffers[$1]) }) {
                numbers.append(numbers[like.kernel])
                scales.append(scales[like.kernel])
                for (number, group) in numbers[kernel].enumerated() {
                    groups[group].members.append((Task(kernel: kernel, launch: number), scales[kernel][number]))
                }
                continue
            }
            scales.append(program.kernels[kernel].launches.map { isShared ? LaunchScalars($0).values : [] })
            numbers.append(program.kernels[kernel].launches.enumerated().map { number, launch in
                let values = scales[kernel][number]
                let shape = isShared ? Shape(launch, surveys[kernel][number].buffers, values, in: program) : nil
                let group = shape.flatMap { known[$0] } ?? groups.count
                if group == groups.count { groups.append(Group(hasText: shape != nil)) }
                if let shape { known[shape] = group }
                groups[group].members.append((Task(kernel: kernel, launch: number), values))
                return group
            })
        }
        let all = groups
        first = numbers.map { $0.map { all[$0].first } }
        own = groups.map(\.first)
        scalars = Dictionary(uniqueKeysWithValues: groups.flatMap(\.given))
        let (symbols, given) = (program.allSymbols, scalars)
        let written = all.filter(\.hasText).map(\.first)
        let texts = concurrently(written.map { program.kernels[$0.kernel].launches[$0.launch].weight }, threads: threads) { number in
            let place = written[number], survey = surveys[place.kernel][place.launch]
            let shape = Shape(program.kernels[place.kernel].launches[place.launch], survey.buffers, given[place] ?? [], in: program)
            return shape?.text(symbols: symbols, streams: survey.streams) ?? ""
        }
        self.texts = Dictionary(uniqueKeysWithValues: zip(written, texts))
        for place in own { names[place] = TaskEmitter.name(program, kernel: place.kernel, launch: place.launch) }
    }

    /// Launches that are alike but for buffers and numbers.
    private struct Group {
        var hasText: Bool
        var members: [(place: Task, values: [FloatConstant])] = []

        var first: Task { members[0].place }

        /// For each member, the numbers that are not the same in all: only these are given, and code knows the others.
        var given: [(Task, [FloatConstant])] {
            let varying = members[0].values.indices.filter { index in members.contains { $0.values[index] != members[0].values[index] } }
            return varying.isEmpty ? [] : members.map { member in (member.place, varying.map { member.values[$0] }) }
        }
    }

    /// The launch whose function a launch runs.
    func task(kernel: Int, launch: Int) -> Task { first[kernel][launch] }

    func survey(kernel: Int, launch: Int) -> LaunchSurvey { surveys[kernel][launch] }

    /// The numbers that a launch's function is given, which follow the buffers in its frame.
    func scalars(kernel: Int, launch: Int) -> [FloatConstant] { scalars[Task(kernel: kernel, launch: launch)] ?? [] }

    /// The most buffers and numbers that a launch's frame holds.
    var mostWords: Int {
        surveys.enumerated().reduce(0) { most, kernel in
            kernel.element.enumerated().reduce(most) { max($0, $1.element.buffers.count + scalars(kernel: kernel.offset, launch: $1.offset).count) }
        }
    }

    /// Whether any launch's stores may stream to memory of the caller's.
    var streams: Bool { surveys.contains { $0.contains(where: \.streams) } }

    func isFirst(kernel: Int, launch: Int) -> Bool { first[kernel][launch] == Task(kernel: kernel, launch: launch) }

    /// The name of the function that a launch runs.
    func name(kernel: Int, launch: Int, _ variant: TaskVariant) -> String {
        (names[task(kernel: kernel, launch: launch)] ?? "") + variant.rawValue
    }

    /// All that the code of functions depends on, target aside; nil where that is not known.
    func text(of places: [Task]) -> String? {
        var text = ""
        for place in places {
            guard let one = texts[place] else { return nil }
            text += one
        }
        return text
    }

    /// Names the functions of a module by what they are, whatever the program, so that another program with the same ones can have its code.
    mutating func name(_ places: [Task]) {
        guard let text = text(of: places) else { return }
        let prefix = SHA256.hex(Array(text.utf8)).prefix(32)
        for (number, place) in places.enumerated() { names[place] = "task_\(prefix)_\(number)" }
    }
}

/// All that a launch's code depends on, with its buffers numbered in the order of their first use, and with some of its numbers left open.
private struct Shape: Hashable, Sendable {
    /// What code takes for granted of a buffer.
    struct Content: Hashable, Sendable {
        var dtype: DType
        var isOwnMemory: Bool
        var isUnaligned: Bool
        /// The element of a constant that has but one.
        var value: Scalar?
    }
    let launch: KernelLaunch
    let buffers: [Content]

    /// Nil where the launch is not one thread's.
    /// - Parameters:
    ///   - order: the launch's buffers, in the order of their first use.
    ///   - open: the numbers that are left open.
    init?(_ launch: KernelLaunch, _ order: [Int], _ open: [FloatConstant], in program: Program) {
        guard launch.threadBlock == nil, launch.maps.isEmpty, order.allSatisfy({ program.buffers.indices.contains($0) }) else { return nil }
        let numbers = Dictionary(uniqueKeysWithValues: order.enumerated().map { ($0.element, $0.offset) })
        var launch = launch
        launch.work = 0
        let places = Dictionary(uniqueKeysWithValues: open.enumerated().map { ($0.element, $0.offset) })
        launch.body = launch.body.map { $0.renumbered(numbers, places) }
        self.launch = launch
        buffers = order.map { Content(program.buffers[$0]) }
    }

    /// The same as text: two that differ in anything have different ones.
    func text(symbols: [String], streams: Bool) -> String {
        let content = buffers.map { "\($0.dtype) \($0.isOwnMemory) \($0.isUnaligned) \($0.value.map { "\($0)" } ?? "")" }
        let memories = buffers.enumerated().map { Buffer("b\($0.offset)", TensorType($0.element.dtype, []), .arena(offset: 0)) }
        let kernel = Kernel(name: "task", launches: [launch])
        return "\(symbols.map(\.quoted)) \(content) \(streams)\n" + kernel.description(in: Program(name: "task", symbols: symbols, buffers: memories, kernels: [kernel]))
    }
}

extension Shape.Content {
    fileprivate init(_ buffer: Buffer) {
        var unaligned = false
        var value: Scalar?
        if case .constant(let literal) = buffer.storage {
            unaligned = SharedConstants.isShared(literal)
            if literal.count == 1 { value = literal[0] }
        }
        self.init(dtype: buffer.type.dtype, isOwnMemory: buffer.isOwnMemory, isUnaligned: unaligned, value: value)
    }
}

extension KernelLaunch {
    /// The buffers that the launch reads or writes, in the order of their first use: that of their places in a task's frame.
    var bufferOrder: [Int] { LaunchSurvey(self, in: nil).buffers }
}

extension Statement {
    /// The statement with its buffers' numbers replaced, and with integers, which no float constant is, in place of the numbers left open.
    fileprivate func renumbered(_ numbers: [Int: Int], _ open: [FloatConstant: Int]) -> Statement {
        func renumbered(_ memory: Memory) -> Memory {
            if case .buffer(let number) = memory { .buffer(numbers[number] ?? number) } else { memory }
        }
        func renumbered(_ access: Access) -> Access { Access(renumbered(access.memory), access.address, where: access.conditions) }
        func all(_ statements: [Statement]) -> [Statement] { statements.map { $0.renumbered(numbers, open) } }
        switch self {
        case .define(let value, .constant(let scalar, let dtype)) where !open.isEmpty:
            guard let place = FloatConstant(scalar, dtype).flatMap({ open[$0] }) else { return self }
            return .define(value, .constant(.integer(Int64(place)), dtype))
        case .define(let value, .load(let access, let fill)): return .define(value, .load(renumbered(access), fill: fill))
        case .define(let value, .reduceLanes(let kind, let memory, let address, let width)):
            return .define(value, .reduceLanes(kind, renumbered(memory), address: address, width: width))
        case .store(let access, let value, let streaming): return .store(renumbered(access), value, streaming: streaming)
        case .prefetch(let access): return .prefetch(renumbered(access))
        case .transpose(var transposition):
            transposition.source = renumbered(transposition.source)
            transposition.target = renumbered(transposition.target)
            return .transpose(transposition)
        case .atomic(let kind, let access, let value): return .atomic(kind, renumbered(access), value)
        case .loop(var loop):
            loop.body = all(loop.body)
            return .loop(loop)
        case .lanes(let variable, let width, let count, let body): return .lanes(variable: variable, width: width, count: count, body: all(body))
        case .branch(let conditions, let then, let otherwise): return .branch(conditions, then: all(then), otherwise: all(otherwise))
        case .local, .define, .bind, .threadBlock: return self
        }
    }
}
