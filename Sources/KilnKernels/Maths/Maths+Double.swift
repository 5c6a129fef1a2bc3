// exp, log and tanh of f64, so that kernels of f64 vectorise where they use these most; the others call libm where there is one.

import KilnIR

extension Maths {
    static func double(_ function: ScalarFunction) -> ((ScalarTerm) -> ScalarTerm)? {
        switch function {
        case .exp: doubleExp
        case .log: doubleLog
        case .tanh: doubleTanh
        default: nil
        }
    }

    /// Those that libm has, for targets without one.
    static func doubleWithoutLibrary(_ function: ScalarFunction, _ allArguments: Bool) -> ((ScalarTerm) -> ScalarTerm)? {
        switch function {
        case .exp2: doubleExp2
        case .expm1: doubleExpm1
        case .log2: doubleLog2
        case .log1p: doubleLog1p
        case .erf: doubleErf
        case .sin: { doubleSine($0, quarterTurns: 0, allArguments) }
        case .cos: { doubleSine($0, quarterTurns: 1, allArguments) }
        case .tan: { doubleTan($0, allArguments) }
        case .asin: doubleAsin
        case .acos: doubleAcos
        case .atan: doubleAtan
        case .sinh: doubleSinh
        case .cosh: doubleCosh
        case .asinh: doubleAsinh
        case .acosh: doubleAcosh
        case .atanh: doubleAtanh
        default: double(function)
        }
    }

    static let doubleShift = 0x1.8p52
    static let doubleLn2High = 0.6931471805599453, doubleLn2Low = 2.3190468138462996e-17

    /// e^x within 0.9 ulp, as for f32.
    private static func doubleExp(_ x: ScalarTerm) -> ScalarTerm {
        let x = x.atMost(710).atLeast(-746)
        let shift = doubleShift + 2046
        let shifted = x.fma(1.4426950408889634, shift)
        let n = shifted - shift
        let r = n.fma(-doubleLn2Low, n.fma(-doubleLn2High, x))
        // Minimax on |r| <= 0.3466, relative error 2^-57.9.
        let p = r.polynomial([
            1, 1, 0.5000000000000011, 0.16666666666666438, 0.04166666666652578, 0.008333333333473684, 0.0013888888944868039,
            0.00019841269560673334, 2.4801491739353032e-05, 2.755753024277609e-06, 2.7630756843424905e-07, 2.502019733222778e-08,
        ])
        let bits = shifted.bitcast(to: .u64)
        let lower = bits.shiftedRight(1)
        return p * lower.shiftedLeft(52).float * (bits - lower).shiftedLeft(52).float
    }

    /// The bits of 2/3; see `split`.
    static let doubleTwoThirds: Int64 = 0x3fe5_5555_5555_5555

    /// x = 2^e (1 + f): f, and e as a float. Subnormals are scaled up first.
    static func doubleSplit(_ x: ScalarTerm) -> (f: ScalarTerm, e: ScalarTerm) {
        let isTiny = x < 0x1p-1022
        let bits = isTiny.select(x * 0x1p52, x).bits
        let exponent = bits.plus(-doubleTwoThirds).masked(-1 << 52)
        let f = (bits - exponent).float - 1
        return (f, exponent.converted(to: .f64).fma(0x1p-52, isTiny.select(x.constant(-52), x.constant(0))))
    }

    /// log(1 + f) = f + f² (-1/2 + f q(f)); minimax on |f| <= 1/3, relative error 2^-56.6.
    static let doubleLogTail = [
        -0.5, 0.3333333333333323, -0.25000000000013367, 0.20000000000055113, -0.16666666662923538, 0.14285714276478953,
        -0.12500000389621232, 0.11111111843999821, -0.09999979267988866, 0.09090876461844702, -0.08333972827742543,
        0.07693191836906174, -0.07130782848719028, 0.06651561521363895, -0.06390977321794301, 0.06045083559235136,
        -0.045731781296172176, 0.04202817493618319, -0.08625516172201195, 0.08451773465076243,
    ]

    /// The natural logarithm within 1 ulp, as for f32.
    private static func doubleLog(_ x: ScalarTerm) -> ScalarTerm {
        let (f, e) = doubleSplit(x)
        let q = f.polynomial(doubleLogTail)
        let tail = e.fma(doubleLn2Low, q * (f * f))
        return logarithm(x, e.fma(doubleLn2High, f + tail))
    }

    /// The hyperbolic tangent within 1 ulp, as for f32.
    private static func doubleTanh(_ x: ScalarTerm) -> ScalarTerm {
        let a = x.magnitude.atMost(19.5)
        let shift = doubleShift + 1023
        let shifted = a.fma(2.8853900817779268, shift)
        let n = shifted - shift
        let r = a.fma(4.0710547481862066e-17, a.fma(2.8853900817779268, -n))
        let power = shifted.bits.shiftedLeft(52).float
        let q = r.polynomial(doubleExp2Tail)
        let far = x.constant(1) - x.constant(2) / (power * r).fma(q, power + 1)
        // tanh x = x + x³ p(x²); minimax on |x| <= 0.98, relative error 2^-57.01.
        let z = a * a
        let p = z.polynomial([
            -0.333333333333331, 0.13333333333307867, -0.053968253958543475, 0.02186948834787481, -0.008863233348157034,
            0.0035921115022429628, -0.0014557477312203643, 0.0005897018019546317, -0.00023823091335768883,
            9.507049409606897e-05, -3.643468974653623e-05, 1.2619827416347386e-05, -3.5668143842494605e-06,
            7.006325932809339e-07, -6.919475317661537e-08,
        ])
        return (a < 0.9765625).select((a * z).fma(p, a), far).withSign(of: x)
    }
}
