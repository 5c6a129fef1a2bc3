// Parses graphs from Kiln's text. Every operation goes through `Graph.append`, so its types are inferred anew and held
// against the written ones. Nothing is simplified.

extension Graph {
    /// Reads one graph, such as a `.kiln` file holds.
    ///
    /// - Parameters:
    ///   - file: The name that errors give the text.
    ///   - catalogue: The op of a name.
    /// - Throws: `ParseError`, also for an op that does not take its operands.
    public static func parse(_ text: String, file: String = "<text>", catalogue: (String) -> OpDefinition?) throws -> Graph {
        try withoutActuallyEscaping(catalogue) { catalogue in
            var parser = GraphParser(text: try TextParser(text, file: file), catalogue: catalogue)
            let graph = try parser.graph(symbols: [], depth: 0)
            guard parser.text.isAtEnd else { throw parser.text.expected("the end of the text") }
            return graph
        }
    }
}

/// The grammar of graphs:
///
///     graph @name(%x: type, …) -> (y: type, …) {
///       %2, %3 = op %x, … {attribute = value, …} : type, type at "file":12 with { graph … }
///       return %2, …
///     }
private struct GraphParser {
    var text: TextParser
    let catalogue: (String) -> OpDefinition?
    /// Terms of sizes that the operands of one operation may have together; its rules add them up.
    static let operandTerms = 1 << 14

    /// What a value goes by.
    enum Reference: Hashable {
        case number(Int)
        case name(String)
    }

    /// The names of one graph's values, and what sizes it knows.
    struct Scope {
        var graph: Graph
        var values: [Reference: ValueID] = [:]
        var symbols: Set<String>
        var depth: Int
    }

    mutating func graph(symbols: Set<String>, depth: Int) throws -> Graph {
        guard depth < TextLimits.nesting else { throw text.error("regions nest at most \(TextLimits.nesting) deep") }
        try text.expect("graph")
        try text.expect("@")
        var scope = Scope(graph: Graph(name: try text.name("the graph's name")), symbols: symbols, depth: depth)
        try inputs(&scope)
        try text.expect("->")
        let outputs = try outputs()
        try text.expect("{")
        while !text.isAt("return") {
            guard !text.isAtEnd, !text.isAt("}") else { throw text.expected("an operation or `return`") }
            try operation(&scope)
        }
        try text.advance()
        for (position, output) in outputs.enumerated() {
            try check(output.type.shape, in: scope, at: output.token)
            if position > 0 { try text.expect(",") }
            let start = text.token
            let value = try value(in: scope)
            guard scope.graph.types[value] == output.type else {
                throw text.error("output `\(output.name)` is written as \(output.type), but this value is \(scope.graph.types[value])", at: start)
            }
            scope.graph.outputs.append(Port(output.name, value))
        }
        try text.expect("}")
        return scope.graph
    }

    private mutating func inputs(_ scope: inout Scope) throws {
        try text.expect("(")
        while !text.isAt(")") {
            if !scope.graph.inputs.isEmpty { try text.expect(",") }
            let start = text.token
            try text.expect("%")
            let reference = try reference()
            let name: String
            if try text.take("named") { name = try text.string() } else if case .name(let own) = reference { name = own } else {
                throw text.expected("`named` with the input's name, for its value is numbered")
            }
            try text.expect(":")
            let type = try text.tensorType()
            guard scope.values[reference] == nil else { throw text.error("there are two inputs of this name", at: start) }
            scope.values[reference] = scope.graph.addInput(name, type)
            for dim in type.shape { dim.forEachVariable { if case .symbol(let name) = $0 { scope.symbols.insert(name) } } }
        }
        try text.advance()
    }

    /// The outputs; the sizes in their types may be measured further down.
    private mutating func outputs() throws -> [(name: String, type: TensorType, token: Token)] {
        try text.expect("(")
        var outputs: [(name: String, type: TensorType, token: Token)] = []
        while !text.isAt(")") {
            if !outputs.isEmpty { try text.expect(",") }
            let name = try text.name("the output's name")
            try text.expect(":")
            let start = text.token
            outputs.append((name, try text.tensorType(), start))
        }
        try text.advance()
        return outputs
    }

    /// What follows the percent sign: `%2` and `%"2"` are two.
    private mutating func reference() throws -> Reference {
        text.token.kind == .number ? .number(try text.integer(isNegative: false)) : .name(try text.name("a value's name"))
    }

