// To another dtype, by value or by bits.

import KilnIR

extension Elementwise {
    static let conversions = [cast, bitcast]
}

extension Elementwise {
    /// The value in another dtype: floats to integers truncate and saturate, NaN gives 0; integers wrap; to bool is `!= 0`.
    /// Numbers are rounded once, but for 64-bit integers to floats narrower than f32, which are rounded to f64 first.
    public static let cast = OpDefinition(
        "cast", attributes: ["dtype"],
        infer: { context in
            let types = try check(context, 1, DType.all)
            guard let dtype = context.attributes.dtype("dtype") else {
                throw context.error("needs the attribute `dtype`", fix: "say which dtype to cast to")
            }
            return [types[0].with(dtype: dtype)]
        },
        form: { context in
            guard let dtype = context.attributes.dtype("dtype"), let source = context.operands.first?.dtype else {
                throw InternalError("cast", "has no dtype")
            }
            return .elementwise(ScalarExpr([source]) { cast($0[0], to: dtype) })
        },
        pullback: { pull in
            let isSmooth = pull.operand.dtype.isFloat && pull.result.dtype.isFloat
            return [isSmooth ? pull.cotangent.cast(to: pull.operand.dtype) : nil]
        },
        samples: { dtype in
            DType.all.map { target in
                // Differences are finite in f64 alone, and rounding to anything narrower shows in them.
                OpSample([TensorType(dtype, [2, 3])], ["dtype": .dtype(target)], isSmooth: dtype.isFloat && target == .f64)
            }
        })

    /// The conversion in nodes that every backend has: floats narrower than f32 come from and go to f32 alone.
    static func cast(_ term: ScalarTerm, to dtype: DType) -> ScalarTerm {
        if term.dtype == dtype { return term }
        let isNarrow = dtype.isNarrowFloat
        switch term.dtype {
        case _ where term.dtype.isNarrowFloat: return term.converted(to: .f32).converted(to: dtype)
        case .f64 where isNarrow: return roundedToOdd(term).converted(to: dtype)
        case .i32, .i64, .u32, .u64: return isNarrow ? roundedToOdd(term.converted(to: .f64)).converted(to: dtype) : term.converted(to: dtype)
        default: return isNarrow ? term.converted(to: .f32).converted(to: dtype) : term.converted(to: dtype)
        }
    }

    /// An f64 in f32, cut off, with the last bit set where something was lost: rounding this once more gives what rounding the
    /// f64 would have given. (S. Boldo and G. Melquiond, "Emulation of FMA and correctly rounded sums", 2008.)
    private static func roundedToOdd(_ term: ScalarTerm) -> ScalarTerm {
        let near = term.converted(to: .f32)
        let back = near.converted(to: .f64)
        let bits = near.bitcast(to: .i32)
        let isInexact = back(.notEqual, term)(.and, back.abs() < .infinity)
        let below = (back.abs() > term.abs()).select(bits - bits.constant(1), bits)
        return isInexact.select(below(.or, bits.constant(1)), bits).bitcast(to: .f32)
    }
}
extension Operand {
    /// The value in another dtype.
    public func cast(to dtype: DType, file: StaticString = #fileID, line: UInt = #line) -> Self {
        cast(to: dtype, at: SourceLocation(file, line))
    }
    func cast(to dtype: DType, at location: SourceLocation) -> Self {
        dtype == self.dtype ? self : .apply(Elementwise.cast, self, attributes: ["dtype": .dtype(dtype)], at: location)
    }
}

extension Elementwise {
    /// The same bits as another dtype of as many.
    public static let bitcast = OpDefinition(
        "bitcast", attributes: ["dtype"], dtypes: DType.numbers + DType.floats8,
        infer: { context in
            let types = try check(context, 1, DType.numbers + DType.floats8)
            guard let dtype = context.attributes.dtype("dtype") else {
                throw context.error("needs the attribute `dtype`", fix: "say which dtype the bits are of")
            }
            guard dtype.bitWidth == types[0].dtype.bitWidth else {
                throw context.error("\(types[0].dtype) has \(types[0].dtype.bitWidth) bits, \(dtype) has \(dtype.bitWidth)",
                                    fix: "choose a dtype of the same width, or `cast`")
            }
            return [types[0].with(dtype: dtype)]
        },
        form: { context in
            guard let dtype = context.attributes.dtype("dtype"), let source = context.operands.first?.dtype else {
                throw InternalError("bitcast", "has no dtype")
            }
            return .elementwise(ScalarExpr([source]) { $0[0].bitcast(to: dtype) })
        },
        pullback: { _ in [nil] },
        samples: { dtype in
            (DType.numbers + DType.floats8).filter { $0.bitWidth == dtype.bitWidth }.map { target in
                OpSample([TensorType(dtype, [2, 3])], ["dtype": .dtype(target)], isSmooth: false)
            }
        })
}
extension Operand {
    /// The same bits as another dtype of the same width.
    public func bitcast(to dtype: DType, file: StaticString = #fileID, line: UInt = #line) -> Self {
        dtype == self.dtype ? self : .apply(Elementwise.bitcast, self, attributes: ["dtype": .dtype(dtype)], at: SourceLocation(file, line))
    }
}
