// Sets of Unicode code points as ranges. In come ranges, names of classes and categories; out go unions, complements and the same sets whatever
// the letters' case.

/// A set of code points.
struct ScalarSet: Equatable, Sendable {
    /// In order, apart from each other by at least one code point.
    private(set) var ranges: [ClosedRange<UInt32>]

    static let all = ScalarSet([0...0x10FFFF])

    /// - Parameter ranges: in any order; they may overlap.
    init(_ ranges: [ClosedRange<UInt32>]) {
        self.ranges = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = self.ranges.last, range.lowerBound <= last.upperBound + 1 {
                self.ranges[self.ranges.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else { self.ranges.append(range) }
        }
    }

    init(_ scalar: UInt32) { ranges = [scalar...scalar] }

    /// Characters and ranges of ASCII as in a class, such as `a-z_`.
    init(ascii text: String) {
        let bytes = text.utf8.map { UInt32($0) }
        var ranges: [ClosedRange<UInt32>] = []
        var place = 0
        while place < bytes.count {
            let isRange = place + 2 < bytes.count && bytes[place + 1] == 0x2D
            ranges.append(bytes[place]...bytes[place + (isRange ? 2 : 0)])
            place += isRange ? 3 : 1
        }
        self.init(ranges)
    }

    var complement: ScalarSet {
        var gaps: [ClosedRange<UInt32>] = [], next: UInt32 = 0
        for range in ranges {
            if range.lowerBound > next { gaps.append(next...range.lowerBound - 1) }
            next = range.upperBound + 1
        }
        if next <= 0x10FFFF { gaps.append(next...0x10FFFF) }
        return ScalarSet(gaps)
    }

    func union(_ other: ScalarSet) -> ScalarSet { ScalarSet(ranges + other.ranges) }

    // MARK: Letters' case

    /// With every letter also those that differ from it in nothing but case.
    var ignoringCase: ScalarSet {
        var added: [ClosedRange<UInt32>] = []
        for (letter, others) in Self.variants {
            guard contains(letter) else { continue }
            added += others.map { $0...$0 }
        }
        return ScalarSet(ranges + added)
    }

    func contains(_ scalar: UInt32) -> Bool {
        var low = 0, high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound < scalar { low = middle + 1 } else { high = middle }
        }
        return low < ranges.count && ranges[low].contains(scalar)
    }

    /// For each letter that has a case the others that are the same without: those whose capital's small letter is one.
    private static let variants: [UInt32: [UInt32]] = {
        func single(_ mapping: String, _ otherwise: Unicode.Scalar) -> Unicode.Scalar {
            mapping.unicodeScalars.count == 1 ? mapping.unicodeScalars.first! : otherwise
        }
        var groups: [UInt32: [UInt32]] = [:]
        // All letters with case lie below; the dotless i is nobody's small letter in ASCII.
        for scalar in (0...0x1FFFF as ClosedRange<UInt32>).lazy.compactMap(Unicode.Scalar.init) where scalar.properties.changesWhenCaseMapped && scalar != "\u{131}" {
            let capital = single(scalar.properties.uppercaseMapping, scalar)
            groups[single(capital.properties.lowercaseMapping, capital).value, default: []].append(scalar.value)
        }
        var variants: [UInt32: [UInt32]] = [:]
        for group in groups.values where group.count > 1 { for letter in group { variants[letter] = group.filter { $0 != letter } } }
        return variants
    }()

    // MARK: Classes by name

    static let digits = ScalarSet(ascii: "0-9")
    static let wordCharacters = ScalarSet(ascii: "0-9A-Za-z_")
    static let spaces = ScalarSet(ascii: "\t\n\u{C}\r ")

    /// A class as POSIX names it; nil where there is none.
    static func posix(_ name: String) -> ScalarSet? {
        switch name {
        case "alnum": ScalarSet(ascii: "0-9A-Za-z")
        case "alpha": ScalarSet(ascii: "A-Za-z")
        case "ascii": ScalarSet([0...0x7F])
        case "blank": ScalarSet(ascii: "\t ")
        case "cntrl": ScalarSet([0...0x1F, 0x7F...0x7F])
        case "digit": digits
        case "graph": ScalarSet([0x21...0x7E])
        case "lower": ScalarSet(ascii: "a-z")
        case "print": ScalarSet([0x20...0x7E])
        case "punct": ScalarSet([0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E])
        case "space": ScalarSet(ascii: "\t-\r ")
        case "upper": ScalarSet(ascii: "A-Z")
        case "word": wordCharacters
        case "xdigit": ScalarSet(ascii: "0-9A-Fa-f")
        default: nil
        }
    }

    /// The code points of a general category such as `Lu`, or of all whose names begin with the letter; nil where there is none.
    static func category(_ name: String) -> ScalarSet? {
        if name == "Any" { return all }
        let wanted = categories.filter { $0.name == name || name.count == 1 && $0.name.hasPrefix(name) }.map(\.category)
        return wanted.isEmpty ? nil : ScalarSet(wanted.flatMap { members[$0] ?? [] })
    }

    /// The code points of each category.
    private static let members: [Unicode.GeneralCategory: [ClosedRange<UInt32>]] = {
        var members: [Unicode.GeneralCategory: [ClosedRange<UInt32>]] = [:]
        var run: (category: Unicode.GeneralCategory, range: ClosedRange<UInt32>)?
        func close() { if let run { members[run.category, default: []].append(run.range) } }
        for scalar in (0...0x10FFFF as ClosedRange<UInt32>).lazy.compactMap(Unicode.Scalar.init) {
            let category = scalar.properties.generalCategory
            if let open = run, open.category == category, open.range.upperBound + 1 == scalar.value {
                run = (category, open.range.lowerBound...scalar.value)
            } else {
                close()
                run = (category, scalar.value...scalar.value)
            }
        }
        close()
        return members
    }()

    private static let categories: [(name: String, category: Unicode.GeneralCategory)] = [
        ("Lu", .uppercaseLetter), ("Ll", .lowercaseLetter), ("Lt", .titlecaseLetter), ("Lm", .modifierLetter), ("Lo", .otherLetter),
        ("Mn", .nonspacingMark), ("Mc", .spacingMark), ("Me", .enclosingMark), ("Nd", .decimalNumber), ("Nl", .letterNumber), ("No", .otherNumber),
        ("Pc", .connectorPunctuation), ("Pd", .dashPunctuation), ("Ps", .openPunctuation), ("Pe", .closePunctuation), ("Pi", .initialPunctuation),
        ("Pf", .finalPunctuation), ("Po", .otherPunctuation), ("Sm", .mathSymbol), ("Sc", .currencySymbol), ("Sk", .modifierSymbol),
        ("So", .otherSymbol), ("Zs", .spaceSeparator), ("Zl", .lineSeparator), ("Zp", .paragraphSeparator), ("Cc", .control), ("Cf", .format),
        ("Cs", .surrogate), ("Co", .privateUse),
    ]
}
