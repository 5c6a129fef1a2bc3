// Operators that combine the elements along axes, and those that say which is the greatest: reductions, positions, scans, the first
// few, and softmax.

import KilnIR
import KilnOps

extension Operators {
    static let reductions: [Operator] = [
        reduction("ReduceSum") { $0.sum($0.x) },
        reduction("ReduceProd") { $0(Structural.reduceProduct, $0.x) },
        reduction("ReduceMax") { $0.extreme(Structural.reduceMax, .any, empty: $0.x.dtype.least) },
        reduction("ReduceMin") { $0.extreme(Structural.reduceMin, .all, empty: $0.x.dtype.greatest) },
        // Of integers it is cut off, as NumPy's `astype` does.
        reduction("ReduceMean") { $0.mean },
        reduction("ReduceL1") { $0.sum($0.x.abs()) },
        reduction("ReduceSumSquare") { $0.sum($0.x.square()) },
        reduction("ReduceL2") { reduction in reduction.inReals { $0.sum($0.x.square()).sqrt() } },
        reduction("ReduceLogSum") { reduction in reduction.inReals { $0.sum($0.x).log() } },
        reduction("ReduceLogSumExp") { reduction in reduction.inReals { $0.logSumExp } },
        Operator("ArgMax") { try position($0, Structural.reduceArgmax) },
        Operator("ArgMin") { try position($0, Structural.reduceArgmin) },
        Operator("CumSum") { try scan($0, Structural.scanSum) },
        Operator("CumProd") { try scan($0, Structural.scanProduct) },
        Operator("TopK", items: { node in
            let x = try node.tensor(0), axis = try node.axis(node.integer("axis", -1), rank: x.rank)
            guard let count = try node.version >= 10 ? node.sizes(1, "the number of elements").first : node.integer("k").map({ .constant($0) }) else {
                throw node.mistake("does not say how many elements it gives")
            }
            let (values, indices) = x.topK(count, axis: axis, largest: node.flag("largest", true))
            return [.tensor(values), .tensor(indices)]
        }),
        Operator("Softmax") { try alongRow($0) { $0.softmax($1) } },
        Operator("LogSoftmax") { try alongRow($0) { $0.logSoftmax($1) } },
        Operator("Hardmax") { try alongRow($0) { x, axis in
            (x.iota(.i64, x.dims, axis: axis) .== x.argmax(axis, keepDims: true)).cast(to: x.dtype)
        } },
    ]

    private static func reduction(_ name: String, _ body: @escaping @Sendable (Reduction) throws -> Value) -> Operator {
        Operator(name) { try body(Reduction($0)) }
    }

    private static func position(_ node: NodeContext, _ op: OpDefinition) throws -> Value {
        let x = try node.tensor(0), axis = try node.axis(node.integer("axis", 0), rank: x.rank)
        let isLast = node.flag("select_last_index")
        var place = (isLast ? x.flipping([axis]) : x).reducing(op, [axis])
        if isLast { place = node.size(x.size(axis: axis) - 1) - place }
        return node.flag("keepdims", true) ? place.unsqueezed(axis) : place
    }

    private static func scan(_ node: NodeContext, _ op: OpDefinition) throws -> Value {
        let x = try node.tensor(0)
        guard let axis = try node.integers(1, "the axis").first else { throw node.mistake("needs an axis") }
        return x.scanning(op, axis: try node.axis(axis, rank: x.rank), reverse: node.flag("reverse"), exclusive: node.flag("exclusive"))
    }

    /// Before version 13, a row was all axes from one on.
    private static func alongRow(_ node: NodeContext, _ body: (Value, Int) -> Value) throws -> Value {
        let x = try node.tensor(0)
        if node.version >= 13 { return body(x, try node.axis(node.integer("axis", -1), rank: x.rank)) }
        let axis = try node.axis(node.integer("axis", 1), rank: x.rank)
        if axis == x.rank - 1 { return body(x, axis) }
        let size = { (axes: ArraySlice<Dim>) in axes.reduce(1, *) }
        return body(x.reshaping(to: [size(x.dims.prefix(axis)), size(x.dims.dropFirst(axis))]), 1).reshaping(to: x.dims)
    }
}

