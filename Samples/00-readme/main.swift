import Kiln

let images = Tensor.randn([256, 64]), classes = Tensor.randint(10, [256])
let model = Sequential {
    Linear(64, 128)
    ReLU()
    Linear(128, 10)
}
let optimizer = Adam(model.parameters, learningRate: 1e-2)
for step in 1...100 {
    let loss = crossEntropy(model(images), classes)
    optimizer.zeroGrad()
    try loss.backward()
    try optimizer.step()
    if step % 25 == 0 { print("step \(step): loss \(try loss.item())") }
}
let graph = try compile(name: "net", input: TensorSpec("x", .f32, ["batch", 64])) { model($0) }
try graph.writeLibrary(to: "libnet.so", header: "net.h")
