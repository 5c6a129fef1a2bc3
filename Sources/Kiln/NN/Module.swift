// What is learned, in parts: modules are classes whose parameters, buffers and parts are found by looking at their properties.
import KilnIR

/// A part of a model: a class with `Parameter`s, `Buffer`s and other modules as stored properties, in arrays and optionals too.
///
///     final class Classifier: Layer {
///         let hidden = Linear(64, 32), output = Linear(32, 10)
///         func callAsFunction(_ x: Tensor) -> Tensor { output(hidden(x).relu()) }
///     }
///
/// Names follow the properties, with dots: `hidden.weight`. Not thread-safe.
public protocol Module: AnyObject {
    /// Whether the module is being trained; modules that behave differently then (dropout, say) store it.
    var isTraining: Bool { get set }
}

/// A module from one tensor to one tensor.
public protocol Layer: Module {
    func callAsFunction(_ input: Tensor) -> Tensor
}

/// A layer whose calls know the line of the code that makes them; what it records, and its mistakes, name that line.
///
/// Such a layer implements `callAsFunction(_:file:line:)`, with the defaults `#fileID` and `#line`. Where it is called as a `Layer`, as in a
/// `Sequential`, the line is that of the outermost call.
public protocol LocatedLayer: Layer {
    func callAsFunction(_ input: Tensor, file: StaticString, line: UInt) -> Tensor
}

