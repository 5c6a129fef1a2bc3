// Big constants in this process: literals stay where they are, and what is laid out anew gets memory of its own. Addresses go out.

import Dispatch
import KilnIR
import KilnKernels

/// Constants whose bytes are in memory as long as this object lives.
final class PlacedConstants: @unchecked Sendable {
    // Nothing changes after init; the memory is given back once, in deinit.
    private let constants: SharedConstants
    private let memories: [Int: UnsafeMutableRawBufferPointer]

    /// Lays out on several threads.
    init(_ constants: SharedConstants) {
        self.constants = constants
        var memories: [Int: UnsafeMutableRawBufferPointer] = [:]
        for (number, content) in constants.contents.enumerated() {
            guard case .packed(let literal, let packing) = content else { continue }
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: content.byteCount, alignment: 64)
            memories[number] = memory
            Self.pack(literal, packing, into: memory)
            literal.forget()
        }
        self.memories = memories
    }

    deinit { for memory in memories.values { memory.deallocate() } }

    private static func pack(_ literal: Literal, _ packing: Packing, into memory: UnsafeMutableRawBufferPointer) {
        let panelBytes = packing.panelCount * literal.dtype.byteCount
        let target = Target(memory: memory)
        DispatchQueue.concurrentPerform(iterations: packing.panels) { panel in
            packing.pack(literal, panels: panel..<panel + 1,
                         into: UnsafeMutableRawBufferPointer(rebasing: target.memory[panel * panelBytes..<(panel + 1) * panelBytes]))
        }
    }

    /// Each thread writes panels of its own.
    private struct Target: @unchecked Sendable {
        let memory: UnsafeMutableRawBufferPointer
    }

    /// Where the bytes are.
    var addresses: [(name: String, address: UnsafeRawPointer)] {
        constants.contents.enumerated().compactMap { number, content in
            let address: UnsafeRawPointer? = switch content {
            case .literal(let literal): literal.lastingAddress
            case .packed: memories[number].flatMap { UnsafeRawPointer($0.baseAddress) }
            }
            return address.map { (constants.symbol(number), $0) }
        }
    }
}
