// Operators whose results are as long as what is found among elements: sizes that a run measures, unless the elements are known before.

import KilnIR
import KilnOps

extension Operators {
    static let found: [Operator] = [
        Operator("NonZero") { node in
            let x = try node.tensor(0)
            // How older exporters write the positions up to a size.
            if x.rank == 1, node.scope.contents.repeated(x)?.isTrue == true { return x.iota(.i64, [1] + x.dims, axis: 1) }
            guard let literal = node.literalIfKnown(x) else { return x.nonZero() }
            let positions = (0..<literal.count).filter { literal[$0].isTrue }
            var strides = [Int](repeating: 1, count: literal.shape.count)
            for axis in strides.indices.dropLast().reversed() { strides[axis] = strides[axis + 1] * literal.shape[axis + 1] }
            let coordinates = zip(literal.shape, strides).flatMap { size, stride in positions.map { Scalar.integer(Int64($0 / stride % size)) } }
            return node.literal(Literal(.i64, [strides.count, positions.count], scalars: coordinates))
        },
        Operator("Compress", moving: { node, x in
            let condition = try node.tensor(1), axis = try node.integer("axis").map { try node.axis($0, rank: x.rank) }
            guard let literal = node.literalIfKnown(condition) else { return x.compress(condition, axis: axis) }
            let kept = literal.scalars.indices.filter { literal[$0].isTrue }
            let indices = node.literal(Literal(.i64, [kept.count], scalars: kept.map { .integer(Int64($0)) }))
            return (axis == nil ? x.reshaping(to: [x.type.elementCount]) : x).take(indices, axis: axis ?? 0)
        }),
        Operator("Unique", items: { node in
            let x = try node.stored(0), isSorted = node.flag("sorted", true)
            let axis = try node.integer("axis").map { try node.axis($0, rank: x.value.rank) }
            if x.element == .string {
                let texts = try node.text(0), found = (axis == nil ? texts.textRows : texts).unique(axis: axis ?? 0, sorted: isSorted)
                return [.tensor(ImportedTensor(found.values, x.element)), .tensor(found.indices), .tensor(found.inverse), .tensor(found.counts)]
            }
            guard x.element.isNative || !isSorted else { throw Unsupported(reason: "elements of type \(x.element) have no order in Kiln") }
            let found = x.value.unique(axis: axis, sorted: isSorted)
            return [.tensor(ImportedTensor(found.values, x.element)), .tensor(found.indices), .tensor(found.inverse), .tensor(found.counts)]
        }),
        Operator("NonMaxSuppression") { node in
            .nonMaxSuppression(boxes: try node.tensor(0), scores: try node.tensor(1), maxOutputBoxesPerClass: try node.tensorIfPresent(2),
                               iouThreshold: try node.tensorIfPresent(3), scoreThreshold: try node.tensorIfPresent(4),
                               centerPoint: node.flag("center_point_box"))
        },
    ]
}
