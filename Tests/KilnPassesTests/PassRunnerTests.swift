// Running passes by name: the log, the report, the errors.

import KilnIR
import KilnOps
import KilnPasses
import Testing

struct PassRunnerTests {
    private func graph() throws -> Graph {
        let builder = GraphBuilder("g")
        let x = builder.input("x", TensorType(.f32, ["n"]))
        return try builder.finish([("y", (x * 1).exp() + (x * 1).exp())])
    }

    @Test func stepsAreLoggedAndTimed() throws {
        let lines = Lines()
        let runner = PassRunner(verifies: true, log: { lines.append($0) })
        let (result, steps) = try runner.run(Passes.named(list: "common-subexpressions, simplify,dead-code,simplify"), on: graph())
        #expect(result.operations.map(\.op.name) == ["exp", "add"])
        #expect(steps.map(\.hasChanged) == [true, true, false, false])
        #expect(steps.map(\.operationsBefore) == [7, 4, 2, 2])
        #expect(steps.allSatisfy { $0.duration > .zero })
        #expect(lines.all.count == 4)
        #expect(lines.all[1].hasPrefix("-- after simplify\ngraph @g"))
        #expect(lines.all[3] == "-- after simplify\n(unchanged)\n")
    }

    @Test func unknownPassesAreTheUsersError() {
        let error = #expect(throws: CompileError.self) { try Passes.named(list: "simplify,simplfy") }
        #expect(error?.description.contains("there is no pass `simplfy`") == true)
        #expect(error?.fix.contains("dead-code") == true)
    }

    @Test func aPassThatBreaksTheGraphIsBlamed() throws {
        let breaking = Pass("breaking", "makes an output of nothing") { graph in
            var copy = graph
            copy.operations.removeAll()
            return copy
        }
        let error = #expect(throws: InternalError.self) { try PassRunner(verifies: true).run([breaking], on: graph()) }
        #expect(error?.pass == "breaking")
    }

    private final class Lines: @unchecked Sendable {
        private(set) var all: [String] = []
        func append(_ line: String) { all.append(line) }
    }
}
