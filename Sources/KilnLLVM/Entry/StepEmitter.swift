// A program's steps in the host's code: what entries for the CPU and for devices have in common.

import CLLVM
import KilnIR
import KilnKernels

protocol StepEmitter {
    var module: Module { get }
    var program: Program { get }
    /// The texts of checks, without repetitions.
    var messages: Messages { get }
    var function: LLVMValueRef { get }
    /// Lowers sizes.
    var emitter: FunctionEmitter { get }
    var addresses: BufferAddresses { get }

    func launch(_ kernel: Int) throws
    func copy(_ from: Int, _ to: Int) throws
    /// The first element of a buffer, a bool.
    func truth(_ buffer: Int) throws -> LLVMValueRef
    /// The first element of a buffer, an i64.
    func number(_ buffer: Int) throws -> LLVMValueRef
    /// Makes a data-dependent symbol's value known to the call and to its kernels.
    func announce(_ value: LLVMValueRef, symbol: Int)
}

extension StepEmitter {
    /// Emits an entry for the host: `make` reads what the call holds in the function's first block, and the steps follow.
    static func emit(_ module: Module, _ program: Program, _ host: Target, name: String,
                     _ make: (LLVMValueRef, LLVMBuilderRef, LLVMBasicBlockRef) throws -> Self) throws -> LLVMValueRef {
        let function = LLVMAddFunction(module.module, name, module.functionType(module.i32, [module.pointer]))!
        LLVMSetVisibility(function, LLVMHiddenVisibility)
        module.addTargetAttributes(host, to: function)
        let entryBuilder = LLVMCreateBuilderInContext(module.context)!
        defer { LLVMDisposeBuilder(entryBuilder) }
        let block = module.block("entry", in: function)
        LLVMPositionBuilderAtEnd(entryBuilder, block)
        let start = module.block("start", in: function)
        module.position(at: start)
        let entry = try make(function, entryBuilder, block)
        try entry.run(program.steps)
        LLVMBuildRet(module.builder, LLVMConstNull(module.i32))
        LLVMBuildBr(entryBuilder, start)
        return function
    }

    /// What lowers sizes in an entry, from the symbols' values.
    static func sizes(_ module: Module, _ program: Program, _ function: LLVMValueRef, _ entryBuilder: LLVMBuilderRef,
                      _ block: LLVMBasicBlockRef, _ symbols: [LLVMValueRef]) -> FunctionEmitter {
        let numbers = Dictionary(program.symbols.enumerated().map { ($0.element, $0.offset) }, uniquingKeysWith: { first, _ in first })
        return FunctionEmitter(module, function, entryBuilder: entryBuilder, entryBlock: block, symbol: { name in
            guard let number = numbers[name] else { throw InternalError("llvm", "the symbol \(name) is not known here") }
            return symbols[number]
        }, buffer: { _ in throw InternalError("llvm", "the entry reads no buffers") })
    }

    func run(_ steps: [Step]) throws {
        for step in steps { try run(step) }
    }

    private func run(_ step: Step) throws {
        switch step {
        case .launch(let number):
            guard program.kernels.indices.contains(number) else { throw InternalError("llvm", "kernel \(number) does not exist") }
            try launch(number)
        case .copy(let from, let to): try copy(from, to)
        case .exchange(let one, let other): try addresses.exchange(one, other)
        case .measure(let symbol, let source, let limit): try measure(symbol, source, limit)
        case .check(let condition, let message): try check(condition, message)
        case .branch(let condition, let then, let otherwise):
            let (yes, no, after) = (block("then"), block("else"), block("after"))
            module.jump(if: try truth(condition), yes, else: no)
            for (block, body) in [(yes, then), (no, otherwise)] {
                module.position(at: block)
                try runInside(body)
                module.jump(after)
            }
            module.position(at: after)
        case .loop(let test, let condition, let body):
            let (head, round, after) = (block("test"), block("round"), block("after"))
            module.jump(head)
            module.position(at: head)
            try runInside(test)
            module.jump(if: try truth(condition), round, else: after)
            module.position(at: round)
            try runInside(body)
            module.jump(head)
            module.position(at: after)
        }
    }

    /// What is measured inside is not known after.
    private func runInside(_ steps: [Step]) throws {
        let known = emitter.dataDependent
        try run(steps)
        emitter.dataDependent = known
    }

    private func measure(_ symbol: String, _ source: Int, _ limit: Dim) throws {
        guard let position = program.allSymbols.firstIndex(of: symbol) else { throw InternalError("llvm", "the symbol \(symbol) is not the program's") }
        let count = module.intrinsic("llvm.smax", [module.i64], [try number(source), module.int64(0)])
        let value = module.intrinsic("llvm.smin", [module.i64], [count, try emitter.scalar(limit)])
        emitter.dataDependent[symbol] = value
        announce(value, symbol: position)
    }

    /// Where a buffer is right now.
    func base(_ buffer: Int) throws -> LLVMValueRef { try addresses.address(of: buffer) }

    func block(_ name: String) -> LLVMBasicBlockRef { module.block(name, in: function) }

    private func check(_ condition: IndexCondition, _ message: String) throws {
        let value = emitter.emitted(try emitter.predicate([condition])).value
        let (failed, passed) = (block("failed"), block("passed"))
        module.jump(if: value, passed, else: failed)
        module.position(at: failed)
        LLVMBuildRet(module.builder, module.integer(module.i32, 1 + (messages.number(of: message) ?? 0)))
        module.position(at: passed)
    }
}
