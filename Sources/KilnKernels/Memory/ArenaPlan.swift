// Where in the arena everything lies. Memories with their sizes and the times at which they are in use come in; offsets go out, such that
// memories in use at the same time don't overlap. While a memory holds nothing for a while, others lie in it.

import KilnIR

/// Offsets of memories in one arena.
struct ArenaPlan {
    /// A memory to be placed.
    struct Item {
        /// A multiple of 64 bytes.
        var size: Dim
        /// In order, and without touching ranges.
        var ranges: [Range<Int>]
    }

    /// By item.
    private(set) var offsets: [Dim]
    private(set) var size: Dim = 0

    init(_ items: [Item]) {
        offsets = Array(repeating: 0, count: items.count)
        let sizes = items.map(\.size.constant)
        if sizes.allSatisfy({ $0 != nil }) {
            var places = Places(items, sizes.map { max($0!, 64) })
            (offsets, size) = (places.place().map { .constant($0) }, .constant(places.top))
        } else {
            var slots = Slots(items)
            (offsets, size) = slots.place()
        }
    }

    /// What happens in the order of time: memories are given back before others are taken.
    fileprivate enum Event: Int {
        case end, pause, begin
    }

    /// Begins, pauses and the ends of items, in order.
    fileprivate static func schedule(_ items: [Item], _ sizes: [Int]) -> [(time: Int, event: Event, item: Int, until: Int)] {
        var events: [(time: Int, event: Event, item: Int, until: Int)] = []
        for (number, item) in items.enumerated() {
            guard let first = item.ranges.first, let last = item.ranges.last else { continue }
            events.append((first.lowerBound, .begin, number, last.upperBound))
            events.append((last.upperBound, .end, number, 0))
            for (range, next) in zip(item.ranges, item.ranges.dropFirst()) {
                events.append((range.upperBound, .pause, number, next.lowerBound))
            }
        }
        // Of those that begin together the largest first, which fit into the fewest places.
        return events.sorted {
            if $0.time != $1.time { return $0.time < $1.time }
            if $0.event != $1.event { return $0.event.rawValue < $1.event.rawValue }
            if $0.event == .begin, sizes[$0.item] != sizes[$1.item] { return sizes[$0.item] > sizes[$1.item] }
            return $0.item < $1.item
        }
    }

    /// How many memories that hold nothing for a while are looked at for one that would fit; those that paused last.
    fileprivate static let mostPauses = 16
}

/// Sizes that are known: blocks of any place in the arena.
private struct Places {
    /// A memory that holds nothing until a time.
    struct Pause {
        var until: Int
        var space: FreeSpace
    }

    let items: [ArenaPlan.Item]
    let sizes: [Int]
    private var space = FreeSpace()
    private var pauses: [Int: Pause] = [:]
    /// The numbers of pauses, the latest last; some are over.
    private var recent: [Int] = []
    var top: Int { space.top }

    init(_ items: [ArenaPlan.Item], _ sizes: [Int]) { (self.items, self.sizes) = (items, sizes) }

    mutating func place() -> [Int] {
        var offsets = Array(repeating: 0, count: items.count)
        /// By item, the pause whose memory it is in.
        var hosts: [Int: Int] = [:]
        for (number, event) in ArenaPlan.schedule(items, sizes).enumerated() {
            let (item, size) = (event.item, sizes[event.item])
            switch event.event {
            case .begin:
                if let host = host(of: size, until: event.until, now: event.time), let offset = pauses[host]?.space.take(size) {
                    (hosts[item], offsets[item]) = (host, offset)
                } else if let offset = space.take(size) { offsets[item] = offset }
            case .pause:
                pauses[number] = Pause(until: event.until, space: FreeSpace(offsets[item]..<offsets[item] + size))
                recent.append(number)
            case .end:
                if let host = hosts[item] { pauses[host]?.space.give(offsets[item], size) } else { space.give(offsets[item], size) }
            }
        }
        return offsets
    }

