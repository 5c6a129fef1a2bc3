// Launches that differ in their buffers alone run one function, and those that differ in anything else don't.

import KilnIR
import KilnKernels
@testable import KilnLLVM
import Testing

@Suite struct SharedTasksTests {
    private static let count = 100
    private static let type = TensorType(.f32, [.constant(count)])

    /// `to = from * factor`.
    private func product(_ from: Int, _ factor: Int, _ to: Int) -> Kernel {
        Kernel(name: "product", launches: [KernelLaunch(variable: 0, workItems: 2, work: 1_000_000, body: [
            lanesLoop(.constant(Self.count / 2), width: 16) { i in
                let at = Dim.index(0) * .constant(Self.count / 2) + i
                return [load(0, from, at), load(1, factor, 0), apply(2, .multiply, [0, 1], .f32), store(to, at, 2)]
            },
        ])])
    }

    private func chain(_ factors: [Double], _ rows: [Literal] = []) -> Program {
        var buffers = [Buffer("x", Self.type, .input(0)), Buffer("y", Self.type, .output(0))]
        let arena = (0..<factors.count - 1).map { buffers.count + $0 }
        buffers += arena.indices.map { Buffer("t\($0)", Self.type, .arena(offset: .constant(512 * $0))) }
        let constants = factors.indices.map { buffers.count + $0 }
        buffers += factors.enumerated().map { number, factor in
            let literal = rows.isEmpty ? Literal(.f32, [], doubles: [factor]) : rows[number]
            return Buffer("c\(number)", literal.type, .constant(literal))
        }
        let places = [0] + arena + [1]
        return Program(name: "chain", buffers: buffers, kernels: factors.indices.map { product(places[$0], constants[$0], places[$0 + 1]) },
                       steps: factors.indices.map { .launch($0) }, arenaSize: .constant(512 * factors.count))
    }

    @Test func likeLaunchesShareTheirFunction() throws {
        // Inside, from arena to arena, with tables that have more than one element: 1, 2 and 3 are alike.
        let tables = [2.0, 3, 5, 7, 11].map { Literal(.f32, [2], doubles: [$0, 0]) }
        let program = chain([2, 3, 5, 7, 11], tables)
        let tasks = SharedTasks(program)
        #expect((0..<5).map { tasks.task(kernel: $0, launch: 0).kernel } == [0, 1, 1, 1, 4])
        #expect(try run(program, [ramp(.f32, Self.count)])[0].doubles == (0..<Self.count).map { Double($0) * 2310 })
    }

    @Test func whatCodeKnowsOfAConstantKeepsItApart() throws {
        let program = chain([2, 3, 5, 3, 7])
        let tasks = SharedTasks(program)
        #expect((0..<5).map { tasks.task(kernel: $0, launch: 0).kernel } == [0, 1, 2, 1, 4])
        #expect(try run(program, [ramp(.f32, Self.count)])[0].doubles == (0..<Self.count).map { Double($0) * 630 })
    }

    /// A chain of `to = function(from, factor)`, whose factors are in the code.
    private func scaled(_ factors: [Double], _ function: ScalarFunction = .multiply) -> Program {
        var program = chain(factors.map { _ in 3 }, factors.map { _ in Literal(.f32, [2], doubles: [3, 0]) })
        for (number, factor) in factors.enumerated() {
            let from = number == 0 ? 0 : 1 + number, to = number == factors.count - 1 ? 1 : 2 + number
            program.kernels[number].launches[0].body = [lanesLoop(.constant(Self.count / 2), width: 16) { i in
                let at = Dim.index(0) * .constant(Self.count / 2) + i
                return [load(0, from, at), .define(1, .constant(.real(factor), .f32)), apply(2, function, [0, 1], .f32), store(to, at, 2)]
            }]
        }
        return program
    }

    /// Numbers that code is no better for knowing are given; those that make arithmetic simpler, or choices, are not.
    @Test func whatLaunchesScaleByIsGiven() throws {
        let program = scaled([3, 5, 7, 2, 9, 5, 11])
        let tasks = SharedTasks(program)
        #expect((0..<7).map { tasks.task(kernel: $0, launch: 0).kernel } == [0, 1, 1, 3, 1, 1, 6])
        #expect((0..<7).map { tasks.scalars(kernel: $0, launch: 0).count } == [0, 1, 1, 0, 1, 1, 0])
        let product = 3 * 5 * 7 * 2 * 9 * 5 * 11
        #expect(try run(program, [ramp(.f32, Self.count)])[0].doubles == (0..<Self.count).map { Double($0 * product) })
        let same = scaled([3, 5, 5, 5, 7]), most = scaled([3, 5, 7, 9, 11], .maximum)
        #expect((0..<5).map { SharedTasks(same).task(kernel: $0, launch: 0).kernel } == [0, 1, 1, 1, 4])
        #expect(SharedTasks(same).scalars(kernel: 1, launch: 0).isEmpty)
        #expect((0..<5).map { SharedTasks(most).task(kernel: $0, launch: 0).kernel } == [0, 1, 2, 3, 4])
    }

    @Test func nothingIsSharedWhereOneKernelIsShown() {
        let tasks = SharedTasks(chain([3, 3, 3, 3]), isShared: false)
        #expect((0..<4).allSatisfy { tasks.isFirst(kernel: $0, launch: 0) })
    }
}
