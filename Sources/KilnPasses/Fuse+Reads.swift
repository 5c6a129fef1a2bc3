// What an operation reads of other kernels' results, through all that is cloned for it, and at how many places: by this it is decided
// what a kernel may compute again, and which views are stored because composing them would make code that grows.

import KilnIR

extension Fusion {
    /// A place at which a kernel wants a value's element, other than where the kernel is: what an operation makes of another place.
    struct Site: Hashable {
        /// The number of that place; 0 is where the kernel is.
        var base: Int
        var position: Int
        /// Which of the operation's reads it is; of no operation, a place as seen from the base.
        var number: Int
    }

    /// Elements of another operation's result that an operation needs.
    struct Read {
        var producer: Int
        /// Where, as seen from the operation.
        var sites: [Int]
    }

    private mutating func site(_ base: Int, _ position: Int, _ number: Int) -> Int {
        let site = Site(base: base, position: position, number: number)
        if let known = siteNumbers[site] { return known }
        siteNumbers[site] = siteNumbers.count + 1
        return siteNumbers.count
    }

    /// A place as seen from another.
    mutating func compose(_ base: Int, _ site: Int) -> Int { base == 0 ? site : site == 0 ? base : self.site(base, -1, site) }

    /// What an operation reads of groups, and all other operations that have to be run before it.
    mutating func collectReads(of position: Int) -> (reads: [Read], others: [Int]) {
        var found: [Read] = []
        var others = (measuring[position] ?? []).sorted()
        var seen: Set<Site> = []
        searches += 1
        var stack: [(value: ValueID, site: Int)] = []
        push(operandsOf: position, at: 0, to: &stack)
        while let (value, site) = stack.popLast() {
            guard let producer = table.definitions[value] else { continue }
            // Nearly all that is read is read where the kernel is.
            if site == 0 {
                if marks[producer].here == searches { continue }
                marks[producer].here = searches
            } else if !seen.insert(Site(base: site, position: producer, number: 0)).inserted { continue }
            if groupOf[producer] != nil {
                if marks[producer].read == searches { found[marks[producer].number].sites.append(site) } else {
                    (marks[producer].read, marks[producer].number) = (searches, found.count)
                    found.append(Read(producer: producer, sites: site == 0 ? Self.here : [site]))
                }
            } else if isClone(producer) {
                if let sizes = measuring[producer] { others += sizes.sorted() }
                push(operandsOf: producer, at: site, to: &stack)
            } else if !graph.operations[producer].operands.isEmpty { others.append(producer) }
        }
        for number in found.indices where found[number].sites.count > 1 { found[number].sites.sort() }
        if found.count > 1 { found.sort { $0.producer > $1.producer } }
        return (found, others)
    }

    private static let here = [0]

    /// What a search for reads has met.
    struct Mark {
        /// The last search that met the operation's result where the kernel is, and the last that found it to be read.
        var here = 0
        var read = 0
        /// Which of that search's reads it is.
        var number = 0
    }

    /// The operands' elements that an operation's element is made of.
    private mutating func push(operandsOf position: Int, at base: Int, to stack: inout [(value: ValueID, site: Int)]) {
        let operands = graph.operations[position].operands
        switch table.forms[position] {
        case .view(let map) where !table.isLinearIdentity(position) && !Self.isRepetition(map):
            for (number, piece) in map.pieces.enumerated() { stack.append((operands[piece.operand], site(base, position, number))) }
        case .gather(let coordinates):
            stack.append((operands[0], site(base, position, 0)))
            for (number, coordinate) in coordinates.enumerated() {
                if case .lookup(let operand, _) = coordinate { stack.append((operands[operand], site(base, position, number + 1))) }
            }
        case .reduce where table.isInlinable[position], .contract where table.isInlinable[position]:
            for step in 0..<steps(of: position) { for operand in operands { stack.append((operand, site(base, position, step))) } }
        default: for operand in operands { stack.append((operand, base)) }
        }
    }

