// Rules about truth values, bits, comparisons and choices; all of them keep every bit.

import KilnIR
import KilnOps

extension Rules {
    private static let logical = [DType.bool] + DType.integers

    static let logic = rules {
        rule("not not x", logical) { x in (~(~x), x) }
        rule("x and x", logical) { x in (x & x, x) }
        rule("x or x", logical) { x in (x | x, x) }
        rule("x xor x", logical) { x in (x ^ x, number(0, x)) }
        rule("x and 0", logical) { x in (x & number(0, x), number(0, x)) }
        rule("x or 0", logical) { x in (x | number(0, x), x) }
        rule("x xor 0", logical) { x in (x ^ number(0, x), x) }
        rule("x and ones", logical) { x in (x & number(-1, x), x) }
        rule("x or ones", logical) { x in (x | number(-1, x), number(-1, x)) }
        rule("x xor ones", logical) { x in (x ^ number(-1, x), ~x) }
    }

    static let comparisons = rules {
        rule("not x = y", DType.all) { x, y in (~(x .== y), x .!= y) }
        rule("not x != y", DType.all) { x, y in (~(x .!= y), x .== y) }
        rule("not x < y", logical) { x, y in (~(x .< y), x .>= y) }
        rule("not x <= y", logical) { x, y in (~(x .<= y), x .> y) }
        rule("not x > y", logical) { x, y in (~(x .> y), x .<= y) }
        rule("not x >= y", logical) { x, y in (~(x .>= y), x .< y) }
        rule("x = x", logical) { x in (x .== x, truth(true, x)) }
        rule("x != x", logical) { x in (x .!= x, truth(false, x)) }
        rule("x != x, of floats", DType.floats) { x in (x .!= x, x.isNaN()) }
        rule("x < x", DType.all) { x in (x .< x, truth(false, x)) }
        rule("x > x", DType.all) { x in (x .> x, truth(false, x)) }
        rule("x <= x", logical) { x in (x .<= x, truth(true, x)) }
        rule("x >= x", logical) { x in (x .>= x, truth(true, x)) }
        rule("x = true", [.bool]) { x in (x .== number(true, x), x) }
        rule("x = false", [.bool]) { x in (x .== number(false, x), ~x) }
        rule("x != true", [.bool]) { x in (x .!= number(true, x), ~x) }
        rule("x != false", [.bool]) { x in (x .!= number(false, x), x) }
    }

    static let choices = rules {
        rule("select(p, x, x)", DType.all, variables: { v in (v.p.select(v.x, v.x), v.x) })
        rule("select(true, x, y)", DType.all, variables: { v in (truth(true, v.x).select(v.x, v.y), v.x) })
        rule("select(false, x, y)", DType.all, variables: { v in (truth(false, v.x).select(v.x, v.y), v.y) })
        rule("select(not p, x, y)", DType.all, variables: { v in ((~v.p).select(v.x, v.y), v.p.select(v.y, v.x)) })
        rule("select(p, select(p, x, y), z)", DType.all, variables: { v in (v.p.select(v.p.select(v.x, v.y), v.z), v.p.select(v.x, v.z)) })
        rule("select(p, x, select(p, y, z))", DType.all, variables: { v in (v.p.select(v.x, v.p.select(v.y, v.z)), v.p.select(v.x, v.z)) })
        rule("select(p, true, false)", [.bool], variables: { v in (v.p.select(truth(true, v.p), truth(false, v.p)), v.p) })
        rule("select(p, false, true)", [.bool], variables: { v in (v.p.select(truth(false, v.p), truth(true, v.p)), ~v.p) })
    }

    private static func truth(_ value: Bool, _ x: Pattern) -> Pattern { number(.bool(value), Pattern(node: x.node, type: x.type.with(dtype: .bool))) }
}
