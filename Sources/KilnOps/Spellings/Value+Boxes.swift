// Detections: boxes and their scores come in, and the boxes that no better one overlaps go out, as indices of a size that depends on them.

import KilnIR

extension Value {
    /// For each batch and class, the boxes in the order of their scores, but for those that overlap a box before them: i64 of shape
    /// [count, 3], a row of batch, class and box for each, as ONNX's NonMaxSuppression. Of equal scores the first box wins.
    ///
    /// Every round takes one box of each batch and class, so the work grows with the most that any of them keeps.
    /// - Parameters:
    ///   - boxes: of shape [batch, box, 4]: two opposite corners (y, x, y, x), or with `centerPoint` the centre and the size (x, y, width, height).
    ///   - scores: of shape [batch, class, box].
    ///   - maxOutputBoxesPerClass: one integer; none are taken without it.
    ///   - iouThreshold: boxes overlap where their intersection over their union is greater; 0 without it.
    ///   - scoreThreshold: what a score must exceed; all count without it.
    ///   - symbol: the name of how many there are; nil for one that is free.
    public static func nonMaxSuppression(boxes: Value, scores: Value, maxOutputBoxesPerClass: Value? = nil, iouThreshold: Value? = nil,
                                         scoreThreshold: Value? = nil, centerPoint: Bool = false, symbol: String? = nil,
                                         file: StaticString = #fileID, line: UInt = #line) -> Value {
        let (location, builder) = (SourceLocation(file, line), boxes.builder)
        guard boxes.rank == 3, boxes.dims[2] == 4, scores.rank == 3, boxes.dtype.isFloat, scores.dtype.isFloat else {
            return boxes.mistaken("nonMaxSuppression", "the boxes are \(boxes.type), the scores \(scores.type)", with: [scores],
                                  fix: "pass floats of shapes [batch, box, 4] and [batch, class, box]", at: location)
        }
        guard boxes.dims[0] == scores.dims[0], boxes.dims[1] == scores.dims[2] else {
            return boxes.mistaken("nonMaxSuppression", "boxes of \(boxes.type) do not go with scores of \(scores.type)", with: [scores],
                                  fix: "give them the same batch, and a score of each class for each box", at: location)
        }
        let name = symbol ?? builder.freshSymbol("boxes")
        return builder.located(location) {
            let one = { (value: Value?, dtype: DType) in
                value.map { $0.reshaping(to: []).casting(to: dtype) } ?? boxes.full(Scalar.integer(0).converted(to: dtype), TensorType(dtype, []), at: .unknown)
            }
            let search = BoxSearch(boxes: boxes, scores: scores, most: one(maxOutputBoxesPerClass, .i64), overlap: one(iouThreshold, boxes.dtype),
                                   least: scoreThreshold.map { one($0, scores.dtype) }, centerPoint: centerPoint)
            let taken = search.run()
            let flat = taken.reshaping(to: [taken.type.elementCount])
            let (positions, count) = (flat .>= 0).truePositions()
            let found = positions.prefix(count, symbol: name)
            let place = found.coordinates(in: taken.dims, stackedOn: 1)
            return concatenate([place.narrow(1, start: 0, length: 2), flat.take(found, axis: 0).unsqueezed(1)], axis: 1)
        }
    }
}

/// The rounds of a non-maximum suppression.
private struct BoxSearch {
    let boxes, scores, most, overlap: Value
    let least: Value?
    let centerPoint: Bool

    /// For each batch, class and round the box that was taken, or -1.
    func run() -> Value {
        let order = scores.argsort(2, descending: true)
        let isLeft = least.map { scores .> $0 } ?? scores.full(.bool(true), scores.type.with(dtype: .bool), at: .unknown)
        let taken = scores.full(-1, TensorType(.i64, scores.dims), at: .unknown)
        let round = scores.full(0, TensorType(.i64, []), at: .unknown)
        // Where each box stands in the order of the scores.
        let operands = [round, isLeft, taken, order.argsort(2), most, overlap] + corners()
        let test = boxes.builder.region("continues", operands.map(\.type)) { v in [(v[0] .< v[4]) & v[1].any()] }
        let body = boxes.builder.region("take_best", operands.map(\.type)) { v in
            let (round, isLeft, taken, rank) = (v[0], v[1], v[2], v[3])
            let best = Value.where(isLeft, rank, rank.extent(rank.dims[2])).argmin(2)
            let numbers = rank.iota(.i64, rank.dims, axis: 2)
            let box = Value.where(isLeft.any(2), best, best.filled(-1)).unsqueezed(2)
            let suppressed = Self.overlaps(Array(v[6...]), best, v[5])
            let isGone: Value = suppressed | (numbers .== best.unsqueezed(2))
            let isStill: Value = .!isGone
            return [round + 1, isLeft & isStill, Value.where(numbers .== round, box, taken)]
        }
        return Value.apply(Structural.while, operands, ["carried": .int(3)], regions: [test, body], at: .unknown)[2]
    }

    /// Least and greatest y, least and greatest x of the boxes, each of shape [batch, box].
    private func corners() -> [Value] {
        let parts = (0..<4).map { boxes.select(axis: 2, index: $0) }
        return (0..<2).flatMap { axis -> [Value] in
            if !centerPoint { return [parts[axis].minimum(parts[axis + 2]), parts[axis].maximum(parts[axis + 2])] }
            // Here x comes before y.
            let center = parts[1 - axis], half: Value = parts[3 - axis] * 0.5
            return [center - half, center + half]
        }
    }

    /// Whether each box overlaps, by more than the threshold, the best one of each batch and class.
    private static func overlaps(_ corners: [Value], _ best: Value, _ threshold: Value) -> Value {
        let all = corners.map { $0.unsqueezed(1) }
        let own = corners.map { $0.gather(1, best).unsqueezed(2) }
        func side(_ axis: Int) -> Value {
            let (low, high): (Value, Value) = (all[axis].maximum(own[axis]), all[axis + 1].minimum(own[axis + 1]))
            return high - low
        }
        func area(_ box: [Value]) -> Value {
            let (height, width): (Value, Value) = (box[1] - box[0], box[3] - box[2])
            return height * width
        }
        let (height, width, first, second) = (side(0), side(2), area(all), area(own))
        let common: Value = height * width
        let union: Value = first + second - common
        // Boxes that are none overlap nothing.
        let positive = [height, width, common, first, second, union].map { (part: Value) -> Value in part .> 0 }
        let isReal: Value = positive.dropFirst().reduce(positive[0]) { Value.broadcasting(Elementwise.and, $0, $1) }
        let ratio: Value = common / union
        let exceeds: Value = ratio .> threshold
        return isReal & exceeds
    }
}
