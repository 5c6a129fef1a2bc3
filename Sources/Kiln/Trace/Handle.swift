// Who holds tensors: a handle is what a `Tensor` is made of, and handles whose values are pending are listed by thread.

/// A tensor that somebody holds. While its value is pending it is in a list, so that one evaluation computes all that is held.
final class Handle: @unchecked Sendable {
    let node: Node
    /// The list that this handle is in.
    fileprivate var list: PendingList?
    fileprivate unowned(unsafe) var previous: Handle?
    fileprivate unowned(unsafe) var next: Handle?

    init(_ node: Node) { self.node = node }

    deinit {
        if list != nil { Trace.shared.locked { list?.remove(self) } }
    }
}

/// The handles that a thread made and whose values are pending, oldest first; they are not retained. Used under the trace's lock.
///
/// Lists are kept by thread so that the structure of what one thread evaluates does not depend on what others do meanwhile.
final class PendingList {
    private unowned(unsafe) var first: Handle?
    private unowned(unsafe) var last: Handle?

    init() {
        first = nil
        last = nil
    }

    func append(_ handle: Handle) {
        handle.list = self
        handle.previous = last
        if let last { last.next = handle } else { first = handle }
        last = handle
    }

    func remove(_ handle: Handle) {
        guard handle.list != nil else { return }
        if let previous = handle.previous { previous.next = handle.next } else { first = handle.next }
        if let next = handle.next { next.previous = handle.previous } else { last = handle.previous }
        handle.previous = nil
        handle.next = nil
        handle.list = nil
    }

    /// The nodes of all handles.
    var nodes: [Node] {
        var found: [Node] = []
        var handle = first
        while let current = handle {
            found.append(current.node)
            handle = current.next
        }
        return found
    }

    /// Takes every handle whose value is there off the list.
    func removeFinished() {
        var handle = first
        while let current = handle {
            handle = current.next
            if !current.node.isPending { remove(current) }
        }
    }
}
