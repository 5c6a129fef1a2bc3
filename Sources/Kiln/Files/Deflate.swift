// Deflate through zlib: packed bytes come in, unpacked ones go out in pieces of the asked size, never more; and the other way round.
import CZlib

/// Packing, and checksums.
enum Deflate {
    static func checksum(of bytes: UnsafeRawBufferPointer, after previous: UInt32 = 0) -> UInt32 {
        // zlib takes null as a question for the first value.
        guard let base = bytes.baseAddress else { return previous }
        return UInt32(truncatingIfNeeded: crc32_z(UInt(previous), base.assumingMemoryBound(to: UInt8.self), bytes.count))
    }

    static func checksum(of bytes: [UInt8]) -> UInt32 { bytes.withUnsafeBytes { checksum(of: $0) } }

    /// The bytes as a raw deflate stream.
    static func pack(_ bytes: [UInt8]) throws -> [UInt8] {
        // zlib remembers the record's address.
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        stream.initialize(to: z_stream())
        defer { stream.deallocate() }
        guard deflateInit2_(stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, streamSize) == Z_OK else { throw noMemory }
        defer { deflateEnd(stream) }
        var packed: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        try bytes.withUnsafeBytes { source in
            var place = 0
            var status = Z_OK
            while status != Z_STREAM_END {
                let count = min(source.count - place, pieceLimit)
                stream.pointee.next_in = source.input(at: place)
                stream.pointee.avail_in = UInt32(count)
                let flush = place + count == source.count ? Z_FINISH : Z_NO_FLUSH
                let room = piece.count
                let left = piece.withUnsafeMutableBufferPointer { target in
                    stream.pointee.next_out = target.baseAddress
                    stream.pointee.avail_out = UInt32(room)
                    status = deflate(stream, flush)
                    return Int(stream.pointee.avail_out)
                }
                guard status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR else { throw noMemory }
                place += count - Int(stream.pointee.avail_in)
                packed += piece[..<(room - left)]
            }
        }
        return packed
    }

    fileprivate static let pieceLimit = 1 << 30
    fileprivate static let streamSize = Int32(MemoryLayout<z_stream>.size)
    fileprivate static let noMemory = FileError("<bytes>", "zlib has no memory", fix: "free some memory")
}

extension UnsafeRawBufferPointer {
    /// A place in the buffer as zlib takes it; zlib does not write there.
    fileprivate func input(at place: Int) -> UnsafeMutablePointer<UInt8>? {
        baseAddress.map { UnsafeMutablePointer(mutating: ($0 + place).assumingMemoryBound(to: UInt8.self)) }
    }
}

/// Unpacks a raw deflate stream piece by piece.
final class Inflater {
    /// zlib remembers the record's address.
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    private let source: ByteReader
    private var place = 0
    private var isAtEnd = false
    /// Of all that was unpacked.
    private(set) var checksum: UInt32 = 0

    init(_ source: ByteReader) throws {
        self.source = source
        stream.initialize(to: z_stream())
        guard inflateInit2_(stream, -MAX_WBITS, ZLIB_VERSION, Deflate.streamSize) == Z_OK else { throw Deflate.noMemory }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    /// The next `count` bytes, or fewer where the stream ends.
    func read(_ count: Int) throws -> [UInt8] {
        let bytes = try [UInt8](unsafeUninitializedCapacity: count) { target, done in
            while done < count, !isAtEnd { done += try step(UnsafeMutableBufferPointer(rebasing: target[done..<count])) }
        }
        checksum = bytes.withUnsafeBytes { Deflate.checksum(of: $0, after: checksum) }
        return bytes
    }

    /// Whether nothing is left, neither unpacked nor packed.
    func isFinished() throws -> Bool { try read(1).isEmpty && place == source.bytes.count }

    private func step(_ target: UnsafeMutableBufferPointer<UInt8>) throws -> Int {
        let room = min(target.count, Deflate.pieceLimit)
        let given = min(source.bytes.count - place, Deflate.pieceLimit)
        stream.pointee.next_in = source.bytes.input(at: place)
        stream.pointee.avail_in = UInt32(given)
        stream.pointee.next_out = target.baseAddress
        stream.pointee.avail_out = UInt32(room)
        let status = inflate(stream, Z_NO_FLUSH)
        place += given - Int(stream.pointee.avail_in)
        let made = room - Int(stream.pointee.avail_out)
        isAtEnd = status == Z_STREAM_END
        guard isAtEnd || status == Z_OK else { throw source.error("the packed data is damaged or cut short", at: place) }
        return made
    }
}
