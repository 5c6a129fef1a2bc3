// Valid inputs: for graphs, every sample of every op of the catalogue and a few that are written out; for programs, one of each statement.

import KilnIR
import KilnOps

enum Seeds {
    /// Words and numbers that mean something, or nearly.
    static let words = [
        "0", "1", "-1", "2", "64", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "4294967296", "1.0", "-0.0", "inf", "-inf",
        "nan", "nan(0x7ff8000000000001)", "1e308", "1i", "1u", "true", "false", "n", "m", "d0", "\"d0\"", "2*n", "n*n*n", "floor(n, 2)", "floor(n, m)",
        "max(n, 3)", "min(n, m)", "(n + 1)", "floor(", "%", "@", "$", "#", "(", ")", "[", "]", "{", "}", ",", ":", "=", "->", "..<", ">=", "==", "\"",
        "\\", "\\u{0}", "//", "\n", "at", "with", "named", "return", "dims[n]", "dims[0]", "dims[-1, 2]", "[0]", "[0, 1]", "[-1]", "[]", "literal",
        "base64 \"AAAA\"", "scalar", "bool", "i8", "i64", "u8", "u64", "f16", "bf16", "f32", "f64", "f32[]", "f32[n, 2]", "f32[0]", "é", "\u{0}",
    ]

    static let graphs = Result { try (samples() + written).map { Array($0.utf8) } }

    private static func samples() throws -> [String] {
        var texts: [String] = []
        for op in Catalogue.all {
            for dtype in [DType.f32, .i32, .bool] where op.dtypes.contains(dtype) {
                for sample in op.samples(dtype) {
                    var graph = Graph(name: op.name)
                    let operands = sample.operands.enumerated().map { graph.addInput("x\($0)", $1) }
                    let results = try graph.append(op, operands, sample.attributes, regions: sample.regions, at: SourceLocation(name: "seed.swift", line: 7))
                    graph.outputs = results.enumerated().map { Port("y\($0)", $1) }
                    // Attributes are where rules go wrong: ops that have some come up more often.
                    texts += [String](repeating: graph.description, count: op.attributeNames.isEmpty ? 1 : 4)
                }
            }
        }
        return texts
    }

    private static let written = [
        """
        graph @mlp(%x: f32[n, 784], %w: f32[784, 10], %b: f32[10]) -> (y: f32[n, 10]) {
          %3 = contract %x, %w {left_batch = [], right_batch = [], left_reduce = [1], right_reduce = [0]} : f32[n, 10] at "main.swift":12
          %4 = broadcast %b {shape = dims[n, 10], axes = [1]} : f32[n, 10]
          %5 = add %3, %4 : f32[n, 10]
          %6 = relu %5 : f32[n, 10]
          return %6
        }
        """,
        """
        // Sizes that are expressions.
        graph @views(%x: f32[n, 2*m + 1], %"odd name": i64[floor(n, 2), max(n, m)]) -> (a: f32[n*(2*m + 1)], "b c": i64[floor(n, 2), max(n, m)]) {
          %2 = reshape %x {shape = dims[n*(2*m + 1)]} : f32[2*m*n + n]
          %3 = neg %"odd name" : i64[floor(n, 2), max(n, m)]
          return %2, %3
        }
        """,
    ]

    static let programs = [Array("""
        program @softmax(n, "batch size") data_dependent (some: 2*n, "most of it": 7) arena 256*n workspace 64 {
          input 0 @x: f32[n, 4096]
          output 0 @x#1: f32[n, 4096]
          arena @t: f32[n, 4096] at 64*n
          arena @more: bool[] at 0
          constant @c: f32[3] = f32[3] [1.0, -0.0, nan]
          packed @p: f32[4] = @c from 2 outer [] across [3, -1] by 2 depth [1, 7]
          arena @count: i64[] at 64
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
            }
          }
        }

        """.utf8)]
}
