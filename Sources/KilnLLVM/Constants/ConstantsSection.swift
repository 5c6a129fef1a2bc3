// The section of a shared object with its big constants. The linker is given an object in which the section takes no room in the file;
// when it has placed the section, the bytes are written behind the linked file, each from where it lies, and the headers are told.
//
//     linked:  ELF header │ segments │ section headers            filled:  … │ section headers │ padding │ constants
//              .kiln_constants: NOBITS, a segment of 0 file bytes           .kiln_constants: PROGBITS, its segment is in the file

import Foundation
import KilnIR

struct ConstantsSection {
    static let name = ".kiln_constants"
    /// Of the section; a page, so that it can be mapped from wherever it begins in the file.
    private static let alignment = 4096
    /// Of each constant in it.
    private static let elementAlignment = 64
    /// Values of the ELF specification and of its x86-64 supplement.
    private static let (progBits, symbolTable, stringTable, noBits) = (1, 2, 3, 8)
    private static let (isAllocated, isLarge) = (0x2, 0x1000_0000)
    private static let (headerSize, sectionHeaderSize, programHeaderSize, symbolSize) = (64, 64, 56, 24)

    let constants: SharedConstants
    private let offsets: [Int]
    private let size: Int

    init(_ constants: SharedConstants) {
        self.constants = constants
        var (offsets, size): ([Int], Int) = ([], 0)
        for content in constants.contents {
            offsets.append(size)
            size = (size + content.byteCount + Self.elementAlignment - 1) / Self.elementAlignment * Self.elementAlignment
        }
        (self.offsets, self.size) = (offsets, size)
    }

    /// An object for the linker with a hidden symbol for each constant.
    var object: [UInt8] {
        var names: [UInt8] = [0]
        var symbols = [UInt8](repeating: 0, count: Self.symbolSize)
        for (number, offset) in offsets.enumerated() {
            let (name, size) = (names.count, constants.contents[number].byteCount)
            names += Array(constants.symbol(number).utf8) + [0]
            // A global object, hidden, in section 1.
            symbols += Self.words((name, 4), (1 << 4 | 1, 1), (2, 1), (1, 2), (offset, 8), (size, 8))
        }
        let sectionNames = ["", Self.name, ".symtab", ".strtab", ".shstrtab"]
        let titles: [UInt8] = sectionNames.flatMap { Array($0.utf8) + [0] }
        let start = Self.headerSize
        var sections = [[UInt8](repeating: 0, count: Self.sectionHeaderSize)]
        func section(_ type: Int, flags: Int = 0, offset: Int, size: Int, link: Int = 0, info: Int = 0, alignment: Int = 1, entry: Int = 0) {
            let title = sectionNames.prefix(sections.count).reduce(0) { $0 + $1.utf8.count + 1 }
            sections.append(Self.words((title, 4), (type, 4), (flags, 8), (0, 8), (offset, 8), (size, 8), (link, 4), (info, 4), (alignment, 8),
                                       (entry, 8)))
        }
        section(Self.noBits, flags: Self.isAllocated | Self.isLarge, offset: start, size: size, alignment: Self.alignment)
        section(Self.symbolTable, offset: start, size: symbols.count, link: 3, info: 1, alignment: 8, entry: Self.symbolSize)
        section(Self.stringTable, offset: start + symbols.count, size: names.count)
        section(Self.stringTable, offset: start + symbols.count + names.count, size: titles.count)
        var contents = symbols + names + titles
        contents += [UInt8](repeating: 0, count: (8 - contents.count % 8) % 8)
        // 64 bits, little-endian, version 1; relocatable, x86-64.
        let identity: [UInt8] = [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1] + [UInt8](repeating: 0, count: 9)
        let header = Self.words((1, 2), (62, 2), (1, 4), (0, 8), (0, 8), (start + contents.count, 8), (0, 4), (Self.headerSize, 2), (0, 4),
                                (Self.sectionHeaderSize, 2), (sections.count, 2), (sections.count - 1, 2))
        return identity + header + contents + sections.flatMap { $0 }
    }

    /// Numbers of given sizes in bytes, one after the other.
    private static func words(_ fields: (value: Int, size: Int)...) -> [UInt8] {
        fields.flatMap { field in (0..<field.size).map { UInt8(truncatingIfNeeded: field.value >> (8 * $0)) } }
    }

