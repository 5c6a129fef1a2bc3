// Machine code into this process, through LLVM's ORC; the code is there as long as the object.

import CLLVM
import KilnIR

/// A program's code in this process. Release it only when no call of the program is running.
public final class JITCode: @unchecked Sendable {
    // Never changed after init, and LLVM's disposal happens once, in deinit.
    private let jit: LLVMOrcLLJITRef
    /// The program's table, a `kiln_program_info`; valid as long as this object.
    public let infoPointer: UnsafeRawPointer

    /// What the code reads where it lies.
    private let constants: PlacedConstants

    /// Links the objects into memory. Functions of libm and libc are this process's.
    /// - Parameter functions: what the code calls beside, such as the emulator's functions.
    /// - Throws: `InternalError` where a symbol is missing.
    public init(_ code: ObjectCode, functions: [(name: String, address: UnsafeRawPointer)] = []) throws {
        Machine.initializeTargets()
        var created: LLVMOrcLLJITRef?
        if let error = LLVMOrcCreateLLJIT(&created, nil) { throw InternalError("jit", error.takeMessage()) }
        guard let created else { throw InternalError("jit", "no JIT") }
        constants = PlacedConstants(code.constants)
        do {
            let callable = LLVMJITSymbolGenericFlags(LLVMJITSymbolGenericFlagsExported.rawValue | LLVMJITSymbolGenericFlagsCallable.rawValue)
            try Self.define(functions, flags: callable, in: created)
            try Self.define(constants.addresses, flags: LLVMJITSymbolGenericFlagsExported, in: created)
            infoPointer = try Self.load(code, into: created)
        } catch {
            Self.dispose(created)
            throw error
        }
        jit = created
    }

    deinit { Self.dispose(jit) }

    private static func dispose(_ jit: LLVMOrcLLJITRef) {
        if let error = LLVMOrcDisposeLLJIT(jit) { LLVMConsumeError(error) }
    }

    private static func define(_ symbols: [(name: String, address: UnsafeRawPointer)], flags: LLVMJITSymbolGenericFlags, in jit: LLVMOrcLLJITRef) throws {
        guard !symbols.isEmpty else { return }
        let flags = LLVMJITSymbolFlags(GenericFlags: UInt8(flags.rawValue), TargetFlags: 0)
        var pairs = symbols.map { symbol in
            LLVMOrcCSymbolMapPair(Name: LLVMOrcLLJITMangleAndIntern(jit, symbol.name),
                                  Sym: LLVMJITEvaluatedSymbol(Address: UInt64(UInt(bitPattern: symbol.address)), Flags: flags))
        }
        let unit = LLVMOrcAbsoluteSymbols(&pairs, pairs.count)
        if let error = LLVMOrcJITDylibDefine(LLVMOrcLLJITGetMainJITDylib(jit), unit) {
            LLVMOrcDisposeMaterializationUnit(unit)
            throw InternalError("jit", error.takeMessage())
        }
    }

    private static func load(_ code: ObjectCode, into jit: LLVMOrcLLJITRef) throws -> UnsafeRawPointer {
        let library = LLVMOrcLLJITGetMainJITDylib(jit)
        var process: LLVMOrcDefinitionGeneratorRef?
        if let error = LLVMOrcCreateDynamicLibrarySearchGeneratorForProcess(&process, LLVMOrcLLJITGetGlobalPrefix(jit), nil, nil) {
            throw InternalError("jit", error.takeMessage())
        }
        LLVMOrcJITDylibAddGenerator(library, process)
        for (number, object) in code.objects.enumerated() {
            let buffer = object.withUnsafeBytes {
                LLVMCreateMemoryBufferWithMemoryRangeCopy($0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count,
                                                          "\(code.name).\(number)")
            }
            if let error = LLVMOrcLLJITAddObjectFile(jit, library, buffer) { throw InternalError("jit", error.takeMessage()) }
        }
        var address: LLVMOrcExecutorAddress = 0
        if let error = LLVMOrcLLJITLookup(jit, &address, "\(code.name)_program") { throw InternalError("jit", error.takeMessage()) }
        guard let pointer = UnsafeRawPointer(bitPattern: UInt(address)) else { throw InternalError("jit", "the table is at null") }
        return pointer
    }
}
