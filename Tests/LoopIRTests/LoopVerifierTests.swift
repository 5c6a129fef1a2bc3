// What the verifier finds in broken programs: each is the example with one piece of its text changed.

import KilnIR
import KilnKernels
import Testing

@Suite struct LoopVerifierTests {
    static let faults: [(String, String, String)] = [
        ("%1 = multiply f32 %0, %0", "%1 = multiply f32 %0, %7", "%7 is not in scope"),
        ("%1 = multiply f32 %0, %0", "%1 = multiply f64 %0, %0", "multiply of f32, f32 gives no f64"),
        ("%1 = multiply f32 %0, %0", "%0 = multiply f32 %0, %0", "%0 is defined already"),
        ("%1 = multiply f32 %0, %0", "%1 = multiply f32 %0, %0 if () { }", "a branch inside lanes"),
        ("%1 = multiply f32 %0, %0", "%1 = multiply f32 %0, %0 lanes d7 < 4 of 4 { }", "lanes inside lanes"),
        ("%1 = multiply f32 %0, %0", "%1 = multiply f32 %0, %0 %20 = reduce_lanes sum $0[0] of 4", "reduce_lanes inside lanes"),
        ("%2 = load @c[1]", "%2 = load @c[d9]", "d9 is not in scope"),
        ("%2 = load @c[1]", "%2 = load @c[q]", "the symbol `q` is none of the program's"),
        ("store $0[d2] = %1", "store $4[d2] = %1", "$4 is not in scope"),
        ("store $0[d2] = %1", "store @x[d2] = %1", "`x` can't be written"),
        ("store @t[d5] = %7", "store @t[d5] = %8", "stores a i64 where a f32 is"),
        ("lanes d2 < min(d1 + 16, n) of 16", "lanes d2 < 9 of 12", "the width 12 is no power of two"),
        ("lanes d2 < min(d1 + 16, n) of 16", "lanes d2 < 17 of 16", "17 of 16 lanes"),
        ("lanes d2 < min(d1 + 16, n) of 16", "lanes d1 < 4 of 16", "d1 is there already"),
        ("$0[0] of 16", "$0[0] of 0", "the width 0 is no power of two"),
        ("reduce_lanes maximum", "reduce_lanes argmax", "lanes are not combined by argmax"),
        ("for unrolled d3 in 0 ..< 4", "for unrolled d3 in 0 ..< n", "an unrolled loop's bounds are constants"),
        ("0 ..< 4096 step 16", "0 ..< 4096 step 0", "the step 0 is not positive"),
        ("local $0: f32[16]", "local $0: f32[n]", "a local on the stack has a constant number of elements, not n"),
        ("local $1: f32[16*n]", "local $0: f32[16*n]", "local $0 is there already"),
        ("bind d5 = %8", "bind d5 = %7", "an index variable takes an i64"),
        ("select f32 %6, %4, %5", "select f32 %4, %4, %5", "select of f32, f32, f32 gives no f32"),
        ("prefetch @x[d5 + 64]", "prefetch @x[d9 + 64]", "d9 is not in scope"),
        ("prefetch @x[d5 + 64]", "prefetch @x[d5 + 64] where (d5 >= 0)", "a prefetch has no conditions"),
        ("transpose 3 by 4", "transpose 3 by 6", "the width 6 is no power of two"),
        ("transpose 3 by 4", "transpose 5 by 4", "5 rows for a width of 4"),
        ("pitch 4 to", "pitch 3 to", "rows overlap"),
        ("to $1[d5] pitch 16", "to @x[d5] pitch 16", "`x` can't be written"),
        ("to $1[d5] pitch 16", "to @more[d5] pitch 16", "transposes into another type"),
        ("store $0[d2] = %1", "store $0[d2] = %1 transpose 3 by 4 $0[0] pitch 4 to $1[0] pitch 4", "transpose inside lanes"),
        ("arena 256*n", "arena 256*some", "the arena's size uses the unknown symbol `some`"),
        ("measure some from", "measure other from", "`other` is not a symbol that is measured"),
        ("measure some from @count", "measure some from @t", "buffer 2 does not hold a size"),
        ("limit 2*n", "limit 2*m", "the limit of `some` uses the unknown symbol `m`"),
        ("(some: 2*n", "(n: 2*n", "a symbol is there twice"),
        ("arena 256*n", "arena 256*m", "the arena's size uses the unknown symbol `m`"),
        ("at 64*n", "at 64*d0", "its offset uses the index variable d0"),
        ("= f32[3] [1.0, -0.0, nan]", "= f32[1] [1.0]", "buffer 4 `c` is f32[3], but its constant is f32[1]"),
        ("arena @more: bool[]", "arena @more: u8[]", "the condition `more` is no bool"),
        ("copy @x to @x#1", "copy @x to @c", "`c` is copied to, but can't be written"),
        ("output 0 @x#1", "input 0 @x#1", "buffer 1 `x` is the same input or output as another"),
    ]

    @Test(arguments: faults.indices) func findsFaults(number: Int) throws {
        let (old, new, expected) = Self.faults[number]
        #expect(example.contains(old))
        let program = try Program.parse(example.replacing(old, with: new, maxReplacements: 1))
        let error = #expect(throws: InternalError.self) { try program.verify(after: "schedule") }
        #expect(error?.description.contains(expected) == true, "\(error?.description ?? "")")
        #expect(error?.pass == "schedule")
    }

    @Test func showsTheStatementsAround() throws {
        let program = try Program.parse(example.replacing("%5 = constant f32 1.5", with: "%5 = negate f32 %30"))
        let error = #expect(throws: InternalError.self) { try program.verify() }
        #expect(error?.context == """
              local $1: f32[16*n] at 64
              for d1 in 0 ..< 4096
              %4 = reduce_lanes maximum $0[0] of 16
            > %5 = negate f32 %30
              %6 = holds (n - 5 >= 0)
              %7 = select f32 %6, %4, %5
              %8 = position "batch size" + 4*d0
            """)
    }

    @Test func valuesBelongToTheirBlock() throws {
        let leaked = example.replacing("%4 = reduce_lanes maximum $0[0] of 16", with: "%4 = negate f32 %0")
        #expect { try Program.parse(leaked).verify() } throws: { "\($0)".contains("%0 is not in scope") }
    }
}
