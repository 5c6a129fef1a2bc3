// Gradients: against hand-computed numbers, of gradients, the user's own, through control flow, and what leaves are.
import Kiln
import Testing

@Suite struct GradientTests {
    @Test func accumulates() throws {
        let x = Tensor([1.0, 2, 3]).requiringGrad()
        try (x * x).sum().backward()
        #expect(try x.grad!.array() == [2, 4, 6])
        try (x * 3).sum().backward()
        #expect(try x.grad!.array() == [5, 7, 9])
        x.zeroGrad()
        #expect(x.grad == nil)
    }

    @Test func flowsThroughMatmulAndBroadcast() throws {
        let w = Tensor([[1.0, 2], [3, 4]]).requiringGrad()
        let b = Tensor([1.0, 1]).requiringGrad()
        let x = Tensor([[1.0, 1], [2, 2], [0, 1]])
        try (x.matmul(w) + b).sum().backward()
        #expect(try w.grad!.array() == [3, 3, 4, 4])
        #expect(try b.grad!.array() == [3, 3])
        #expect(x.grad == nil)
    }

    @Test func worksAfterReading() throws {
        let x = Tensor(2.0).requiringGrad()
        let y = (x * x * x).sin()
        let value = try y.item()
        #expect(abs(value - 0.98935824662) < 1e-6)
        try y.backward()
        let first = try x.grad!.item()
        #expect(abs(first - 12 * -0.14550003380861354) < 1e-5)
        try y.backward()
        #expect(abs(try x.grad!.item() - 2 * first) < 1e-5)
    }

    @Test func normsOfNothingHaveNoSlope() throws {
        let x = Tensor([[0.0, 0], [3, 4]]).requiringGrad()
        let norms = x.norm(1)
        #expect(try norms.array() == [0, 5])
        try norms.sum().backward()
        #expect(try x.grad?.array().map { ($0 * 1e6).rounded() } == [0, 0, 6e5, 8e5])
    }

    @Test func usedTwiceAddsUp() throws {
        let x = Tensor(3.0).requiringGrad()
        let y = x * x
        try (y + y * x).backward()
        #expect(try x.grad!.item() == 6 + 27)
    }

    @Test func gradientsOfGradients() throws {
        let x = Tensor(2.0, dtype: .f64).requiringGrad()
        let y = x.pow(4)
        let first = try grad(of: y, withRespectTo: x, createGraph: true)
        let second = try grad(of: first, withRespectTo: x, createGraph: true)
        let third = try grad(of: second, withRespectTo: x)
        #expect(abs(try first.item() - 32) < 1e-12)
        #expect(abs(try second.item() - 48) < 1e-12)
        #expect(abs(try third.item() - 48) < 1e-12)
        #expect(!third.requiresGrad)
        #expect(x.grad == nil)
    }

    @Test func gradientPenalty() throws {
        // d/dx of (d/dx x³)² = d/dx 9x⁴ = 36x³
        let x = Tensor(2.0, dtype: .f64).requiringGrad()
        let slope = try grad(of: x * x * x, withRespectTo: x, createGraph: true)
        try slope.square().backward()
        #expect(abs(try x.grad!.item() - 288) < 1e-9)
    }

    @Test func withRespectToInnerTensors() throws {
        let x = Tensor(2.0).requiringGrad()
        let y = x * x
        let z = y * y
        #expect(try grad(of: z, withRespectTo: y).item() == 8)
        let unrelated = Tensor(1.0).requiringGrad()
        #expect(try grad(of: z, withRespectTo: [unrelated])[0] == nil)
        #expect(try grad(of: z, withRespectTo: unrelated).item() == 0)
    }

    @Test func detachAndNoGradCut() throws {
        let x = Tensor(3.0).requiringGrad()
        let y = x.detach() * x
        try y.backward()
        #expect(try x.grad!.item() == 3)
        let z = noGrad { x * 2 }
        #expect(!z.requiresGrad)
        #expect(throws: ShapeError.self) { try z.backward() }
        #expect(noGrad { enableGrad { x * 2 } }.requiresGrad)
        #expect(isGradEnabled)
    }

    @Test func leavesAreChangedUnderNoGrad() throws {
        var x = Tensor([1.0, 2]).requiringGrad()
        try (x * x).sum().backward()
        let copy = x
        noGrad { x.sub_(x.grad! * 0.5) }
        #expect(x.requiresGrad && x.isLeaf)
        #expect(try x.array() == [0, 0])
        #expect(try copy.array() == [1, 2])
        #expect(try x.grad!.array() == [2, 4])
        x.add_(1)
        #expect { try x.array() } throws: { "\($0)".contains("noGrad") }
    }

    @Test func weighted() throws {
        let x = Tensor([1.0, 2]).requiringGrad()
        #expect(throws: ShapeError.self) { try (x * x).backward() }
        try (x * x).backward(gradient: Tensor([1.0, 10]))
        #expect(try x.grad!.array() == [2, 40])
    }

    @Test func integersHaveNone() {
        var x = Tensor([1, 2])
        x.requiresGrad = true
        #expect(throws: ShapeError.self) { try x.array() }
    }

    @Test func opsWithoutGradientsSaySo() {
        let x = Tensor([1.0, 2]).requiringGrad()
        let indices = x.argmax(0)
        #expect(!indices.requiresGrad)
    }

    @Test func ownGradients() throws {
        let x = Tensor([-2.0, 3]).requiringGrad()
        // A step with the gradient of the identity.
        func straightThrough(_ x: Tensor) throws -> Tensor {
            try withGradient(of: x, forward: { ($0 .> 0).cast(to: .f32) }, pullback: { _, _, gradient in gradient * 5 })
        }
        let y = try straightThrough(x * 2)
        #expect(try y.array() == [0, 1])
        try (y * y + y).sum().backward()
        // (2y + 1) · 5 · 2
        #expect(try x.grad!.array() == [10, 30])
    }

    @Test func ownGradientsSeeInputsAndResults() throws {
        let a = Tensor([2.0]).requiringGrad()
        let b = Tensor([5.0]).requiringGrad()
        let scale = Tensor([3.0])
        let c = try withGradient(of: [a, b], forward: { [$0[0] * $0[1] * scale] }, pullback: { inputs, results, gradients in
            [gradients[0] * inputs[1] * 100, gradients[0] * results[0]]
        })[0]
        try c.sum().backward()
        #expect(try c.array() == [30])
        #expect(try a.grad!.array() == [500])
        #expect(try b.grad!.array() == [30])
        #expect(throws: ShapeError.self) {
            try withGradient(of: a, forward: { $0 * 2 }, pullback: { _, _, gradient in gradient.sum() })
        }
    }

    @Test func conditionsAndLoops() throws {
        let x = Tensor(3.0).requiringGrad()
        for (flag, value, slope) in [(true, 9.0, 6.0), (false, 6.0, 2.0)] {
            x.zeroGrad()
            let y = try cond(Tensor(flag), then: { [x * x] }, otherwise: { [x + x] })[0]
            #expect(try y.item() == value)
            try y.backward()
            #expect(try x.grad!.item() == slope)
        }
        x.zeroGrad()
        // x doubled until it is 20 or more.
        let y = try whileLoop([x], while: { ($0[0] .< 20) }) { [$0[0] * 2] }[0]
        #expect(try y.item() == 24)
        try y.backward()
        #expect(try x.grad!.item() == 8)
    }
}
