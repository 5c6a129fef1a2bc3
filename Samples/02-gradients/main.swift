// Lesson 2: gradients. `backward()` fills `grad` as in PyTorch; gradients have gradients; and a function may bring its own.
import Kiln

let x = Tensor([1.0, 2, 3]).requiringGrad()
let y = (x.square() * x).sum()
try y.backward()
print("d(Σx³)/dx = 3x²:", x.grad!)

// Gradients are tensors like others, so they can be differentiated again.
let first = try grad(of: y, withRespectTo: x, createGraph: true)
let second = try grad(of: first.sum(), withRespectTo: x)
print("d²(Σx³)/dx² = 6x:", second)

// A gradient of your own: forward, a step function, which is flat; backward, as if it were the identity
// (Y. Bengio et al., "Estimating or Propagating Gradients Through Stochastic Neurons", 2013).
func step(_ input: Tensor) throws -> Tensor {
    try withGradient(of: [input], forward: { [$0[0].round()] }, pullback: { _, _, gradients in gradients })[0]
}

let weight = Tensor([0.2, 0.7, 1.4]).requiringGrad()
let loss = (try step(weight) - Tensor([1.0, 1, 1])).square().sum()
try loss.backward()
print("rounded:", try step(weight), "gradient through the rounding:", weight.grad!)
