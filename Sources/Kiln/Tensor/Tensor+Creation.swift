// Tensors from Swift values: numbers, arrays up to three deep, bytes; and from a rule: zeros, ones, ranges.
import KilnExecution
import KilnIR
import KilnOps

extension Tensor {
    /// A tensor of a constant of the compiler's or of a file.
    public init(_ literal: Literal, device: Device = .default) {
        self = Tensor.make(literal.type, device) { bytes in literal.withUnsafeBytes { bytes.copyMemory(from: $0) } }
    }

    /// A tensor whose bytes `fill` writes, all of them.
    static func make(_ type: TensorType, _ device: Device, at location: SourceLocation = .unknown, _ fill: (UnsafeMutableRawBufferPointer) -> Void) -> Tensor {
        if let wrong = Trace.badSize(type, location, op: "Tensor") { return .poisoned(wrong, at: location) }
        do {
            let byteCount = type.shape.reduce(type.dtype.byteCount) { $0 * ($1.constant ?? 0) }
            let buffer = try DeviceBuffer(byteCount: byteCount)
            fill(buffer.mutableBytes)
            let deviceID = Trace.shared.deviceID(device)
            let there = try buffer.on(Trace.shared.accelerator(deviceID))
            return Trace.shared.locked { Trace.shared.hold(Trace.shared.leaf(type, there, deviceID)) }
        } catch { return .poisoned(error, at: location) }
    }

    /// A tensor of the given elements in row-major order.
    public init<Element: TensorElement>(_ elements: [Element], shape: [Int], dtype: DType = Element.dtype, device: Device = .default,
                                        file: StaticString = #fileID, line: UInt = #line) {
        let location = SourceLocation(file, line)
        let type = TensorType(dtype, shape.map { .constant($0) })
        if let wrong = Trace.badSize(type, location, op: "Tensor") {
            self = .poisoned(wrong, at: location)
            return
        }
        guard type.shape.reduce(1, { $0 * ($1.constant ?? 0) }) == elements.count else {
            self = .poisoned(ShapeError(op: "Tensor", "\(elements.count) elements don't fill the shape \(shape)", at: location,
                                        fix: "give \(shape.reduce(1, *)) elements, or another shape"), at: location)
            return
        }
        self = Tensor.make(type, device, at: location) { bytes in
            if dtype == Element.dtype {
                elements.withUnsafeBytes { bytes.copyMemory(from: $0) }
            } else if dtype == .f32, let doubles = elements as? [Double] {
                let target = bytes.bindMemory(to: Float.self)
                for index in doubles.indices { target[index] = Float(doubles[index]) }
            } else {
                let literal = Literal(dtype, shape, scalars: elements.map { $0.asScalar.converted(to: dtype) })
                literal.withUnsafeBytes { bytes.copyMemory(from: $0) }
            }
        }
    }

    /// A tensor of rank 0.
    public init<Element: TensorElement>(_ value: Element, device: Device = .default) { self.init([value], shape: [], device: device) }
    /// A tensor of rank 0; f32 unless told.
    public init(_ value: Double, dtype: DType = .f32, device: Device = .default) { self.init([value], shape: [], dtype: dtype, device: device) }

    /// A vector.
    public init<Element: TensorElement>(_ elements: [Element], device: Device = .default) {
        self.init(elements, shape: [elements.count], device: device)
    }
    /// A vector of decimal numbers; f32 unless told.
    public init(_ elements: [Double], dtype: DType = .f32, device: Device = .default) {
        self.init(elements, shape: [elements.count], dtype: dtype, device: device)
    }

    /// A matrix from its rows.
    public init<Element: TensorElement>(_ rows: [[Element]], device: Device = .default, file: StaticString = #fileID, line: UInt = #line) {
        self.init(rows: rows, dtype: Element.dtype, device, SourceLocation(file, line))
    }
    /// A matrix of decimal numbers; f32 unless told.
    public init(_ rows: [[Double]], dtype: DType = .f32, device: Device = .default, file: StaticString = #fileID, line: UInt = #line) {
        self.init(rows: rows, dtype: dtype, device, SourceLocation(file, line))
    }

