// When buffers hold something that is read later. A draft's steps come in, through branches and loops; for each buffer the ranges of one
// numbering of all steps go out.
//
//     launch │ if │ then … │ else … │ test … │ body … │ launch        a launch at 2p: what it reads lives until 2p + 2, what it writes from 2p on
//     0        2    4        8        12       20       30            a move at 2p: what it reads lives until 2p + 1, what it writes from there on

/// The times at which buffers of the arena, and outputs, are in use.
struct Liveness {
    /// By buffer, in order, without gaps of nothing between them; empty for inputs and constants.
    private(set) var ranges: [[Range<Int>]] = []
    /// By kernel, the time of its first launch.
    private(set) var launches: [Int: Int] = [:]
    /// The moves, in order, with their times.
    private(set) var moves: [(time: Int, moves: [Move], endsRound: Bool)] = []

    private struct Event {
        /// A read lasts until `end`; what is defined is in use from `start` to at least `end`.
        var start: Int
        var end: Int
        var isDefinition: Bool
        var region: Int
    }

    private struct Region {
        var parent: Int
        /// The control flow that the region is part of.
        var control: Int
        var start = 0
        var end = 0
    }

    private struct Control {
        var isLoop: Bool
        /// Then and else, or test and body.
        var first: Int
        var second: Int
        var start = 0
        var end = 0
    }

    private let draft: ProgramDraft
    private let uses: [[BufferUse]]
    private let isTracked: [Bool]
    private var events: [[Event]]
    private var regions = [Region(parent: -1, control: -1)]
    private var controls: [Control] = []
    private var time = 0

    /// - Parameter uses: the draft's.
    init(_ draft: ProgramDraft, _ uses: [[BufferUse]]) {
        self.draft = draft
        self.uses = uses
        isTracked = draft.buffers.map(\.isWritable)
        events = Array(repeating: [], count: draft.buffers.count)
        walk(draft.steps, 0, isBody: false)
        regions[0].end = time
        ranges = draft.buffers.indices.map { isTracked[$0] ? ranges(of: $0) : [] }
        events = []
    }

    // MARK: Numbering

    private mutating func read(_ buffer: Int, _ end: Int, _ region: Int) {
        if isTracked[buffer] { events[buffer].append(Event(start: time, end: end, isDefinition: false, region: region)) }
    }

    private mutating func define(_ buffer: Int, _ start: Int, _ region: Int) {
        if isTracked[buffer] { events[buffer].append(Event(start: start, end: time + 2, isDefinition: true, region: region)) }
    }

    private mutating func walk(_ steps: [Draft], _ region: Int, isBody: Bool) {
        for (position, step) in steps.enumerated() {
            switch step {
            case .launch(let kernel): launch(kernel, region)
            case .measure(_, let source, _):
                read(source, time + 2, region)
                time += 2
            case .check: break
            case .move(let list):
                moves.append((time, list, isBody && position == steps.count - 1))
                for move in list { read(move.source, time + 1, region) }
                for move in list { define(move.target, time + 1, region) }
                time += 2
            case .branch(let condition, let then, let otherwise):
                read(condition, time + 2, region)
                time += 2
                let control = open(isLoop: false, in: region)
                walk(then, control: control, first: true)
                walk(otherwise, control: control, first: false)
                controls[control].end = time
            case .loop(let test, let condition, let body):
                time += 2
                let control = open(isLoop: true, in: region)
                walk(test, control: control, first: true)
                read(condition, time + 2, controls[control].first)
                time += 2
                regions[controls[control].first].end = time
                walk(body, control: control, first: false)
                controls[control].end = time
            }
        }
    }

    private mutating func open(isLoop: Bool, in parent: Int) -> Int {
        regions += [Region(parent: parent, control: controls.count), Region(parent: parent, control: controls.count)]
        controls.append(Control(isLoop: isLoop, first: regions.count - 2, second: regions.count - 1, start: time))
        return controls.count - 1
    }

    private mutating func walk(_ steps: [Draft], control: Int, first: Bool) {
        let region = first ? controls[control].first : controls[control].second
        regions[region].start = time
        walk(steps, region, isBody: controls[control].isLoop && !first)
        regions[region].end = time
    }

    private mutating func launch(_ kernel: Int, _ region: Int) {
        launches[kernel] = time
        var unmade = Set(draft.made[kernel])
        let own = draft.like[kernel]?.buffers
        for (number, use) in uses[kernel].enumerated() {
            for named in use.read + use.written {
                let buffer = own?[named] ?? named
                if unmade.remove(buffer) != nil { define(buffer, time, region) } else { read(buffer, time + 2, region) }
            }
            if number < uses[kernel].count - 1 { time += 2 }
        }
        for buffer in draft.made[kernel] where unmade.contains(buffer) { define(buffer, time, region) }
        time += 2
    }

