// Runs passes one after the other: a graph and a list come in, the last graph and a report for each pass go out.
// Each step can be verified and logged; a pass that changes nothing is logged as such.

import KilnIR

/// How passes are run.
public struct PassRunner: Sendable {
    /// Whether the verifier runs after each pass.
    public var verifies: Bool
    /// Receives a heading and the graph's text after each pass, or `(unchanged)`.
    public var log: (@Sendable (String) -> Void)?

    public init(verifies: Bool = false, log: (@Sendable (String) -> Void)? = nil) {
        self.verifies = verifies
        self.log = log
    }

    /// What a pass did.
    public struct Step: Sendable {
        public var pass: String
        public var duration: Duration
        public var operationsBefore: Int
        public var operationsAfter: Int
        public var hasChanged: Bool
    }

    /// Runs the passes in order, and gives the last graph alone.
    public func apply(_ passes: [Pass], to graph: Graph) throws -> Graph {
        // What a report says costs as much as some passes do.
        if log != nil { return try run(passes, on: graph).graph }
        var graph = graph
        for pass in passes {
            graph = try pass.run(graph)
            if verifies { try graph.verify(after: pass.name) }
        }
        return graph
    }

    /// Runs the passes in order.
    public func run(_ passes: [Pass], on graph: Graph) throws -> (graph: Graph, steps: [Step]) {
        var graph = graph
        var steps: [Step] = []
        for pass in passes {
            let before = graph
            let clock = ContinuousClock()
            let start = clock.now
            graph = try pass.run(before)
            let duration = clock.now - start
            if verifies { try graph.verify(after: pass.name) }
            let hasChanged = !graph.isStructurallyEqual(to: before)
            log?("-- after \(pass.name)\n" + (hasChanged ? graph.description : "(unchanged)") + "\n")
            steps.append(Step(pass: pass.name, duration: duration, operationsBefore: before.operations.count,
                              operationsAfter: graph.operations.count, hasChanged: hasChanged))
        }
        return (graph, steps)
    }
}
