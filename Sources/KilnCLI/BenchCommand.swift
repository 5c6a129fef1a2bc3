// `kiln bench`: a model comes in, the time of a call goes out, measured on random inputs.
import ArgumentParser
import Glibc
import Kiln
import KilnCompiler
import KilnExecution
import KilnIR

struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measures how long a call of a model takes.",
        discussion: "Example: kiln bench digits.kiln --size batch=64 --threads 2 --json")

    @OptionGroup var model: ModelArguments
    @OptionGroup var measure: MeasureArguments
    @OptionGroup var threads: ThreadArguments
    @OptionGroup var target: TargetArguments
    @OptionGroup var device: DeviceArguments

    func run() throws {
        let place = try device.chosen()
        let options = try target.options(for: place)
        try threads.apply()
        guard measure.seconds > 0, measure.seconds <= 86_400 else {
            throw CompileError("--seconds", "\(measure.seconds) is no time to measure for", fix: "give seconds, more than 0 and at most a day's 86400")
        }
        let graph = try model.load()
        let types = try sizedTypes(of: graph)
        let clock = ContinuousClock()
        let start = clock.now
        let function = try CompiledGraph(graph, device: place, options: options)
        let compileSeconds = (clock.now - start).seconds
        let samples = try times(function, types)
        try report(graph.name, place, samples, compileSeconds)
    }

    /// The inputs' types with the sizes that the command line gives.
    private func sizedTypes(of graph: Graph) throws -> [(dtype: DType, shape: [Int])] {
        let symbols = graph.symbols
        if let stray = measure.size.first(where: { !symbols.contains($0.name) }) {
            throw CompileError("--size", "\(graph.name) has no symbol '\(stray.name)'", fix: "choose from \(symbols.joined(separator: ", "))")
        }
        if let missing = symbols.first(where: { name in !measure.size.contains { $0.name == name } }) {
            throw CompileError(graph.name, "the size '\(missing)' is open", fix: "give it with --size \(missing)=64")
        }
        let sizes = Dictionary(try measure.size.map { ($0.name, try $0.size()) }, uniquingKeysWith: { _, last in last })
        return try graph.inputTypes.map { type in
            let shape = try type.shape.map { dim -> Int in
                guard let size = dim.evaluate({ if case .symbol(let name) = $0 { sizes[name] } else { nil } }),
                    size >= 0 else { throw CompileError(graph.name, "\(dim) is no size here", fix: "give other sizes") }
                return size
            }
            return (type.dtype, shape)
        }
    }

    /// The seconds of each call, in order of size.
    private func times(_ function: CompiledGraph, _ types: [(dtype: DType, shape: [Int])]) throws -> [Double] {
        var generator = SplitMix(seed: 1)
        // An input is made here and copied to where it is read; what is not there can't be asked for.
        var room = Double(sysconf(Int32(_SC_PHYS_PAGES))) * Double(sysconf(Int32(_SC_PAGESIZE))) / 4
        let inputs = try types.map { type in
            let count = type.shape.reduce(1.0) { $0 * Double($1) }
            room -= count * Double(type.dtype.byteCount)
            guard room > 0 else { throw CompileError("--size", "a tensor of shape \(type.shape) does not fit into memory", fix: "give smaller sizes") }
            let some = (0..<min(Int(count), 1 << 16)).map { _ in Scalar.real(Double(generator.next() >> 11) / 0x1p53).converted(to: type.dtype) }
            let block = Literal(type.dtype, [some.count], scalars: some).bytes, total = Int(count) * type.dtype.byteCount
            let bytes = [UInt8](unsafeUninitializedCapacity: total) { buffer, filled in
                while filled < total {
                    let next = min(block.count, total - filled)
                    UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[filled..<filled + next]).copyBytes(from: block[..<next])
                    filled += next
                }
            }
            return try bytes.withUnsafeBytes { try DeviceBuffer(copying: $0) }
        }
        let executable = function.executable, accelerator = function.accelerator
        let symbols = try executable.bind(types)
        let placed = try inputs.map { try $0.on(accelerator) }
        func call() throws {
            _ = try executable.run(placed, symbols: symbols, on: accelerator)
            try accelerator?.wait()
        }
        let clock = ContinuousClock()
        let end = clock.now + .seconds(measure.seconds)
        for _ in 0..<3 { try call() }
        var samples: [Double] = []
        repeat {
            let start = clock.now
            try call()
            samples.append((clock.now - start).seconds)
        } while clock.now < end && samples.count < 1_000_000
        return samples.sorted()
    }

    private func report(_ name: String, _ device: Device, _ samples: [Double], _ compileSeconds: Double) throws {
        let median = samples[samples.count / 2] * 1e3, least = samples[0] * 1e3
        if measure.json {
            try StandardOutput.put("{\"model\":\(JSONText.quoted(name)),\"ms\":\(median),\"min_ms\":\(least),\"calls\":\(samples.count),\"threads\":\(Threads.count),\"device\":\"\(device)\","
                + "\"compile_s\":\(compileSeconds)}")
        } else {
            let place = device == .cpu ? "\(Threads.count) threads" : "\(device)"
            try StandardOutput.put("\(name): median \(brief(median)) ms, least \(brief(least)) ms of \(samples.count) calls on \(place); compiled in \(brief(compileSeconds)) s")
        }
    }
}

/// A number with four digits after the point.
private func brief(_ value: Double) -> Double { (value * 1e4).rounded() / 1e4 }

extension Duration {
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
