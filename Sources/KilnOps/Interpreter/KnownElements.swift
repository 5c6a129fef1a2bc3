// What is known of a graph's elements while it is built: the shape arithmetic of imported models becomes arithmetic on dimensions.
// In come a value and a position; out goes the element as a number or an expression over symbols, where it depends on no input.

import KilnIR

/// An element that is known before the graph runs.
public enum KnownElement: Hashable, Sendable {
    /// An integer, or a float that is integral, as an expression over symbols.
    case size(Dim)
    /// Any other number, or a truth value.
    case scalar(Scalar)

    /// The number, where no symbol is involved.
    public var scalar: Scalar? {
        switch self {
        case .size(let dim): dim.constant.map { .integer(Int64($0)) }
        case .scalar(let scalar): scalar
        }
    }

    /// The integer as an expression over symbols.
    public var size: Dim? {
        switch self {
        case .size(let dim): dim
        case .scalar(.real): nil
        case .scalar(let scalar): .constant(Int(scalar.int64))
        }
    }

    /// The same, floats that are integral included.
    public var integral: Dim? {
        if case .scalar(.real(let value)) = self { return Int(exactly: value).map { .constant($0) } }
        return size
    }
}

/// Evaluates elements of a graph under construction, by the form of the ops that make them. Not thread-safe.
public final class KnownElements {
    let builder: GraphBuilder
    private var definitions: [ValueID: Int] = [:]
    private var seenOperations = 0
    private var known: [Key: KnownElement?] = [:]
    private var steps = 0

    private struct Key: Hashable {
        var value: ValueID
        var position: [Dim]
    }
    /// What one question may cost: shapes are short, and tensors that are not shapes must fail fast.
    private static let stepLimit = 100_000
    /// How far values are looked for through those that they are made of, as each takes its part of the stack: what lies deeper is found
    /// first, by itself.
    private static let depthLimit = 64
    private var depth = 0
    /// What lay too deep in a search, which ended there.
    private var tooDeep: Key?
    /// What all questions together may cost: long lists that each op looks through again must not add up.
    private var stepsLeft = 20_000_000
    /// The same for what the interpreter is asked.
    var numbersLeft = 1 << 26

    public init(_ builder: GraphBuilder) { self.builder = builder }

    /// All elements in row-major order; nil where one is not known, or where the value has no constant shape of at most `limit` elements.
    public func elements(of value: Value, limit: Int = 4096) -> [KnownElement]? {
        steps = 0
        guard let shape = value.type.constantShape else { return nil }
        let count = shape.reduce(1, *)
        guard count <= limit else { return nil }
        var elements: [KnownElement] = []
        var position = [Int](repeating: 0, count: shape.count)
        for _ in 0..<count {
            guard let element = found(value.id, position.map { .constant($0) }) else { return nil }
            elements.append(element)
            for axis in shape.indices.reversed() {
                position[axis] += 1
                if position[axis] < shape[axis] { break }
                position[axis] = 0
            }
        }
        return elements
    }

    /// The number that every element is, whatever the shape; nil where they differ or are not known.
    public func repeated(_ value: Value) -> Scalar? {
        steps = 0
        return found(value.id, value.dims.indices.map { .index($0) })?.scalar
    }

    /// The value as a literal, where all of it is known; one that is a constant is given as it is, whatever its size.
    public func literal(of value: Value, limit: Int = 4096) -> Literal? {
        if case .constant(let literal)? = form(of: value.id)?.form { return literal }
        guard let shape = value.type.constantShape else { return nil }
        guard let elements = elements(of: value, limit: limit) else { return interpreted(value, limit: limit) }
        let scalars = elements.compactMap(\.scalar)
        guard scalars.count == elements.count else { return nil }
        return Literal(value.dtype, shape, scalars: scalars.map { $0.converted(to: value.dtype) })
    }

