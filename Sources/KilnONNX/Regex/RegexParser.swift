// Reads regular expressions in RE2's syntax (github.com/google/re2/wiki/Syntax): a pattern comes in, its tree goes out, or what is wrong with it.

/// Reads one pattern.
struct RegexParser {
    /// What a group says of how its parts are read.
    struct Flags {
        var ignoresCase = false
        var hasLines = false
        var dotIsAny = false
    }

    let scalars: [Unicode.Scalar]
    var place = 0
    var flags = Flags()
    private var depth = 0
    /// How often a part may be repeated by numbers, those of parts within it counted too.
    private static let mostRepetitions = 1000
    private static let depthLimit = 200

    static func parse(_ pattern: String) throws -> Regex {
        var parser = RegexParser(scalars: Array(pattern.unicodeScalars))
        let regex = try parser.choice()
        guard parser.place == parser.scalars.count else { throw RegexError(problem: "closes a group that is not open, at \(parser.place)") }
        guard repetitions(regex) <= mostRepetitions else { throw RegexError(problem: "repeats a part more than \(mostRepetitions) times") }
        return regex
    }

    private init(scalars: [Unicode.Scalar]) { self.scalars = scalars }

    private static func repetitions(_ regex: Regex) -> Int {
        switch regex {
        case .empty, .character, .byte, .assertion: 1
        case .sequence(let parts), .choice(let parts): parts.map(repetitions).max() ?? 1
        case .repeated(let part, let least, let most): max(least, most ?? 0, 1) * repetitions(part)
        }
    }

    // MARK: Characters

    var next: Unicode.Scalar? { place < scalars.count ? scalars[place] : nil }

    mutating func take(_ text: String) -> Bool {
        let wanted = Array(text.unicodeScalars)
        guard scalars[place...].starts(with: wanted) else { return false }
        place += wanted.count
        return true
    }

    mutating func takeOne(_ what: String) throws -> Unicode.Scalar {
        guard let scalar = next else { throw RegexError(problem: "ends where \(what) is expected") }
        place += 1
        return scalar
    }

    /// What stands up to an end, which is taken too.
    mutating func take(upTo end: String, _ what: String) throws -> String {
        var text = String.UnicodeScalarView()
        while !take(end) { text.append(try takeOne(what)) }
        return String(text)
    }

    func character(_ scalar: Unicode.Scalar) -> Regex { character(ScalarSet(scalar.value)) }
    func character(_ set: ScalarSet) -> Regex { .character(flags.ignoresCase ? set.ignoringCase : set) }

    // MARK: Structure

    /// Alternatives, up to the end or to the `)` of the group that they are in. Flags set within end with it.
    private mutating func choice() throws -> Regex {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthLimit else { throw RegexError(problem: "has groups that lie more than \(Self.depthLimit) deep in each other") }
        let outer = flags
        var parts = [try sequence()]
        while take("|") { parts.append(try sequence()) }
        flags = outer
        return parts.count == 1 ? parts[0] : .choice(parts)
    }

    private mutating func sequence() throws -> Regex {
        var parts: [Regex] = []
        while let scalar = next, scalar != "|", scalar != ")" {
            if take("\\Q") {
                // To the end where there is no \E.
                while place < scalars.count, !take("\\E") { parts.append(character(try takeOne("a character"))) }
                if let last = parts.popLast() { parts.append(try repeated(last)) }
                continue
            }
            if let part = try part() { parts.append(try repeated(part)) }
        }
        return parts.isEmpty ? .empty : parts.count == 1 ? parts[0] : .sequence(parts)
    }

    private mutating func repeated(_ part: Regex) throws -> Regex {
        guard let (least, most) = try repetition() else { return part }
        // Which of several matches is found makes no difference to whether all of a text matches.
        _ = take("?")
        let start = place
        guard try repetition() == nil else { throw RegexError(problem: "repeats a repetition, at \(start)") }
        return .repeated(part, least: least, most: most)
    }

    private mutating func repetition() throws -> (least: Int, most: Int?)? {
        if take("*") { return (0, nil) }
        if take("+") { return (1, nil) }
        if take("?") { return (0, 1) }
        let start = place
        guard take("{"), let least = number() else {
            place = start
            return nil
        }
        var most: Int? = least
        if take(",") { most = next == "}" ? nil : number() ?? -1 }
        guard take("}"), most != -1 else {
            // No repetition, but characters.
            place = start
            return nil
        }
        guard least <= most ?? least, max(least, most ?? 0) <= Self.mostRepetitions else {
            throw RegexError(problem: "repeats \(least) to \(most.map(String.init) ?? "any number of") times, at \(start)")
        }
        return (least, most)
    }

    private mutating func number() -> Int? {
        var digits = ""
        while let scalar = next, ("0"..."9").contains(scalar) {
            digits.unicodeScalars.append(scalar)
            place += 1
        }
        return digits.isEmpty ? nil : Int(digits) ?? Int.max
    }

    /// One character, class, group or assertion; nil for what only sets flags.
    private mutating func part() throws -> Regex? {
        let start = place, scalar = try takeOne("a part")
        switch scalar {
        case "(": return try group()
        case "[": return try characterClass()
        case ".": return .character(flags.dotIsAny ? .all : ScalarSet(0x0A).complement)
        case "^": return .assertion(flags.hasLines ? .lineStart : .textStart)
        case "$": return .assertion(flags.hasLines ? .lineEnd : .textEnd)
        case "*", "+", "?": throw RegexError(problem: "repeats nothing, at \(start)")
        case "{":
            place = start
            if try repetition() != nil { throw RegexError(problem: "repeats nothing, at \(start)") }
            place = start + 1
            return character(scalar)
        case "\\": return try escape()
        default: return character(scalar)
        }
    }

    private mutating func group() throws -> Regex? {
        if take("?P<") || next == "?" && place + 2 < scalars.count && scalars[place + 1] == "<" && !["=", "!"].contains(scalars[place + 2]) && take("?<") {
            let name = try take(upTo: ">", "a group's name")
            guard !name.isEmpty, name.unicodeScalars.allSatisfy({ $0.properties.isAlphabetic || $0 == "_" || $0.properties.numericType != nil }) else {
                throw RegexError(problem: "names a group '\(name)'")
            }
        } else if take("?") {
            guard try settings() else { return nil }
            let inner = flags
            flags = outerFlags
            return try closed(inner)
        }
        return try closed(flags)
    }

    /// The flags before a group with flags of its own.
    private var outerFlags = Flags()

    private mutating func closed(_ inner: Flags) throws -> Regex {
        let outer = flags
        flags = inner
        let regex = try choice()
        flags = outer
        guard take(")") else { throw RegexError(problem: "leaves a group open") }
        return regex
    }

    /// Flags after `(?`, up to a `:`, or to a `)` where they hold from there on. Whether a group follows.
    private mutating func settings() throws -> Bool {
        let start = place - 2
        outerFlags = flags
        var isOn = true, isEmpty = true
        while true {
            switch try takeOne("a flag") {
            case "i": flags.ignoresCase = isOn
            case "m": flags.hasLines = isOn
            case "s": flags.dotIsAny = isOn
            case "U": break
            case "-" where isOn:
                isOn = false
                isEmpty = true
                continue
            case ":" where isOn || !isEmpty: return true
            case ")" where isOn || !isEmpty: return false
            default: throw RegexError(problem: "has a group of a kind that RE2 does not know, at \(start)")
            }
            isEmpty = false
        }
    }
}
