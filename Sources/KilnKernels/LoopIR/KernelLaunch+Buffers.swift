// Which buffers a launch reads and writes, and the same launch on other buffers.

import KilnIR

/// Buffers, each once, in the order of their first mention.
struct BufferUse {
    private(set) var read: [Int] = []
    private(set) var written: [Int] = []
    private var known: (read: Set<Int>, written: Set<Int>) = ([], [])

    /// Those of a launch.
    init(_ launch: KernelLaunch) {
        add(launch.body, launch.maps)
        for map in launch.maps where !known.written.contains(map.buffer) { read(.buffer(map.buffer)) }
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
            case .threadBlock(.copy(let target, let source, _)):
                read(source.memory)
                write(target.memory)
            case .threadBlock(.storeTile(let map, _, _)): if maps.indices.contains(map) { write(.buffer(maps[map].buffer)) }
            case .loop(let loop): add(loop.body, maps)
            case .lanes(_, _, _, let body): add(body, maps)
            case .branch(_, let then, let otherwise):
                add(then, maps)
                add(otherwise, maps)
            case .local, .define, .bind, .threadBlock: break
            }
        }
    }
}

extension KernelLaunch {
    /// The launch on other buffers: `number` gives the new number of each. What has no buffers is shared with this launch, not copied.
    func replacingBuffers(_ number: (Int) -> Int) -> KernelLaunch {
        var launch = self
        if let body = Statement.replacingBuffers(in: body, number) { launch.body = body }
        for position in maps.indices { launch.maps[position].buffer = number(maps[position].buffer) }
        return launch
    }
}

extension Statement {
    /// The statements on other buffers; nil where that changes nothing.
    fileprivate static func replacingBuffers(in statements: [Statement], _ number: (Int) -> Int) -> [Statement]? {
        var result: [Statement]?
        for position in statements.indices {
            guard let replaced = statements[position].replacingBuffers(number) else { continue }
            if result == nil { result = statements }
            result![position] = replaced
        }
        return result
    }

    private func replacingBuffers(_ number: (Int) -> Int) -> Statement? {
        func replaced(_ memory: Memory) -> Memory? {
            guard case .buffer(let old) = memory else { return nil }
            let new = number(old)
            return new == old ? nil : .buffer(new)
        }
        func replaced(_ access: Access) -> Access? {
            replaced(access.memory).map { Access($0, access.address, where: access.conditions) }
        }
        func either(_ one: Access, _ other: Access) -> (Access, Access)? {
            let (first, second) = (replaced(one), replaced(other))
            return first == nil && second == nil ? nil : (first ?? one, second ?? other)
        }
        switch self {
        case .define(let value, .load(let access, let fill)): return replaced(access).map { .define(value, .load($0, fill: fill)) }
        case .define(let value, .reduceLanes(let kind, let memory, let address, let width)):
            return replaced(memory).map { .define(value, .reduceLanes(kind, $0, address: address, width: width)) }
        case .store(let access, let value, let streaming): return replaced(access).map { .store($0, value, streaming: streaming) }
        case .prefetch(let access): return replaced(access).map { .prefetch($0) }
        case .transpose(var transposition):
            guard let (source, target) = either(transposition.source, transposition.target) else { return nil }
            (transposition.source, transposition.target) = (source, target)
            return .transpose(transposition)
        case .atomic(let kind, let access, let value): return replaced(access).map { .atomic(kind, $0, value) }
        case .threadBlock(.copy(let target, let source, let bytes)): return either(target, source).map { .threadBlock(.copy(to: $0, from: $1, bytes: bytes)) }
        case .loop(var loop):
            guard let body = Self.replacingBuffers(in: loop.body, number) else { return nil }
            loop.body = body
            return .loop(loop)
        case .lanes(let variable, let width, let count, let body):
            return Self.replacingBuffers(in: body, number).map { .lanes(variable: variable, width: width, count: count, body: $0) }
        case .branch(let conditions, let then, let otherwise):
            let (first, second) = (Self.replacingBuffers(in: then, number), Self.replacingBuffers(in: otherwise, number))
            return first == nil && second == nil ? nil : .branch(conditions, then: first ?? then, otherwise: second ?? otherwise)
        case .local, .define, .bind, .threadBlock: return nil
        }
    }
}