    /// Whether a view repeats its operand along further axes and leaves the others in order: what a kernel keeps of a row it has for
    /// all of the row's elements.
    private static func isRepetition(_ map: IndexMap) -> Bool {
        guard map.pieces.count == 1, map.pieces[0].conditions.isEmpty else { return false }
        var last = -1
        for index in map.pieces[0].indices where index != 0 {
            guard let axis = index.indices.first, index == .index(axis), axis > last else { return false }
            last = axis
        }
        return true
    }

    /// The steps of a reduction or contraction that is unrolled.
    private func steps(of position: Int) -> Int {
        switch table.forms[position] {
        case .reduce(_, let axes):
            let shape = graph.type(of: graph.operations[position].operands[0]).shape
            return axes.reduce(1) { $0 * (shape[$1].constant ?? 1) }
        case .contract(let contraction): return contraction.steps.constant ?? 1
        default: return 1
        }
    }

    /// Rough scalar operations for an element of an operation's result, with all that is cloned for it.
    func length(of position: Int) -> Int {
        let operation = graph.operations[position]
        func read(_ value: ValueID) -> Int {
            guard let producer = table.definitions[value] else { return 1 }
            return isClone(producer) ? lengths[producer] : 1
        }
        let all = operation.operands.reduce(0) { $0 + read($1) }
        switch table.forms[position] {
        case .elementwise: return max(InlineCost.of(table.forms[position]), 1) + all
        case .view(let map): return map.pieces.reduce(1) { $0 + read(operation.operands[$1.operand]) + ($1.conditions.isEmpty ? 0 : 1) }
        case .gather: return 1 + all + 4 * (operation.operands.count - 1)
        case .constant: return 1
        case .reduce where table.isInlinable[position], .contract where table.isInlinable[position]: return steps(of: position) * (1 + all)
        default: return 16 + all
        }
    }

    /// How many times longer than its own the indices get at which memory is read for an operation's result: views of views multiply.
    func indexLength(of position: Int) -> Int {
        let inner = graph.operations[position].operands.reduce(1) { longest, operand in
            guard let producer = table.definitions[operand], isClone(producer) else { return longest }
            return max(longest, indexLengths[producer])
        }
        guard case .view(let map) = table.forms[position] else { return inner }
        let most = map.pieces.reduce(1) { most, piece in
            var occurrences: [Int: Int] = [:]
            for index in piece.indices { index.forEachVariable { if case .index(let i) = $0 { occurrences[i, default: 0] += 1 } } }
            return max(most, occurrences.values.max() ?? 1)
        }
        // What is beyond the bound is all the same.
        return min(most, 1 << 20) * min(inner, 1 << 20)
    }

    /// Whether readers that have a view, or what else they compute in place, unrolled would be longer than it is worth.
    func isTooLongToClone(_ position: Int) -> Bool {
        let length = lengths[position]
        if length > model.viewLength || indexLengths[position] > model.indexLength { return true }
        let readers = graph.operations[position].results.reduce(0) { $0 + users[$1].count }
        if readers > 1, length > model.viewLength / 8, length * readers > model.sharedViewLength { return true }
        // A window over what is computed in place computes it at each of its steps.
        guard let user = uses[position].first?.user, table.isInlinable[user], case .elementwise = table.forms[position] else { return false }
        return (steps(of: user) - 1) * length > 4 * model.recomputation
    }

    /// The places at which a group would need the members of another as its own; nil where there are too many.
    mutating func sites(of producer: Int, in consumer: Int) -> Set<Int>? {
        var found: Set<Int> = []
        for member in groups[consumer]!.members {
            for read in reads[member] where groupOf[read.producer] == producer {
                let at = sites[member] ?? [0]
                guard at.count * read.sites.count <= model.sites else { return nil }
                for base in at { for site in read.sites { found.insert(compose(base, site)) } }
                if found.count > model.sites { return nil }
            }
        }
        return found
    }
}
