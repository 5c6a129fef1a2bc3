// All cases of ops, and workloads, as files of a kit.

import Foundation
import KilnIR
import KilnOps

/// Writes the cases of ops, on all cores. How many there are, and how many do not compile.
func writeCases(of ops: [OpDefinition], to kit: Kit) async -> (written: Int, failed: Int) {
    await withTaskGroup(of: (written: Int, failed: Int).self) { group in
        for op in ops { group.addTask { writeCases(of: op, to: kit) } }
        return await group.reduce((written: 0, failed: 0)) { ($0.written + $1.written, $0.failed + $1.failed) }
    }
}

/// Writes the cases of an op, as one file where they compile together, else each alone. How many there are, and how many failed.
private func writeCases(of op: OpDefinition, to kit: Kit) -> (written: Int, failed: Int) {
    let name = "op_" + String(op.name.map { $0.isLetter || $0.isNumber ? $0 : "_" })
    func write(_ cases: [Case], _ name: String) throws {
        let file = try CaseFile(cases, name: name)
        try kit.write(file.bytes(symbols: ["n": 5], seed: 1), to: "\(name).cases")
        try kit.link(file.graph)
    }
    let cases = op.dtypes.flatMap { Case.samples(op, $0) }
    if cases.isEmpty { return (0, 0) }
    do {
        try write(cases, name)
        return (cases.count, 0)
    } catch {
        try? FileManager.default.removeItem(at: kit.folder.appending(path: "\(name).cases"))
        var failed = 0
        for (number, item) in cases.enumerated() {
            do { try write([item], "\(name)_\(number)") } catch {
                try? FileManager.default.removeItem(at: kit.folder.appending(path: "\(name)_\(number).cases"))
                if failed == 0 { Kit.note("\(item.label): \(error)") }
                failed += 1
            }
        }
        return (cases.count - failed, failed)
    }
}

/// Writes workloads, on all cores, and their list. How many do not compile.
func writeWorkloads(_ workloads: [Workload], to kit: Kit, list: String) async -> Int {
    let lines = await withTaskGroup(of: (Int, String?).self) { group in
        for (number, workload) in workloads.enumerated() {
            group.addTask {
                do {
                    try kit.link(workload.graph())
                    return (number, workload.line)
                } catch {
                    Kit.note("\(workload.name): \(error)")
                    return (number, nil)
                }
            }
        }
        return await group.reduce(into: [String?](repeating: nil, count: workloads.count)) { $0[$1.0] = $1.1 }
    }
    let text = "# NAME LIBRARY PROGRAM KIND AMOUNT TOLERANCE SCALE…\n" + lines.compactMap { $0 }.joined()
    do { try kit.write(Array(text.utf8), to: list) } catch {
        Kit.note("\(list): \(error)")
        return workloads.count
    }
    return lines.filter { $0 == nil }.count
}
