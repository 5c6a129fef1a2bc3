// A function under capture: it is run once on placeholders, and what it recorded becomes a graph.
import KilnExecution
import KilnIR
import KilnOps

/// One run of a function on placeholders.
final class Capture {
    /// What becomes of the variables and random keys that the function uses.
    enum Purpose {
        /// Variables are read and set at each call; random keys are drawn anew.
        case jit
        /// Both are constants.
        case constants
    }

    let purpose: Purpose
    private(set) var arguments: [Node] = []
    private(set) var variables: [(variable: Variable, node: Node)] = []
    private(set) var randomKeys: [Node] = []
    private(set) var assigned: [(variable: Variable, tensor: Tensor)] = []
    /// Nodes with lower numbers are from before.
    let boundary: Int

    init(_ purpose: Purpose) {
        self.purpose = purpose
        boundary = Trace.shared.locked { Trace.shared.serial + 1 }
    }

    /// A placeholder for an argument.
    /// - Parameter place: where it will be; on any device for one that is compiled into another program.
    func argument(_ type: TensorType, name: String, place: Place = .any, tracks: Bool = false) -> Tensor {
        let node = Self.placeholder(type, name: name, place)
        if tracks {
            node.slot = GradientSlot()
            node.tracksGradient = true
        }
        arguments.append(node)
        return .hold(node)
    }

    private static func placeholder(_ type: TensorType, name: String, _ place: Place) -> Node {
        Trace.shared.locked {
            let node = Node(.placeholder, Trace.shared.signatures.intern(type), isAbstract: true, place: place)
            node.rare = .init(name: name)
            return node
        }
    }

    func read(_ variable: Variable) -> Tensor {
        if let known = assigned.last(where: { $0.variable === variable }) { return known.tensor }
        guard purpose == .jit else { return variable.stored }
        if let known = variables.first(where: { $0.variable === variable }) { return .hold(known.node) }
        let node = Self.placeholder(variable.stored.type, name: "variable", variable.stored.place)
        if variable.stored.node.slot != nil {
            node.slot = GradientSlot()
            node.tracksGradient = true
        }
        variables.append((variable, node))
        return .hold(node)
    }

    func assign(_ tensor: Tensor, to variable: Variable) {
        if let place = assigned.firstIndex(where: { $0.variable === variable }) { assigned[place].tensor = tensor } else {
            assigned.append((variable, tensor))
        }
    }

    /// A key for a random op, where keys are drawn at each call.
    func randomKey(_ place: Place) -> Tensor? {
        guard purpose == .jit else { return nil }
        let node = Self.placeholder(TensorType(.u32, [2]), name: "key", place)
        randomKeys.append(node)
        return .hold(node)
    }

    /// Runs `body` under this capture.
    func run<T>(_ body: () throws -> T) rethrows -> T {
        let state = ThreadState.current
        state.captures.append(self)
        defer { state.captures.removeLast() }
        return try body()
    }

    /// What the function recorded, from its results. What they use from before is computed first.
    func structure(_ results: [Tensor]) throws -> Structure {
        for result in results { if let error = result.error { throw error } }
        return try Trace.shared.locked {
            let nodes = results.map(\.node)
            let outside = Structure(nodes, boundary: boundary).captured.filter(\.isPending)
            if !outside.isEmpty {
                if let wrong = outside.first(where: \.isAbstract) { throw Evaluator.unreadable(wrong) }
                try Trace.shared.evaluate(outside)
            }
            return Structure(nodes)
        }
    }
}

/// Whether a function is under capture on this thread, so that values can't be read.
var isCapturing: Bool { !ThreadState.current.captures.isEmpty }
