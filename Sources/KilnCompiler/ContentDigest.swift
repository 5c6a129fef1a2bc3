// A digest of much data, at the speed of memory: bytes come in, 32 bytes go out that differ where the bytes do, unless somebody who knows
// the digest made them so. It tells apart what one user's files hold; where others choose the contents, SHA-256 is what is needed.
//
// Eight sums of 64 bits take a word each in turn: a word is mixed into its own sum by steps that can be undone, so that no word's change is
// lost, and its halves, exchanged, are added to the next sum, where a change takes another way: what cancels in one does not in the other. At
// the end SHA-256 makes one of them all.

import Dispatch
import KilnIR

enum ContentDigest {
    /// Bytes that are digested by themselves, on any thread.
    private static let pieceBytes = 1 << 20
    /// Bytes below which threads are not worth their start.
    private static let fewBytes = 8 << 20

    /// The digest of some bytes.
    static func digest(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        var hash = SHA256()
        update(&hash, bytes)
        return hash.digest()
    }

    /// Adds literals' bytes, in order, on up to `threads` threads (0: as many as the process may use). What they are beside their bytes is for others to say.
    static func update(_ hash: inout SHA256, _ literals: [Literal], threads: Int) {
        var pieces: [(literal: Int, range: Range<Int>)] = []
        for (number, literal) in literals.enumerated() {
            for start in stride(from: 0, to: literal.byteCount, by: pieceBytes) {
                pieces.append((number, start..<min(start + pieceBytes, literal.byteCount)))
            }
        }
        var sums = [Sums](repeating: Sums(), count: pieces.count)
        let total = literals.reduce(0) { $0 + $1.byteCount }
        let all = pieces
        sums.withUnsafeMutableBufferPointer { memory in
            let target = Target(memory: memory)
            let work: @Sendable (Int) -> Void = { number in
                let piece = all[number]
                literals[piece.literal].withUnsafeBytes {
                    target.memory[number].add(UnsafeRawBufferPointer(rebasing: $0[piece.range]))
                }
            }
            if threads == 1 || total < fewBytes { for number in all.indices { work(number) } } else {
                DispatchQueue.concurrentPerform(iterations: all.count, execute: work)
            }
        }
        for sum in sums { sum.withBytes { hash.update($0) } }
    }

    private static func update(_ hash: inout SHA256, _ bytes: UnsafeRawBufferPointer) {
        var sums = Sums()
        sums.add(bytes)
        sums.withBytes { hash.update($0) }
    }

    /// Each thread writes sums of its own.
    private struct Target: @unchecked Sendable {
        let memory: UnsafeMutableBufferPointer<Sums>
    }
}

/// The sums of one run of bytes.
private struct Sums {
    private typealias Words = (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)
    /// Digits of the golden ratio and of square roots, so that no sum begins like another.
    private var words: Words = (0x9E37_79B9_7F4A_7C15, 0x6A09_E667_F3BC_C908, 0xBB67_AE85_84CA_A73B, 0x3C6E_F372_FE94_F82B,
                                0xA54F_F53A_5F1D_36F1, 0x510E_527F_ADE6_82D1, 0x9B05_688C_2B3E_6C1F, 0x1F83_D9AB_FB41_BD6B)
    private var count = 0

    /// Odd, so that products by it can be undone.
    private static let factor: UInt64 = 0x9FB2_1C65_1E98_DF25

    /// Adds bytes; called once.
    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        count = bytes.count
        let whole = count / 64 * 64
        if let start = bytes.baseAddress { Self.mix(&words, start, whole) }
        guard whole < count else { return }
        // The rest, filled up with zeros, which the count tells from zeros that were there.
        withUnsafeTemporaryAllocation(byteCount: 64, alignment: 8) { last in
            last.initializeMemory(as: UInt8.self, repeating: 0)
            last.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[whole...]))
            Self.mix(&words, UnsafeRawPointer(last.baseAddress!), 64)
        }
    }

    private static func mix(_ words: inout Words, _ start: UnsafeRawPointer, _ count: Int) {
        var (a, b, c, d, e, f, g, h) = words
        func mixed(_ sum: UInt64, _ word: UInt64) -> UInt64 {
            // A product's high bits come from all of the factor's, its low bits from few: they are brought down.
            let product = (sum ^ word) &* factor
            return product ^ product >> 32
        }
        func exchanged(_ word: UInt64) -> UInt64 { word << 32 | word >> 32 }
        var offset = 0
        while offset < count {
            let place = start + offset
            func word(_ number: Int) -> UInt64 { UInt64(littleEndian: place.loadUnaligned(fromByteOffset: 8 * number, as: UInt64.self)) }
            let (w0, w1, w2, w3, w4, w5, w6, w7) = (word(0), word(1), word(2), word(3), word(4), word(5), word(6), word(7))
            (a, b) = (mixed(a, w0) &+ exchanged(w7), mixed(b, w1) &+ exchanged(w0))
            (c, d) = (mixed(c, w2) &+ exchanged(w1), mixed(d, w3) &+ exchanged(w2))
            (e, f) = (mixed(e, w4) &+ exchanged(w3), mixed(f, w5) &+ exchanged(w4))
            (g, h) = (mixed(g, w6) &+ exchanged(w5), mixed(h, w7) &+ exchanged(w6))
            offset += 64
        }
        words = (a, b, c, d, e, f, g, h)
    }

    func withBytes(_ body: (UnsafeRawBufferPointer) -> Void) {
        var all = (words.0.littleEndian, words.1.littleEndian, words.2.littleEndian, words.3.littleEndian, words.4.littleEndian,
                   words.5.littleEndian, words.6.littleEndian, words.7.littleEndian, UInt64(count).littleEndian)
        withUnsafeBytes(of: &all, body)
    }
}
