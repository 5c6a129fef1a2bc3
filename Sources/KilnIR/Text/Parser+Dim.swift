// Parses dimensions and tensor types: the inverse of Dim+Text. Hostile expressions end in an error before they grow large.

/// How large what is parsed may be; what Kiln prints of real models is far below.
package enum TextLimits {
    /// How deep parentheses and functions nest in an expression.
    static let expressionDepth = 24
    /// Terms of one polynomial.
    static let terms = 256
    /// Variables multiplied in one term.
    static let degree = 32
    /// Variables of a whole expression, written out.
    static let expressionSize = 1024
    /// Factors written in one product.
    static let factors = 64
    package static let rank = 32
    /// Terms of a shape's element count, before any of them merge.
    static let elementCountTerms = 1024
    /// Bytes of a value, as far as its sizes are constants.
    static let valueBytes = 1 << 50
    /// How deep regions, loops and branches nest.
    package static let nesting = 48
}

extension TextParser {
    /// A size, index or address.
    package mutating func dim() throws -> Dim { try sum(depth: 0) }

    private mutating func sum(depth: Int) throws -> Dim {
        guard depth < TextLimits.expressionDepth else { throw error("expressions nest at most \(TextLimits.expressionDepth) deep") }
        let first = try product(isNegative: take("-"), depth: depth)
        guard isAt("+") || isAt("-") else { return first }
        var terms = first.terms
        while true {
            let start = token
            let isNegative = isAt("-")
            guard isNegative || isAt("+") else { break }
            try advance()
            terms += try product(isNegative: isNegative, depth: depth).terms
            guard terms.count <= TextLimits.terms else { throw error("an expression has at most \(TextLimits.terms) terms", at: start) }
        }
        return try checked(Dim(terms: terms))
    }

    private mutating func product(isNegative: Bool, depth: Int) throws -> Dim {
        let start = token
        var result: Dim
        var isPending = isNegative
        if token.kind == .number {
            // The sign belongs to the number, or the least integer could not be written.
            result = .constant(try integer(isNegative: isNegative))
            isPending = false
        } else { result = try factor(depth: depth) }
        var count = 1
        while try take("*") {
            count += 1
            guard count <= TextLimits.factors else { throw error("a product has at most \(TextLimits.factors) factors", at: start) }
            result = try multiply(result, try factor(depth: depth), at: start)
        }
        return isPending ? -result : result
    }

    private mutating func factor(depth: Int) throws -> Dim {
        switch token.kind {
        case .number: return .constant(try integer(isNegative: false))
        case .string: return .symbol(try string())
        case .word:
            if isAt("floor") || isAt("max") || isAt("min") { return try function(depth: depth) }
            let name = text
            if let index = Dim.indexNumber(name) {
                guard allowsIndices else { throw error("`\(name)` is an index variable, which a size can't hold; a symbol of that name is written \"\(name)\"") }
                try advance()
                return .index(index)
            }
            try advance()
            return .symbol(name)
        case .mark where isAt("("):
            try advance()
            let inner = try sum(depth: depth + 1)
            try expect(")")
            return inner
        default: throw expected("a size")
        }
    }

    private mutating func function(depth: Int) throws -> Dim {
        let start = token
        let name = text
        try advance()
        try expect("(")
        let a = try sum(depth: depth + 1)
        try expect(",")
        let b = try sum(depth: depth + 1)
        try expect(")")
        switch name {
        case "max": return try checked(allowsIndices ? .atom(.maximum(a, b)) : Dim.maximum(a, b))
        case "min": return try checked(allowsIndices ? .atom(.minimum(a, b)) : Dim.minimum(a, b))
        default:
            if let divisor = b.constant, divisor <= 0 { throw error("the divisor of `floor` is \(divisor); it must be positive", at: start) }
            if allowsIndices { return try checked(.atom(.floorDivide(a, b))) }
            // Dividing a quotient multiplies the divisors.
            if case .floorDivide(_, let inner)? = a.terms.first?.atoms.first, inner.terms.count * b.terms.count > TextLimits.terms {
                throw error("the divisors of nested `floor`s have too many terms", at: start)
            }
            return try checked(a / b)
        }
    }

