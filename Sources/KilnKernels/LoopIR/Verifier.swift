// Checks that a program keeps the rules of the loop IR: names defined before use and in scope, dtypes that agree, lanes that do
// not nest. A fault is Kiln's own: the error names the pass and shows the statements around the fault.

import KilnIR

extension Program {
    /// Checks all of the program's rules.
    ///
    /// - Parameter pass: What wrote the program, for the message.
    /// - Throws: `InternalError`.
    public func verify(after pass: String = "verification") throws {
        try verifyBuffers(pass)
        for kernel in kernels { try KernelVerifier(program: self, kernel: kernel, pass: pass).verify() }
        try verify(steps, pass)
    }

    private func verifyBuffers(_ pass: String) throws {
        func fault(_ problem: String) -> InternalError { InternalError(pass, "program `\(name)`: \(problem)") }
        let (known, given) = (Set(allSymbols), Set(symbols))
        guard known.count == symbols.count + dataDependent.count else { throw fault("a symbol is there twice") }
        for (what, size) in [("the arena's size", arenaSize), ("the workspace's size", workspaceSize)] + dataDependent.map({ ("the bound of `\($0.name)`", $0.bound) }) {
            if let problem = size.sizeProblem(given) { throw fault("\(what) \(problem)") }
        }
        var ports: Set<Buffer.Storage> = []
        for (number, buffer) in buffers.enumerated() {
            let what = "buffer \(number) `\(buffer.name)`"
            for dim in buffer.type.shape { if let problem = dim.sizeProblem(known) { throw fault("\(what): its size \(problem)") } }
            switch buffer.storage {
            case .input, .output:
                guard ports.insert(buffer.storage).inserted else { throw fault("\(what) is the same input or output as another") }
            case .status(let check):
                guard buffer.type == TensorType(.u64, []) else { throw fault("\(what) is \(buffer.type), and no word") }
                if let problem = check.size.sizeProblem(known) { throw fault("\(what): the size it is about \(problem)") }
            case .arena(let offset): if let problem = offset.sizeProblem(given) { throw fault("\(what): its offset \(problem)") }
            case .constant(let literal):
                guard literal.dtype == buffer.type.dtype, buffer.type.elementCount.constant == literal.count else {
                    throw fault("\(what) is \(buffer.type), but its constant is \(literal.type)")
                }
            case .packed(let packing):
                guard buffers.indices.contains(packing.source), case .constant(let literal) = buffers[packing.source].storage else {
                    throw fault("\(what) is packed of what is no constant")
                }
                if let problem = packing.problem(in: literal.count) { throw fault("\(what) \(problem)") }
                guard buffer.type == TensorType(literal.dtype, [.constant(packing.elementCount)]) else {
                    throw fault("\(what) is \(buffer.type), but is packed as \(literal.dtype)[\(packing.elementCount)]")
                }
            }
        }
    }

    private func verify(_ steps: [Step], _ pass: String) throws {
        for step in steps {
            if let problem = problem(of: step) { throw InternalError(pass, "program `\(name)`, steps: \(problem)") }
            switch step {
            case .launch, .copy, .exchange, .measure, .check: continue
            case .branch(_, let then, let otherwise):
                try verify(then, pass)
                try verify(otherwise, pass)
            case .loop(let test, _, let body):
                try verify(test, pass)
                try verify(body, pass)
            }
        }
    }

    private func problem(of step: Step) -> String? {
        switch step {
        case .launch(let kernel): return kernels.indices.contains(kernel) ? nil : "there is no kernel \(kernel) to launch"
        case .copy(let source, let target):
            guard buffers.indices.contains(source), buffers.indices.contains(target) else { return "there is no buffer \(source) or \(target) to copy" }
            return buffers[target].isWritable ? nil : "`\(buffers[target].name)` is copied to, but can't be written"
        case .exchange(let one, let other):
            guard buffers.indices.contains(one), buffers.indices.contains(other) else { return "there is no buffer \(one) or \(other) to exchange" }
            guard case .arena = buffers[one].storage, case .arena = buffers[other].storage, one != other,
                buffers[one].type.byteCount == buffers[other].type.byteCount else {
                return "`\(buffers[one].name)` and `\(buffers[other].name)` are not two buffers of the arena and of one size"
            }
            return nil
        case .check(let condition, _): return condition.expression.sizeProblem(Set(allSymbols)).map { "a check \($0)" }
        case .measure(let symbol, let source, let limit):
            guard dataDependent.contains(where: { $0.name == symbol }) else { return "`\(symbol)` is not a symbol that is measured" }
            guard buffers.indices.contains(source), buffers[source].type.dtype == .i64, buffers[source].type.elementCount == 1 else { return "buffer \(source) does not hold a size" }
            return limit.sizeProblem(Set(allSymbols)).map { "the limit of `\(symbol)` \($0)" }
        case .branch(let condition, _, _), .loop(_, let condition, _):
            guard buffers.indices.contains(condition) else { return "there is no buffer \(condition) for a condition" }
            return buffers[condition].type.dtype == .bool ? nil : "the condition `\(buffers[condition].name)` is no bool"
        }
    }
}

extension Buffer {
    var isWritable: Bool {
        switch storage {
        case .output, .status, .arena: true
        case .input, .constant, .packed: false
        }
    }
}

extension Dim {
    /// What keeps an expression from being computed from the symbols alone.
    fileprivate func sizeProblem(_ symbols: Set<String>) -> String? {
        var problem: String?
        forEachVariable {
            switch $0 {
            case .symbol(let name) where !symbols.contains(name): problem = "uses the unknown symbol `\(name)`"
            case .index(let i): problem = "uses the index variable d\(i)"
            default: break
            }
        }
        return problem
    }
}
