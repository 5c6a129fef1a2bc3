// Parses programs of the loop IR from Kiln's text: buffers, kernels, launches and steps. Statements are in Parser+Statements.

import KilnIR

extension Program {
    /// Reads one program. Expressions are kept as they are written.
    ///
    /// - Parameter file: The name that errors give the text.
    /// - Throws: `ParseError`. What the text says is checked by `verify`, not here.
    public static func parse(_ text: String, file: String = "<text>") throws -> Program {
        var parser = ProgramParser(text: try TextParser(text, file: file, allowsIndices: true))
        return try parser.parse()
    }
}

/// The grammar of programs:
///
///     program @name(symbol, …) measured (symbol: bound, …) arena bytes workspace bytes {
///       input 0 @x: type   output 0 @y: type   status @s: u64[] = "take" axis 0 of size from end at "file":12   arena @t: type at offset   constant @c: type = literal
///       packed @p: type = @c from offset outer [size, stride, …] across [size, stride, …] by tile depth [size, stride, …]
///       kernel @k at "file":12 { parallel d0 < items work operations block d1 of 128 resident 1 { statement … } … }
///       run { launch @k   copy @x to @y   exchange @s with @t   measure symbol from @c limit bound   check condition else "message"   if @c { … } else { … }   test { … } while @c { … } }
///     }
struct ProgramParser {
    var text: TextParser
    private var program = Program(name: "")
    private var buffers: [String: Int] = [:]
    private var kernels: [String: Int] = [:]

    init(text: TextParser) { self.text = text }

    mutating func parse() throws -> Program {
        try text.expect("program")
        try text.expect("@")
        program.name = try text.name("the program's name")
        try text.expect("(")
        while !text.isAt(")") {
            if !program.symbols.isEmpty { try text.expect(",") }
            program.symbols.append(try text.name("a symbol"))
        }
        try text.advance()
        if try text.take("data_dependent") { try dataDependent() }
        try text.expect("arena")
        program.arenaSize = try text.dim()
        try text.expect("workspace")
        program.workspaceSize = try text.dim()
        try text.expect("{")
        while try declareBuffer() {}
        while text.isAt("kernel") { try kernel() }
        try text.expect("run")
        program.steps = try steps(depth: 0)
        try text.expect("}")
        guard text.isAtEnd else { throw text.expected("the end of the text") }
        return program
    }

    private mutating func dataDependent() throws {
        try text.expect("(")
        repeat {
            let name = try text.name("a symbol")
            try text.expect(":")
            program.dataDependent.append(DataDependentSymbol(name, bound: try text.dim()))
        } while try text.take(",")
        try text.expect(")")
    }

    /// A buffer's declaration; false where there is none.
    private mutating func declareBuffer() throws -> Bool {
        let number = program.buffers.count
        let storage: Buffer.Storage
        let declared: (name: String, type: TensorType)
        if try text.take("input") {
            storage = .input(try text.integer())
            declared = try declaration(number)
        } else if try text.take("output") {
            storage = .output(try text.integer())
            declared = try declaration(number)
        } else if try text.take("status") {
            declared = try declaration(number)
            try text.expect("=")
            storage = .status(try indexCheck())
        } else if try text.take("arena") {
            declared = try declaration(number)
            try text.expect("at")
            storage = .arena(offset: try text.dim())
        } else if try text.take("constant") {
            declared = try declaration(number)
            try text.expect("=")
            storage = .constant(try text.literal())
        } else if try text.take("packed") {
            declared = try declaration(number)
            try text.expect("=")
            storage = .packed(try packing())
        } else { return false }
        program.buffers.append(Buffer(declared.name, declared.type, storage))
        return true
    }

    private mutating func indexCheck() throws -> IndexCheck {
        let operation = try text.string()
        try text.expect("axis")
        let axis = try text.integer()
        try text.expect("of")
        let size = try text.dim(), countsFromEnd = try text.take("from")
        if countsFromEnd { try text.expect("end") }
        return IndexCheck(operation: operation, axis: axis, size: size, countsFromEnd: countsFromEnd, location: try text.location())
    }

    private mutating func packing() throws -> Packing {
        let source = try knownName("buffer", in: buffers)
        try text.expect("from")
        let offset = try text.integer()
        try text.expect("outer")
        let outer = try axes()
        try text.expect("across")
        let across = try axes()
        try text.expect("by")
        let tile = try text.integer()
        try text.expect("depth")
        return Packing(source: source, offset: offset, outer: outer, across: across, tile: tile, depth: try axes())
    }