    /// A stack of matrices.
    public init<Element: TensorElement>(_ matrices: [[[Element]]], device: Device = .default, file: StaticString = #fileID, line: UInt = #line) {
        self.init(matrices: matrices, dtype: Element.dtype, device, SourceLocation(file, line))
    }
    /// A stack of matrices of decimal numbers; f32 unless told.
    public init(_ matrices: [[[Double]]], dtype: DType = .f32, device: Device = .default, file: StaticString = #fileID, line: UInt = #line) {
        self.init(matrices: matrices, dtype: dtype, device, SourceLocation(file, line))
    }

    private init<Element: TensorElement>(rows: [[Element]], dtype: DType, _ device: Device, _ location: SourceLocation) {
        let width = rows.first?.count ?? 0
        guard rows.allSatisfy({ $0.count == width }) else {
            self = .poisoned(Self.ragged(location), at: location)
            return
        }
        self.init(rows.flatMap { $0 }, shape: [rows.count, width], dtype: dtype, device: device)
    }

    private init<Element: TensorElement>(matrices: [[[Element]]], dtype: DType, _ device: Device, _ location: SourceLocation) {
        let height = matrices.first?.count ?? 0
        let width = matrices.first?.first?.count ?? 0
        guard matrices.allSatisfy({ $0.count == height && $0.allSatisfy { $0.count == width } }) else {
            self = .poisoned(Self.ragged(location), at: location)
            return
        }
        self.init(matrices.flatMap { $0.flatMap { $0 } }, shape: [matrices.count, height, width], dtype: dtype, device: device)
    }

    private static func ragged(_ location: SourceLocation) -> ShapeError {
        ShapeError(op: "Tensor", "the rows differ in length", at: location, fix: "make all rows equally long")
    }
}

extension Tensor {
    /// A tensor with one number everywhere.
    public static func full(_ shape: [Int], _ value: Double, dtype: DType = .f32, device: Device = .default, file: StaticString = #fileID,
                            line: UInt = #line) -> Tensor {
        constant("full", .real(value), TensorType(dtype, shape.map { .constant($0) }), device, SourceLocation(file, line))
    }

    public static func zeros(_ shape: [Int], dtype: DType = .f32, device: Device = .default, file: StaticString = #fileID,
                             line: UInt = #line) -> Tensor {
        constant("zeros", 0, TensorType(dtype, shape.map { .constant($0) }), device, SourceLocation(file, line))
    }

    public static func ones(_ shape: [Int], dtype: DType = .f32, device: Device = .default, file: StaticString = #fileID,
                             line: UInt = #line) -> Tensor {
        constant("ones", 1, TensorType(dtype, shape.map { .constant($0) }), device, SourceLocation(file, line))
    }

    private static func constant(_ op: String, _ value: Scalar, _ type: TensorType, _ device: Device, _ location: SourceLocation) -> Tensor {
        if let wrong = Trace.badSize(type, location, op: op) { return .poisoned(wrong, at: location) }
        return Trace.shared.locked { Trace.shared.hold(Trace.shared.number(value, type, Trace.shared.devices.deviceID(device), location)) }
    }

    public static func zerosLike(_ tensor: Tensor) -> Tensor { like(tensor, 0) }
    public static func onesLike(_ tensor: Tensor) -> Tensor { like(tensor, 1) }
    public static func fullLike(_ tensor: Tensor, _ value: Double) -> Tensor { like(tensor, .real(value)) }

    /// What is made like a mistake is the same mistake.
    private static func like(_ tensor: Tensor, _ value: Scalar) -> Tensor {
        tensor.node.kind == .poison ? tensor : tensor.full(value, tensor.type, at: .unknown)
    }

