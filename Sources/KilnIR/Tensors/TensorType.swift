// The type of a tensor value: an element type and a shape of dimensions.

/// A list of dimensions, outermost first.
public typealias Shape = [Dim]

/// The type of a tensor value, such as `f32[batch, 784]`.
public struct TensorType: Hashable, Sendable {
    public var dtype: DType
    public var shape: Shape

    public init(_ dtype: DType, _ shape: Shape) {
        self.dtype = dtype
        self.shape = shape
    }

    public var rank: Int { shape.count }

    /// The number of elements.
    public var elementCount: Dim { shape.reduce(1, *) }

    /// The number of bytes of a dense value.
    public var byteCount: Dim { elementCount * .constant(dtype.byteCount) }

    /// The shape where every dimension is a constant.
    public var constantShape: [Int]? {
        var sizes: [Int] = []
        for dim in shape {
            guard let size = dim.constant else { return nil }
            sizes.append(size)
        }
        return sizes
    }

    /// Whether some memory could hold such a value: no size is negative, and the constant ones make no more than 2^48 elements. The
    /// number of elements must also be one that can be said: a product of sums of symbols has no more than 2^12 terms.
    public var isPossible: Bool {
        var count = 1, terms = 1
        for size in shape {
            guard let constant = size.constant else {
                terms *= size.terms.count
                guard terms <= 1 << 12 else { return false }
                continue
            }
            let (product, overflow) = count.multipliedReportingOverflow(by: max(constant, 1))
            guard constant >= 0, !overflow, product <= 1 << 48 else { return false }
            count = product
        }
        return true
    }

    /// Row-major strides in elements.
    public var strides: [Dim] {
        var strides = [Dim](repeating: 1, count: rank)
        for axis in stride(from: rank - 2, through: 0, by: -1) { strides[axis] = strides[axis + 1] * shape[axis + 1] }
        return strides
    }

    public func with(dtype: DType) -> TensorType { TensorType(dtype, shape) }
    public func with(shape: Shape) -> TensorType { TensorType(dtype, shape) }
}

extension TensorType: CustomStringConvertible {
    public var description: String { "\(dtype)[\(shape.map(\.description).joined(separator: ", "))]" }
}
