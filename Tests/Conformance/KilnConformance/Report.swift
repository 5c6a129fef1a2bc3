// What a run of the suite says: each failure with its reason, and a table by category.

import Foundation

struct Report {
    private let rows: [(test: Manifest.Case, verdict: Verdict)]
    private let known: [String: String]

    init(_ cases: [Manifest.Case], _ verdicts: [Verdict], known: [String: String]) {
        rows = Array(zip(cases, verdicts))
        self.known = known
    }

    /// Failures that are known, with the reasons: a case's name, a space and the reason a line.
    static func known(in file: String?) throws -> [String: String] {
        guard let file else { return [:] }
        var known: [String: String] = [:]
        for line in try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n") where !line.hasPrefix("#") {
            let parts = line.split(separator: " ", maxSplits: 1)
            known[String(parts[0])] = parts.count > 1 ? String(parts[1]) : ""
        }
        return known
    }

    private var passes: Int { rows.count { $0.verdict.reason == nil } }
    private var expected: Int { rows.count { $0.verdict.reason != nil && known[$0.test.name] != nil } }
    /// Failures that are not known, and known ones that passed.
    var failed: Int { rows.count { ($0.verdict.reason == nil) == (known[$0.test.name] != nil) } }

    func print() {
        for (test, verdict) in rows {
            if let reason = verdict.reason { Swift.print("\(known[test.name] == nil ? "FAILED" : "known") \(test.name): \(reason)") } else
                if known[test.name] != nil { Swift.print("FAILED \(test.name): passes, and is listed as known to fail") }
        }
        Swift.print("\ncategory              cases  passed  failed")
        let categories = Dictionary(grouping: rows, by: \.test.category)
        for (category, rows) in categories.sorted(by: { ($1.value.count, $0.key) < ($0.value.count, $1.key) }) {
            let passed = rows.count { $0.verdict.reason == nil }
            Swift.print(Self.row(category, rows.count, passed, rows.count - passed))
        }
        Swift.print(Self.row("all", rows.count, passes, rows.count - passes))
        Swift.print("\(expected) known failures; \(passes - rows.count { $0.verdict.reason == nil && known[$0.test.name] != nil }) passed, \(failed) failed")
    }

    private static func row(_ name: String, _ numbers: Int...) -> String {
        name.padding(toLength: 20, withPad: " ", startingAt: 0) + numbers.map { number in
            let text = "\(number)"
            return String(repeating: " ", count: max(8 - text.count, 1)) + text
        }.joined()
    }
}
