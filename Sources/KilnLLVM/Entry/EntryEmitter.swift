// The program's entry, `i32 NAME_entry(const kiln_call *)`: runs the steps on the calling thread, with a frame for each task.
// Returns 0, or 1 + the number of the message of the check that failed.

import CLLVM
import KilnIR
import KilnKernels

/// The offsets of `kiln_call`'s fields, in slots of eight bytes.
private enum CallField: Int {
    case inputs, outputs, symbols, arena, pool, parallel, workers, status
}

struct EntryEmitter: StepEmitter {
    let module: Module
    let program: Program
    let target: Target
    /// The texts of checks, without repetitions.
    let messages: Messages
    let function: LLVMValueRef
    private let tasks: SharedTasks
    /// What a task is given; filled anew before each.
    private let frame: LLVMValueRef
    /// The symbols' values, for all tasks.
    private let values: LLVMValueRef
    private let fields: [LLVMValueRef]
    let addresses: BufferAddresses
    let emitter: FunctionEmitter
    /// Whether the memory of all inputs and outputs is aligned for vectors; nil where no task asks.
    private let isAligned: LLVMValueRef?

    static func name(_ program: Program) -> String { "\(program.name)_entry" }

    /// Emits all of the function.
    static func emit(_ module: Module, _ program: Program, _ target: Target, _ build: Build, _ tasks: SharedTasks) throws -> LLVMValueRef {
        try emit(module, program, target, name: name(program)) { try EntryEmitter(module, program, target, build, tasks, $0, $1, $2) }
    }

    private init(_ module: Module, _ program: Program, _ target: Target, _ build: Build, _ tasks: SharedTasks, _ function: LLVMValueRef,
                 _ entryBuilder: LLVMBuilderRef, _ block: LLVMBasicBlockRef) throws {
        (self.module, self.program, self.target, self.messages, self.function) = (module, program, target, build.messages, function)
        self.tasks = tasks
        func words(_ count: Int, _ name: String) -> LLVMValueRef {
            let memory = LLVMBuildAlloca(entryBuilder, LLVMArrayType2(module.i64, UInt64(count)), name)!
            LLVMSetAlignment(memory, 64)
            return memory
        }
        frame = words(FrameLayout.buffers + tasks.mostWords, "frame")
        values = words(max(program.allSymbols.count, 1), "symbols")
        let call = LLVMGetParam(function, 0)!
        func read(_ base: LLVMValueRef, _ slot: Int, _ type: LLVMTypeRef) -> LLVMValueRef {
            var indices: [LLVMValueRef?] = [module.int64(slot)]
            return LLVMBuildLoad2(entryBuilder, type, LLVMBuildGEP2(entryBuilder, module.i64, base, &indices, 1, ""), "")!
        }
        let fields = (0...CallField.status.rawValue).map {
            read(call, $0, $0 == CallField.workers.rawValue ? module.i64 : module.pointer)
        }
        self.fields = fields
        let symbols = program.symbols.indices.map { read(fields[CallField.symbols.rawValue], $0, module.i64) }
        let emitter = Self.sizes(module, program, function, entryBuilder, block, symbols)
        self.emitter = emitter
        addresses = try BufferAddresses(module, program, makeVariable: { words(1, "address") },
                                        first: Self.addresses(module, program, build.constants, fields, emitter))
        isAligned = tasks.streams ? Self.alignment(module, program, fields) : nil
        try fillFrame(symbols)
    }

    private static func alignment(_ module: Module, _ program: Program, _ fields: [LLVMValueRef]) -> LLVMValueRef {
        var bits = module.int64(0)
        for buffer in program.buffers {
            let base: LLVMValueRef? = switch buffer.storage {
            case .input(let i): read(module, fields[CallField.inputs.rawValue], i)
            case .output(let i): read(module, fields[CallField.outputs.rawValue], i)
            case .arena, .constant, .packed, .status: nil
            }
            if let base { bits = module.or(bits, LLVMBuildPtrToInt(module.builder, base, module.i64, "")) }
        }
        return module.compare(LLVMIntEQ, module.and(bits, module.int64(63)), module.int64(0))
    }

    /// The address in a table's slot.
    private static func read(_ module: Module, _ table: LLVMValueRef, _ slot: Int) -> LLVMValueRef {
        module.load(module.pointer, module.offset(table, module.pointer, by: module.int64(slot)), alignment: 8)
    }

    private func write(_ value: LLVMValueRef, _ memory: LLVMValueRef, _ slot: Int) {
        module.store(value, module.offset(memory, module.i64, by: module.int64(slot)), alignment: 8)
    }

