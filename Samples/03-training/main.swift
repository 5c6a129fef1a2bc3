// Lesson 3: training a convolutional network on handwritten digits. One program is compiled for all steps.
// Usage: 03-training IMAGES.npz FOLDER   writes FOLDER/digits.safetensors; fails below 98 % on the test images.
import Digits
import Glibc
import Kiln

let (original, test) = try Digits.load(CommandLine.arguments[1])
let train = original.withShifts()
manualSeed(1)
let model = makeNetwork()
let optimizer = Adam(model.parameters, learningRate: 2e-3)
let loader = DataLoader([train.images, train.classes], batchSize: 64, shuffle: true, seed: 1, dropLast: true)
print("\(original.images.shape[0]) images to train on, each in 5 places, \(test.images.shape[0]) to test on, \(model.parameterCount) parameters")

let epochs = 8
for epoch in 1...epochs {
    // The last third of the way in smaller steps.
    if epoch == epochs * 2 / 3 + 1 { optimizer.learningRate /= 6 }
    model.train()
    let bar = ProgressBar("epoch \(epoch)", total: loader.batchCount)
    var total = 0.0
    for batch in loader {
        let loss = crossEntropy(model(batch[0]), batch[1])
        optimizer.zeroGrad()
        try loss.backward()
        try optimizer.step()
        total += try loss.item()
        bar.advance("loss \(try rounded(loss.item()))")
    }
    model.eval()
    let score = try noGrad { try accuracy(model(test.images), test.classes) }
    bar.finish("loss \(rounded(total / Double(loader.batchCount)))  test accuracy \(rounded(score * 100)) %")
}

let score = try noGrad { try accuracy(model(test.images), test.classes) }
print("test accuracy \(rounded(score * 100)) %; \(statistics.compilations) programs compiled in \(rounded(statistics.compileSeconds)) s")
try model.save(to: CommandLine.arguments[2] + "/digits.safetensors")
if score < 0.98 {
    print("error: the test accuracy is below 98 %")
    exit(1)
}

func rounded(_ number: Double) -> Double { (number * 10_000).rounded() / 10_000 }
