// Computes pending nodes: roots come in, a snapshot of what they need is taken under the trace's lock, one program is found or made and run
// outside of it, and the results are bound. A node is computed once: whoever needs one that another thread is computing waits for it.
import KilnExecution
import KilnIR

/// One evaluation: nodes that this thread is computing.
struct Evaluator {
    /// What a look at the roots came to.
    private enum Step {
        case done
        /// Numbers need no program.
        case fill([Node])
        /// Where leaves start from is computed before what depends on it.
        case first([Node])
        case wait(Latch)
        case run([Node], Structure, claimed: [Node])
    }

    /// Computes the roots, which may be of any kind but placeholders and poison.
    /// - Parameter wanted: the roots without which there is no going on; only for these other threads are waited for.
    static func evaluate(_ roots: [Node], wanted: [Node]) throws {
        var roots = roots
        while true {
            let latch = Latch()
            switch try Trace.shared.locked({ try step(roots, latch) }) {
            case .done: return
            case .fill(let numbers): try fill(numbers)
            case .first(let starts): try evaluate(starts, wanted: starts)
            case .wait(let other):
                if roots.count > wanted.count { roots = wanted } else { other.wait() }
            case .run(let pending, let structure, let claimed):
                defer {
                    Trace.shared.locked { for node in claimed { node.evaluation = nil } }
                    latch.open()
                }
                if structure.hasTransfers || structure.devices.count > 1 { try evaluateAcross(pending) } else { try compute(pending, structure) }
                return
            }
        }
    }

    /// Looks at what is to be done, and claims it for this thread. Runs under the trace's lock.
    private static func step(_ roots: [Node], _ latch: Latch) throws -> Step {
        var dropped: [Node] = []
        // The value that an alias stands for may be there already.
        for root in roots where root.isPending && root.kind == .alias {
            if let buffer = root.resolved.buffer { bind(root, buffer, &dropped) }
        }
        let pending = roots.filter { $0.isPending }
        if pending.isEmpty { return .done }
        let numbers = pending.filter { root in
            let source = root.resolved
            return source.kind == .number && (source.deviceID == .cpu || source.deviceID == .any) && !source.isAbstract
        }
        if !numbers.isEmpty { return .fill(numbers) }
        let starts = pending.filter { $0.rare?.isStart == true }
        if !starts.isEmpty, starts.count < pending.count { return .first(starts) }
        let structure = Structure(pending)
        if let placeholder = structure.placeholders.first { throw unreadable(placeholder) }
        if let other = structure.underWay { return .wait(other) }
        let claimed = pending + pending.map(\.resolved)
        for node in claimed { node.evaluation = latch }
        return .run(pending, structure, claimed: claimed)
    }

    /// Gives numbers of the host's their values.
    private static func fill(_ numbers: [Node]) throws {
        for root in numbers {
            let source = Trace.shared.locked { root.resolved }
            let buffer = try DeviceBuffer(byteCount: source.box.byteCount)
            Literal(source.box.type.dtype, [], repeating: source.scalar).withUnsafeBytes { element in
                let bytes = buffer.mutableBytes
                guard let base = bytes.baseAddress, let first = element.baseAddress else { return }
                // What is filled is copied behind itself, twice as much each time.
                var filled = min(element.count, bytes.count)
                base.copyMemory(from: first, byteCount: filled)
                while filled < bytes.count {
                    let count = min(filled, bytes.count - filled)
                    (base + filled).copyMemory(from: base, byteCount: count)
                    filled += count
                }
            }
            bind([root], [buffer])
        }
    }

    /// Computes roots of one device.
    static func compute(_ roots: [Node], _ structure: Structure) throws {
        let deviceID = structure.devices.first ?? .cpu
        let buffers = try run(structure, deviceID)
        bind(roots, structure.outputOfRoot.map { buffers[$0] }, deviceID)
    }

    static func unreadable(_ node: Node) -> CompileError {
        CompileError("reading a tensor", "its value depends on an argument of a function that is being captured", at: node.location,
                     fix: "return it from the function, and read it outside")
    }

