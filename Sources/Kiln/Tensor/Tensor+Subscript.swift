// Reading and writing parts of tensors: x[2], x[1..<3], x[.all, 0], x[..., -1], x[.newAxis], x[positions], x[mask].
import KilnExecution
import KilnIR
import KilnOps

extension Tensor {
    /// A part of this tensor. Setting replaces the elements of this variable; copies taken before keep theirs.
    ///
    /// Positions and ranges follow NumPy: negative ones count from the end, ranges are cut to the axis.
    /// A tensor of integers picks positions along its axis; a tensor of bools over the leading axes picks the elements where it is
    /// true, for which its value is read.
    public subscript(_ a: some TensorIndex) -> Tensor {
        get { part([a.axisIndex]) }
        set { setPart([a.axisIndex], newValue) }
    }
    public subscript(_ a: some TensorIndex, _ b: some TensorIndex) -> Tensor {
        get { part([a.axisIndex, b.axisIndex]) }
        set { setPart([a.axisIndex, b.axisIndex], newValue) }
    }
    public subscript(_ a: some TensorIndex, _ b: some TensorIndex, _ c: some TensorIndex) -> Tensor {
        get { part([a.axisIndex, b.axisIndex, c.axisIndex]) }
        set { setPart([a.axisIndex, b.axisIndex, c.axisIndex], newValue) }
    }
    public subscript(_ a: some TensorIndex, _ b: some TensorIndex, _ c: some TensorIndex, _ d: some TensorIndex) -> Tensor {
        get { part([a.axisIndex, b.axisIndex, c.axisIndex, d.axisIndex]) }
        set { setPart([a.axisIndex, b.axisIndex, c.axisIndex, d.axisIndex], newValue) }
    }
    public subscript(_ dots: UnboundedRange, _ b: some TensorIndex) -> Tensor {
        get { part([.dots, b.axisIndex]) }
        set { setPart([.dots, b.axisIndex], newValue) }
    }
    public subscript(_ dots: UnboundedRange, _ b: some TensorIndex, _ c: some TensorIndex) -> Tensor {
        get { part([.dots, b.axisIndex, c.axisIndex]) }
        set { setPart([.dots, b.axisIndex, c.axisIndex], newValue) }
    }
    public subscript(_ a: some TensorIndex, _ dots: UnboundedRange) -> Tensor {
        get { part([a.axisIndex]) }
        set { setPart([a.axisIndex], newValue) }
    }
    public subscript(_ a: some TensorIndex, _ dots: UnboundedRange, _ b: some TensorIndex) -> Tensor {
        get { part([a.axisIndex, .dots, b.axisIndex]) }
        set { setPart([a.axisIndex, .dots, b.axisIndex], newValue) }
    }

    /// The part that a list of indices names.
    public func part(_ indices: [AxisIndex]) -> Tensor {
        if node.kind == .poison { return self }
        do {
            if case .tensor(let mask)? = indices.first, mask.dtype == .bool { return try masked(mask, indices) }
            if let rows = try leadingRows(indices) { return rows }
            let index = try ResolvedIndex(indices, of: self)
            let sliced = slicing(starts: index.starts, ends: index.ends, steps: index.steps).flipping(index.flipped).reshaping(to: index.shape)
            return index.picked.map { sliced.taking($0.tensor.to(device), axis: $0.axis, for: "subscript", countsFromEnd: true, at: .unknown) } ?? sliced
        } catch { return .poisoned(error, like: self) }
    }

    /// Rows of a tensor that is in memory are copied at once: a loop over batches needs no program for each.
    private func leadingRows(_ indices: [AxisIndex]) throws -> Tensor? {
        guard indices.count == 1, let buffer = node.buffer, !node.tracksGradient, rank > 0 else { return nil }
        let index = try ResolvedIndex(indices, of: self)
        guard index.picked == nil, index.steps[0] == 1, let start = index.starts[0].constant, let end = index.ends[0].constant else { return nil }
        if case .fresh = indices[0] { return nil }
        if end - start == shape[0], index.shape == dims { return self }
        let rowBytes = shape[0] == 0 ? 0 : node.box.byteCount / shape[0]
        let rows = try buffer.part(start * rowBytes..<end * rowBytes)
        return Trace.shared.locked { Trace.shared.hold(Trace.shared.leaf(TensorType(dtype, index.shape), rows, place)) }
    }

