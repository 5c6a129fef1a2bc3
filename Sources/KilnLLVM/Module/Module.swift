// One LLVM module with its own context and builder, and the few spellings of instructions that the emitter is written in.
// In: calls of the emitter. Out: a module for Passes.swift; everything is released with the object.

import CLLVM
import KilnIR

/// An LLVM module under construction. Not thread-safe; different modules may be built on different threads.
final class Module {
    let context: LLVMContextRef
    let module: LLVMModuleRef
    let builder: LLVMBuilderRef
    private var intrinsics: [String: (function: LLVMValueRef, type: LLVMTypeRef)] = [:]
    private var metadataKinds: [String: UInt32] = [:]
    /// Constant texts by what they say.
    var texts: [String: LLVMValueRef] = [:]

    let void, i1, i8, i16, i32, i64, half, float, double, pointer: LLVMTypeRef

    init(name: String, target: MachineDescription) {
        context = LLVMContextCreate()
        module = LLVMModuleCreateWithNameInContext(name, context)
        builder = LLVMCreateBuilderInContext(context)
        LLVMSetTarget(module, target.triple)
        LLVMSetDataLayout(module, target.dataLayout)
        void = LLVMVoidTypeInContext(context)
        i1 = LLVMInt1TypeInContext(context)
        i8 = LLVMInt8TypeInContext(context)
        i16 = LLVMInt16TypeInContext(context)
        i32 = LLVMInt32TypeInContext(context)
        i64 = LLVMInt64TypeInContext(context)
        half = LLVMHalfTypeInContext(context)
        float = LLVMFloatTypeInContext(context)
        double = LLVMDoubleTypeInContext(context)
        pointer = LLVMPointerTypeInContext(context, 0)
    }

    deinit {
        LLVMDisposeBuilder(builder)
        LLVMDisposeModule(module)
        LLVMContextDispose(context)
    }

    /// The text of the whole module.
    var text: String {
        guard let raw = LLVMPrintModuleToString(module) else { return "" }
        defer { LLVMDisposeMessage(raw) }
        return String(cString: raw)
    }

    // MARK: Types and constants

    /// The type of values of a dtype: bool is i1, and floats narrower than f32 are their bits.
    func type(_ dtype: DType, lanes: Int = 0) -> LLVMTypeRef {
        let scalar = switch dtype {
        case .bool: i1
        case .i8, .u8, .f8e4m3, .f8e5m2: i8
        case .i16, .u16, .f16, .bf16: i16
        case .i32, .u32: i32
        case .i64, .u64: i64
        case .f32: float
        case .f64: double
        }
        return vector(scalar, lanes)
    }

    /// The type in memory: like that of values, but a bool is a byte.
    func memoryType(_ dtype: DType, lanes: Int = 0) -> LLVMTypeRef { dtype == .bool ? vector(i8, lanes) : type(dtype, lanes: lanes) }

    /// A vector of `lanes` elements, or the element's type itself for 0.
    func vector(_ element: LLVMTypeRef, _ lanes: Int) -> LLVMTypeRef { lanes == 0 ? element : LLVMVectorType(element, UInt32(lanes)) }

    func integer(_ type: LLVMTypeRef, _ value: Int) -> LLVMValueRef { LLVMConstInt(type, UInt64(bitPattern: Int64(value)), 1) }
    func int64(_ value: Int) -> LLVMValueRef { integer(i64, value) }

    func constantVector(_ elements: [LLVMValueRef]) -> LLVMValueRef {
        var list: [LLVMValueRef?] = elements
        return LLVMConstVector(&list, UInt32(list.count))
    }

    /// The constant in every lane, or itself for 0 lanes.
    func splat(constant: LLVMValueRef, _ lanes: Int) -> LLVMValueRef {
        lanes == 0 ? constant : constantVector(Array(repeating: constant, count: lanes))
    }

    /// Positions 0, 1, … as a vector of integers.
    func laneNumbers(_ element: LLVMTypeRef, _ lanes: Int, times factor: Int = 1) -> LLVMValueRef {
        constantVector((0..<lanes).map { integer(element, $0 &* factor) })
    }

