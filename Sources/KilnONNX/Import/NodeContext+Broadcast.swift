// How the inputs of an operator that broadcasts meet, in each version. In: a node's inputs. Out: values that NumPy's rules fit.

import KilnIR
import KilnOps

extension NodeContext {
    /// Inputs 0 and 1. Before version 7 the second lies along the first from `axis` on.
    func pair() throws -> (Value, Value) {
        let (a, b) = (try tensor(0), try tensor(1))
        return (a, version < 7 ? try aligned(b, to: a) : b)
    }

    /// Inputs 0 and 1 of any one type whose carried elements compare as those they stand for.
    func comparablePair() throws -> (Value, Value) {
        let (a, b) = (try stored(0), try stored(1))
        guard a.element == b.element else { throw mistake("compares elements of type \(a.element) with elements of type \(b.element)") }
        let isComparable = a.element.isNative || a.element.integerRange != nil
        guard isComparable else { throw Unsupported(reason: "input 0 has elements of type \(a.element)") }
        return (a.value, version < 7 ? try aligned(b.value, to: a.value) : b.value)
    }

    /// All inputs, folded by a function of two.
    func folded(_ combine: (Value, Value) -> Value) throws -> Value {
        let values = try tensors()
        guard let first = values.first else { throw mistake("has no inputs") }
        return values.dropFirst().reduce(first, combine)
    }

    /// A second operand with axes of 1 behind it, so that its first lies on `axis` of the first operand.
    private func aligned(_ b: Value, to a: Value) throws -> Value {
        guard let place = integer("axis"), b.rank > 0 else { return b }
        let first = try axis(place, rank: a.rank)
        guard first + b.rank <= a.rank else { throw mistake("axis \(place) leaves no room for \(b.rank) axes in \(a.rank)") }
        return b.appendingAxes(a.rank - first - b.rank)
    }
}
