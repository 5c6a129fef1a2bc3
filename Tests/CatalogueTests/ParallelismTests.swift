// Large work is cut for any number of threads: every launch with much to do offers work items enough for 64, whatever the shapes.

import KilnCompiler
import KilnIR
import KilnKernels
import KilnOps
import Testing

struct ParallelismTests {
    /// Scalar operations from which on a launch must feed 64 threads.
    private static let muchWork = 1 << 21

    private static func f32(_ shape: [Int]) -> TensorType { TensorType(.f32, shape.map { .constant($0) }) }
    private static func indices(_ count: Int) -> TensorType { TensorType(.i64, [.constant(count)]) }

    private static let graphs: [(String, [TensorType], @Sendable ([Value]) -> Value)] = [
        ("a flat scan", [f32([1 << 22])], { $0[0].cumsum(0) }),
        ("a scan of few rows, backwards", [f32([3, 1 << 20])], { $0[0].cumsum(1, reverse: true) }),
        ("a scan along columns", [f32([4096, 1024])], { $0[0].cumsum(0) }),
        ("a scan of few columns", [f32([1 << 20, 3])], { $0[0].cumsum(0) }),
        ("a flat sum", [f32([1 << 22])], { $0[0].sum(0) }),
        ("a sum of few long rows", [f32([10, 1 << 19])], { $0[0].sum(1) }),
        ("a sum along columns", [f32([4096, 1024])], { $0[0].sum(0) }),
        ("a sum over a short and a long axis", [f32([3, 64, 1 << 15])], { $0[0].sum(0, 2) }),
        ("rows added by index", [f32([5000, 768]), indices(4096), f32([4096, 768])], { $0[0].put($0[1], $0[2], axis: 0, .add) }),
        ("elements set by index", [f32([1 << 20]), indices(1 << 20), f32([1 << 20])], { $0[0].put($0[1], $0[2], axis: 0) }),
        ("few long lines", [f32([1 << 20, 3])], { $0[0].t().exp() }),
        ("few results from many products", [f32([40, 1 << 17]), f32([1 << 17, 30])], { $0[0].matmul($0[1]) }),
        ("a matrix and a vector", [f32([1, 4096]), f32([4096, 1024])], { $0[0].matmul($0[1]) }),
        ("a flat sort", [f32([1 << 20])], { $0[0].sort(0).values }),
    ]

    @Test(arguments: graphs.indices) func largeWorkFeedsManyThreads(_ number: Int) throws {
        let (name, types, body) = Self.graphs[number]
        let builder = GraphBuilder("large")
        let inputs = types.enumerated().map { builder.input("x\($0.offset)", $0.element) }
        let program = try Pipeline.compile(builder.finish([("y", body(inputs))])).program
        for kernel in program.kernels {
            for (number, launch) in kernel.launches.enumerated() where (launch.work.constant ?? .max) >= Self.muchWork {
                let workItems = launch.workItems.constant ?? 0
                #expect(workItems >= 64, "\(name): launch \(number) of \(kernel.name) has \(workItems) work items for \(launch.work) operations")
            }
        }
    }
}