    func constant(_ scalar: Scalar, _ dtype: DType, lanes: Int = 0) -> LLVMValueRef {
        let bits = scalar.converted(to: dtype).bits(dtype)
        let value = switch dtype {
        case .f64: LLVMConstBitCast(LLVMConstInt(i64, bits, 0), double)!
        case .f32: LLVMConstBitCast(LLVMConstInt(i32, bits, 0), float)!
        default: LLVMConstInt(type(dtype), bits, 0)!
        }
        return splat(constant: value, lanes)
    }

    func constant(_ value: Double, like reference: LLVMTypeRef) -> LLVMValueRef { LLVMConstReal(reference, value) }

    /// A value of any type with all bits as given in every element.
    func bits(_ value: UInt64, like vectorType: LLVMTypeRef) -> LLVMValueRef {
        let lanes = LLVMGetTypeKind(vectorType) == LLVMVectorTypeKind ? Int(LLVMGetVectorSize(vectorType)) : 0
        let element = lanes == 0 ? vectorType : LLVMGetElementType(vectorType)!
        return splat(constant: LLVMConstInt(element, value, 0), lanes)
    }

    /// The constant's value where it is an integer.
    func knownInteger(_ value: LLVMValueRef) -> Int? {
        LLVMIsAConstantInt(value) == nil ? nil : Int(LLVMConstIntGetSExtValue(value))
    }

    // MARK: Functions, calls, metadata

    func functionType(_ result: LLVMTypeRef, _ parameters: [LLVMTypeRef]) -> LLVMTypeRef {
        var list: [LLVMTypeRef?] = parameters
        return LLVMFunctionType(result, &list, UInt32(list.count), 0)
    }

    func call(_ function: LLVMValueRef, _ type: LLVMTypeRef, _ arguments: [LLVMValueRef]) -> LLVMValueRef {
        var list: [LLVMValueRef?] = arguments
        return LLVMBuildCall2(builder, type, function, &list, UInt32(list.count), "")
    }

    /// Calls an intrinsic that is overloaded on `types`.
    func intrinsic(_ name: String, _ types: [LLVMTypeRef], _ arguments: [LLVMValueRef]) -> LLVMValueRef {
        let key = name + types.map { ".\(UInt(bitPattern: $0))" }.joined()
        if let known = intrinsics[key] { return call(known.function, known.type, arguments) }
        let id = name.withCString { LLVMLookupIntrinsicID($0, name.utf8.count) }
        precondition(id != 0, "LLVM 19 has no intrinsic \(name)")
        var list: [LLVMTypeRef?] = types
        let function = LLVMGetIntrinsicDeclaration(module, id, &list, list.count)!
        let type = LLVMIntrinsicGetType(context, id, &list, list.count)!
        intrinsics[key] = (function, type)
        return call(function, type, arguments)
    }

    /// A function of another object, declared once.
    func external(_ name: String, _ type: LLVMTypeRef, attributes: [String] = ["nounwind"], hidden: Bool = false) -> LLVMValueRef {
        if let known = LLVMGetNamedFunction(module, name) { return known }
        let function = LLVMAddFunction(module, name, type)!
        for attribute in attributes { addAttribute(attribute, to: function) }
        if hidden { LLVMSetVisibility(function, LLVMHiddenVisibility) }
        return function
    }

    /// Adds an attribute to a function (`at` 0), its result, or its parameter `at - 1`.
    func addAttribute(_ name: String, value: UInt64 = 0, to function: LLVMValueRef, parameter: Int? = nil) {
        let kind = name.withCString { LLVMGetEnumAttributeKindForName($0, name.utf8.count) }
        let attribute = LLVMCreateEnumAttribute(context, kind, value)
        LLVMAddAttributeAtIndex(function, parameter.map { LLVMAttributeIndex($0 + 1) } ?? LLVMAttributeIndex.max, attribute)
    }

