// Steps down the gradient: parameters with gradients come in, and are replaced in one compiled call with everything else that is pending.
import KilnIR
import KilnOps

/// What changes parameters by their gradients. Not thread-safe.
///
///     for batch in loader {
///         let loss = crossEntropy(model(batch.x), batch.y)
///         optimizer.zeroGrad()
///         try loss.backward()
///         try optimizer.step()
///     }
public class Optimizer {
    public let parameters: [Parameter]
    /// The factor on the step: data, so that changing it compiles nothing, and counts for captured functions too.
    public var learningRate: Double {
        didSet { rateVariable.stored = Tensor(learningRate, dtype: .f64, device: rateVariable.stored.device) }
    }
    private let rateVariable: Buffer

    /// - Parameter parameters: computed here, so that the first step's program is like the others'.
    init(_ parameters: [Parameter], learningRate: Double) {
        self.parameters = parameters
        self.learningRate = learningRate
        rateVariable = Buffer(Tensor(learningRate, dtype: .f64, device: parameters.first?.stored.device ?? .default))
        // What fails here fails again for whoever reads.
        if !isCapturing { try? Kiln.evaluate() }
    }

    /// The learning rate as a number of rank 0, f64, where a parameter is.
    final func rate(for value: Tensor) -> Tensor { kept(rateVariable, for: value) }

    /// Forgets all gradients.
    public func zeroGrad() { for parameter in parameters { parameter.grad = nil } }

    /// Changes every parameter that has a gradient, and computes all that is pending.
    public func step() throws {
        try noGrad {
            for (index, parameter) in parameters.enumerated() {
                guard let gradient = parameter.grad else { continue }
                if let error = gradient.error { throw error }
                parameter.update { value in
                    let next = updated(value, gradient, index)
                    value.replace("step", with: next, at: .unknown)
                }
                if let error = parameter.takeMistake() { throw error }
            }
            finishStep()
        }
        if !isCapturing { try Kiln.evaluate() }
    }

    /// What one parameter becomes: in one go, so that nothing in between is computed.
    func updated(_ value: Tensor, _ gradient: Tensor, _ index: Int) -> Tensor { value }
    /// Runs after all parameters were changed.
    func finishStep() {}

    /// The tensors that the optimizer keeps, by name, for saving.
    public var variables: [(name: String, variable: Buffer)] { [] }

    public func state() -> [String: Tensor] {
        Dictionary(variables.map { ($0.name, $0.variable.value) }, uniquingKeysWith: { first, _ in first })
    }

    /// Takes over what `state()` gave.
    public func load(state: [String: Tensor]) throws {
        let missing = variables.map(\.name).filter { state[$0] == nil }
        if !missing.isEmpty {
            throw CompileError("load(state:)", "the state has no \(quoted(missing))", fix: "load what the same optimizer saved")
        }
        for (name, variable) in variables {
            guard let tensor = state[name], tensor.type != variable.stored.type else { continue }
            throw CompileError("load(state:)", "\"\(name)\" is \(tensor.type) in the state and \(variable.stored.type) in the optimizer",
                               fix: "load what the same optimizer saved")
        }
        for (name, variable) in variables { if let tensor = state[name] { variable.value = tensor.to(variable.stored.device) } }
    }

    /// What the optimizer keeps, on the device to which its parameter may have gone meanwhile.
    func kept(_ variable: Buffer, for value: Tensor) -> Tensor { variable.value.to(value.device) }

    /// Zeros like each parameter, in memory from the start, so that the first step's program is like the others'.
    func zeros() -> [Buffer] {
        parameters.map { parameter in
            let value = parameter.stored
            if value.error != nil { return Buffer(value.detach()) }
            return Buffer(Tensor.make(value.type, value.device) { $0.initializeMemory(as: UInt8.self, repeating: 0) })
        }
    }
}

/// Scales all gradients so that their common norm is at most `limit`; gives the norm from before.
@discardableResult
public func clipGradientNorm(_ parameters: [Parameter], _ limit: Double) -> Tensor {
    noGrad {
        let gradients = parameters.compactMap(\.grad)
        let norm = gradients.reduce(Tensor(0.0, device: gradients.first?.device ?? .cpu)) { $0 + $1.square().sum().cast(to: .f32) }.sqrt()
        let scale = (limit / (norm + 1e-6)).clamp(max: 1.0)
        for parameter in parameters { parameter.grad = parameter.grad.map { $0 * scale.cast(to: $0.dtype) } }
        return norm
    }
}
