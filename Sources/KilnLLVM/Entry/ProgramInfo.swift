// The program's table, `NAME_program`, laid out word for word as kiln_program_info in Runtime/include/kiln_abi.h,
// with the function that gives the size of the arena.

import CLLVM
import KilnIR
import KilnKernels

/// The version of kiln_abi.h that the tables here follow.
let abiVersion = 4

struct ProgramInfoEmitter {
    let module: Module
    let program: Program
    let target: Target

    static func name(_ program: Program) -> String { "\(program.name)_program" }

    /// - Parameters:
    ///   - entry: the CPU's; nil where there is code for devices alone.
    ///   - devices: how many programs for devices the table `NAME_devices` of another object has.
    func emit(entry: LLVMValueRef?, messages: Messages, devices: Int) throws {
        let inputs = try arguments { if case .input(let i) = $0 { i } else { nil } }
        let outputs = try arguments { if case .output(let i) = $0 { i } else { nil } }
        let arenaSize = try ArenaSizeEmitter(module: module, program: program, target: target, prefix: program.name).emit()
        let checks = try program.indexChecks.map { check in
            structure([text(check.operation), text(check.location.description), module.int64(check.axis), module.int64(check.countsFromEnd ? 1 : 0),
                       try dim(check.size)])
        }
        let fields: [LLVMValueRef] = [
            module.integer(module.i32, abiVersion), module.integer(module.i32, 0), text(program.name),
            module.int64(program.allSymbols.count), table("symbols", program.allSymbols.map(text)),
            module.int64(inputs.count), try types("inputs", inputs),
            module.int64(outputs.count), try types("outputs", outputs),
            arenaSize, entry ?? LLVMConstNull(module.pointer),
            module.int64(messages.texts.count), table("messages", messages.texts.map(text)),
            module.int64(devices), devices == 0 ? LLVMConstNull(module.pointer) : deviceTable(),
            module.int64(program.dataDependent.count), table("bounds", try program.dataDependent.map { try dim($0.bound) }),
            module.integer(module.i64, Int(bitPattern: UInt(CPUFeatures(target).bits))), text(target.processor),
            module.int64(checks.count), table("checks", checks),
        ]
        module.sharedConstant(Self.name(program), module.structure(fields))
    }

    private func deviceTable() -> LLVMValueRef {
        let table = LLVMAddGlobal(module.module, module.i8, DevicesEmitter.name(program.name))!
        LLVMSetVisibility(table, LLVMHiddenVisibility)
        return table
    }

    /// The buffers that are arguments of a kind, by their numbers, which must run from 0 without gaps.
    private func arguments(_ number: (Buffer.Storage) -> Int?) throws -> [Buffer] {
        let buffers = program.arguments(number)
        guard buffers.enumerated().allSatisfy({ number($0.element.storage) == $0.offset }) else {
            throw InternalError("llvm", "the numbers of inputs or outputs are not 0, 1, …: \(buffers.map(\.name))")
        }
        return buffers
    }

    // MARK: Tables

    private func types(_ name: String, _ buffers: [Buffer]) throws -> LLVMValueRef {
        table(name, try buffers.map { buffer in
            let dims = try buffer.type.shape.map(dim)
            return structure([text(buffer.name), module.integer(module.i32, Int(buffer.type.dtype.rawValue)),
                              module.integer(module.i32, buffer.type.rank), table("dims", dims)])
        })
    }

    private func dim(_ dim: Dim) throws -> LLVMValueRef {
        let code = try DimCode(dim, symbols: program.allSymbols)
        return structure([table("code", code.words.map(module.int64)), module.int64(code.words.count / 2), text(dim.description)])
    }

    private func table(_ name: String, _ elements: [LLVMValueRef]) -> LLVMValueRef { module.table("\(program.name)_\(name)", elements) }
    private func structure(_ fields: [LLVMValueRef]) -> LLVMValueRef { module.structure(fields) }
    private func text(_ string: String) -> LLVMValueRef { module.text(string) }
}

/// A dimension as the postfix program that the runtime evaluates.
struct DimCode {
    private enum Opcode: Int {
        case constant, symbol, add, subtract, multiply, floorDivide, modulo, maximum, minimum
    }
    private(set) var words: [Int] = []
    private let symbols: [String]

    init(_ dim: Dim, symbols: [String]) throws {
        self.symbols = symbols
        try append(dim)
    }

    private mutating func emit(_ opcode: Opcode, _ operand: Int = 0) { words += [opcode.rawValue, operand] }

    private mutating func append(_ dim: Dim) throws {
        guard !dim.terms.isEmpty else { return emit(.constant, 0) }
        for (position, term) in dim.terms.enumerated() {
            var isFirst = true
            if term.coefficient != 1 || term.atoms.isEmpty {
                emit(.constant, term.coefficient)
                isFirst = false
            }
            for atom in term.atoms {
                try append(atom)
                if !isFirst { emit(.multiply) }
                isFirst = false
            }
            if position > 0 { emit(.add) }
        }
    }

    private mutating func append(_ atom: DimAtom) throws {
        switch atom {
        case .symbol(let name):
            guard let number = symbols.firstIndex(of: name) else { throw InternalError("llvm", "\(name) is no symbol of the program") }
            emit(.symbol, number)
        case .index(let i): throw InternalError("llvm", "a shape depends on the index d\(i)")
        case .floorDivide(let a, let b): try append(a, b, .floorDivide)
        case .maximum(let a, let b): try append(a, b, .maximum)
        case .minimum(let a, let b): try append(a, b, .minimum)
        }
    }

    private mutating func append(_ a: Dim, _ b: Dim, _ opcode: Opcode) throws {
        try append(a)
        try append(b)
        emit(opcode)
    }
}
