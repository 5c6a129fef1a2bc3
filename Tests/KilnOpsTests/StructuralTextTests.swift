// Every op of the catalogue as text, for every dtype and sample; and every op with attributes and operands that are wrong.

import KilnIR
import KilnOps
import Testing

struct StructuralTextTests {
    @Test(arguments: Catalogue.all.map(\.name)) func samplesReadAsPrinted(name: String) throws {
        let op = try #require(Catalogue.op(named: name))
        var cases = 0
        for dtype in op.dtypes {
            for sample in op.samples(dtype) {
                let graph = try graph(op, sample)
                let text = graph.description
                let parsed = try Graph.parse(text, catalogue: Catalogue.op(named:))
                #expect(parsed.isEquivalent(to: graph) && parsed.description == text, "\(text)\nwas read as\n\(parsed)")
                try parsed.verify()
                cases += 1
            }
        }
        print("text: \(cases) samples of \(name)")
    }

    /// Rules get what a file says: attributes that are missing, of another kind, or of another count; operands that are others.
    /// They throw the user's error or give types; whatever they accept has a form.
    @Test(arguments: Catalogue.all.map(\.name)) func wrongAttributesAreErrors(name: String) throws {
        let op = try #require(Catalogue.op(named: name))
        guard let sample = op.samples(op.dtypes.contains(.f32) ? .f32 : op.dtypes[0]).first else { return }
        let values: [Attribute] = [.bool(true), .int(-1), .int(7), .int(.max), .int(.min), .ints([]), .ints([0]), .ints([-1, 0]), .ints([.max, .min]),
                                   .ints([0, 1, 2, 3, 4]), .dims([]), .dims([-5]), .dims(["n"]), .dims([.constant(.max), .constant(.max)]),
                                   .scalar(.real(.nan)), .dtype(.bool), .dtype(.u64), .string(""), .literal(Literal(.f32, [], doubles: [1]))]
        let types = [TensorType(.bool, []), TensorType(.f64, [0, 3]), TensorType(.i8, [2, 2, 2, 2, 2, 2]), TensorType(.u64, ["n", 0])]
        var (accepted, refused) = (0, 0)
        func attempt(_ sample: OpSample) throws {
            do {
                let graph = try graph(op, sample)
                _ = op.checks(graph.context(of: graph.operations[0]))
                _ = try graph.form(of: graph.operations[0])
                accepted += 1
            } catch let error as ShapeError {
                #expect(!error.fix.isEmpty)
                refused += 1
            }
        }
        for attribute in op.attributeNames {
            var without = sample
            without.attributes[attribute] = nil
            try attempt(without)
            for value in values {
                var changed = sample
                changed.attributes[attribute] = value
                try attempt(changed)
            }
        }
        for number in sample.operands.indices {
            for type in types {
                var changed = sample
                changed.operands[number] = type
                try attempt(changed)
            }
        }
        if op.operandCount == nil {
            var none = sample
            none.operands = []
            try attempt(none)
        }
        #expect(refused > 0 || op.attributeNames.isEmpty || accepted == 0 || ["literal", "full"].contains(name), "\(name) refused nothing")
    }

    private func graph(_ op: OpDefinition, _ sample: OpSample) throws -> Graph {
        var graph = Graph(name: op.name)
        let inputs = sample.operands.enumerated().map { graph.addInput("x\($0.offset)", $0.element) }
        let results = try graph.append(op, inputs, sample.attributes, regions: sample.regions)
        graph.outputs = results.enumerated().map { Port("y\($0.offset)", $0.element) }
        return graph
    }
}
