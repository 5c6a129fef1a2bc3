// Fourier transforms through compiled code against the sums that define them: lengths that are one table, that split, and primes.

import Foundation
import Kiln
import KilnIR
@testable import KilnONNX
import KilnOps
import Testing

@Suite struct FourierTransformTests {
    static let lengths = [1, 2, 5, 32, 33, 37, 64, 120, 521, 1042]

    @Test(arguments: lengths, [true, false]) func equalsItsDefinition(_ n: Int, isInverse: Bool) throws {
        for parts in [1, 2] {
            let values = (0..<n * parts).map { Double($0 * 37 % 101) / 101 - 0.5 }
            let result = try run(Literal(.f64, [1, n, parts], doubles: values)) { try FourierTransform(isInverse: isInverse)($0, axis: 1) }
            #expect(result.shape == [1, n, 2])
            let expected = defined(values, parts, n, isInverse)
            #expect(zip(result.doubles, expected).allSatisfy { abs($0 - $1) < 1e-12 * Double(n) })
        }
    }

    @Test(arguments: [8, 9, 64, 521]) func oneSideAndBack(_ n: Int) throws {
        let values = (0..<n).map { Double($0 * 29 % 53) / 53 }
        let signal = Literal(.f64, [n, 1], doubles: values)
        let side = try run(signal) { try FourierTransform(isOneSided: true)($0, axis: 0) }
        #expect(side.shape == [n / 2 + 1, 2])
        let back = try run(side) { try FourierTransform(isInverse: true, isOneSided: true)($0, axis: 0, length: .constant(n)) }
        #expect(back.shape == [n, 1])
        #expect(zip(back.doubles, values).allSatisfy { abs($0 - $1) < 1e-12 * Double(n) })
    }

    @Test func lengthsCutAndFill() throws {
        let signal = Literal(.f64, [6, 1], doubles: [1, 2, 3, 4, 5, 6])
        for length in [4, 6, 9] {
            let result = try run(signal) { try FourierTransform()($0, axis: 0, length: .constant(length)) }
            let padded = (0..<length).map { $0 < 6 ? Double($0 + 1) : 0 }
            #expect(zip(result.doubles, defined(padded, 1, length, false)).allSatisfy { abs($0 - $1) < 1e-12 })
        }
    }

    /// A length that is known only when the program runs.
    @Test(arguments: [1, 6, 41]) func openLengths(_ n: Int) throws {
        let values = (0..<n * 2).map { Double($0 * 37 % 101) / 101 - 0.5 }
        let builder = GraphBuilder("open")
        let x = builder.input("x", TensorType(.f64, ["n", 2]))
        let compiled = try CompiledGraph(try builder.finish([("y", try FourierTransform()(x, axis: 0))]))
        let result = try compiled.run([Literal(.f64, [n, 2], doubles: values)])[0]
        #expect(zip(result.doubles, defined(values, 2, n, false)).allSatisfy { abs($0 - $1) < 1e-12 * Double(n) })
    }

    /// The sum over all elements for each frequency: real and imaginary parts in turn.
    private func defined(_ values: [Double], _ parts: Int, _ n: Int, _ isInverse: Bool) -> [Double] {
        let roots = (0..<n).map { k in
            let angle = (isInverse ? 2 : -2) * Double.pi * Double(k) / Double(n)
            return (cos(angle), sin(angle))
        }
        return (0..<n).flatMap { frequency in
            var sum = (0.0, 0.0)
            for element in 0..<n {
                let (c, s) = roots[element * frequency % n], re = values[element * parts], im = parts == 2 ? values[element * 2 + 1] : 0
                sum = (sum.0 + re * c - im * s, sum.1 + re * s + im * c)
            }
            let scale = isInverse ? 1 / Double(n) : 1
            return [sum.0 * scale, sum.1 * scale]
        }
    }

    private func run(_ value: Literal, _ body: (Value) throws -> Value) throws -> Literal {
        let builder = GraphBuilder("transform")
        let result = try body(builder.input("x", value.type))
        return try CompiledGraph(try builder.finish([("y", result)])).run([value])[0]
    }
}
