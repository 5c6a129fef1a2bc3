// The .npz reader and writer: NumPy's own archives, round trips, zip64, bombs, and archives that are wrong.
import Kiln
import KilnIR
#if canImport(Glibc)
import Glibc
#endif
import Testing

@Suite struct NPZTests {
    @Test(arguments: ["stored.npz", "deflated.npz"])
    func readsEveryType(_ name: String) throws {
        let arrays = try NPZ.read(Fixtures.directory + name)
        let byName = Dictionary(uniqueKeysWithValues: arrays.map { ($0.name, $0.value) })
        #expect(arrays.count == 14)
        for dtype in [.bool] + DType.numbers where dtype != .bf16 { #expect(byName[dtype.name] == Fixtures.values(dtype)) }
        #expect(byName["scalar"] == Literal(.f32, [], doubles: [1.5]))
        #expect(byName["empty"] == Literal(.f32, [0, 3], doubles: []))
    }

    @Test func unpacksWhatIsPackedTightly() throws {
        #expect(try NPZ.read(Fixtures.directory + "zeros.npz")[0].value == Literal(.f32, [100, 1000], repeating: 0))
    }

    static let sample: [(name: String, value: Literal)] = [
        ("a", Literal(.f32, [300], doubles: (0..<300).map { Double($0 % 7) })), ("folder/é", Literal(.i64, [2], doubles: [1, -1])),
        ("empty", Literal(.u8, [0], doubles: [])),
    ]

    @Test(arguments: [true, false], [0xFFFF_FFFF, 200, 0])
    func roundTrip(isCompressed: Bool, zip64From limit: Int) throws {
        let bytes = try NPZ.encode(Self.sample, isCompressed: isCompressed, zip64From: limit)
        let read = try NPZ.parse(bytes)
        #expect(read.map(\.name) == Self.sample.map(\.name))
        #expect(read.map(\.value) == Self.sample.map(\.value))
        #expect(try NPZ.encode(Self.sample, isCompressed: isCompressed, zip64From: limit) == bytes)
    }

    @Test func refusesNamesThatCannotBeTold() {
        expectFailure("given twice") { _ = try NPZ.encode([Self.sample[0], Self.sample[0]]) }
        expectFailure("too long") { _ = try NPZ.encode([(String(repeating: "x", count: 70_000), Self.sample[0].value)]) }
    }

    /// One array, deflated, and where its entry of the directory begins.
    static let packed: (bytes: [UInt8], entry: Int, end: Int) = {
        let bytes = try! NPZ.encode([sample[0]])
        return (bytes, bytes.last([0x50, 0x4B, 1, 2]), bytes.count - 22)
    }()

    /// The same, stored.
    static let stored: (bytes: [UInt8], entry: Int) = {
        let bytes = try! NPZ.encode([sample[0]], isCompressed: false)
        return (bytes, bytes.last([0x50, 0x4B, 1, 2]))
    }()

    @Test func refusesLiesOfTheDirectory() {
        let (bytes, entry, end) = Self.packed
        let cases: [(String, [UInt8])] = [
            ("is encrypted", bytes.with(UInt16(1), at: entry + 8)),
            ("packed by method 12", bytes.with(UInt16(12), at: entry + 10)),
            ("its two sizes differ", bytes.with(UInt16(0), at: entry + 10)),
            ("the checksum does not fit", bytes.with(UInt32(0), at: entry + 16)),
            ("more than the file has", bytes.with(UInt32(1 << 20), at: entry + 20)),
            ("damaged or cut short", bytes.with(UInt32(60), at: entry + 20)),
            ("can't be 4294967294 bytes", bytes.with(UInt32(0xFFFF_FFFE), at: entry + 24)),
            ("takes 1200 bytes, but there are", bytes.with(UInt32(1200), at: entry + 24)),
            ("can't be 4294967295 bytes", bytes.with(UInt32(0xFFFF_FFFF), at: entry + 24)),
            ("takes 4 bytes here", bytes.with(UInt32(1 << 30), at: entry + 42)),
            ("there is no header", bytes.with(UInt32(4), at: entry + 42)),
            ("the member's name takes", bytes.with(UInt16(60_000), at: entry + 28)),
            ("no entry of the directory here", bytes.with([0], at: entry)),
            ("members don't fit", bytes.with(UInt16(5000), at: end + 10)),
            ("the directory takes", bytes.with(UInt32(1 << 30), at: end + 12)),
            ("the directory takes", bytes.with(UInt32(1 << 30), at: end + 16)),
            ("end record is missing", bytes.with([0], at: end)),
            ("end record is missing", []),
            ("no .npy array", bytes.with(Array("a.txt".utf8), at: entry + 46)),
        ]
        for (message, file) in cases { expectFailure(message) { _ = try NPZ.parse(file) } }
    }

    @Test func refusesDamagedData() {
        let (bytes, entry) = Self.stored
        expectFailure("the checksum does not fit") { _ = try NPZ.parse(bytes.with([9], at: entry - 1)) }
        let (packed, packedEntry, _) = Self.packed
        for place in 40..<packedEntry {
            expectFailure("<bytes>/a.npy") { _ = try NPZ.parse(packed.with([packed[place] ^ 0x10], at: place)) }
        }
    }

    @Test func refusesTwoOfOneName() throws {
        let bytes = try NPZ.encode([("a", Fixtures.values(.f32)), ("b", Fixtures.values(.f32))])
        let entry = bytes.last([0x50, 0x4B, 1, 2])
        expectFailure("two arrays named 'a'") { _ = try NPZ.parse(bytes.with(Array("a".utf8), at: entry + 46)) }
    }

    /// Two members with the same data.
    @Test func refusesOverlaps() throws {
        let bytes = try NPZ.encode([Self.sample[0], Self.sample[2]], isCompressed: false)
        let entry = bytes.last([0x50, 0x4B, 1, 2])
        let size = UInt32(NPY.encode(Self.sample[0].value).count)
        expectFailure("the members overlap") { _ = try NPZ.parse(bytes.with(size, at: entry + 20).with(size, at: entry + 24).with(UInt32(0), at: entry + 42)) }
    }

    /// The directory, the array's header and the packed data must tell of the same size.
    @Test func refusesBombs() throws {
        let value = Literal(.u8, [2_000_000], repeating: 0)
        var bytes = try NPZ.encode([("bomb", value)])
        let entry = bytes.last([0x50, 0x4B, 1, 2])
        bytes = bytes.with(UInt32(1_000_000), at: entry + 24)
        expectFailure("takes 2000000 bytes, but there are 999872") { _ = try NPZ.parse(bytes) }
    }

    @Test func refusesEveryCut() throws {
        let bytes = try Fixtures.bytes("deflated.npz")
        for count in 0..<bytes.count { expectFailure("<bytes>") { _ = try NPZ.parse(Array(bytes[..<count])) } }
    }

    @Test func replacesFilesWhole() throws {
        let path = "/tmp/kiln-file-test-\(UInt64.random(in: 0 ... .max)).npz"
        try NPZ.write(Self.sample, to: path)
        try NPZ.write([Self.sample[1]], to: path)
        #expect(try NPZ.read(path).map(\.name) == ["folder/é"])
        #expect(remove(path) == 0)
    }
}
