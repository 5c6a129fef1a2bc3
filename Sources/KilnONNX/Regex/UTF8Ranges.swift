// Ranges of code points as the sequences of bytes that UTF-8 writes them with.

enum UTF8Ranges {
    /// A range of bytes for each place; every choice of bytes from one sequence is one code point of the set, and the other way round. In order.
    static func sequences(of set: ScalarSet) -> [[ClosedRange<UInt8>]] {
        var sequences: [[ClosedRange<UInt8>]] = []
        for range in set.ranges {
            // Code points of one length, none of them a surrogate.
            for block in [0...0x7F, 0x80...0x7FF, 0x800...0xD7FF, 0xE000...0xFFFF, 0x10000...0x10FFFF] as [ClosedRange<UInt32>] where block.overlaps(range) {
                split(range.clamped(to: block), into: &sequences)
            }
        }
        return sequences
    }

    /// A range of one length is one sequence where each byte but the first that differs takes all values.
    private static func split(_ range: ClosedRange<UInt32>, into sequences: inout [[ClosedRange<UInt8>]]) {
        let (low, high) = (range.lowerBound, range.upperBound)
        for trailing in 1..<4 {
            let mask = UInt32(1) << UInt32(6 * trailing) - 1
            guard high > 0x7F, low & ~mask != high & ~mask else { continue }
            if low & mask != 0 {
                split(low...low | mask, into: &sequences)
                return split((low | mask) + 1...high, into: &sequences)
            }
            if high & mask != mask {
                split(low...(high & ~mask) - 1, into: &sequences)
                return split(high & ~mask...high, into: &sequences)
            }
        }
        sequences.append(zip(bytes(low), bytes(high)).map { $0...$1 })
    }

    private static func bytes(_ scalar: UInt32) -> [UInt8] { Array(String(Character(Unicode.Scalar(scalar)!)).utf8) }
}
