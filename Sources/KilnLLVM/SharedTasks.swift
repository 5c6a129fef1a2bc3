// Which phases of a program become one function: those that differ in nothing but the buffers they work on, as a network's layers do.
// A program for a host comes in; for each phase, the first phase that is like it, and the order in which a frame holds its buffers, go out.

import KilnIR
import KilnKernels

/// The functions that the phases of a host's kernels become.
struct SharedTasks: Sendable {
    /// A phase of a program.
    struct Place: Hashable, Sendable {
        var kernel: Int
        var phase: Int
    }

    /// By kernel and phase, the first of those that are alike, whose function all of them run.
    private let first: [[Place]]
    /// The phases that have functions of their own, in order.
    let own: [Place]
    /// What a function's code depends on, as text; nil for a phase whose code is not described by its statements alone.
    private let texts: [Place: String]
    /// The functions' names.
    private var names: [Place: String] = [:]

    /// - Parameters:
    ///   - isShared: whether phases that are alike become one function; where only some are emitted, none may lean on others.
    ///   - threads: that write the texts; see `concurrently`.
    init(_ program: Program, isShared: Bool = true, threads: Int = 0) {
        var known: [Shape: Place] = [:]
        var own: [Place] = []
        var shapes: [(place: Place, shape: Shape)] = []
        var first: [[Place]] = []
        var described: Set<Place> = []
        for kernel in program.kernels.indices {
            if isShared, let like = program.likeness.likes[kernel], first[like.kernel].allSatisfy(described.contains),
                zip(like.own, like.others).allSatisfy({ Shape.Content(program.buffers[$0]) == Shape.Content(program.buffers[$1]) }) {
                first.append(first[like.kernel])
                continue
            }
            first.append(program.kernels[kernel].phases.enumerated().map { number, phase in
                let place = Place(kernel: kernel, phase: number)
                let shape = isShared ? Shape(phase, in: program) : nil
                if let shape, let other = known[shape] { return other }
                if let shape {
                    known[shape] = place
                    shapes.append((place, shape))
                    described.insert(place)
                }
                own.append(place)
                return place
            })
        }
        self.first = first
        let (all, symbols) = (shapes, program.allSymbols)
        let texts = concurrently(all.map { $0.shape.phase.weight }, threads: threads) { number in
            let (place, shape) = all[number]
            return shape.text(symbols: symbols, streams: program.kernels[place.kernel].phases[place.phase].streams(in: program))
        }
        (self.own, self.texts) = (own, Dictionary(uniqueKeysWithValues: zip(all.map(\.place), texts)))
        for place in own { names[place] = TaskEmitter.name(program, kernel: place.kernel, phase: place.phase) }
    }

    /// The phase whose function a phase runs.
    func task(kernel: Int, phase: Int) -> Place { first[kernel][phase] }

    func isFirst(kernel: Int, phase: Int) -> Bool { first[kernel][phase] == Place(kernel: kernel, phase: phase) }

    /// The name of the function that a phase runs.
    func name(kernel: Int, phase: Int, _ variant: TaskVariant) -> String {
        (names[task(kernel: kernel, phase: phase)] ?? "") + variant.rawValue
    }

    /// All that the code of functions depends on, target aside; nil where that is not known.
    func text(of places: [Place]) -> String? {
        var text = ""
        for place in places {
            guard let one = texts[place] else { return nil }
            text += one
        }
        return text
    }

    /// Names the functions of a module by what they are, whatever the program, so that another program with the same ones can have its code.
    mutating func name(_ places: [Place]) {
        guard let text = text(of: places) else { return }
        let prefix = SHA256.hex(Array(text.utf8)).prefix(32)
        for (number, place) in places.enumerated() { names[place] = "task_\(prefix)_\(number)" }
    }
}

/// All that a phase's code depends on, with its buffers numbered in the order of their first use.
private struct Shape: Hashable, Sendable {
    /// What code takes for granted of a buffer.
    struct Content: Hashable, Sendable {
        var dtype: DType
        var isOwnMemory: Bool
        var isUnaligned: Bool
        /// The element of a constant that has but one.
        var value: Scalar?
    }
    let phase: Phase
    let buffers: [Content]

    /// Nil where the phase is not one thread's.
    init?(_ phase: Phase, in program: Program) {
        let order = phase.bufferOrder
        guard phase.team == nil, phase.maps.isEmpty, order.allSatisfy({ program.buffers.indices.contains($0) }) else { return nil }
        let numbers = Dictionary(uniqueKeysWithValues: order.enumerated().map { ($0.element, $0.offset) })
        var phase = phase
        phase.work = 0
        phase.body = phase.body.map { $0.renumbered(numbers) }
        self.phase = phase
        buffers = order.map { Content(program.buffers[$0]) }
    }

    /// The same as text: two that differ in anything have different ones.
    func text(symbols: [String], streams: Bool) -> String {
        let content = buffers.map { "\($0.dtype) \($0.isOwnMemory) \($0.isUnaligned) \($0.value.map { "\($0)" } ?? "")" }
        let memories = buffers.enumerated().map { Buffer("b\($0.offset)", TensorType($0.element.dtype, []), .arena(offset: 0)) }
        let kernel = Kernel(name: "task", phases: [phase])
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

extension Phase {
    /// The buffers that the phase reads or writes, in the order of their first use: that of their places in a task's frame.
    var bufferOrder: [Int] {
        var order: [Int] = []
        var seen: Set<Int> = []
        for statement in body {
            statement.visit {
                if case .buffer(let number) = $0, seen.insert(number).inserted { order.append(number) }
            }
        }
        return order
    }
}

extension Statement {
    /// The statement with its buffers' numbers replaced.
    fileprivate func renumbered(_ numbers: [Int: Int]) -> Statement {
        func renumbered(_ memory: Memory) -> Memory {
            if case .buffer(let number) = memory { .buffer(numbers[number] ?? number) } else { memory }
        }
        func renumbered(_ access: Access) -> Access { Access(renumbered(access.memory), access.address, where: access.conditions) }
        func all(_ statements: [Statement]) -> [Statement] { statements.map { $0.renumbered(numbers) } }
        switch self {
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
        case .local, .define, .bind, .team: return self
        }
    }
}
