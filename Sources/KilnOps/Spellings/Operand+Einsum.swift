// Einstein's sums of any number of operands, with axes that broadcast and with diagonals. In come an equation and operands; out goes
// one contraction for each operand after the first, between views.

import KilnIR

extension Operand {
    /// Einstein's sum of this and at most one other, such as `"bij,bjk->bik"`; without an arrow, labels that occur once, in alphabetical order.
    public func einsum(_ equation: String, _ other: Self? = nil, file: StaticString = #fileID, line: UInt = #line) -> Self {
        .einsum(equation, [self] + (other.map { [$0] } ?? []), file: file, line: line)
    }

    /// Einstein's sum, as `numpy.einsum`: a label that an operand repeats is its diagonal, and `...` stands for axes that broadcast,
    /// which come first in the result unless it places them. Operands, at least one, are multiplied from left to right.
    public static func einsum(_ equation: String, _ operands: [Self], file: StaticString = #fileID, line: UInt = #line) -> Self {
        let location = SourceLocation(file, line)
        if operands.isEmpty { return mistakenWithout("einsum", at: location) }
        do {
            let sum = try Einsum(equation, ranks: operands.map(\.rank))
            return sum.applied(to: operands, at: location)
        } catch {
            guard let first = operands.first else { return mistakenWithout("einsum", at: location) }
            return first.mistaken("einsum", "\"\(equation)\" \(error.problem)", with: Array(operands.dropFirst()), fix: error.fix, at: location)
        }
    }

    /// The elements whose positions along two axes are equal, along a new last axis.
    ///
    ///     a b c        a b c .                        rows of one more than the axis's size begin
    ///     d e f   →    d e f g    laid out again:     with the diagonal's elements
    ///     g h i        h i . .    a . . .  e . . .  i . . .
    func diagonal(_ a: Int, _ b: Int, at location: SourceLocation = .unknown) -> Self {
        let rest = dims.indices.filter { $0 != a && $0 != b }, size = dims[a]
        let kept = rest.map { dims[$0] }, none = kept.map { _ in Dim.constant(0) }
        let flat = permuting(rest + [a, b], at: location).reshaping(to: kept + [size * dims[b]], at: location)
        let rows = flat.padding(low: none + [0], high: none + [size], at: location).reshaping(to: kept + [size, size + 1], at: location)
        return rows.slicing(starts: none + [0, 0], ends: kept + [size, 1], at: location).reshaping(to: kept + [size], at: location)
    }
}

/// A parsed equation: the label of each axis of the operands and of the result.
struct Einsum {
    struct Mistake: Error {
        var problem: String, fix: String
    }

    /// A letter, or an axis that `...` stands for, by its distance from the last of them.
    enum Label: Hashable {
        case letter(Character)
        case open(Int)
    }

    var inputs: [[Label]]
    var output: [Label]

    init(_ equation: String, ranks: [Int]) throws(Mistake) {
        let text = equation.filter { $0 != " " }.replacing("...", with: "…")
        let sides = text.split(separator: "->", omittingEmptySubsequences: false)
        let terms = sides[0].split(separator: ",", omittingEmptySubsequences: false).map { Array($0) }
        let result = sides.count == 2 ? Array(sides[1]) : []
        guard sides.count <= 2, (terms + [result]).allSatisfy({ term in
            term.count { $0 == "…" } <= 1 && term.allSatisfy { $0 == "…" || $0.isASCII && $0.isLetter }
        }) else {
            throw Mistake(problem: "is no equation", fix: "write labels, commas and one arrow, such as \"ij,jk->ik\"")
        }
        guard terms.count == ranks.count else {
            throw Mistake(problem: "is for \(terms.count) operands, was given \(ranks.count)", fix: "give labels for each operand")
        }
        inputs = []
        var openCount = 0
        for (number, rank) in ranks.enumerated() {
            let letters = terms[number].count { $0 != "…" }
            guard letters == rank || letters < rank && terms[number].contains("…") else {
                throw Mistake(problem: "has \(letters) labels for the \(rank) axes of operand \(number)", fix: "give one label for each axis")
            }
            inputs.append(Self.labels(terms[number], open: rank - letters))
            openCount = max(openCount, rank - letters)
        }
        let all = inputs.joined()
        if sides.count == 2 { output = Self.labels(result, open: openCount) } else {
            let once = terms.joined().filter { label in label != "…" && terms.joined().count { $0 == label } == 1 }.sorted()
            output = Self.labels(["…"] + once, open: openCount)
        }
        guard Set(output).count == output.count, output.allSatisfy({ all.contains($0) }) else {
            throw Mistake(problem: "has a result label that no operand has, or has it twice", fix: "use each of the operands' labels at most once after ->")
        }
    }

