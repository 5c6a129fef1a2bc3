// Lesson 1: tensors. They are made from Swift's arrays, files and rules, computed when somebody looks, and they are values.
import Kiln

let x = Tensor([[1.0, 2, 3], [4, 5, 6]])
print("x =", x)
print("its rows' means:", x.mean([1]))

// Shapes are broadcast as in NumPy and PyTorch.
let centred = x - x.mean([1], keepDims: true)
print("centred:", centred)
print("x · xᵀ =", x.matmul(x.t()))

// A tensor is a value: y keeps what x was. Underscores change a variable in place.
var y = x
y.add_(100)
print("y =", y[0], "but x =", x[0])

// Nothing was computed until something was printed; what belongs together is computed by one compiled program.
let before = statistics.compilations
let scores = (x * 0.5 - 1).sigmoid().softmax(1)
let best = scores.argmax(1)
print("softmax:", scores, "best:", best)
print("programs compiled for these two: \(statistics.compilations - before)")

// Mistakes don't throw where they are made: whoever reads the result learns which line made them.
do {
    let wrong = x.matmul(x)
    _ = try (wrong + 1).array()
} catch { print("a mistake:\n\(error)") }
