// What can be said of sizes for every run: two expressions over symbols come in, and out goes whether one is never less than the other.
// A symbol counts as at least 1, as exporters take it; an op's own checks find the run in which it is not.

import KilnIR

enum SizeFacts {
    /// Whether a size is at least `least` for all symbols of at least 1; false where that is not certain.
    static func isKnown(_ size: Dim, atLeast least: Dim) -> Bool {
        let difference = size - least
        if IndexRanges.isNonNegative(difference) { return true }
        return IndexRanges.isNonNegative(difference.substituting { if case .symbol = $0 { .atom($0) + 1 } else { nil } })
    }

    /// Whether a number is negative; nil where that is not certain.
    static func isNegative(_ number: Dim) -> Bool? {
        if isKnown(number, atLeast: 0) { return false }
        return isKnown(-1 - number, atLeast: 0) ? true : nil
    }

    static func minimum(_ a: Dim, _ b: Dim) -> Dim {
        if isKnown(b, atLeast: a) { return a }
        return isKnown(a, atLeast: b) ? b : .minimum(a, b)
    }

    static func maximum(_ a: Dim, _ b: Dim) -> Dim {
        if isKnown(a, atLeast: b) { return a }
        return isKnown(b, atLeast: a) ? b : .maximum(a, b)
    }
}
