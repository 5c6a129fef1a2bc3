// Constants laid out anew for the kernels that read them, once for all calls: where each element is found in the constant comes in, and
// memory in panels goes out, whose elements lie in the order in which a register tile reads them.
//
//     constant: across × depth, in any order       packed: outer │ panel │ depth │ tile elements across; past the last one, zeros

import KilnIR

/// How the elements of a constant are laid out in panels.
public struct Packing: Hashable, Sendable {
    /// An axis of the constant: positions that are `stride` elements apart.
    public struct Axis: Hashable, Sendable {
        public var size: Int
        public var stride: Int

        public init(size: Int, stride: Int) {
            self.size = size
            self.stride = stride
        }
    }

    /// The number of the constant's buffer.
    public var source: Int
    /// The element that all axes' positions 0 stand for.
    public var offset: Int
    public var outer: [Axis]
    /// The axes that panels are cut from, seen as one, and the elements of a panel side by side.
    public var across: [Axis]
    public var tile: Int
    public var depth: [Axis]

    public init(source: Int, offset: Int, outer: [Axis], across: [Axis], tile: Int, depth: [Axis]) {
        self.source = source
        self.offset = offset
        self.outer = outer
        self.across = across
        self.tile = tile
        self.depth = depth
    }

    private static func size(_ axes: [Axis]) -> Int { axes.reduce(1) { $0 * $1.size } }

    /// Panels that lie side by side, and all of them.
    var panelsAcross: Int { (Self.size(across) + tile - 1) / tile }
    public var panels: Int { Self.size(outer) * panelsAcross }
    /// Elements of one panel.
    public var panelCount: Int { Self.size(depth) * tile }
    public var elementCount: Int { panels * panelCount }

    /// Why these are no elements of a constant of `count`; nil where they are. Nothing else may be asked of a packing that has a problem.
    package func problem(in count: Int) -> String? {
        var (least, most, total) = (offset, offset, 1)
        func multiply(_ factor: Int) -> Bool {
            let (product, overflow) = total.multipliedReportingOverflow(by: factor)
            total = product
            return !overflow && product < 1 << 48
        }
        guard tile >= 1, offset >= 0, offset < 1 << 48, multiply(tile) else { return "has panels of \(tile) elements from \(offset) on" }
        for axis in outer + across + depth {
            guard axis.size >= 1, axis.stride.magnitude < 1 << 48, multiply(axis.size) else { return "has an axis of \(axis.size) elements, \(axis.stride) apart" }
            let (reach, overflow) = (axis.size - 1).multipliedReportingOverflow(by: axis.stride)
            guard !overflow, reach.magnitude < 1 << 52 else { return "has an axis of \(axis.size) elements, \(axis.stride) apart" }
            if reach < 0 { least += reach } else { most += reach }
        }
        return least >= 0 && most < count ? nil : "takes elements \(least)...\(most) of \(count)"
    }

    // MARK: Making

    /// Lays out panels of a constant.
    public func pack(_ literal: Literal, panels range: Range<Int>, into memory: UnsafeMutableRawBufferPointer) {
        let places = Self.positions(depth)
        let size = panelCount * literal.dtype.byteCount
        literal.withUnsafeBytes { source in
            for (number, panel) in range.enumerated() {
                let target = UnsafeMutableRawBufferPointer(rebasing: memory[number * size..<(number + 1) * size])
                switch literal.dtype.byteCount {
                case 1: pack(UInt8.self, source, panel, places, target)
                case 2: pack(UInt16.self, source, panel, places, target)
                case 4: pack(UInt32.self, source, panel, places, target)
                default: pack(UInt64.self, source, panel, places, target)
                }
            }
        }
    }

    private func pack<Element: FixedWidthInteger>(_ type: Element.Type, _ source: UnsafeRawBufferPointer, _ panel: Int, _ places: [Int],
                                                  _ target: UnsafeMutableRawBufferPointer) {
        let size = MemoryLayout<Element>.size
        let first = panel % panelsAcross * tile
        let start = offset + Self.position(panel / panelsAcross, outer)
        let columns = (first..<min(first + tile, Self.size(across))).map { start + Self.position($0, across) }
        let isRun = columns.indices.allSatisfy { columns[$0] == columns[0] + $0 }
        guard let base = source.baseAddress, let memory = target.baseAddress else { return }
        for (depth, place) in places.enumerated() {
            let row = memory + depth * tile * size
            if isRun { row.copyMemory(from: base + (columns[0] + place) * size, byteCount: columns.count * size) } else {
                for column in columns.indices {
                    row.storeBytes(of: (base + (columns[column] + place) * size).loadUnaligned(as: Element.self), toByteOffset: column * size, as: Element.self)
                }
            }
            if columns.count < tile { (row + columns.count * size).initializeMemory(as: UInt8.self, repeating: 0, count: (tile - columns.count) * size) }
        }
    }

    /// Where a position of several axes, counted in row-major order, is.
    private static func position(_ flat: Int, _ axes: [Axis]) -> Int {
        var (rest, place) = (flat, 0)
        for axis in axes.reversed() {
            place += rest % axis.size * axis.stride
            rest /= axis.size
        }
        return place
    }

    private static func positions(_ axes: [Axis]) -> [Int] {
        axes.reduce([0]) { places, axis in places.flatMap { place in (0..<axis.size).map { place + $0 * axis.stride } } }
    }
}
