// Classes of characters and what follows a backslash: the parts of RE2's syntax that stand for sets.

extension RegexParser {
    /// What follows a backslash outside of classes.
    mutating func escape() throws -> Regex {
        let start = place - 1
        switch try takeOne("what is escaped") {
        case "A": return .assertion(.textStart)
        case "z": return .assertion(.textEnd)
        case "b": return .assertion(.wordBoundary)
        case "B": return .assertion(.noWordBoundary)
        case "C": return .byte
        default: place = start + 1
        }
        if let set = try escapedSet() { return .character(set) }
        return character(try escapedCharacter())
    }

    private func folded(_ set: ScalarSet) -> ScalarSet { flags.ignoresCase ? set.ignoringCase : set }

    /// A set such as `\d` or `\pL`; nil where it is a character that is escaped.
    private mutating func escapedSet() throws -> ScalarSet? {
        let start = place
        switch try takeOne("what is escaped") {
        case "d": return .digits
        case "D": return ScalarSet.digits.complement
        case "w": return folded(.wordCharacters)
        case "W": return folded(.wordCharacters).complement
        case "s": return .spaces
        case "S": return ScalarSet.spaces.complement
        case "p": return try category(isNegated: false)
        case "P": return try category(isNegated: true)
        default:
            place = start
            return nil
        }
    }

    private mutating func category(isNegated: Bool) throws -> ScalarSet {
        var name = take("{") ? try take(upTo: "}", "a category's name") : String(Character(try takeOne("a category's name")))
        let isOpposite = name.hasPrefix("^")
        if isOpposite { name.removeFirst() }
        guard let set = ScalarSet.category(name) else {
            guard name.count > 2 else { throw RegexError(problem: "names the category '\(name)', which there is not") }
            throw Unsupported(reason: "the class \\p{\(name)}: only general categories are known, not scripts")
        }
        return isNegated != isOpposite ? folded(set).complement : folded(set)
    }

    /// The character that an escape stands for.
    private mutating func escapedCharacter() throws -> Unicode.Scalar {
        let start = place - 1, scalar = try takeOne("what is escaped")
        func wrong() -> RegexError { RegexError(problem: "has an escape that RE2 does not know, at \(start)") }
        switch scalar {
        case "a": return "\u{7}"
        case "f": return "\u{C}"
        case "t": return "\t"
        case "n": return "\n"
        case "r": return "\r"
        case "v": return "\u{B}"
        case "x":
            let digits = take("{") ? try take(upTo: "}", "hexadecimal digits")
                : String(String.UnicodeScalarView([try takeOne("hexadecimal digits"), try takeOne("hexadecimal digits")]))
            guard let value = UInt32(digits, radix: 16), let result = Unicode.Scalar(value) else { throw wrong() }
            return result
        case "0"..."7":
            // A digit but zero alone would be a back reference.
            var digits = String(Character(scalar))
            while digits.count < 3, let next, ("0"..."7").contains(next) {
                digits.unicodeScalars.append(next)
                place += 1
            }
            guard scalar == "0" || digits.count > 1, let value = UInt32(digits, radix: 8), let result = Unicode.Scalar(value) else { throw wrong() }
            return result
        default:
            guard scalar.isASCII, !ScalarSet(ascii: "0-9A-Za-z").contains(scalar.value) else { throw wrong() }
            return scalar
        }
    }

    // MARK: Classes

    /// What follows `[`, with its `]`.
    mutating func characterClass() throws -> Regex {
        let isNegated = take("^")
        var set = ScalarSet([]), isFirst = true
        while isFirst || !take("]") {
            isFirst = false
            set = set.union(try member())
        }
        return .character(isNegated ? set.complement : set)
    }

    /// A class by name, an escape, a character or a range of characters.
    private mutating func member() throws -> ScalarSet {
        if take("[:") {
            let start = place, isNegated = take("^")
            let name = try take(upTo: ":]", "the name of a class")
            guard let known = ScalarSet.posix(name) else { throw RegexError(problem: "names the class '\(name)', which there is not, at \(start)") }
            return isNegated ? folded(known).complement : folded(known)
        }
        if take("\\") {
            if let set = try escapedSet() { return set }
            place -= 1
        }
        let low = try classCharacter()
        var high = low
        if next == "-", place + 1 < scalars.count, scalars[place + 1] != "]" {
            place += 1
            high = try classCharacter()
        }
        guard low.value <= high.value else { throw RegexError(problem: "has the range \(low)-\(high), whose ends are the wrong way round") }
        return folded(ScalarSet([low.value...high.value]))
    }

    private mutating func classCharacter() throws -> Unicode.Scalar {
        let scalar = try takeOne("the end of a class")
        return scalar == "\\" ? try escapedCharacter() : scalar
    }
}
