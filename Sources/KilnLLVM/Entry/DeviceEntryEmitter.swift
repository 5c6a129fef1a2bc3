// A device program's entry, `i32 …_entry(const kiln_device_call *)`: the host's code that computes sizes and addresses, and
// starts a kernel for each launch. Returns 0, 1 + the number of the message of the check that failed, or minus a status.

import CLLVM
import KilnIR
import KilnKernels

/// The offsets of `kiln_device_call`'s fields, in slots of eight bytes.
private enum DeviceCallField: Int, CaseIterable {
    case inputs, outputs, symbols, arena, constants, device, launch, copy, read, status
}

struct DeviceEntryEmitter: StepEmitter {
    let module: Module
    let program: Program
    let messages: Messages
    let function: LLVMValueRef
    let emitter: FunctionEmitter
    private let fields: [LLVMValueRef]
    let addresses: BufferAddresses
    /// By kernel, the number of its first launch among all.
    private let firstLaunches: [Int]
    private let entryBuilder: LLVMBuilderRef
    /// Memory for what functions of the call are given: parameters, maps, a launch, and what is read.
    private let (parameters, maps, launchRecord, answer): (LLVMValueRef, LLVMValueRef, LLVMValueRef, LLVMValueRef)

    /// Slots of eight bytes of a `kiln_tensor_map`.
    private static let mapSlots = 15

    /// Emits all of the function for the host.
    static func emit(_ module: Module, _ program: Program, host: Target, prefix: String, messages: Messages) throws -> LLVMValueRef {
        try emit(module, program, host, name: "\(prefix)_entry") { try DeviceEntryEmitter(module, program, messages, $0, $1, $2) }
    }

    private init(_ module: Module, _ program: Program, _ messages: Messages, _ function: LLVMValueRef, _ entryBuilder: LLVMBuilderRef,
                 _ block: LLVMBasicBlockRef) throws {
        (self.module, self.program, self.messages, self.function, self.entryBuilder) = (module, program, messages, function, entryBuilder)
        func read(_ base: LLVMValueRef, _ slot: Int, _ type: LLVMTypeRef) -> LLVMValueRef {
            var indices: [LLVMValueRef?] = [module.int64(slot)]
            return LLVMBuildLoad2(entryBuilder, type, LLVMBuildGEP2(entryBuilder, module.i64, base, &indices, 1, ""), "")!
        }
        let fields = DeviceCallField.allCases.map { read(LLVMGetParam(function, 0), $0.rawValue, module.pointer) }
        let symbols = program.symbols.indices.map { read(fields[DeviceCallField.symbols.rawValue], $0, module.i64) }
        let emitter = Self.sizes(module, program, function, entryBuilder, block, symbols)
        var constants = 0, checked = 0
        let bases: [LLVMValueRef] = try program.buffers.map { buffer in
            switch buffer.storage {
            case .input(let i): return read(fields[DeviceCallField.inputs.rawValue], i, module.pointer)
            case .output(let i): return read(fields[DeviceCallField.outputs.rawValue], i, module.pointer)
            case .status:
                defer { checked += 1 }
                return module.offset(fields[DeviceCallField.status.rawValue], module.i64, by: module.int64(checked))
            case .arena(let offset): return module.offset(fields[DeviceCallField.arena.rawValue], module.i8, by: try emitter.scalar(offset))
            case .constant, .packed:
                defer { constants += 1 }
                return read(fields[DeviceCallField.constants.rawValue], constants, module.pointer)
            }
        }
        (self.fields, self.emitter) = (fields, emitter)
        addresses = try BufferAddresses(module, program, makeVariable: { emitter.stackMemory(module.i64, count: 1, alignment: 8) }) { bases[$0] }
        var launchCount = 0
        firstLaunches = program.kernels.map { kernel in
            defer { launchCount += kernel.launches.count }
            return launchCount
        }
        let launches = program.kernels.flatMap(\.launches)
        let words = launches.map { KernelParameters($0, in: program).count }.max() ?? 0
        parameters = emitter.stackMemory(module.i64, count: words, alignment: 8)
        maps = emitter.stackMemory(module.i64, count: (launches.map(\.maps.count).max() ?? 0) * Self.mapSlots, alignment: 8)
        launchRecord = emitter.stackMemory(module.i64, count: 4, alignment: 8)
        answer = emitter.stackMemory(module.i64, count: 1, alignment: 8)
    }

