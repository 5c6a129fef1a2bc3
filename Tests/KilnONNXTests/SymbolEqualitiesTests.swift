// Symbols that a model needs to be equal become one: whatever the two sizes look like, the result is an expression that is left over.

import KilnIR
@testable import KilnONNX
import Testing

@Suite struct SymbolEqualitiesTests {
    @Test func aSymbolByItselfIsReplaced() {
        var equalities = SymbolEqualities()
        let isKnown1 = equalities.add("total", Dim.symbol("past") + "sequence")
        #expect(isKnown1)
        #expect(equalities.applied(to: Dim.symbol("total") * 2) == Dim.symbol("past") * 2 + Dim.symbol("sequence") * 2)
        #expect(equalities.applied(to: "past") == "past")
    }

    @Test func ofTwoSymbolsTheLaterInTheAlphabetGoes() {
        for (a, b) in [("m", "n"), ("n", "m")] {
            var equalities = SymbolEqualities()
            let isKnown2 = equalities.add(.symbol(a), .symbol(b))
            #expect(isKnown2)
            #expect(equalities.applied(to: "n") == "m")
            #expect(equalities.applied(to: "m") == "m")
        }
    }

    @Test func whatWasKnownIsKeptUpToDate() {
        var equalities = SymbolEqualities()
        let isKnown3 = equalities.add("t", Dim.symbol("p") + "s")
        #expect(isKnown3)
        let isKnown4 = equalities.add("s", "b")
        #expect(isKnown4)
        #expect(equalities.applied(to: "t") == Dim.symbol("p") + "b")
    }

    @Test func sumsAreSolved() {
        var equalities = SymbolEqualities()
        let isKnown5 = equalities.add(Dim.symbol("a") + "b", Dim.symbol("c") + 1)
        #expect(isKnown5)
        let (left, right) = (equalities.applied(to: Dim.symbol("a") + "b"), equalities.applied(to: Dim.symbol("c") + 1))
        #expect(left == right)
    }

    @Test func whatHasNoSolutionIsLeft() {
        var equalities = SymbolEqualities()
        let isKnown6 = equalities.add(Dim.symbol("n") * 2, 7)
        #expect(!isKnown6)
        let isKnown7 = equalities.add(3, 4)
        #expect(!isKnown7)
        let isKnown8 = equalities.add(Dim.symbol("n") * "n", "n")
        #expect(!isKnown8)
    }
}
