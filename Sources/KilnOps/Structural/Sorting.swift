// Sorting: the positions that put an axis in order. Values in order, the first few, and shuffles follow by reading at those positions.

import KilnIR

extension Structural {
    static let sorting = [argsort]

    /// For each place in the order along the axis, the position (i64) of the element that belongs there. Equal elements keep their
    /// order; NaN is beyond every number, -0 equals 0.
    public static let argsort = OpDefinition(
        "argsort", attributes: ["axis", "descending"],
        rule: { rule in
            _ = try rule.axis()
            return [TensorType(.i64, rule.operand.shape)]
        },
        form: { .sort(axis: $0.attributes.int("axis"), descending: $0.attributes.bool("descending")) },
        samples: { dtype in
            let sample = { (shape: Shape, axis: Int, descending: Bool) in
                OpSample([TensorType(dtype, shape)], ["axis": .int(axis), "descending": .bool(descending)])
            }
            return [sample([3, 7], 1, false), sample([41, 2], 0, true), sample([2, 67, 3], 1, false), sample([150], 0, true),
                    sample(["n", 5], 0, false), sample([3, 1], 1, true), sample([0, 3], 1, false), sample([3, 0], 1, true)]
        })
}

extension Operand {
    /// The positions that sort an axis; equal elements keep their order, as `torch.argsort(stable=True)`.
    public func argsort(_ axis: Int = -1, descending: Bool = false, file: StaticString = #fileID, line: UInt = #line) -> Self {
        .apply(Structural.argsort, self, attributes: ["axis": .int(counted(axis)), "descending": .bool(descending)], at: SourceLocation(file, line))
    }

    /// The elements in order along an axis, and where they were (i64). Equal elements keep their order; NaN is beyond every number.
    public func sort(_ axis: Int = -1, descending: Bool = false, file: StaticString = #fileID, line: UInt = #line) -> (values: Self, indices: Self) {
        let indices = argsort(axis, descending: descending, file: file, line: line)
        return (gather(axis, indices, file: file, line: line), indices)
    }

    /// The `count` greatest elements along an axis in descending order, or the least in ascending order, and where they were (i64).
    public func topK(_ count: Dim, axis: Int = -1, largest: Bool = true, file: StaticString = #fileID, line: UInt = #line) -> (values: Self, indices: Self) {
        let indices = argsort(axis, descending: largest, file: file, line: line).narrow(axis, start: 0, length: count, file: file, line: line)
        return (gather(axis, indices, file: file, line: line), indices)
    }
}
