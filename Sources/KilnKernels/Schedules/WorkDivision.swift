// The one rule by which work is cut for threads. In: sizes, never the number of threads, so that results have the same bits on any number
// of them. Out: how many work items there should be, and where an axis is cut that would leave too few.

import KilnIR

/// How schedules cut work into work items.
///
/// - A work item too many costs its handing out, some hundred nanoseconds for 4096 elements that take a microsecond: so no work item is smaller.
/// - A work item too few leaves a thread without work: so 256, as many as a pool has threads at most, where there is work enough for them.
/// - More than that does not help, and each part of a sum costs a state in memory and a step of its combination.
enum WorkDivision {
    /// Work items that keep every thread of the largest pool busy.
    static let enoughWorkItems = 256
    /// Work items below which blocks of tiles are made smaller, though each then reads its panels for fewer tiles. More are not bought at that price.
    static let fairWorkItems = 64
    /// Elements that a work item should have at least.
    static let leastElements = 4096
    /// Elements of a part where the length is known at run time only, and short ones must not become many.
    static let openElements = 16384

    /// An axis cut into parts of one size; the last may be shorter.
    struct Cut {
        var partSize: Int
        var parts: Dim
    }

    /// Elements for a work item where there are `count`, at most `most`: fewer where work items would be few.
    static func workItemElements(of count: Int, most: Int) -> Int {
        min(most, max(leastElements, (count + enoughWorkItems - 1) / enoughWorkItems + 63 & ~63))
    }

    /// How many work items or parts of a work item's work to make of `elements`, where there are `workItems` already.
    static func parts(of elements: Int, workItems: Int) -> Int {
        guard workItems < enoughWorkItems else { return 1 }
        return max(1, min((enoughWorkItems + workItems - 1) / max(workItems, 1), elements / leastElements))
    }

    /// Cuts an axis of which each work item goes through all positions, with `elementsPerPosition` elements for each; nil where there are work items
    /// enough without, or too little work. Part sizes are multiples of `multiple`.
    static func cut(_ length: Dim, elementsPerPosition: Dim, workItems: Dim, multiple: Int = 1) -> Cut? {
        guard let workItems = workItems.constant, workItems > 0, workItems < enoughWorkItems else { return nil }
        let perPosition = max(elementsPerPosition.constant ?? 64, 1)
        func rounded(_ size: Int) -> Int { (max(size, 1) + multiple - 1) / multiple * multiple }
        guard let length = length.constant else {
            let size = rounded(openElements / perPosition)
            return Cut(partSize: size, parts: length.dividedUp(by: .constant(size)))
        }
        let wanted = min(parts(of: length.multipliedReportingOverflow(by: perPosition).partialValue, workItems: workItems), length)
        guard wanted > 1 else { return nil }
        let size = rounded((length + wanted - 1) / wanted)
        guard size < length else { return nil }
        return Cut(partSize: size, parts: .constant((length + size - 1) / size))
    }
}