    private mutating func value(in scope: Scope) throws -> ValueID {
        let start = text.token
        try text.expect("%")
        let name = text.token
        let reference = try reference()
        guard let value = scope.values[reference] else {
            let shown = String(decoding: text.source[name.start..<name.end], as: UTF8.self)
            throw text.error("there is no value `%\(shown)` before this", at: start)
        }
        return value
    }

    /// A type whose symbols are all known.
    private mutating func knownType(in scope: Scope) throws -> TensorType {
        let start = text.token
        let type = try text.tensorType()
        try check(type.shape, in: scope, at: start)
        return type
    }

    private func check(_ dims: [Dim], in scope: Scope, at start: Token) throws {
        var unknown: String?
        for dim in dims {
            dim.forEachVariable { if case .symbol(let name) = $0, !scope.symbols.contains(name) { unknown = name } }
        }
        if let unknown { throw text.error("the size `\(unknown)` is not in the type of any input", at: start) }
    }
}

extension GraphParser {
    private mutating func operation(_ scope: inout Scope) throws {
        var results: [(reference: Reference, token: Token)] = []
        while text.isAt("%") {
            let start = text.token
            try text.advance()
            results.append((try reference(), start))
            guard try text.take(",") else { break }
        }
        if !results.isEmpty { try text.expect("=") }
        let start = text.token
        let name = try text.name("an op's name")
        guard let op = catalogue(name) else { throw text.error("there is no op `\(name)`", at: start) }
        let operands = try operands(in: scope)
        let attributes = try attributes(of: op, in: scope)
        let context = OpContext(op: op, operands: operands.map { scope.graph.types[$0] }, attributes: attributes)
        if let size = op.measures?(context) { scope.symbols.insert(size.symbol) }
        var written: [(type: TensorType, token: Token)] = []
        if !results.isEmpty {
            try text.expect(":")
            repeat { written.append((try knownType(in: scope), text.token)) } while try text.take(",")
        }
        let location = try text.location()
        let regions = try regions(in: scope)
        let made: [ValueID]
        do { made = try scope.graph.append(op, operands, attributes, regions: regions, at: location) } catch let error as ShapeError {
            throw text.error("\(error)", at: start)
        }
        guard made.count == results.count, written.count == results.count else {
            throw text.error("`\(name)` has \(made.count) result\(made.count == 1 ? "" : "s"); "
                + "written are \(results.count) and \(written.count) type\(written.count == 1 ? "" : "s")", at: start)
        }
        for (position, result) in results.enumerated() {
            let type = scope.graph.types[made[position]]
            guard type == written[position].type else {
                throw text.error("the result of `\(name)` is \(type), but \(written[position].type) is written", at: start)
            }
            guard scope.values.updateValue(made[position], forKey: result.reference) == nil else {
                throw text.error("a value of this name is there already", at: result.token)
            }
        }
    }

    private mutating func operands(in scope: Scope) throws -> [ValueID] {
        var operands: [ValueID] = []
        if try text.take("(") {
            try text.expect(")")
            return operands
        }
        guard text.isAt("%") else { return operands }
        let start = text.token
        var terms = 0
        repeat {
            let value = try value(in: scope)
            operands.append(value)
            for dim in scope.graph.types[value].shape where dim.constant == nil { terms += dim.terms.count }
            guard terms <= Self.operandTerms else { throw text.error("the operands' sizes have too many terms together", at: start) }
        } while try text.take(",")
        return operands
    }

    private mutating func attributes(of op: OpDefinition, in scope: Scope) throws -> Attributes {
        let start = text.token
        let attributes = try text.attributes()
        for entry in attributes.entries {
            guard op.attributeNames.contains(entry.name) else {
                let known = op.attributeNames.isEmpty ? "it has none" : "it has \(op.attributeNames.joined(separator: ", "))"
                throw text.error("`\(op.name)` has no attribute `\(entry.name)`; \(known)", at: start)
            }
            if case .dims(let dims) = entry.value { try check(dims, in: scope, at: start) }
        }
        return attributes
    }

    private mutating func regions(in scope: Scope) throws -> [Graph] {
        guard try text.take("with") else { return [] }
        try text.expect("{")
        var regions: [Graph] = []
        while !text.isAt("}") { regions.append(try graph(symbols: scope.symbols, depth: scope.depth + 1)) }
        try text.advance()
        return regions
    }
}
