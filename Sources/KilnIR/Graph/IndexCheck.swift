// What is demanded of indices that only the data decides: an operation's declaration gives it, the interpreter and compiled programs hold
// elements against it.

/// Where indices point: each must be a position on an axis of some size.
public struct IndexCheck: Hashable, Sendable {
    /// What the user called, such as `embedding`.
    public var operation: String
    public var axis: Int
    /// How many positions the axis has.
    public var size: Dim
    /// Whether -1 is the last position, and so on.
    public var countsFromEnd: Bool
    public var location: SourceLocation

    public init(operation: String, axis: Int, size: Dim, countsFromEnd: Bool, location: SourceLocation) {
        self.operation = operation
        self.axis = axis
        self.size = size
        self.countsFromEnd = countsFromEnd
        self.location = location
    }

    /// Whether an index points at one of `size` positions.
    public func allows(_ index: Int64, size: Int) -> Bool { index < size && index >= (countsFromEnd ? -size : 0) }

    /// The user's error for an index that does not, on an axis that turned out to have `size` positions. The runtime words it alike.
    public func error(_ index: Int64, size: Int) -> CompileError {
        CompileError(operation, "index \(index) is out of range for axis \(axis) of size \(size)", at: location,
                     fix: "pass indices from \(countsFromEnd ? -size : 0) to \(size - 1)")
    }
}
