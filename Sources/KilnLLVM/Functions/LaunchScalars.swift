// The numbers in a launch's code that could as well be given to it: the scales of a quantized network's layers, which are alike in all else. A
// launch comes in; the floats that it only multiplies by, adds and divides by go out, for which code would be no better if it knew them.

import KilnIR
import KilnKernels

/// A float constant, to the bit.
struct FloatConstant: Hashable, Sendable {
    let dtype: DType
    let bits: UInt64

    /// Nil for what is no f32 or f64, and for numbers by which arithmetic is simpler: powers of two, zeros, and what is not finite.
    init?(_ scalar: Scalar, _ dtype: DType) {
        guard dtype == .f32 || dtype == .f64, case .real(let value) = scalar, value.isFinite, value != 0,
            value.significand != 1 else { return nil }
        (self.dtype, bits) = (dtype, scalar.bits(dtype))
    }
}

/// The constants of a launch that could be parameters, each once, in the order of their first use.
struct LaunchScalars {
    private(set) var values: [FloatConstant] = []
    private var defined: [ValueNumber: FloatConstant] = [:]
    private var order: [FloatConstant] = []
    private var barred: Set<FloatConstant> = []

    init(_ launch: KernelLaunch) {
        add(launch.body)
        guard !order.isEmpty else { return }
        var seen = barred
        values = order.filter { seen.insert($0).inserted }
    }

    private mutating func bar(_ number: ValueNumber) { if let constant = defined[number] { barred.insert(constant) } }

    private mutating func add(_ statements: [Statement]) {
        for statement in statements {
            switch statement {
            case .define(let number, .constant(let scalar, let dtype)):
                guard let constant = FloatConstant(scalar, dtype) else { continue }
                defined[number] = constant
                order.append(constant)
            case .define(_, .apply(let function, let operands, _)):
                switch function {
                case .add, .subtract, .multiply, .divide, .fusedMultiplyAdd: continue
                default: for operand in operands { bar(operand) }
                }
            case .define(_, .shuffle(let number, _)), .define(_, .vote(_, let number)), .store(_, let number, _), .bind(_, let number),
                .atomic(_, _, let number): bar(number)
            case .loop(let loop): add(loop.body)
            case .lanes(_, _, _, let body): add(body)
            case .branch(_, let then, let otherwise):
                add(then)
                add(otherwise)
            case .define, .local, .prefetch, .transpose, .threadBlock: continue
            }
        }
    }
}
