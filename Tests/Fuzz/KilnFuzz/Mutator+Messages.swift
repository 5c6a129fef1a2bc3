// Changes messages of Protocol Buffers field by field, with all lengths kept right: numbers, names and bytes within fields, and which fields
// there are. Fields come from the same message and from others.

extension Mutator {
    mutating func mutateMessage(_ input: inout [UInt8]) {
        guard var fields = WireTree.parse(input[...]), !fields.isEmpty else { return mutateBytes(&input) }
        let place = random.below(WireTree.count(fields))
        let all = WireTree.flattened(fields)
        var donors = all
        if random.below(3) == 0, let other = WireTree.parse(parent()[...]), !other.isEmpty { donors = WireTree.flattened(other) }
        // Taken where it fits: fields of one number are mostly of one kind.
        let own = all[place]
        let alike = donors.filter { $0.number == own.number && Self.isAlike($0.value, own.value) }
        let donor = alike.isEmpty ? donors[random.below(donors.count)] : alike[random.below(alike.count)]
        WireTree.edit(&fields, at: place) { message, position in
            switch random.below(12) {
            case 0: message.remove(at: position)
            case 1: message.insert(own, at: random.below(message.count + 1))
            case 2: message.swapAt(position, random.below(message.count))
            case 3: message.insert(donor, at: position)
            case 4, 5: message[position] = donor
            case 6: message[position].number = UInt64(1 + random.below(16))
            default: message[position].value = changed(own.value, donor.value)
            }
        }
        input = WireTree.encode(fields)
    }

    private static func isAlike(_ a: WireField.Value, _ b: WireField.Value) -> Bool {
        switch (a, b) {
        case (.varint, .varint), (.fixed, .fixed), (.bytes, .bytes), (.message, .message): true
        default: false
        }
    }

    private static let edges: [Int64] = [
        0, 0, 1, 1, 2, 3, 4, 5, 7, 8, 16, 64, -1, -1, -2, -3, 1 << 16, 1 << 20, 1 << 24, 1 << 31, 1 << 32, 1 << 40, 1 << 47, 1 << 62, .max, .max - 1, .min, .min + 1,
    ]
    private static let floats: [Float] = [0, -0.0, 1, -1, 0.5, .leastNonzeroMagnitude, 1e9, 1e19, 3e38, .infinity, -.infinity, .nan]

    private mutating func changed(_ value: WireField.Value, _ donor: WireField.Value) -> WireField.Value {
        switch value {
        case .varint(let number):
            switch random.below(4) {
            case 0: return .varint(number &+ 1)
            case 1: return .varint(number &- 1)
            default: return .varint(UInt64(bitPattern: Self.edges[random.below(Self.edges.count)]))
            }
        case .fixed(let bytes):
            let float = Self.floats[random.below(Self.floats.count)]
            return .fixed(bytes.count == 8 ? Self.bytes(Double(float).bitPattern) : Self.bytes(float.bitPattern))
        case .bytes(var bytes):
            switch random.below(4) {
            case 0:
                let word = dictionary[random.below(dictionary.count)]
                return .bytes(word)
            case 1 where bytes.count >= 8:
                // One number among those of 8 bytes each.
                let start = random.below(bytes.count / 8) * 8
                bytes.replaceSubrange(start..<start + 8, with: Self.bytes(UInt64(bitPattern: Self.edges[random.below(Self.edges.count)])))
            case 1 where bytes.count >= 4, 2 where bytes.count >= 4:
                let start = random.below(bytes.count / 4) * 4
                bytes.replaceSubrange(start..<start + 4, with: Self.bytes(Self.floats[random.below(Self.floats.count)].bitPattern))
            default: mutateBytes(&bytes)
            }
            return .bytes(bytes)
        case .message: return donor
        }
    }

    private static func bytes<Bits: FixedWidthInteger>(_ bits: Bits) -> [UInt8] { withUnsafeBytes(of: bits.littleEndian) { Array($0) } }
}
