// The text of graphs: what prints parses to an equivalent graph that prints alike; what is wrong is said in words.

import KilnIR
import Testing

private func roundTrip(_ graph: Graph, _ comment: Comment? = nil) throws {
    let text = graph.description
    let parsed = try Graph.parse(text, catalogue: Ops.named)
    #expect(parsed.isEquivalent(to: graph), comment)
    #expect(parsed.description == text, comment)
    try parsed.verify()
}

/// A graph of one op with these attributes.
private func graph(_ attributes: Attributes) throws -> Graph {
    var graph = Graph(name: "g")
    let x = graph.addInput("x", TensorType(.f32, ["n"]))
    graph.outputs = [Port("y", try graph.append(Ops.any, [x], attributes)[0])]
    return graph
}

@Suite struct TextTests {
    @Test func readsAsPrinted() throws {
        var graph = Graph(name: "mlp")
        let x = graph.addInput("x", TensorType(.f32, ["batch", 784]))
        let w = graph.addInput("w 1", TensorType(.bf16, []))
        let y = try graph.append(Ops.reshape, [x], ["shape": .dims([28, 28, "batch"])], at: SourceLocation(name: "main.swift", line: 12))
        let (z, flag) = try { ($0[0], $0[1]) }(graph.append(Ops.pair, [y[0], w]))
        _ = try graph.append(Ops.sink, [z], at: SourceLocation(name: "conv:3"))
        _ = try graph.append(Ops.sink, [])
        graph.outputs = [Port("y", z), Port("flag!", flag)]
        #expect(graph.description == """
            graph @mlp(%x: f32[batch, 784], %"w 1": bf16[]) -> (y: f32[28, 28, batch], "flag!": bool[]) {
              %2 = reshape %x {shape = dims[28, 28, batch]} : f32[28, 28, batch] at "main.swift":12
              %3, %4 = pair %2, %"w 1" : f32[28, 28, batch], bool[]
              sink %3 at "conv:3"
              sink()
              return %3, %4
            }

            """)
        try roundTrip(graph)
    }

    @Test func regionsNest() throws {
        var inner = Graph(name: "body")
        let a = inner.addInput("a", TensorType(.f32, ["n"]))
        inner.outputs = [Port("next", try inner.append(Ops.neg, [a])[0])]
        var middle = Graph(name: "middle")
        let b = middle.addInput("b", TensorType(.f32, ["n"]))
        middle.outputs = [Port("next", try middle.append(Ops.call, [b], ["carried": .int(1)], regions: [inner, inner])[0])]
        var graph = Graph(name: "outer")
        let x = graph.addInput("x", TensorType(.f32, ["n"]))
        graph.outputs = [Port("y", try graph.append(Ops.call, [x], ["carried": .int(1)], regions: [middle],
                                                    at: SourceLocation(name: "loop.swift", line: 3))[0])]
        try roundTrip(graph)
        #expect(!graph.isEquivalent(to: middle))
    }

    static let reals: [Double] = [
        0, -0.0, 1, -1, 0.1, 1e-05, 1e22, .pi, .infinity, -.infinity, .nan, -.nan, .leastNonzeroMagnitude, .greatestFiniteMagnitude, .ulpOfOne,
        Double(bitPattern: 0x7FF8_0000_0000_0001), Double(bitPattern: 0x7FF0_0000_0000_0001), Double(bitPattern: 0xFFFF_FFFF_FFFF_FFFF), 1e300,
    ]

    static let attributes: [Attribute] = [
        .bool(true), .bool(false), .int(0), .int(.min), .int(.max), .int(-5), .ints([]), .ints([1, -2, .min]), .dims([]), .dims(["n", 3, "n" * 2 - 1]),
        .dims([.constant(.min), "n" * .constant(.min) + .constant(.max)]), .dims([("n" + 1) / 2, Dim.maximum("n", 3), Dim.minimum("n", 3)]),
        .dtype(.bf16), .dtype(.bool), .string(""), .string("a\"b\\c\n\t\r\0\u{7f}é 日本 // no comment"), .scalar(true), .scalar(false),
        .scalar(.integer(.min)), .scalar(.integer(.max)), .scalar(.unsigned(.max)), .scalar(.unsigned(0)),
    ] + reals.map { .scalar(.real($0)) }

    @Test func everyAttributeRoundTrips() throws {
        for attribute in Self.attributes { try roundTrip(graph(["a0": attribute]), "\(attribute)") }
        let many = Attributes(Self.attributes.prefix(16).enumerated().map { (name: "a\($0.offset)", value: $0.element) })
        try roundTrip(graph(many))
        try roundTrip(graph(["odd name": .int(1), "é": .int(2)]))
        var random = SeededGenerator(9)
        for _ in 0..<3000 {
            let value = Double(bitPattern: random.next())
            try roundTrip(graph(["a0": .scalar(.real(value)), "a1": .int(Int(bitPattern: UInt(random.next())))]), "\(value)")
        }
    }

    @Test(arguments: DType.all) func literalsRoundTrip(dtype: DType) throws {
        var random = SeededGenerator(UInt64(dtype.rawValue) + 40)
        for count in [0, 1, 2, 3, 5, 31, 32, 33, 34, 35, 400] {
            for _ in 0..<20 {
                let bytes = (0..<count * dtype.byteCount).map { _ in UInt8.random(in: dtype == .bool ? 0...1 : 0...255, using: &random) }
                try roundTrip(graph(["a0": .literal(Literal(dtype, [count, 1], bytes: bytes))]))
            }
            try roundTrip(graph(["a0": .literal(Literal(dtype, [count], repeating: .real(0.1)))]))
        }
        try roundTrip(graph(["a0": .literal(Literal(dtype, [], doubles: [1]))]))
        try roundTrip(graph(["a0": .literal(Literal(dtype, [3, 0, 7], bytes: []))]))
    }

    /// All 65,536 of both: each in its list form.
    @Test(arguments: [DType.f16, .bf16]) func halfPrecisionLiteralsAreExact(dtype: DType) throws {
        for high in UInt8.min...UInt8.max {
            for start in stride(from: 0, to: 256, by: 32) {
                let bytes = (start..<start + 32).flatMap { [UInt8($0), high] }
                let literal = Literal(dtype, [32], bytes: bytes)
                var parser = try TextParser(literal.description, file: "t")
                #expect(try parser.literal() == literal)
            }
        }
    }

    static let names = ["x", "input.1", "1", "a b", "", "é", "\"", "return", "graph", "a.", ".a", "x\ny", "%", "d3", "at", "named", "\0"]

    @Test(arguments: names) func namesRoundTrip(name: String) throws {
        var graph = Graph(name: name)
        let x = graph.addInput(name, TensorType(.f32, [.symbol(name), .symbol("max"), "d0"]))
        // Two inputs of one name print apart.
        let y = graph.addInput(name, TensorType(.f32, [.symbol(name) * 2 + 1]))
        let z = try graph.append(Ops.result, [x], at: SourceLocation(name: name, line: -7))
        graph.outputs = [Port(name, z[0]), Port(name, y)]
        try roundTrip(graph)
    }

    @Test func gapsInNumbersDoNotShow() throws {
        var graph = Graph(name: "g")
        let x = graph.addInput("x", TensorType(.f32, []))
        _ = graph.makeValue(TensorType(.f32, []))
        graph.outputs = [Port("y", try graph.append(Ops.neg, [x])[0])]
        #expect(graph.description.contains("%1 = neg %x"))
        try roundTrip(graph)
    }

    @Test func differencesAreSeen() throws {
        let one = try graph(["a0": .scalar(.real(0))]), two = try graph(["a0": .scalar(.real(-0.0))])
        #expect(!one.isEquivalent(to: two))
        #expect(!one.isEquivalent(to: try graph([:])))
        #expect(one.isEquivalent(to: one))
    }

    @Test func handWrittenTextParses() throws {
        let graph = try Graph.parse("""
            // A comment.
            graph @g(%a: f32[n*2, floor(n*4, 2)], %b: f32[2*n, 2 * n]) -> (sum: f32[2*n, 2*n]) { // and another
              %total = add %a,
                           %b : f32[(n + n), n + n]
              return %total }
            """, catalogue: Ops.named)
        #expect(graph.operations.count == 1)
        try graph.verify()
    }
}
