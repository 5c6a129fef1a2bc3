// A compiled program that can run: the address of its table comes in, calls with buffers go out to the runtime.
import KilnIR
import KilnRuntime

/// A program that is loaded. May be run from several threads at once.
public final class Executable: @unchecked Sendable {
    /// An input or output: its name, its element type, and its type as text, such as `f32[batch, 10]`.
    public struct Port: Sendable {
        public let name: String
        public let dtype: DType
        public let rank: Int
        public let text: String
    }

    public let name: String
    public let inputs: [Port]
    public let outputs: [Port]
    /// The names of the symbols, in the order in which `run` takes their values; those that a call measures come last.
    public let symbols: [String]
    private let program: UnsafePointer<kiln_program_info>
    /// Keeps the code in memory.
    private let owner: AnyObject
    /// The outputs' sizes in bytes, where they don't depend on symbols.
    private let fixedSizes: [Int]?

    /// - Parameters:
    ///   - program: the address of a `kiln_program_info`, valid for as long as `owner` lives.
    public init(program address: UnsafeRawPointer, owner: AnyObject) throws {
        let program = address.assumingMemoryBound(to: kiln_program_info.self)
        try RuntimeError.check(kiln_check(program))
        self.program = program
        self.owner = owner
        name = String(cString: kiln_program_name(program))
        symbols = (0..<kiln_symbol_count(program)).map { String(cString: kiln_symbol_name(program, $0)) }
        inputs = (0..<kiln_input_count(program)).map { index in
            Port(name: String(cString: kiln_input_name(program, index)), dtype: DType(code: kiln_input_dtype(program, index)),
                 rank: Int(kiln_input_rank(program, index)), text: Self.text { kiln_input_type(program, index, $0, $1) })
        }
        let outputs = (0..<kiln_output_count(program)).map { index in
            Port(name: String(cString: kiln_output_name(program, index)), dtype: DType(code: kiln_output_dtype(program, index)),
                 rank: Int(kiln_output_rank(program, index)), text: Self.text { kiln_output_type(program, index, $0, $1) })
        }
        self.outputs = outputs
        fixedSizes = symbols.isEmpty ? try Self.outputShapes(program, outputs, []).enumerated()
            .map { outputs[$0.offset].dtype.byteCount * $0.element.reduce(1, *) } : nil
    }

    /// Devices keep what they loaded until the code is gone.
    deinit { _ = kiln_forget(program) }

    /// Runs the program on dense inputs of the right types, which the caller vouches for; inputs that are elsewhere are copied first.
    /// - Parameters:
    ///   - symbols: the value of each symbol.
    ///   - accelerator: where to run; nil for the host.
    /// - Returns: the outputs, in new buffers of the same place. A GPU may still be at work on them; whatever uses them waits.
    public func run(_ inputs: [DeviceBuffer], symbols values: [Int] = [], on accelerator: Accelerator? = nil) throws -> [DeviceBuffer] {
        try runDataDependent(inputs, symbols: values, on: accelerator).outputs
    }

    /// Runs the program, and gives the values of all symbols beside the outputs: those that the call measured were at their bounds before,
    /// and the buffers have room for as much. What is in them has the shapes that `outputShapes` gives for these values.
    public func runDataDependent(_ inputs: [DeviceBuffer], symbols values: [Int] = [],
                            on accelerator: Accelerator? = nil) throws -> (outputs: [DeviceBuffer], symbols: [Int]) {
        precondition(inputs.count == self.inputs.count && values.count == symbols.count, "a call takes what the program declares")
        let sizes = try fixedSizes ?? outputShapes(symbols: values).enumerated()
            .map { outputs[$0.offset].dtype.byteCount * $0.element.reduce(1, *) }
        let inputs = try inputs.map { try $0.on(accelerator) }
        let results = try sizes.map { try DeviceBuffer(byteCount: $0, on: accelerator) }
        var words = values.map { Int64($0) }
        try withExtendedLifetime((inputs, results)) {
            let sources: [UnsafeMutableRawPointer?] = inputs.map(\.pointer)
            let targets: [UnsafeMutableRawPointer?] = results.map(\.pointer)
            if let accelerator { return try accelerator.invoke(program, sources, targets, &words) }
            try RuntimeError.check(kiln_invoke(program, sources, targets, &words))
        }
        return (results, words.map { Int($0) })
    }