    /// The element at a position, however far away what it is made of lies.
    private func found(_ value: ValueID, _ position: [Dim]) -> KnownElement? {
        var open = [Key(value: value, position: position)]
        var answer: KnownElement?
        while let next = open.last {
            tooDeep = nil
            answer = element(next.value, next.position)
            if steps >= Self.stepLimit { return nil }
            if let deeper = tooDeep { open.append(deeper) } else { open.removeLast() }
        }
        return answer
    }

    /// The element at a position, which may be an expression over symbols.
    private func element(_ value: ValueID, _ position: [Dim]) -> KnownElement? {
        steps += 1
        stepsLeft -= 1
        guard steps < Self.stepLimit, stepsLeft > 0, tooDeep == nil else {
            if tooDeep == nil { steps = Self.stepLimit }
            return nil
        }
        let key = Key(value: value, position: position)
        if let answer = known[key] { return answer }
        guard depth < Self.depthLimit else {
            tooDeep = key
            return nil
        }
        depth += 1
        defer { depth -= 1 }
        guard let (form, operation) = form(of: value) else { return nil }
        let answer = evaluate(form, operation, position)
        // What is unknown for want of steps, or of what lies too deep, may be known another time.
        if steps < Self.stepLimit, tooDeep == nil { known[key] = .some(answer) }
        return answer
    }

    func operation(making value: ValueID) -> Operation? { position(ofOperationMaking: value).map { builder.graph.operations[$0] } }

    /// Where in the graph the operation is.
    func position(ofOperationMaking value: ValueID) -> Int? {
        let operations = builder.graph.operations
        while seenOperations < operations.count {
            for result in operations[seenOperations].results { definitions[result] = seenOperations }
            seenOperations += 1
        }
        return definitions[value]
    }

    private func form(of value: ValueID) -> (form: Form, operation: Operation)? {
        guard let operation = operation(making: value), let form = try? builder.graph.form(of: operation) else { return nil }
        return (form, operation)
    }

    private func evaluate(_ form: Form, _ operation: Operation, _ position: [Dim]) -> KnownElement? {
        switch form {
        case .constant(let literal): return element(of: literal, position)
        case .elementwise(let expression): return evaluate(expression, expression.result, operation.operands, position)
        case .view(let map): return evaluate(map, operation.operands, position, dtype(operation.results[0]))
        case .gather(let coordinates): return gathered(coordinates, operation.operands, position)
        case .reduce(let kind, let axes): return reduced(kind, axes, operation, position)
        case .scan(.sum, let axis, let reverse, let exclusive): return accumulated(axis, reverse, exclusive, operation, position)
        default: return nil
        }
    }

    private func dtype(_ value: ValueID) -> DType { builder.graph.types[value].dtype }
    private func shape(_ value: ValueID) -> Shape { builder.graph.types[value].shape }

    private func element(of literal: Literal, _ position: [Dim]) -> KnownElement? {
        var offset = 0
        for (index, size) in zip(position, literal.shape) {
            guard let index = index.constant, index >= 0, index < size else { return nil }
            offset = offset * size + index
        }
        return Self.known(literal[offset])
    }

    private static func known(_ scalar: Scalar) -> KnownElement {
        switch scalar {
        case .integer(let value): .size(.constant(Int(value)))
        default: .scalar(scalar)
        }
    }

    // MARK: Views and gathers

    private func evaluate(_ map: IndexMap, _ operands: [ValueID], _ position: [Dim], _ dtype: DType) -> KnownElement? {
        for piece in map.pieces {
            var holds = true
            for condition in piece.conditions {
                guard let answer = truth(condition.mapping { $0.substituting(indices: position) }) else { return nil }
                if !answer {
                    holds = false
                    break
                }
            }
            guard holds else { continue }
            return element(operands[piece.operand], piece.indices.map { $0.substituting(indices: position) })
        }
        return Self.known(map.fill.converted(to: dtype))
    }

    private func truth(_ condition: IndexCondition) -> Bool? {
        switch condition {
        case .isNonNegative(let value):
            if IndexRanges.isNonNegative(value) { return true }
            return IndexRanges.isNonNegative(-value - 1) ? false : nil
        case .isZero(let value): return value.constant.map { $0 == 0 }
        }
    }

