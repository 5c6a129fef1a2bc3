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
        /// A library is made: variables are constants, and nothing may be set or drawn.
        case library
        /// Part of a function, which the capture around it reads variables and draws keys for.
        case region
    }

    let purpose: Purpose
    private(set) var arguments: [Node] = []
    private(set) var variables: [(variable: Variable, node: Node)] = []
    private(set) var randomKeys: [Node] = []
    private(set) var assigned: [(variable: Variable, tensor: Tensor)] = []
    /// The first thing that the function did and that can't be captured.
    private(set) var mistake: Mistake?
    private var numberOfVariable: [ObjectIdentifier: Int] = [:]
    private var numberOfAssigned: [ObjectIdentifier: Int] = [:]
    /// Nodes with lower numbers are from before.
    let boundary: Int

    init(_ purpose: Purpose) {
        self.purpose = purpose
        boundary = Trace.shared.locked { Trace.shared.serial + 1 }
    }

    /// A placeholder for an argument.
    /// - Parameter place: where it will be; on any device for one that is compiled into another program.
    func argument(_ type: TensorType, name: String, deviceID: DeviceID = .any, tracks: Bool = false) -> Tensor {
        let node = Self.placeholder(type, name: name, deviceID)
        if tracks {
            node.slot = GradientSlot()
            node.tracksGradient = true
        }
        arguments.append(node)
        return .hold(node)
    }

    private static func placeholder(_ type: TensorType, name: String, _ deviceID: DeviceID) -> Node {
        Trace.shared.locked {
            let node = Node(.placeholder, Trace.shared.signatures.intern(type), isAbstract: true, deviceID: deviceID)
            node.rare = .init(name: name)
            return node
        }
    }

    func read(_ variable: Variable) -> Tensor {
        if let known = numberOfAssigned[ObjectIdentifier(variable)] { return assigned[known].tensor }
        guard purpose == .jit else { return variable.stored }
        if let known = numberOfVariable[ObjectIdentifier(variable)] { return .hold(variables[known].node) }
        let node = Self.placeholder(variable.stored.type, name: "variable", variable.stored.deviceID)
        if variable.stored.node.slot != nil {
            node.slot = GradientSlot()
            node.tracksGradient = true
        }
        numberOfVariable[ObjectIdentifier(variable)] = variables.count
        variables.append((variable, node))
        return .hold(node)
    }

    func assign(_ tensor: Tensor, to variable: Variable) {
        if let known = numberOfAssigned[ObjectIdentifier(variable)] { assigned[known].tensor = tensor } else {
            numberOfAssigned[ObjectIdentifier(variable)] = assigned.count
            assigned.append((variable, tensor))
        }
    }

    /// Keeps a mistake, which is thrown when the function has run; the first counts.
    func note(_ mistake: Mistake) { self.mistake = self.mistake ?? mistake }

    /// Throws where a library would not do what the function does: what is set has to go out as a result.
    func checkNothingIsLost(_ results: [Tensor]) throws {
        let given = Set((results.map(\.node) + arguments).map { ObjectIdentifier(Trace.shared.resolve($0)) })
        for (variable, tensor) in assigned where !given.contains(ObjectIdentifier(Trace.shared.resolve(tensor.node))) {
            if let error = tensor.error { throw error }
            throw Mistake(CompileError("compile", "the function sets \(variable.label), which a library doesn't keep from call to call",
                                       fix: "call eval() on the model first; or, to train in a library, pass it in as an input and give it out as a result")).error
        }
    }

    /// A key for a random op, where keys are drawn at each call.
    func randomKey(_ deviceID: DeviceID) -> Tensor? {
        if purpose == .library {
            note(Mistake(CompileError("compile", "the function draws random numbers, which would be the same at every call of the library",
                                      fix: "call eval() on the model first, if it drops out; or pass a key as an input, as in uniform(key:)")))
        }
        guard purpose == .jit else { return nil }
        let node = Self.placeholder(TensorType(.u32, [2]), name: "key", deviceID)
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
        if let mistake { throw mistake.error }
        for result in results { if let error = result.error { throw error } }
        let nodes = results.map(\.node)
        let outside = Trace.shared.locked { Structure(nodes, boundary: boundary).captured.filter(\.isPending) }
        if !outside.isEmpty {
            if let wrong = outside.first(where: \.isAbstract) { throw Evaluator.unreadable(wrong) }
            try Trace.shared.evaluate(outside)
        }
        return Trace.shared.locked { Structure(nodes) }
    }
}

/// Whether a function is under capture on this thread, so that values can't be read.
var isCapturing: Bool { !ThreadState.current.captures.isEmpty }
