// Literals whose bytes are somebody else's: at any offset they are what literals with bytes of their own are, and they copy nothing.

import KilnIR
import Testing

@Suite struct RegionTests {
    /// The bytes of `literal` at an offset of a region, among others.
    static func shared(_ literal: Literal, at offset: Int) -> Literal {
        Literal(literal.dtype, literal.shape, region: ByteRegion(copying: [UInt8](repeating: 0xA5, count: offset) + literal.bytes + [0x5A]), offset: offset)
    }

    static func sample(_ dtype: DType) -> Literal {
        Literal(dtype, [3, 7], scalars: (0..<21).map { Scalar.integer(Int64($0 * 11 % 17 - 4)).converted(to: dtype) })
    }

    @Test(arguments: DType.all, [0, 1, 3, 13]) func areLikeOwnedOnes(dtype: DType, offset: Int) throws {
        let owned = Self.sample(dtype)
        let shared = Self.shared(owned, at: offset)
        #expect(shared == owned && shared.hashValue == owned.hashValue && shared.type == owned.type)
        #expect(shared.scalars == owned.scalars && shared.bytes == owned.bytes && "\(shared)" == "\(owned)")
        #expect(shared.reshaped([21]).doubles == owned.doubles)
        #expect(shared.byteCount == 21 * dtype.byteCount && shared.withUnsafeBytes { $0.count } == shared.byteCount)
    }

    @Test(arguments: DType.all) func writesMakeThemTheirOwn(dtype: DType) {
        let shared = Self.shared(Self.sample(dtype), at: 5)
        var written = shared
        let other = shared[3] == shared[4] ? shared[5] : shared[4]
        written[3] = other
        #expect(written[3] == other && written != shared && shared == Self.sample(dtype))
        #expect(written.withUnsafeBytes { $0.baseAddress } != shared.withUnsafeBytes { $0.baseAddress })
    }

    @Test func shareTheirBytes() {
        let region = ByteRegion(copying: [UInt8](0..<64))
        let literal = Literal(.i32, [3, 4], region: region, offset: 6)
        #expect(literal.withUnsafeBytes { $0.baseAddress } == region.start.map { $0 + 6 })
        #expect(literal.reshaped([12]).withUnsafeBytes { $0.baseAddress } == region.start.map { $0 + 6 })
        #expect(Literal(.f32, [0], region: region, offset: 64).bytes.isEmpty && Literal(.f32, [0], region: ByteRegion(copying: [])).bytes.isEmpty)
    }

    @Test func keepTheOwner() {
        final class Owner {}
        weak var owner: Owner?
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 8, alignment: 1)
        defer { memory.deallocate() }
        memory.initializeMemory(as: UInt8.self, repeating: 7)
        do {
            let made = Owner()
            owner = made
            let literal = Literal(.u8, [4], region: ByteRegion(UnsafeRawBufferPointer(memory), owner: made), offset: 2).reshaped([2, 2])
            #expect(owner != nil && literal.bytes == [7, 7, 7, 7])
        }
        #expect(owner == nil)
    }

    @Test func bytesOfBoolsAreZeroOrOne() {
        let literal = Literal(.bool, [4], region: ByteRegion(copying: [9, 0, 1, 2, 255]), offset: 1)
        #expect(literal.bytes == [0, 1, 1, 1])
    }

    @Test func longOnesCanBeLeftOut() {
        let literal = Literal(.f32, [64], repeating: 1.5)
        #expect(literal.description(atMost: 255) == "f32[64] of 256 bytes" && literal.description(atMost: 256) == "\(literal)")
    }

    /// The ends count in the hash, everything in the comparison.
    @Test func differInTheMiddle() {
        var bytes = [UInt8](repeating: 1, count: 1000)
        let first = Literal(.u8, [1000], bytes: bytes)
        bytes[500] = 2
        let second = Literal(.u8, [1000], bytes: bytes)
        #expect(first.hashValue == second.hashValue && first != second && first.uniform == .unsigned(1) && second.uniform == nil)
        #expect(Literal(.i16, [3], doubles: [258, 258, 258]).uniform == .integer(258) && Literal(.f32, [0], doubles: []).uniform == nil)
    }
}
