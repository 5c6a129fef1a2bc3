// Whole programs: steps, checks, constants, workspaces, several launches and work items, and code that must be in the assembly.

import KilnIR
import KilnKernels
import KilnLLVM
import KilnRuntime
import Testing

@Suite struct ProgramTests {
    /// `x[i] += 1` for one i64 in the buffer, and `flag = x < limit`.
    private func counting(_ limit: Int) -> Program {
        let number = TensorType(.i64, []), flag = TensorType(.bool, [])
        let increment = Kernel(name: "increment", launches: [KernelLaunch(variable: 0, workItems: 1, work: 1, body: [
            load(0, 1, 0), .define(1, .constant(.integer(1), .i64)), apply(2, .add, [0, 1], .i64), store(1, 0, 2),
        ])])
        let test = Kernel(name: "test", launches: [KernelLaunch(variable: 0, workItems: 1, work: 1, body: [
            load(0, 1, 0), .define(1, .constant(.integer(Int64(limit)), .i64)), apply(2, .less, [0, 1], .bool), store(2, 0, 2),
        ])])
        let buffers = [Buffer("start", number, .input(0)), Buffer("x", number, .output(0)), Buffer("flag", flag, .arena(offset: 64))]
        return Program(name: "count", buffers: buffers, kernels: [increment, test],
                       steps: [.copy(from: 0, to: 1), .loop(test: [.launch(1)], condition: 2, body: [.launch(0)]),
                               .launch(1), .branch(condition: 2, then: [.launch(0)], otherwise: [.launch(0), .launch(0)])],
                       arenaSize: 128)
    }

    @Test(arguments: [0, 5, 100])
    func loopsAndBranches(start: Int) throws {
        let result = try run(counting(10), [Literal(.i64, [], scalars: [.integer(Int64(start))])])
        #expect(result[0].scalars == [.integer(Int64(max(start, 10) + 2))])
    }

    @Test func checksFailWithTheirMessage() throws {
        let type = TensorType(.f32, ["n"])
        var made = program("checked", inputs: [type], outputs: [type], symbols: ["n"],
                           body: [lanesLoop("n", width: 4) { [load(0, 0, $0), store(1, $0, 0)] }])
        made.steps = [.check(.isNonNegative("n"), message: "never"), .check(.isZero(Dim.symbol("n") % 4), message: "n must be a multiple of 4"),
                      .launch(0)]
        #expect(try run(made, [ramp(.f32, 8)], symbols: [8])[0].doubles == (0..<8).map(Double.init))
        let failed = try call(made, [ramp(.f32, 7)], symbols: [7])
        #expect(failed.status == KILN_CHECK_FAILED)
        #expect(String(cString: kiln_last_error()).contains("n must be a multiple of 4"))
    }

    @Test func constantsWorkspacesAndLaunches() throws {
        // Launch 0 writes 3*x into the arena, work item by work item through a workspace; launch 1 adds the constants.
        let rows = 37, columns = 50
        let type = TensorType(.f32, [.constant(rows), .constant(columns)])
        let table = ramp(.f32, columns, from: 0.5)
        let buffers = [Buffer("x", type, .input(0)), Buffer("y", type, .output(0)), Buffer("t", type, .arena(offset: 0)),
                       Buffer("table", table.type, .constant(table)), Buffer("three", TensorType(.f32, []), .constant(Literal(.f32, [], doubles: [3])))]
        let row = Dim.index(0) * .constant(columns)
        let first = KernelLaunch(variable: 0, workItems: .constant(rows), work: 100_000, body: [
            .local(Local(id: 0, dtype: .f32, count: .constant(columns), storage: .workspace(offset: 64))),
            lanesLoop(.constant(columns), width: 16) { i in
                [load(0, 0, row + i), load(1, 4, 0), apply(2, .multiply, [0, 1], .f32), .store(Access(.local(0), i), 2, streaming: false)]
            },
            lanesLoop(.constant(columns), width: 16, loop: 3, lane: 4) { i in
                [.define(3, .load(Access(.local(0), i), fill: .real(0))), store(2, row + i, 3)]
            },
        ])
        let second = KernelLaunch(variable: 0, workItems: .constant(rows), work: 100_000, body: [
            lanesLoop(.constant(columns), width: 16) { i in
                [load(0, 2, row + i), load(1, 3, i), apply(2, .add, [0, 1], .f32), store(1, row + i, 2)]
            },
        ])
        let made = Program(name: "phases", buffers: buffers, kernels: [Kernel(name: "a/b", launches: [first, second])], steps: [.launch(0)],
                           arenaSize: .constant(rows * columns * 4), workspaceSize: .constant(64 + columns * 4))
        let x = Literal(.f32, [rows, columns], doubles: (0..<rows * columns).map(Double.init))
        let expected: [Double] = (0..<rows * columns).map { (i: Int) -> Double in Double(3 * i) + 0.5 + Double(i % columns) }
        #expect(try run(made, [x])[0].doubles == expected)
    }

