// Sizes that operations measure: where they are known, what waits for them, and what the verifier says of those that clash.

import KilnIR
import Testing

@Suite struct DataDependentSizeTests {
    private func parse(_ body: String, result: String = "f32[s, 2]") throws -> Graph {
        try Graph.parse("graph @g(%x: f32[n, 2], %z: f32[m, 2], %c: i64[], %d: i64[]) -> (y: \(result)) {\n\(body)\n}", catalogue: Ops.named)
    }

    @Test func aMeasuredSizeIsKnownFromThenOn() throws {
        let graph = try parse("%4 = measure %x, %c {symbol = \"s\"} : f32[s, 2]\n%5 = reshape %4 {shape = dims[2*s]} : f32[2*s]\nreturn %4")
        try graph.verify()
        #expect(try Graph.parse(graph.description, catalogue: Ops.named).isEquivalent(to: graph))
        #expect(graph.symbols == ["n", "m"])
        #expect(graph.measurements.map(\.symbol) == ["s"] && graph.measurements[0].bound == "n")
        #expect(graph.measuring(graph.operations[1], graph.symbolDefinitions) == [0])
        #expect(graph.measuring(graph.operations[0], graph.symbolDefinitions).isEmpty)
        #expect { try parse("%4 = neg %x : f32[s, 2]\nreturn %4") } throws: { "\($0)".contains("the size `s` is not in the type of any input") }
        #expect { try parse("return %x") } throws: { "\($0)".contains("the size `s` is not in the type of any input") }
    }

    static let clashes = [
        ("%5 = measure %x, %c {symbol = \"s\"} : f32[s, 2]", ""),
        ("%5 = measure %x, %d {symbol = \"s\"} : f32[s, 2]", "measure: the size `s` is measured before, by another count or of another capacity"),
        ("%5 = measure %z, %c {symbol = \"s\"} : f32[s, 2]", "measure: the size `s` is measured before, by another count or of another capacity"),
        ("%5 = measure %x, %c {symbol = \"m\"} : f32[m, 2]", "measure: the size `m` is there already"),
    ]

    @Test(arguments: clashes.indices) func oneSymbolIsOneSize(number: Int) throws {
        let graph = try parse("%4 = measure %x, %c {symbol = \"s\"} : f32[s, 2]\n\(Self.clashes[number].0)\nreturn %4")
        var found = ""
        do { try graph.verify() } catch { found = "\(error)" }
        #expect(Self.clashes[number].1.isEmpty ? found.isEmpty : found.contains(Self.clashes[number].1), "\(found)")
    }
}
