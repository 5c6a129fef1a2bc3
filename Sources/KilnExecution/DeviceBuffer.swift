// Memory for a tensor's elements: a size comes in, an aligned block of the host's or of a device goes out that is given back when
// nobody holds it.
import KilnRuntime

/// A block of memory, contents undefined until written: the host's, 64-byte aligned, or a device's.
///
/// Buffers are written once, by who makes them, and only read afterwards; that is why they may be shared between threads.
public final class DeviceBuffer: @unchecked Sendable {
    /// The address, on the device.
    public let pointer: UnsafeMutableRawPointer
    public let byteCount: Int
    /// Whose memory it is; nil for the host's.
    public let accelerator: Accelerator?

    /// Throws where there is no memory.
    public init(byteCount: Int, on accelerator: Accelerator? = nil) throws {
        self.byteCount = byteCount
        self.accelerator = accelerator
        if let accelerator {
            var memory: UnsafeMutableRawPointer?
            try RuntimeError.check(kiln_device_allocate(accelerator.handle, Int64(byteCount), &memory))
            guard let memory else { throw RuntimeError(KILN_OUT_OF_MEMORY, message: "a buffer of \(byteCount) bytes on \(accelerator.name)") }
            pointer = memory
        } else {
            guard byteCount >= 0, let memory = kiln_buffer_allocate(Int64(byteCount)) else {
                throw RuntimeError(KILN_OUT_OF_MEMORY, message: "a buffer of \(byteCount) bytes")
            }
            pointer = memory
        }
    }

    deinit {
        // What is queued on the device and uses the memory comes before whatever gets it next.
        if let accelerator { _ = kiln_device_free(accelerator.handle, pointer) } else { kiln_buffer_free(pointer) }
    }

    /// A buffer with a copy of the given bytes of the host's.
    public convenience init(copying bytes: UnsafeRawBufferPointer, on accelerator: Accelerator? = nil) throws {
        try self.init(byteCount: bytes.count, on: accelerator)
        guard let source = bytes.baseAddress, bytes.count > 0 else { return }
        if let accelerator {
            try RuntimeError.check(kiln_device_write(accelerator.handle, pointer, source, Int64(bytes.count)))
        } else { pointer.copyMemory(from: source, byteCount: bytes.count) }
    }

    /// The elements where a device, or the host for nil, can reach them: this buffer if it is there already, else a copy.
    public func on(_ target: Accelerator?) throws -> DeviceBuffer {
        if accelerator === target { return self }
        guard let accelerator else { return try DeviceBuffer(copying: bytes, on: target) }
        let host = try DeviceBuffer(byteCount: byteCount)
        if byteCount > 0 { try RuntimeError.check(kiln_device_read(accelerator.handle, host.pointer, pointer, Int64(byteCount))) }
        return target == nil ? host : try host.on(target)
    }

    /// A copy of some of the bytes, in the same memory.
    public func part(_ range: Range<Int>) throws -> DeviceBuffer {
        precondition(range.lowerBound >= 0 && range.upperBound <= byteCount, "a part lies inside the buffer")
        guard let accelerator else {
            return try withExtendedLifetime(self) { try DeviceBuffer(copying: UnsafeRawBufferPointer(rebasing: bytes[range])) }
        }
        let copy = try DeviceBuffer(byteCount: range.count, on: accelerator)
        if !range.isEmpty {
            try RuntimeError.check(kiln_device_copy(accelerator.handle, copy.pointer, pointer + range.lowerBound, Int64(range.count)))
        }
        return copy
    }

    /// The elements, which must be the host's.
    public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(mutableBytes) }
    public var mutableBytes: UnsafeMutableRawBufferPointer {
        precondition(accelerator == nil, "a device's memory is copied to the host before it is read")
        return UnsafeMutableRawBufferPointer(start: pointer, count: byteCount)
    }
}