    private func gathered(_ coordinates: [Coordinate], _ operands: [ValueID], _ position: [Dim]) -> KnownElement? {
        let extents = shape(operands[0])
        var indices: [Dim] = []
        for (axis, coordinate) in coordinates.enumerated() {
            switch coordinate {
            case .affine(let dim): indices.append(dim.substituting(indices: position))
            case .lookup(let operand, let at):
                guard let index = element(operands[operand], at.map { $0.substituting(indices: position) })?.size else { return nil }
                guard let constant = index.constant else {
                    indices.append(index)
                    continue
                }
                let fromEnd = constant < 0 ? index + extents[axis] : index
                indices.append(extents[axis].constant.map { Dim.maximum(0, Dim.minimum(fromEnd, .constant($0 - 1))) } ?? fromEnd)
            }
        }
        return element(operands[0], indices)
    }

    // MARK: Reductions and scans

    private func reduced(_ kind: ReductionKind, _ axes: [Int], _ operation: Operation, _ position: [Dim]) -> KnownElement? {
        let source = operation.operands[0]
        let extents = axes.compactMap { shape(source)[$0].constant }
        guard extents.count == axes.count, let function = kind.combiner else { return nil }
        let dtype = dtype(source)
        var result: KnownElement?
        var counters = [Int](repeating: 0, count: axes.count)
        for _ in 0..<extents.reduce(1, *) {
            var full: [Dim] = []
            var rest = position[...]
            for axis in shape(source).indices {
                if let place = axes.firstIndex(of: axis) { full.append(.constant(counters[place])) } else { full.append(rest.removeFirst()) }
            }
            guard let next = element(source, full) else { return nil }
            guard let sum = result.map({ apply(function, [$0, next], [dtype, dtype], dtype) }) ?? .some(next) else { return nil }
            result = sum
            for place in counters.indices.reversed() {
                counters[place] += 1
                if counters[place] < extents[place] { break }
                counters[place] = 0
            }
        }
        // Over nothing at all: only sums and products are worth knowing.
        return result ?? (kind == .sum ? .size(0) : kind == .product ? .size(1) : nil)
    }

    private func accumulated(_ axis: Int, _ reverse: Bool, _ exclusive: Bool, _ operation: Operation, _ position: [Dim]) -> KnownElement? {
        let source = operation.operands[0], dtype = dtype(source)
        guard let extent = shape(source)[axis].constant, let here = position[axis].constant, !dtype.isFloat else { return nil }
        let places = reverse ? here + (exclusive ? 1 : 0)..<max(extent, here + 1) : 0..<(exclusive ? here : here + 1)
        var sum = KnownElement.size(0)
        for place in places {
            var full = position
            full[axis] = .constant(place)
            guard let next = element(source, full), let total = apply(.add, [sum, next], [dtype, dtype], dtype) else { return nil }
            sum = total
        }
        return sum
    }

    // MARK: Elementwise

    private func evaluate(_ expression: ScalarExpr, _ node: Int, _ operands: [ValueID], _ position: [Dim]) -> KnownElement? {
        switch expression.nodes[node] {
        case .argument(let number): return element(operands[number], position)
        case .constant(let scalar): return Self.known(scalar.converted(to: expression.dtypes[node]))
        case .index(let axis): return .size(position[axis])
        case .apply(.select, let arguments):
            // The branch that is not taken may be unknown.
            guard let condition = evaluate(expression, arguments[0], operands, position)?.scalar else { return nil }
            return evaluate(expression, arguments[condition.isTrue ? 1 : 2], operands, position)
        case .apply(let function, let arguments):
            var values: [KnownElement] = []
            for argument in arguments {
                guard let value = evaluate(expression, argument, operands, position) else { return nil }
                values.append(value)
            }
            return apply(function, values, arguments.map { expression.dtypes[$0] }, expression.dtypes[node])
        }
    }

