// A range of addresses of which parts are taken and given back: each request gets the smallest free block that it fits into.

/// Free blocks, found by size and by their ends.
struct FreeSpace {
    /// By first address, the sizes of free blocks; by the address after the last, the first.
    private var sizes: [Int: Int] = [:]
    private var starts: [Int: Int] = [:]
    /// By size, the addresses of free blocks, and of some that are free no more; the sizes in order.
    private var blocks: [Int: [Int]] = [:]
    private var order: [Int] = []
    /// The end of all that was ever taken; beyond it everything is free where the space has no end.
    private(set) var top: Int
    private let limit: Int?

    /// A space without an end.
    init() { (top, limit) = (0, nil) }

    /// The block of the given addresses.
    init(_ block: Range<Int>) {
        (top, limit) = (block.upperBound, block.upperBound)
        add(block.lowerBound, block.count)
    }

    /// The size of the block that a request would be cut from; nil where the space would have to grow.
    mutating func fit(_ size: Int) -> Int? {
        var position = lowerBound(size)
        while position < order.count {
            let candidate = order[position]
            while let start = blocks[candidate]?.last {
                if sizes[start] == candidate { return candidate }
                blocks[candidate]?.removeLast()
            }
            blocks[candidate] = nil
            order.remove(at: position)
            position = lowerBound(size)
        }
        return nil
    }

    /// Takes memory; nil where there is none and the space has an end.
    mutating func take(_ size: Int) -> Int? {
        if let block = fit(size), let start = blocks[block]?.popLast() {
            remove(start, block)
            if block > size { add(start + size, block - size) }
            return start
        }
        guard limit == nil else { return nil }
        // What is free at the very end becomes part of it.
        if let start = starts[top], let free = sizes[start] {
            remove(start, free)
            top = start + size
            return start
        }
        defer { top += size }
        return top
    }

    mutating func give(_ start: Int, _ size: Int) {
        var (start, size) = (start, size)
        if let before = starts[start], let length = sizes[before] {
            remove(before, length)
            (start, size) = (before, size + length)
        }
        if let length = sizes[start + size] {
            remove(start + size, length)
            size += length
        }
        add(start, size)
    }

    private mutating func add(_ start: Int, _ size: Int) {
        sizes[start] = size
        starts[start + size] = start
        if blocks[size] == nil { order.insert(size, at: lowerBound(size)) }
        blocks[size, default: []].append(start)
    }

    /// Forgets a free block. Its address stays in the list of its size until it is met there.
    private mutating func remove(_ start: Int, _ size: Int) {
        sizes[start] = nil
        starts[start + size] = nil
    }

    private func lowerBound(_ size: Int) -> Int {
        var (low, high) = (0, order.count)
        while low < high {
            let middle = (low + high) / 2
            if order[middle] < size { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
