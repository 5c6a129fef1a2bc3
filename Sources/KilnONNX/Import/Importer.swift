// Walks an ONNX model's nodes in order and builds a graph of Kiln's ops. In: the model as it was read, and what the caller knows of
// its inputs. Out: the graph, and how its ports stand for the model's inputs and outputs.

import KilnIR
import KilnOps

/// One import of a model. Not thread-safe.
final class Importer {
    let model: ONNXModel
    let options: ImportOptions
    /// What symbols of the model are, where that showed in an earlier attempt.
    let equalities: SymbolEqualities
    var file: String { model.file }
    private let functions: [FunctionKey: ProtoFunction]
    private(set) var problems: [UnsupportedNode] = []
    /// How deep functions and graphs may lie in each other; a function that calls itself would never end.
    private static let depthLimit = 64
    private var depth = 0
    /// How many nodes may run, those of rounds and functions counted each time: graphs within graphs could go on for as good as ever.
    private var nodesLeft: Int

    private struct FunctionKey: Hashable {
        var domain: String
        var name: String
        var overload: String
    }

    init(_ model: ONNXModel, _ options: ImportOptions, _ equalities: SymbolEqualities = SymbolEqualities()) {
        self.model = model
        self.options = options
        self.equalities = equalities
        nodesLeft = 1 << 17 + model.proto.graph.node.count
        functions = Dictionary(model.proto.functions.map { (FunctionKey(domain: $0.domain, name: $0.name, overload: $0.overload), $0) },
                               uniquingKeysWith: { first, _ in first })
    }

    func run() throws -> ImportedModel {
        let proto = model.proto.graph
        let builder = GraphBuilder(model.graphName)
        let scope = Scope(builder, KnownElements(builder), versions: try versions(model.proto.opsetImport))
        var ports = PortMaker(importer: self, scope: scope)
        let given = try defineWeights(&ports, in: scope)
        try checkNames(proto)
        let inputs = try proto.input.filter { !given.contains($0.name) || options.inputs[$0.name] != nil || options.values[$0.name] != nil }
            .map { try ports.input($0) }
        try run(proto.node, in: scope)
        if !problems.isEmpty { throw UnsupportedModel(file: file, nodes: problems) }
        let names = proto.output.map(\.name), stated = Set(names)
        let results = try (names + options.innerValues.filter { !stated.contains($0) }).map { name -> (String, Item) in
            guard let item = scope.find(name) else { throw ModelError(file, "the output '\(name)' is made by no node") }
            return (name, item)
        }
        for (port, result) in zip(proto.output, results) { try check(port, is: result.1) }
        builder.location = .unknown
        let outputs = results.map { ports.output($0, $1) }
        let graph = try builder.finish(ports.outputs)
        return ImportedModel(graph: graph, inputs: inputs, outputs: outputs, parameters: ports.parameters)
    }

    /// Throws where the model's outputs share a name, or where something is given for an input that the model does not have.
    private func checkNames(_ proto: ProtoGraph) throws {
        var outputs: Set<String> = []
        if let twice = proto.output.first(where: { !outputs.insert($0.name).inserted }) { throw ModelError(file, "has two outputs of the name '\(twice.name)'") }
        let inputs = proto.input.map(\.name), known = Set(inputs)
        if let stray = options.values.keys.sorted().first(where: { !known.contains($0) }) {
            throw ModelError(file, "a value is given for '\(stray)', which is no input of the model",
                             fix: inputs.isEmpty ? "leave it out" : "choose from \(inputs.prefix(20).joined(separator: ", "))")
        }
    }

