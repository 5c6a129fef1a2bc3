// Reductions as PyTorch spells them, and what is made of them: means, variances, norms, softmax. Axes may count from the end; none
// means all. What f16 and bf16 would round between is computed in f32.

import KilnIR

extension Operand {
    /// The sum; of bools, their number as i64.
    public func sum(_ axes: Int..., keepDims: Bool = false, file: StaticString = #fileID, line: UInt = #line) -> Self {
        sum(axes, keepDims: keepDims, file: file, line: line)
    }

    public func sum(_ axes: [Int], keepDims: Bool = false, file: StaticString = #fileID, line: UInt = #line) -> Self {
        let location = SourceLocation(file, line)
        let numbers = dtype == .bool ? casting(to: .i64, at: location) : self
        return numbers.reduced(Structural.reduceSum, axes, keepDims, at: location)
    }

    public func product(_ axes: Int..., keepDims: Bool = false, file: StaticString = #fileID, line: UInt = #line) -> Self {
        reduced(Structural.reduceProduct, axes, keepDims, at: SourceLocation(file, line))
    }

    /// The greatest elements; a gradient is spread evenly over equal ones.
    public func max(_ axes: Int..., keepDims: Bool = false, file: StaticString = #fileID, line: UInt = #line) -> Self {
        reduced(Structural.reduceMax, axes, keepDims, at: SourceLocation(file, line))
    }

    /// The least elements; a gradient is spread evenly over equal ones.
    public func min(_ axes: Int..., keepDims: Bool = false, file: StaticString = #fileID, line: UInt = #line) -> Self {
        reduced(Structural.reduceMin, axes, keepDims, at: SourceLocation(file, line))
    }

    /// Whether any element is true, or not zero.
    public func any(_ axes: Int..., keepDims: Bool = false, file: StaticString = #fileID, line: UInt = #line) -> Self {
        casting(to: .bool, at: SourceLocation(file, line)).reduced(Structural.reduceAny, axes, keepDims, at: SourceLocation(file, line))
    }

    /// Whether all elements are true, or not zero.
    public func all(_ axes: Int..., keepDims: Bool = false, file: StaticString = #fileID, line: UInt = #line) -> Self {
        casting(to: .bool, at: SourceLocation(file, line)).reduced(Structural.reduceAll, axes, keepDims, at: SourceLocation(file, line))
    }

    /// The position of the first greatest element along the axis, or, without one, of all elements in row-major order.
    public func argmax(_ axis: Int? = nil, keepDims: Bool = false, file: StaticString = #fileID, line: UInt = #line) -> Self {
        position(Structural.reduceArgmax, axis, keepDims, at: SourceLocation(file, line))
    }

    /// The position of the first least element along the axis, or, without one, of all elements in row-major order.
    public func argmin(_ axis: Int? = nil, keepDims: Bool = false, file: StaticString = #fileID, line: UInt = #line) -> Self {
        position(Structural.reduceArgmin, axis, keepDims, at: SourceLocation(file, line))
    }

    public func mean(_ axes: Int..., keepDims: Bool = false, file: StaticString = #fileID, line: UInt = #line) -> Self {
        mean(axes, keepDims: keepDims, file: file, line: line)
    }

    public func mean(_ axes: [Int], keepDims: Bool = false, file: StaticString = #fileID, line: UInt = #line) -> Self {
        let location = SourceLocation(file, line)
        if let wrong = wrongAxis(axes) { return mistaken("mean", axis: wrong, at: location) }
        return inSinglePrecision("mean", at: location) { wide in
            let total = wide.reduced(Structural.reduceSum, axes, keepDims, at: location)
            return total.divided(by: total.count(of: wide.size(of: axes), at: location), at: location)
        }
    }