    /// An integer without a sign before it, or the negative of it.
    package mutating func integer(isNegative: Bool) throws -> Int {
        guard token.kind == .number, bytes.allSatisfy(\.isDigit) else { throw expected("an integer") }
        guard let value = Int((isNegative ? "-" : "") + text) else { throw error("\(text) does not fit 64 bits") }
        try advance()
        return value
    }

    /// An integer with or without a minus sign.
    package mutating func integer() throws -> Int { try integer(isNegative: try take("-")) }

    private func multiply(_ a: Dim, _ b: Dim, at start: Token) throws -> Dim {
        let (left, right) = (a.terms, b.terms)
        guard left.count * right.count <= TextLimits.terms else { throw error("a product has at most \(TextLimits.terms) terms", at: start) }
        let degree = (left.map(\.atoms.count).max() ?? 0) + (right.map(\.atoms.count).max() ?? 0)
        guard degree <= TextLimits.degree else { throw error("a product has at most \(TextLimits.degree) variables", at: start) }
        for x in left {
            for y in right where x.coefficient.multipliedReportingOverflow(by: y.coefficient).overflow {
                throw error("this product does not fit 64 bits", at: start)
            }
        }
        return try checked(a * b)
    }

    private func checked(_ dim: Dim) throws -> Dim {
        var budget = TextLimits.expressionSize
        guard dim.fits(&budget) else { throw error("this expression is too large: it has more than \(TextLimits.expressionSize) variables") }
        return dim
    }

    /// A dtype's name.
    package mutating func dtype() throws -> DType {
        guard token.kind == .word, let dtype = DType(name: text) else { throw expected("a dtype, such as `f32`") }
        try advance()
        return dtype
    }

    /// A type such as `f32[batch, 784]`.
    package mutating func tensorType() throws -> TensorType {
        let start = token
        let type = TensorType(try dtype(), try shape())
        guard let problem = type.sizeProblem else { return type }
        throw error(problem, at: start)
    }

    /// Sizes in brackets.
    package mutating func shape() throws -> Shape {
        try expect("[")
        var dims: Shape = []
        while !isAt("]") {
            if !dims.isEmpty { try expect(",") }
            guard dims.count < TextLimits.rank else { throw error("a shape has at most \(TextLimits.rank) dimensions") }
            dims.append(try dim())
        }
        try advance()
        return dims
    }
}

extension TensorType {
    /// What makes the type one that no program holds, or nothing.
    var sizeProblem: String? {
        var bytes = dtype.byteCount
        var terms = 1
        for dim in shape {
            if let size = dim.constant {
                if size < 0 { return "a size is \(size); sizes are at least 0" }
                let (product, overflow) = bytes.multipliedReportingOverflow(by: max(size, 1))
                if overflow || product > TextLimits.valueBytes { return "a value of this type is larger than any memory" }
                bytes = product
            }
            terms *= max(dim.terms.count, 1)
            if terms > TextLimits.elementCountTerms { return "the number of elements has too many terms" }
        }
        return nil
    }
}

extension Dim {
    /// The number of the index variable that this word is: 3 for `d3`.
    package static func indexNumber(_ word: String) -> Int? {
        let digits = word.utf8.dropFirst()
        guard word.utf8.first == UInt8(ascii: "d"), !digits.isEmpty, digits.count <= 9, digits.allSatisfy(\.isDigit),
            digits.first != UInt8(ascii: "0") || digits.count == 1 else { return nil }
        return Int(word.dropFirst())
    }

    /// Takes the variables of the written-out expression from the budget; false where it does not suffice.
    fileprivate func fits(_ budget: inout Int) -> Bool {
        for term in terms {
            for atom in term.atoms {
                budget -= 1
                if budget < 0 { return false }
                switch atom {
                case .symbol, .index: continue
                case .floorDivide(let a, let b), .maximum(let a, let b), .minimum(let a, let b):
                    guard a.fits(&budget), b.fits(&budget) else { return false }
                }
            }
        }
        return true
    }
}