    // MARK: Filling

    /// Writes the constants into a linked file.
    func fill(_ path: String) throws {
        let file = try PatchedFile(path)
        let header = try file.read(0, Self.headerSize)
        guard let section = try find(header, file) else { return }
        let segment = try self.segment(of: section, header, file)
        let end = (try file.size() + Self.alignment - 1) / Self.alignment * Self.alignment
        try file.write(Self.words((Self.progBits, 4)), at: section.header + 4)
        try file.write(Self.words((end, 8)), at: section.header + 24)
        try file.write(Self.words((end, 8)), at: segment + 8)
        try file.write(Self.words((size, 8)), at: segment + 32)
        for (content, offset) in zip(constants.contents, offsets) {
            var place = end + offset
            try content.forEachPiece { piece in
                try file.write(piece, at: place)
                place += piece.count
            }
        }
        try file.truncate(to: end + size)
    }

    /// The section in the linked file; nil where no code uses a constant, so that the linker left it out.
    private func find(_ header: [UInt8], _ file: PatchedFile) throws -> (header: Int, address: Int)? {
        let (start, count, strings) = (Self.number(header, 40, 8), Self.number(header, 60, 2), Self.number(header, 62, 2))
        let sections = try file.read(start, count * Self.sectionHeaderSize)
        func field(_ section: Int, _ offset: Int, _ size: Int) -> Int { Self.number(sections, section * Self.sectionHeaderSize + offset, size) }
        let titles = try file.read(field(strings, 24, 8), field(strings, 32, 8))
        let title = Array(Self.name.utf8) + [0]
        guard let found = (0..<count).first(where: { titles[min(field($0, 0, 4), titles.count)...].starts(with: title) }) else { return nil }
        guard field(found, 4, 4) == Self.noBits, field(found, 32, 8) == size else {
            throw InternalError("link", "the linker made something else of \(Self.name): type \(field(found, 4, 4)), \(field(found, 32, 8)) bytes")
        }
        return (start + found * Self.sectionHeaderSize, field(found, 16, 8))
    }

    /// Where the header of the section's segment is.
    private func segment(of section: (header: Int, address: Int), _ header: [UInt8], _ file: PatchedFile) throws -> Int {
        let (start, count) = (Self.number(header, 32, 8), Self.number(header, 56, 2))
        let segments = try file.read(start, count * Self.programHeaderSize)
        let found = (0..<count).map { $0 * Self.programHeaderSize }.first { segment in
            Self.number(segments, segment, 4) == 1 && Self.number(segments, segment + 16, 8) == section.address
                && Self.number(segments, segment + 32, 8) == 0 && Self.number(segments, segment + 40, 8) == size
        }
        guard let found, section.address % Self.alignment == 0 else {
            throw InternalError("link", "\(Self.name) has no segment of its own at a page's start, address \(section.address)")
        }
        return start + found
    }

    private static func number(_ bytes: [UInt8], _ offset: Int, _ size: Int) -> Int {
        (0..<size).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) }
    }
}

/// A file that is read and written in places.
private final class PatchedFile {
    private let descriptor: Int32
    private let path: String

    init(_ path: String) throws {
        self.path = path
        descriptor = open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure() }
    }

    deinit { close(descriptor) }

    private func failure() -> CompileError {
        CompileError(path, "can't be written: \(String(cString: strerror(errno)))", fix: "Check the space in the folder and its permissions.")
    }

    func size() throws -> Int {
        let size = lseek(descriptor, 0, SEEK_END)
        guard size >= 0 else { throw failure() }
        return Int(size)
    }

    func read(_ offset: Int, _ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        guard pread(descriptor, &bytes, count, off_t(offset)) == count else { throw InternalError("link", "the linked file ends before byte \(offset + count)") }
        return bytes
    }

    func write(_ bytes: [UInt8], at offset: Int) throws { try bytes.withUnsafeBytes { try write($0, at: offset) } }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws {
        var written = 0
        while written < bytes.count {
            let count = pwrite(descriptor, bytes.baseAddress! + written, bytes.count - written, off_t(offset + written))
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw failure() }
            written += count
        }
    }

    func truncate(to size: Int) throws {
        guard ftruncate(descriptor, off_t(size)) == 0 else { throw failure() }
    }
}
