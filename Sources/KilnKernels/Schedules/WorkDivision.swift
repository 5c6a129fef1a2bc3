// The one rule by which work is cut for threads. In: sizes, never the number of threads, so that results have the same bits on any number
// of them. Out: how many units there should be, and where an axis is cut that would leave too few.

import KilnIR

/// How schedules cut work into units.
///
/// - A unit too many costs its handing out, some hundred nanoseconds for 4096 elements that take a microsecond: so no unit is smaller.
/// - A unit too few leaves a thread without work: so 256, as many as a pool has threads at most, where there is work enough for them.
/// - More than that does not help, and each part of a sum costs a state in memory and a step of its combination.
enum WorkDivision {
    /// Units that keep every thread of the largest pool busy.
    static let enoughUnits = 256
    /// Units below which blocks of tiles are made smaller, though each then reads its panels for fewer tiles. More are not bought at that price.
    static let fairUnits = 64
    /// Elements that a unit should have at least.
    static let leastElements = 4096
    /// Elements of a part where the length is known at run time only, and short ones must not become many.
    static let openElements = 16384

    /// An axis cut into parts of one size; the last may be shorter.
    struct Cut {
        var partSize: Int
        var parts: Dim
    }

    /// Elements for a unit where there are `count`, at most `most`: fewer where units would be few.
    static func unitElements(of count: Int, most: Int) -> Int {
        min(most, max(leastElements, (count + enoughUnits - 1) / enoughUnits + 63 & ~63))
    }

    /// How many units or parts of a unit's work to make of `elements`, where there are `units` already.
    static func parts(of elements: Int, units: Int) -> Int {
        guard units < enoughUnits else { return 1 }
        return max(1, min((enoughUnits + units - 1) / max(units, 1), elements / leastElements))
    }

    /// Cuts an axis of which each unit goes through all positions, with `elementsPerPosition` elements for each; nil where there are units
    /// enough without, or too little work. Part sizes are multiples of `multiple`.
    static func cut(_ length: Dim, elementsPerPosition: Dim, units: Dim, multiple: Int = 1) -> Cut? {
        guard let units = units.constant, units > 0, units < enoughUnits else { return nil }
        let perPosition = max(elementsPerPosition.constant ?? 64, 1)
        func rounded(_ size: Int) -> Int { (max(size, 1) + multiple - 1) / multiple * multiple }
        guard let length = length.constant else {
            let size = rounded(openElements / perPosition)
            return Cut(partSize: size, parts: length.dividedUp(by: .constant(size)))
        }
        let wanted = min(parts(of: length.multipliedReportingOverflow(by: perPosition).partialValue, units: units), length)
        guard wanted > 1 else { return nil }
        let size = rounded((length + wanted - 1) / wanted)
        guard size < length else { return nil }
        return Cut(partSize: size, parts: .constant((length + size - 1) / size))
    }
}
