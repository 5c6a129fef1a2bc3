// `kiln verify`: a model, inputs and the outputs that are expected come in; how far each output is off goes out, and on request the
// first node inside the model whose value differs.
import ArgumentParser
import Kiln
import KilnIR

struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Compares a model's outputs with expected ones.",
        discussion: """
            Example: kiln verify model.onnx --inputs in.npz --against out.npz
            With --bisect the file may also hold values of nodes inside the model, by their names: the first that differs is named.
            """)

    @OptionGroup var model: ModelArguments
    @OptionGroup var data: InputArguments
    @OptionGroup var expected: ExpectationArguments
    @OptionGroup var threads: ThreadArguments
    @OptionGroup var target: TargetArguments
    @OptionGroup var device: DeviceArguments

    func run() throws {
        let place = try device.chosen()
        let options = try target.options(for: place)
        try threads.apply()
        let arrays = try data.arrays()
        let references = try NPZ.read(expected.against)
        let loaded = try model.load(inputs: arrays, innerValues: expected.bisect ? references.map(\.name) : [])
        let graph = loaded.graph
        guard !references.isEmpty else { throw CompileError(expected.against, "is empty", fix: "give the expected outputs by name") }
        let stored = Set(graph.outputs.flatMap { [$0.name, NPZ.memberName($0.name)] }), known = Dictionary(references.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
        if let stray = references.first(where: { !stored.contains($0.name) }) {
            throw CompileError(expected.against, "'\(stray.name)' is no output of \(graph.name)",
                               fix: expected.bisect ? "name values of the model" : "name the arrays \(graph.outputs.map(\.name).joined(separator: ", ")), or pass --bisect")
        }
        let results = try CompiledGraph(graph, device: place, options: options).run(data.arguments(of: loaded, arrays))
        // In the graph's order: inner values come in the order of their nodes, then the outputs.
        let positions = graph.definitions
        let order = graph.outputs.indices.sorted { (positions[graph.outputs[$0].value] ?? -1, $0) < (positions[graph.outputs[$1].value] ?? -1, $1) }
        var differing: [String] = []
        for number in order {
            let name = graph.outputs[number].name
            guard let reference = known[name] ?? known[NPZ.memberName(name)] else { continue }
            // Texts may be of other widths, which makes no difference.
            let areTexts = loaded.texts.contains(name) && reference.dtype == .u8 && !reference.shape.isEmpty
            let width = areTexts ? max(reference.shape.last!, results[number].shape.last!) : 0
            let (value, wanted) = areTexts ? (results[number].widened(to: width), reference.widened(to: width)) : (results[number], reference)
            let comparison = try Comparison(name, value, wanted, expected)
            try StandardOutput.put("\(comparison)")
            if !comparison.agrees { differing.append(name) }
        }
        if let worst = differing.first {
            throw VerifyFailure(description: expected.bisect ? "the first value that differs is '\(worst)'" : "\(differing.count) of \(references.count) outputs differ")
        }
    }
}

/// What is expected.
struct ExpectationArguments: ParsableArguments {
    @Option(help: "The expected outputs by name: an .npz file.")
    var against: String

    @Option(help: "How far a float may be off, relative to the expected one.")
    var rtol = 1e-4

    @Option(help: "How far an element may be off in any case; integers are equal unless this is 1 or more.")
    var atol = 1e-6

    @Flag(help: "Compare values inside the model too, and name the first that differs.")
    var bisect = false
}

/// An output beside the expected one.
struct Comparison: CustomStringConvertible {
    let name: String
    let type: TensorType
    private var differing = 0
    private var worst = 0.0
    private var place = 0
    private var pair = ("", "")

    /// Throws where they are not of one type.
    init(_ name: String, _ value: Literal, _ reference: Literal, _ bounds: ExpectationArguments) throws {
        self.name = name
        type = value.type
        // NumPy has neither bf16 nor 8-bit floats: an f32 stands for them.
        let isWidened = value.dtype.isNarrowFloat && value.dtype != .f16 && reference.dtype == .f32
        guard value.shape == reference.shape, value.dtype == reference.dtype || isWidened else {
            throw VerifyFailure(description: "'\(name)' is \(value.type), and \(reference.type) is expected")
        }
        if value == reference { return }
        for position in 0..<value.count {
            let (relative, isOff) = value.dtype.isFloat ? Self.distance(value[position].double, reference[position].double, bounds)
                : Self.distance(value[position], reference[position], isUnsigned: value.dtype.isUnsigned, bounds)
            if isOff { differing += 1 }
            if relative > worst { (worst, place, pair) = (relative, position, (Self.text(value[position], value.dtype), Self.text(reference[position], value.dtype))) }
        }
    }

    /// How far a float is off, relative to the expected one, and whether that is too far.
    private static func distance(_ a: Double, _ b: Double, _ bounds: ExpectationArguments) -> (relative: Double, isOff: Bool) {
        if a == b || a.isNaN && b.isNaN { return (0, false) }
        let distance = abs(a - b)
        // NaN against a number is as far off as can be.
        let relative = distance.isNaN ? .infinity : distance / max(abs(b), bounds.atol / max(bounds.rtol, 1e-300), 1e-300)
        return (relative, !(distance <= bounds.atol + bounds.rtol * abs(b)))
    }

    /// The same of integers and truth values, exactly.
    private static func distance(_ a: Scalar, _ b: Scalar, isUnsigned: Bool, _ bounds: ExpectationArguments) -> (relative: Double, isOff: Bool) {
        if a.int64 == b.int64 { return (0, false) }
        let isLess = isUnsigned ? UInt64(bitPattern: a.int64) < UInt64(bitPattern: b.int64) : a.int64 < b.int64
        let distance = UInt64(bitPattern: isLess ? b.int64 &- a.int64 : a.int64 &- b.int64)
        return (Double(distance) / max(abs(b.double), 1), Double(distance) > bounds.atol || distance > UInt64(1) << 53)
    }

    private static func text(_ scalar: Scalar, _ dtype: DType) -> String {
        dtype.isFloat ? "\(scalar.double)" : dtype.isUnsigned ? "\(UInt64(bitPattern: scalar.int64))" : "\(scalar.int64)"
    }

    var agrees: Bool { differing == 0 }

    var description: String {
        let error = worst == 0 ? "equal" : "off by up to \(worst) (\(pair.0) for \(pair.1), element \(place))"
        return "\(name): \(type): \(agrees ? "agrees" : "\(differing) of \(type.elementCount) elements differ"), \(error)"
    }
}

extension Literal {
    /// Rows of bytes with zeros behind them.
    fileprivate func widened(to width: Int) -> Literal {
        let own = shape.last!, bytes = bytes, filler = [UInt8](repeating: 0, count: width - own)
        var wide: [UInt8] = []
        for row in 0..<shape.dropLast().reduce(1, *) { wide += bytes[row * own..<(row + 1) * own] + filler }
        return Literal(.u8, shape.dropLast() + [width], bytes: wide)
    }
}

/// Outputs that differ.
struct VerifyFailure: Error, CustomStringConvertible {
    var description: String
}
