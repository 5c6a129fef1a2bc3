// One launch of a kernel to a function `void task(void *frame, i64 begin, i64 end, i64 worker)`.
// The frame holds, as the entry filled it in: the workspace's base and each worker's share, the symbols, a base for each buffer that the launch
// uses, in the order of their first use, and the numbers in which launches differ that run the same function.

import CLLVM
import KilnIR
import KilnKernels

/// Where things are in a task's frame, in slots of eight bytes.
enum FrameLayout {
    static let workspace = 0
    static let workspaceStride = 1
    /// The address of the symbols' values.
    static let symbols = 2
    /// The first buffer's base.
    static let buffers = 3
}

/// The variants of a task: `streaming` takes the bases of inputs and outputs to be aligned for vectors.
enum TaskVariant: String {
    case any = ""
    case aligned = "_aligned"
}

struct TaskEmitter {
    let module: Module
    let program: Program
    let target: Target
    let maths: MathsTable

    static func name(_ program: Program, kernel: Int, launch: Int, _ variant: TaskVariant = .any) -> String {
        let words = program.kernels[kernel].name.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" }
        return "\(program.name)_k\(kernel)_\(String(words.prefix(60)))_p\(launch)\(variant.rawValue)"
    }

    static func type(_ module: Module) -> LLVMTypeRef {
        module.functionType(module.void, [module.pointer, module.i64, module.i64, module.i64])
    }

    /// Emits the function of a launch under a name. But for the name, the same statements on the same kinds of buffers give the same code.
    /// - Parameter scalars: the launch's constants that are read from the frame.
    func emit(kernel: Int, launch number: Int, _ variant: TaskVariant, name: String, scalars: [FloatConstant] = []) throws {
        let launch = program.kernels[kernel].launches[number]
        let function = LLVMAddFunction(module.module, name, Self.type(module))!
        LLVMSetVisibility(function, LLVMHiddenVisibility)
        module.addTargetAttributes(target, to: function)
        // The frame is another task's after this one: what is invariant here is not so in the entry.
        module.addAttribute("noinline", to: function)
        for attribute in ["noalias", "nocapture", "readonly"] { module.addAttribute(attribute, to: function, parameter: 0) }

        let entry = module.block("entry", in: function)
        let entryBuilder = LLVMCreateBuilderInContext(module.context)!
        defer { LLVMDisposeBuilder(entryBuilder) }
        LLVMPositionBuilderAtEnd(entryBuilder, entry)
        let frame = FrameReader(module: module, builder: entryBuilder, frame: LLVMGetParam(function, 0), symbols: program.allSymbols)
        let slots = Dictionary(uniqueKeysWithValues: launch.bufferOrder.enumerated().map { ($0.element, $0.offset) })
        let scopes = AliasScopes(module, name: name, buffers: launch.bufferOrder)
        let program = program
        let emitter = FunctionEmitter(module, function, maths: maths, entryBuilder: entryBuilder, entryBlock: entry,
            symbol: { try frame.symbol($0) },
            buffer: { number in
                guard program.buffers.indices.contains(number), let slot = slots[number] else { throw InternalError("llvm", "buffer \(number) does not exist") }
                let buffer = program.buffers[number]
                var place = Address(base: frame.pointer(buffer: slot), dtype: buffer.type.dtype,
                                  alignment: buffer.alignment(variant))
                (place.scope, place.otherScopes) = scopes.nodes(number)
                if case .constant(let literal) = buffer.storage, literal.count == 1 { place.value = literal[0] }
                return place
            })
        for (number, scalar) in scalars.enumerated() {
            emitter.given[scalar] = frame.word(FrameLayout.buffers + slots.count + number, module.type(scalar.dtype))
        }
        emitter.workspace = launch.usesWorkspace ? workspace(frame, LLVMGetParam(function, 3), scopes) : nil
        let start = module.block("units", in: function)
        module.position(at: start)
        try emitWorkItems(launch, emitter, function)
        LLVMBuildRetVoid(module.builder)
        LLVMBuildBr(entryBuilder, start)
    }

    private func emitWorkItems(_ launch: KernelLaunch, _ emitter: FunctionEmitter, _ function: LLVMValueRef) throws {
        emitter.intervals[launch.variable] = Interval(low: 0, high: emitter.interval(launch.workItems).high.map { $0 - 1 })
        emitter.divisors[launch.variable] = 1
        if launch.workItems.constant == 1 {
            emitter.variables[launch.variable] = .constant(0)
            return try emitter.emit(launch.body)
        }
        try emitter.serialLoop(variable: launch.variable, from: LLVMGetParam(function, 1), to: LLVMGetParam(function, 2), step: 1,
                               isCertain: false) { try emitter.emit(launch.body) }
    }

