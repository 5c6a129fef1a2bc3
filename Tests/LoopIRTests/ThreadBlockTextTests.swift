// The text of what thread blocks do together: all of it reads back as it was printed, and the verifier takes it.

import KilnIR
import KilnKernels
import Testing

@Suite struct ThreadBlockTextTests {
    /// Every operation of a thread block once, as it prints.
    private static let statements = [
        "map @a[0] sizes (64, 64) strides (64, 1) box (32, 64) swizzle 128",
        "map @out[4*n] sizes (n, 64) strides (64, 1) box (32, 32) swizzle 0",
        "local $0: bf16[4096] shared 0",
        "local $1: f32[4096] shared 8192",
        "local $2: u64[2] shared 24576",
        "local $3: u32[32] shared 24592",
        "local $4: f32[32]",
        "local $5: bf16[8]",
        "local $6: i32[4]",
        "local $7: i8[16]",
        "%0 = load @a[d1]",
        "%1 = shuffle %0 xor 16",
        "%2 = shuffle %1 up 1",
        "%3 = shuffle %2 down 2",
        "%4 = shuffle %3 lane d1 - 32*floor(d1, 32)",
        "%5 = lt bool %0, %4",
        "%6 = vote any %5",
        "%7 = vote all %5",
        "%8 = vote ballot %5",
        "atomic add $3[0] = %8",
        "atomic maximum $3[1] where (d1 - 1 >= 0) = %8",
        "atomic minimum $3[2] = %8",
        "block barrier",
        "block warp_barrier",
        "block named_barrier 3 of 128",
        "block copy $0[8*d1] = @a[8*d1] where (n - d1 >= 0) bytes 16",
        "block commit_copies",
        "block wait_copies 2",
        "block load_matrices $5[0] = $0[8*d1] count 4",
        "block load_matrices $5[0] = $0[8*d1] count 2 transposed",
        "block multiply_add bf16 $4[0] += $5[0] * $5[4]",
        "block multiply_add f16 $4[4] += $5[0] * $5[4]",
        "block multiply_add tf32 $4[0] += $4[8] * $4[12]",
        "block multiply_add i8 $6[0] += $7[0] * $7[0]",
        "block multiply_add u8 $6[0] += $7[0] * $7[0]",
        "block multiply_add f8e4m3 $4[0] += $7[0] * $7[0]",
        "block multiply_add f8e5m2 $4[0] += $7[0] * $7[0]",
        "block initialize $2[0] arrivals 1",
        "block fence_barriers",
        "block arrive $2[1]",
        "block expect $2[0] bytes 4096",
        "block await $2[0] parity n - 2*floor(n, 2)",
        "block load_tile $0[0] = 0 (d0, 32) barrier $2[0]",
        "block store_tile 1 (d0, 0) = $1[0]",
        "block commit_tiles",
        "block wait_tiles 0",
        "block fence_shared",
        "block group_fence",
        "block group_multiply_add bf16 64 $4[0] = $0[0] leading 16 stride 1024 swizzle 128 * $0[2048] leading 16 stride 1024 swizzle 64 transposed",
        "block group_multiply_add bf16 64 $4[0] += $0[0] leading 16 stride 1024 swizzle 0 * $0[2048] leading 16 stride 1024 swizzle 32",
        "block commit_group",
        "block wait_group 1",
        "block registers up 232",
        "block registers down 40",
    ]

    @Test func everyOperationReadsBackAsItPrints() throws {
        let text = """
            program @blocks(n) arena 0 workspace 0 {
              input 0 @a: bf16[64, 64]
              output 0 @out: f32[n, 64]
              kernel @k {
                parallel d0 < n work 4096*n block d1 of 128 resident 2 {
                  \(Self.statements.joined(separator: "\n      "))
                }
              }
              run {
                launch @k
              }
            }

            """
        let program = try Program.parse(text)
        try program.verify()
        #expect(program.description == text)
        #expect(try Program.parse(program.description) == program)
    }
}
