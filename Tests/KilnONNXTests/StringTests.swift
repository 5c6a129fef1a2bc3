// Operators of strings through compiled code, with widths and counts left open: texts go in and come out as rows of bytes.

import Kiln
import KilnIR
@testable import KilnONNX
import Testing

@Suite struct StringTests {
    /// Compiles a model once, and runs it on each of some inputs.
    private func run(_ model: TestModel, _ inputs: [Literal]...) throws -> [[Literal]] {
        let compiled = try CompiledGraph(model.imported().graph)
        return try inputs.map { try compiled.run($0) }
    }

    private func list(_ texts: String...) -> Literal { Literal(texts: texts, [texts.count]) }

    private func operation(_ op: String, _ attributes: [String: TestModel.Attribute] = [:], outputs: Int = 1, shape: String = "n") -> TestModel {
        var model = TestModel(version: 20)
        let x = model.input("x", .string, shape)
        for name in model.nodes(op, [x], outputs: outputs, attributes) { model.output(name) }
        return model
    }

    @Test func portsAreBytesWithOneAxisMore() throws {
        let model = operation("Identity", shape: "n, 3")
        let imported = try model.imported()
        #expect(imported.graph.inputTypes.map(\.description) == ["u8[n, 3, x_width]"])
        #expect(try model.types() == ["u8[n, 3, x_width]"])
        guard case .tensor(_, .string)? = imported.outputs.first?.port else { return #expect(Bool(false)) }
    }

    @Test func shapesThatAreGivenHaveAWidth() throws {
        let model = operation("Identity")
        for shape in [[], [3], [3, 0], [3, 4, 5]] as [Shape] {
            let error = #expect(throws: ModelError.self) { try model.imported(ImportOptions(inputs: ["x": .tensor(shape)])) }
            #expect(error?.fix == "give their width, at least 1, as one size more, the last")
        }
        #expect(throws: ModelError.self) { try model.imported(ImportOptions(values: ["x": Literal(.u8, [3], doubles: [1, 2, 3])])) }
        #expect(try model.imported(ImportOptions(inputs: ["x": .tensor([3, "w"])])).graph.inputTypes.map(\.description) == ["u8[3, w]"])
    }

    @Test func concatenates() throws {
        var model = TestModel(version: 20)
        let (a, b) = (model.input("a", .string, "n, 1"), model.input("b", .string, "m"))
        model.output(model.node("StringConcat", a, b))
        let results = try run(model, [Literal(texts: ["a", "", "日本"], [3, 1]), list("", "xyz")],
                              [Literal(texts: ["é\u{0}x"], [1, 1]), list("long text", "y", "")], [Literal(texts: [], [0, 1]), list("a")])
        #expect(results[0][0].texts == ["a", "axyz", "", "xyz", "日本", "日本xyz"] && results[0][0].shape.dropLast() == [3, 2])
        #expect(results[1][0].texts == ["é\u{0}xlong text", "é\u{0}xy", "é\u{0}x"])
        #expect(results[2][0].shape.dropLast() == [0, 1])
    }

    @Test func compares() throws {
        var model = TestModel(version: 19)
        let (a, b) = (model.input("a", .string, "n"), model.input("b", .string, "1"))
        model.output(model.node("Equal", a, b))
        let results = try run(model, [list("a", "ab", "", "abc"), list("ab")], [list("é", "e"), list("e\u{301}e\u{301}")], [list(""), list("")])
        #expect(results.map { $0[0].doubles } == [[0, 1, 0, 0], [0, 0], [1]])
    }

    @Test func moves() throws {
        var model = TestModel(version: 19)
        let (a, b, which) = (model.input("a", .string, "n, 2"), model.input("b", .string, "m, 2"), model.input("i", .int64, "k"))
        let all = model.nodes("Concat", [a, b], outputs: 1, ["axis": .int(0)])[0]
        let taken = model.node("Gather", all, which, ["axis": .int(0)])
        let turned = model.node("Transpose", taken, ["perm": .ints([1, 0])])
        let (flat, padding) = (model.integers(-1), model.integers(1, 0))
        model.output(turned, model.node("Pad", model.node("Reshape", turned, flat), padding), model.node("Shape", turned))
        let inputs = [Literal(texts: ["a", "bb", "ccc", "d"], [2, 2]), Literal(texts: ["longer", "é"], [1, 2]),
                      Literal(.i64, [3], doubles: [2, -3, 1])]
        let results = try run(model, inputs)[0]
        #expect(results[0].texts == ["longer", "a", "ccc", "é", "bb", "d"] && results[0].shape == [2, 3, 6])
        #expect(results[1].texts == ["", "longer", "a", "ccc", "é", "bb", "d"])
        #expect(results[2].doubles == [2, 3])
    }

    @Test func matchesPatterns() throws {
        let results = try run(operation("RegexFullMatch", ["pattern": .text("(\\p{Lu}|\\d)+é?")]), [list("ÄB1", "", "äb", "1é", "1éé")], [list("")], [list()])
        #expect(results.map { $0[0].doubles } == [[1, 0, 0, 1, 0], [0], []])
        let error = #expect(throws: ModelError.self) { try operation("RegexFullMatch", ["pattern": .text("a(?=b)")]).imported() }
        #expect(error?.problem == "has the pattern 'a(?=b)', which has a group of a kind that RE2 does not know, at 1")
    }

    @Test(arguments: [
        (",", nil, ["a,b,,c", "", ",", "abc"], [["a", "b", "", "c"], [""], ["", ""], ["abc"]]),
        (",", 1, ["a,b,,c", "x"], [["a", "b,,c"], ["x"]]),
        (",", 0, ["a,b", ""], [["a,b"], [""]]),
        ("aa", nil, ["aaa", "aaaa", "baab"], [["", "a"], ["", "", ""], ["b", "b"]]),
        ("é", nil, ["aéb", "éé", "è"], [["a", "b"], ["", "", ""], ["è"]]),
        ("", nil, ["  a bb\t\u{3000}c \n", "", " ", "日\u{A0}本"], [["a", "bb", "c"], [], [], ["日", "本"]]),
        ("", 1, [" a  b c ", "a ", "a"], [["a", "b c"], ["a"], ["a"]]),
        ("", 0, ["  a b ", ""], [["a b"], []]),
    ] as [(String, Int?, [String], [[String]])])
    func splits(_ delimiter: String, _ mostCuts: Int?, _ texts: [String], _ expected: [[String]]) throws {
        var attributes: [String: TestModel.Attribute] = ["delimiter": .text(delimiter)]
        if let mostCuts { attributes["maxsplit"] = .int(mostCuts) }
        // The longest text last decides the width; each by itself too, in the same code.
        let compiled = try CompiledGraph(operation("StringSplit", attributes, outputs: 2).imported().graph)
        for (texts, expected) in [(texts, expected)] + zip(texts, expected).map({ ([$0], [$1]) }) {
            let results = try compiled.run([Literal(texts: texts, [texts.count])]), most = expected.map(\.count).max()!
            #expect(results[0].shape == [texts.count, most, max(1, expected.joined().map(\.utf8.count).max() ?? 1)])
            #expect(results[0].texts == expected.flatMap { $0 + Array(repeating: "", count: most - $0.count) })
            #expect(results[1].doubles == expected.map { Double($0.count) })
        }
    }

    @Test func normalizes() throws {
        let stop: [String: TestModel.Attribute] = ["stopwords": .texts(["Straße", "ÉTÉ", ""])]
        let upper = operation("StringNormalizer", ["case_change_action": .text("UPPER")])
        let results = try run(upper, [list("straße", "ŉ ΐx", "", "日é")], [list("K\u{212A}ɐ😀")], [list("\u{DF}")])
        #expect(results.map { $0[0].texts } == [["STRASSE", "\u{2BC}N \u{399}\u{308}\u{301}X", "", "日É"], ["K\u{212A}Ɐ😀"], ["SS"]])
        #expect(results[2][0].shape == [1, 2])
        let lower = operation("StringNormalizer", stop.merging(["case_change_action": .text("LOWER")]) { $1 })
        let shorter = try run(lower, [list("STRAßE", "\u{130}X", "été", "Ⱥb", "")], [list("ÉTÉ")], [list()])
        #expect(shorter.map { $0[0].texts } == [["i\u{307}x", "ⱥb"], [""], [""]])
        let kept = operation("StringNormalizer", stop.merging(["is_case_sensitive": .int(1)]) { $1 }, shape: "1, n")
        let rows = try run(kept, [Literal(texts: ["Straße", "straße", "ÉTÉ", "x"], [1, 4])], [Literal(texts: ["ÉTÉ"], [1, 1])])
        #expect(rows.map { $0[0].texts } == [["straße", "x"], [""]] && rows[1][0].shape.dropLast() == [1, 1])
    }

    @Test func numbersAsTexts() throws {
        for (type, values) in [(ElementType.int64, [0, -1, 1000, Int64.min, .max]), (.int8, [-128, 127, 5]), (.uint16, [65535, 10])] {
            var model = TestModel(version: 19)
            let x = model.input("x", type, "n")
            let texts = model.node("Cast", x, ["to": .int(8)])
            model.output(texts, model.node("Cast", texts, ["to": .int(Int(type.rawValue))]))
            let literal = Literal(type.dtype!, [values.count], scalars: values.map { .integer($0) })
            let results = try run(model, [literal])[0]
            #expect(results[0].texts == values.map { "\($0)" } && results[1] == literal)
        }
        var model = TestModel(version: 19)
        let x = model.input("x", .string, "n")
        model.output(model.node("Cast", x, ["to": .int(6)]))
        #expect(try run(model, [list("+7", "-012", "100.5", "2147483647")])[0][0].doubles == [7, -12, 100, 2147483647])
    }

    @Test func differentTexts() throws {
        var model = TestModel(version: 19)
        let x = model.input("x", .string, "n")
        for name in model.nodes("Unique", [x], outputs: 4) { model.output(name) }
        let results = try run(model, [list("b", "é", "", "b", "abc")])[0]
        #expect(results[0].texts == ["", "abc", "b", "é"])
        #expect(results[1...].map(\.doubles) == [[2, 4, 0, 1], [2, 3, 0, 2, 1], [1, 1, 2, 1]])
    }
}
