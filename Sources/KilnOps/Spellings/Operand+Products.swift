// Matrix products as PyTorch spells them: matmul with batch axes that broadcast, dot, linear. All are one contraction
// between views; an operand is never repeated in memory to meet the other's batch.

import KilnIR

extension Operand {
    /// The matrix product of the last two axes; a vector is a row on the left, a column on the right. Leading axes broadcast.
    public func matmul(_ other: Self, file: StaticString = #fileID, line: UInt = #line) -> Self {
        let location = SourceLocation(file, line)
        guard rank > 0, other.rank > 0 else {
            return mistaken("matmul", "takes tensors of at least one axis", with: [other], fix: "multiply numbers with *", at: location)
        }
        if rank == 1 || other.rank <= 2 {
            // A vector's only axis, or the left's last, against the right's one but last; the right's batch axes come first.
            return contracting(other, reduce: ([rank - 1], [Swift.max(other.rank - 2, 0)]), at: location)
        }
        return batchedProduct(other, at: location)
    }

    /// The product of matrices whose leading axes go together from the right; where one has size 1 or is missing, it stays as it is.
    private func batchedProduct(_ other: Self, at location: SourceLocation) -> Self {
        let batchRank = Swift.max(rank, other.rank) - 2
        let leftFirst = batchRank - (rank - 2), rightFirst = batchRank - (other.rank - 2)
        var plan = BatchPlan()
        for axis in 0..<batchRank {
            let a = axis < leftFirst ? 1 : dims[axis - leftFirst], b = axis < rightFirst ? 1 : other.dims[axis - rightFirst]
            if a == 1, b == 1 { plan.ones.append(axis) } else if b == 1 { plan.left.append(axis) } else if a == 1 { plan.right.append(axis) } else {
                plan.both.append(axis)
            }
        }
        // Axes of size 1 that the other does not match are dropped first.
        let keptLeft = (plan.both + plan.left).sorted(), keptRight = (plan.both + plan.right).sorted()
        let left = reshaping(to: keptLeft.map { dims[$0 - leftFirst] } + dims[(rank - 2)...], at: location)
        let right = other.reshaping(to: keptRight.map { other.dims[$0 - rightFirst] } + other.dims[(other.rank - 2)...], at: location)
        let product = left.contracting(right, batch: (plan.both.map { keptLeft.firstIndex(of: $0)! }, plan.both.map { keptRight.firstIndex(of: $0)! }),
                                       reduce: ([left.rank - 1], [right.rank - 2]), at: location)
        // The result's axes: both, left's batch, m, right's batch, n.
        let order = plan.both + plan.left + [batchRank] + plan.right + [batchRank + 1]
        guard product.rank == order.count else { return product }
        let sorted = order.indices.sorted { order[$0] < order[$1] }
        let arranged = product.permuting(sorted, at: location)
        var shape = arranged.dims
        for axis in plan.ones { shape.insert(1, at: axis) }
        return arranged.reshaping(to: shape, at: location)
    }

    /// The sum of the products of two vectors.
    public func dot(_ other: Self, file: StaticString = #fileID, line: UInt = #line) -> Self {
        let location = SourceLocation(file, line)
        guard rank == 1, other.rank == 1 else {
            return mistaken("dot", "takes two vectors", with: [other], fix: "use matmul for tensors of more axes", at: location)
        }
        return contracting(other, reduce: ([0], [0]), at: location)
    }

    /// The products of all elements of two vectors.
    public func outer(_ other: Self, file: StaticString = #fileID, line: UInt = #line) -> Self {
        contracting(other, reduce: ([], []), at: SourceLocation(file, line))
    }

    /// `self · weightᵀ + bias`, with weights [out, in].
    public func linear(_ weight: Self, _ bias: Self? = nil, file: StaticString = #fileID, line: UInt = #line) -> Self {
        let location = SourceLocation(file, line)
        guard rank >= 1, weight.rank == 2 else {
            return mistaken("linear", "takes a tensor [..., in] and weights [out, in]", with: [weight], fix: "give weights of two axes", at: location)
        }
        let product = contracting(weight, reduce: ([rank - 1], [1]), at: location)
        guard let bias else { return product }
        guard bias.rank == 1, product.rank == rank else {
            return mistaken("linear", "takes a bias [out]", with: [weight, bias], fix: "give a bias of one axis", at: location)
        }
        return product.added(bias.broadcasting(to: product.dims, axes: [rank - 1], at: location), at: location)
    }
}

/// Where the leading axes of two matrix operands come from.
private struct BatchPlan {
    var both: [Int] = [], left: [Int] = [], right: [Int] = [], ones: [Int] = []
}