/// A reduction's operand and axes. Without axes it is the operand itself, as `noop_with_empty_axes` asks.
private struct Reduction {
    enum OfBools { case any, all }

    let node: NodeContext
    var x: Value
    let axes: [Int]
    let keepsAxes: Bool

    init(_ node: NodeContext) throws {
        let x = try node.tensor(0)
        let axes = try node.integers(input: 1, orAttribute: "axes", "the axes that are reduced") ?? []
        let all = axes.isEmpty && !node.flag("noop_with_empty_axes") ? Array(0..<x.rank) : axes
        self.node = node
        self.x = x
        self.axes = Array(Set(try all.map { try node.axis($0, rank: x.rank) })).sorted()
        keepsAxes = node.flag("keepdims", true)
    }

    func callAsFunction(_ op: OpDefinition, _ value: Value) -> Value { shaped(value.reducing(op, axes)) }

    func sum(_ value: Value) -> Value { self(Structural.reduceSum, value) }

    /// With the axes put back, where they are kept.
    private func shaped(_ result: Value) -> Value {
        keepsAxes && !axes.isEmpty ? result.reshaping(to: x.dims.indices.map { axes.contains($0) ? 1 : x.size(axis: $0) }) : result
    }

    private var isEmpty: Bool { axes.contains { x.size(axis: $0) == 0 } }

    private func full(_ scalar: Scalar) -> Value {
        x.full(scalar, TensorType(x.dtype, x.dims.indices.compactMap { !axes.contains($0) ? x.size(axis: $0) : keepsAxes ? 1 : nil }), at: .unknown)
    }

    func extreme(_ op: OpDefinition, _ bools: OfBools, empty: Scalar) -> Value {
        if isEmpty { return full(empty) }
        if x.dtype == .bool { return self(bools == .any ? Structural.reduceAny : Structural.reduceAll, x) }
        return self(op, x)
    }

    var mean: Value {
        if axes.isEmpty { return x }
        if x.dtype.isFloat { return x.mean(axes, keepDims: keepsAxes) }
        let count = node.size(axes.reduce(Dim.constant(1)) { $0 * x.size(axis: $1) })
        guard x.dtype.byteCount == 8 else { return (sum(x.cast(to: .i64)) / count).cast(to: x.dtype) }
        // A sum of 64 bits may not fit: quotients and remainders are added up apart.
        let divisor = count.cast(to: x.dtype), quotients = x / divisor
        let rest = sum(x - quotients * divisor), whole = sum(quotients) + rest / divisor
        let left = rest - rest / divisor * divisor
        // What is left is cut off, towards 0.
        let isAbove = (whole .< 0) & (left .> 0), isBelow = (whole .> 0) & (left .< 0)
        return isAbove.select(whole + 1, isBelow.select(whole - 1, whole))
    }

    var logSumExp: Value {
        if isEmpty { return full(.real(-.infinity)) }
        if axes.isEmpty { return x }
        let greatest = x.reducing(Structural.reduceMax, axes)
        let finite = greatest.isFinite().select(greatest, 0)
        let places = x.dims.indices.filter { !axes.contains($0) }
        let total = (x - finite.broadcasting(to: x.dims, axes: places)).exp().reducing(Structural.reduceSum, axes)
        return shaped(total.log() + finite)
    }

    /// Integers in f64, narrow floats in f32; the result is rounded once.
    func inReals(_ body: (Reduction) -> Value) -> Value {
        var wide = self
        wide.x = x.cast(to: !x.dtype.isFloat ? .f64 : x.dtype.byteCount < 4 ? .f32 : x.dtype)
        return body(wide).cast(to: x.dtype)
    }
}