extension LocatedLayer {
    @_disfavoredOverload
    public func callAsFunction(_ input: Tensor) -> Tensor { callAsFunction(input, file: #fileID, line: #line) }
}

extension Module {
    public var isTraining: Bool {
        get { true }
        set {}
    }

    /// This module and all its parts with their dotted names, outermost first; a part that occurs twice is listed once.
    public var namedModules: [(name: String, module: any Module)] {
        var walk = ModuleWalk()
        walk.visit(self, "")
        return walk.modules
    }

    /// All parameters with their dotted names; one that is shared is listed once.
    public var namedParameters: [(name: String, parameter: Parameter)] {
        var walk = ModuleWalk()
        walk.visit(self, "")
        return walk.variables.compactMap { name, variable in (variable as? Parameter).map { (name, $0) } }
    }

    public var parameters: [Parameter] { namedParameters.map(\.parameter) }

    /// All buffers with their dotted names.
    public var namedBuffers: [(name: String, buffer: Buffer)] {
        var walk = ModuleWalk()
        walk.visit(self, "")
        return walk.variables.compactMap { name, variable in (variable as? Buffer).map { (name, $0) } }
    }

    /// All parameters and buffers.
    var variables: [Variable] {
        var walk = ModuleWalk()
        walk.visit(self, "")
        return walk.variables.map(\.variable)
    }

    /// The number of elements of all parameters.
    public var parameterCount: Int { parameters.reduce(0) { $0 + $1.stored.count } }

    /// Sets this module and its parts to be trained, or not.
    @discardableResult
    public func train(_ isTraining: Bool = true) -> Self {
        for (_, module) in namedModules { module.isTraining = isTraining }
        return self
    }

    /// Sets this module and its parts to be used rather than trained.
    @discardableResult
    public func eval() -> Self { train(false) }

    /// Forgets the gradients of all parameters.
    public func zeroGrad() { for parameter in parameters { parameter.grad = nil } }

    /// The parameters and buffers by name: what is saved.
    public func state() -> [String: Tensor] {
        var walk = ModuleWalk()
        walk.visit(self, "")
        return Dictionary(walk.variables.map { ($0.name, $0.variable.value.detach()) }, uniquingKeysWith: { first, _ in first })
    }

    /// Takes over parameters and buffers by name.
    ///
    /// Throws where a tensor has another type than the module's, and, unless `strict` is false, where a name is missing or unknown;
    /// nothing is changed then.
    public func load(state: [String: Tensor], strict: Bool = true) throws {
        var walk = ModuleWalk()
        walk.visit(self, "")
        let names = Set(walk.variables.map(\.name))
        if strict {
            let missing = walk.variables.map(\.name).filter { state[$0] == nil }
            let unknown = state.keys.sorted().filter { !names.contains($0) }
            let problems = (missing.isEmpty ? [] : ["the state has no \(quoted(missing))"])
                + (unknown.isEmpty ? [] : ["the module has no \(quoted(unknown))"])
            if !problems.isEmpty {
                throw CompileError("load(state:)", problems.joined(separator: ", and "), fix: "load what the same module saved, or pass strict: false")
            }
        }
        for (_, tensor) in state { if let error = tensor.error { throw error } }
        let unlike = walk.variables.compactMap { name, variable in
            state[name].flatMap { $0.type == variable.stored.type ? nil : "\"\(name)\" is \($0.type) in the state and \(variable.stored.type) in the module" }
        }
        if !unlike.isEmpty {
            throw CompileError("load(state:)", unlike.joined(separator: "; "), fix: "make the module as it was when it was saved")
        }
        for (name, variable) in walk.variables { if let tensor = state[name] { variable.update { $0.copy_(tensor) } } }
    }
}

/// Names in quotes.
func quoted(_ names: [String]) -> String { names.map { "\"\($0)\"" }.joined(separator: ", ") }

/// Finds what a module is made of, in the order of its properties.
struct ModuleWalk {
    /// Whether variables are told the names under which they are found, for messages.
    private let namesVariables: Bool
    var modules: [(name: String, module: any Module)] = []
    var variables: [(name: String, variable: Variable)] = []
    private var seen: Set<ObjectIdentifier> = []

    init(namesVariables: Bool = true) { self.namesVariables = namesVariables }

    mutating func visit(_ module: any Module, _ name: String) {
        guard seen.insert(ObjectIdentifier(module)).inserted else { return }
        modules.append((name, module))
        if let named = module as? any CustomModuleChildren {
            for child in named.children { visitValue(child.value, Self.join(name, child.name)) }
            return
        }
        var mirror: Mirror? = Mirror(reflecting: module)
        var levels: [Mirror] = []
        while let level = mirror {
            levels.append(level)
            mirror = level.superclassMirror
        }
        for level in levels.reversed() { for child in level.children { visitValue(child.value, Self.join(name, child.label)) } }
    }

    private mutating func visitValue(_ value: Any, _ name: String) {
        if let variable = value as? Variable {
            if seen.insert(ObjectIdentifier(variable)).inserted {
                variables.append((name, variable))
                // The outermost module has the longest name for it.
                if namesVariables, name.utf8.count > variable.path.utf8.count { variable.path = name }
            }
            return
        }
        if let module = value as? any Module { return visit(module, name) }
        let mirror = Mirror(reflecting: value)
        switch mirror.displayStyle {
        case .optional: for child in mirror.children { visitValue(child.value, name) }
        case .collection, .tuple:
            // Arrays of numbers are not looked into.
            if value is [Int] || value is [Double] || value is [Float] { return }
            for (index, child) in mirror.children.enumerated() { visitValue(child.value, Self.join(name, String(index))) }
        case .dictionary:
            let pairs = mirror.children.compactMap { child -> (String, Any)? in
                let pair = Array(Mirror(reflecting: child.value).children)
                return pair.count == 2 ? ("\(pair[0].value)", pair[1].value) : nil
            }
            for (key, value) in pairs.sorted(by: { $0.0 < $1.0 }) { visitValue(value, Self.join(name, key)) }
        default: break
        }
    }

    /// Property wrappers are stored under a name with an underscore.
    private static func join(_ prefix: String, _ label: String?) -> String {
        let label = label.map { $0.hasPrefix("_") ? String($0.dropFirst()) : $0 } ?? ""
        return prefix.isEmpty ? label : label.isEmpty ? prefix : prefix + "." + label
    }
}
