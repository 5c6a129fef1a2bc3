// Attention and its gradients in Double, a row of scores at a time.

import Foundation
import KilnIR

extension Execution {
    func attention(_ form: Attention) throws -> [Elements] {
        let offset = try form.causalOffset.map { dim -> Int in
            guard let offset = dim.evaluate(symbols: symbols) else { throw InternalError("interpreter", "the offset `\(dim)` has no value") }
            return offset
        }
        let problem = AttentionProblem(form, operands, offset: offset)
        let shapes = try types.map { try sizes($0.shape) }
        let results = form.direction == .forward ? problem.forward() : problem.backward()
        return zip(types, zip(shapes, results)).map { type, result in
            Elements(type.dtype, result.0, reals: result.1.map { type.dtype.rounded($0) })
        }
    }
}

/// One attention's numbers: heads of all batches side by side.
private struct AttentionProblem {
    let form: Attention
    let heads: Int, ratio: Int, rows: Int, keys: Int, size: Int, valueSize: Int
    let offset: Int?
    let operands: [[Double]]
    let mask: [Double]

    init(_ form: Attention, _ elements: [Elements], offset: Int?) {
        self.form = form
        self.offset = offset
        let rank = elements[0].shape.count
        let (q, k) = (elements[0].shape, elements[1].shape)
        heads = q.prefix(rank - 2).reduce(1, *)
        ratio = k[rank - 3] == 0 ? 1 : q[rank - 3] / k[rank - 3]
        (rows, keys, size) = (q[rank - 2], k[rank - 2], q[rank - 1])
        valueSize = elements[2].shape[rank - 1]
        operands = elements.prefix(form.direction == .forward ? 3 : 6).map(\.reals)
        mask = form.maskOperand.map { elements[$0].reals } ?? []
    }

    /// The scores of one row against the keys that it sees, the first so many; those that the mask hides are the fill.
    private func scores(_ head: Int, _ row: Int) -> [Double] {
        let seen = offset.map { max(0, min(keys, row + $0 + 1)) } ?? keys
        let q = (head * rows + row) * size
        return (0..<seen).map { key in
            let k = (head / ratio * keys + key) * size
            var score = 0.0
            for e in 0..<size { score += operands[0][q + e] * operands[1][k + e] }
            score *= form.scale
            switch form.mask {
            case .none: return score
            // As kernels add: beside a number that is far below all scores nothing is left of them.
            case .added: return form.accumulator.rounded(score + mask[(head * rows + row) * keys + key])
            case .chosen: return mask[(head * rows + row) * keys + key] != 0 ? score : form.fill
            }
        }
    }

    func forward() -> [[Double]] {
        var result: [Double] = [], logarithms: [Double] = []
        for head in 0..<heads {
            for row in 0..<rows {
                let scores = scores(head, row)
                let most = scores.reduce(-.infinity, Double.propagatingMaximum)
                let shift = most == -.infinity ? 0 : most
                let weights = scores.map { exp($0 - shift) }
                let sum = weights.reduce(0, +)
                logarithms.append(sum == 0 ? -.infinity : shift + log(sum))
                for d in 0..<valueSize {
                    var product = 0.0
                    for (key, weight) in weights.enumerated() { product += weight * operands[2][(head / ratio * keys + key) * valueSize + d] }
                    result.append(sum == 0 && form.emptyRowsAreZero ? 0 : product / sum)
                }
            }
        }
        return [result, logarithms]
    }

    func backward() -> [[Double]] {
        var (dq, dk, dv) = (operands[0].map { _ in 0.0 }, operands[1].map { _ in 0.0 }, operands[2].map { _ in 0.0 })
        for head in 0..<heads {
            for row in 0..<rows {
                let place = head * rows + row
                let isEmpty = operands[3][place] == -.infinity && form.emptyRowsAreZero
                for (key, score) in scores(head, row).enumerated() {
                    let p = exp(score - (isEmpty ? 0 : operands[3][place]))
                    let source = head / ratio * keys + key
                    var product = 0.0
                    for d in 0..<valueSize {
                        product += operands[4][place * valueSize + d] * operands[2][source * valueSize + d]
                        dv[source * valueSize + d] += p * operands[4][place * valueSize + d]
                    }
                    let excess = p * (product - operands[5][place]) * form.scale
                    for e in 0..<size {
                        dq[place * size + e] += excess * operands[1][source * size + e]
                        dk[source * size + e] += excess * operands[0][place * size + e]
                    }
                }
            }
        }
        return [dq, dk, dv]
    }
}
