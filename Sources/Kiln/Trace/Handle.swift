// Who holds tensors: a handle is what a `Tensor` is made of, and handles whose values are pending are listed by thread or task.

/// A tensor that somebody holds. While its value is pending it is in a list, so that one evaluation computes all that is held.
final class Handle: @unchecked Sendable {
    let node: Node
    /// Whether the handle was ever in a list. Whether it still is, is known under the lock alone: another thread may be taking it off.
    private let wasListed: Bool
    /// The list that this handle is in.
    fileprivate var list: PendingList?
    fileprivate unowned(unsafe) var previous: Handle?
    fileprivate unowned(unsafe) var next: Handle?

    /// A handle that nobody knows yet; under the trace's lock if there is a list.
    init(_ node: Node, in list: PendingList? = nil) {
        self.node = node
        wasListed = list != nil
        list?.append(self)
    }

    deinit {
        // Whoever walks over the list holds the lock until it has let go of the handle.
        if wasListed { Trace.shared.locked { list?.remove(self) } }
    }
}

/// The handles that a thread or task made and whose values are pending, oldest first; they are not retained. Used under the trace's lock.
///
/// Lists are kept apart so that the structure of what one thread evaluates does not depend on what others do meanwhile.
final class PendingList: @unchecked Sendable {
    private unowned(unsafe) var first: Handle?
    private unowned(unsafe) var last: Handle?
    /// How many ops were recorded since the list was last computed.
    var recorded = 0
    /// How many times gradients were asked for.
    var backwardCount = 0

    init() {
        first = nil
        last = nil
    }

    var isEmpty: Bool { first == nil }

    fileprivate func append(_ handle: Handle) {
        handle.list = self
        handle.previous = last
        if let last { last.next = handle } else { first = handle }
        last = handle
    }

    fileprivate func remove(_ handle: Handle) {
        guard handle.list != nil else { return }
        if let previous = handle.previous { previous.next = handle.next } else { first = handle.next }
        if let next = handle.next { next.previous = handle.previous } else { last = handle.previous }
        handle.previous = nil
        handle.next = nil
        handle.list = nil
    }

    /// The nodes of all handles.
    @inline(never)
    var nodes: [Node] {
        var found: [Node] = []
        var handle = first
        while let current = handle {
            found.append(current.node)
            handle = current.next
        }
        return found
    }

    /// Takes every handle whose value is there off the list. Not inlined, so that no reference to a handle outlives the lock.
    @inline(never)
    func removeFinished() {
        var handle = first
        while let current = handle {
            handle = current.next
            if !current.node.isPending { remove(current) }
        }
    }
}