    func addCallAttributes(_ names: [String], to call: LLVMValueRef) {
        for name in names {
            let kind = name.withCString { LLVMGetEnumAttributeKindForName($0, name.utf8.count) }
            LLVMAddCallSiteAttribute(call, LLVMAttributeIndex.max, LLVMCreateEnumAttribute(context, kind, 0))
        }
    }

    func addAttribute(_ name: String, _ value: String, to function: LLVMValueRef) {
        let attribute = LLVMCreateStringAttribute(context, name, UInt32(name.utf8.count), value, UInt32(value.utf8.count))
        LLVMAddAttributeAtIndex(function, LLVMAttributeIndex.max, attribute)
    }

    /// An attribute of a parameter that holds a type.
    func addTypeAttribute(_ name: String, _ type: LLVMTypeRef, to function: LLVMValueRef, parameter: Int) {
        let kind = name.withCString { LLVMGetEnumAttributeKindForName($0, name.utf8.count) }
        LLVMAddAttributeAtIndex(function, LLVMAttributeIndex(parameter + 1), LLVMCreateTypeAttribute(context, kind, type))
    }

    func metadata(_ text: String) -> LLVMMetadataRef { LLVMMDStringInContext2(context, text, text.utf8.count) }
    func metadata(_ nodes: [LLVMMetadataRef]) -> LLVMMetadataRef {
        var list: [LLVMMetadataRef?] = nodes
        return LLVMMDNodeInContext2(context, &list, list.count)
    }

    func setMetadata(_ kind: String, _ node: LLVMMetadataRef, on instruction: LLVMValueRef) {
        guard LLVMIsAInstruction(instruction) != nil else { return }
        let id = metadataKinds[kind] ?? LLVMGetMDKindIDInContext(context, kind, UInt32(kind.utf8.count))
        metadataKinds[kind] = id
        LLVMSetMetadata(instruction, id, LLVMMetadataAsValue(context, node))
    }

    // MARK: Blocks

    func block(_ name: String, in function: LLVMValueRef) -> LLVMBasicBlockRef {
        LLVMAppendBasicBlockInContext(context, function, name)
    }
    func position(at block: LLVMBasicBlockRef) { LLVMPositionBuilderAtEnd(builder, block) }
    var currentBlock: LLVMBasicBlockRef { LLVMGetInsertBlock(builder) }
    func jump(_ target: LLVMBasicBlockRef) { LLVMBuildBr(builder, target) }
    func jump(if condition: LLVMValueRef, _ then: LLVMBasicBlockRef, else otherwise: LLVMBasicBlockRef) {
        LLVMBuildCondBr(builder, condition, then, otherwise)
    }

    func phi(_ type: LLVMTypeRef, _ incoming: [(LLVMValueRef, LLVMBasicBlockRef)]) -> LLVMValueRef {
        let phi = LLVMBuildPhi(builder, type, "")!
        addIncoming(phi, incoming)
        return phi
    }

    func addIncoming(_ phi: LLVMValueRef, _ incoming: [(LLVMValueRef, LLVMBasicBlockRef)]) {
        var values: [LLVMValueRef?] = incoming.map(\.0)
        var blocks: [LLVMBasicBlockRef?] = incoming.map(\.1)
        LLVMAddIncoming(phi, &values, &blocks, UInt32(incoming.count))
    }
}

extension Module {
    // MARK: Instructions, on scalars and vectors alike

