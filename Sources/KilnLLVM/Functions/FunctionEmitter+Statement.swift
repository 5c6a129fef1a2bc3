// Statements: definitions, loops (rotated, so that LICM can move code out of them), lanes and branches.

import CLLVM
import KilnIR
import KilnKernels

extension FunctionEmitter {
    func emit(_ statements: [Statement]) throws {
        for statement in statements { try emit(statement) }
    }

    private func emit(_ statement: Statement) throws {
        self.statement = statement
        switch statement {
        case .local(let local): try declare(local)
        case .define(let number, .position(let dim)): try definePosition(number, dim)
        case .define(let number, let instruction):
            positions[number] = nil
            values[number] = try evaluate(instruction)
        case .bind(let variable, let number): bind(variable, number, try value(number))
        case .store(let access, let number, let streaming): try store(access, try value(number), streaming: streaming)
        case .prefetch(let access): try prefetch(access)
        case .transpose(let transposition): try transpose(transposition)
        case .atomic(let kind, let access, let number): try emitAtomic(kind, access, try value(number))
        case .threadBlock(let operation): try emit(operation)
        case .loop(let loop): try emit(loop)
        case .lanes(let variable, let width, let count, let body): try emitLanes(variable, width, count, body)
        case .branch(let conditions, let then, let otherwise): try emitBranch(conditions, then, otherwise)
        }
    }

    func evaluate(_ instruction: Instruction) throws -> Emitted {
        switch instruction {
        case .constant(let scalar, let dtype):
            if !given.isEmpty, let value = FloatConstant(scalar, dtype).flatMap({ given[$0] }) { return Emitted(value: value, dtype: dtype, lanes: 0) }
            return Emitted(value: module.constant(scalar, dtype), dtype: dtype, lanes: 0)
        case .position(let dim): return emitted(try lower(dim))
        case .load(let access, let fill): return try load(access, fill: fill)
        case .apply(let function, let operands, let dtype):
            return try apply(function, try operands.map { try value($0) }, as: dtype)
        case .holds(let conditions): return emitted(try predicate(conditions))
        case .reduceLanes(let kind, let memory, let address, let width):
            return try reduceLanes(kind, memory, address: address, width: width)
        case .shuffle(let number, let shuffle): return try emitShuffle(try value(number), shuffle)
        case .vote(let vote, let number): return try emitVote(vote, try value(number))
        }
    }

    private func emitted(_ index: Index) -> Emitted {
        index.isUniform ? Emitted(value: scalar(index), dtype: .i64, lanes: 0) : Emitted(value: vector(index), dtype: .i64, lanes: lanes!.width)
    }

    private func definePosition(_ number: ValueNumber, _ dim: Dim) throws {
        let index = try lower(dim)
        values[number] = emitted(index)
        positions[number] = Position(index: index, interval: interval(dim), divisor: divisor(dim))
    }

    private func bind(_ variable: Int, _ number: ValueNumber, _ value: Emitted) {
        intervals[variable] = nil
        divisors[variable] = nil
        if let position = positions[number] {
            intervals[variable] = position.interval
            divisors[variable] = position.divisor
            variables[variable] = position.index.isConstant ? .constant(position.index.constant) : .position(position.index)
            return
        }
        if value.lanes > 0 { variables[variable] = .varying(value.value) } else if let known = module.knownInteger(value.value) {
            variables[variable] = .constant(known)
        } else { variables[variable] = .uniform(value.value, depth: depth) }
    }

    /// Threads' stacks are small; what is larger belongs in the workspace.
    private static let mostStackBytes = 256 << 10

    private func declare(_ local: Local) throws {
        switch local.storage {
        case .stack:
            let size = try lower(local.count)
            guard size.isConstant, 0...Self.mostStackBytes ~= size.constant &* local.dtype.byteCount else {
                throw InternalError("llvm", "local \(local.id) on the stack has no constant, small size: \(local.count) of \(local.dtype)")
            }
            let base = stackMemory(module.memoryType(local.dtype), count: size.constant, alignment: 64)
            locals[local.id] = Address(base: base, dtype: local.dtype, alignment: 64, stackCount: size.constant)
        case .workspace(let offset):
            guard var place = workspace else { throw InternalError("llvm", "a workspace local outside a task") }
            place.base = module.offset(place.base, module.i8, by: try scalar(offset))
            place.dtype = local.dtype
            locals[local.id] = place
        case .shared(let offset):
            guard let shared else { throw InternalError("llvm", "a host's task has no thread block") }
            // The work item's shared memory starts at a multiple of 1024.
            let alignment = offset == 0 ? 1024 : min(1024, offset & -offset)
            locals[local.id] = Address(base: module.offset(shared, module.i8, by: module.int64(offset)), dtype: local.dtype,
                                     alignment: alignment, space: .shared)
        }
    }

