// What a service cares for, measured in ratios: calls of one library by two threads beside calls by one, and what checking indices costs.
// Out comes a line for each, and whether the bounds of the comparison hold.

import Foundation
import Kiln
import KilnCompiler
import KilnExecution
import KilnIR
import KilnOps

enum Requests {
    /// Times a body, in seconds.
    private static func seconds(_ body: () throws -> Void) rethrows -> Double {
        let start = DispatchTime.now().uptimeNanoseconds
        try body()
        return Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
    }

    private static func percentile(_ percent: Int, of times: [Double]) -> Double {
        times.isEmpty ? 0 : times.sorted()[min(times.count * percent / 100, times.count - 1)]
    }

    // MARK: Two threads

    /// What two request threads have for each other's times.
    private final class Times: @unchecked Sendable {
        private let lock = NSLock()
        private var all: [Double] = []
        private var failure: (any Error)?
        func add(_ result: Result<[Double], any Error>) {
            lock.lock()
            defer { lock.unlock() }
            switch result {
            case .success(let times): all += times
            case .failure(let error): failure = error
            }
        }
        func get() throws -> [Double] {
            if let failure { throw failure }
            return all
        }
    }

    /// The times of so many calls by each of some threads at once.
    private static func times(_ executable: Executable, _ inputs: [DeviceBuffer], threads: Int, calls: Int) throws -> [Double] {
        let times = Times(), group = DispatchGroup()
        let start = DispatchTime.now() + .milliseconds(2)
        for _ in 0..<threads {
            group.enter()
            Thread.detachNewThread {
                while DispatchTime.now() < start {}
                times.add(Result {
                    try (0..<calls).map { _ in try seconds { _ = try executable.run(inputs) } }
                })
                group.leave()
            }
        }
        group.wait()
        return try times.get()
    }

    /// Calls a library from one thread and from two, in turn, and prints how much longer a call of two takes: twice as long is the least
    /// where one alone keeps two cores busy.
    /// - Returns: whether a call of two takes at most 2.2 times one alone, at the 99th percentile of both.
    static func concurrent() throws -> Bool {
        let folder = NSTemporaryDirectory() + "kiln-requests-\(getpid())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var holds = true
        for (name, batch, width) in [("mlp_small", 4, 512), ("mlp_large", 64, 1024)] {
            let workload = GraphWorkload([[batch, width], [width, width], [width, width], [width, width]]) { x in
                (1...3).reduce(x[0]) { $0.linear(x[$1]).relu() }
            }
            try workload.graph(named: name).writeLibrary(to: "\(folder)/\(name).so")
            let executable = try SharedLibrary(path: "\(folder)/\(name).so").executable(name)
            let inputs = try workload.makeInputs()
            let calls = 1000
            _ = try times(executable, inputs, threads: 2, calls: 50)
            var alone: [Double] = [], together: [Double] = []
            for _ in 0..<5 {
                alone += try times(executable, inputs, threads: 1, calls: calls)
                together += try times(executable, inputs, threads: 2, calls: calls)
            }
            let (middle, late) = (percentile(50, of: alone), percentile(99, of: alone))
            let (middleOfTwo, lateOfTwo) = (percentile(50, of: together), percentile(99, of: together))
            holds = holds && lateOfTwo <= 2.2 * late
            print("""
                \(name): one thread \(text(middle * 1e6, digits: 1)) us, \(text(late * 1e6, digits: 1)) at 99 %; two \(text(middleOfTwo * 1e6, digits: 1)) us, \
                \(text(lateOfTwo * 1e6, digits: 1)) at 99 %: \(text(middleOfTwo / middle, digits: 2)) and \(text(lateOfTwo / late, digits: 2)) times one alone
                """)
        }
        return holds
    }

    // MARK: Index checks

    /// Looks rows up with and without the check of the indices, in turn, and prints the medians' ratio.
    /// - Returns: whether the check costs at most 2 %.
    static func indexChecks() throws -> Bool {
        let table = TensorType(.f32, [50_000, 768])
        @Sendable func rows(_ x: [Value]) -> Value { x[1].take(x[0].checked(below: 50_000, for: "embedding", axis: 0, countsFromEnd: false), axis: 0) }
        let steps: [(name: String, workload: GraphWorkload)] = [
            ("embedding_4096x768", GraphWorkload([TensorType(.i64, [4096]), table], limit: 50_000, rows)),
            ("embedding_128x768", GraphWorkload([TensorType(.i64, [128]), table], limit: 50_000, rows)),
            ("embedding_bag_4096x32x768", GraphWorkload([TensorType(.i64, [4096, 32]), table], limit: 50_000) { rows($0).sum(1) }),
        ]
        var holds = true
        for step in steps {
            let inputs = try step.workload.makeInputs()
            let run = try [true, false].map { isChecked in
                let executable = try Executable(Pipeline.code(for: step.workload.graph(), options: Options(checksIndices: isChecked)))
                return { _ = try executable.run(inputs) }
            }
            var times: [[Double]] = [[], []]
            let start = Date()
            while times[0].count < 20 || Date().timeIntervalSince(start) < 4 {
                for (index, call) in run.enumerated() { times[index].append(try seconds(call)) }
            }
            let (checked, plain) = (percentile(50, of: times[0]), percentile(50, of: times[1]))
            holds = holds && checked <= 1.02 * plain
            print("\(step.name): \(text(checked * 1e6, digits: 1)) us checked, \(text(plain * 1e6, digits: 1)) not: \(text((checked / plain - 1) * 100, digits: 1)) % more")
        }
        return holds
    }
}
