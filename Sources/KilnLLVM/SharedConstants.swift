// The constants that are too big for LLVM's data: literals come in, and what code finds them by goes out. Each is one symbol, all of them
// make one table of addresses; what loads or links the code says where the bytes are, which may be anywhere and at any alignment.

import CLLVM
import KilnIR
import KilnKernels

/// The big constants of a compilation, each once, whatever targets use it.
public struct SharedConstants: Sendable {
    /// Constants of more bytes are shared.
    static let threshold = 4096

    /// What the symbols' names start with.
    let name: String
    /// The literals, in the order of their numbers.
    public private(set) var literals: [Literal] = []
    private var numbers: [Literal: Int] = [:]

    init(_ name: String, _ programs: [Program]) {
        self.name = name
        for program in programs {
            for buffer in program.buffers {
                guard case .constant(let literal) = buffer.storage, Self.isShared(literal) else { continue }
                if numbers.updateValue(numbers[literal] ?? literals.count, forKey: literal) == nil { literals.append(literal) }
            }
        }
    }

    static func isShared(_ literal: Literal) -> Bool { literal.byteCount > threshold }

    func number(of literal: Literal) -> Int? { numbers[literal] }

    /// The symbol of a literal's bytes.
    func symbol(_ number: Int) -> String { "\(name)_constant\(number)" }

    /// The symbol of the table of the literals' addresses.
    var table: String { "\(name)_constants" }

    /// The address of a literal's bytes, as a constant for a table.
    func address(_ number: Int, in module: Module) -> LLVMValueRef { module.externalData(symbol(number)) }

    /// Where the bytes are in this process, as long as this value lives.
    var addresses: [(name: String, address: UnsafeRawPointer)] {
        literals.indices.compactMap { number in literals[number].lastingAddress.map { (symbol(number), $0) } }
    }

    /// The object with the table; nil where there are no constants.
    func tableObject(_ target: Target) throws -> [UInt8]? {
        guard !literals.isEmpty else { return nil }
        let machine = try Machine(target)
        let module = Module(name: table, target: machine.description)
        var list: [LLVMValueRef?] = literals.indices.map { address($0, in: module) }
        module.sharedConstant(table, LLVMConstArray2(module.pointer, &list, UInt64(list.count)))
        return try machine.generate(module, LLVMObjectFile)
    }
}
