// Gather, scatter and random bits: positions out of range, duplicates, known answers.

import KilnIR
import KilnOps
import Testing

struct StructuralIndexTests {
    let row = reals([4], [10, 20, 30, 40])

    @Test(arguments: [DType.i8, .i16, .i32, .i64]) func takeCountsFromTheEndOnceAndClamps(dtype: DType) throws {
        #expect(try evaluate([row, integers([2, 3], [0, -1, -4, -5, 4, 100], dtype)]) { $0[0].take($0[1], axis: 0) }
            .isNear([2, 3], [10, 40, 10, 10, 40, 40]))
    }

    @Test func tables() throws {
        let table = reals([3, 2], [1, 2, 3, 4, 5, 6])
        #expect(try evaluate([table, integers([2], [2, 0])]) { $0[0].embedding($0[1]) }.isNear([2, 2], [5, 6, 1, 2]))
        #expect(try evaluate([table, integers([3, 1], [1, 0, 1])]) { $0[0].gather(1, $0[1]) }.isNear([3, 1], [2, 3, 6]))
        #expect(try evaluate(integers([2], [2, 0])) { $0.oneHot(3, dtype: .f32) } == Literal(.f32, [2, 3], doubles: [0, 0, 1, 1, 0, 0]))
        #expect(try gradients([table, integers([3], [2, 2, 7])]) { $0[0].embedding($0[1]) }[0].isNear([3, 2], [0, 0, 0, 0, 9, 12]))
    }

    @Test func scatterDropsAndOrders() throws {
        let updates = reals([4], [1, 2, 3, 4]), places = integers([4], [1, 1, -1, 4])
        let put = { (kind: ScatterKind) in try evaluate([row, updates, places]) { $0[0].put($0[2], $0[1], axis: 0, kind) } }
        #expect(try put(.set).isNear([4], [10, 2, 30, 3]))
        #expect(try put(.add).isNear([4], [10, 23, 30, 43]))
        #expect(try put(.multiply).isNear([4], [10, 40, 30, 120]))
        #expect(try put(.maximum).isNear([4], [10, 20, 30, 40]))
        #expect(try put(.minimum).isNear([4], [10, 1, 30, 3]))
    }

    @Test func scatterGradients() throws {
        let updates = reals([4], [1, 2, 3, 4]), places = integers([4], [1, 1, -1, 4])
        let found = { (kind: ScatterKind) in try gradients([row, updates, places]) { $0[0].scatter(0, $0[2], $0[1], kind) } }
        // Weights 1 2 3 4; the first update loses to the second, the last is dropped.
        let set = try found(.set)
        #expect(set[0].isNear([4], [1, 0, 3, 0]) && set[1].isNear([4], [0, 2, 4, 0]))
        let sum = try found(.add)
        #expect(sum[0].isNear([4], [1, 2, 3, 4]) && sum[1].isNear([4], [2, 2, 4, 0]))
        let product = try found(.multiply)
        #expect(product[0].isNear([4], [1, 4, 3, 12]) && product[1].isNear([4], [80, 40, 160, 0]))
        let least = try found(.minimum)
        #expect(least[0].isNear([4], [1, 0, 3, 0]) && least[1].isNear([4], [2, 0, 4, 0]))
        let zero = try gradients([row, reals([4], [0, 2, 3, 4]), places]) { $0[0].scatter(0, $0[2], $0[1], .multiply) }
        #expect(zero[0].isNear([4], [1, 0, 3, 12]) && zero[1].isNear([4], [80, 0, 160, 0]))
    }

    @Test func philoxIsTheAuthors() {
        // The known answers of Random123's kat_vectors for philox4x32-10.
        #expect(philox([0, 0, 0, 0], [0, 0]) == [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8])
        let ones = UInt32.max
        #expect(philox([ones, ones, ones, ones], [ones, ones]) == [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd])
        #expect(philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0])
            == [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1])
    }

    @Test(arguments: [[0, 0], [0xa409_3822, 0x299f_31d0], [7, 0xffff_ffff]] as [[UInt32]]) func bitsAreThePhiloxOfThePosition(key: [UInt32]) throws {
        let bits = try evaluate(Literal(.u32, [2], scalars: key.map { .unsigned(UInt64($0)) })) { Value.randomBits(key: $0, [3, 5]) }
        let expected = (0..<4).flatMap { philox([UInt32($0), 0, 0, 0], key) }.prefix(15)
        #expect(bits == Literal(.u32, [3, 5], scalars: expected.map { .unsigned(UInt64($0)) }))
    }

    @Test func distributions() throws {
        let key = Literal(.u32, [2], scalars: [.unsigned(1), .unsigned(2)])
        let count = 20_000
        let uniform = try evaluate(key) { Value.uniform(key: $0, [.constant(count)], low: -1, high: 3) }.doubles
        #expect(uniform.allSatisfy { $0 >= -1 && $0 < 3 })
        // Means and variances within five standard errors: 1/3 of the width's square over 4, and 2 for a normal's square.
        #expect(abs(mean(uniform) - 1) < 5 * (16.0 / 12 / Double(count)).squareRoot())
        let normal = try evaluate(key) { Value.normal(key: $0, [.constant(count)], dtype: .f64) }.doubles
        #expect(abs(mean(normal)) < 5 / Double(count).squareRoot())
        #expect(abs(mean(normal.map { $0 * $0 }) - 1) < 5 * (2 / Double(count)).squareRoot())
        let dice = try evaluate(key) { Value.randint(key: $0, [6000], low: 1, high: 7) }.doubles
        for face in 1...6 { #expect(abs(dice.count { $0 == Double(face) } - 1000) < 5 * 29) }
        #expect(dice.allSatisfy { $0 >= 1 && $0 <= 6 })
        let coins = try evaluate(key) { Value.bernoulli(key: $0, [10_000], probability: 0.25) }.doubles
        #expect(abs(coins.reduce(0, +) - 2500) < 5 * 44)
    }

    private func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }

    /// Philox4x32-10 with machine integers, independent of the op.
    private func philox(_ counter: [UInt32], _ key: [UInt32]) -> [UInt32] {
        var (c, k) = (counter, key)
        for round in 0..<10 {
            if round > 0 { k = [k[0] &+ 0x9E37_79B9, k[1] &+ 0xBB67_AE85] }
            let (a, b) = (c[0].multipliedFullWidth(by: 0xD251_1F53), c[2].multipliedFullWidth(by: 0xCD9E_8D57))
            c = [b.high ^ c[1] ^ k[0], b.low, a.high ^ c[3] ^ k[1], a.low]
        }
        return c
    }
}
