// How structural ops check their operands: a rule reads types and attributes, throws the user's error for what is wrong,
// and leaves what symbols keep open as checks of each call.

import KilnIR

/// The checking of one application of an op.
struct ShapeRule {
    let context: OpContext
    /// What could not be decided.
    private(set) var open: [SizeCheck] = []

    init(_ context: OpContext) { self.context = context }

    /// Gives the results' types.
    typealias Body = @Sendable (inout ShapeRule) throws -> [TensorType]

    var operands: [TensorType] { context.operands }
    /// The first operand.
    var operand: TensorType { context.operands[0] }
    var attributes: Attributes { context.attributes }

    func error(_ problem: String, fix: String) -> ShapeError { context.error(problem, fix: fix) }

    /// Throws where the condition is known not to hold; keeps it for the call where that is open.
    mutating func require(_ condition: IndexCondition, _ problem: @autoclosure () -> String, fix: @autoclosure () -> String) throws {
        switch condition.isKnown {
        case true?: break
        case false?: throw error(problem(), fix: fix())
        case nil: open.append(SizeCheck(condition, message: "\(context.op.name): \(problem()); fix: \(fix())"))
        }
    }

    mutating func requireEqual(_ a: Dim, _ b: Dim, _ problem: @autoclosure () -> String, fix: @autoclosure () -> String) throws {
        if a != b { try require(.isZero(a - b), problem(), fix: fix()) }
    }

    /// Checks that a condition of plain Swift holds.
    func demand(_ holds: Bool, _ problem: @autoclosure () -> String, fix: @autoclosure () -> String) throws {
        if !holds { throw error(problem(), fix: fix()) }
    }

    /// Checks an operand's dtype.
    func demandDType(_ number: Int = 0, in allowed: [DType]) throws {
        let dtype = operands[number].dtype
        try demand(allowed.contains(dtype), "operand \(number) is of dtype \(dtype), which it does not take",
                   fix: "cast it to one of \(allowed.map(\.name).joined(separator: ", "))")
    }

    /// The axis in attribute `name`, of operand `number`.
    func axis(_ name: String = "axis", of number: Int = 0) throws -> Int {
        guard case .int(let axis)? = attributes[name] else { throw error("needs the attribute `\(name)`, an axis", fix: "give `\(name)`") }
        try demandAxis(axis, of: number)
        return axis
    }

    /// The distinct axes in attribute `name`, of operand `number`.
    func axes(_ name: String = "axes", of number: Int = 0) throws -> [Int] {
        guard case .ints(let axes)? = attributes[name] else { throw error("needs the attribute `\(name)`, a list of axes", fix: "give `\(name)`") }
        for axis in axes { try demandAxis(axis, of: number) }
        try demand(Set(axes).count == axes.count, "`\(name)` names an axis twice: \(axes)", fix: "name each axis once")
        return axes
    }

    func demandAxis(_ axis: Int, of number: Int = 0) throws {
        let rank = operands[number].rank
        let range = rank == 0 ? "pass an operand with at least one axis" : (-rank..<0).contains(axis)
            ? "write \(axis + rank): attributes count axes from the first"
            : "give an axis from 0 to \(rank - 1), or from \(-rank) to -1 to count from the end"
        try demand(axis >= 0 && axis < rank, "axis \(axis) is not one of the \(rank) axes of operand \(number)", fix: range)
    }

    /// The numbers in attribute `name`, one for each of `count` things.
    func ints(_ name: String, count: Int, each thing: String, atLeast least: Int = 1) throws -> [Int] {
        guard case .ints(let values)? = attributes[name], values.count == count else {
            throw error("needs the attribute `\(name)`, \(count) number\(count == 1 ? "" : "s")", fix: "give one number for each \(thing)")
        }
        try demand(values.allSatisfy { $0 >= least && $0 < 1 << 40 }, "`\(name)` is \(values)", fix: "give numbers from \(least) to \(1 << 40 - 1)")
        return values
    }

    /// The sizes in attribute `name`, one for each of `count` things.
    func dims(_ name: String, count: Int, each thing: String) throws -> [Dim] {
        guard case .dims(let values)? = attributes[name], values.count == count else {
            throw error("needs the attribute `\(name)`, \(count) size\(count == 1 ? "" : "s")", fix: "give one for each \(thing)")
        }
        return values
    }
}

extension IndexCondition {
    /// Whether the condition holds for all sizes, for none, or that is open.
    var isKnown: Bool? {
        switch self {
        case .isNonNegative(let value):
            if let constant = value.constant { return constant >= 0 }
            if IndexRanges.isNonNegative(value) { return true }
            return IndexRanges.isNonNegative(-1 - value) ? false : nil
        case .isZero(let value):
            if let constant = value.constant { return constant == 0 }
            return IndexRanges.isNonNegative(value - 1) || IndexRanges.isNonNegative(-1 - value) ? false : nil
        }
    }
}

extension OpDefinition {
    /// An op whose types follow from a shape rule.
    convenience init(_ name: String, operandCount: Int? = 1, attributes: [String] = [], dtypes: [DType] = DType.all, ulp: Double = 0,
                     rule: @escaping ShapeRule.Body, form: @escaping FormRule, indexCheck: (@Sendable (OpContext) -> IndexCheck?)? = nil,
                     pullback: Pullback? = nil,
                     samples: @escaping @Sendable (DType) -> [OpSample]) {
        self.init(name, operandCount: operandCount, attributes: attributes, dtypes: dtypes, ulp: ulp,
                  infer: { context in
                      var checked = ShapeRule(context)
                      return try rule(&checked)
                  },
                  checks: { context in
                      var checked = ShapeRule(context)
                      _ = try? rule(&checked)
                      return checked.open
                  },
                  form: form, indexCheck: indexCheck, pullback: pullback, samples: samples)
    }
}

extension Array where Element == Dim {
    /// The shape as text, such as `[n, 3]`.
    package var text: String { "[\(map(\.description).joined(separator: ", "))]" }
}
