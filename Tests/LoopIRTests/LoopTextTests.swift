// The text of loop programs: it reads as documented, parses to an equal program, and says what is wrong with it.

import KilnIR
import KilnKernels
import Testing

/// Every statement, instruction and step once.
let example = """
    program @softmax(n, "batch size") data_dependent (some: 2*n, "most of it": 7) arena 256*n workspace 64 {
      input 0 @x: f32[n, 4096]
      output 0 @x#1: f32[n, 4096]
      arena @t: f32[n, 4096] at 64*n
      arena @more: bool[] at 0
      constant @c: f32[3] = f32[3] [1.0, -0.0, nan]
      packed @p: f32[4] = @c from 2 outer [] across [3, -1] by 2 depth [1, 7]
      arena @count: i64[] at 64
      arena @u: f32[n, 4096] at 16384*n
      kernel @k at "main.swift":12 {
        parallel d0 < n work 4096*n {
          local $0: f32[16]
          local $1: f32[16*n] at 64
          for d1 in 0 ..< 4096 step 16 {
            lanes d2 < min(d1 + 16, n) of 16 {
              %0 = load @x[4096*d0 + d1 + d2] where (d0 - 3 >= 0, d1 - 3*floor(d1, 3) == 0) else -inf
              %1 = multiply f32 %0, %0
              %2 = load @c[1]
              store $0[d2] = %1
            }
          }
          %4 = reduce_lanes maximum $0[0] of 16
          %5 = constant f32 1.5
          %6 = holds (n - 5 >= 0)
          %7 = select f32 %6, %4, %5
          %8 = position "batch size" + 4*d0
          bind d5 = %8
          for unrolled d3 in 0 ..< 4 {
            %9 = convert bf16 %7
          }
          prefetch @x[d5 + 64]
          transpose 3 by 4 $0[0] pitch 4 to $1[d5] pitch 16
          if (d5 - 7 == 0) {
            store stream @x#1[4096*d0] where (d0 >= 0) = %7
          } else {
            store @t[d5] = %7
          }
          if () {
          }
        }
      }
      kernel @k#1 {
      }
      run {
        check n - 1 >= 0 else "n is \\"small\\""
        launch @k
        copy @x to @x#1
        measure some from @count limit 2*n
        measure "most of it" from @count limit min(7, some)
        if @more {
          launch @k#1
        } else {
        }
        test {
          launch @k
        } while @more {
          launch @k
          exchange @t with @u
        }
      }
    }

    """

@Suite struct LoopTextTests {
    @Test func printsAsItParses() throws {
        let program = try Program.parse(example)
        #expect(program.description == example)
        #expect(try Program.parse(program.description) == program)
        try program.verify()
        #expect(program.kernels[0].description(in: program).hasPrefix("kernel @k at \"main.swift\":12 {\n  parallel d0 < n"))
    }

    @Test func expressionsAreKeptAsWritten() throws {
        let address = Dim.atom(.floorDivide("n" * 4, 2)) + .atom(.maximum("n", "b")) + .index(3) * .index(2)
        let program = Program(name: "p", symbols: ["n", "b"], kernels: [
            Kernel(name: "k", launches: [KernelLaunch(variable: 0, workItems: 1, work: 1, body: [.define(0, .position(address))])])
        ])
        #expect(try Program.parse(program.description) == program)
    }

    static let errors: [(String, String, String)] = [
        ("launch @k\n", "launch @q\n", "p:46:12: there is no kernel `q`"),
        ("%1 = multiply f32", "%1 = multiplied f32", "p:17:16: expected an instruction, found `multiplied`"),
        ("@x#1: f32", "@x: f32", "p:3:12: there is a `x` already; name this one `x#1`"),
        ("for d1", "for x1", "p:14:11: expected an index variable, such as `d0`, found `x1`"),
        ("d0 >= 0", "d0 >= 1", "p:34:49: expected `0`, found `1`"),
    ]

    @Test(arguments: errors.indices) func saysWhatIsWrong(number: Int) throws {
        let (old, new, expected) = Self.errors[number]
        #expect(example.contains(old))
        let error = #expect(throws: ParseError.self) { try Program.parse(example.replacing(old, with: new, maxReplacements: 1), file: "p") }
        #expect(error?.description.hasPrefix(expected) == true, "\(error?.description ?? "")")
    }

    @Test func hostileNestingIsRefused() {
        let text = "program @p() arena 0 workspace 0 { run {" + String(repeating: "if @x {", count: 100_000)
        #expect(throws: ParseError.self) { try Program.parse(text) }
        let kernel = "program @p() arena 0 workspace 0 { kernel @k { parallel d0 < 1 work 1 {" + String(repeating: "if () {", count: 100_000)
        #expect { try Program.parse(kernel) } throws: { "\($0)".contains("nest at most") }
    }
}
