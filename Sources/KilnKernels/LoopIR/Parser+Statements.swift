// Parses the statements of a kernel: loops, lanes, branches, instructions and memory accesses.

import KilnIR

extension ProgramParser {
    mutating func statements(depth: Int) throws -> [Statement] {
        guard depth < TextLimits.nesting else { throw text.error("statements nest at most \(TextLimits.nesting) deep") }
        try text.expect("{")
        return try openStatements(depth: depth)
    }

    /// The statements up to the closing brace.
    mutating func openStatements(depth: Int) throws -> [Statement] {
        var statements: [Statement] = []
        while !text.isAt("}") { statements.append(try statement(depth: depth)) }
        try text.advance()
        return statements
    }

    private mutating func transposition() throws -> Transposition {
        let rows = try text.integer()
        try text.expect("by")
        let width = try text.integer()
        func place() throws -> (Access, Int) {
            let access = try access()
            try text.expect("pitch")
            return (access, try text.integer())
        }
        let source = try place()
        try text.expect("to")
        let target = try place()
        return Transposition(rows, by: width, from: source.0, pitch: source.1, to: target.0, pitch: target.1)
    }

    private mutating func statement(depth: Int) throws -> Statement {
        if text.isAt("%") {
            let number = try value()
            try text.expect("=")
            return .define(number, try instruction())
        }
        if try text.take("local") { return .local(try local()) }
        if try text.take("bind") {
            let variable = try variable()
            try text.expect("=")
            return .bind(variable: variable, try value())
        }
        if try text.take("store") {
            let isStreaming = try text.take("stream")
            let access = try access()
            try text.expect("=")
            return .store(access, try value(), streaming: isStreaming)
        }
        if try text.take("prefetch") { return .prefetch(try access()) }
        if try text.take("transpose") { return .transpose(try transposition()) }
        if try text.take("atomic") {
            guard text.token.kind == .word, let kind = ScatterKind(rawValue: text.text) else { throw text.expected("how to combine, such as `add`") }
            try text.advance()
            let access = try access()
            try text.expect("=")
            return .atomic(kind, access, try value())
        }
        if try text.take("block") { return .threadBlock(try threadBlockOperation()) }
        if try text.take("for") { return .loop(try loop(depth: depth)) }
        if try text.take("lanes") {
            let variable = try variable()
            try text.expect("<")
            let count = try text.dim()
            try text.expect("of")
            let width = try text.integer()
            return .lanes(variable: variable, width: width, count: count, body: try statements(depth: depth + 1))
        }
        if try text.take("if") {
            let conditions = try conditions()
            let then = try statements(depth: depth + 1)
            return .branch(conditions, then: then, otherwise: try text.take("else") ? try statements(depth: depth + 1) : [])
        }
        throw text.expected("a statement")
    }

    private mutating func local() throws -> Local {
        let id = try localNumber()
        try text.expect(":")
        let dtype = try text.dtype()
        try text.expect("[")
        let count = try text.dim()
        try text.expect("]")
        let storage: Local.Storage = try text.take("at") ? .workspace(offset: try text.dim())
            : try text.take("shared") ? .shared(offset: try text.integer()) : .stack
        return Local(id: id, dtype: dtype, count: count, storage: storage)
    }

    private mutating func loop(depth: Int) throws -> Loop {
        let kind: Loop.Kind = try text.take("unrolled") ? .unrolled : .serial
        let variable = try variable()
        try text.expect("in")
        let lower = try text.dim()
        try text.expect("..<")
        let upper = try text.dim()
        let step = try text.take("step") ? try text.integer() : 1
        return Loop(variable: variable, from: lower, to: upper, step: step, kind: kind, body: try statements(depth: depth + 1))
    }

    private mutating func instruction() throws -> Instruction {
        if try text.take("constant") {
            let dtype = try text.dtype()
            return .constant(try text.scalar(), dtype)
        }
        if try text.take("position") { return .position(try text.dim()) }
        if try text.take("load") {
            let access = try access()
            return .load(access, fill: try text.take("else") ? try text.scalar() : 0)
        }
        if try text.take("holds") { return .holds(try conditions()) }
        if try text.take("reduce_lanes") {
            guard text.token.kind == .word, let kind = ReductionKind(rawValue: text.text) else { throw text.expected("a reduction, such as `sum`") }
            try text.advance()
            let (memory, address) = try element()
            try text.expect("of")
            return .reduceLanes(kind, memory, address: address, width: try text.integer())
        }
        if try text.take("shuffle") {
            let number = try value()
            return .shuffle(number, try shuffle())
        }
        if try text.take("vote") {
            guard text.token.kind == .word, let vote = Vote(rawValue: text.text) else { throw text.expected("a vote, such as `any`") }
            try text.advance()
            return .vote(vote, try value())
        }
        guard text.token.kind == .word, let function = ScalarFunction(rawValue: text.text) else { throw text.expected("an instruction") }
        try text.advance()
        let dtype = try text.dtype()
        var values: [ValueNumber] = []
        // The next statement may begin with a value as well: the function's arity says how many belong to this one.
        while values.count < function.arity {
            if !values.isEmpty { try text.expect(",") }
            values.append(try value())
        }
        return .apply(function, values, dtype)
    }

    mutating func access() throws -> Access {
        let (memory, address) = try element()
        return Access(memory, address, where: try text.take("where") ? try conditions() : [])
    }

    private mutating func element() throws -> (Memory, Dim) {
        let memory: Memory = text.isAt("$") ? .local(try localNumber()) : .buffer(try buffer())
        try text.expect("[")
        let address = try text.dim()
        try text.expect("]")
        return (memory, address)
    }

    private mutating func conditions() throws -> [IndexCondition] {
        try text.expect("(")
        var conditions: [IndexCondition] = []
        while !text.isAt(")") {
            if !conditions.isEmpty { try text.expect(",") }
            conditions.append(try condition())
        }
        try text.advance()
        return conditions
    }

    mutating func condition() throws -> IndexCondition {
        let expression = try text.dim()
        let isOrdered = try text.take(">=")
        if !isOrdered { try text.expect("==") }
        guard text.token.kind == .number, text.text == "0" else { throw text.expected("`0`") }
        try text.advance()
        return isOrdered ? .isNonNegative(expression) : .isZero(expression)
    }

    private mutating func value() throws -> ValueNumber {
        try text.expect("%")
        return try text.integer(isNegative: false)
    }

    private mutating func localNumber() throws -> Int {
        try text.expect("$")
        return try text.integer(isNegative: false)
    }

    mutating func variable() throws -> Int {
        guard text.token.kind == .word, let number = Dim.indexNumber(text.text) else { throw text.expected("an index variable, such as `d0`") }
        try text.advance()
        return number
    }
}
