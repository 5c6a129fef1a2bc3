// Small models that once failed, each a folder: models, inputs, and outputs where the right answer is known. Every model is compiled
// once, with its sizes open, and run on all its inputs; where no answer is known, it must agree with the graph's definition.

import Foundation
import Kiln
import KilnIR
import KilnONNX
import KilnOps

/// A model with the archives that belong to it.
struct SmallCase {
    /// The folder's name, and the model's where it is not `model.onnx`.
    let name: String
    let model: String
    /// Archives `in.npz`, `in2.npz` and so on, each with the one of outputs where there is one.
    let runs: [(inputs: String, outputs: String?)]

    /// The cases of a folder, in order of their names.
    static func all(in folder: String) throws -> [SmallCase] {
        func entries(_ path: String) throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: path).sorted() }
        var cases: [SmallCase] = []
        for name in try entries(folder) where !name.contains(".") {
            let place = "\(folder)/\(name)", files = try entries(place)
            let runs = files.filter { $0.hasPrefix("in") && $0.hasSuffix(".npz") }.map { file -> (String, String?) in
                let answer = "out" + file.dropFirst(2)
                return ("\(place)/\(file)", files.contains(answer) ? "\(place)/\(answer)" : nil)
            }
            for file in files where file.hasSuffix(".onnx") {
                cases.append(SmallCase(name: file == "model.onnx" ? name : "\(name)/\(file.dropLast(5))", model: "\(place)/\(file)", runs: runs))
            }
        }
        return cases
    }

    func check() throws {
        let imported = try ONNXModel(contentsOf: model).imported(), graph = imported.graph
        let compiled = try CompiledGraph(graph)
        for (inputs, outputs) in runs {
            let given = Dictionary(try NPZ.read(inputs).map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
            if let stray = given.keys.first(where: { name in !graph.inputs.contains { $0.name == name } }) { throw CaseError("'\(stray)' is no input") }
            let arguments = try graph.inputs.map { port in
                guard let value = given[port.name] else { throw CaseError("no value for the input '\(port.name)'") }
                return value
            }
            try check(graph, compiled, arguments, outputs)
        }
        if runs.isEmpty {
            for size in [3, 5] { try check(graph, compiled, graph.inputTypes.enumerated().map { try Self.drawn($1, size: size, seed: $0) }, nil) }
        }
    }

    private func check(_ graph: Graph, _ compiled: CompiledGraph, _ arguments: [Literal], _ outputs: String?) throws {
        let results = Dictionary(uniqueKeysWithValues: zip(graph.outputs.map(\.name), try compiled.run(arguments)))
        let expected = try outputs.map { try NPZ.read($0) } ?? zip(graph.outputs.map(\.name), Interpreter.run(graph, inputs: arguments)).map { ($0, $1) }
        // What the deviation is for a variance near 0 in f32, no engine can say better.
        let tolerance = Tolerance(rtol: name.hasPrefix("12-") ? 1e-4 : 1e-5, atol: outputs == nil ? 1e-5 : 1e-6)
        for (name, value) in expected {
            guard let result = results[name] else { throw CaseError("there is no output '\(name)'") }
            // No answer is known, and sums of reals that end between two steps of 8 bits go to either by the order of their terms.
            if outputs == nil, Self.isTheSameButForTies(result, value) { continue }
            try result.expect(value, name, tolerance)
        }
    }

    /// Whether 8-bit integers are equal, but for one step in at most one element of a thousand.
    private static func isTheSameButForTies(_ result: Literal, _ expected: Literal) -> Bool {
        guard result.type == expected.type, result.dtype.isInteger, result.dtype.byteCount == 1 else { return false }
        var ties = 0
        for position in 0..<result.count where result[position].int64 != expected[position].int64 {
            ties += 1
            if abs(result[position].int64 - expected[position].int64) > 1 { return false }
        }
        return ties * 1000 <= result.count
    }

    /// Numbers for an input: a size for every symbol, elements from a fixed generator.
    private static func drawn(_ type: TensorType, size: Int, seed: Int) throws -> Literal {
        let shape = try type.shape.map { dim -> Int in
            guard let extent = dim.evaluate({ if case .symbol = $0 { size } else { nil } }) else { throw CaseError("an input of the size \(dim)") }
            return extent
        }
        var state = UInt64(seed + 1)
        return Literal(type.dtype, shape, scalars: (0..<shape.reduce(1, *)).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let bits = state >> 33
            return type.dtype.isFloat ? Scalar.real(Double(bits % 2001) / 1000 - 1) : Scalar.integer(Int64(bits % 256)).converted(to: type.dtype)
        })
    }

    /// Runs the cases of a folder and prints a line for each that is not as the list of known failures says.
    static func checkAll(in folder: String, named wanted: [String], known: [String: String]) throws -> (passed: Int, failed: Int) {
        var counts = (passed: 0, failed: 0)
        for test in try all(in: folder) where wanted.isEmpty || wanted.contains(where: { test.name.contains($0) }) {
            var reason: String?
            do { try test.check() } catch { reason = String("\(error)".replacingOccurrences(of: "\n", with: " | ").prefix(400)) }
            switch (reason, known[test.name]) {
            case (nil, nil): counts.passed += 1
            case (nil, _?):
                counts.failed += 1
                print("FAILED \(test.name): passes, and is listed as known to fail")
            case (let reason?, nil):
                counts.failed += 1
                print("FAILED \(test.name): \(reason)")
            case (let reason?, _?): print("known \(test.name): \(reason)")
            }
        }
        return counts
    }
}