    /// The integers `start, start + step, …` below `end` (above it for a negative step).
    public static func arange(_ start: Int, _ end: Int, step: Int = 1, dtype: DType = .i64, device: Device = .default,
                              file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        let location = SourceLocation(file, line)
        guard step != 0 else {
            return .poisoned(ShapeError(op: "arange", "the step is 0", at: location, fix: "give another step"), at: location)
        }
        let (span, overflow) = end.subtractingReportingOverflow(start)
        let count = overflow ? Int.max : span == 0 || (span > 0) != (step > 0) ? 0 : Int((span.magnitude - 1) / step.magnitude) + 1
        return range("arange", count, dtype, device, location) { start + $0 * step }
    }

    /// A vector of numbers by their positions; a mistake where memory can't hold as many.
    private static func range<Element: TensorElement>(_ op: String, _ count: Int, _ dtype: DType, _ device: Device, _ location: SourceLocation,
                                                      _ number: (Int) -> Element) -> Tensor {
        guard count < 1 << 40 else {
            return .poisoned(ShapeError(op: op, "these are \(count == .max ? "more numbers than can be counted" : "\(count) numbers")", at: location,
                                        fix: "give nearer ends, or a greater step", isTooLarge: true), at: location)
        }
        return Tensor((0..<count).map(number), shape: [count], dtype: dtype, device: device)
    }

    /// The integers below `end`.
    public static func arange(_ end: Int, dtype: DType = .i64, device: Device = .default, file: StaticString = #fileID,
                              line: UInt = #line) -> Tensor {
        arange(0, end, dtype: dtype, device: device, file: file, line: line)
    }

    /// The numbers `start, start + step, …` below `end` (above it for a negative step).
    public static func arange(_ start: Double, _ end: Double, step: Double, dtype: DType = .f32, device: Device = .default,
                              file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        let location = SourceLocation(file, line)
        guard start.isFinite, end.isFinite, step.isFinite, step != 0 else {
            return .poisoned(ShapeError(op: "arange", "there are no numbers from \(start) to \(end) by \(step)", at: location,
                                        fix: "give finite ends, and a finite step other than 0"), at: location)
        }
        let count = Swift.max(0, ((end - start) / step).rounded(.up))
        return range("arange", count < 0x1p62 ? Int(count) : .max, dtype, device, location) { start + Double($0) * step }
    }

    /// `count` numbers from `start` to `end`, both included.
    public static func linspace(_ start: Double, _ end: Double, _ count: Int, dtype: DType = .f32, device: Device = .default,
                                file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        let location = SourceLocation(file, line)
        if let wrong = Trace.badSize(TensorType(.f64, [.constant(count)]), location, op: "linspace") { return .poisoned(wrong, at: location) }
        let step = count > 1 ? (end - start) / Double(count - 1) : 0
        // From both ends, so that the last number is the end itself.
        return range("linspace", count, dtype, device, location) { i in
            i * 2 < count ? start + Double(i) * step : end - Double(count - 1 - i) * step
        }
    }

    /// The identity matrix.
    public static func eye(_ size: Int, dtype: DType = .f32, device: Device = .default, file: StaticString = #fileID,
                           line: UInt = #line) -> Tensor {
        let location = SourceLocation(file, line)
        let type = TensorType(dtype, [.constant(size), .constant(size)])
        if let wrong = Trace.badSize(type, location, op: "eye") { return .poisoned(wrong, at: location) }
        return Tensor.make(type, device, at: location) { bytes in
            bytes.initializeMemory(as: UInt8.self, repeating: 0)
            Literal(dtype, [], repeating: Scalar.integer(1).converted(to: dtype)).withUnsafeBytes { one in
                guard let base = bytes.baseAddress, let source = one.baseAddress else { return }
                for i in 0..<size { (base + i * (size + 1) * one.count).copyMemory(from: source, byteCount: one.count) }
            }
        }
    }
}
