// Reverse differentiation as a pass: a graph comes in, one that also computes gradients goes out.
// Gradients of gradients are the pass again; what the gradients don't need of the forward work is left to dead code.

import KilnIR
import KilnOps

/// Reverse differentiation of graphs.
public enum Differentiate {
    /// Where the cotangents of the differentiated values come from.
    public enum Seeds: Sendable {
        /// One everywhere: the gradients of the sum of the values' elements.
        case ones
        /// New inputs after the graph's own, one for each value, named `d` and the value's name.
        case inputs
    }

    /// The graph with the gradients of `values` with respect to `variables` as further outputs, in the variables' order.
    ///
    /// A variable on which the values don't depend has the gradient zero. Throws the user's error where an op on the way has no gradient.
    public static func gradients(_ graph: Graph, of values: [ValueID], withRespectTo variables: [ValueID],
                                 seeds: Seeds = .ones) throws -> Graph {
        for value in values + variables where !graph.types[value].dtype.isFloat {
            throw CompileError("differentiate", "the value `\(PortNames(graph).name(of: value))` is \(graph.types[value]), which carries no gradient",
                               fix: "cast it to a float dtype first")
        }
        let builder = GraphBuilder(graph, constants: Catalogue.constants)
        var names = PortNames(graph)
        let starts = values.map { value in
            let type = graph.types[value]
            let cotangent = switch seeds {
            case .ones: builder.full(1, type)
            case .inputs: builder.input(names.free("d\(names.name(of: value))"), type)
            }
            return (value: builder.value(value), cotangent: cotangent)
        }
        let gradients = try backward(builder, from: starts, to: variables.map(builder.value))
        let added = zip(variables, gradients).map { variable, gradient in
            (names.free("d\(names.name(of: variable))"), gradient ?? builder.full(0, graph.types[variable]))
        }
        return try builder.finish(graph.outputs.map { ($0.name, builder.value($0.value)) } + added)
    }

    /// The pass: the gradients of the first output's sum with respect to the float inputs.
    public static func apply(to graph: Graph) throws -> Graph {
        guard let output = graph.outputs.first else {
            throw CompileError("differentiate", "the graph `\(graph.name)` has no output", fix: "give it one of a float dtype")
        }
        let variables = graph.inputs.map(\.value).filter { graph.types[$0].dtype.isFloat }
        return try gradients(graph, of: [output.value], withRespectTo: variables)
    }
}

/// The names of a graph's inputs and outputs.
private struct PortNames {
    private var taken: Set<String>
    private var names: [ValueID: String] = [:]

    init(_ graph: Graph) {
        let ports = graph.inputs + graph.outputs
        taken = Set(ports.map(\.name))
        for port in ports where names[port.value] == nil { names[port.value] = port.name }
    }

    /// The name of a value that is an input or output, or its number.
    func name(of value: ValueID) -> String { names[value] ?? "v\(value)" }

    /// The name, or one made of it that no input or output has; from now on one of theirs.
    mutating func free(_ name: String) -> String {
        var name = name
        while !taken.insert(name).inserted { name += "_" }
        return name
    }
}