    private func workspace(_ frame: FrameReader, _ worker: LLVMValueRef, _ scopes: AliasScopes) -> Address {
        let offset = LLVMBuildNSWMul(frame.builder, frame.workspaceStride, worker, "")
        var indices: [LLVMValueRef?] = [offset]
        let base = LLVMBuildGEP2(frame.builder, module.i8, frame.workspace, &indices, 1, "")!
        var place = Address(base: base, dtype: .u8, alignment: 64)
        (place.scope, place.otherScopes) = scopes.nodes(AliasScopes.workspace)
        return place
    }
}

/// Reads a task's frame in its entry block.
struct FrameReader {
    let module: Module
    let builder: LLVMBuilderRef
    let frame: LLVMValueRef
    /// The program's, in the order of their values.
    let symbols: [String]

    private func read(_ base: LLVMValueRef, _ slot: Int, _ type: LLVMTypeRef) -> LLVMValueRef {
        var indices: [LLVMValueRef?] = [module.int64(slot)]
        let address = LLVMBuildGEP2(builder, module.i64, base, &indices, 1, "")
        let value = LLVMBuildLoad2(builder, type, address, "")!
        module.setMetadata("invariant.load", module.metadata([LLVMMetadataRef]()), on: value)
        return value
    }

    /// - Parameter number: the buffer's place in the order of their first use.
    func pointer(buffer number: Int) -> LLVMValueRef { read(frame, FrameLayout.buffers + number, module.pointer) }
    /// A number; of a narrow one, the word's first bytes.
    func word(_ slot: Int, _ type: LLVMTypeRef) -> LLVMValueRef { read(frame, slot, type) }
    var workspace: LLVMValueRef { read(frame, FrameLayout.workspace, module.pointer) }
    var workspaceStride: LLVMValueRef { read(frame, FrameLayout.workspaceStride, module.i64) }
    func symbol(_ name: String) throws -> LLVMValueRef {
        guard let number = symbols.firstIndex(of: name) else { throw InternalError("llvm", "the symbol \(name) is not the program's") }
        return read(read(frame, FrameLayout.symbols, module.pointer), number, module.i64)
    }
}

/// Metadata that says that a task's buffers do not overlap.
struct AliasScopes {
    static let workspace = -1
    private var own: [Int: LLVMMetadataRef] = [:]
    private var others: [Int: LLVMMetadataRef] = [:]

    init(_ module: Module, name: String, buffers: [Int]) {
        let numbers = buffers + [Self.workspace]
        let domain = module.metadata([module.metadata(name)])
        var scopes: [Int: LLVMMetadataRef] = [:]
        for (place, number) in numbers.enumerated() { scopes[number] = module.metadata([module.metadata("\(name).\(place)"), domain]) }
        for number in numbers { own[number] = module.metadata([scopes[number]!]) }
        for number in numbers { others[number] = module.metadata(numbers.filter { $0 != number }.map { scopes[$0]! }) }
        // What an access is in is a list of scopes too.
        scopes = scopes.mapValues { module.metadata([$0]) }
    }

    func nodes(_ number: Int) -> (LLVMMetadataRef?, LLVMMetadataRef?) { (own[number], others[number]) }
}

extension Module {
    func addTargetAttributes(_ target: Target, to function: LLVMValueRef) {
        addAttribute("nounwind", to: function)
        addAttribute("target-cpu", target.processor, to: function)
        addAttribute("target-features", target.features, to: function)
        addAttribute("prefer-vector-width", String(target.vectorBytes * 8), to: function)
    }

    /// Gives a function that another calls the same target.
    func copyTargetAttributes(from other: LLVMValueRef, to function: LLVMValueRef) {
        addAttribute("nounwind", to: function)
        for name in ["target-cpu", "target-features", "prefer-vector-width"] {
            let attribute = LLVMGetStringAttributeAtIndex(other, LLVMAttributeIndex.max, name, UInt32(name.utf8.count))
            if let attribute { LLVMAddAttributeAtIndex(function, LLVMAttributeIndex.max, attribute) }
        }
    }
}

extension Buffer {
    /// Whether the memory is not the caller's. (Kernels don't touch words of the status, which are copied.)
    var isOwnMemory: Bool {
        switch storage {
        case .input, .output: false
        case .arena, .status, .constant, .packed: true
        }
    }

    /// Bytes that a task takes the memory to be aligned to. Big constants lie where their file has them.
    fileprivate func alignment(_ variant: TaskVariant) -> Int {
        switch storage {
        case .constant(let literal) where SharedConstants.isShared(literal): 1
        case .arena, .constant, .packed: 64
        case .status: 8
        case .input, .output: variant == .aligned ? 64 : type.dtype.byteCount
        }
    }
}
