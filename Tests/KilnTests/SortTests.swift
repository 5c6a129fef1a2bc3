// Sorting, through tensors: long rows, equal elements, NaN, sizes that are known at run time only.

import Kiln
import Testing

struct SortTests {
    /// The positions in order, by Swift's own sort.
    private func order(_ values: [Float], descending: Bool) -> [Int64] {
        func precedes(_ a: Float, _ b: Float) -> Bool { a < b || b.isNaN && !a.isNaN }
        return values.indices.sorted { a, b in
            let (first, second) = descending ? (values[b], values[a]) : (values[a], values[b])
            if precedes(first, second) { return true }
            return !precedes(second, first) && a < b
        }.map(Int64.init)
    }

    private func numbers(_ count: Int) -> [Float] {
        var state: UInt64 = 7
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let draw = Int(state >> 33) % 1000
            return draw == 0 ? .nan : draw == 1 ? -0.0 : draw == 2 ? .infinity : Float(draw - 500) / 8
        }
    }

    @Test(arguments: [1, 2, 31, 32, 33, 64, 65, 1000, 4097, 20000], [false, true])
    func longRowsComeInOrder(count: Int, descending: Bool) throws {
        let values = numbers(count)
        let sorted = Tensor(values).sort(descending: descending)
        let expected = order(values, descending: descending)
        #expect(try sorted.indices.array(as: Int64.self) == expected)
        #expect(try sorted.values.array(as: Float.self).map(\.bitPattern) == expected.map { values[Int($0)].bitPattern })
    }

    @Test func sizesKnownAtRunTimeAlone() throws {
        let sort = jit { (x: Tensor) in x.sort(0).indices }
        for count in [1, 5, 32, 40, 129, 513, 3000] {
            let values = numbers(count)
            #expect(try sort(Tensor(values)).array(as: Int64.self) == order(values, descending: false))
        }
    }

    @Test func theFirstFewAndTheirGradient() throws {
        var x = Tensor([3, 1, 2, 5] as [Float])
        x.requiresGrad = true
        let top = x.topK(2)
        #expect(try top.values.array(as: Float.self) == [5, 3])
        #expect(try top.indices.array(as: Int64.self) == [3, 0])
        try (top.values * Tensor([10, 1] as [Float])).sum().backward()
        #expect(try x.grad?.array(as: Float.self) == [1, 0, 0, 10])
    }
}
