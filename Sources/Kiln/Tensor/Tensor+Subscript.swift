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
    public subscript(_ a: some TensorIndex, file file: StaticString = #fileID,
                     line line: UInt = #line) -> Tensor {
        get { part([a.axisIndex], SourceLocation(file, line)) }
        set { setPart([a.axisIndex], newValue, SourceLocation(file, line)) }
    }
    public subscript(_ a: some TensorIndex, _ b: some TensorIndex, file file: StaticString = #fileID,
                     line line: UInt = #line) -> Tensor {
        get { part([a.axisIndex, b.axisIndex], SourceLocation(file, line)) }
        set { setPart([a.axisIndex, b.axisIndex], newValue, SourceLocation(file, line)) }
    }
    public subscript(_ a: some TensorIndex, _ b: some TensorIndex, _ c: some TensorIndex, file file: StaticString = #fileID,
                     line line: UInt = #line) -> Tensor {
        get { part([a.axisIndex, b.axisIndex, c.axisIndex], SourceLocation(file, line)) }
        set { setPart([a.axisIndex, b.axisIndex, c.axisIndex], newValue, SourceLocation(file, line)) }
    }
    public subscript(_ a: some TensorIndex, _ b: some TensorIndex, _ c: some TensorIndex, _ d: some TensorIndex, file file: StaticString = #fileID,
                     line line: UInt = #line) -> Tensor {
        get { part([a.axisIndex, b.axisIndex, c.axisIndex, d.axisIndex], SourceLocation(file, line)) }
        set { setPart([a.axisIndex, b.axisIndex, c.axisIndex, d.axisIndex], newValue, SourceLocation(file, line)) }
    }
    public subscript(_ dots: UnboundedRange, _ b: some TensorIndex, file file: StaticString = #fileID,
                     line line: UInt = #line) -> Tensor {
        get { part([.dots, b.axisIndex], SourceLocation(file, line)) }
        set { setPart([.dots, b.axisIndex], newValue, SourceLocation(file, line)) }
    }
    public subscript(_ dots: UnboundedRange, _ b: some TensorIndex, _ c: some TensorIndex, file file: StaticString = #fileID,
                     line line: UInt = #line) -> Tensor {
        get { part([.dots, b.axisIndex, c.axisIndex], SourceLocation(file, line)) }
        set { setPart([.dots, b.axisIndex, c.axisIndex], newValue, SourceLocation(file, line)) }
    }
    public subscript(_ a: some TensorIndex, _ dots: UnboundedRange, file file: StaticString = #fileID,
                     line line: UInt = #line) -> Tensor {
        get { part([a.axisIndex], SourceLocation(file, line)) }
        set { setPart([a.axisIndex], newValue, SourceLocation(file, line)) }
    }
    public subscript(_ a: some TensorIndex, _ dots: UnboundedRange, _ b: some TensorIndex, file file: StaticString = #fileID,
                     line line: UInt = #line) -> Tensor {
        get { part([a.axisIndex, .dots, b.axisIndex], SourceLocation(file, line)) }
        set { setPart([a.axisIndex, .dots, b.axisIndex], newValue, SourceLocation(file, line)) }
    }

    /// The part that a list of indices names.
    public func part(_ indices: [AxisIndex], file: StaticString = #fileID, line: UInt = #line) -> Tensor { part(indices, SourceLocation(file, line)) }

    private func part(_ indices: [AxisIndex], _ location: SourceLocation) -> Tensor {
        if node.kind == .poison { return self }
        do {
            if case .tensor(let mask)? = indices.first, mask.dtype == .bool { return try masked(mask, indices, location) }
            if let rows = try leadingRows(indices, location) { return rows }
            let index = try ResolvedIndex(indices, of: self, location)
            let sliced = slicing(starts: index.starts, ends: index.ends, steps: index.steps, at: location).flipping(index.flipped, at: location)
                .reshaping(to: index.shape, at: location)
            return index.picked.map { sliced.taking($0.tensor.to(device), axis: $0.axis, for: "subscript", countsFromEnd: true, at: location) } ?? sliced
        } catch { return .poisoned(error, like: self, at: location) }
    }

    /// Rows of a tensor that is in memory are copied at once: a loop over batches needs no program for each.
    private func leadingRows(_ indices: [AxisIndex], _ location: SourceLocation) throws -> Tensor? {
        guard indices.count == 1, !node.tracksGradient, rank > 0, let buffer else { return nil }
        let index = try ResolvedIndex(indices, of: self, location)
        guard index.picked == nil, index.steps[0] == 1, index.flipped.isEmpty, let start = index.starts[0].constant,
              let end = index.ends[0].constant else { return nil }
        if case .fresh = indices[0] { return nil }
        let size = node.box.sizes[0]
        if end - start == size, index.shape == dims { return self }
        let rowBytes = size == 0 ? 0 : node.box.byteCount / size
        let rows = try buffer.part(start * rowBytes..<end * rowBytes)
        return Trace.shared.locked { Trace.shared.hold(Trace.shared.leaf(TensorType(dtype, index.shape), rows, node.deviceID)) }
    }

    /// The elements of the leading axes where a mask holds.
    private func masked(_ mask: Tensor, _ indices: [AxisIndex], _ location: SourceLocation) throws -> Tensor {
        guard indices.count == 1, mask.rank >= 1, mask.rank <= rank, Array(dims[..<mask.rank]) == mask.dims else {
            throw ShapeError(op: "subscript", "the mask does not fit the leading axes", operands: [type, mask.type], at: location,
                             fix: "give a mask whose axes are the tensor's first")
        }
        let positions = try mask.array(as: Bool.self).enumerated().filter(\.element).map(\.offset)
        let rows = reshaping(to: [mask.type.elementCount] + dims[mask.rank...], at: location)
        return rows.picking(Tensor(positions, shape: [positions.count], device: device), axis: 0, location)
    }

    private func picking(_ positions: Tensor, axis: Int, _ location: SourceLocation) -> Tensor {
        .apply(Structural.take, self, positions, attributes: ["axis": .int(axis)], at: location)
    }

    /// Writes a part.
    private mutating func setPart(_ indices: [AxisIndex], _ value: Tensor, _ location: SourceLocation) {
        if node.kind == .poison { return }
        do {
            let cast = (value.dtype == dtype ? value : value.cast(to: dtype)).to(device)
            replace("subscript", with: try replacing(indices, cast, location), at: location)
        } catch { self = .poisoned(error, like: self, at: location) }
    }

    private func replacing(_ indices: [AxisIndex], _ value: Tensor, _ location: SourceLocation) throws -> Tensor {
        if case .tensor(let mask)? = indices.first, mask.dtype == .bool {
            guard indices.count == 1, mask.rank <= rank else {
                throw ShapeError(op: "subscript", "the mask has more axes than the tensor", operands: [type, mask.type], at: location,
                                 fix: "give a smaller mask")
            }
            let wide = mask.to(device).reshaping(to: mask.dims + Array(repeating: 1, count: rank - mask.rank), at: location).spread(over: dims, location)
            return wide.select(try fitted(value, to: dims, location), self)
        }
        let index = try ResolvedIndex(indices, of: self, location)
        if let (positions, axis) = index.picked {
            guard index.shape == dims else {
                throw ShapeError(op: "subscript", "positions and ranges are set at once", operands: [type], at: location, fix: "set in two steps")
            }
            let shape = Array(dims[..<axis]) + positions.dims + Array(dims[(axis + 1)...])
            return putting(positions.to(device), try fitted(value, to: shape, location), axis: axis, for: "subscript", at: location)
        }
        // The value is spread over the whole tensor, and a mask of the same making says where it counts.
        let sizes = zip(zip(index.starts, index.ends), index.steps).map { ($0.1 - $0.0).dividedUp(by: .constant($1)) }
        let part = try fitted(value, to: index.shape, location).reshaping(to: sizes, at: location).flipping(index.flipped, at: location)
        let everywhere = full(.bool(true), TensorType(.bool, sizes), at: location)
        return placed(everywhere, index, location).select(placed(part, index, location), self)
    }

    /// A value that is set, over the shape of the part; more leading axes of size 1 than the part has are dropped, as in NumPy.
    private func fitted(_ value: Tensor, to shape: Shape, _ location: SourceLocation) throws -> Tensor {
        if value.node.kind == .poison { return value }
        var value = value
        while value.rank > shape.count, value.dims[0] == 1 { value = value.reshaping(to: Array(value.dims.dropFirst()), at: location) }
        let aligned = zip(value.dims.reversed(), shape.reversed())
        guard value.rank <= shape.count, aligned.allSatisfy({ $0 == 1 || $0 == $1 || $0.constant == nil || $1.constant == nil }) else {
            throw ShapeError(op: "subscript", "a value of shape \(value.dims.text) does not fit the part, which has the shape \(shape.text)",
                             operands: [type, value.type], at: location, fix: "give a number, or a value that can be spread over \(shape.text)")
        }
        return value.spread(over: shape, location)
    }

    private func spread(over shape: Shape, _ location: SourceLocation) -> Tensor {
        dims == shape ? self : broadcasting(to: shape, axes: Array(shape.count - rank..<shape.count), at: location)
    }

    private func placed(_ part: Tensor, _ index: ResolvedIndex, _ location: SourceLocation) -> Tensor {
        if part.node.kind == .poison { return part }
        let wide = part.dilating(Array(0..<rank), by: index.steps, at: location)
        let high = dims.indices.map { dims[$0] - index.starts[$0] - wide.dims[$0] }
        return wide.padding(low: index.starts, high: high, value: part.dtype == .bool ? .bool(false) : Scalar.integer(0).converted(to: part.dtype),
                            at: location)
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
