// Runs compiled kernels of one f32 over all 2^32 arguments and holds them against the ops' reference in Double:
//
//     KilnUlp [--step N] [--threads N] [op …]
//
// prints each op's greatest error and where it is; exits with 1 where an op exceeds the bound it states.

import Foundation
import KilnIR
import KilnOps

var names: [String] = []
var step = 1
var threads = 2
var words = CommandLine.arguments.dropFirst()
while let word = words.popFirst() {
    switch word {
    case "--step": step = words.popFirst().flatMap { Int($0) } ?? 0
    case "--threads": threads = words.popFirst().flatMap { Int($0) } ?? 0
    default: names.append(word)
    }
}
let known = Catalogue.all.filter { $0.operandCount == 1 && $0.ulp > 0 && $0.dtypes.contains(.f32) && $0.reference?.real != nil }
let ops = names.isEmpty ? known : names.compactMap { name in known.first { $0.name == name } }
guard step > 0, threads > 0, ops.count == (names.isEmpty ? known.count : names.count) else {
    FileHandle.standardError.write(Data("usage: KilnUlp [--step N] [--threads N] [\(known.map(\.name).joined(separator: " "))]\n".utf8))
    exit(1)
}

var isWithin = true
for op in ops {
    let sweep = try Sweep(op, step: step)
    let worst = try await sweep.run(threads: threads)
    let isGood = worst.ulp <= op.ulp
    isWithin = isWithin && isGood
    print("\(op.name): \(worst.ulp) ulp at \(worst.argument), which gives \(worst.value); stated \(op.ulp)\(isGood ? "" : " EXCEEDED")")
}
exit(isWithin ? 0 : 1)