    /// Sizes and strides in turn.
    private mutating func axes() throws -> [Packing.Axis] {
        let start = text.token
        let list = try text.integerList()
        guard list.count % 2 == 0 else { throw text.error("each axis has a size and a stride", at: start) }
        return stride(from: 0, to: list.count, by: 2).map { Packing.Axis(size: list[$0], stride: list[$0 + 1]) }
    }

    private mutating func declaration(_ number: Int) throws -> (name: String, type: TensorType) {
        let (name, key) = try newName(number, among: buffers)
        buffers[key] = number
        try text.expect(":")
        return (name, try text.tensorType())
    }

    /// `@name`, or `@name#number` where the name is taken.
    private mutating func newName(_ number: Int, among names: [String: Int]) throws -> (name: String, key: String) {
        let start = text.token
        try text.expect("@")
        let name = try text.name("a name")
        if try text.take("#") {
            let written = try text.integer()
            guard written == number else { throw text.error("this is number \(number), not \(written)", at: start) }
            return (name, Self.key(name, number))
        }
        guard names[name] == nil else {
            throw text.error("there is a `\(name)` already; name this one `\(name)#\(number)`", at: start)
        }
        return (name, name)
    }

    /// What a numbered name goes by; no name ends in a null and a number.
    private static func key(_ name: String, _ number: Int) -> String { "\(name)\u{0}\(number)" }

    private mutating func knownName(_ what: String, in names: [String: Int]) throws -> Int {
        let start = text.token
        try text.expect("@")
        let name = try text.name("a name")
        let key = try text.take("#") ? Self.key(name, try text.integer()) : name
        guard let number = names[key] else { throw text.error("there is no \(what) `\(name)`", at: start) }
        return number
    }

    /// A buffer that is declared.
    mutating func buffer() throws -> Int { try knownName("buffer", in: buffers) }

    private mutating func kernel() throws {
        try text.advance()
        let number = program.kernels.count
        let (name, key) = try newName(number, among: kernels)
        kernels[key] = number
        var kernel = Kernel(name: name, location: try text.location(), launches: [])
        try text.expect("{")
        while try text.take("parallel") {
            let variable = try variable()
            try text.expect("<")
            let workItems = try text.dim()
            try text.expect("work")
            let work = try text.dim()
            let threadBlock = try threadBlock()
            try text.expect("{")
            let maps = try maps()
            kernel.launches.append(KernelLaunch(variable: variable, workItems: workItems, work: work, threadBlock: threadBlock, maps: maps, body: try openStatements(depth: 0)))
        }
        try text.expect("}")
        program.kernels.append(kernel)
    }

    private mutating func steps(depth: Int) throws -> [Step] {
        guard depth < TextLimits.nesting else { throw text.error("steps nest at most \(TextLimits.nesting) deep") }
        try text.expect("{")
        var steps: [Step] = []
        while !text.isAt("}") { steps.append(try step(depth: depth)) }
        try text.advance()
        return steps
    }

    private mutating func step(depth: Int) throws -> Step {
        if try text.take("launch") { return .launch(try knownName("kernel", in: kernels)) }
        if try text.take("copy") {
            let source = try buffer()
            try text.expect("to")
            return .copy(from: source, to: try buffer())
        }
        if try text.take("exchange") {
            let one = try buffer()
            try text.expect("with")
            return .exchange(one, try buffer())
        }
        if try text.take("measure") {
            let symbol = try text.name("a symbol")
            try text.expect("from")
            let source = try buffer()
            try text.expect("limit")
            return .measure(symbol: symbol, from: source, limit: try text.dim())
        }
        if try text.take("check") {
            let condition = try condition()
            try text.expect("else")
            return .check(condition, message: try text.string())
        }
        if try text.take("if") {
            let condition = try buffer()
            let then = try steps(depth: depth + 1)
            try text.expect("else")
            return .branch(condition: condition, then: then, otherwise: try steps(depth: depth + 1))
        }
        if try text.take("test") {
            let test = try steps(depth: depth + 1)
            try text.expect("while")
            let condition = try buffer()
            return .loop(test: test, condition: condition, body: try steps(depth: depth + 1))
        }
        throw text.expected("a step: `launch`, `copy`, `exchange`, `measure`, `check`, `if` or `test`")
    }
}