    /// The mean of integers as an integer, cut toward zero: exact also where their sum is past the dtype's end, or past 64 bits.
    public func truncatedMean(_ axes: [Int], keepDims: Bool = false, file: StaticString = #fileID, line: UInt = #line) -> Self {
        let location = SourceLocation(file, line)
        guard dtype.isInteger else { return mistaken("truncatedMean", "takes integers, was given \(dtype)", fix: "take the mean of floats", at: location) }
        if let wrong = wrongAxis(axes) { return mistaken("truncatedMean", axis: wrong, at: location) }
        let wide = dtype.bitWidth < 64 ? casting(to: .i64, at: location) : self, size = wide.size(of: axes)
        func sum(_ x: Self) -> Self { x.reduced(Structural.reduceSum, axes, keepDims, at: location) }
        if dtype.bitWidth < 64 {
            let total = sum(wide)
            return total.divided(by: total.count(of: size, at: location), at: location).casting(to: dtype, at: location)
        }
        // Of x = n·q + r the sum is n·Σq + Σr, and neither sum leaves 64 bits.
        let count = wide.count(of: size, at: location), quotients = wide.divided(by: count, at: location)
        let rests = sum(wide.subtracted(quotients.multiplied(by: count, at: location), at: location)), n = rests.count(of: size, at: location)
        let carried = rests.divided(by: n, at: location), whole = sum(quotients).added(carried, at: location)
        if dtype.isUnsigned { return whole }
        // What is left over pulls a whole number of the other sign one toward zero.
        let left = rests.subtracted(carried.multiplied(by: n, at: location), at: location)
        func isOpposed(_ a: OpDefinition, _ b: OpDefinition) -> Self {
            .apply(Elementwise.and, whole.compared(a, whole.filled(0)), left.compared(b, left.filled(0)), at: location)
        }
        let lower = whole.subtracted(whole.filled(1), at: location).chosen(where: isOpposed(Elementwise.gt, Elementwise.lt), else: whole)
        return whole.added(whole.filled(1), at: location).chosen(where: isOpposed(Elementwise.lt, Elementwise.gt), else: lower)
    }

    /// The mean square distance from the mean; with `unbiased`, over one element less.
    public func variance(_ axes: Int..., unbiased: Bool = true, keepDims: Bool = false, file: StaticString = #fileID,
                         line: UInt = #line) -> Self {
        variance(axes, unbiased: unbiased, keepDims: keepDims, file: file, line: line)
    }

    public func variance(_ axes: [Int], unbiased: Bool = true, keepDims: Bool = false, file: StaticString = #fileID,
                         line: UInt = #line) -> Self {
        let location = SourceLocation(file, line)
        if let wrong = wrongAxis(axes) { return mistaken("variance", axis: wrong, at: location) }
        return inSinglePrecision("variance", at: location) { wide in
            let all = wide.reducedAxes(axes), count = wide.size(of: axes)
            let total = wide.reducing(Structural.reduceSum, all, at: location)
            let center = total.divided(by: total.count(of: count, at: location), at: location).repeating(over: all, of: wide.dims, at: location)
            let distance = wide.subtracted(center, at: location)
            let squares = distance.multiplied(by: distance, at: location).reduced(Structural.reduceSum, axes, keepDims, at: location)
            return squares.divided(by: squares.count(of: unbiased ? count - 1 : count, at: location), at: location)
        }
    }

    /// The square root of the variance.
    public func std(_ axes: Int..., unbiased: Bool = true, keepDims: Bool = false, file: StaticString = #fileID, line: UInt = #line) -> Self {
        let deviation = variance(axes, unbiased: unbiased, keepDims: keepDims, file: file, line: line)
        return .apply(Elementwise.sqrt, deviation, at: SourceLocation(file, line))
    }

    /// The Euclidean norm.
    public func norm(_ axes: Int..., keepDims: Bool = false, file: StaticString = #fileID, line: UInt = #line) -> Self {
        let location = SourceLocation(file, line)
        return inSinglePrecision("norm", at: location) { wide in
            let squares = wide.multiplied(by: wide, at: location).reduced(Structural.reduceSum, axes, keepDims, at: location)
            // At zero the gradient is 0, as PyTorch has it, and not the root's, which is infinite.
            let isLong = Self.apply(Elementwise.ne, squares, squares.filled(0, at: location), at: location)
            let root = Self.apply(Elementwise.sqrt, squares.chosen(where: isLong, else: squares.filled(1, at: location), at: location), at: location)
            return root.kept(where: isLong, at: location)
        }
    }

    /// The logarithm of the sum of exponentials, without overflow.
    public func logSumExp(_ axes: Int..., keepDims: Bool = false, file: StaticString = #fileID, line: UInt = #line) -> Self {
        let location = SourceLocation(file, line)
        if let wrong = wrongAxis(axes) { return mistaken("logSumExp", axis: wrong, at: location) }
        let all = reducedAxes(axes)
        return inSinglePrecision("logSumExp", at: location) { wide in
            let greatest = wide.reducing(Structural.reduceMax, all, at: location)
            // An infinite maximum must not be taken from itself; nothing is lost by taking zero instead.
            let finite = greatest.kept(where: .apply(Elementwise.isFinite, greatest, at: location), at: location)
            let shifted = wide.subtracted(finite.repeating(over: all, of: wide.dims, at: location), at: location)
            let total = Self.apply(Elementwise.exp, shifted, at: location).reducing(Structural.reduceSum, all, at: location)
            let result = Self.apply(Elementwise.log, total, at: location).added(finite, at: location)
            return keepDims ? result.restoring(all, of: wide.dims, at: location) : result
        }
    }