    @Test func reductionsOfLanesAreTrees() throws {
        let kinds: [(ReductionKind, (Float, Float) -> Float)] = [
            (.sum, (+)), (.product, (*)), (.maximum, { max($0, $1) }), (.minimum, { min($0, $1) }),
        ]
        let source = Literal(.f32, [16], doubles: (0..<16).map { 1 + Double(($0 * 7919) % 13) / 7 })
        for (kind, combine) in kinds {
            let made = program("tree", inputs: [source.type], outputs: [TensorType(.f32, [])], body: [
                .define(0, .reduceLanes(kind, .buffer(0), address: 0, width: 16)), store(1, 0, 0),
            ])
            var values = source.doubles.map { Float($0) }
            while values.count > 1 { values = (0..<values.count / 2).map { combine(values[$0], values[$0 + values.count / 2]) } }
            #expect(try run(made, [source])[0].doubles == [Double(values[0])], "\(kind)")
        }
    }

    @Test(arguments: [(0, "else"), (1, "then")])
    func branchesOnIndices(n: Int, name: String) throws {
        let made = program("branch", inputs: [], outputs: [TensorType(.i32, [])], symbols: ["n"], body: [
            .branch([.isZero(Dim.symbol("n") - 1)], then: [.define(0, .constant(.integer(7), .i32)), store(0, 0, 0)],
                    otherwise: [.define(0, .constant(.integer(8), .i32)), store(0, 0, 0)]),
        ])
        #expect(try run(made, [], symbols: [Int64(n)])[0].scalars == [.integer(name == "then" ? 7 : 8)])
    }

    @Test func accumulatorsCarryThroughLoops() throws {
        let x = ramp(.f32, 1000)
        let made = program("carry", inputs: [x.type], outputs: [TensorType(.f32, [])], body: [
            .local(Local(id: 0, dtype: .f32, count: 16)),
            .lanes(variable: 2, width: 16, count: 16, body: [
                .define(0, .constant(.real(0), .f32)), .store(Access(.local(0), .index(2)), 0, streaming: false),
            ]),
            lanesLoop(1000, width: 16, loop: 1, lane: 3) { i in
                [load(0, 0, i), .define(1, .load(Access(.local(0), .index(3)), fill: .real(0))), apply(2, .add, [0, 1], .f32),
                 .store(Access(.local(0), .index(3)), 2, streaming: false)]
            },
            .define(4, .reduceLanes(.sum, .local(0), address: 0, width: 16)), store(1, 0, 4),
        ])
        #expect(try run(made, [x])[0].doubles == [499500])
        let text = try LLVMBackend.llvmText(made, kernel: 0, target: host)
        #expect(!text.contains("alloca"))
    }

    @Test func malformedProgramsAreErrors() throws {
        let type = TensorType(.f32, [4])
        func fails(_ body: [Statement], steps: [Step] = [.launch(0)]) {
            var made = program("bad", inputs: [type], outputs: [type], body: body)
            made.steps = steps
            #expect(throws: InternalError.self) { try LLVMBackend.compile(made, target: host) }
        }
        fails([load(0, 9, 0)])
        fails([store(1, 0, 5)])
        fails([load(0, 0, .index(3))])
        fails([load(0, 0, "m")])
        fails([.local(Local(id: 0, dtype: .f64, count: 1_000_000))])
        fails([load(0, 0, 0), apply(1, .shiftLeft, [0, 0], .f32)])
        fails([load(0, 0, 0), apply(1, .convert, [0], .f64), store(1, 0, 1)])
        fails([.lanes(variable: 1, width: 3, count: 3, body: [])])
        fails([], steps: [.launch(1)])
        fails([], steps: [.copy(from: 0, to: 7)])
        fails([], steps: [.branch(condition: -1, then: [], otherwise: [])])
    }
}
