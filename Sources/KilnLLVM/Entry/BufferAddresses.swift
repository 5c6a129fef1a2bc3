// Where a call's buffers are: addresses that are known from its start, and those of buffers that change places while it runs.

import CLLVM
import KilnIR
import KilnKernels

/// The addresses of a program's buffers, in an entry that is being emitted.
struct BufferAddresses {
    private let module: Module
    private let count: Int
    /// Emits where a buffer is at first.
    private let first: (Int) throws -> LLVMValueRef
    /// By buffer that is exchanged with others, the memory that holds its address.
    private let variables: [Int: LLVMValueRef]

    /// Emits variables for the buffers that the program's steps exchange.
    /// - Parameter makeVariable: memory for an address, in the function's first block, where the module's builder may stand too.
    init(_ module: Module, _ program: Program, makeVariable: () -> LLVMValueRef, first: @escaping (Int) throws -> LLVMValueRef) throws {
        self.module = module
        self.first = first
        count = program.buffers.count
        var variables: [Int: LLVMValueRef] = [:]
        for buffer in program.steps.exchangedBuffers.sorted() where program.buffers.indices.contains(buffer) {
            let variable = makeVariable()
            module.store(try first(buffer), variable, alignment: 8)
            variables[buffer] = variable
        }
        self.variables = variables
    }

    /// The buffer's address right now.
    func address(of buffer: Int) throws -> LLVMValueRef {
        guard 0..<count ~= buffer else { throw InternalError("llvm", "buffer \(buffer) does not exist") }
        return try variables[buffer].map { module.load(module.pointer, $0, alignment: 8) } ?? first(buffer)
    }

    func exchange(_ one: Int, _ other: Int) throws {
        guard let a = variables[one], let b = variables[other] else { throw InternalError("llvm", "buffers \(one) and \(other) can't be exchanged") }
        let (left, right) = (try address(of: one), try address(of: other))
        module.store(right, a, alignment: 8)
        module.store(left, b, alignment: 8)
    }
}

extension [Step] {
    /// The buffers that change places.
    fileprivate var exchangedBuffers: Set<Int> {
        var found: Set<Int> = []
        for step in self {
            switch step {
            case .exchange(let one, let other): found.formUnion([one, other])
            case .branch(_, let then, let otherwise): found.formUnion(then.exchangedBuffers.union(otherwise.exchangedBuffers))
            case .loop(let test, _, let body): found.formUnion(test.exchangedBuffers.union(body.exchangedBuffers))
            case .launch, .copy, .measure, .check: continue
            }
        }
        return found
    }
}