    private static func labels(_ term: [Character], open: Int) -> [Label] {
        term.flatMap { label in label == "…" ? (0..<open).map { .open(open - $0) } : [.letter(label)] }
    }

    func applied<T: Operand>(to operands: [T], at location: SourceLocation) -> T {
        var terms = zip(operands, inputs).map { Term(value: $0, labels: $1).withDiagonals(at: location) }
        // What has one position beside more elsewhere is the same at all of them.
        for number in terms.indices {
            let others = terms.enumerated().filter { $0.offset != number }.map(\.element)
            terms[number] = terms[number].dropping(at: location) { label, size in size == 1 && others.contains { ($0.size(of: label) ?? 1) != 1 } }
        }
        // Labels of one operand alone that the result lacks are summed first.
        for number in terms.indices {
            let others = terms.enumerated().filter { $0.offset != number }.flatMap(\.element.labels) + output
            terms[number] = terms[number].summing(at: location) { !others.contains($0) }
        }
        var product = terms[0]
        for number in terms.indices.dropFirst() {
            let needed = Set(terms[(number + 1)...].flatMap(\.labels) + output)
            product = product.times(terms[number], keeping: needed, at: location)
        }
        guard product.value.rank == output.count else { return product.value }
        return product.value.permuting(output.map { product.labels.firstIndex(of: $0)! }, at: location)
    }

    /// An operand with the labels of its axes.
    private struct Term<T: Operand> {
        var value: T
        var labels: [Label]

        func size(of label: Label) -> Dim? { labels.firstIndex(of: label).map { value.dims[$0] } }

        func withDiagonals(at location: SourceLocation) -> Term {
            for (a, label) in labels.enumerated() {
                guard let b = labels[(a + 1)...].firstIndex(of: label) else { continue }
                let rest = labels.indices.filter { $0 != a && $0 != b }.map { labels[$0] }
                return Term(value: value.diagonal(a, b, at: location), labels: rest + [label]).withDiagonals(at: location)
            }
            return self
        }

        func dropping(at location: SourceLocation, where goes: (Label, Dim) -> Bool) -> Term {
            let kept = labels.indices.filter { !goes(labels[$0], value.dims[$0]) }
            if kept.count == labels.count { return self }
            return Term(value: value.reshaping(to: kept.map { value.dims[$0] }, at: location), labels: kept.map { labels[$0] })
        }

        func summing(at location: SourceLocation, where goes: (Label) -> Bool) -> Term {
            let gone = labels.indices.filter { goes(labels[$0]) }
            return Term(value: value.reducing(Structural.reduceSum, gone, at: location), labels: labels.filter { !goes($0) })
        }

        func times(_ other: Term, keeping needed: Set<Label>, at location: SourceLocation) -> Term {
            let shared = labels.filter { other.labels.contains($0) }
            let batch = shared.filter { needed.contains($0) }, summed = shared.filter { !needed.contains($0) }
            let place = { (term: Term, list: [Label]) in list.map { term.labels.firstIndex(of: $0)! } }
            let product = value.contracting(other.value, batch: (place(self, batch), place(other, batch)),
                                            reduce: (place(self, summed), place(other, summed)), at: location)
            return Term(value: product, labels: batch + labels.filter { !shared.contains($0) } + other.labels.filter { !shared.contains($0) })
        }
    }
}
