// The object with a shared object's visible functions: each calls the runtime, which is linked in beside it.

import CLLVM
import KilnIR
import KilnKernels

struct ExportsEmitter {
    let module: Module
    let program: Program
    let target: Target

    /// The object, for linking with the program's and the runtime's. Its code is for the architecture's first processor, as it runs before the
    /// runtime has looked which one there is.
    static func object(_ program: Program, target: Target) throws -> [UInt8] {
        let target = Target(triple: target.triple, processor: target.triple.hasPrefix("x86_64") ? "x86-64" : "generic", features: "",
                            vectorBytes: target.vectorBytes, vectorRegisters: target.vectorRegisters)
        let machine = try Machine(target)
        let module = Module(name: program.name, target: machine.description)
        ExportsEmitter(module: module, program: program, target: target).emit()
        return try machine.generate(module, LLVMObjectFile)
    }

    private func emit() {
        let table = LLVMAddGlobal(module.module, module.i8, ProgramInfoEmitter.name(program))!
        LLVMSetVisibility(table, LLVMHiddenVisibility)
        for function in ExportedFunction.all { emit(function, table) }
        define("info", module.pointer, []) { _ in table }
    }

    private func emit(_ function: ExportedFunction, _ table: LLVMValueRef) {
        let parameters = function.parameters.map { type($0.type) }
        let calleeType = module.functionType(type(function.result), (function.takesProgram ? [module.pointer] : []) + parameters)
        let callee = module.external("kiln_\(function.suffix)", calleeType, hidden: true)
        define(function.suffix, type(function.result), parameters) { arguments in
            module.call(callee, calleeType, (function.takesProgram ? [table] : []) + arguments)
        }
    }

    private func define(_ suffix: String, _ result: LLVMTypeRef, _ parameters: [LLVMTypeRef], _ body: ([LLVMValueRef]) -> LLVMValueRef) {
        let wrapper = LLVMAddFunction(module.module, "\(program.name)_\(suffix)", module.functionType(result, parameters))!
        module.addTargetAttributes(target, to: wrapper)
        module.position(at: module.block("entry", in: wrapper))
        LLVMBuildRet(module.builder, body(parameters.indices.map { LLVMGetParam(wrapper, UInt32($0)) }))
    }

    private func type(_ type: CType) -> LLVMTypeRef {
        switch type {
        case .status, .int32, .place: module.i32
        case .int64, .size: module.i64
        case .text, .buffer, .int64Pointer, .constInt64Pointer, .tensors, .parallel, .anyPointer: module.pointer
        }
    }
}