    /// The elements of the leading axes where a mask holds.
    private func masked(_ mask: Tensor, _ indices: [AxisIndex]) throws -> Tensor {
        guard indices.count == 1, mask.rank >= 1, mask.rank <= rank, Array(dims[..<mask.rank]) == mask.dims else {
            throw ShapeError(op: "subscript", "the mask does not fit the leading axes", operands: [type, mask.type],
                             fix: "give a mask whose axes are the tensor's first")
        }
        let positions = try mask.array(as: Bool.self).enumerated().filter(\.element).map(\.offset)
        let rows = flatten(from: 0, to: mask.rank - 1)
        return rows.take(Tensor(positions, shape: [positions.count], device: device), axis: 0)
    }

    /// Writes a part.
    mutating func setPart(_ indices: [AxisIndex], _ value: Tensor) {
        if node.kind == .poison { return }
        do {
            let cast = (value.dtype == dtype ? value : value.cast(to: dtype)).to(device)
            replace("subscript", with: try replacing(indices, cast), at: .unknown)
        } catch { self = .poisoned(error, like: self) }
    }

    private func replacing(_ indices: [AxisIndex], _ value: Tensor) throws -> Tensor {
        if case .tensor(let mask)? = indices.first, mask.dtype == .bool {
            guard indices.count == 1, mask.rank <= rank else {
                throw ShapeError(op: "subscript", "the mask has more axes than the tensor", operands: [type, mask.type], fix: "give a smaller mask")
            }
            let wide = mask.to(device).reshaping(to: mask.dims + Array(repeating: 1, count: rank - mask.rank)).expand(dims)
            return wide.select(value.expand(dims), self)
        }
        let index = try ResolvedIndex(indices, of: self)
        if let (positions, axis) = index.picked {
            guard index.shape == dims else {
                throw ShapeError(op: "subscript", "positions and ranges are set at once", operands: [type], fix: "set in two steps")
            }
            let shape = Array(dims[..<axis]) + positions.dims + Array(dims[(axis + 1)...])
            return putting(positions.to(device), value.expand(shape), axis: axis, for: "subscript", at: .unknown)
        }
        // The value is spread over the whole tensor, and a mask of the same making says where it counts.
        let sizes = zip(zip(index.starts, index.ends), index.steps).map { ($0.1 - $0.0).dividedUp(by: .constant($1)) }
        let part = value.expand(index.shape).reshaping(to: sizes).flipping(index.flipped)
        let everywhere = full(.bool(true), TensorType(.bool, sizes), at: .unknown)
        return spread(everywhere, index, sizes).select(spread(part, index, sizes), self)
    }

    private func spread(_ part: Tensor, _ index: ResolvedIndex, _ sizes: Shape) -> Tensor {
        let wide = part.dilating(Array(0..<rank), by: index.steps)
        let high = dims.indices.map { dims[$0] - index.starts[$0] - wide.dims[$0] }
        return wide.padding(low: index.starts, high: high, value: part.dtype == .bool ? .bool(false) : Scalar.integer(0).converted(to: part.dtype))
    }
}

extension Tensor {
    /// The same elements under another shape; one size may be -1.
    public func reshape(_ shape: [Int], file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        reshape(shape.map { Dim.constant($0) }, file: file, line: line)
    }
    public func reshape(_ shape: Int..., file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        reshape(shape.map { Dim.constant($0) }, file: file, line: line)
    }
    /// Repeated along axes of size 1 and new leading axes; -1 keeps a size.
    public func expand(_ shape: [Int], file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        expand(shape.map { Dim.constant($0) }, file: file, line: line)
    }
    public func expand(_ shape: Int..., file: StaticString = #fileID, line: UInt = #line) -> Tensor {
        expand(shape.map { Dim.constant($0) }, file: file, line: line)
    }
}