    private func field(_ field: DeviceCallField) -> LLVMValueRef { fields[field.rawValue] }

    /// Calls a function of the call with the device and so on; anything but 0 ends the call.
    private func perform(_ function: DeviceCallField, _ arguments: [LLVMValueRef]) {
        let all = [field(.device)] + arguments
        let status = module.call(field(function), module.functionType(module.i32, all.map { LLVMTypeOf($0) }), all)
        let (failed, done) = (block("failed"), block("done"))
        module.jump(if: module.compare(LLVMIntEQ, status, LLVMConstNull(module.i32)), done, else: failed)
        module.position(at: failed)
        LLVMBuildRet(module.builder, LLVMBuildNeg(module.builder, status, ""))
        module.position(at: done)
    }

    // MARK: Steps

    func truth(_ buffer: Int) throws -> LLVMValueRef {
        perform(.read, [answer, try base(buffer), module.int64(1)])
        return module.compare(LLVMIntNE, module.load(module.i8, answer, alignment: 1), LLVMConstNull(module.i8))
    }

    func number(_ buffer: Int) throws -> LLVMValueRef {
        perform(.read, [answer, try base(buffer), module.int64(8)])
        return module.load(module.i64, answer, alignment: 8)
    }

    func announce(_ value: LLVMValueRef, symbol: Int) { write(field(.symbols), symbol * 8, value) }

    func copy(_ from: Int, _ to: Int) throws {
        perform(.copy, [try base(to), try base(from), try emitter.scalar(program.buffers[to].type.byteCount)])
    }

    func launch(_ kernel: Int) throws {
        for (number, launch) in program.kernels[kernel].launches.enumerated() {
            let workItems = try emitter.scalar(launch.workItems)
            let (start, after) = (block("launch"), block("launched"))
            module.jump(if: module.compare(LLVMIntSGT, workItems, module.int64(0)), start, else: after)
            module.position(at: start)
            try fillParameters(KernelParameters(launch, in: program))
            for (position, map) in launch.maps.enumerated() { try fill(map, position * Self.mapSlots * 8) }
            for (slot, value) in [module.int64(firstLaunches[kernel] + number), workItems, parameters, maps].enumerated() { write(launchRecord, slot * 8, value) }
            perform(.launch, [launchRecord])
            module.jump(after)
            module.position(at: after)
        }
    }

    private func write(_ memory: LLVMValueRef, _ byte: Int, _ value: LLVMValueRef) {
        module.store(value, module.offset(memory, module.i8, by: module.int64(byte)), alignment: byte % 8 == 0 ? 8 : 4)
    }

    private func fillParameters(_ list: KernelParameters) throws {
        for (slot, buffer) in list.buffers.enumerated() { write(parameters, slot * 8, try base(buffer)) }
        for (slot, name) in list.symbols.enumerated() {
            write(parameters, (list.buffers.count + slot) * 8, try emitter.symbol(name))
        }
    }

    /// A kiln_tensor_map, whose axes go from the innermost on.
    private func fill(_ map: TensorMap, _ start: Int) throws {
        let dtype = program.buffers[map.buffer].type.dtype
        let size = Dim.constant(dtype.byteCount)
        func number(_ value: Int) -> LLVMValueRef { module.integer(module.i32, value) }
        write(maps, start, module.offset(try base(map.buffer), module.i8, by: try emitter.scalar(map.offset * size)))
        write(maps, start + 8, number(Int(dtype.rawValue)))
        write(maps, start + 12, number(map.sizes.count))
        for (axis, length) in map.sizes.reversed().enumerated() { write(maps, start + 16 + axis * 8, try emitter.scalar(length)) }
        for (axis, stride) in map.strides.reversed().enumerated() { write(maps, start + 56 + axis * 8, try emitter.scalar(stride * size)) }
        for (axis, length) in map.box.reversed().enumerated() { write(maps, start + 96 + axis * 4, number(length)) }
        write(maps, start + 116, number(map.swizzle))
    }
}