    /// Writes what is the same for all tasks.
    private func fillFrame(_ symbols: [LLVMValueRef]) throws {
        for (number, value) in symbols.enumerated() { write(value, values, number) }
        let arena = fields[CallField.arena.rawValue]
        write(module.offset(arena, module.i8, by: try emitter.scalar(program.arenaSize.roundedUp(to: 64))), frame, FrameLayout.workspace)
        write(try emitter.scalar(program.workspaceSize.roundedUp(to: 64)), frame, FrameLayout.workspaceStride)
        write(values, frame, FrameLayout.symbols)
    }

    // MARK: Steps

    /// What finds a buffer's first address, anew at each use: thousands that are kept from the function's start would not fit into registers.
    private static func addresses(_ module: Module, _ program: Program, _ constants: SharedConstants, _ fields: [LLVMValueRef],
                                  _ emitter: FunctionEmitter) -> (Int) throws -> LLVMValueRef {
        let checks = program.buffers.indices.filter { if case .status = program.buffers[$0].storage { true } else { false } }
        // The word of a call's status that each buffer of index checks is.
        let words = Dictionary(uniqueKeysWithValues: checks.enumerated().map { ($0.element, $0.offset) })
        return { number in
            switch program.buffers[number].storage {
            case .input(let i): return read(module, fields[CallField.inputs.rawValue], i)
            case .output(let i): return read(module, fields[CallField.outputs.rawValue], i)
            case .status: return module.offset(fields[CallField.status.rawValue], module.i64, by: module.int64(words[number] ?? 0))
            case .arena(let offset): return module.offset(fields[CallField.arena.rawValue], module.i8, by: try emitter.scalar(offset))
            case .constant, .packed:
                if let shared = constants.number(of: number, in: program) { return read(module, module.externalData(constants.table), shared) }
                guard case .constant(let literal) = program.buffers[number].storage, !SharedConstants.isShared(literal) else {
                    return LLVMConstNull(module.pointer)
                }
                let name = "\(program.name)_c\(number)"
                return LLVMGetNamedGlobal(module.module, name) ?? module.constantMemory(name, literal.bytes)
            }
        }
    }

    func truth(_ buffer: Int) throws -> LLVMValueRef {
        module.compare(LLVMIntNE, module.load(module.i8, try base(buffer), alignment: 1), LLVMConstNull(module.i8))
    }

    func number(_ buffer: Int) throws -> LLVMValueRef { module.load(module.i64, try base(buffer), alignment: 8) }

    func announce(_ value: LLVMValueRef, symbol: Int) {
        write(value, values, symbol)
        write(value, fields[CallField.symbols.rawValue], symbol)
    }

    func copy(_ from: Int, _ to: Int) throws {
        let (source, target) = (try base(from), try base(to))
        LLVMBuildMemCpy(module.builder, target, 1, source, 1, try emitter.scalar(program.buffers[to].type.byteCount))
    }

    func launch(_ number: Int) throws {
        let type = TaskEmitter.type(module)
        for (launch, content) in program.kernels[number].launches.enumerated() {
            if !program.dataDependent.isEmpty { for name in KernelParameters(content, in: program).symbols { _ = try emitter.symbol(name) } }
            let survey = tasks.survey(kernel: number, launch: launch)
            for (slot, buffer) in survey.buffers.enumerated() { write(try base(buffer), frame, FrameLayout.buffers + slot) }
            for (slot, scalar) in tasks.scalars(kernel: number, launch: launch).enumerated() {
                write(module.int64(Int(bitPattern: UInt(scalar.bits))), frame, FrameLayout.buffers + survey.buffers.count + slot)
            }
            var task = reference(number, launch, .any)
            if survey.streams, let isAligned {
                task = module.select(isAligned, reference(number, launch, .aligned), task)
            }
            if content.workItems == 1 {
                _ = module.call(task, type, [frame, module.int64(0), module.int64(1), module.int64(0)])
                continue
            }
            let parallelType = module.functionType(module.void, [module.pointer, module.pointer, module.pointer, module.i64, module.i64])
            _ = module.call(fields[CallField.parallel.rawValue], parallelType,
                            [fields[CallField.pool.rawValue], task, frame, try emitter.scalar(content.workItems), try emitter.scalar(content.work)])
        }
    }

    private func reference(_ kernel: Int, _ launch: Int, _ variant: TaskVariant) -> LLVMValueRef {
        // Not hidden here, only where it is defined: in this process the two may be too far apart for a direct call.
        module.external(tasks.name(kernel: kernel, launch: launch, variant), TaskEmitter.type(module))
    }
}
