// What the parser says of wrong text, word for word, and that hostile text ends in an error.

import KilnIR
import Testing

private func message(_ text: String) -> String {
    do {
        _ = try Graph.parse(text, file: "m.kiln", catalogue: Ops.named)
        return "no error"
    } catch { return "\(error)" }
}

/// The first line of the message for a graph with this body.
private func problem(body: String) -> String {
    let text = message("graph @g(%x: f32[n], %i: i32[2]) -> (y: f32[n]) {\n\(body)\nreturn %x\n}")
    return String(text.split(separator: "\n")[0])
}

@Suite struct ParseErrorTests {
    @Test func showsThePlace() {
        #expect(message("graph @g(%x: f32[n]) -> (y: f32[n]) {\n  %1 = neg\t%é : f32[n]\n}") == """
            m.kiln:2:13: `é` has no meaning here
                %1 = neg %é : f32[n]
                          ^
            """)
        #expect(message("") == "m.kiln:1:1: expected `graph`, found the end of the text\n  \n  ^")
    }

    static let problems: [(String, String)] = [
        ("%1 = neg %z : f32[n]", "m.kiln:2:10: there is no value `%z` before this"),
        ("%1 = neg %1 : f32[n]", "m.kiln:2:10: there is no value `%1` before this"),
        ("%1 = nag %x : f32[n]", "m.kiln:2:6: there is no op `nag`"),
        ("%1 = neg %x", "m.kiln:3:1: expected `:`, found `return`"),
        ("%1 = neg %x : f32[m]", "m.kiln:2:15: the size `m` is not in the type of any input"),
        ("%1 = neg %x : f32[2*n]", "m.kiln:2:6: the result of `neg` is f32[n], but f32[2*n] is written"),
        ("%1, %2 = neg %x : f32[n], f32[n]", "m.kiln:2:10: `neg` has 1 result; written are 2 and 2 types"),
        ("%x = neg %x : f32[n]", "m.kiln:2:1: a value of this name is there already"),
        ("%1 = add %x, %i : f32[n]", "m.kiln:2:6: add: the operands differ"),
        ("%1 = neg %x, %x : f32[n]", "m.kiln:2:6: neg: takes 1 operand, was given 2"),
        ("%1 = neg %x {axis = 1} : f32[n]", "m.kiln:2:13: `neg` has no attribute `axis`; it has none"),
        ("%1 = reshape %x {shap = 1} : f32[n]", "m.kiln:2:17: `reshape` has no attribute `shap`; it has shape"),
        ("%1 = reshape %x {shape = 1, shape = 2} : f32[n]", "m.kiln:2:29: attribute `shape` is given twice, or is one too many"),
        ("%1 = reshape %x {shape = dims[d0]} : f32[n]",
         "m.kiln:2:31: `d0` is an index variable, which a size can't hold; a symbol of that name is written \"d0\""),
        ("%1 = reshape %x {shape = dims[floor(n, 0)]} : f32[n]", "m.kiln:2:31: the divisor of `floor` is 0; it must be positive"),
        ("%1 = reshape %x {shape = dims[9223372036854775808]} : f32[n]", "m.kiln:2:31: 9223372036854775808 does not fit 64 bits"),
        ("%1 = reshape %x {shape = \"a\nb\"} : f32[n]", "m.kiln:2:26: this string has no closing quote on its line"),
        ("%1 = reshape %x {shape = \"\\q\"} : f32[n]", "m.kiln:2:27: no such escape; there are \\n, \\t, \\r, \\\", \\\\ and \\u{…}"),
        ("%1 = neg %x : f33[n]", "m.kiln:2:15: expected a dtype, such as `f32`, found `f33`"),
        ("%1 = neg %x : f32[-1]", "m.kiln:2:15: a size is -1; sizes are at least 0"),
        ("%1 = neg %x : f32[9999999999, 9999999999]", "m.kiln:2:15: a value of this type is larger than any memory"),
        ("%1 = literal {value = literal f32[2] [1.0]} : f32[2]", "m.kiln:2:38: these are 1 elements; the type has 2"),
        ("%1 = literal {value = literal f32[1] [1.0, 2.0]} : f32[2]", "m.kiln:2:44: there are more elements than the type's 1"),
        ("%1 = literal {value = literal u8[1] [256]} : u8[1]", "m.kiln:2:38: `256` is no u8"),
        ("%1 = literal {value = literal i32[1] [9223372036854775807]} : i32[1]", "m.kiln:2:39: `9223372036854775807` is no i32"),
        ("%1 = literal {value = literal f32[n] [1.0]} : f32[n]", "m.kiln:2:31: a literal's sizes are constants"),
        ("%1 = literal {value = literal u8[4] base64 \"AAAA\"} : u8[4]", "m.kiln:2:44: these are 3 bytes; the type has 4"),
        ("%1 = literal {value = literal u8[1] base64 \"A===\"} : u8[1]", "m.kiln:2:44: this is no base64"),
        ("%1 = literal {value = literal bool[1] base64 \"Ag==\"} : bool[1]", "m.kiln:2:46: a bool's byte is 0 or 1"),
        ("}", "m.kiln:2:1: expected an operation or `return`, found `}`"),
    ]

    @Test(arguments: problems.indices) func saysWhatIsWrong(number: Int) {
        #expect(problem(body: Self.problems[number].0) == Self.problems[number].1)
    }

    @Test func outputsAgree() {
        #expect(message("graph @g(%x: f32[n]) -> (y: f32[2*n]) {\nreturn %x\n}").hasPrefix(
            "m.kiln:2:8: output `y` is written as f32[2*n], but this value is f32[n]"))
        #expect(message("graph @g(%x: f32[n], %x: f32[n]) -> () {\nreturn\n}").hasPrefix("m.kiln:1:22: there are two inputs of this name"))
        #expect(message("graph @g() -> () { return } graph").hasPrefix("m.kiln:1:29: expected the end of the text, found `graph`"))
    }

    /// Each would take exponential time, endless memory or a deep stack if it were let in.
    static let hostile: [String] = [
        String(repeating: "(", count: 100_000) + "n" + String(repeating: ")", count: 100_000),
        String(repeating: "floor(", count: 5000) + "n",
        (0..<12).map { "(a\($0) + b\($0))" }.joined(separator: "*"),
        (0..<100_000).map { "a\($0)" }.joined(separator: " + "),
        Array(repeating: "n", count: 100_000).joined(separator: "*"),
        (0..<12).reduce("n") { text, level in "max(\(text), n\(level))*(a + b + c + d)" },
        (0..<20).reduce("n") { text, level in "floor(\(text), (n + m\(level))*(n + k\(level)))" },
    ]

    @Test(arguments: hostile.indices) func hostileSizesAreRefused(number: Int) {
        let clock = ContinuousClock()
        let time = clock.measure {
            let text = message("graph @g(%x: f32[\(Self.hostile[number])]) -> () { return }")
            #expect(text.contains("at most") || text.contains("too large") || text.contains("too many"), "\(text)")
        }
        #expect(time < .seconds(2))
    }

    @Test func hostileStructureIsRefused() {
        let region = String(repeating: "graph @r() -> () { sink() with {", count: 3000)
        #expect(message(region).contains("nest at most"))
        let wide = "graph @g(%x: f32[" + Array(repeating: "1", count: 100_000).joined(separator: ",") + "]) -> () { return }"
        #expect(message(wide).contains("at most 32 dimensions"))
        let terms = "graph @g(%x: f32[" + (0..<20).map { "a\($0) + b\($0)" }.joined(separator: ", ") + "]) -> () { return }"
        #expect(message(terms).contains("too many terms"))
        #expect(message("graph @g(%x: f32[" + String(repeating: "9", count: 1000)).contains("64 bits"))
        #expect(message("graph @\"" + String(repeating: "a", count: 1_000_000)).utf8.count < 1000)
    }
}
