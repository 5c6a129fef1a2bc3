// The loop IR's inner level: loops, lanes, loads and stores. Values are in SSA form; all that changes lives in memory.
// Addresses are `Dim` polynomials over index variables, so a backend sees strides, lanes and invariants at a glance.

import KilnIR

/// A memory that a kernel reads or writes.
public enum Memory: Hashable, Sendable {
    /// The program's buffer with this number.
    case buffer(Int)
    /// A local that a statement around the use declares.
    case local(Int)
}

/// Scratch memory of one work item, undefined until it is written.
public struct Local: Hashable, Sendable {
    public enum Storage: Hashable, Sendable {
        /// A constant, small number of elements: registers where every address is constant after unrolling, the stack otherwise.
        case stack
        /// Any number of elements, in the worker's scratch from a byte offset (a multiple of 64).
        case workspace(offset: Dim)
        /// A constant number of elements that all threads of a thread block see, from a byte offset (a multiple of 16) in the work item's shared memory.
        case shared(offset: Int)
    }
    public var id: Int
    public var dtype: DType
    public var count: Dim
    public var storage: Storage

    public init(id: Int, dtype: DType, count: Dim, storage: Storage = .stack) {
        self.id = id
        self.dtype = dtype
        self.count = count
        self.storage = storage
    }
}

/// An element of a memory, there only where all the conditions hold.
public struct Access: Hashable, Sendable {
    public var memory: Memory
    /// In elements from the memory's start.
    public var address: Dim
    public var conditions: [IndexCondition]

    public init(_ memory: Memory, _ address: Dim, where conditions: [IndexCondition] = []) {
        self.memory = memory
        self.address = address
        self.conditions = conditions
    }
}

/// The number of an SSA value within a kernel.
public typealias ValueNumber = Int

/// What computes a value.
public enum Instruction: Hashable, Sendable {
    case constant(Scalar, DType)
    /// An index expression as an i64.
    case position(Dim)
    /// The element, or `fill` where the access's conditions do not hold (memory is not touched there).
    case load(Access, fill: Scalar)
    case apply(ScalarFunction, [ValueNumber], DType)
    /// Whether all the conditions hold, as a bool.
    case holds([IndexCondition])
    /// `width` neighbouring elements of a memory combined as a balanced tree (0 with width/2, 1 with width/2+1, … then halves again),
    /// so that the order is fixed. Kinds: sum, product, maximum, minimum, any, all. Not inside lanes.
    case reduceLanes(ReductionKind, Memory, address: Dim, width: Int)
    /// The value of another thread of the warp.
    case shuffle(ValueNumber, Shuffle)
    /// What the warp's threads have to say of a bool.
    case vote(Vote, ValueNumber)
}

/// Rows of a memory that become columns of another: element `column` of row `row` goes to element `row` of row `column`.
public struct Transposition: Hashable, Sendable {
    /// The first element of the first row, `sourcePitch` elements before the next row's. Not under conditions.
    public var source: Access
    public var sourcePitch: Int
    public var target: Access
    public var targetPitch: Int
    /// How many rows are read: at most `width`. Of the rows that are written, elements from there on are undefined.
    public var rows: Int
    /// Elements in a row that is read or written, and how many are written; a power of two.
    public var width: Int

    public init(_ rows: Int, by width: Int, from source: Access, pitch sourcePitch: Int, to target: Access, pitch targetPitch: Int) {
        self.source = source
        self.sourcePitch = sourcePitch
        self.target = target
        self.targetPitch = targetPitch
        self.rows = rows
        self.width = width
    }
}

/// A statement of a kernel.
public indirect enum Statement: Hashable, Sendable {
    /// Declares a local for the statements after it in the same list.
    case local(Local)
    case define(ValueNumber, Instruction)
    /// Gives an index variable the value of an i64, for addresses that were looked up.
    case bind(variable: Int, ValueNumber)
    /// Writes where the access's conditions hold. `streaming` says that nobody reads it soon: stores may bypass the cache.
    case store(Access, ValueNumber, streaming: Bool)
    /// Says that the line which holds an element is read soon. Changes nothing; the address need not lie within the memory.
    case prefetch(Access)
    /// Not inside lanes, and not between overlapping places.
    case transpose(Transposition)
    /// Combines a value into an element of a buffer or of shared memory in one step, so that no other thread's comes between;
    /// 32- and 64-bit integers, whose combinations do not depend on the order. Not `set`, not inside lanes.
    case atomic(ScatterKind, Access, ValueNumber)
    /// What the threads of a thread block do together; not inside lanes.
    case threadBlock(ThreadBlockOperation)
    /// Rounds one after the other.
    case loop(Loop)
    /// The body for lanes `0..<count` at once, `count <= width`: what depends on the lane variable is a vector of `width` elements,
    /// and lanes from `count` on neither load, store nor fault. Does not nest. `width` is a power of two.
    case lanes(variable: Int, width: Int, count: Dim, body: [Statement])
    /// Not inside lanes (there, conditions on accesses serve).
    case branch([IndexCondition], then: [Statement], otherwise: [Statement])
}

/// A loop over `lower, lower + step, …` below `upper`.
public struct Loop: Hashable, Sendable {
    public enum Kind: String, Hashable, Sendable {
        case serial
        /// Unrolled; the bounds are constants.
        case unrolled
    }
    public var variable: Int
    public var lower: Dim
    public var upper: Dim
    public var step: Int
    public var kind: Kind
    public var body: [Statement]

    public init(variable: Int, from lower: Dim = 0, to upper: Dim, step: Int = 1, kind: Kind = .serial, body: [Statement]) {
        self.variable = variable
        self.lower = lower
        self.upper = upper
        self.step = step
        self.kind = kind
        self.body = body
    }
}
