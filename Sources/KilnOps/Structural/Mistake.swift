// How a spelling reports a mistake that it sees itself: an op whose type rule is the error. It never enters a graph.

import KilnIR

extension Structural {
    /// Throws when it is applied; not part of the catalogue.
    static let mistake = OpDefinition(
        "mistake", operandCount: nil, attributes: ["op", "problem", "fix"],
        infer: { context in
            throw ShapeError(op: context.attributes.string("op") ?? "mistake", context.attributes.string("problem") ?? "",
                             operands: context.operands, at: context.location, fix: context.attributes.string("fix") ?? "")
        },
        form: { _ in throw InternalError("mistake", "is no op") }, samples: { _ in [] })
}

extension Operand {
    /// What stands for the result of a spelling that was used wrongly.
    func mistaken(_ name: String, _ problem: String, with others: [Self] = [], fix: String, at location: SourceLocation) -> Self {
        Self.apply(Structural.mistake, [self] + others, ["op": .string(name), "problem": .string(problem), "fix": .string(fix)],
                   regions: [], at: location)[0]
    }

    /// An axis that the operand lacks, as it was given or counted from the front.
    func mistaken(_ name: String, axis: Int, at location: SourceLocation) -> Self {
        mistaken(name, axis: axis < 0 ? axis - rank : axis, of: rank, at: location)
    }

    /// An axis that is none of so many, as it was given.
    func mistaken(_ name: String, axis: Int, of count: Int, at location: SourceLocation) -> Self {
        mistaken(name, "axis \(axis) is not one of \(count == rank ? "the operand's" : "the result's") \(count)",
                 fix: count == 0 ? "pass an operand with at least one axis" : "give an axis from \(-count) to \(count - 1)", at: location)
    }

    /// What stands for the result of a spelling that was given no operands.
    static func mistakenWithout(_ name: String, at location: SourceLocation) -> Self {
        apply(Structural.mistake, [], ["op": .string(name), "problem": .string("was given no operands"), "fix": .string("pass at least one")],
              regions: [], at: location)[0]
    }

    /// The axis counted from the front; one that does not exist stays what the op's rule rejects.
    func counted(_ axis: Int) -> Int { axis < 0 ? axis + rank : axis }
    func counted(_ axes: [Int]) -> [Int] { axes.map { counted($0) } }
    func has(_ axis: Int) -> Bool { axis >= 0 && axis < rank }
}
