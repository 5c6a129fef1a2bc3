// LLVM's description of a target, made once for each thread that generates code: data layout, and objects from modules.

import CLLD
import CLLVM
import KilnIR
import KilnKernels

/// What a module needs to know of the target before code is generated.
struct MachineDescription: Sendable {
    let triple: String
    let dataLayout: String
}

/// A target machine; not thread-safe.
final class Machine {
    let reference: LLVMTargetMachineRef
    let description: MachineDescription

    private static let initialized: Bool = {
        LLVMInitializeX86TargetInfo()
        LLVMInitializeX86Target()
        LLVMInitializeX86TargetMC()
        LLVMInitializeX86AsmPrinter()
        LLVMInitializeX86AsmParser()
        LLVMInitializeNVPTXTargetInfo()
        LLVMInitializeNVPTXTarget()
        LLVMInitializeNVPTXTargetMC()
        LLVMInitializeNVPTXAsmPrinter()
        // A third of code generation's time, for loops whose addresses are already sums of a base, a counter's multiple and a constant.
        // LLVM has no other switch for it than this one, which holds for the process; PTX is given the pass by name.
        return kiln_llvm_switch_on("disable-lsr") == 0
    }()
    static func initializeTargets() { _ = initialized }

    /// - Parameter isGlue: whether the code runs so seldom that only the time of making it counts.
    init(_ target: Target, isGlue: Bool = false) throws {
        _ = Self.initialized
        var handle: LLVMTargetRef?
        var message: UnsafeMutablePointer<CChar>?
        guard LLVMGetTargetFromTriple(target.triple, &handle, &message) == 0, let handle else {
            let problem = message.map { String(cString: $0) } ?? "unknown"
            if let message { LLVMDisposeMessage(message) }
            throw CompileError("target \(target.triple)", problem, fix: "Choose one of: \(HostTarget.names.joined(separator: ", ")).")
        }
        // What the default level does beyond this one (a second scheduling, traces for predicated execution, merged globals) is for code that
        // is not loops of vector instructions; it costs a fifth of code generation's time and makes code of the same size.
        let level = isGlue ? LLVMCodeGenLevelNone : target.isPTX ? LLVMCodeGenLevelDefault : LLVMCodeGenLevelLess
        let machine = LLVMCreateTargetMachine(handle, target.triple, target.processor, target.features, level, LLVMRelocPIC,
                                              LLVMCodeModelDefault)
        guard let machine else { throw InternalError("llvm", "no target machine for \(target.triple) \(target.processor)") }
        reference = machine
        let layout = LLVMCreateTargetDataLayout(machine)
        let text = LLVMCopyStringRepOfTargetData(layout)!
        description = MachineDescription(triple: target.triple, dataLayout: String(cString: text))
        LLVMDisposeMessage(text)
        LLVMDisposeTargetData(layout)
    }

    deinit { LLVMDisposeTargetMachine(reference) }

    /// Generates an object, or assembly text, from a module.
    func generate(_ module: Module, _ type: LLVMCodeGenFileType) throws -> [UInt8] {
        var message: UnsafeMutablePointer<CChar>?
        var buffer: LLVMMemoryBufferRef?
        guard LLVMTargetMachineEmitToMemoryBuffer(reference, module.module, type, &message, &buffer) == 0, let buffer else {
            let problem = message.map { String(cString: $0) } ?? "unknown"
            if let message { LLVMDisposeMessage(message) }
            throw InternalError("code generation", problem)
        }
        defer { LLVMDisposeMemoryBuffer(buffer) }
        return [UInt8](UnsafeRawBufferPointer(start: LLVMGetBufferStart(buffer), count: LLVMGetBufferSize(buffer)))
    }
}
