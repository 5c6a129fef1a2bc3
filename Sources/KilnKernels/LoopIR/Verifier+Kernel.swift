// Checks one kernel: walks its statements with what is in scope at each.

import KilnIR

/// What statements may refer to at one place.
struct Scope {
    var variables: Set<Int> = []
    var locals: [Int: Local] = [:]
    var values: [ValueNumber: DType] = [:]
    var isInLanes = false
    var threadBlock: ThreadBlock?
    var maps: [TensorMap] = []
}

/// What is wrong with a statement.
struct Fault: Error {
    var problem: String
    init(_ problem: String) { self.problem = problem }
}

/// Walks a kernel's statements. Numbers of values, locals and variables are given once in a kernel's launch.
struct KernelVerifier {
    let program: Program
    private let kernel: Kernel
    private let pass: String
    private let symbols: Set<String>
    private let printer: ProgramPrinter
    private var defined: Set<ValueNumber> = []

    init(program: Program, kernel: Kernel, pass: String) {
        self.program = program
        self.kernel = kernel
        self.pass = pass
        symbols = Set(program.allSymbols)
        printer = ProgramPrinter(program)
    }

    private mutating func walk() throws {
        for (number, launch) in kernel.launches.enumerated() {
            defined = []
            do {
                try check([launch.workItems, launch.work], Scope())
                guard launch.variable >= 0 else { throw Fault("d\(launch.variable) is no index variable") }
            } catch let fault as Fault { throw error(fault, context: "launch \(number) over \(launch.workItems) work items") }
            var scope = Scope()
            scope.variables.insert(launch.variable)
            scope.maps = launch.maps
            do { try check(launch, &scope) } catch let fault as Fault { throw error(fault, context: "launch \(number) over \(launch.workItems) work items") }
            try check(launch.body, scope)
        }
    }

    func verify() throws {
        var verifier = self
        try verifier.walk()
    }

    private func error(_ fault: Fault, context: String) -> InternalError {
        InternalError(pass, "kernel `\(kernel.name)`: \(fault.problem)", context: context)
    }

    private mutating func check(_ body: [Statement], _ outer: Scope) throws {
        var scope = outer
        for (position, statement) in body.enumerated() {
            do { try check(statement, &scope) } catch let fault as Fault {
                let shown = max(0, position - 3)..<min(body.count, position + 4)
                let lines = shown.map { ($0 == position ? "> " : "  ") + printer.text(body[$0]) }
                throw error(fault, context: lines.joined(separator: "\n"))
            }
        }
    }

    private mutating func check(_ statement: Statement, _ scope: inout Scope) throws {
        switch statement {
        case .local(let local):
            guard scope.locals.updateValue(local, forKey: local.id) == nil else { throw Fault("local $\(local.id) is there already") }
            try check(local, scope)
        case .define(let number, let instruction):
            let dtype = try dtype(of: instruction, scope)
            guard number >= 0, defined.insert(number).inserted else { throw Fault("%\(number) is defined already") }
            scope.values[number] = dtype
        case .bind(let variable, let value):
            guard try dtype(of: value, scope) == .i64 else { throw Fault("an index variable takes an i64") }
            try add(variable, &scope)
        case .store(let access, let value, _):
            try check(access, scope)
            let (target, source) = (try dtype(of: access.memory, scope), try dtype(of: value, scope))
            guard target == source else { throw Fault("stores a \(source) where a \(target) is") }
            if case .buffer(let number) = access.memory, !program.buffers[number].isWritable {
                throw Fault("`\(program.buffers[number].name)` can't be written")
            }
        case .prefetch(let access):
            try check(access, scope)
            _ = try dtype(of: access.memory, scope)
            guard access.conditions.isEmpty else { throw Fault("a prefetch has no conditions") }
        case .transpose(let transposition): try check(transposition, scope)
        case .atomic(let kind, let access, let value): try checkAtomic(kind, access, try dtype(of: value, scope), scope)
        case .threadBlock(let operation): try check(operation, scope)
        case .loop(let loop): try check(loop, scope)
        case .lanes(let variable, let width, let count, let body):
            guard !scope.isInLanes else { throw Fault("lanes inside lanes") }
            guard width > 0, width & (width - 1) == 0 else { throw Fault("the width \(width) is no power of two") }
            if let count = count.constant, count < 0 || count > width { throw Fault("\(count) of \(width) lanes") }
            try check([count], scope)
            var inner = scope
            try add(variable, &inner)
            inner.isInLanes = true
            try check(body, inner)
        case .branch(let conditions, let then, let otherwise):
            guard !scope.isInLanes else { throw Fault("a branch inside lanes; conditions on accesses serve there") }
            try check(conditions.map(\.expression), scope)
            try check(then, scope)
            try check(otherwise, scope)
        }
    }

    private func check(_ local: Local, _ scope: Scope) throws {
        guard local.id >= 0 else { throw Fault("$\(local.id) is no local") }
        switch local.storage {
        case .stack:
            guard let count = local.count.constant, count >= 0 else { throw Fault("a local on the stack has a constant number of elements, not \(local.count)") }
        case .workspace(let offset):
            guard scope.threadBlock == nil else { throw Fault("a thread block's threads have no workspace; take a buffer of the arena") }
            try check([local.count, offset], scope)
        case .shared(let offset): try checkShared(local, offset, scope)
        }
    }

