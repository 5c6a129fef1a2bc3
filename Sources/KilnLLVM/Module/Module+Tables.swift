// Constant tables in a module: texts, structures and arrays of them, as kiln_abi.h lays them out.

import CLLVM

extension Module {
    func structure(_ fields: [LLVMValueRef]) -> LLVMValueRef {
        var list: [LLVMValueRef?] = fields
        return LLVMConstStructInContext(context, &list, UInt32(list.count), 0)
    }

    /// The address of an array; null where it is empty.
    func table(_ name: String, _ elements: [LLVMValueRef]) -> LLVMValueRef {
        guard let first = elements.first else { return LLVMConstNull(pointer) }
        var list: [LLVMValueRef?] = elements
        return constant(name, LLVMConstArray2(LLVMTypeOf(first), &list, UInt64(list.count)))
    }

    /// The address of memory of another object, or of what loads this one, however far away.
    func externalData(_ name: String) -> LLVMValueRef { LLVMGetNamedGlobal(module, name) ?? LLVMAddGlobal(module, i8, name)! }

    /// Constant memory of this object alone.
    func constant(_ name: String, _ value: LLVMValueRef) -> LLVMValueRef {
        let memory = LLVMAddGlobal(module, LLVMTypeOf(value), name)!
        LLVMSetInitializer(memory, value)
        LLVMSetGlobalConstant(memory, 1)
        LLVMSetLinkage(memory, LLVMInternalLinkage)
        return memory
    }

    /// Constant memory that the program's other objects see.
    func sharedConstant(_ name: String, _ value: LLVMValueRef) {
        let memory = constant(name, value)
        LLVMSetLinkage(memory, LLVMExternalLinkage)
        LLVMSetVisibility(memory, LLVMHiddenVisibility)
    }

    /// Bytes as constant memory, aligned for vectors.
    func constantMemory(_ name: String, _ bytes: [UInt8]) -> LLVMValueRef {
        let value = bytes.withUnsafeBytes { raw in
            LLVMConstStringInContext2(context, raw.baseAddress?.assumingMemoryBound(to: CChar.self), raw.count, 1)!
        }
        let memory = constant(name, value)
        LLVMSetAlignment(memory, 64)
        return memory
    }

    /// A text as constant memory that ends in a 0.
    func text(_ string: String) -> LLVMValueRef {
        if let known = texts[string] { return known }
        let memory = constant("text", LLVMConstStringInContext2(context, string, string.utf8.count, 0)!)
        LLVMSetLinkage(memory, LLVMPrivateLinkage)
        LLVMSetUnnamedAddress(memory, LLVMGlobalUnnamedAddr)
        texts[string] = memory
        return memory
    }
}
