// Regular expressions as automata: patterns with texts that match and texts that don't, and patterns that are none of RE2's.

@testable import KilnONNX
import Testing

@Suite struct RegexTests {
    struct Sample: Sendable, CustomTestStringConvertible {
        var pattern: String
        var matching: [String]
        var others: [String]
        var testDescription: String { pattern }

        init(_ pattern: String, _ matching: [String], not others: [String]) { (self.pattern, self.matching, self.others) = (pattern, matching, others) }
    }

    @Test(arguments: [
        Sample("", [""], not: ["a"]),
        Sample("abc", ["abc"], not: ["", "ab", "abcd", "xabc"]),
        Sample("a|b|", ["a", "b", ""], not: ["c", "ab"]),
        Sample("(a|bc)*d", ["d", "ad", "bcabcd"], not: ["bd", "abc"]),
        Sample("a+b?c{2}d{1,3}e{2,}", ["aabccdddee", "accdeee"], not: ["abccddddee", "abcdee", "abccde"]),
        Sample("a*?b+?c??", ["b", "aabbc"], not: ["ac"]),
        Sample("x{,2}", ["x{,2}"], not: ["", "xx"]),
        Sample("a{2", ["a{2"], not: ["aa"]),
        Sample("(?:a{0}b{0,1}){2}", ["", "bb"], not: ["bbb", "a"]),
        Sample("(a*)*", ["", "aaa"], not: ["b"]),
        Sample(".", ["a", "é", "日", "😀", "\r"], not: ["", "\n", "ab"]),
        Sample("(?s).", ["\n", "x"], not: ["\n\n"]),
        Sample("\\C\\C", ["ab", "é"], not: ["a", "日"]),
        Sample("[a-cx]", ["a", "b", "x"], not: ["d", "-", "ab"]),
        Sample("[^a-cx]", ["d", "\n", "é", "😀"], not: ["a", "x", ""]),
        Sample("[]a-]+", ["]a-"], not: ["b"]),
        Sample("[^]]", ["a"], not: ["]"]),
        Sample("[à-ü]+", ["éè"], not: ["e", "ÿ"]),
        Sample("[\u{7F}-\u{10000}]", ["\u{7F}", "\u{80}", "\u{7FF}", "\u{800}", "\u{FFFF}", "\u{10000}"], not: ["~", "\u{10001}"]),
        Sample("[[:alpha:]_][[:^digit:]]", ["a-", "_é"], not: ["1a", "a1"]),
        Sample("\\d+\\D\\w\\W\\s\\S", ["12xy- z"], not: ["x2xy- z", "12xyé\u{B}z"]),
        Sample("[\\d\\-x]+", ["1-x"], not: ["y"]),
        Sample("\\p{Lu}\\pL\\P{L}\\p{^Nd}", ["Éa-x"], not: ["éa-x", "ÉaXx", "Éa-٣"]),
        Sample("\\x41\\x{1F600}\\101\\n\\t\\.\\*\\\\", ["A😀A\n\t.*\\"], not: ["A"]),
        Sample("\\Qa.b*\\E+c", ["a.b*c", "a.b**c"], not: ["axbc"]),
        Sample("(?i)straße k[a-z]", ["STRAßE \u{212A}X", "Straẞe kz", "\u{17F}traße kS"], not: ["strasse ka"]),
        Sample("(?i)\\w[^\\W_]", ["K\u{212A}", "\u{17F}x"], not: ["é_"]),
        Sample("a(?i)b(?-i)c", ["abc", "aBc"], not: ["ABc", "abC"]),
        Sample("(?)a(?s-i:.)(?U)b+?", ["a\nbb"], not: ["ab"]),
        Sample("(?i:a)b|C", ["Ab", "C"], not: ["aB", "c"]),
        Sample("(?P<x>a)(?<y>b)", ["ab"], not: ["a"]),
        Sample("^a$", ["a"], not: ["a\n"]),
        Sample("(?m)a$\\n^b", ["a\nb"], not: ["ab"]),
        Sample("a$\\nb", [], not: ["a\nb"]),
        Sample("\\Aa\\z", ["a"], not: ["aa"]),
        Sample("\\w+\\b.\\b\\w+", ["ab cd", "a.b"], not: ["abcd", "a  b"]),
        Sample("a\\Bb", ["ab"], not: ["a b"]),
        Sample("^*a", ["a"], not: ["b"]),
        Sample("[\\w.+-]+@[\\w-]+(\\.[\\w-]+)+", ["a.b+c@d-e.org", "x@y.z.w"], not: ["a@b", "@a.b", "a b@c.d"]),
    ])
    func matches(_ sample: Sample) throws {
        let automaton = try ByteAutomaton(sample.pattern)
        for text in sample.matching { #expect(automaton.matches(text.utf8), "\(text.debugDescription)") }
        for text in sample.others { #expect(!automaton.matches(text.utf8), "\(text.debugDescription)") }
    }

    @Test func bytesThatAreNoTextMatchNoCharacter() throws {
        for bytes in [[0xC3], [0xFF], [0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xC0, 0x80]] as [[UInt8]] {
            #expect(try !ByteAutomaton("(?s).*").matches(bytes) && ByteAutomaton("\\C*").matches(bytes))
        }
    }

    @Test(arguments: ["(", ")", "a)", "(a", "*", "+a", "a**", "a+*", "a|*", "(*)", "[a", "[]", "[b-a]", "[a-\\d]", "\\", "\\1", "\\8", "\\y", "\\Z",
                      "[\\b]", "a{1001}", "(a{100}){100}", "a{2,1}", "(?=a)", "(?!a)", "(?<=a)", "(?P=x)", "(?P<>a)", "(?x)a", "(?-)a", "[[:word]",
                      "[[:no:]]", "\\p{Lx}", "\\x{110000}", "\\xG0", "x{2}{3}"])
    func isNoPattern(_ pattern: String) { #expect(throws: RegexError.self) { try ByteAutomaton(pattern) } }

    @Test(arguments: ["\\p{Greek}", "(a|b)*a(a|b){14}", "(?:(?:[a-z]{100}){10}){1}\\pL{500}"])
    func isTooMuch(_ pattern: String) { #expect(throws: Unsupported.self) { try ByteAutomaton(pattern) } }
}