    private mutating func check(_ loop: Loop, _ scope: Scope) throws {
        guard loop.step > 0 else { throw Fault("the step \(loop.step) is not positive") }
        try check([loop.lower, loop.upper], scope)
        if loop.kind == .unrolled, loop.lower.constant == nil || loop.upper.constant == nil { throw Fault("an unrolled loop's bounds are constants") }
        var inner = scope
        try add(loop.variable, &inner)
        try check(loop.body, inner)
    }

    func add(_ variable: Int, _ scope: inout Scope) throws {
        guard variable >= 0 else { throw Fault("d\(variable) is no index variable") }
        guard scope.variables.insert(variable).inserted else { throw Fault("d\(variable) is there already") }
    }

    /// All variables and symbols of the expressions are in scope.
    func check(_ dims: [Dim], _ scope: Scope) throws {
        var problem: String?
        for dim in dims {
            dim.forEachVariable {
                switch $0 {
                case .symbol(let name) where !symbols.contains(name): problem = "the symbol `\(name)` is none of the program's"
                case .index(let i) where !scope.variables.contains(i): problem = "d\(i) is not in scope"
                default: break
                }
            }
        }
        if let problem { throw Fault(problem) }
    }

    private func check(_ transposition: Transposition, _ scope: Scope) throws {
        let (source, target, width) = (transposition.source, transposition.target, transposition.width)
        guard !scope.isInLanes else { throw Fault("transpose inside lanes") }
        guard width > 0, width & (width - 1) == 0 else { throw Fault("the width \(width) is no power of two") }
        guard width >= transposition.rows, transposition.rows > 0 else { throw Fault("\(transposition.rows) rows for a width of \(width)") }
        guard transposition.sourcePitch >= width, transposition.targetPitch >= width else { throw Fault("rows overlap") }
        guard source.conditions.isEmpty, target.conditions.isEmpty else { throw Fault("a transposition has no conditions") }
        try check(source, scope)
        try check(target, scope)
        guard try dtype(of: source.memory, scope) == dtype(of: target.memory, scope) else { throw Fault("transposes into another type") }
        if case .buffer(let number) = target.memory, !program.buffers[number].isWritable {
            throw Fault("`\(program.buffers[number].name)` can't be written")
        }
    }

    func check(_ access: Access, _ scope: Scope) throws {
        try check([access.address] + access.conditions.map(\.expression), scope)
    }

    func dtype(of memory: Memory, _ scope: Scope) throws -> DType {
        switch memory {
        case .buffer(let number):
            guard program.buffers.indices.contains(number) else { throw Fault("there is no buffer \(number)") }
            return program.buffers[number].type.dtype
        case .local(let id):
            guard let local = scope.locals[id] else { throw Fault("$\(id) is not in scope") }
            return local.dtype
        }
    }

    func dtype(of value: ValueNumber, _ scope: Scope) throws -> DType {
        guard let dtype = scope.values[value] else { throw Fault("%\(value) is not in scope") }
        return dtype
    }

    private func dtype(of instruction: Instruction, _ scope: Scope) throws -> DType {
        switch instruction {
        case .constant(_, let dtype): return dtype
        case .position(let dim):
            try check([dim], scope)
            return .i64
        case .load(let access, _):
            try check(access, scope)
            return try dtype(of: access.memory, scope)
        case .apply(let function, let values, let dtype):
            try check(function, try values.map { try self.dtype(of: $0, scope) }, dtype)
            return dtype
        case .holds(let conditions):
            try check(conditions.map(\.expression), scope)
            return .bool
        case .reduceLanes(let kind, let memory, let address, let width):
            guard !scope.isInLanes else { throw Fault("reduce_lanes inside lanes") }
            guard kind != .argmax, kind != .argmin else { throw Fault("lanes are not combined by \(kind)") }
            guard width > 0, width & (width - 1) == 0 else { throw Fault("the width \(width) is no power of two") }
            try check([address], scope)
            return try dtype(of: memory, scope)
        case .shuffle(let value, let shuffle):
            try checkWarp(scope)
            switch shuffle {
            case .xor(let mask): guard 1..<ThreadBlock.warp ~= mask else { throw Fault("no thread of a warp is \(mask) away") }
            case .up(let count), .down(let count): guard 1..<ThreadBlock.warp ~= count else { throw Fault("no thread of a warp is \(count) away") }
            case .lane(let lane): try check([lane], scope)
            }
            return try dtype(of: value, scope)
        case .vote(let vote, let value):
            try checkWarp(scope)
            guard try dtype(of: value, scope) == .bool else { throw Fault("votes are taken on bools") }
            return vote == .ballot ? .u32 : .bool
        }
    }

    /// The function takes values of these dtypes and gives the stated one.
    private func check(_ function: ScalarFunction, _ operands: [DType], _ result: DType) throws {
        guard operands.count == function.arity else { throw Fault("\(function.rawValue) takes \(function.arity) values, not \(operands.count)") }
        let list = operands.map(\.name).joined(separator: ", ")
        let mistake = Fault("\(function.rawValue) of \(list) gives no \(result)")
        switch function {
        case .convert: return
        case .bitcast: guard operands[0].byteCount == result.byteCount else { throw mistake }
        case .select: guard operands[0] == .bool, operands[1] == result, operands[2] == result else { throw mistake }
        case .shiftLeft, .shiftRight: guard operands.allSatisfy({ $0 == result }), result.isInteger else { throw mistake }
        case _ where function.isComparison:
            guard result == .bool, operands.allSatisfy({ $0 == operands[0] }) else { throw mistake }
        default: guard operands.allSatisfy({ $0 == result }) else { throw mistake }
        }
    }
}
