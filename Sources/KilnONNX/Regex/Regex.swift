// What a regular expression says, as a tree: what the parser makes and automata are made of.

/// A regular expression.
indirect enum Regex: Equatable {
    case empty
    /// One character of a set.
    case character(ScalarSet)
    /// Any one byte.
    case byte
    case sequence([Regex])
    case choice([Regex])
    /// From `least` times up to `most`, or without a limit.
    case repeated(Regex, least: Int, most: Int?)
    case assertion(Assertion)

    /// What must hold between two characters.
    enum Assertion {
        case textStart, textEnd, lineStart, lineEnd, wordBoundary, noWordBoundary
    }
}

/// What is wrong with a pattern.
struct RegexError: Error {
    var problem: String
}