    /// Throws unless the program has code that the device runs.
    public func check(on accelerator: Accelerator) throws { try RuntimeError.check(kiln_device_check(accelerator.handle, program)) }

    /// Milliseconds that each of `calls` calls takes on a device, by the device's clock, after as many to warm up.
    public func time(_ inputs: [DeviceBuffer], symbols values: [Int] = [], on accelerator: Accelerator, warmup: Int, calls: Int) throws -> Double {
        let inputs = try inputs.map { try $0.on(accelerator) }
        let results = try run(inputs, symbols: values, on: accelerator)
        var milliseconds = 0.0
        try withExtendedLifetime((inputs, results)) {
            let sources: [UnsafeMutableRawPointer?] = inputs.map(\.pointer)
            let targets: [UnsafeMutableRawPointer?] = results.map(\.pointer)
            var words = values.map { Int64($0) }
            try RuntimeError.check(kiln_device_time(accelerator.handle, program, sources, targets, &words, Int64(warmup), Int64(calls), &milliseconds))
        }
        return milliseconds / Double(max(calls, 1))
    }

    /// The values of the symbols for inputs of the given types; throws the runtime's message where a type doesn't fit.
    public func bind(_ types: [(dtype: DType, shape: [Int])]) throws -> [Int] {
        var values = [Int64](repeating: 0, count: max(symbols.count, 1))
        let shapes = types.map { $0.shape.map { Int64($0) } }
        try Self.withTensors(types.map(\.dtype), shapes) { tensors in
            try RuntimeError.check(kiln_bind(program, tensors, Int64(types.count), &values))
        }
        return values.prefix(symbols.count).map { Int($0) }
    }

    /// The outputs' shapes for given values of the symbols.
    public func outputShapes(symbols values: [Int]) throws -> [[Int]] { try Self.outputShapes(program, outputs, values) }

    /// Bytes that a call takes beyond its inputs and outputs.
    public func peakMemory(symbols values: [Int] = []) throws -> Int {
        var bytes: Int64 = 0
        try RuntimeError.check(kiln_peak_memory(program, values.map { Int64($0) }, &bytes))
        return Int(bytes)
    }

    private static func outputShapes(_ program: UnsafePointer<kiln_program_info>, _ outputs: [Port], _ values: [Int]) throws -> [[Int]] {
        let words = values.map { Int64($0) } + [0]
        return try outputs.enumerated().map { index, port in
            var shape = [Int64](repeating: 0, count: max(port.rank, 1))
            try RuntimeError.check(kiln_output_shape_for_symbols(program, words, Int64(index), &shape))
            return shape.prefix(port.rank).map { Int($0) }
        }
    }

    private static func text(_ write: (UnsafeMutablePointer<CChar>?, Int) -> Int64) -> String {
        let length = Int(max(write(nil, 0), 0))
        return String(unsafeUninitializedCapacity: length + 1) { bytes in
            bytes.withMemoryRebound(to: CChar.self) { _ = write($0.baseAddress, length + 1) }
            return length
        }
    }

    /// Calls `body` with tensors without data.
    private static func withTensors(_ dtypes: [DType], _ shapes: [[Int64]], _ body: (UnsafePointer<kiln_tensor>?) throws -> Void) throws {
        let flat = shapes.flatMap { $0 }
        try flat.withUnsafeBufferPointer { sizes in
            var tensors: [kiln_tensor] = []
            var offset = 0
            for (dtype, shape) in zip(dtypes, shapes) {
                tensors.append(kiln_tensor(data: nil, dtype: Int32(dtype.rawValue), rank: Int32(shape.count),
                                           shape: sizes.baseAddress.map { $0 + offset }))
                offset += shape.count
            }
            try tensors.withUnsafeBufferPointer { try body($0.baseAddress) }
        }
    }
}

extension DType {
    /// The type with a code of the ABI; unknown codes, which `kiln_check` refuses, give bytes.
    init(code: Int32) { self = UInt8(exactly: code).flatMap { DType(rawValue: $0) } ?? .u8 }
}
