// The state in which one LLVM function is emitted: what variables, symbols, memories and values stand for right now.
// The aspects are beside it: +Index (Dim → addresses), +Access (loads, stores), +Scalar (arithmetic), +Statement (control).

import CLLVM
import KilnIR
import KilnKernels

/// An SSA value of a kernel as LLVM has it: a scalar, or a vector with one element for each lane.
struct Emitted {
    var value: LLVMValueRef
    var dtype: DType
    /// 0 for a scalar, which is the same in all lanes.
    var lanes: Int
}

/// What an index variable stands for.
enum Variable {
    case constant(Int)
    /// The same in all lanes; `depth` counts the loops around it.
    case uniform(LLVMValueRef, depth: Int)
    /// The lane's number.
    case lane
    /// An i64 vector.
    case varying(LLVMValueRef)
    /// An expression that was computed before, with its strides.
    case position(Index)
}

/// An index expression that a value holds.
struct Position {
    var index: Index
    var interval: Interval
    var divisor: Int
}

/// What a memory is: where it starts, of which elements.
struct Address {
    var base: LLVMValueRef
    var dtype: DType
    /// Bytes that the base is aligned to for certain.
    var alignment: Int
    /// The number of elements of a local on the stack; nil for other memories.
    var stackCount: Int?
    /// What tells LLVM that different buffers do not overlap; nil for locals on the stack, where it knows.
    var scope: LLVMMetadataRef?
    var otherScopes: LLVMMetadataRef?
    /// The element, where the memory is one constant.
    var value: Scalar?
    var space = AddressSpace.generic

    /// Bytes that each element is aligned to for certain.
    var elementAlignment: Int { min(alignment, dtype.byteCount) }
}

/// The lanes being emitted.
struct Lanes {
    var variable: Int
    var width: Int
    /// Which lanes are there; nil for all of them.
    var mask: LLVMValueRef?
}

/// Emits the body of one function. Used for a kernel's tasks, for kernels of GPUs and, without memories, for the program's entry.
final class FunctionEmitter {
    let module: Module
    let function: LLVMValueRef
    let maths: MathsTable
    /// Emits into the entry block, which is closed last: allocas and what never changes.
    let entryBuilder: LLVMBuilderRef
    let entryBlock: LLVMBasicBlockRef

    var variables: [Int: Variable] = [:]
    var intervals: [Int: Interval] = [:]
    /// A number that divides the variable's every value; for the alignment of addresses.
    var divisors: [Int: Int] = [:]
    var values: [ValueNumber: Emitted] = [:]
    /// The values that are index expressions, so that variables bound to them keep what is known of them.
    var positions: [ValueNumber: Position] = [:]
    var locals: [Int: Address] = [:]
    var lanes: Lanes?
    var depth = 0
    /// Where the running worker's scratch starts; nil outside tasks.
    var workspace: Address?
    var dialect = Dialect.host
    /// Where a work item's shared memory starts; nil outside of thread blocks.
    var shared: LLVMValueRef?
    /// What the emulator says of the statement being emitted, should it find fault with it.
    var describe: ((Statement) -> String)?
    var statement: Statement?
    /// The locals that four warps sum products in; those of each group of products in flight, in the order of emission; and of the open one.
    var groupSums: Set<Int> = []
    var groups: [Set<Int>] = []
    var openGroup: Set<Int> = []

    /// The constants that the function is given.
    var given: [FloatConstant: LLVMValueRef] = [:]
    private var knownSymbols: [String: LLVMValueRef] = [:]
    /// The values of symbols that the code being emitted has measured.
    var dataDependent: [String: LLVMValueRef] = [:]
    private let loadSymbol: (String) throws -> LLVMValueRef
    private let loadBuffer: (Int) throws -> Address
    private var knownBuffers: [Int: Address] = [:]
    private var fillSlots: [LLVMTypeRef: LLVMValueRef] = [:]

    /// `symbol` and `buffer` emit into the entry block, at most once each.
    init(_ module: Module, _ function: LLVMValueRef, maths: MathsTable = MathsTable(),
         entryBuilder: LLVMBuilderRef, entryBlock: LLVMBasicBlockRef,
         symbol: @escaping (String) throws -> LLVMValueRef, buffer: @escaping (Int) throws -> Address) {
        self.module = module
        self.function = function
        self.maths = maths
        self.entryBuilder = entryBuilder
        self.entryBlock = entryBlock
        loadSymbol = symbol
        loadBuffer = buffer
    }

    func symbol(_ name: String) throws -> LLVMValueRef {
        if let known = dataDependent[name] ?? knownSymbols[name] { return known }
        let value = try loadSymbol(name)
        knownSymbols[name] = value
        return value
    }

    func place(_ memory: Memory) throws -> Address {
        switch memory {
        case .local(let id):
            guard let place = locals[id] else { throw InternalError("llvm", "local \(id) is not declared where it is used") }
            return place
        case .buffer(let number):
            if let known = knownBuffers[number] { return known }
            let place = try loadBuffer(number)
            knownBuffers[number] = place
            return place
        }
    }

    func value(_ number: ValueNumber) throws -> Emitted {
        guard let value = values[number] else { throw InternalError("llvm", "value \(number) is not defined where it is used") }
        return value
    }

    /// Memory of the function's own for `count` elements.
    func stackMemory(_ element: LLVMTypeRef, count: Int, alignment: Int) -> LLVMValueRef {
        let slot = LLVMBuildAlloca(entryBuilder, LLVMArrayType2(element, UInt64(max(count, 1))), "")!
        LLVMSetAlignment(slot, UInt32(alignment))
        return slot
    }

    /// A slot to read from in place of an element that is not there.
    func fillSlot(_ element: LLVMTypeRef) -> LLVMValueRef {
        if let known = fillSlots[element] { return known }
        let slot = stackMemory(element, count: 1, alignment: 8)
        LLVMBuildStore(entryBuilder, LLVMConstNull(element), slot)
        fillSlots[element] = slot
        return slot
    }

    /// The value in as many lanes; a scalar is spread.
    func spread(_ value: Emitted, _ lanes: Int) -> LLVMValueRef {
        value.lanes == lanes || lanes == 0 ? value.value : module.splat(value.value, lanes)
    }
}
