// Code as bytes that can be kept, and code from such bytes. Constants that the compiled graph holds are told by their numbers among its
// literals, so that weights are not kept a second time: what is read back refers to the literals of the graph at hand.
//
//     name │ objects │ constants: literal, or packing and literal │ devices: which target, PTX, machine code

import KilnIR
import KilnKernels

extension ObjectCode {
    /// The code's bytes; nil where it has more constants of its own than are worth keeping.
    /// - Parameters:
    ///   - literals: those of the graph that was compiled.
    ///   - devices: the targets that it was compiled for beside the first.
    package func bytes(literals: [Literal], devices targets: [Target]) -> [UInt8]? {
        var writer = ByteWriter()
        writer.append(name)
        writer.append(objects.count)
        for object in objects { writer.append(object) }
        var table = LiteralTable(literals)
        writer.append(constants.contents.count)
        for content in constants.contents {
            switch content {
            case .literal(let literal):
                writer.append(0)
                table.write(literal, to: &writer)
            case .packed(let literal, let packing):
                writer.append(1)
                writer.append([packing.offset, packing.tile])
                for axes in [packing.outer, packing.across, packing.depth] { writer.append(axes.flatMap { [$0.size, $0.stride] }) }
                table.write(literal, to: &writer)
            }
        }
        writer.append(devices.count)
        for device in devices {
            guard let number = targets.firstIndex(of: device.target) else { return nil }
            writer.append([number, device.ptx == nil ? 0 : 1, device.machineCode == nil ? 0 : 1])
            writer.append(device.ptx ?? "")
            writer.append(device.machineCode ?? [])
        }
        return table.ownBytes > LiteralTable.mostOwnBytes ? nil : writer.bytes
    }

    /// The code that the bytes were made of; nil where they are no such bytes, or not those of a graph with these literals.
    package init?(bytes: [UInt8], literals: [Literal], devices targets: [Target]) {
        var reader = ByteReader(bytes)
        guard let name = reader.text(), let objectCount = reader.count(size: 8) else { return nil }
        var objects: [[UInt8]] = []
        for _ in 0..<objectCount {
            guard let object = reader.contents() else { return nil }
            objects.append(object)
        }
        guard let constantCount = reader.count(size: 8) else { return nil }
        var contents: [SharedConstants.Content] = []
        for _ in 0..<constantCount {
            guard let content = Self.content(&reader, literals) else { return nil }
            contents.append(content)
        }
        guard let deviceCount = reader.count(size: 8) else { return nil }
        var devices: [DeviceCode] = []
        for _ in 0..<deviceCount {
            guard let head = reader.numbers(), head.count == 3, targets.indices.contains(head[0]), let ptx = reader.text(),
                let machineCode = reader.contents() else { return nil }
            devices.append(DeviceCode(target: targets[head[0]], ptx: head[1] == 0 ? nil : ptx, machineCode: head[2] == 0 ? nil : machineCode))
        }
        guard reader.isAtEnd else { return nil }
        self.init(name: name, objects: objects, constants: SharedConstants(name, contents), devices: devices, timings: Timings())
    }

    private static func content(_ reader: inout ByteReader, _ literals: [Literal]) -> SharedConstants.Content? {
        switch reader.number() {
        case 0: return LiteralTable.read(&reader, literals).map { .literal($0) }
        case 1:
            func axes() -> [Packing.Axis]? {
                guard let numbers = reader.numbers(), numbers.count % 2 == 0 else { return nil }
                return stride(from: 0, to: numbers.count, by: 2).map { Packing.Axis(size: numbers[$0], stride: numbers[$0 + 1]) }
            }
            guard let head = reader.numbers(), head.count == 2, let outer = axes(), let across = axes(), let depth = axes(),
                let literal = LiteralTable.read(&reader, literals) else { return nil }
            let packing = Packing(source: 0, offset: head[0], outer: outer, across: across, tile: head[1], depth: depth)
            return packing.problem(in: literal.count) == nil ? .packed(literal, packing) : nil
        default: return nil
        }
    }
}

/// The literals of a graph by where their bytes lie: what passes hand on, in another shape perhaps, still lies there.
private struct LiteralTable {
    /// Of literals that are not the graph's: what the compiler computed.
    static let mostOwnBytes = 4 << 20

    private struct Key: Hashable {
        var address: UnsafeRawPointer?
        var byteCount: Int
        var dtype: DType
    }
    private var numbers: [Key: Int] = [:]
    private(set) var ownBytes = 0

    init(_ literals: [Literal]) {
        for (number, literal) in literals.enumerated() { numbers[Self.key(literal)] = number }
    }

    private static func key(_ literal: Literal) -> Key { Key(address: literal.lastingAddress, byteCount: literal.byteCount, dtype: literal.dtype) }

    /// The literal's number, or −1 and its bytes; its shape follows.
    mutating func write(_ literal: Literal, to writer: inout ByteWriter) {
        writer.append(Int(literal.dtype.rawValue))
        writer.append(literal.shape)
        if let number = numbers[Self.key(literal)] {
            writer.append(number)
        } else {
            writer.append(-1)
            ownBytes += literal.byteCount
            // What is not kept in the end need not be copied.
            writer.append(ownBytes > Self.mostOwnBytes ? [] : literal.bytes)
        }
    }

    static func read(_ reader: inout ByteReader, _ literals: [Literal]) -> Literal? {
        guard let code = reader.number(), let dtype = UInt8(exactly: code).flatMap({ DType(rawValue: $0) }), let shape = reader.numbers(),
            shape.allSatisfy({ $0 >= 0 }), let number = reader.number() else { return nil }
        var byteCount = dtype.byteCount
        for size in shape {
            let (product, overflow) = byteCount.multipliedReportingOverflow(by: size)
            if overflow { return nil }
            byteCount = product
        }
        if number < 0 {
            guard let bytes = reader.contents(), bytes.count == byteCount else { return nil }
            return Literal(dtype, shape, bytes: bytes)
        }
        guard literals.indices.contains(number), literals[number].dtype == dtype, literals[number].byteCount == byteCount else { return nil }
        return literals[number].reshaped(shape)
    }
}