    private static func run(_ structure: Structure, _ deviceID: DeviceID) throws -> [DeviceBuffer] {
        let accelerator = try Trace.shared.accelerator(deviceID)
        let entry = try Trace.shared.programs.entry(structure, try Trace.shared.options(deviceID))
        ThreadState.current.counters.evaluations += 1
        var inputs = structure.leaves.map { $0.buffer! }
        for (index, node) in structure.numbers.enumerated() where entry.isPromoted[index] {
            inputs.append(try buffer(node.scalar, node.box.type.dtype))
        }
        return try entry.program.run(inputs, on: accelerator)
    }

    /// Gives nodes their values. History that no gradient needs is let go.
    static func bind(_ roots: [Node], _ buffers: [DeviceBuffer], _ deviceID: DeviceID? = nil) {
        // Emptied outside of the lock: it may be all that was recorded.
        var dropped: [Node] = []
        Trace.shared.locked {
            for (root, buffer) in zip(roots, buffers) {
                if let deviceID, root.buffer == nil { root.deviceID = deviceID }
                bind(root, buffer, &dropped)
            }
        }
    }

    private static func bind(_ node: Node, _ buffer: DeviceBuffer, _ dropped: inout [Node]) {
        let source = node.resolved
        // A value that was seen stays.
        if source.buffer == nil { source.buffer = buffer }
        if source !== node, node.buffer == nil { node.buffer = source.buffer }
        if node.kind == .alias {
            // The source may be held by nobody else; its own history goes with it.
            if !source.tracksGradient { source.dropHistory(into: &dropped) }
            node.dropHistory(into: &dropped)
        } else if !node.tracksGradient || node.slot != nil { node.dropHistory(into: &dropped) }
    }

    private static func buffer(_ value: Scalar, _ dtype: DType) throws -> DeviceBuffer {
        let literal = Literal(dtype, [], repeating: value)
        return try literal.withUnsafeBytes { try DeviceBuffer(copying: $0) }
    }
}

extension Trace {
    /// Computes nodes' values, and with them everything else that this thread holds and has pending.
    func evaluate(_ wanted: [Node]) throws {
        let list = ThreadState.current.pending
        // What a mistake says is looked up outside of the lock.
        for node in wanted { if let error = node.error { throw error } }
        let held: [Node]? = try locked {
            for node in wanted {
                if node.isAbstract || node.kind == .placeholder { throw Evaluator.unreadable(node) }
            }
            guard wanted.contains(where: \.isPending) else { return nil }
            list.recorded = 0
            return list.nodes
        }
        guard let held else { return }
        do { try Evaluator.evaluate(held + wanted, wanted: wanted) } catch {
            // Somebody else's tensor may be at fault: what was asked for is tried alone.
            let isAlone = held.allSatisfy { node in wanted.contains { $0 === node } }
            if isAlone { throw error }
            do { try Evaluator.evaluate(wanted, wanted: wanted) } catch { throw error }
        }
        locked { list.removeFinished() }
    }

    /// Computes everything that is held and pending.
    func evaluateAll() throws {
        let list = ThreadState.current.pending
        let held = locked {
            list.recorded = 0
            return list.nodes
        }
        try Evaluator.evaluate(held, wanted: held)
        locked { list.removeFinished() }
    }
}

/// What Kiln has done so far.
public struct Statistics: Sendable {
    /// Programs that were compiled.
    public let compilations: Int
    /// Calls of programs that evaluation compiled.
    public let evaluations: Int
    /// Time spent in compiling.
    public let compileSeconds: Double
}

/// What Kiln has done so far on the calling thread.
public var statistics: Statistics {
    let counters = ThreadState.current.counters
    return Statistics(compilations: counters.compilations, evaluations: counters.evaluations, compileSeconds: counters.compileSeconds)
}

/// Computes all tensors that this thread made, that are held and pending, in one call of one program.
public func evaluate() throws { try Trace.shared.evaluateAll() }
