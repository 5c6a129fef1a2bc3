// The safetensors reader and writer: files of the format's own library, round trips, and files that are wrong.
import Kiln
import KilnIR
import Testing

#if canImport(Glibc)
import Glibc
#endif

@Suite struct SafetensorsTests {
    static let path = Fixtures.directory + "tensors.safetensors"

    @Test func readsEveryType() throws {
        let tensors = try Safetensors.read(Self.path)
        let byName = Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0.value) })
        #expect(tensors.count == 16)
        for dtype in [.bool] + DType.numbers { #expect(byName[dtype.name] == Fixtures.values(dtype)) }
        #expect(byName["scalar"] == Literal(.f32, [], doubles: [1.5]))
        #expect(byName["empty"] == Literal(.f32, [0, 3], doubles: []))
        #expect(byName["quote \" é"] == Literal(.u64, [1], doubles: [7]))
    }

    @Test func mapsEveryType() throws {
        let file = try Safetensors.map(Self.path)
        #expect(file.metadata == ["format": "np", "line": "a\nb"])
        #expect(file.names == (try Safetensors.read(Self.path)).map(\.name))
        for dtype in [.bool] + DType.numbers {
            #expect(file.type(of: dtype.name) == TensorType(dtype, [2, 3]))
            #expect(try file.literal(dtype.name) == Fixtures.values(dtype))
        }
        #expect(file.type(of: "none") == nil)
        expectFailure("there is no tensor 'none'") { _ = try file.literal("none") }
        expectFailure("the header's length takes 8 bytes here") { _ = try Safetensors.map("/dev/null") }
    }

    @Test func eightBitFloatsHaveTheFormatsNames() throws {
        let values = DType.floats8.map { ($0.name, Fixtures.values($0)) }
        let bytes = try Safetensors.encode(values)
        let header = String(decoding: bytes.prefix(200), as: UTF8.self)
        #expect(header.contains(#""f8e4m3":{"dtype":"F8_E4M3""#) && header.contains(#""f8e5m2":{"dtype":"F8_E5M2""#))
        let read = Dictionary(uniqueKeysWithValues: try Safetensors.parse(bytes).map { ($0.name, $0.value) })
        for (name, value) in values { #expect(read[name] == value) }
    }

    @Test func writesWhatTheFormatsLibraryWrites() throws {
        let tensors = try Safetensors.read(Self.path)
        let metadata = ["format": "np", "line": "a\nb"]
        let bytes = try Safetensors.encode(tensors, metadata: metadata)
        #expect(bytes == (try Fixtures.bytes("tensors.safetensors")))
        #expect(try Safetensors.encode(tensors.reversed(), metadata: metadata) == bytes)
    }

    @Test func keepsNames() throws {
        let names = ["", "a\u{1}\u{8}\u{c}\r\t\\/", "\u{1F525}", String(repeating: "x", count: 5000)]
        let tensors = names.map { (name: $0, value: Fixtures.values(.u8)) }
        #expect(Set(try Safetensors.parse(Safetensors.encode(tensors)).map(\.name)) == Set(names))
        expectFailure("given twice") { _ = try Safetensors.encode([tensors[0], tensors[0]]) }
        expectFailure("format's own") { _ = try Safetensors.encode([("__metadata__", tensors[0].value)]) }
    }

    static func file(_ header: String, count: Int) -> [UInt8] {
        withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { [UInt8]($0) } + Array(header.utf8) + [UInt8](repeating: 1, count: count)
    }

    @Test func readsEscapes() throws {
        let bytes = Self.file(#"{ "\u00e9\uD83D\udd25\n\/" : {"shape" : [ 1 ,2 ], "data_offsets":[0,2],"dtype":"BOOL"} } "#, count: 2)
        #expect(try Safetensors.parse(bytes)[0].name == "é\u{1F525}\n/")
    }

    @Test(arguments: [
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 5, "1 bytes belong to no tensor"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 3, "data_offsets are 0 to 4, of 3"),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, 4, "takes 8 bytes"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, 4, "data_offsets are 4 to 0"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8, "where the tensors before it end"),
        (#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#, 3, "where the tensors before it end"),
        (#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#, 2, "there twice"),
        (#"{"a":{"dtype":"F32","shape":[4611686018427387904,4,0],"data_offsets":[0,0]}}"#, 0, "more elements than can be counted"),
        (#"{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,0]}}"#, 0, "more than can be counted"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,9223372036854775807]}}"#, 4, "data_offsets"),
        (#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4, "no whole number"),
        (#"{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}"#, 4, "no `]`"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}"#, 4, "more than 2 numbers"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}"#, 4, "lacks"),
        (#"{"a":{"dtype":"F32","shape":[1]}}"#, 4, "lacks"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1}}"#, 4, "unknown or repeated field 'more'"),
        (#"{"a":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}"#, 8, "type 'C64'"),
        (#"{"a":1}"#, 4, "no `{`"),
        (#"{"__metadata__":{"a":1}}"#, 0, "no `\"`"),
        (#"{"a"#, 0, "no `\"`"),
        (#"{"a\"#, 0, "within an escape"),
        (#"{"\x":1}"#, 0, "unknown escape"),
        (#"{"\u12":1}"#, 0, "needs four digits"),
        (#"{"\ud800":1}"#, 0, "half a character"),
        (#"{"\ud800\u0041":1}"#, 0, "half a character"),
        (#"{"\udc00":1}"#, 0, "half a character"),
        ("{\"a\nb\":1}", 0, "control character"),
        (#"{} x"#, 0, "something follows"),
        (#"[]"#, 0, "no `{`"),
        ("", 0, "no `{`"),
    ])
    func refusesHeaders(_ header: String, _ count: Int, _ message: String) {
        expectFailure(message) { _ = try Safetensors.parse(Self.file(header, count: count)) }
    }

    @Test func refusesTypesItLacks() throws {
        let bytes = try Fixtures.bytes("float8.safetensors")
        let name = try #require(bytes.firstRange(of: "F8_E4M3".utf8))
        expectFailure("type 'F8_E8M0'") { _ = try Safetensors.parse(bytes.with(Array("F8_E8M0".utf8), at: name.lowerBound)) }
        #expect(try Safetensors.parse(bytes)[0].value.dtype == .f8e4m3)
    }

    @Test func refusesLengths() throws {
        let bytes = try Fixtures.bytes("tensors.safetensors")
        for length: UInt64 in [.max, 1 << 63, 1 << 40] {
            #expect(throws: FileError.self) { _ = try Safetensors.parse(bytes.with(length, at: 0)) }
        }
        expectFailure("the header takes 99999999 bytes here") { _ = try Safetensors.parse(bytes.with(UInt64(99_999_999), at: 0)) }
        for count in 0..<bytes.count { expectFailure("<bytes>") { _ = try Safetensors.parse(Array(bytes[..<count])) } }
        expectFailure("not in UTF-8") { _ = try Safetensors.parse(Self.file("{\"a\":1}", count: 0).with([0xFF], at: 10)) }
    }
}