    // MARK: Loops

    private func emit(_ loop: Loop) throws {
        guard loop.step > 0 else { throw InternalError("llvm", "a loop's step is \(loop.step)") }
        let (lower, upper) = (try lower(loop.lower), try lower(loop.upper))
        guard lower.isUniform, upper.isUniform else { throw InternalError("llvm", "a loop's bounds depend on the lane") }
        if lower.isConstant, upper.isConstant {
            if lower.constant >= upper.constant { return }
            if loop.kind == .unrolled || lower.constant + loop.step >= upper.constant {
                for value in stride(from: lower.constant, to: upper.constant, by: loop.step) {
                    variables[loop.variable] = .constant(value)
                    try emit(loop.body)
                }
                return
            }
        } else if loop.kind == .unrolled { throw InternalError("llvm", "an unrolled loop's bounds are not constant") }
        let bounds = Interval(low: interval(loop.lower).low, high: interval(loop.upper).high.map { $0 - 1 })
        intervals[loop.variable] = bounds
        divisors[loop.variable] = Int.gcd(divisor(loop.lower), loop.step)
        let isCertain = lower.isConstant && upper.isConstant || isLess(loop.lower, loop.upper)
        try serialLoop(variable: loop.variable, from: scalar(lower), to: scalar(upper), step: loop.step, isCertain: isCertain) {
            try self.emit(loop.body)
        }
    }

    /// Whether the loop runs at least once for certain.
    private func isLess(_ lower: Dim, _ upper: Dim) -> Bool { (interval(upper - lower).low ?? 0) > 0 }

    /// `do { body } while (next < upper)`, behind a test of its own where it may not run at all.
    func serialLoop(variable: Int, from lower: LLVMValueRef, to upper: LLVMValueRef, step: Int, isCertain: Bool,
                    body: () throws -> Void) throws {
        let (head, exit) = (module.block("loop", in: function), module.block("done", in: function))
        let before = module.currentBlock
        if isCertain { module.jump(head) } else { module.jump(if: module.compare(LLVMIntSLT, lower, upper), head, else: exit) }
        module.position(at: head)
        let counter = module.phi(module.i64, [(lower, before)])
        depth += 1
        variables[variable] = .uniform(counter, depth: depth)
        try body()
        depth -= 1
        let next = module.indexAdd(counter, module.int64(step))
        let latch = module.currentBlock
        module.jump(if: module.compare(LLVMIntSLT, next, upper), head, else: exit)
        module.addIncoming(counter, [(next, latch)])
        module.position(at: exit)
        variables[variable] = nil
    }

    // MARK: Lanes and branches

    private func emitLanes(_ variable: Int, _ width: Int, _ count: Dim, _ body: [Statement]) throws {
        guard lanes == nil else { throw InternalError("llvm", "lanes inside lanes") }
        guard width > 0, width & (width - 1) == 0 else { throw InternalError("llvm", "\(width) lanes: not a power of two") }
        let number = try lower(count)
        guard number.isUniform else { throw InternalError("llvm", "the count of lanes depends on the lane") }
        if number.isConstant, number.constant <= 0 { return }
        let mask = try activeMask(count: count, width: width)
        variables[variable] = .lane
        intervals[variable] = Interval(low: 0, high: width - 1)
        divisors[variable] = 1
        lanes = Lanes(variable: variable, width: width, mask: mask)
        defer {
            lanes = nil
            variables[variable] = nil
        }
        guard !number.isConstant, (interval(count).low ?? 0) < 1 else { return try emit(body) }
        try guarded(by: module.compare(LLVMIntSGT, scalar(number), module.int64(0))) { try self.emit(body) }
    }

    func guarded(by condition: LLVMValueRef, _ body: () throws -> Void) rethrows {
        let (then, after) = (module.block("then", in: function), module.block("after", in: function))
        module.jump(if: condition, then, else: after)
        module.position(at: then)
        try body()
        module.jump(after)
        module.position(at: after)
    }

    private func emitBranch(_ conditions: [IndexCondition], _ then: [Statement], _ otherwise: [Statement]) throws {
        guard lanes == nil else { throw InternalError("llvm", "a branch inside lanes") }
        let predicate = try predicate(conditions)
        if predicate.isAlways { return try emit(then) }
        guard let condition = predicate.uniform, !predicate.isNever else { return try emit(otherwise) }
        let (yes, no, after) = (module.block("then", in: function), module.block("else", in: function),
                                module.block("after", in: function))
        module.jump(if: condition, yes, else: no)
        for (block, body) in [(yes, then), (no, otherwise)] {
            module.position(at: block)
            try emit(body)
            module.jump(after)
        }
        module.position(at: after)
    }
}
