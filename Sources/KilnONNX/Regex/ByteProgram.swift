// A regular expression as a nondeterministic automaton over bytes: a tree comes in; states that read a byte, branch, or ask for something
// to hold go out.

/// States by number, the first to be entered last.
struct ByteProgram {
    enum State {
        /// Reads a byte of the range.
        case byte(ClosedRange<UInt8>, next: Int)
        case branch([Int])
        case assertion(Regex.Assertion, next: Int)
        case match
    }

    private(set) var states: [State] = [.match]
    private(set) var start = 0
    private static let mostStates = 100_000

    init(_ regex: Regex) throws { start = try add(regex, before: 0) }

    var hasAssertions: Bool { states.contains { if case .assertion = $0 { true } else { false } } }

    private mutating func add(_ state: State) throws -> Int {
        guard states.count < Self.mostStates else { throw Unsupported(reason: "a pattern whose automaton has more than \(Self.mostStates) states") }
        states.append(state)
        return states.count - 1
    }

    /// The state in which what matches `regex` begins, if the state `next` goes on behind it.
    private mutating func add(_ regex: Regex, before next: Int) throws -> Int {
        switch regex {
        case .empty: return next
        case .byte: return try add(.byte(0...255, next: next))
        case .character(let set): return try add(UTF8Ranges.sequences(of: set)[...], at: 0, before: next)
        case .sequence(let parts): return try parts.reversed().reduce(next) { try add($1, before: $0) }
        case .choice(let parts): return try add(.branch(try parts.map { try add($0, before: next) }))
        case .assertion(let assertion): return try add(.assertion(assertion, next: next))
        case .repeated(let part, let least, let most):
            var first = next
            if let most {
                for _ in least..<max(least, most) { first = try add(.branch([try add(part, before: first), next])) }
            } else {
                let loop = try add(.branch([]))
                states[loop] = .branch([try add(part, before: loop), next])
                first = loop
            }
            for _ in 0..<least { first = try add(part, before: first) }
            return first
        }
    }

    /// Sequences of bytes, in order; those that begin alike share what they have in common.
    private mutating func add(_ sequences: ArraySlice<[ClosedRange<UInt8>]>, at place: Int, before next: Int) throws -> Int {
        var branches: [Int] = [], rest = sequences
        while let first = rest.first {
            let same = rest.prefix { $0[place] == first[place] }
            rest = rest.dropFirst(same.count)
            let follower = first.count == place + 1 ? next : try add(same, at: place + 1, before: next)
            branches.append(try add(.byte(first[place], next: follower)))
        }
        return branches.count == 1 ? branches[0] : try add(.branch(branches))
    }
}