    func add(_ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef { LLVMBuildAdd(builder, a, b, "") }
    func sub(_ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef { LLVMBuildSub(builder, a, b, "") }
    func mul(_ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef { LLVMBuildMul(builder, a, b, "") }
    func indexAdd(_ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef { LLVMBuildNSWAdd(builder, a, b, "") }
    func indexMul(_ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef { LLVMBuildNSWMul(builder, a, b, "") }
    func and(_ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef { LLVMBuildAnd(builder, a, b, "") }
    func or(_ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef { LLVMBuildOr(builder, a, b, "") }
    func xor(_ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef { LLVMBuildXor(builder, a, b, "") }
    func not(_ a: LLVMValueRef) -> LLVMValueRef { LLVMBuildNot(builder, a, "") }
    func shl(_ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef { LLVMBuildShl(builder, a, b, "") }
    func lshr(_ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef { LLVMBuildLShr(builder, a, b, "") }
    func ashr(_ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef { LLVMBuildAShr(builder, a, b, "") }
    func select(_ c: LLVMValueRef, _ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef { LLVMBuildSelect(builder, c, a, b, "") }
    func compare(_ predicate: LLVMIntPredicate, _ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef {
        LLVMBuildICmp(builder, predicate, a, b, "")
    }
    func compare(_ predicate: LLVMRealPredicate, _ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef {
        LLVMBuildFCmp(builder, predicate, a, b, "")
    }
    func bitcast(_ a: LLVMValueRef, _ type: LLVMTypeRef) -> LLVMValueRef { LLVMBuildBitCast(builder, a, type, "") }
    func zext(_ a: LLVMValueRef, _ type: LLVMTypeRef) -> LLVMValueRef { LLVMBuildZExt(builder, a, type, "") }
    func sext(_ a: LLVMValueRef, _ type: LLVMTypeRef) -> LLVMValueRef { LLVMBuildSExt(builder, a, type, "") }
    func trunc(_ a: LLVMValueRef, _ type: LLVMTypeRef) -> LLVMValueRef { LLVMBuildTrunc(builder, a, type, "") }
    func fpext(_ a: LLVMValueRef, _ type: LLVMTypeRef) -> LLVMValueRef { LLVMBuildFPExt(builder, a, type, "") }
    func fptrunc(_ a: LLVMValueRef, _ type: LLVMTypeRef) -> LLVMValueRef { LLVMBuildFPTrunc(builder, a, type, "") }
    /// Not `inbounds`: the address of an element that a mask leaves out may lie anywhere.
    func offset(_ base: LLVMValueRef, _ element: LLVMTypeRef, by count: LLVMValueRef) -> LLVMValueRef {
        var indices: [LLVMValueRef?] = [count]
        return LLVMBuildGEP2(builder, element, base, &indices, 1, "")
    }
    func load(_ type: LLVMTypeRef, _ pointer: LLVMValueRef, alignment: Int) -> LLVMValueRef {
        let value = LLVMBuildLoad2(builder, type, pointer, "")!
        LLVMSetAlignment(value, UInt32(alignment))
        return value
    }
    @discardableResult
    func store(_ value: LLVMValueRef, _ pointer: LLVMValueRef, alignment: Int) -> LLVMValueRef {
        let store = LLVMBuildStore(builder, value, pointer)!
        LLVMSetAlignment(store, UInt32(alignment))
        return store
    }

    /// A run-time value in every lane.
    func splat(_ value: LLVMValueRef, _ lanes: Int) -> LLVMValueRef {
        if LLVMIsConstant(value) != 0, LLVMIsAUndefValue(value) == nil, LLVMIsAGlobalValue(value) == nil {
            return splat(constant: value, lanes)
        }
        let type = vector(LLVMTypeOf(value), lanes)
        let first = LLVMBuildInsertElement(builder, LLVMGetPoison(type), value, integer(i64, 0), "")
        return LLVMBuildShuffleVector(builder, first, LLVMGetPoison(type), LLVMConstNull(vector(i32, lanes)), "")
    }

    func shuffle(_ a: LLVMValueRef, _ positions: [Int]) -> LLVMValueRef { shuffle(a, with: LLVMGetPoison(LLVMTypeOf(a)), positions) }
    /// Positions from the number of lanes on are the second vector's.
    func shuffle(_ a: LLVMValueRef, with b: LLVMValueRef, _ positions: [Int]) -> LLVMValueRef {
        LLVMBuildShuffleVector(builder, a, b, constantVector(positions.map { integer(i32, $0) }), "")
    }
    func element(_ a: LLVMValueRef, _ lane: Int) -> LLVMValueRef { LLVMBuildExtractElement(builder, a, integer(i64, lane), "") }
    func inserting(_ value: LLVMValueRef, into vector: LLVMValueRef, _ lane: Int) -> LLVMValueRef {
        LLVMBuildInsertElement(builder, vector, value, integer(i64, lane), "")
    }
}
