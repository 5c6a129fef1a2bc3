// Lowers a graph of groups to a program: buffers for its values, a kernel for each group, steps in order, control flow as steps.
// The memory plan then places the buffers.

import KilnIR
import KilnPasses

/// A program under construction.
package final class ProgramWriter {
    let target: Target
    let name: String
    /// What is written so far.
    private(set) var draft = ProgramDraft()
    private var sizes = DataDependentSizes()
    private let checks: SizeChecks
    /// The symbols whose values are known before the call or were measured.
    private var knownSymbols: Set<String>
    /// What holds of data-dependent symbols, to be checked where they are; by each symbol.
    private var openChecks: [String: [SizeCheck]] = [:]
    private var packings: [Packing: Int] = [:]
    /// The names that buffers have, with the number of the last one that was given a number for it.
    private var names: [String: Int] = [:]
    /// The temporaries of the kernel that is being lowered, and where its operation is.
    private var temporaries: [Int] = []
    private var location = SourceLocation.unknown
    private var workspaces: Set<Dim> = []
    /// The lists of steps being written: the whole program's, and those of regions in each other.
    private var frames = [StepFrame(id: 0)]
    private var frameCount = 1
    /// By buffer of the arena, the position of the frame whose steps give it its content.
    private var homes: [Int: Int] = [:]
    /// By buffer, how many groups read it that are, with it, in one list of steps.
    private var readers: [Int: Int] = [:]
    /// By what they hold, the panels that were packed, with the frame whose steps pack them.
    private var panels: [PanelContent: (buffer: Int, frame: Int, id: Int)] = [:]
    /// The groups that were lowered, by all that decides their loops.
    private var lowered: [GroupShape: LoweredGroup] = [:]
    private let sharesLoops: Bool
    /// What the group being lowered has asked for.
    private var requests: [LoweredGroup.Request] = []

    private init(_ graph: Graph, checks: SizeChecks, target: Target, sharesLoops: Bool) {
        self.sharesLoops = sharesLoops
        self.target = target
        self.checks = checks
        name = graph.name
        knownSymbols = Set(graph.symbols)
    }

    /// Lowers a fused graph.
    ///
    /// - Parameter sharesLoops: whether groups of one shape are lowered once; for the tests, as the program is the same without.
    package static func lower(_ graph: Graph, checks: SizeChecks, target: Target, sharesLoops: Bool = true) throws -> Program {
        let writer = ProgramWriter(graph, checks: checks, target: target, sharesLoops: sharesLoops)
        try writer.write(graph)
        var program = Program(name: graph.name, symbols: graph.symbols, dataDependent: writer.sizes.symbols)
        let workspace = writer.workspaces.sorted { "\($0)" < "\($1)" }.reduce(0, Dim.maximum)
        program.workspaceSize = try writer.sizes.most(workspace)
        try MemoryPlan.make(writer.draft, into: &program) { try writer.sizes.most($0) }
        return program
    }

    private func write(_ graph: Graph) throws {
        var values: [ValueID: Int] = [:]
        for (number, port) in graph.inputs.enumerated() {
            values[port.value] = addBuffer(port.name, graph.type(of: port.value), .input(number))
        }
        var preferred: [ValueID: Int] = [:]
        var copies: [(value: ValueID, buffer: Int)] = []
        let made = graph.definitions
        let firstWord = graph.outputs.count - checks.indices.count
        for (number, port) in graph.outputs.enumerated() {
            if number >= firstWord {
                copies.append((port.value, addBuffer(port.name, graph.type(of: port.value), .status(checks.indices[number - firstWord]))))
                continue
            }
            let buffer = addBuffer(port.name, graph.type(of: port.value), .output(number))
            if let definition = made[port.value], preferred[port.value] == nil, case .group = try graph.form(of: graph.operations[definition]) {
                preferred[port.value] = buffer
            } else { copies.append((port.value, buffer)) }
        }
        check(checks.first)
        try steps(graph, &values, preferred: preferred)
        draft.steps = frames[0].steps
        if !copies.isEmpty { draft.steps.append(.move(copies.map { Move(source: values[$0.value]!, target: $0.buffer) })) }
    }

    // MARK: Buffers

    /// What lies in a buffer.
    func storage(of buffer: Int) -> Buffer.Storage { draft.buffers[buffer].storage }
    func type(of buffer: Int) -> TensorType { draft.buffers[buffer].type }

    private func addBuffer(_ name: String, _ type: TensorType, _ storage: Buffer.Storage) -> Int {
        var unique = name
        if var suffix = names[name] {
            repeat {
                suffix += 1
                unique = "\(name).\(suffix)"
            } while names[unique] != nil
            names[name] = suffix
        }
        names[unique] = 1
        draft.buffers.append(Buffer(unique, type, storage))
        return draft.buffers.count - 1
    }

    /// A buffer of the arena.
    func makeTemporary(_ name: String, _ type: TensorType) -> Int {
        let number = draft.buffers.count
        draft.buffers.append(Buffer(name, type, .arena(offset: 0)))
        if frames.count > 1 { draft.inner.insert(number) }
        homes[number] = frames.count - 1
        temporaries.append(number)
        requests.append(.temporary(name, type, number))
        return number
    }

    /// A buffer with a constant's elements in another order, the same for equal packings; nil where the packing is none.
    func packed(_ name: String, _ packing: Packing) -> Int? {
        let buffer = findPacked(name, packing)
        requests.append(.packed(name, packing, buffer))
        return buffer
    }

    private func findPacked(_ name: String, _ packing: Packing) -> Int? {
        let source = draft.buffers[packing.source]
        guard case .constant(let literal) = source.storage, packing.problem(in: literal.count) == nil else { return nil }
        if let known = packings[packing] { return known }
        let buffer = addBuffer("\(source.name).\(name)", TensorType(literal.dtype, [.constant(packing.elementCount)]), .packed(packing))
        packings[packing] = buffer
        return buffer
    }

    // MARK: Steps

    /// Checks of what is known; the others wait for the symbols that they need.
    private func check(_ checks: [SizeCheck]) {
        for check in checks {
            let symbols = check.condition.expression.symbols
            if knownSymbols.isSuperset(of: symbols) { append(.check(check.condition, message: check.message)) } else {
                for symbol in symbols { openChecks[symbol, default: []].append(check) }
            }
        }
    }

    func append(_ step: Draft) { frames[frames.count - 1].steps.append(step) }

    private func steps(_ graph: Graph, _ values: inout [ValueID: Int], preferred: [ValueID: Int] = [:]) throws {
        let forms = try graph.operations.map { try graph.form(of: $0) }
        for (operation, form) in zip(graph.operations, forms) where form.isGroup {
            for operand in Set(operation.operands) { if let buffer = values[operand] { readers[buffer, default: 0] += 1 } }
        }
        for (operation, form) in zip(graph.operations, forms) {
            switch form {
            case .constant(let literal):
                values[operation.results[0]] = addBuffer("c\(draft.buffers.count)", literal.type, .constant(literal))
            case .group(let kind):
                let results = operation.results.map { preferred[$0] ?? makeTemporary("t", graph.type(of: $0)) }
                for (value, buffer) in zip(operation.results, results) { values[value] = buffer }
                append(.launch(try kernel(kind, operation, inputs: operation.operands.map { values[$0]! }, outputs: results)))
            case .prefix(let symbol):
                try prefix(symbol, operation, graph, &values)
            case .control(let control):
                try self.control(control, operation, graph, &values)
            default:
                throw CompileError(operation.op.name, "is no kernel that the compiler can make", at: operation.location,
                                   fix: "run the graph through the fuse pass, or use an op that has a kernel")
            }
        }
    }

    /// A prefix lies where what it is taken of lies.
    private func prefix(_ symbol: String, _ operation: Operation, _ graph: Graph, _ values: inout [ValueID: Int]) throws {
        let (data, count) = (values[operation.operands[0]]!, values[operation.operands[1]]!)
        let limit = graph.type(of: operation.operands[0]).shape[0]
        try sizes.add(symbol, limit: limit, at: operation)
        knownSymbols.insert(symbol)
        values[operation.results[0]] = data
        append(.measure(symbol: symbol, from: count, limit: limit))
        for check in openChecks[symbol] ?? [] where knownSymbols.isSuperset(of: check.condition.expression.symbols) {
            append(.check(check.condition, message: check.message))
        }
    }

    /// Lowers a group, and gives its kernel's number.
    private func kernel(_ kind: GroupKind, _ operation: Operation, inputs: [Int], outputs: [Int]) throws -> Int {
        (temporaries, location) = ([], operation.location)
        let shape = GroupShape(kind, operation.regions[0], inputs + outputs, draft.buffers)
        if sharesLoops, let known = lowered[shape], let buffers = repeated(known, on: inputs + outputs) {
            draft.like[draft.kernels.count] = .init(kernel: known.kernel, buffers: buffers)
            return add(draft.kernels[known.kernel].launches, known.workspace, kind, operation, outputs)
        }
        (temporaries, requests) = ([], [])
        let lowering = try GroupLowering(kind, region: operation.regions[0], inputs: inputs, outputs: outputs, program: self)
        try lowering.lower()
        let number = add(lowering.launches, lowering.workspace, kind, operation, outputs)
        lowered[shape] = LoweredGroup(kernel: number, buffers: inputs + outputs, requests: requests, workspace: lowering.workspace)
        return number
    }

    private func add(_ launches: [KernelLaunch], _ workspace: Dim, _ kind: GroupKind, _ operation: Operation, _ outputs: [Int]) -> Int {
        workspaces.insert(workspace)
        draft.made.append(outputs + temporaries)
        draft.isElementwise.append(kind == .pointwise)
        draft.kernels.append(Kernel(name: "\(self.name)_\(draft.kernels.count)_\(kind.rawValue)", location: operation.location, launches: launches))
        return draft.kernels.count - 1
    }

    /// Asks for all that a group of the same shape was given, for other inputs and outputs, and gives what each of its buffers is here;
    /// nil where the answers differ, so that the loops could, too.
    private func repeated(_ known: LoweredGroup, on buffers: [Int]) -> [Int: Int]? {
        var numbers = Dictionary(zip(known.buffers, buffers), uniquingKeysWith: { first, _ in first })
        for request in known.requests {
            switch request {
            case .temporary(let name, let type, let old): numbers[old] = makeTemporary(name, type)
            case .packed(let name, var packing, let old):
                packing.source = numbers[packing.source] ?? packing.source
                let new = packed(name, packing)
                guard (old == nil) == (new == nil) else { return nil }
                if let old { numbers[old] = new }
            case .panels(var content, let old):
                content.source = numbers[content.source] ?? content.source
                let new = panels(content)
                guard (old == nil) == (new == nil) else { return nil }
                if let old { numbers[old] = new }
            case .packOnce(let launch, let buffer, var content, let sources, let isDone):
                if let source = content?.source { content?.source = numbers[source] ?? source }
                let frame = frameThatPacks(sources.map { numbers[$0] ?? $0 }, content)
                guard (frame != nil) == isDone else { return nil }
                if let frame { pack(launch.replacingBuffers { numbers[$0] ?? $0 }, into: numbers[buffer] ?? buffer, content, in: frame) }
            }
        }
        return numbers
    }

    // MARK: Regions

    /// Writes the steps of a region, and gives them and where the region's outputs are.
    func region(_ region: Graph, inputs: [Int], checks: [SizeCheck], isLoop: Bool) throws -> (steps: [Draft], outputs: [Int]) {
        frames.append(StepFrame(id: frameCount, isLoop: isLoop, hasChecks: !checks.isEmpty))
        frameCount += 1
        var values: [ValueID: Int] = [:]
        for (port, buffer) in zip(region.inputs, inputs) { values[port.value] = buffer }
        check(checks)
        try steps(region, &values)
        return (frames.removeLast().steps, region.outputs.map { values[$0.value]! })
    }

    /// Runs `body` while the buffers' contents are those of a loop's round.
    func inRounds<T>(_ buffers: [Int], _ body: () throws -> T) rethrows -> T {
        for buffer in buffers { homes[buffer] = frames.count }
        defer { for buffer in buffers { homes[buffer] = frames.count - 1 } }
        return try body()
    }

    /// The checks of an operation's region.
    func checks(of operation: Operation, region: Int) -> [SizeCheck] { operation.regionNumber.flatMap { checks.inside[$0] }?[region] ?? [] }

    // MARK: Packing once

    /// The buffer with panels that some kernel before packed.
    func panels(_ content: PanelContent) -> Int? {
        var buffer: Int?
        if let known = panels[content], known.frame < frames.count, frames[known.frame].id == known.id { buffer = known.buffer }
        requests.append(.panels(content, buffer))
        return buffer
    }

    /// Makes a kernel of its own of a launch that packs panels of an operand, where others read them too or where it is the same in each
    /// round of a loop: it then runs before the loop.
    ///
    /// - Parameters:
    ///   - buffer: the temporary that the launch writes.
    ///   - content: what it then holds; nil where it can't be told.
    /// - Returns: whether the launch is no part of the kernel being lowered any more.
    func packOnce(_ launch: KernelLaunch, into buffer: Int, _ content: PanelContent?) -> Bool {
        let sources = BufferUse(launch).read
        let frame = frameThatPacks(sources, content)
        requests.append(.packOnce(launch, buffer, content, sources: sources, isDone: frame != nil))
        if let frame { pack(launch, into: buffer, content, in: frame) }
        return frame != nil
    }

    /// The frame whose steps are to pack panels of some buffers; nil where the kernel itself is to.
    private func frameThatPacks(_ sources: [Int], _ content: PanelContent?) -> Int? {
        // Symbols that are measured may not be known where the launch would go.
        guard sizes.symbols.isEmpty, !sources.contains(where: Set(temporaries).contains) else { return nil }
        var frame = frames.count - 1
        while frame > 0, frames[frame].isLoop, !frames[frame].hasChecks, sources.allSatisfy({ homes[$0, default: 0] < frame }) { frame -= 1 }
        let isShared = content.map { isArgument($0.source) && readers[$0.source, default: 0] > 1 } ?? false
        return isShared || frame < frames.count - 1 ? frame : nil
    }

    private func pack(_ launch: KernelLaunch, into buffer: Int, _ content: PanelContent?, in frame: Int) {
        temporaries.removeAll { $0 == buffer }
        homes[buffer] = frame
        if let content { panels[content] = (buffer, frame, frames[frame].id) }
        draft.made.append([buffer])
        draft.isElementwise.append(false)
        draft.kernels.append(Kernel(name: "\(name)_\(draft.kernels.count)_pack", location: location, launches: [launch]))
        frames[frame].steps.append(.launch(draft.kernels.count - 1))
    }

    private func isArgument(_ buffer: Int) -> Bool { if case .input = draft.buffers[buffer].storage { true } else { false } }
}

/// A list of steps being written.
private struct StepFrame {
    /// No other list's.
    let id: Int
    /// Whether the steps are those of a loop's test or of its rounds.
    var isLoop = false
    /// Whether sizes are checked first, so that what follows may have impossible ones where the steps are not run.
    var hasChecks = false
    var steps: [Draft] = []
}

extension Form {
    fileprivate var isGroup: Bool { if case .group = self { true } else { false } }
}
