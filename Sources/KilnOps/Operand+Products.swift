// Matrix products as PyTorch spells them: matmul with batch axes that broadcast, dot, linear, einsum. All are one contraction
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

    /// Einstein's sum of this and at most one other, such as `"bij,bjk->bik"`; without an arrow, labels that occur once, in alphabetical order.
    public func einsum(_ equation: String, _ other: Self? = nil, file: StaticString = #fileID, line: UInt = #line) -> Self {
        let location = SourceLocation(file, line)
        let operands = [self] + (other.map { [$0] } ?? [])
        do {
            let sum = try Einsum(equation, ranks: operands.map(\.rank))
            return sum.applied(to: operands, at: location)
        } catch {
            return mistaken("einsum", "\"\(equation)\" \(error.problem)", with: other.map { [$0] } ?? [], fix: error.fix, at: location)
        }
    }
}

/// Where the leading axes of two matrix operands come from.
private struct BatchPlan {
    var both: [Int] = [], left: [Int] = [], right: [Int] = [], ones: [Int] = []
}

/// A parsed equation: the label of each axis of the operands and of the result.
struct Einsum {
    struct Mistake: Error {
        var problem: String, fix: String
    }

    var inputs: [[Character]]
    var output: [Character]

    init(_ equation: String, ranks: [Int]) throws(Mistake) {
        let text = equation.filter { $0 != " " }
        let sides = text.split(separator: "->", omittingEmptySubsequences: false)
        inputs = sides[0].split(separator: ",", omittingEmptySubsequences: false).map { Array($0) }
        let labels = inputs.flatMap { $0 }
        guard sides.count <= 2, (labels + (sides.count == 2 ? Array(sides[1]) : [])).allSatisfy({ $0.isASCII && $0.isLetter }) else {
            throw Mistake(problem: "is no equation", fix: "write labels, commas and one arrow, such as \"ij,jk->ik\"")
        }
        guard inputs.count == ranks.count else {
            throw Mistake(problem: "is for \(inputs.count) operands, was given \(ranks.count)", fix: "give labels for each operand, at most two")
        }
        for (number, rank) in ranks.enumerated() where inputs[number].count != rank {
            throw Mistake(problem: "has \(inputs[number].count) labels for the \(rank) axes of operand \(number)", fix: "give one label for each axis")
        }
        for input in inputs where Set(input).count != input.count {
            throw Mistake(problem: "repeats a label within an operand", fix: "give each axis of an operand a label of its own")
        }
        output = sides.count == 2 ? Array(sides[1]) : labels.filter { label in labels.count { $0 == label } == 1 }.sorted()
        guard Set(output).count == output.count, output.allSatisfy({ labels.contains($0) }) else {
            throw Mistake(problem: "has a result label that no operand has, or has it twice", fix: "use each of the operands' labels at most once after ->")
        }
    }

    func applied<T: Operand>(to operands: [T], at location: SourceLocation) -> T {
        // Labels of one operand alone that the result lacks are summed first.
        var labels = inputs
        let reduced = operands.enumerated().map { number, operand -> T in
            let gone = inputs[number].indices.filter { axis in
                let label = inputs[number][axis]
                return !output.contains(label) && inputs.indices.allSatisfy { $0 == number || !inputs[$0].contains(label) }
            }
            labels[number] = inputs[number].indices.filter { !gone.contains($0) }.map { inputs[number][$0] }
            return operand.reducing(Structural.reduceSum, gone, at: location)
        }
        var result = reduced[0], found = labels[0]
        if reduced.count == 2 {
            let shared = labels[0].filter { labels[1].contains($0) }
            let place = { (side: Int, list: [Character]) in list.map { labels[side].firstIndex(of: $0)! } }
            let batch = shared.filter { output.contains($0) }, summed = shared.filter { !output.contains($0) }
            result = reduced[0].contracting(reduced[1], batch: (place(0, batch), place(1, batch)), reduce: (place(0, summed), place(1, summed)),
                                            at: location)
            found = batch + labels[0].filter { !shared.contains($0) } + labels[1].filter { !shared.contains($0) }
        }
        guard result.rank == output.count else { return result }
        return result.permuting(output.map { found.firstIndex(of: $0)! }, at: location)
    }
}
