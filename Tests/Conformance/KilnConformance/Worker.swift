// Runs cases in processes of their own, so that one that ends badly or hangs is one failure: names go out, verdicts come back.

import Foundation
import Synchronization

/// How a case ended; nil where it passed, else the reason why not.
struct Verdict: Sendable {
    var name: String
    var reason: String?
}

/// A process that runs one case after another.
private final class Worker {
    private let process = Process()
    private let input = Pipe(), output = Pipe()
    private var buffer = Data()

    init(_ suite: String) throws {
        process.executableURL = URL(fileURLWithPath: CommandLine.arguments[0])
        process.arguments = ["--worker", suite]
        process.standardInput = input
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
    }

    /// Nil where the process ended instead of answering.
    func verdict(on name: String, seconds: Double) -> String? {
        do { try input.fileHandleForWriting.write(contentsOf: Data((name + "\n").utf8)) } catch { return nil }
        let process = process
        let guardian = DispatchWorkItem { process.terminate() }
        DispatchQueue.global().asyncAfter(deadline: .now() + seconds, execute: guardian)
        defer { guardian.cancel() }
        while true {
            if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: buffer[..<end], as: UTF8.self)
                buffer = Data(buffer[buffer.index(after: end)...])
                return line
            }
            let more = output.fileHandleForReading.availableData
            if more.isEmpty { return nil }
            buffer.append(more)
        }
    }

    /// Ends the process and says how it ended.
    func end() -> String {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
        return process.terminationReason == .uncaughtSignal
            ? process.terminationStatus == SIGTERM ? "takes too long" : "the process ended with signal \(process.terminationStatus)"
            : "the process ended with code \(process.terminationStatus)"
    }
}

enum Workers {
    /// How long a case may take.
    private static let patience = 120.0

    /// Runs all cases on so many processes at a time; the verdicts are in the cases' order.
    static func run(_ names: [String], suite: String, jobs: Int) -> [Verdict] {
        let state = Mutex((next: 0, verdicts: [Int: Verdict]()))
        DispatchQueue.concurrentPerform(iterations: jobs) { _ in
            var worker: Worker?
            while let number = state.withLock({ state -> Int? in
                defer { state.next += 1 }
                return state.next < names.count ? state.next : nil
            }) {
                let name = names[number]
                var reason: String?
                do {
                    let running = try worker ?? Worker(suite)
                    worker = running
                    if let line = running.verdict(on: name, seconds: patience) { reason = line == "pass" ? nil : line } else {
                        reason = running.end()
                        worker = nil
                    }
                } catch { reason = "\(error)" }
                state.withLock { $0.verdicts[number] = Verdict(name: name, reason: reason) }
            }
            _ = worker?.end()
        }
        return state.withLock { state in names.indices.compactMap { state.verdicts[$0] } }
    }

    /// What a worker does: reads names, answers each with one line.
    static func serve(_ manifest: Manifest, suite: String) {
        let cases = Dictionary(manifest.tests.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        while let name = readLine() {
            let answer: String
            if let test = cases[name] {
                do {
                    try CaseRun(test: test, folder: suite + "/" + test.dir).run()
                    answer = "pass"
                } catch { answer = String("\(error)".replacingOccurrences(of: "\n", with: " | ").prefix(400)) }
            } else { answer = "there is no such case" }
            FileHandle.standardOutput.write(Data((answer + "\n").utf8))
        }
    }
}