    /// The pause with the least room that is enough, among the latest.
    private mutating func host(of size: Int, until end: Int, now: Int) -> Int? {
        var best: (pause: Int, room: Int)?
        var seen = 0
        for position in recent.indices.reversed() {
            let number = recent[position]
            guard let pause = pauses[number], pause.until > now else {
                pauses[number] = nil
                recent.remove(at: position)
                continue
            }
            seen += 1
            if seen > ArenaPlan.mostPauses { break }
            if pause.until >= end, let room = pauses[number]?.space.fit(size), best.map({ room < $0.room }) ?? true { best = (number, room) }
        }
        return best?.pause
    }
}

/// Sizes that hold symbols: slots, each as large as the greatest of what lies in it.
private struct Slots {
    private let items: [ArenaPlan.Item]
    private let hints: [Int]
    private var sizes: [Dim] = []
    /// By slot, the sizes of which its own is the greatest.
    private var parts: [Set<Dim>] = []
    private var slotHints: [Int] = []
    /// Free slots by their size, and in the order of their rough size; of each the times until which they are free.
    private var free: [(hint: Int, slot: Int)] = []
    private var paused: [(slot: Int, until: Int)] = []

    /// Free slots that are asked whether they are large enough.
    private static let mostTried = 32

    init(_ items: [ArenaPlan.Item]) {
        self.items = items
        hints = items.map { Self.hint($0.size) }
    }

    /// A size for comparing sizes that hold symbols.
    private static func hint(_ size: Dim) -> Int { size.evaluate { if case .symbol = $0 { 64 } else { nil } } ?? .max }

    mutating func place() -> (offsets: [Dim], size: Dim) {
        var slotOf = Array(repeating: -1, count: items.count)
        /// The items that lie in slots of others.
        var guests: [Int: Int] = [:]
        for event in ArenaPlan.schedule(items, hints) {
            let item = event.item
            switch event.event {
            case .begin:
                if let position = pause(for: item, until: event.until, now: event.time) {
                    slotOf[item] = paused[position].slot
                    guests[item] = paused[position].until
                    paused.remove(at: position)
                } else { slotOf[item] = take(item) }
            case .pause: paused.append((slotOf[item], event.until))
            case .end:
                if let until = guests[item] { paused.append((slotOf[item], until)) } else { give(slotOf[item]) }
            }
        }
        var (offsets, size): ([Dim], Dim) = ([], 0)
        for slot in sizes {
            offsets.append(size)
            size += slot
        }
        return (slotOf.map { $0 < 0 ? 0 : offsets[$0] }, size)
    }

    private func fits(_ item: Int, _ slot: Int) -> Bool {
        parts[slot].contains(items[item].size) || slotHints[slot] >= hints[item] && IndexRanges.isNonNegative(sizes[slot] - items[item].size)
    }

    private mutating func pause(for item: Int, until end: Int, now: Int) -> Int? {
        var seen = 0
        for position in paused.indices.reversed() {
            if paused[position].until <= now {
                paused.remove(at: position)
                continue
            }
            seen += 1
            if seen > ArenaPlan.mostPauses { break }
            if paused[position].until >= end, fits(item, paused[position].slot) { return position }
        }
        return nil
    }

    private mutating func take(_ item: Int) -> Int {
        let first = position(hints[item])
        let candidates = first..<min(first + Self.mostTried, free.count)
        if let fitting = candidates.first(where: { fits(item, free[$0].slot) }) { return free.remove(at: fitting).slot }
        guard let growing = free.popLast()?.slot else {
            sizes.append(items[item].size)
            parts.append([items[item].size])
            slotHints.append(hints[item])
            return sizes.count - 1
        }
        // Of what the greatest size is the greatest of, nothing is written twice.
        if parts[growing].insert(items[item].size).inserted { sizes[growing] = Dim.maximum(sizes[growing], items[item].size) }
        slotHints[growing] = Self.hint(sizes[growing])
        return growing
    }

    private mutating func give(_ slot: Int) { free.insert((slotHints[slot], slot), at: position(slotHints[slot])) }

    /// The first free slot of at least a rough size.
    private func position(_ hint: Int) -> Int {
        var (low, high) = (0, free.count)
        while low < high {
            let middle = (low + high) / 2
            if free[middle].hint < hint { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