    private func apply(_ function: ScalarFunction, _ values: [KnownElement], _ from: [DType], _ to: DType) -> KnownElement? {
        let scalars = values.compactMap(\.scalar)
        if scalars.count == values.count {
            let typed = zip(scalars, from).map { $0.converted(to: $1) }
            let result: Scalar = switch typed.count {
            case 1: function.evaluate(typed[0], from: from[0], to: to)
            case 2: function.evaluate(typed[0], typed[1], from: from[0], to: to)
            default: function.evaluate(typed[0], typed[1], typed[2], to: to)
            }
            return Self.known(result)
        }
        let sizes = values.compactMap(\.integral)
        guard sizes.count == values.count, sizes.allSatisfy(Self.isShort) else { return nil }
        return sizes.count == 1 ? unary(function, sizes[0], to) : sizes.count == 2 ? binary(function, sizes[0], sizes[1], isFloat: from[0].isFloat) : nil
    }

    /// Whether an expression is one that sizes of models are: products of sums, again and again, would soon fill all memory.
    private static func isShort(_ dim: Dim) -> Bool {
        var left = 64
        func spends(_ dim: Dim) -> Bool {
            dim.terms.allSatisfy { term in
                left -= 1 + term.atoms.count
                return left >= 0 && term.atoms.allSatisfy { atom in
                    switch atom {
                    case .symbol, .index: true
                    case .floorDivide(let a, let b), .maximum(let a, let b), .minimum(let a, let b): spends(a) && spends(b)
                    }
                }
            }
        }
        return spends(dim)
    }

    private func unary(_ function: ScalarFunction, _ x: Dim, _ to: DType) -> KnownElement? {
        switch function {
        case .negate: .size(-x)
        case .absolute: IndexRanges.isNonNegative(x) ? .size(x) : .size(Dim.maximum(x, -x))
        case .floor, .ceil, .round, .truncate: .size(x)
        case .convert where to != .bool: .size(x)
        case .isNaN: .scalar(.bool(false))
        default: nil
        }
    }

    private func binary(_ function: ScalarFunction, _ a: Dim, _ b: Dim, isFloat: Bool) -> KnownElement? {
        func decided(_ value: Bool?) -> KnownElement? { value.map { .scalar(.bool($0)) } }
        switch function {
        case .add: return .size(a + b)
        case .subtract: return .size(a - b)
        case .multiply: return .size(a * b)
        case .divide:
            // Sizes are not negative, so that truncating is rounding down; a float's quotient must be exact.
            guard b != 0, IndexRanges.isNonNegative(b) else { return nil }
            let quotient = a / b
            return !isFloat || quotient * b == a ? .size(quotient) : nil
        case .remainder: return b != 0 && IndexRanges.isNonNegative(b) && IndexRanges.isNonNegative(a) ? .size(a % b) : nil
        case .maximum: return .size(IndexRanges.isNonNegative(a - b) ? a : IndexRanges.isNonNegative(b - a) ? b : .maximum(a, b))
        case .minimum: return .size(IndexRanges.isNonNegative(a - b) ? b : IndexRanges.isNonNegative(b - a) ? a : .minimum(a, b))
        case .equal: return decided(Self.isEqual(a, b))
        case .notEqual: return decided(Self.isEqual(a, b).map { !$0 })
        case .less: return decided(Self.isLess(a, b))
        case .greater: return decided(Self.isLess(b, a))
        case .lessEqual: return decided(Self.isLess(b, a).map { !$0 })
        case .greaterEqual: return decided(Self.isLess(a, b).map { !$0 })
        default: return nil
        }
    }

    private static func isEqual(_ a: Dim, _ b: Dim) -> Bool? {
        if a == b { return true }
        return isLess(a, b) == true || isLess(b, a) == true ? false : nil
    }

    private static func isLess(_ a: Dim, _ b: Dim) -> Bool? {
        if IndexRanges.isNonNegative(b - a - 1) { return true }
        return IndexRanges.isNonNegative(a - b) ? false : nil
    }
}
