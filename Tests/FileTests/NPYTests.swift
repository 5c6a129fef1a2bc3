// The .npy reader and writer: NumPy's own files, round trips, and files that are wrong.
import Kiln
import KilnIR
import Testing

@Suite struct NPYTests {
    @Test(arguments: ["plain.npy", "version2.npy", "version3.npy"])
    func readsEveryVersion(_ name: String) throws {
        #expect(try NPY.read(Fixtures.directory + name) == Fixtures.values(.f32))
    }

    @Test func swapsBigEndian() throws {
        #expect(try NPY.parse(Fixtures.bytes("big.npy")) == Fixtures.values(.f64))
    }

    @Test func transposesFortranOrder() throws {
        #expect(try NPY.parse(Fixtures.bytes("fortran.npy")) == Literal(.i32, [2, 3, 4], doubles: (0..<24).map(Double.init)))
    }

    @Test(arguments: DType.all)
    func roundTrip(_ dtype: DType) throws {
        for shape in [[], [0], [1], [5], [2, 3], [3, 0, 2], [1, 2, 1, 4]] {
            let count = shape.reduce(1, *)
            let value = Literal(dtype, shape, doubles: (0..<count).map { Double($0) })
            let read = try NPY.parse(NPY.encode(value))
            // NumPy has neither bf16 nor 8-bit floats.
            #expect(read.dtype == (dtype.isNarrowFloat && dtype != .f16 ? .f32 : dtype))
            #expect(read.shape == shape && read.doubles == value.doubles)
        }
    }

    @Test func writesWhatNumPyWrites() throws {
        #expect(NPY.encode(Fixtures.values(.f32)) == (try Fixtures.bytes("plain.npy")))
    }

    @Test func readsTexts() throws {
        let texts = Literal(texts: ["a", "", "日本", "é", "😀b", "bc"], [2, 3])
        #expect(try NPY.parse(Fixtures.bytes("text.npy")) == texts)
        #expect(try NPY.read(Fixtures.directory + "text.npy").texts == ["a", "", "日本", "é", "😀b", "bc"])
        #expect(try NPY.parse(Fixtures.bytes("bytes.npy")) == texts)
        #expect(NPY.encode(texts, areTexts: true) == (try Fixtures.bytes("bytes.npy")))
        for literal in [Literal(texts: [], [0, 2]), Literal(texts: ["x"], [])] { #expect(try NPY.parse(NPY.encode(literal, areTexts: true)) == literal) }
        #expect(try NPY.parse(Self.file("{'descr': '<U1', 'fortran_order': False, 'shape': (1,)}", count: 4)).texts == ["\u{FFFD}"])
    }

    @Test(arguments: [("complex.npy", "(complex numbers)"), ("objects.npy", "(Python objects)"), ("records.npy", "structured records")])
    func namesTypesItLacks(_ name: String, _ message: String) {
        expectFailure(message) { _ = try NPY.read(Fixtures.directory + name) }
    }

    /// A file with a header of our own and `count` bytes of data.
    static func file(_ header: String, count: Int) -> [UInt8] {
        let text = Array(header.utf8)
        return [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(text.count & 255), UInt8(text.count >> 8)] + text + [UInt8](repeating: 2, count: count)
    }

    @Test(arguments: [
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4, 0)}", 0, "more bytes than can be counted"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", 0, "more than can be counted"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000,)}", 4, "takes 4000000000 bytes, but there are 4"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", 5, "takes 4 bytes, but there are 5"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", 4, "no size where one must be"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': 4}", 4, "no `(`"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)", 4, "no `}`"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x", 4, "something follows"),
        ("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}", 4, "no `False`"),
        ("{'descr': '<f4', 'shape': (1,)}", 4, "lacks"),
        ("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", 4, "unknown or repeated key"),
        ("{'descr': '<f4, 'fortran_order': False, 'shape': (1,)}", 4, "no `}`"),
        ("{'descr': '<f4", 4, "has no end"),
        ("{'descr': '<q4', 'fortran_order': False, 'shape': (1,)}", 4, "which Kiln has no type for"),
        ("{'descr': '|S0', 'fortran_order': False, 'shape': (1000,)}", 0, "(texts of no length)"),
        ("{'descr': '<U-1', 'fortran_order': False, 'shape': (1,)}", 0, "which Kiln has no type for"),
        ("{'descr': '<U4611686018427387904', 'fortran_order': False, 'shape': (1,)}", 0, "more bytes than can be counted"),
        ("{'descr': '', 'fortran_order': False, 'shape': (1,)}", 4, "which Kiln has no type for"),
        ("", 0, "no `{`"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (\(String(repeating: "1,", count: 65)))}", 4, "more than 64 dimensions"),
    ])
    func refusesHeaders(_ header: String, _ count: Int, _ message: String) {
        expectFailure(message) { _ = try NPY.parse(Self.file(header, count: count)) }
    }

    @Test func toleratesPythonsSpellings() throws {
        let bytes = Self.file("{ \"shape\": ( 1L , 2 ) , 'descr':'|b1','fortran_order':True } \n", count: 2)
        #expect(try NPY.parse(bytes) == Literal(.bool, [1, 2], doubles: [1, 1]))
    }

    @Test func refusesEveryCut() throws {
        let bytes = try Fixtures.bytes("plain.npy")
        for count in 0..<bytes.count { expectFailure("<bytes>") { _ = try NPY.parse(Array(bytes[..<count])) } }
        expectFailure("begin with") { _ = try NPY.parse(bytes.with([0], at: 0)) }
        expectFailure("version 9") { _ = try NPY.parse(bytes.with([9], at: 6)) }
        expectFailure("header takes") { _ = try NPY.parse(bytes.with([2, 0, 255, 255, 255, 255], at: 6)) }
    }

    @Test func namesFilesItCannotOpen() {
        expectFailure("/nowhere/x.npy: can't be opened: No such file") { _ = try NPY.read("/nowhere/x.npy") }
        expectFailure("is a directory") { _ = try NPY.read("/") }
        expectFailure("can't be written") { try NPY.write(Fixtures.values(.f32), to: "/nowhere/x.npy") }
    }
}
