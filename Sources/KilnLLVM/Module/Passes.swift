// The optimisations of a module before code is generated: few and cheap, because schedules have already chosen the loops.

import CLLVM
import KilnIR

enum Passes {
    /// Registers for locals, common addresses computed once and outside loops, and no dead code. No loop is vectorised or unrolled here.
    /// Instructions are combined once, after loops have lost what does not belong to them: a round before that finds nothing more.
    static let pipeline = """
        function(sroa<modify-cfg>,early-cse<memssa>,loop-mssa(licm),early-cse,instcombine<no-verify-fixpoint;max-iterations=1>,\
        simplifycfg<hoist-common-insts;sink-common-insts>,adce)
        """

    /// For PTX, where each lane is an instruction of its own, loads and stores aside, and where an address is a register and a constant, so
    /// that loops need their multiplications turned into sums. What comes before that is what LLVM has before it.
    static let devicePipeline = """
        function(scalarizer),\
        function(sroa<modify-cfg>,early-cse<memssa>,instcombine<no-verify-fixpoint;max-iterations=1>,simplifycfg,\
        loop-mssa(licm),gvn<no-pre;no-load-pre>,loop-mssa(licm),instcombine<no-verify-fixpoint;max-iterations=1>,\
        simplifycfg<hoist-common-insts;sink-common-insts>,adce),\
        function(separate-const-offset-from-gep,speculative-execution,slsr,early-cse,nary-reassociate,early-cse,\
        loop(canon-freeze,loop-reduce))
        """

    static func run(on module: Module, _ machine: Machine) throws {
        let options = LLVMCreatePassBuilderOptions()
        defer { LLVMDisposePassBuilderOptions(options) }
        if let error = LLVMRunPasses(module.module, machine.description.triple.hasPrefix("nvptx") ? devicePipeline : pipeline, machine.reference, options) {
            throw InternalError("llvm passes", error.takeMessage())
        }
    }

    /// LLVM's own check of a module, for tests and for finding faults of the emitter's.
    static func verify(_ module: Module) throws {
        var message: UnsafeMutablePointer<CChar>?
        let isBroken = LLVMVerifyModule(module.module, LLVMReturnStatusAction, &message) != 0
        defer { if let message { LLVMDisposeMessage(message) } }
        if isBroken { throw InternalError("llvm", message.map { String(cString: $0) } ?? "the module is malformed") }
    }
}

extension LLVMErrorRef {
    /// The error's text; the error is consumed.
    func takeMessage() -> String {
        guard let text = LLVMGetErrorMessage(self) else { return "unknown error" }
        defer { LLVMDisposeErrorMessage(text) }
        return String(cString: text)
    }
}
