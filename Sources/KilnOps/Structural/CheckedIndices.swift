// Indices that must be in range: an op that is its operand, and says so. The interpreter throws at one that is not; the compiler adds to
// the program what finds it, and leaves the operand.

import KilnIR

extension Structural {
    static let indexChecks = [checkedIndices, worstIndex]

    /// The operand itself, whose elements are positions on an axis with `size` of them: `op` is what the user called, and `negative` says
    /// whether positions may count from the end.
    public static let checkedIndices = OpDefinition(
        "checked_indices", attributes: ["op", "axis", "size", "negative"], dtypes: DType.integers,
        rule: { rule in
            try rule.demandDType(in: DType.integers)
            _ = try rule.dims("size", count: 1, each: "axis")
            guard case .string? = rule.attributes["op"], case .int? = rule.attributes["axis"], case .bool? = rule.attributes["negative"] else {
                throw rule.error("needs the attributes `op`, `axis`, `size` and `negative`", fix: "give all four")
            }
            return [rule.operand]
        },
        form: { .view(IndexMap($0.operands[0].shape.indices.map { .index($0) })) },
        indexCheck: { context in
            guard let operation = context.attributes.string("op"), let size = context.attributes.dims("size").first else { return nil }
            return IndexCheck(operation: operation, axis: context.attributes.int("axis"), size: size, countsFromEnd: context.attributes.bool("negative"),
                              location: context.location)
        },
        pullback: { _ in [nil] },
        samples: { dtype in
            let sample = { (shape: Shape, isNegative: Bool) in
                OpSample([TensorType(dtype, shape)], ["op": .string("take"), "axis": .int(0), "size": .dims([5]), "negative": .bool(isNegative)],
                         integerRanges: [0: (isNegative ? -5 : 0)...4], isSmooth: false)
            }
            return [sample([2, 3], false), sample([], false), sample(["n"], dtype.isSigned)]
        })

    /// The greatest element of all, 0 where there is none: of what is wrong with indices, the worst.
    public static let worstIndex = OpDefinition(
        "worst_index", dtypes: [.u64],
        rule: { rule in
            try rule.demandDType(in: [.u64])
            return [TensorType(.u64, [])]
        },
        form: { context in
            let rank = context.operands[0].rank
            return rank == 0 ? .view(IndexMap([])) : .reduce(.maximum, axes: Array(0..<rank))
        },
        pullback: { _ in [nil] },
        samples: { dtype in [OpSample([TensorType(dtype, [2, 3])], isSmooth: false), OpSample([TensorType(dtype, [0])], isSmooth: false),
                             OpSample([TensorType(dtype, [])], isSmooth: false), OpSample([TensorType(dtype, ["n"])], isSmooth: false)] })
}

extension Operand {
    /// These indices, each of which must be one of the `size` positions on an axis.
    package func checked(below size: Dim, for operation: String, axis: Int, countsFromEnd: Bool, at location: SourceLocation = .unknown) -> Self {
        .apply(Structural.checkedIndices, self, attributes: ["op": .string(operation), "axis": .int(axis), "size": .dims([size]),
                                                             "negative": .bool(countsFromEnd)], at: location)
    }

    /// Indices into this along an axis, as a spelling of the user's takes them: checked, where operands of this kind are.
    func bounding(_ indices: Self, axis: Int, for operation: String, countsFromEnd: Bool, at location: SourceLocation) -> Self {
        guard Self.checksIndices, has(axis), indices.dtype.isInteger else { return indices }
        return indices.checked(below: dims[axis], for: operation, axis: axis, countsFromEnd: countsFromEnd, at: location)
    }

    /// For indices that must be below `size`: 0 for each that is, and else a number by which it can be told. (Zigzag code: 0, -1, 1, -2, …
    /// are 0, 1, 2, 3, …; an index of 0 is never wrong where there is one.)
    package func wrongIndices(_ size: Dim, countsFromEnd: Bool) -> Self {
        // What does not fit in 64 signed bits is out of range on any axis.
        let limited = dtype == .u64 ? Self.apply(Elementwise.min, self, filled(.unsigned(UInt64(Int64.max))), at: .unknown) : self
        let wide = limited.casting(to: .i64), extent = wide.extent(size)
        let low = countsFromEnd ? Self.apply(Elementwise.neg, extent, at: .unknown) : wide.filled(0)
        let isRight = Self.apply(Elementwise.and, wide.compared(Elementwise.lt, extent), wide.compared(Elementwise.ge, low), at: .unknown)
        let wrong = wide.filled(0).chosen(where: isRight, else: wide)
        let doubled = Self.apply(Elementwise.shl, wrong, wide.filled(1), at: .unknown)
        let sign = Self.apply(Elementwise.shr, wrong, wide.filled(63), at: .unknown)
        return Self.apply(Elementwise.xor, doubled, sign, at: .unknown).bitcast(to: .u64)
    }
}
