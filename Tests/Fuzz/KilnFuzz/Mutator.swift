// Changes valid inputs a little: by bytes, and by the pieces that a text or a header is made of (`Mutator+Messages.swift`
// changes messages by their fields). The same seed gives the same inputs.

/// A SplitMix64 generator.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// A number in `0..<bound`, biased by less than anyone sees.
    mutating func below(_ bound: Int) -> Int { Int(truncatingIfNeeded: (next() >> 33) % UInt64(bound)) }
}

struct Mutator {
    var random: SeededGenerator
    private let seeds: [[UInt8]]
    /// Mutated inputs that the reader accepted: from these, changes reach further.
    private var accepted: [[UInt8]] = []
    let dictionary: [[UInt8]]
    /// Whether inputs are messages of Protocol Buffers.
    private let isMessage: Bool
    private let splice: (@Sendable ([UInt8], [UInt8], inout SeededGenerator) -> [UInt8]?)?
    static let greatestSize = 8192
    private static let acceptedCount = 1024

    init(_ format: Format, seeds: [[UInt8]], seed: UInt64) {
        random = SeededGenerator(seed)
        isMessage = format.isMessage
        splice = format.splice
        self.seeds = seeds
        dictionary = format.dictionary.map { Array($0.utf8) }
    }

    mutating func keep(_ input: [UInt8]) {
        guard input.count <= Self.greatestSize else { return }
        if accepted.count < Self.acceptedCount { accepted.append(input) } else { accepted[random.below(Self.acceptedCount)] = input }
    }

    mutating func parent() -> [UInt8] {
        accepted.isEmpty || random.below(2) == 0 ? seeds[random.below(seeds.count)] : accepted[random.below(accepted.count)]
    }

    mutating func next() -> [UInt8] {
        var input = parent()
        if let splice, random.below(3) == 0, let longer = splice(input, parent(), &random) {
            input = longer
            if random.below(2) == 0 { return input }
        }
        // One change more often than several, numbers and pieces more often than bytes: most of what is left must still be read.
        for _ in 0...(random.below(2) == 0 ? 0 : random.below(4)) {
            switch random.below(8) {
            case 0 where !isMessage || random.below(8) == 0: mutateBytes(&input)
            case _ where isMessage: mutateMessage(&input)
            case 1...4: mutateNumber(&input)
            default: mutatePieces(&input)
            }
        }
        return Array(input.prefix(2 * Self.greatestSize))
    }

    mutating func mutateBytes(_ input: inout [UInt8]) {
        guard !input.isEmpty else { return input.append(UInt8(random.below(256))) }
        let place = random.below(input.count)
        switch random.below(6) {
        case 0: input[place] ^= 1 << UInt8(random.below(8))
        case 1: input[place] = UInt8(random.below(256))
        case 2: input.insert(UInt8(random.below(256)), at: place)
        case 3: input.removeSubrange(place..<min(input.count, place + 1 + random.below(8)))
        case 4: input.insert(contentsOf: Array(input[place..<min(input.count, place + 1 + random.below(64))]), at: random.below(input.count))
        default: input.removeLast(input.count - place)
        }
    }

    private static let numbers = ["0", "1", "-1", "2", "3", "7", "64", "-2", "4294967296", "9223372036854775807", "-9223372036854775808"].map { Array($0.utf8) }

    /// Replaces a number by one at some edge.
    private mutating func mutateNumber(_ input: inout [UInt8]) {
        guard !input.isEmpty else { return }
        let start = random.below(input.count)
        let isDigit = { (byte: UInt8) in byte >= 0x30 && byte <= 0x39 }
        guard let place = input[start...].firstIndex(where: isDigit) else { return }
        let end = input[place...].firstIndex { !isDigit($0) } ?? input.count
        input.replaceSubrange(place..<end, with: Self.numbers[random.below(Self.numbers.count)])
    }

    private mutating func mutatePieces(_ input: inout [UInt8]) {
        guard !input.isEmpty else { return }
        let piece = pieceRange(in: input)
        switch random.below(8) {
        case 0: input.removeSubrange(piece)
        case 1: input.insert(contentsOf: Array(input[piece]), at: piece.upperBound)
        case 2, 3: input.replaceSubrange(piece, with: dictionary[random.below(dictionary.count)])
        case 4: input.insert(contentsOf: dictionary[random.below(dictionary.count)], at: piece.lowerBound)
        case 5: input.replaceSubrange(piece, with: Array(input[pieceRange(in: input)]))
        case 6:
            let other = parent()
            guard !other.isEmpty else { return }
            input.replaceSubrange(piece, with: Array(other[pieceRange(in: other)]))
        default:
            let other = random.below(2) == 0 ? input : parent()
            guard !other.isEmpty else { return }
            let line = Array(other[lineRange(in: other)])
            if random.below(3) == 0 { input.removeSubrange(lineRange(in: input)) } else {
                input.insert(contentsOf: line, at: lineRange(in: input).lowerBound)
            }
        }
    }

    /// A run of letters and digits, or a single other byte.
    private mutating func pieceRange(in input: [UInt8]) -> Range<Int> {
        let place = random.below(input.count)
        guard Self.isInner(input[place]) else { return place..<place + 1 }
        var (first, last) = (place, place + 1)
        while first > 0, Self.isInner(input[first - 1]) { first -= 1 }
        while last < input.count, Self.isInner(input[last]) { last += 1 }
        return first..<last
    }

    private static func isInner(_ byte: UInt8) -> Bool {
        byte >= 0x30 && byte <= 0x39 || byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A || byte == 0x5F || byte == 0x2E
    }

    private mutating func lineRange(in input: [UInt8]) -> Range<Int> {
        let place = random.below(input.count)
        let first = input[..<place].lastIndex(of: 10).map { $0 + 1 } ?? 0
        return first..<(input[place...].firstIndex(of: 10).map { $0 + 1 } ?? input.count)
    }
}
