// An order of kernels that is kept while kernels are merged: nodes come in with what they depend on, and pairs to be merged; whether
// a pair can be one kernel goes out. Cycles are looked for only between the two in the order. (D. Pearce and P. Kelly, "A dynamic
// topological sort algorithm for directed acyclic graphs", 2006.)

/// A topological order of a graph whose nodes are merged along its edges.
package struct GroupOrder {
    /// For each node what it was merged into, or itself.
    private var parents: [Int]
    private var predecessors: [[Int]]
    private var successors: [[Int]]
    /// Grows along the order. Neighbours leave room between them, so that nodes can be moved.
    private var labels: [Int]
    /// The order as a list, which begins and ends at the anchor.
    private var next: [Int]
    private var previous: [Int]
    private let anchor: Int
    /// The search in which a node was last met.
    private var marks: [Int]
    private var search = 0

    /// Edges that are followed before a pair is given up: kernels so far apart would find nothing of each other in the caches.
    private static let edgesFollowed = 256
    /// Between the labels of nodes that are added one after the other.
    private static let spacing = 1 << 40

    package init(count: Int) {
        parents = Array(0...count)
        predecessors = Array(repeating: [], count: count + 1)
        successors = predecessors
        labels = Array(repeating: 0, count: count + 1)
        next = Array(repeating: count, count: count + 1)
        previous = next
        marks = Array(repeating: 0, count: count + 1)
        anchor = count
    }

    /// Adds a node, which depends on nodes that are there.
    package mutating func add(_ node: Int, after dependencies: [Int]) {
        let last = previous[anchor]
        link(node, after: last)
        labels[node] = (last == anchor ? 0 : labels[last]) + Self.spacing
        search += 1
        for dependency in dependencies {
            let source = root(of: dependency)
            guard marks[source] != search else { continue }
            marks[source] = search
            predecessors[node].append(source)
            successors[source].append(node)
        }
    }

    /// Makes one node of two, of which the second depends on the first, unless a third would have to come both after and before it.
    /// The merged node goes by one of the two names.
    package mutating func merge(_ producer: Int, _ consumer: Int, as name: Int) -> Bool {
        let bounds = labels[producer]...labels[consumer]
        switch reachable(from: producer, successors, except: consumer, bounds) {
        case .isOnTheWay: return false
        case .nodes(let after):
            // What depends on the producer goes behind the consumer.
            move(after, after: consumer)
            join(producer, consumer, as: name, at: consumer)
            return true
        case .tooMany: break
        }
        guard case .nodes(let before) = reachable(from: consumer, predecessors, except: producer, bounds) else { return false }
        // What the consumer depends on goes before the producer.
        move(before, after: previous[producer])
        join(producer, consumer, as: name, at: producer)
        return true
    }

    // MARK: Searching

    private enum Search {
        /// The nodes that were reached, in order; none of them leads to the end.
        case nodes([Int])
        case isOnTheWay
        case tooMany
    }

    /// Follows edges from a node, within bounds of the order, to whatever is not the end.
    private mutating func reachable(from start: Int, _ edges: [[Int]], except end: Int, _ bounds: ClosedRange<Int>) -> Search {
        search += 1
        marks[start] = search
        var found: [Int] = []
        var stack = [start]
        var followed = 0
        while let node = stack.popLast() {
            for edge in edges[node] {
                followed += 1
                if followed > Self.edgesFollowed { return .tooMany }
                let reached = root(of: edge)
                if reached == end {
                    if node != start { return .isOnTheWay }
                    continue
                }
                guard marks[reached] != search, bounds.contains(labels[reached]) else { continue }
                marks[reached] = search
                found.append(reached)
                stack.append(reached)
            }
        }
        return .nodes(found.sorted { labels[$0] < labels[$1] })
    }

    private mutating func root(of node: Int) -> Int {
        var node = node
        while parents[node] != node {
            parents[node] = parents[parents[node]]
            node = parents[node]
        }
        return node
    }

    // MARK: Moving

    private mutating func unlink(_ node: Int) {
        next[previous[node]] = next[node]
        previous[next[node]] = previous[node]
    }

    private mutating func link(_ node: Int, after place: Int) {
        (previous[node], next[node]) = (place, next[place])
        previous[next[place]] = node
        next[place] = node
    }

    /// Puts nodes of the list, in their order, behind another or at the beginning.
    private mutating func move(_ nodes: [Int], after place: Int) {
        if nodes.isEmpty { return }
        var last = place
        for node in nodes {
            unlink(node)
            link(node, after: last)
            last = node
        }
        let low = place == anchor ? 0 : labels[place]
        let high = next[last] == anchor ? low + (nodes.count + 1) * Self.spacing : labels[next[last]]
        let step = (high - low) / (nodes.count + 1)
        if step > 0 {
            for (number, node) in nodes.enumerated() { labels[node] = low + step * (number + 1) }
        } else { relabel() }
    }

    /// Makes room between all labels anew.
    private mutating func relabel() {
        var node = next[anchor], label = 0
        while node != anchor {
            label += Self.spacing
            labels[node] = label
            node = next[node]
        }
    }

    private mutating func join(_ producer: Int, _ consumer: Int, as name: Int, at place: Int) {
        let gone = name == producer ? consumer : producer
        let (label, before) = (labels[place], previous[place])
        unlink(place)
        let other = place == producer ? consumer : producer
        unlink(other)
        link(name, after: before == other ? previous[other] : before)
        labels[name] = label
        parents[gone] = name
        Self.join(&predecessors, gone, to: name)
        Self.join(&successors, gone, to: name)
    }

    /// The smaller list is added to the larger.
    private static func join(_ edges: inout [[Int]], _ gone: Int, to name: Int) {
        if edges[gone].count > edges[name].count { edges.swapAt(gone, name) }
        let smaller = edges[gone]
        edges[gone] = []
        edges[name] += smaller
    }
}
