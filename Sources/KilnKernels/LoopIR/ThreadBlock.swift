// What threads that share a work item can do together: a GPU's thread block, its shared memory, its copies in flight, its tensor cores.
// Operations are named here and become instructions (PTX, or calls of the emulator) in the backend's last step.

import KilnIR

/// The threads that run one work item of a launch together. A warp is 32 threads whose numbers share all but their last five bits.
public struct ThreadBlock: Hashable, Sendable {
    public static let warp = 32

    /// The index variable that holds the thread's number.
    public var variable: Int
    /// How many threads there are: a multiple of 32, at most 1024.
    public var threads: Int
    /// How many work items should fit on one processor at once; what registers are rationed by.
    public var resident: Int

    public init(variable: Int, threads: Int, resident: Int = 1) {
        self.variable = variable
        self.threads = threads
        self.resident = resident
    }
}

/// A value of another thread of the warp. All 32 threads take part, and none is in lanes.
public enum Shuffle: Hashable, Sendable {
    /// The thread whose number differs in these bits (1...31).
    case xor(Int)
    /// The thread so many places below or above, or the own value where there is none.
    case up(Int), down(Int)
    /// The thread with this number within the warp (0..<32).
    case lane(Dim)
}

/// What a warp finds out about a bool of all its threads: whether it is true for any or for all (bool), or for which (u32, bit i for thread i).
public enum Vote: String, CaseIterable, Hashable, Sendable {
    case any, all, ballot
}

/// The element types that tensor cores multiply. Sums are f32, or i32 for integers.
public enum MatrixKind: String, CaseIterable, Hashable, Sendable {
    /// `tf32` takes f32 elements and drops 13 bits of their fractions.
    case f16, bf16, tf32, i8, u8, f8e4m3, f8e5m2

    /// Products of one instruction along the summed axis.
    public var depth: Int {
        switch self {
        case .f16, .bf16: 16
        case .tf32: 8
        case .i8, .u8, .f8e4m3, .f8e5m2: 32
        }
    }
    /// Bytes of an element.
    public var byteCount: Int { 32 / depth }
    public var accumulator: DType { self == .i8 || self == .u8 ? .i32 : .f32 }
}

/// A matrix in shared memory as `wgmma` sees it: 8-row cores, with the distances between them in bytes.
public struct MatrixView: Hashable, Sendable {
    public var start: Access
    /// The distances between cores. Summed axis contiguous: `leadingBytes` along it (ignored with a swizzle), `strideBytes` across.
    /// Transposed: with a swizzle `leadingBytes` along the contiguous axis and `strideBytes` along the summed one; without, the other way round.
    public var leadingBytes: Int
    public var strideBytes: Int
    /// Bytes over which 16-byte pieces are permuted: 0, 32, 64 or 128. The start of a tile is aligned to eight times as much.
    public var swizzle: Int
    /// Whether the contiguous axis is the one that is not summed over (16-bit elements only).
    public var isTransposed: Bool

    public init(_ start: Access, leadingBytes: Int, strideBytes: Int, swizzle: Int, isTransposed: Bool = false) {
        self.start = start
        self.leadingBytes = leadingBytes
        self.strideBytes = strideBytes
        self.swizzle = swizzle
        self.isTransposed = isTransposed
    }
}

/// A view of a buffer that tiles are copied from and to by TMA. Axes go from the outermost to the innermost.
public struct TensorMap: Hashable, Sendable {
    public var buffer: Int
    /// The first element.
    public var offset: Dim
    /// Up to five sizes; elements outside read as zero and are not written.
    public var sizes: [Dim]
    /// In elements; the last is 1, and the others are multiples of 16 bytes.
    public var strides: [Dim]
    /// The tile's sizes, at most 256 each.
    public var box: [Int]
    /// 0, 32, 64 or 128: how 16-byte pieces are permuted in shared memory, by which the box's innermost bytes are limited.
    public var swizzle: Int

    public init(buffer: Int, offset: Dim = 0, sizes: [Dim], strides: [Dim], box: [Int], swizzle: Int) {
        self.buffer = buffer
        self.offset = offset
        self.sizes = sizes
        self.strides = strides
        self.box = box
        self.swizzle = swizzle
    }
}

/// An operation of a thread block. Fragments are locals on the stack, their elements in the order in which PTX numbers a thread's registers.
public enum ThreadBlockOperation: Hashable, Sendable {
    /// All threads of the thread block wait for one another; what they wrote is then seen by all of them.
    case barrier
    /// The same for a warp.
    case warpBarrier
    /// The same for as many threads (a multiple of 32) of the thread block, with a number in 1...15.
    case namedBarrier(Int, threads: Int)

    // Copies in flight (sm_80 and on)
    /// Starts to copy 4, 8 or 16 bytes from a buffer to shared memory, both aligned to as many; zeros where the conditions do not hold.
    case copy(to: Access, from: Access, bytes: Int)
    /// Makes a group of the thread's copies since the last one.
    case commitCopies
    /// Waits until at most so many of the thread's latest groups are in flight.
    case waitCopies(pending: Int)

    // Matrices, by all threads of a warp together (sm_80 and on)
    /// `ldmatrix`: `count` (1, 2 or 4) 8×8 matrices of 16-bit elements; thread i gives the address of row i % 8 of matrix i / 8,
    /// and gets two elements of each.
    case loadMatrices(to: Access, from: Access, count: Int, isTransposed: Bool)
    /// `mma.sync`: sum (16×8) += left (16×depth, rows) · right (depth×8, columns), all fragments.
    case multiplyAdd(MatrixKind, sum: Access, left: Access, right: Access)

    // TMA and its barriers (sm_90 and on). A barrier is a u64 in shared memory.
    case initialize(barrier: Access, arrivals: Int)
    /// Makes initialised barriers known to TMA.
    case fenceBarriers
    case arrive(barrier: Access)
    /// Arrives, and announces as many bytes.
    case expect(barrier: Access, bytes: Int)
    /// Waits until the barrier's launch of this parity (0 or 1) is over.
    case await(barrier: Access, parity: Dim)
    /// Starts to copy the box of map number `map` at the given element to shared memory; the barrier gets its bytes. By one thread.
    case loadTile(to: Access, map: Int, at: [Dim], barrier: Access)
    /// Starts to copy a box from shared memory. By one thread; groups are committed and awaited as for `copy`, by the next two.
    case storeTile(map: Int, at: [Dim], from: Access)
    case commitTiles
    case waitTiles(pending: Int)
    /// Makes what threads wrote to shared memory visible to TMA and the tensor cores.
    case fenceShared

    // Matrices, by four warps together (sm_90a)
    /// `wgmma.fence`: before the first of a row of products, and after fragments were written.
    case groupFence
    /// `wgmma`: sum (64×columns, a fragment of columns / 2 elements) (+)= left (64×depth) · right (depth×columns), in flight.
    case groupMultiplyAdd(MatrixKind, columns: Int, sum: Access, left: MatrixView, right: MatrixView, accumulates: Bool)
    case commitGroup
    case waitGroup(pending: Int)
    /// Gives up or takes registers: each thread of the four warps then has so many (a multiple of 8, 24...256).
    case registers(Int, increases: Bool)
}
