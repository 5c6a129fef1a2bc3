// Programs that evaluation compiled, by the structure of the trace: a structure comes in, a program for it goes out that is found or made.
// Numbers that change from time to time become inputs. Threads wait for one another only where they need the same program.
import KilnCompiler
import KilnExecution
import KilnIR

/// The cache of compiled programs.
final class ProgramCache: @unchecked Sendable {
    /// A program and the numbers that are part of its code.
    struct Entry {
        var program: TraceProgram
        /// For each number of the structure: whether it is an input, and its value where it is not.
        var isPromoted: [Bool]
        var values: [Scalar]

        func fits(_ numbers: [Node]) -> Bool {
            for (index, node) in numbers.enumerated() where !isPromoted[index] && values[index] != node.scalar { return false }
            return true
        }
    }

    /// The place of a structure's program, with a lock that is held while it is compiled.
    private final class Slot {
        let lock = Lock()
        var entry: Entry?
        /// The call that used it last. Used under the table's lock.
        var lastUse = 0
    }

    private let lock = Lock()
    // Used under the lock.
    private var slots: [StructureKey: Slot] = [:]
    private var uses = 0
    private let limit = 1024

    /// The program that computes a structure's outputs.
    func entry(_ structure: Structure, _ options: @autoclosure () throws -> Options) throws -> Entry {
        let slot = slot(structure.key)
        return try slot.lock.locked {
            if let known = slot.entry, known.fits(structure.numbers) { return known }
            let entry = try Self.compile(structure, after: slot.entry, options())
            slot.entry = entry
            return entry
        }
    }

    private func slot(_ key: StructureKey) -> Slot {
        lock.locked {
            uses += 1
            let slot: Slot
            if let known = slots[key] { slot = known } else {
                if slots.count >= limit { forgetOldest() }
                slot = Slot()
                slots[key] = slot
            }
            slot.lastUse = uses
            return slot
        }
    }

    /// Drops the half that was not used for longest.
    private func forgetOldest() {
        let middle = slots.values.map(\.lastUse).sorted()[slots.count / 2]
        slots = slots.filter { $0.value.lastUse >= middle }
    }

    private static func compile(_ structure: Structure, after known: Entry?, _ options: Options) throws -> Entry {
        var promoted = known?.isPromoted ?? Array(repeating: false, count: structure.numbers.count)
        if let known {
            // What changed once will change again; what changes later still takes all the others with it.
            let isFirstChange = !known.isPromoted.contains(true)
            for (index, node) in structure.numbers.enumerated() where !isFirstChange || known.values[index] != node.scalar {
                promoted[index] = true
            }
        }
        let graph = try graph(structure, promoted)
        let (program, seconds) = try timed { try TraceProgram(graph, options) }
        count(seconds)
        return Entry(program: program, isPromoted: promoted, values: structure.numbers.map(\.scalar))
    }

    private static func graph(_ structure: Structure, _ promoted: [Bool]) throws -> Graph {
        var inputs = structure.leaves.enumerated().map { ($0.element, "x\($0.offset)") }
        var promotedNames: [ObjectIdentifier: String] = [:]
        for (index, node) in structure.numbers.enumerated() where promoted[index] {
            inputs.append((node, "s\(index)"))
            promotedNames[ObjectIdentifier(node)] = "s\(index)"
        }
        return try structure.graph(name: "trace", inputs: inputs, outputNames: structure.outputs.indices.map { "y\($0)" }) { node, isNumber in
            if isNumber { return promotedNames[ObjectIdentifier(node)].map { .promoted($0) } ?? .number(node.scalar) }
            return .input("")
        }
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
