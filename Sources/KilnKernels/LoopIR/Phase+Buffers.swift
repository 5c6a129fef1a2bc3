// Which buffers a phase reads and writes, and the same phase on other buffers.

import KilnIR

/// Buffers, each once, in the order of their first mention.
struct BufferUse {
    private(set) var read: [Int] = []
    private(set) var written: [Int] = []
    private var known: (read: Set<Int>, written: Set<Int>) = ([], [])

    /// Those of a phase.
    init(_ phase: Phase) {
        add(phase.body, phase.maps)
        for map in phase.maps where !known.written.contains(map.buffer) { read(.buffer(map.buffer)) }
    }

    private mutating func read(_ memory: Memory) {
        if case .buffer(let number) = memory, known.read.insert(number).inserted { read.append(number) }
    }

    private mutating func write(_ memory: Memory) {
        if case .buffer(let number) = memory, known.written.insert(number).inserted { written.append(number) }
    }

    private mutating func add(_ statements: [Statement], _ maps: [TensorMap]) {
        for statement in statements {
            switch statement {
            case .define(_, .load(let access, _)), .prefetch(let access): read(access.memory)
            case .define(_, .reduceLanes(_, let memory, _, _)): read(memory)
            case .store(let access, _, _): write(access.memory)
            case .atomic(_, let access, _):
                read(access.memory)
                write(access.memory)
            case .transpose(let transposition):
                read(transposition.source.memory)
                write(transposition.target.memory)
            case .team(.copy(let target, let source, _)):
                read(source.memory)
                write(target.memory)
            case .team(.storeTile(let map, _, _)): if maps.indices.contains(map) { write(.buffer(maps[map].buffer)) }
            case .loop(let loop): add(loop.body, maps)
            case .lanes(_, _, _, let body): add(body, maps)
            case .branch(_, let then, let otherwise):
                add(then, maps)
                add(otherwise, maps)
            case .local, .define, .bind, .team: break
            }
        }
    }
}

extension Phase {
    /// The phase on other buffers: `number` gives the new number of each.
    func replacingBuffers(_ number: (Int) -> Int) -> Phase {
        var phase = self
        phase.body = body.map { $0.replacingBuffers(number) }
        for position in maps.indices { phase.maps[position].buffer = number(maps[position].buffer) }
        return phase
    }
}

extension Statement {
    fileprivate func replacingBuffers(_ number: (Int) -> Int) -> Statement {
        func replaced(_ memory: Memory) -> Memory { if case .buffer(let old) = memory { .buffer(number(old)) } else { memory } }
        func replaced(_ access: Access) -> Access {
            var access = access
            access.memory = replaced(access.memory)
            return access
        }
        func all(_ statements: [Statement]) -> [Statement] { statements.map { $0.replacingBuffers(number) } }
        switch self {
        case .define(let value, .load(let access, let fill)): return .define(value, .load(replaced(access), fill: fill))
        case .define(let value, .reduceLanes(let kind, let memory, let address, let width)):
            return .define(value, .reduceLanes(kind, replaced(memory), address: address, width: width))
        case .store(let access, let value, let streaming): return .store(replaced(access), value, streaming: streaming)
        case .prefetch(let access): return .prefetch(replaced(access))
        case .transpose(var transposition):
            transposition.source = replaced(transposition.source)
            transposition.target = replaced(transposition.target)
            return .transpose(transposition)
        case .atomic(let kind, let access, let value): return .atomic(kind, replaced(access), value)
        case .team(.copy(let target, let source, let bytes)): return .team(.copy(to: replaced(target), from: replaced(source), bytes: bytes))
        case .loop(var loop):
            loop.body = all(loop.body)
            return .loop(loop)
        case .lanes(let variable, let width, let count, let body): return .lanes(variable: variable, width: width, count: count, body: all(body))
        case .branch(let conditions, let then, let otherwise): return .branch(conditions, then: all(then), otherwise: all(otherwise))
        case .local, .define, .bind, .team: return self
        }
    }
}