    /// Throws where an output's stated type can't be its own.
    private func check(_ port: ProtoValueInfo, is item: Item) throws {
        guard case .tensorType(let stated)? = port.type.value, case .tensor(let tensor) = item.held else { return }
        func wrong(_ found: String, _ said: String) -> ModelError { ModelError(file, "the output '\(port.name)' \(found), and the model says \(said)") }
        if stated.elemType != 0, stated.elemType != tensor.element.rawValue {
            throw wrong("has elements of type \(tensor.element)", ElementType(rawValue: stated.elemType).map { "\($0)" } ?? "a type that there is not")
        }
        // What the caller says of inputs may change shapes.
        guard stated.hasShape, options.inputs.isEmpty, options.values.isEmpty, tensor.element != .string else { return }
        let dims = tensor.value.dims
        guard dims.count == stated.shape.dim.count else { throw wrong("has \(dims.count) axes", "\(stated.shape.dim.count)") }
        for (axis, (dim, said)) in zip(dims, stated.shape.dim).enumerated() {
            guard let size = dim.constant, case .dimValue(let number)? = said.value, number > 0, number != Int64(size) else { continue }
            throw wrong("has the size \(size) along axis \(axis)", "\(number)")
        }
    }

    /// Brings the constants of a graph inside the model's into scope.
    private func defineConstants(_ graph: ProtoGraph, in scope: Scope) throws {
        for tensor in graph.initializer { define(tensor.name, try read(tensor), in: scope) }
        for sparse in graph.sparseInitializer { define(sparse.values.name, try readSparse(sparse), in: scope) }
    }

    /// Brings the model's constants into scope, those that are to be trained as inputs. Gives the names of all.
    private func defineWeights(_ ports: inout PortMaker, in scope: Scope) throws -> Set<String> {
        try defineConstants(model.proto.graph, in: scope)
        for initializer in model.initializers {
            let (literal, element) = try read(initializer.proto, raw: initializer.raw)
            if options.isTrainable, element.isNative, literal.dtype.isFloat {
                scope.define(initializer.proto.name, .tensor(ports.parameter(initializer.proto.name, literal)))
            } else { define(initializer.proto.name, (literal, element), in: scope) }
        }
        let names = model.initializers.map(\.proto.name) + model.proto.graph.sparseInitializer.map(\.values.name)
        for names in [names, model.proto.graph.input.map(\.name)] {
            guard Set(names).count == names.count else { throw ModelError(file, "has two constants or two inputs of one name") }
        }
        return Set(names)
    }

    private func define(_ name: String, _ tensor: (literal: Literal, element: ElementType), in scope: Scope) {
        scope.define(name, .tensor(ImportedTensor(scope.builder.literal(tensor.literal, at: SourceLocation(name: name)), tensor.element)))
    }

    /// The operator sets by domain; `ai.onnx` is the empty domain's other name.
    func versions(_ sets: [ProtoOperatorSet]) throws -> [String: Int] {
        var versions: [String: Int] = [:]
        for set in sets { versions[set.domain == "ai.onnx" ? "" : set.domain] = Int(set.version) }
        if let version = versions[""], version > ONNXModel.newestVersion {
            throw ModelError(file, "is of operator set \(version), and Kiln knows up to \(ONNXModel.newestVersion)",
                             fix: "export the model with an older operator set")
        }
        return versions
    }

    // MARK: Nodes

    /// Runs nodes in order.
    func run(_ nodes: [ProtoNode], in scope: Scope) throws {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthLimit else { throw ModelError(file, "has functions or graphs that lie more than \(Self.depthLimit) deep in each other") }
        for node in nodes {
            nodesLeft -= 1
            guard nodesLeft >= 0 else { throw ModelError(file, "has functions or rounds that, unrolled, are too many nodes", fix: "export it with fewer") }
            try run(node, in: scope)
        }
    }

