// Tensors from Swift values: numbers, arrays up to three deep, bytes; and from a rule: zeros, ones, ranges.
import KilnExecution
import KilnIR
import KilnOps

extension Tensor {
    /// A tensor of a constant of the compiler's or of a file.
    public init(_ literal: Literal, device: Device = .default) {
        self = Tensor.make(literal.type, device) { bytes in literal.withUnsafeBytes { bytes.copyMemory(from: $0) } }
    }

    /// A tensor whose bytes `fill` writes; they are zero before.
    static func make(_ type: TensorType, _ device: Device, at location: SourceLocation = .unknown, _ fill: (UnsafeMutableRawBufferPointer) -> Void) -> Tensor {
        if let wrong = Trace.badSize(type, location) { return .poisoned(wrong, at: location) }
        do {
            let byteCount = type.shape.reduce(type.dtype.byteCount) { $0 * ($1.constant ?? 0) }
            let buffer = try DeviceBuffer(byteCount: byteCount)
            fill(buffer.mutableBytes)
            return try Trace.shared.locked {
                let place = Trace.shared.places.place(device)
                return Trace.shared.hold(Trace.shared.leaf(type, try buffer.on(Trace.shared.places.accelerator(place)), place))
            }
        } catch { return .poisoned(error, at: location) }
    }

    /// A tensor of the given elements in row-major order.
    public init<Element: TensorElement>(_ elements: [Element], shape: [Int], dtype: DType = Element.dtype, device: Device = .default,
                                        file: StaticString = #fileID, line: UInt = #line) {
        let location = SourceLocation(file, line)
        let type = TensorType(dtype, shape.map { .constant($0) })
        if let wrong = Trace.badSize(type, location) {
            self = .poisoned(wrong, at: location)
            return
        }
        guard shape.reduce(1, *) == elements.count else {
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
        constant(.real(value), TensorType(dtype, shape.map { .constant($0) }), device, SourceLocation(file, line))
    }

    public static func zeros(_ shape: [Int], dtype: DType = .f32, device: Device = .default, file: StaticString = #fileID,
                             line: UInt = #line) -> Tensor {
        full(shape, 0, dtype: dtype, device: device, file: file, line: line)
    }

    public static func ones(_ shape: [Int], dtype: DType = .f32, device: Device = .default, file: StaticString = #fileID,
                             line: UInt = #line) -> Tensor {
        full(shape, 1, dtype: dtype, device: device, file: file, line: line)
    }

    private static func constant(_ value: Scalar, _ type: TensorType, _ device: Device, _ location: SourceLocation) -> Tensor {
        if let wrong = Trace.badSize(type, location) { return .poisoned(wrong, at: location) }
        return Trace.shared.locked { Trace.shared.hold(Trace.shared.number(value, type, Trace.shared.places.place(device), location)) }
    }

    public static func zerosLike(_ tensor: Tensor) -> Tensor { tensor.full(0, tensor.type, at: .unknown) }
    public static func onesLike(_ tensor: Tensor) -> Tensor { tensor.full(1, tensor.type, at: .unknown) }
    public static func fullLike(_ tensor: Tensor, _ value: Double) -> Tensor { tensor.full(.real(value), tensor.type, at: .unknown) }

    /// The integers `start, start + step, …` below `end` (above it for a negative step).
    public static func arange(_ start: Int, _ end: Int, step: Int = 1, dtype: DType = .i64, device: Device = .default,
                              file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        let location = SourceLocation(file, line)
        guard step != 0 else {
            return .poisoned(ShapeError(op: "arange", "the step is 0", at: location, fix: "give another step"), at: location)
        }
        return Tensor(Array(stride(from: start, to: end, by: step)), shape: [Swift.max(0, (end - start + step - step.signum()) / step)], dtype: dtype,
                      device: device)
    }

    /// The integers below `end`.
    public static func arange(_ end: Int, dtype: DType = .i64, device: Device = .default) -> Tensor {
        arange(0, end, dtype: dtype, device: device)
    }

    /// The numbers `start, start + step, …` below `end` (above it for a negative step).
    public static func arange(_ start: Double, _ end: Double, step: Double, dtype: DType = .f32, device: Device = .default) -> Tensor {
        let count = step == 0 ? 0 : Int(Swift.max(0, ((end - start) / step).rounded(.up)))
        return Tensor((0..<count).map { start + Double($0) * step }, dtype: dtype, device: device)
    }

    /// `count` numbers from `start` to `end`, both included.
    public static func linspace(_ start: Double, _ end: Double, _ count: Int, dtype: DType = .f32, device: Device = .default) -> Tensor {
        let step = count > 1 ? (end - start) / Double(count - 1) : 0
        // From both ends, so that the last number is the end itself.
        let numbers = (0..<Swift.max(count, 0)).map { (i: Int) -> Double in
            i * 2 < count ? start + Double(i) * step : end - Double(count - 1 - i) * step
        }
        return Tensor(numbers, dtype: dtype, device: device)
    }

    /// The identity matrix.
    public static func eye(_ size: Int, dtype: DType = .f32, device: Device = .default) -> Tensor {
        var values = [Double](repeating: 0, count: size * size)
        for i in 0..<size { values[i * size + i] = 1 }
        return Tensor(values, shape: [size, size], dtype: dtype, device: device)
    }
}
