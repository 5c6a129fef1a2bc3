// Lowers a graph of groups to a program: buffers for its values, a kernel for each group, steps in order, control flow as steps.

import KilnIR
import KilnPasses

/// A program under construction.
package final class ProgramWriter {
    let target: Target
    var program: Program
    /// The first and last top-level step in which each arena buffer is in use.
    var lifetimes: [Int: ClosedRange<Int>] = [:]
    /// Buffers that are the beginning of others, which they share memory with.
    private var beginnings: [Int: Int] = [:]
    private var sizes = MeasuredSizes()
    private let checks: SizeChecks
    /// What holds of measured symbols, to be checked where they are.
    private var openChecks: [SizeCheck] = []
    /// The arena buffers of regions, whose sizes may be impossible where the region is not run.
    private var innerBuffers: Set<Int> = []
    private var depth = 0
    /// The number of the top-level step that is being written.
    private var currentStep = 0

    init(name: String, checks: SizeChecks, target: Target) {
        self.target = target
        self.checks = checks
        program = Program(name: name)
    }

    /// Lowers a fused graph.
    package static func lower(_ graph: Graph, checks: SizeChecks, target: Target) throws -> Program {
        let writer = ProgramWriter(name: graph.name, checks: checks, target: target)
        writer.program.symbols = graph.symbols
        var values: [ValueID: Int] = [:]
        for (number, port) in graph.inputs.enumerated() {
            values[port.value] = writer.addBuffer(port.name, graph.type(of: port.value), .input(number))
        }
        var preferred: [ValueID: Int] = [:]
        var copies: [(value: ValueID, buffer: Int)] = []
        let made = graph.definitions
        for (number, port) in graph.outputs.enumerated() {
            let buffer = writer.addBuffer(port.name, graph.type(of: port.value), .output(number))
            if let definition = made[port.value], preferred[port.value] == nil, case .group = try graph.form(of: graph.operations[definition]) {
                preferred[port.value] = buffer
            } else { copies.append((port.value, buffer)) }
        }
        writer.program.steps = try writer.steps(checking: checks.first) + writer.steps(graph, &values, preferred: preferred, isTop: true)
        for (value, buffer) in copies {
            writer.use(values[value]!)
            writer.program.steps.append(.copy(from: values[value]!, to: buffer))
        }
        try writer.planMemory()
        writer.program.measured = writer.sizes.symbols
        return writer.program
    }

    private func addBuffer(_ name: String, _ type: TensorType, _ storage: Buffer.Storage) -> Int {
        var unique = name
        var suffix = 1
        while program.buffers.contains(where: { $0.name == unique }) {
            suffix += 1
            unique = "\(name).\(suffix)"
        }
        program.buffers.append(Buffer(unique, type, storage))
        return program.buffers.count - 1
    }

    /// A buffer of the arena.
    func makeTemporary(_ name: String, _ type: TensorType) -> Int {
        let number = program.buffers.count
        program.buffers.append(Buffer("\(name).\(number)", type, .arena(offset: 0)))
        if depth > 0 { innerBuffers.insert(number) }
        use(number)
        return number
    }

    /// A buffer with a constant's elements in another order, the same for equal packings; nil where the packing is none.
    func packed(_ name: String, _ packing: Packing) -> Int? {
        guard case .constant(let literal) = program.buffers[packing.source].storage, packing.problem(in: literal.count) == nil else { return nil }
        if let known = program.buffers.firstIndex(where: { $0.storage == .packed(packing) }) { return known }
        return addBuffer("\(program.buffers[packing.source].name).\(name)", TensorType(literal.dtype, [.constant(packing.elementCount)]), .packed(packing))
    }

    private func use(_ buffer: Int) {
        let buffer = beginnings[buffer] ?? buffer
        guard case .arena = program.buffers[buffer].storage else { return }
        let range = lifetimes[buffer] ?? currentStep...currentStep
        lifetimes[buffer] = min(range.lowerBound, currentStep)...max(range.upperBound, currentStep)
    }

    /// Checks of what is known; the others wait for the symbols that they need.
    private func steps(checking checks: [SizeCheck]) -> [Step] {
        let isKnown = { [known = Set(program.symbols + sizes.symbols.map(\.name))] (check: SizeCheck) in
            known.isSuperset(of: check.condition.expression.symbols)
        }
        openChecks += checks.filter { !isKnown($0) }
        return checks.filter(isKnown).map { Step.check($0.condition, message: $0.message) }
    }

    private func steps(_ graph: Graph, _ values: inout [ValueID: Int], preferred: [ValueID: Int] = [:], isTop: Bool = false) throws -> [Step] {
        var steps: [Step] = []
        for operation in graph.operations {
            if isTop { currentStep += 1 }
            operation.operands.forEach { use(values[$0]!) }
            switch try graph.form(of: operation) {
            case .constant(let literal):
                values[operation.results[0]] = addBuffer("c\(program.buffers.count)", literal.type, .constant(literal))
            case .group:
                let results = operation.results.map { preferred[$0] ?? makeTemporary("t", graph.type(of: $0)) }
                for (value, buffer) in zip(operation.results, results) { values[value] = buffer }
                let kernel = try kernel(operation, inputs: operation.operands.map { values[$0]! }, outputs: results)
                program.kernels.append(kernel)
                steps.append(.launch(program.kernels.count - 1))
            case .prefix(let symbol):
                steps += try prefix(symbol, operation, graph, &values)
            case .control(let control):
                steps += try self.control(control, operation, graph, &values)
            default:
                throw CompileError(operation.op.name, "is no kernel that the compiler can make", at: operation.location,
                                   fix: "run the graph through the fuse pass, or use an op that has a kernel")
            }
        }
        if isTop { currentStep += 1 }
        return steps
    }

    /// A prefix lies where what it is taken of lies; of an argument it is a copy.
    private func prefix(_ symbol: String, _ operation: Operation, _ graph: Graph, _ values: inout [ValueID: Int]) throws -> [Step] {
        let (data, count) = (values[operation.operands[0]]!, values[operation.operands[1]]!)
        let type = graph.type(of: operation.results[0]), limit = graph.type(of: operation.operands[0]).shape[0]
        try sizes.add(symbol, limit: limit, at: operation)
        var steps = [Step.measure(symbol: symbol, from: count, limit: limit)]
        let result = makeTemporary("t", type)
        values[operation.results[0]] = result
        if case .arena = program.buffers[data].storage {
            lifetimes[result] = nil
            beginnings[result] = beginnings[data] ?? data
        } else { steps.append(.copy(from: data, to: result)) }
        let known = Set(program.symbols + sizes.symbols.map(\.name))
        for check in openChecks where check.condition.expression.symbols.contains(symbol) && known.isSuperset(of: check.condition.expression.symbols) {
            steps.append(.check(check.condition, message: check.message))
        }
        return steps
    }

    private func kernel(_ operation: Operation, inputs: [Int], outputs: [Int]) throws -> Kernel {
        let name = operation.attributes.string("kind") ?? ""
        guard let kind = Fuse.Kind(rawValue: name) else {
            throw CompileError("group", "has the unknown kind '\(name)'", at: operation.location, fix: "use the kinds that the fuse pass writes")
        }
        let lowering = try GroupLowering(kind, region: operation.regions[0], inputs: inputs, outputs: outputs, program: self)
        try lowering.lower()
        program.workspaceSize = Dim.maximum(program.workspaceSize, lowering.workspace)
        return Kernel(name: "\(program.name)_\(program.kernels.count)_\(name)", location: operation.location, phases: lowering.phases)
    }

    private func control(_ control: Control, _ operation: Operation, _ graph: Graph, _ values: inout [ValueID: Int]) throws -> [Step] {
        let operands = operation.operands.map { values[$0]! }
        let results = operation.results.map { makeTemporary("t", graph.type(of: $0)) }
        for (value, buffer) in zip(operation.results, results) { values[value] = buffer }
        let regionChecks = operation.regionNumber.flatMap { checks.inside[$0] }
        func body(_ number: Int, _ inputs: [Int], copiesTo targets: [Int]) throws -> [Step] {
            depth += 1
            defer { depth -= 1 }
            let region = operation.regions[number]
            var inner: [ValueID: Int] = [:]
            for (port, buffer) in zip(region.inputs, inputs) { inner[port.value] = buffer }
            var list = try steps(checking: regionChecks?[number] ?? []) + steps(region, &inner)
            let sources = region.outputs.map { inner[$0.value]! }
            // What a region gives back may be an input that an earlier copy would overwrite: such go through a temporary.
            let staged = sources.enumerated().map { number, source -> Int in
                guard targets[..<number].contains(source) else { return source }
                let stage = makeTemporary("t", program.buffers[source].type)
                list.append(.copy(from: source, to: stage))
                return stage
            }
            for (source, target) in zip(staged, targets) where source != target { list.append(.copy(from: source, to: target)) }
            return list
        }
        switch control {
        case .if:
            let inputs = Array(operands.dropFirst())
            return [.branch(condition: operands[0], then: try body(0, inputs, copiesTo: results),
                            otherwise: try body(1, inputs, copiesTo: results))]
        case .while(let carried):
            let state = results + operands[carried...]
            let condition = makeTemporary("t", TensorType(.bool, []))
            let start = zip(operands, results).map { Step.copy(from: $0, to: $1) }
            return start + [.loop(test: try body(0, state, copiesTo: [condition]), condition: condition,
                                  body: try body(1, state, copiesTo: results))]
        case .call:
            return try body(0, operands, copiesTo: results)
        }
    }

    // MARK: Memory

    /// Gives each arena buffer an offset: buffers in use at different times share a slot, whose size is the greatest of theirs.
    private func planMemory() throws {
        struct Slot {
            var size: Dim
            var freeAfter: Int
        }
        var slots: [Slot] = []
        var slotOf: [Int: Int] = [:]
        for (buffer, life) in lifetimes.sorted(by: { ($0.value.lowerBound, $0.key) < ($1.value.lowerBound, $1.key) }) {
            var size = try sizes.most(program.buffers[buffer].type.byteCount).roundedUp(to: 64)
            if innerBuffers.contains(buffer), !IndexRanges.isNonNegative(size) { size = Dim.maximum(size, 0) }
            let free = slots.indices.filter { slots[$0].freeAfter < life.lowerBound }
            let fitting = free.filter { IndexRanges.isNonNegative(slots[$0].size - size) }.min { hint(slots[$0].size) < hint(slots[$1].size) }
            let growing = free.max { hint(slots[$0].size) < hint(slots[$1].size) }
            if let slot = fitting ?? growing {
                slots[slot].size = Dim.maximum(slots[slot].size, size)
                slots[slot].freeAfter = life.upperBound
                slotOf[buffer] = slot
            } else {
                slotOf[buffer] = slots.count
                slots.append(Slot(size: size, freeAfter: life.upperBound))
            }
        }
        var offsets: [Dim] = []
        for slot in slots {
            offsets.append(program.arenaSize)
            program.arenaSize += slot.size
        }
        for (buffer, slot) in slotOf { program.buffers[buffer].storage = .arena(offset: offsets[slot]) }
        for (buffer, whole) in beginnings { program.buffers[buffer].storage = program.buffers[whole].storage }
        program.workspaceSize = try sizes.most(program.workspaceSize)
    }

    /// A size for comparing slots whose sizes hold symbols.
    private func hint(_ size: Dim) -> Int { size.evaluate { if case .symbol = $0 { 64 } else { nil } } ?? .max }
}