    private func run(_ node: ProtoNode, in scope: Scope) throws {
        let domain = node.domain == "ai.onnx" ? "" : node.domain
        let context = NodeContext(node: node, version: scope.versions[domain] ?? (domain.isEmpty ? ONNXModel.newestVersion : 1), scope: scope, importer: self)
        let outer = scope.builder.location
        scope.builder.location = SourceLocation(name: context.name)
        defer { scope.builder.location = outer }
        do {
            let items = try items(context, domain).map(context.rows.restored)
            if let error = scope.builder.error { throw error }
            for (number, name) in node.output.enumerated() {
                guard scope.define(name, number < items.count ? items[number] : .absent) else { throw context.mistake("makes '\(name)', which is there already") }
            }
        } catch let error as Unsupported {
            problems.append(UnsupportedNode(node: context.name, op: (domain.isEmpty ? "" : domain + "::") + node.opType, version: context.version,
                                            reason: error.reason, fix: error.fix))
            for name in node.output { scope.define(name, .unavailable) }
        } catch is Unavailable {
            for name in node.output { scope.define(name, .unavailable) }
        }
    }

    private func items(_ context: NodeContext, _ domain: String) throws -> [Item] {
        let node = context.node
        if let function = functions[FunctionKey(domain: node.domain, name: node.opType, overload: node.overload)] { return try call(function, context) }
        guard let op = Operators.named(node.opType, domain: domain) else { throw Unsupported(reason: "there is no such operator in Kiln", fix: .otherOperator) }
        return try op.translate(context)
    }

    /// Runs a function's body in the place of the node that calls it.
    private func call(_ function: ProtoFunction, _ context: NodeContext) throws -> [Item] {
        var attributes = Dictionary(function.attributeProto.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        for attribute in context.node.attribute { attributes[attribute.name] = context.attribute(attribute.name) }
        var versions = context.scope.versions
        versions.merge(try self.versions(function.opsetImport)) { _, own in own }
        let scope = Scope(context.builder, context.scope.contents, versions: versions, attributes: attributes)
        for (number, name) in function.input.enumerated() { scope.define(name, try context.item(number)) }
        try run(function.node, in: scope)
        return try function.output.map { name in
            guard let item = scope.find(name) else { throw context.mistake("the function's output '\(name)' is made by no node") }
            return item
        }
    }

    /// Runs a graph that is a node's attribute, on the given inputs, and gives its outputs.
    func run(_ graph: ProtoGraph, _ inputs: [Item], in scope: Scope) throws -> [Item] {
        try defineConstants(graph, in: scope)
        for (port, item) in zip(graph.input, inputs) { scope.define(port.name, item) }
        try run(graph.node, in: scope)
        return try graph.output.map { port in
            guard let item = scope.find(port.name) else { throw ModelError(file, "the output '\(port.name)' of the graph '\(graph.name)' is made by no node") }
            return item
        }
    }

    /// Runs something whose failure is made good another way: what it found unsupported until then is forgotten.
    func attempt<T>(_ body: () throws -> T) throws -> T {
        let known = problems
        do { return try body() } catch {
            problems = known
            throw error
        }
    }

    // MARK: Values that must be known

    /// The error for a node that needs to know values that it doesn't.
    func unknown(_ context: NodeContext, _ what: String, _ values: [Value]) -> any Error {
        var names: Set<String> = []
        for value in values {
            guard let inputs = context.scope.inputs(reaching: value) else { return Unsupported(reason: "\(what) is computed while the model runs", fix: .fixedSizes) }
            names.formUnion(inputs)
        }
        if names.isEmpty { return Unsupported(reason: "\(what) can't be computed before the model runs", fix: .fixedSizes) }
        return ValueNeeded(file: file, node: "\(context.name) (\(context.node.opType))", what: what, inputs: names.sorted())
    }
}

extension Scope {
    /// The names of the model's inputs that a value is computed from; nil where it also depends on what changes within a region.
    func inputs(reaching value: Value) -> Set<String>? {
        var names: Set<String> = []
        let reached = contents.inputs(reaching: value)
        if let parent {
            let known = captured.filter { reached.contains($0.inner.id) }
            guard known.count == reached.count else { return nil }
            for value in known {
                guard let outer = parent.inputs(reaching: value.outer) else { return nil }
                names.formUnion(outer)
            }
        } else {
            let ports = builder.graph.inputs.filter { reached.contains($0.value) }
            guard ports.count == reached.count else { return nil }
            names.formUnion(ports.map(\.name))
        }
        return names
    }
}