    /// Exponentials over their sum along the axis.
    public func softmax(_ axis: Int, file: StaticString = #fileID, line: UInt = #line) -> Self {
        let location = SourceLocation(file, line), axis = counted(axis)
        guard has(axis) else { return mistaken("softmax", axis: axis, at: location) }
        return inSinglePrecision("softmax", at: location) { wide in
            let exponentials = Self.apply(Elementwise.exp, wide.belowGreatest(axis, at: location), at: location)
            let total = exponentials.reducing(Structural.reduceSum, [axis], at: location).repeating(over: [axis], of: wide.dims, at: location)
            return exponentials.divided(by: total, at: location)
        }
    }

    /// The logarithm of `softmax`, without underflow.
    public func logSoftmax(_ axis: Int, file: StaticString = #fileID, line: UInt = #line) -> Self {
        let location = SourceLocation(file, line), axis = counted(axis)
        guard has(axis) else { return mistaken("logSoftmax", axis: axis, at: location) }
        return inSinglePrecision("logSoftmax", at: location) { wide in
            let shifted = wide.belowGreatest(axis, at: location)
            let total = Self.apply(Elementwise.exp, shifted, at: location).reducing(Structural.reduceSum, [axis], at: location)
            let logarithm = Self.apply(Elementwise.log, total, at: location).repeating(over: [axis], of: wide.dims, at: location)
            return shifted.subtracted(logarithm, at: location)
        }
    }
}

extension Operand {
    /// The axes counted from the front; all where none is given.
    fileprivate func reducedAxes(_ axes: [Int]) -> [Int] { axes.isEmpty ? Array(0..<rank) : counted(axes) }

    fileprivate func wrongAxis(_ axes: [Int]) -> Int? { counted(axes).first { !has($0) } }

    fileprivate func reduced(_ op: OpDefinition, _ axes: [Int], _ keepDims: Bool, at location: SourceLocation) -> Self {
        if let wrong = wrongAxis(axes) {
            return mistaken(op.name.hasPrefix("reduce_") ? String(op.name.dropFirst("reduce_".count)) : op.name, axis: wrong, at: location)
        }
        let all = reducedAxes(axes)
        let result = reducing(op, all, at: location)
        return keepDims ? result.restoring(all, of: dims, at: location) : result
    }

    fileprivate func position(_ op: OpDefinition, _ axis: Int?, _ keepDims: Bool, at location: SourceLocation) -> Self {
        if let axis { return reduced(op, [axis], keepDims, at: location) }
        let flat = reshaping(to: [type.elementCount], at: location).reducing(op, [0], at: location)
        return keepDims ? flat.reshaping(to: dims.map { _ in 1 }, at: location) : flat
    }

    /// The number of elements that a reduction over the axes combines.
    fileprivate func size(of axes: [Int]) -> Dim { reducedAxes(axes).reduce(Dim.constant(1)) { has($1) ? $0 * dims[$1] : $0 } }

    /// A size as a number in this one's dtype and shape; one of symbols is counted when the program runs.
    fileprivate func count(of size: Dim, at location: SourceLocation) -> Self {
        if let constant = size.constant { return full(.real(Double(constant)), type, at: location) }
        return full(0, TensorType(.i64, []), at: location).extent(size).casting(to: dtype, at: location)
            .broadcasting(to: dims, axes: [], at: location)
    }

    fileprivate func belowGreatest(_ axis: Int, at location: SourceLocation) -> Self {
        subtracted(reducing(Structural.reduceMax, [axis], at: location).repeating(over: [axis], of: dims, at: location), at: location)
    }

    /// A computation on floats where f16 and bf16 are f32 in between.
    fileprivate func inSinglePrecision(_ name: String, at location: SourceLocation, _ body: (Self) -> Self) -> Self {
        guard dtype.isFloat else {
            return mistaken(name, "takes floats, was given \(dtype)", fix: "cast to f32 first", at: location)
        }
        return dtype.byteCount == 2 ? body(casting(to: .f32, at: location)).casting(to: dtype, at: location) : body(self)
    }
}
