// A parallel move as steps one after the other: buffers that take others' contents come in; exchanges of addresses, where a content
// is not wanted in its old place, and copies for the rest go out.

/// The order in which moves are made.
struct MoveOrder {
    private(set) var exchanges: [(Int, Int)] = []
    private(set) var copies: [Move] = []
    /// Sources that a copy would overwrite too early, to be copied to a memory of their own first.
    private(set) var staged: [Int] = []

    /// - Parameters:
    ///   - moves: with different targets, none of them its own source.
    ///   - mayExchange: whether a source's memory may become the target's and the other way round.
    init(_ moves: [Move], mayExchange: (Move) -> Bool) {
        /// Where the content is that a buffer had before, and what the content of a buffer was.
        var places: [Int: Int] = [:], contents: [Int: Int] = [:]
        var taken: Set<Int> = []
        var rest: [Move] = []
        for move in moves {
            guard !taken.contains(move.source), mayExchange(move) else {
                rest.append(move)
                continue
            }
            taken.insert(move.source)
            let place = places[move.source] ?? move.source
            if place == move.target { continue }
            exchanges.append((move.target, place))
            let moved = contents[move.target] ?? move.target
            (places[moved], contents[place]) = (place, moved)
            (places[move.source], contents[move.target]) = (move.target, move.source)
        }
        let overwritten = Set(rest.map(\.target))
        var isStaged: Set<Int> = []
        for move in rest {
            let place = places[move.source] ?? move.source
            if place == move.target { continue }
            if overwritten.contains(place), isStaged.insert(place).inserted { staged.append(place) }
            copies.append(Move(source: place, target: move.target))
        }
    }
}
