// Computes pending nodes: roots come in, one compiled program for all that is needed is found or made, run, and its results bound.
// Programs are cached by the structure of the trace; numbers that change from time to time become inputs.
import KilnExecution
import KilnIR

/// The cache of compiled programs. Used under the trace's lock.
struct Evaluator {
    /// A program and the numbers that are part of its code.
    private struct Entry {
        var program: TraceProgram
        /// For each number of the structure: whether it is an input, and its value where it is not.
        var isPromoted: [Bool]
        var values: [Scalar]

        func fits(_ numbers: [Node]) -> Bool {
            for (index, node) in numbers.enumerated() where !isPromoted[index] && values[index] != node.scalar { return false }
            return true
        }
    }

    private var entries: [StructureKey: Entry] = [:]
    private let limit = 1024

    /// Computes the roots, which may be of any kind but placeholders and poison.
    mutating func evaluate(_ roots: [Node]) throws {
        // The value that an alias stands for may be there already.
        for root in roots where root.isPending && root.kind == .alias { root.resolved.buffer.map { Self.bind(root, $0) } }
        let pending = roots.filter { $0.isPending }
        guard !pending.isEmpty else { return }
        let structure = Structure(pending)
        if let placeholder = structure.placeholders.first { throw Self.unreadable(placeholder) }
        if structure.hasTransfers || structure.places.count > 1 { try evaluateAcross(pending) } else { try compute(pending, structure) }
    }

    /// Computes roots of one device.
    mutating func compute(_ roots: [Node], _ structure: Structure) throws {
        let place = structure.places.first ?? .cpu
        let buffers = try run(structure, place)
        for (root, output) in zip(roots, structure.outputOfRoot) {
            root.place = place
            Self.bind(root, buffers[output])
        }
    }

    static func unreadable(_ node: Node) -> CompileError {
        CompileError("reading a tensor", "its value depends on an argument of a function that is being captured", at: node.location,
                     fix: "return it from the function, and read it outside")
    }

    private mutating func run(_ structure: Structure, _ place: Place) throws -> [DeviceBuffer] {
        let accelerator = try Trace.shared.places.accelerator(place)
        let entry = try program(structure, place)
        ThreadState.current.counters.evaluations += 1
        var inputs = structure.leaves.map { $0.buffer! }
        for (index, node) in structure.numbers.enumerated() where entry.isPromoted[index] {
            inputs.append(try Self.buffer(node.scalar, node.box.type.dtype))
        }
        return try entry.program.run(inputs, on: accelerator)
    }

    private mutating func program(_ structure: Structure, _ place: Place) throws -> Entry {
        let known = entries[structure.key]
        if let known, known.fits(structure.numbers) { return known }
        var promoted = known?.isPromoted ?? Array(repeating: false, count: structure.numbers.count)
        if let known {
            // What changed once will change again; what changes later still takes all the others with it.
            let isFirstChange = !known.isPromoted.contains(true)
            for (index, node) in structure.numbers.enumerated() where !isFirstChange || known.values[index] != node.scalar {
                promoted[index] = true
            }
        }
        let graph = try graph(structure, promoted)
        let (program, seconds) = try timed { try TraceProgram(graph, Trace.shared.places.options(place)) }
        Self.count(seconds)
        if entries.count >= limit { entries.removeAll() }
        let entry = Entry(program: program, isPromoted: promoted, values: structure.numbers.map(\.scalar))
        entries[structure.key] = entry
        return entry
    }

    private func graph(_ structure: Structure, _ promoted: [Bool]) throws -> Graph {
        var inputs = structure.leaves.enumerated().map { ($0.element, "x\($0.offset)") }
        var promotedNames: [Int: String] = [:]
        for (index, node) in structure.numbers.enumerated() where promoted[index] {
            inputs.append((node, "s\(index)"))
            promotedNames[node.number] = "s\(index)"
        }
        return try structure.graph(name: "trace", inputs: inputs, outputNames: structure.outputs.indices.map { "y\($0)" }) { node in
            if node.kind == .number, node.buffer == nil {
                return promotedNames[node.number].map { .promoted($0) } ?? .number(node.scalar)
            }
            return .input("")
        }
    }

    /// Gives a node its value. History that no gradient needs is let go.
    static func bind(_ node: Node, _ buffer: DeviceBuffer) {
        let source = node.resolved
        node.buffer = buffer
        if source !== node { source.buffer = buffer }
        if node.kind == .alias {
            // The source may be held by nobody else; its own history goes with it.
            if !source.tracksGradient { source.dropHistory() }
            node.operand0 = nil
        } else if !node.tracksGradient || node.slot != nil { node.dropHistory() }
    }

    private static func buffer(_ value: Scalar, _ dtype: DType) throws -> DeviceBuffer {
        let literal = Literal(dtype, [], repeating: value)
        return try literal.withUnsafeBytes { try DeviceBuffer(copying: $0) }
    }

    static func count(_ compileSeconds: Double) {
        ThreadState.current.counters.compilations += 1
        ThreadState.current.counters.compileSeconds += compileSeconds
    }
}

func timed<T>(_ body: () throws -> T) rethrows -> (T, Double) {
    let clock = ContinuousClock()
    let start = clock.now
    let result = try body()
    let elapsed = (clock.now - start).components
    return (result, Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18)
}

extension Trace {
    /// Computes a node's value, and with it everything else that is held and pending.
    func evaluate(_ wanted: [Node]) throws {
        try locked {
            for node in wanted {
                if let error = node.error { throw error }
                if node.isAbstract || node.kind == .placeholder { throw Evaluator.unreadable(node) }
            }
            guard wanted.contains(where: \.isPending) else { return }
            let pending = ThreadState.current.pending
            let held = pending.nodes
            do {
                try evaluator.evaluate(held + wanted)
            } catch {
                // Somebody else's tensor may be at fault: what was asked for is tried alone.
                do { try evaluator.evaluate(wanted) } catch { throw error }
            }
            pending.removeFinished()
        }
    }

    /// Computes everything that is held and pending.
    func evaluateAll() throws {
        try locked {
            let pending = ThreadState.current.pending
            try evaluator.evaluate(pending.nodes)
            pending.removeFinished()
        }
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
