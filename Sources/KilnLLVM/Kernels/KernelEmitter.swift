// One launch of a kernel to a GPU's kernel: PTX's, whose parameters are the maps and a word for each buffer and symbol, or the
// emulated grid's, `void kernel(kiln_emulated_thread *, const int64_t *parameters)`.

import CLLVM
import KilnIR
import KilnKernels

struct KernelEmitter {
    let module: Module
    let program: Program
    let target: Target
    /// What the symbols' names start with.
    let prefix: String
    let maths: MathsTable

    /// The most work items of a launch.
    private static let mostWorkItems = 1 << 31 - 1
    /// What LLVM calls the convention of kernels.
    private static let kernelConvention: UInt32 = 71

    static func name(_ prefix: String, _ program: Program, kernel: Int, launch: Int) -> String {
        let words = program.kernels[kernel].name.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" }
        return "\(prefix)_k\(kernel)_\(String(words.prefix(60)))_p\(launch)"
    }

    func emit(kernel: Int, launch number: Int) throws {
        let launch = program.kernels[kernel].launches[number]
        guard let gpu = target.gpu, let threadBlock = launch.threadBlock else {
            throw InternalError("llvm", "kernel \(program.kernels[kernel].name) is not written for a thread block")
        }
        try GPUSupport(gpu).check(launch, of: program.kernels[kernel])
        let name = Self.name(prefix, program, kernel: kernel, launch: number)
        let parameters = KernelParameters(launch, in: program)
        let function = target.isEmulated ? declareEmulated(name) : declarePTX(name, launch, threadBlock, parameters)
        let entry = module.block("entry", in: function)
        let entryBuilder = LLVMCreateBuilderInContext(module.context)!
        defer { LLVMDisposeBuilder(entryBuilder) }
        LLVMPositionBuilderAtEnd(entryBuilder, entry)
        let words = KernelWords(module: module, builder: entryBuilder, function: function, parameters: parameters,
                                mapCount: launch.maps.count, isEmulated: target.isEmulated)
        let scopes = AliasScopes(module, name: name, buffers: launch.bufferOrder)
        let program = program
        let emitter = FunctionEmitter(module, function, maths: maths, entryBuilder: entryBuilder, entryBlock: entry,
            symbol: { try words.symbol($0) },
            buffer: { number in
                guard program.buffers.indices.contains(number) else { throw InternalError("llvm", "buffer \(number) does not exist") }
                let buffer = program.buffers[number]
                var place = Address(base: try words.pointer(buffer: number), dtype: buffer.type.dtype, alignment: buffer.deviceAlignment,
                                  space: .global)
                (place.scope, place.otherScopes) = scopes.nodes(number)
                if case .constant(let literal) = buffer.storage, literal.count == 1 { place.value = literal[0] }
                return place
            })
        let start = module.block("unit", in: function)
        module.position(at: start)
        let (workItem, thread) = prepare(emitter, gpu, function)
        let workItems = emitter.interval(launch.workItems).high.map { min($0, Self.mostWorkItems) } ?? Self.mostWorkItems
        define(launch.variable, workItem, below: workItems, in: emitter)
        define(threadBlock.variable, thread, below: threadBlock.threads, in: emitter)
        emitter.depth = 1
        let (printer, location) = (ProgramPrinter(program), program.kernels[kernel].location.suffix)
        emitter.describe = { "\(printer.text($0))\(location)" }
        emitter.groupSums = launch.groupSums
        try emitter.emit(launch.body)
        LLVMBuildRetVoid(module.builder)
        LLVMBuildBr(entryBuilder, start)
    }

    private func define(_ variable: Int, _ value: LLVMValueRef, below limit: Int, in emitter: FunctionEmitter) {
        emitter.intervals[variable] = Interval(low: 0, high: max(limit - 1, 0))
        emitter.divisors[variable] = 1
        emitter.variables[variable] = limit == 1 ? .constant(0) : .uniform(value, depth: 0)
    }

    /// The work item's and the thread's number, and the shared memory.
    private func prepare(_ emitter: FunctionEmitter, _ gpu: GPU, _ function: LLVMValueRef) -> (workItem: LLVMValueRef, thread: LLVMValueRef) {
        if target.isEmulated {
            emitter.dialect = .emulated(gpu)
            emitter.shared = emitter.emulator("shared", module.pointer, [])
            return (emitter.emulator("block", module.i64, []), emitter.emulator("thread", module.i64, []))
        }
        emitter.dialect = .ptx(gpu)
        emitter.shared = module.sharedMemory
        func register(_ name: String) -> LLVMValueRef {
            let value = module.zext(module.intrinsic("llvm.nvvm.read.ptx.sreg.\(name).x", [], []), module.i64)
            if LLVMIsAZExtInst(value) != nil { LLVMSetNNeg(value, 1) }
            return value
        }
        return (register("ctaid"), register("tid"))
    }

    // MARK: Functions

