// Lesson 6: the same training on another device: the GPU where there is one, else a grid on the processor that runs the GPU's kernels,
// slowly, and checks what they do. Usage: 06-devices IMAGES.npz [STEPS]   fails unless the device does as well as the processor, with the same
// bits each time.
import Digits
import Glibc
import Kiln

let device = Device.gpuCount > 0 ? Device.gpu : .emulatedGPU
let steps = CommandLine.arguments.dropFirst(2).first.flatMap { Int($0) } ?? (Device.gpuCount > 0 ? 300 : 30)
let (train, test) = try Digits.load(CommandLine.arguments[1])

/// Trains for some steps from the same start; gives the accuracy on the test images and the network's output on them.
@MainActor func run(on device: Device) throws -> (accuracy: Double, scores: [Float]) {
    manualSeed(1)
    let model = try makeNetwork().to(device)
    let optimizer = Adam(model.parameters, learningRate: 4e-3)
    let loader = DataLoader([train.images, train.classes], batchSize: 32, shuffle: true, seed: 1, dropLast: true)
    let clock = ContinuousClock()
    let start = clock.now
    var step = 0
    while step < steps {
        for batch in loader.prefix(steps - step) {
            let loss = crossEntropy(model(batch[0].to(device)), batch[1].to(device))
            optimizer.zeroGrad()
            try loss.backward()
            try optimizer.step()
            step += 1
        }
    }
    model.eval()
    let scores = try noGrad { try model(test.images.to(device)).evaluated() }
    let accuracy = try accuracy(scores, test.classes.to(device))
    print("\(steps) steps on \(device): test accuracy \((accuracy * 1000).rounded() / 10) %, \(clock.now - start)")
    return (accuracy, try scores.array(as: Float.self))
}

let here = try run(on: .cpu)
let there = try run(on: device)
// On the emulated grid the seed decides in which order a kernel's threads come.
let again = try run(on: device == .gpu ? .gpu : .emulatedGPU(.sm80, seed: 20))
guard abs(there.accuracy - here.accuracy) <= 0.01 else {
    print("error: the accuracies are more than one point apart")
    exit(1)
}
guard there.scores == again.scores else {
    print("error: the bits differ from run to run")
    exit(1)
}
print("the same bits in every run on \(device)")