    // MARK: Ranges

    /// Whether a buffer is read at the beginning of some steps: always, or if it is at their end.
    private struct Summary {
        var always = false
        var passes = true
        func callAsFunction(_ liveAfter: Bool) -> Bool { always || passes && liveAfter }
    }

    private func ranges(of buffer: Int) -> [Range<Int>] {
        var pieces: [Range<Int>] = []
        let isOutput = if case .output = draft.buffers[buffer].storage { true } else { false }
        _ = walk(0, events[buffer][...], isOutput, &pieces)
        return Self.merged(pieces)
    }

    /// Ranges in order, of which none touch.
    static func merged(_ pieces: [Range<Int>]) -> [Range<Int>] {
        var result: [Range<Int>] = []
        for piece in pieces.sorted(by: { $0.lowerBound < $1.lowerBound }) where !piece.isEmpty {
            if let last = result.last, last.upperBound >= piece.lowerBound {
                result[result.count - 1] = last.lowerBound..<max(last.upperBound, piece.upperBound)
            } else { result.append(piece) }
        }
        return result
    }

    /// Goes back through a region's events and gives whether the buffer is live at its beginning.
    private func walk(_ region: Int, _ events: ArraySlice<Event>, _ liveAfter: Bool, _ pieces: inout [Range<Int>]) -> Bool {
        var (rest, isLive, upper) = (events, liveAfter, regions[region].end)
        while let event = rest.last {
            guard event.region != region else {
                rest.removeLast()
                if event.isDefinition {
                    pieces.append(event.start..<(isLive ? max(upper, event.end) : event.end))
                    isLive = false
                } else if !isLive { (isLive, upper) = (true, event.end) }
                continue
            }
            let control = controls[self.control(of: event, in: region)]
            let (first, second) = take(control, from: &rest)
            if isLive, control.end < upper { pieces.append(control.end..<upper) }
            if control.isLoop {
                let (test, body) = (summary(control.first, first), summary(control.second, second))
                // What is live at a round's end is what is live at the beginning of the test after it.
                let beforeTest = test(isLive || body.always)
                _ = walk(control.second, second, beforeTest, &pieces)
                isLive = walk(control.first, first, isLive || body(beforeTest), &pieces)
            } else {
                let otherwise = walk(control.second, second, isLive, &pieces)
                isLive = walk(control.first, first, isLive, &pieces) || otherwise
            }
            upper = control.start
        }
        if isLive, regions[region].start < upper { pieces.append(regions[region].start..<upper) }
        return isLive
    }

    private func summary(_ region: Int, _ events: ArraySlice<Event>) -> Summary {
        var (rest, result) = (events, Summary())
        while let event = rest.last {
            guard event.region != region else {
                rest.removeLast()
                result = Summary(always: !event.isDefinition, passes: false)
                continue
            }
            let control = controls[self.control(of: event, in: region)]
            let (first, second) = take(control, from: &rest)
            let (one, other) = (summary(control.first, first), summary(control.second, second))
            let whole = control.isLoop ? Summary(always: one.always || one.passes && other.always, passes: one.passes)
                : Summary(always: one.always || other.always, passes: one.passes || other.passes)
            result = Summary(always: whole(result.always), passes: whole.passes && result.passes)
        }
        return result
    }

    /// The control flow right inside the region that an event is in.
    private func control(of event: Event, in region: Int) -> Int {
        var inner = event.region
        while regions[inner].parent != region { inner = regions[inner].parent }
        return regions[inner].control
    }

    /// Cuts the events inside of control flow off the end.
    private func take(_ control: Control, from events: inout ArraySlice<Event>) -> (first: ArraySlice<Event>, second: ArraySlice<Event>) {
        let border = regions[control.second].start
        let middle = Self.end(of: events) { $0.start < border }
        let start = Self.end(of: events[..<middle]) { $0.start < control.start }
        defer { events = events[..<start] }
        return (events[start..<middle], events[middle...])
    }

    /// The place after the last event of which the condition holds, which holds of all before it.
    private static func end(of events: ArraySlice<Event>, where holds: (Event) -> Bool) -> Int {
        var (low, high) = (events.startIndex, events.endIndex)
        while low < high {
            let middle = (low + high) / 2
            if holds(events[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