    private func declareEmulated(_ name: String) -> LLVMValueRef {
        let function = LLVMAddFunction(module.module, name, module.functionType(module.void, [module.pointer, module.pointer]))!
        LLVMSetVisibility(function, LLVMHiddenVisibility)
        module.addTargetAttributes(target, to: function)
        for attribute in ["noalias", "nocapture", "readonly"] { module.addAttribute(attribute, to: function, parameter: 1) }
        return function
    }

    private func declarePTX(_ name: String, _ launch: KernelLaunch, _ threadBlock: ThreadBlock, _ parameters: KernelParameters) -> LLVMValueRef {
        let types = launch.maps.map { _ in module.pointer } + parameters.buffers.map { _ in module.globalPointer } + parameters.symbols.map { _ in module.i64 }
        let function = LLVMAddFunction(module.module, name, module.functionType(module.void, types))!
        LLVMSetFunctionCallConv(function, Self.kernelConvention)
        for attribute in ["nounwind", "convergent"] { module.addAttribute(attribute, to: function) }
        module.addAttribute("target-cpu", target.processor, to: function)
        module.addAttribute("target-features", target.features, to: function)
        annotate(function, "kernel", 1)
        annotate(function, "maxntidx", threadBlock.threads)
        annotate(function, "minctasm", threadBlock.resident)
        let map = LLVMArrayType2(module.i8, 128)!
        for position in launch.maps.indices {
            module.addTypeAttribute("byval", map, to: function, parameter: position)
            module.addAttribute("align", value: 64, to: function, parameter: position)
        }
        if !launch.maps.isEmpty {
            let positions = module.metadata(launch.maps.indices.map { LLVMValueAsMetadata(module.integer(module.i32, $0 + 1)) })
            annotate(function, "grid_constant", positions)
        }
        for (position, number) in parameters.buffers.enumerated() {
            let parameter = launch.maps.count + position
            module.addAttribute("noalias", to: function, parameter: parameter)
            module.addAttribute("align", value: UInt64(program.buffers[number].deviceAlignment), to: function, parameter: parameter)
            if !parameters.written.contains(number) { module.addAttribute("readonly", to: function, parameter: parameter) }
        }
        return function
    }

    private func annotate(_ function: LLVMValueRef, _ name: String, _ value: Int) {
        annotate(function, name, LLVMValueAsMetadata(module.integer(module.i32, value)))
    }

    private func annotate(_ function: LLVMValueRef, _ name: String, _ value: LLVMMetadataRef) {
        let node = module.metadata([LLVMValueAsMetadata(function), module.metadata(name), value])
        LLVMAddNamedMetadataOperand(module.module, "nvvm.annotations", LLVMMetadataAsValue(module.context, node))
    }
}

/// Reads a kernel's parameters in its entry block.
struct KernelWords {
    let module: Module
    let builder: LLVMBuilderRef
    let function: LLVMValueRef
    let parameters: KernelParameters
    let mapCount: Int
    let isEmulated: Bool

    private func word(_ number: Int, _ type: LLVMTypeRef) -> LLVMValueRef {
        guard isEmulated else { return LLVMGetParam(function, UInt32(mapCount + number)) }
        var indices: [LLVMValueRef?] = [module.int64(number)]
        let value = LLVMBuildLoad2(builder, type, LLVMBuildGEP2(builder, module.i64, LLVMGetParam(function, 1), &indices, 1, ""), "")!
        module.setMetadata("invariant.load", module.metadata([LLVMMetadataRef]()), on: value)
        return value
    }

    func pointer(buffer: Int) throws -> LLVMValueRef {
        guard let position = parameters.buffers.firstIndex(of: buffer) else { throw InternalError("llvm", "buffer \(buffer) is not a parameter of the kernel") }
        return word(position, module.pointer)
    }

    func symbol(_ name: String) throws -> LLVMValueRef {
        guard let position = parameters.symbols.firstIndex(of: name) else { throw InternalError("llvm", "the symbol \(name) is not a parameter of the kernel") }
        return word(parameters.buffers.count + position, module.i64)
    }
}

extension Module {
    var globalPointer: LLVMTypeRef { LLVMPointerTypeInContext(context, UInt32(AddressSpace.global.rawValue)) }

    /// A work item's shared memory, whose size each launch gives.
    var sharedMemory: LLVMValueRef {
        let name = "kiln_shared"
        if let known = LLVMGetNamedGlobal(module, name) { return known }
        let memory = LLVMAddGlobalInAddressSpace(module, LLVMArrayType2(i8, 0), name, UInt32(AddressSpace.shared.rawValue))!
        LLVMSetAlignment(memory, 1024)
        return memory
    }
}

extension Buffer {
    /// What the buffer's address on a device is a multiple of for certain; see kiln_abi.h.
    var deviceAlignment: Int {
        switch storage {
        case .status: 8
        case .input, .output: 16
        case .arena, .constant, .packed: 64
        }
    }
}
