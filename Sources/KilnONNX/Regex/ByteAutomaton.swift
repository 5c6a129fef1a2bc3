// A deterministic automaton over bytes, made from a nondeterministic one by the subset construction (M. O. Rabin and D. Scott, 1959).
// Assertions are decided where the byte behind them is known, so a state also says what was read last.

/// Says of every text whether all of it matches a pattern. State 0 is the first.
struct ByteAutomaton {
    /// The class of each byte: bytes of one class are told apart by no state.
    let classes: [UInt8]
    let classCount: Int
    /// The state that follows each state, row by row, on each class.
    private(set) var transitions: [Int32] = []
    /// Whether a text may end in each state.
    private(set) var accepts: [Bool] = []
    private static let mostStates = 10_000
    /// How many places of the nondeterministic automaton are looked at before a pattern is given up.
    private static let mostSteps = 20_000_000

    /// What stands on one side of a place in a text, as far as assertions ask for it.
    private enum Neighbour: Hashable { case nothing, lineEnd, wordCharacter, other }

    private struct State: Hashable {
        /// Of the nondeterministic automaton, in order.
        var places: [Int]
        var before: Neighbour
    }

    init(_ pattern: String) throws { try self.init(ByteProgram(RegexParser.parse(pattern))) }

    init(_ program: ByteProgram) throws {
        let looks = program.hasAssertions
        // Classes are ranges of bytes.
        var starts: Set<Int> = looks ? [0x0A, 0x0B, 0x30, 0x3A, 0x41, 0x5B, 0x5F, 0x60, 0x61, 0x7B] : []
        for case .byte(let range, _) in program.states { starts.formUnion([Int(range.lowerBound), Int(range.upperBound) + 1]) }
        var classes = [UInt8](repeating: 0, count: 256), kinds = [looks ? Self.neighbour(0) : .other]
        for byte in 1..<256 {
            classes[byte] = classes[byte - 1] + (starts.contains(byte) ? 1 : 0)
            if starts.contains(byte) { kinds.append(looks ? Self.neighbour(UInt8(byte)) : .other) }
        }
        (self.classes, classCount) = (classes, kinds.count)

        var numbers: [State: Int32] = [:], states: [State] = []
        func number(_ state: State) throws -> Int32 {
            if let known = numbers[state] { return known }
            guard states.count < Self.mostStates else { throw Unsupported(reason: "a pattern whose automaton has more than \(Self.mostStates) states") }
            numbers[state] = Int32(states.count)
            states.append(state)
            return Int32(states.count - 1)
        }
        _ = try number(State(places: [program.start], before: looks ? .nothing : .other))
        var steps = 0
        while accepts.count < states.count {
            let state = states[accepts.count]
            accepts.append(Self.reached(from: state, before: .nothing, program).contains(0))
            var targets = [Set<Int>](repeating: [], count: classCount)
            for kind in Set(kinds) {
                let reached = Self.reached(from: state, before: kind, program)
                steps += reached.count
                guard steps <= Self.mostSteps else { throw Unsupported(reason: "a pattern whose automaton takes more than \(Self.mostSteps) steps to make") }
                for place in reached {
                    guard case .byte(let range, let next) = program.states[place] else { continue }
                    for number in Int(classes[Int(range.lowerBound)])...Int(classes[Int(range.upperBound)]) where kinds[number] == kind {
                        targets[number].insert(next)
                    }
                }
            }
            for (kind, places) in zip(kinds, targets) {
                transitions.append(try number(State(places: places.sorted(), before: places.isEmpty ? .other : kind)))
            }
        }
    }

    private static func neighbour(_ byte: UInt8) -> Neighbour {
        byte == 0x0A ? .lineEnd : ScalarSet.wordCharacters.contains(UInt32(byte)) ? .wordCharacter : .other
    }

    /// All places that are reached without reading, if `after` is what is read next.
    private static func reached(from state: State, before after: Neighbour, _ program: ByteProgram) -> Set<Int> {
        var reached = Set(state.places), open = state.places
        func go(_ place: Int) { if reached.insert(place).inserted { open.append(place) } }
        while let place = open.popLast() {
            switch program.states[place] {
            case .byte, .match: break
            case .branch(let places): places.forEach(go)
            case .assertion(let assertion, let next): if holds(assertion, state.before, after) { go(next) }
            }
        }
        return reached
    }

    private static func holds(_ assertion: Regex.Assertion, _ before: Neighbour, _ after: Neighbour) -> Bool {
        switch assertion {
        case .textStart: before == .nothing
        case .textEnd: after == .nothing
        case .lineStart: before == .nothing || before == .lineEnd
        case .lineEnd: after == .nothing || after == .lineEnd
        case .wordBoundary: (before == .wordCharacter) != (after == .wordCharacter)
        case .noWordBoundary: (before == .wordCharacter) == (after == .wordCharacter)
        }
    }

    /// Whether all of a text matches.
    func matches(_ text: some Sequence<UInt8>) -> Bool {
        accepts[Int(text.reduce(Int32(0)) { transitions[Int($0) * classCount + Int(classes[Int($1)])] })]
    }
}
