// Whole models with sizes that are open: each is imported and compiled once, and run at every size that the listing has.

import Foundation
import Kiln
import KilnIR
import KilnONNX

/// A model of the listing that a script in `Tests/Conformance/models` writes.
struct ModelCase: Decodable {
    struct Run: Decodable {
        var sizes: [Int]
        var inputs: [String: String]
        var outputs: [String: String]
        var tolerances: [String: Double]
    }
    var name: String
    var file: String
    var runs: [Run]

    /// Throws where something fails; gives the greatest difference there was, relative to the greatest magnitude of the output.
    func check(in folder: String) throws -> Double {
        let model = try ONNXModel(contentsOf: "\(folder)/\(file)").imported()
        let compiled = try CompiledGraph(model.graph)
        var worst = 0.0
        for run in runs {
            do { worst = max(worst, try check(run, model, compiled, in: folder)) } catch { throw CaseError("at \(run.sizes): \(error)") }
        }
        return worst
    }

    private func check(_ run: Run, _ model: ImportedModel, _ compiled: CompiledGraph, in folder: String) throws -> Double {
        let arguments = try model.graph.inputs.map { port in
            guard let file = run.inputs[port.name] else { throw CaseError("no value for the input '\(port.name)'") }
            return try NPY.read("\(folder)/\(file)")
        }
        let results = Dictionary(uniqueKeysWithValues: zip(model.graph.outputs.map(\.name), try compiled.run(arguments)))
        let texts = Set(model.outputs.flatMap(\.port.textPorts))
        var worst = 0.0
        for (name, file) in run.outputs.sorted(by: { $0.key < $1.key }) {
            let expected = try NPY.read("\(folder)/\(file)")
            guard let result = results[name] else { throw CaseError("there is no output '\(name)'") }
            if texts.contains(name) {
                guard result.shape.dropLast() == expected.shape.dropLast(), result.texts == expected.texts else {
                    throw CaseError("'\(name)' is \(result.texts) of \(result.shape), expected \(expected.texts) of \(expected.shape)")
                }
                continue
            }
            guard result.dtype.isFloat, result.type == expected.type else {
                try result.expect(expected, name, Tolerance(rtol: 0))
                continue
            }
            let error = Self.difference(result.doubles, expected.doubles)
            guard error <= run.tolerances[name] ?? 1e-4 else { throw CaseError("'\(name)' differs by \(error), \(run.tolerances[name] ?? 1e-4) is allowed") }
            worst = max(worst, error)
        }
        return worst
    }

    private static func difference(_ a: [Double], _ b: [Double]) -> Double {
        var difference = 0.0, greatest = 1e-30
        for (x, y) in zip(a, b) {
            if x.isNaN != y.isNaN { return .infinity }
            if x == y || x.isNaN { continue }
            difference = max(difference, abs(x - y))
        }
        for y in b where y.isFinite { greatest = max(greatest, abs(y)) }
        return difference / greatest
    }

    /// Runs the models of a listing and prints a line for each; gives how many passed and how many failed.
    static func checkAll(in folder: String, named wanted: [String]) throws -> (passed: Int, failed: Int) {
        guard let bytes = FileManager.default.contents(atPath: folder + "/models.json") else { throw CaseError("\(folder) has no models.json") }
        var counts = (passed: 0, failed: 0)
        for model in try JSONDecoder().decode([ModelCase].self, from: bytes) where wanted.isEmpty || wanted.contains(model.name) {
            do {
                let worst = try model.check(in: folder)
                counts.passed += 1
                print("\(model.name): \(model.runs.count) sizes from one compile, greatest relative difference \(worst)")
            } catch {
                counts.failed += 1
                print("FAILED \(model.name): \("\(error)".replacingOccurrences(of: "\n", with: " | ").prefix(1200))")
            }
        }
        return counts
    }
}
