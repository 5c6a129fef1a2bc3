// One case of the suite: import, compile, run, compare.

import Kiln
import KilnIR
import KilnONNX

/// Imports and compiles a case's model, runs it on each of its sets of inputs and compares what comes out.
struct CaseRun {
    let test: Manifest.Case
    let folder: String

    func run() throws {
        let model = try ONNXModel(contentsOf: "\(folder)/model.onnx")
        for set in 0..<test.datasets {
            let place = set == 0 ? folder : "\(folder)/set\(set)"
            let inputs = try test.inputs.map { ($0.name, try TestValue($0, in: place)) }
            let outputs = try test.outputs.map { ($0.name, try TestValue($0, in: place)) }
            try run(model, inputs, outputs)
        }
    }

    private func run(_ model: ONNXModel, _ inputs: [(String, TestValue)], _ outputs: [(String, TestValue)]) throws {
        var options = ImportOptions()
        for (name, value) in inputs { options.inputs[name] = value.spec }
        let imported = try specialized(model, inputs, &options)
        let compiled = try CompiledGraph(imported.graph)
        var ports: [String: Literal] = [:]
        for (name, port) in imported.inputs {
            guard let value = inputs.first(where: { $0.0 == name })?.1 else { throw CaseError("no value for the input '\(name)'") }
            Self.flatten(value, port, &ports)
        }
        let arguments = try imported.graph.inputs.map { port in
            guard let value = ports[port.name] else { throw CaseError("no value for the graph's input '\(port.name)'") }
            return value
        }
        let results = Dictionary(uniqueKeysWithValues: zip(imported.graph.outputs.map(\.name), try compiled.run(arguments)))
        for (name, expected) in outputs {
            guard let port = imported.outputs.first(where: { $0.name == name })?.port else { throw CaseError("there is no output '\(name)'") }
            try compare(name, port, results, expected)
        }
    }

    /// Imports with the values of inputs that decide shapes as constants.
    private func specialized(_ model: ONNXModel, _ inputs: [(String, TestValue)], _ options: inout ImportOptions) throws -> ImportedModel {
        while true {
            do { return try model.imported(options) } catch let needed as ValueNeeded {
                var isNew = false
                for name in needed.inputs {
                    guard case .tensor(let literal, _)? = inputs.first(where: { $0.0 == name })?.1, options.values[name] == nil else { continue }
                    options.values[name] = literal
                    isNew = true
                }
                if !isNew { throw needed }
            }
        }
    }

    private static func flatten(_ value: TestValue, _ port: ImportedPort, _ ports: inout [String: Literal]) {
        switch (value, port) {
        case (.tensor(let literal, _), .tensor(let name, _)): ports[name] = literal
        case (.sequence(let parts), .sequence(let names)): for (part, name) in zip(parts, names) { flatten(part, name, &ports) }
        case (.optional(let part?), .optional(let name?)): flatten(part, name, &ports)
        case (_, .optional(let name?)): flatten(value, name, &ports)
        default: break
        }
    }

    // MARK: Comparison

    private func compare(_ name: String, _ port: ImportedPort, _ results: [String: Literal], _ expected: TestValue) throws {
        switch (port, expected) {
        case (.tensor(let key, let element), .tensor(let literal, let type)):
            guard let result = results[key] else { throw CaseError("no result for '\(name)'") }
            guard element == type else { throw CaseError("'\(name)' has elements of type \(element), expected \(type)") }
            if element == .string { try compareTexts(name, result, literal) } else { try compare(name, result, literal) }
        case (.sequence(let ports), .sequence(let parts)):
            guard ports.count == parts.count else { throw CaseError("'\(name)' holds \(ports.count) values, expected \(parts.count)") }
            for (number, (port, part)) in zip(ports, parts).enumerated() { try compare("\(name).\(number)", port, results, part) }
        case (.optional(nil), .optional(nil)), (.absent, .absent), (.optional(nil), .absent): break
        case (.optional(let port?), .optional(let part?)): try compare(name, port, results, part)
        case (.optional(let port?), _): try compare(name, port, results, expected)
        case (_, .optional(let part?)): try compare(name, port, results, part)
        default: throw CaseError("'\(name)' is \(port), and something else is expected")
        }
    }

    private func compareTexts(_ name: String, _ result: Literal, _ expected: Literal) throws {
        let (shape, wanted) = (Array(result.shape.dropLast()), Array(expected.shape.dropLast()))
        guard shape == wanted, zip(result.texts, expected.texts).allSatisfy({ $0.utf8.elementsEqual($1.utf8) }) else {
            throw CaseError("'\(name)' is \(result.texts) of shape \(shape), expected \(expected.texts) of \(wanted)")
        }
    }

    private func compare(_ name: String, _ result: Literal, _ expected: Literal) throws {
        try result.expect(expected, name, Tolerance(rtol: test.rtol, atol: test.atol))
    }
}
