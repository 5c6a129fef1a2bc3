// Programs of thread blocks as text: one for each thing that threads of a GPU do together.

import KilnIR
import KilnKernels

enum ThreadBlockPrograms {
    /// A program of one kernel whose launch has the given body, with buffers `a`, `b`, … and `out`.
    static func program(_ buffers: String, workItems: String = "1", threads: Int = 32, symbols: String = "", maps: String = "", _ body: String) throws -> Program {
        let text = """
            program @block(\(symbols)) arena 0 workspace 0 {
              \(buffers)
              kernel @block {
                parallel d0 < \(workItems) work 1000 block d1 of \(threads) resident 1 {
                  \(maps)
                  \(body)
                }
              }
              run {
                launch @block
              }
            }

            """
        let program = try Program.parse(text)
        try program.verify()
        return program
    }

    /// out = 2a, four elements a thread at once, with the rest one by one.
    static func vectors() throws -> Program {
        try program("input 0 @a: f32[n]\n output 0 @out: f32[n]", workItems: "floor(n + 511, 512)", threads: 128, symbols: "n", """
            %0 = position 512*d0 + 4*d1
            bind d2 = %0
            if (n - 4 - d2 >= 0) {
              lanes d3 < 4 of 4 {
                %1 = load @a[512*d0 + 4*d1 + d3]
                %2 = add f32 %1, %1
                store @out[512*d0 + 4*d1 + d3] = %2
              }
            } else {
              lanes d3 < n - d2 of 4 {
                %3 = load @a[d2 + d3]
                %4 = add f32 %3, %3
                store @out[d2 + d3] = %4
              }
            }
            """)
    }

    /// out[i] = the sum of row i of a, by shuffles and shared memory.
    static func rowSums() throws -> Program {
        try program("input 0 @a: f32[m, 256]\n output 0 @out: f32[m]", workItems: "m", threads: 128, symbols: "m", """
            local $0: f32[4] shared 0
            %0 = load @a[256*d0 + d1]
            %1 = load @a[256*d0 + d1 + 128]
            %2 = add f32 %0, %1
            %3 = shuffle %2 xor 16
            %4 = add f32 %2, %3
            %5 = shuffle %4 xor 8
            %6 = add f32 %4, %5
            %7 = shuffle %6 xor 4
            %8 = add f32 %6, %7
            %9 = shuffle %8 xor 2
            %10 = add f32 %8, %9
            %11 = shuffle %10 xor 1
            %12 = add f32 %10, %11
            if (d1 - 32*(floor(d1, 32)) == 0) {
              store $0[floor(d1, 32)] = %12
            }
            block barrier
            if (d1 == 0) {
              %13 = load $0[0]
              %14 = load $0[1]
              %15 = load $0[2]
              %16 = load $0[3]
              %17 = add f32 %13, %14
              %18 = add f32 %15, %16
              %19 = add f32 %17, %18
              store @out[d0] = %19
            }
            """)
    }

    /// out[k] = how many elements of a are k, out[4] = their maximum; atomics on both memories, and a vote.
    static func histogram() throws -> Program {
        try program("input 0 @a: i32[128]\n output 0 @out: i32[6]", threads: 128, """
            local $0: i32[4] shared 0
            %0 = constant i32 0i
            if (3 - d1 >= 0) {
              store $0[d1] = %0
            }
            if (5 - d1 >= 0) {
              store @out[d1] = %0
            }
            block barrier
            %1 = load @a[d1]
            %2 = convert i64 %1
            bind d2 = %2
            %3 = constant i32 1i
            atomic add $0[d2] = %3
            atomic maximum @out[4] = %1
            block barrier
            if (3 - d1 >= 0) {
              %4 = load $0[d1]
              atomic add @out[d1] = %4
            }
            %5 = constant i32 3i
            %6 = eq bool %1, %5
            %7 = vote ballot %6
            %8 = vote any %6
            %9 = convert u32 %8
            %10 = multiply u32 %7, %9
            %11 = convert i32 %10
            if (d1 == 0) {
              store @out[5] = %11
            }
            """)
    }

    /// out = a bᵀ for 16×16 and 8×16 bf16: copies in flight, `ldmatrix` and `mma.sync`.
    static func multiplyAdd(_ kind: MatrixKind = .bf16) throws -> Program {
        let dtype = kind == .f16 ? "f16" : "bf16"
        return try program("input 0 @a: \(dtype)[16, 16]\n input 1 @b: \(dtype)[8, 16]\n output 0 @out: f32[16, 8]", """
            local $0: \(dtype)[256] shared 0
            local $1: \(dtype)[128] shared 512
            block copy $0[8*d1] = @a[8*d1] bytes 16
            if (15 - d1 >= 0) {
              block copy $1[8*d1] = @b[8*d1] bytes 16
            }
            block commit_copies
            block wait_copies 0
            block barrier
            local $2: \(dtype)[8]
            local $3: \(dtype)[4]
            local $4: f32[4]
            block load_matrices $2[0] = $0[16*d1 - 248*(floor(d1, 16))] count 4
            block load_matrices $3[0] = $1[16*d1 - 120*(floor(d1, 8)) - 16*(floor(d1, 16))] count 2
            %0 = constant f32 0.0
            for unrolled d2 in 0 ..< 4 {
              store $4[d2] = %0
            }
            block multiply_add \(kind.rawValue) $4[0] += $2[0] * $3[0]
            for unrolled d2 in 0 ..< 2 {
              for unrolled d3 in 0 ..< 2 {
                %1 = load $4[2*d2 + d3]
                store @out[64*d2 + 8*(floor(d1, 4)) + 2*d1 - 8*(floor(d1, 4)) + d3] = %1
              }
            }
            """)
    }

    /// out += a b for fragments of 8-bit elements, each thread's as it lies in memory.
    static func multiplyAddBytes(_ kind: MatrixKind) throws -> Program {
        let (dtype, zero) = kind.accumulator == .i32 ? ("i32", "0i") : ("f32", "0.0")
        return try program("input 0 @a: i8[32, 16]\n input 1 @b: i8[32, 8]\n output 0 @out: \(dtype)[32, 4]", """
            local $0: i8[16]
            local $1: i8[8]
            local $2: \(dtype)[4]
            lanes d2 < 16 of 16 {
              %0 = load @a[16*d1 + d2]
              store $0[d2] = %0
            }
            lanes d2 < 8 of 8 {
              %1 = load @b[8*d1 + d2]
              store $1[d2] = %1
            }
            %2 = constant \(dtype) \(zero)
            for unrolled d2 in 0 ..< 4 {
              store $2[d2] = %2
            }
            block multiply_add \(kind.rawValue) $2[0] += $0[0] * $1[0]
            lanes d2 < 4 of 4 {
              %3 = load $2[d2]
              store @out[4*d1 + d2] = %3
            }
            """)
    }

    /// out[i] = a[i] shifted by so many elements within copies of the given bytes, zeros from `present` on.
    static func copies(bytes: Int, present: Int) throws -> Program {
        let elements = bytes / 4
        return try program("input 0 @a: f32[\(elements * 64)]\n output 0 @out: f32[\(elements * 64)]", threads: 64, """
            local $0: f32[\(elements * 64)] shared 0
            block copy $0[\(elements)*d1] = @a[\(elements)*d1] where (\(present - 1) - d1 >= 0) bytes \(bytes)
            block commit_copies
            block wait_copies 0
            block named_barrier 1 of 64
            block warp_barrier
            for d2 in 0 ..< \(elements) {
              %0 = load $0[\(elements * 64 - 1) - \(elements)*d1 - d2]
              store @out[\(elements * 64 - 1) - \(elements)*d1 - d2] = %0
            }
            """)
    }

    /// out = a bᵀ for 64×64 bf16: tiles by TMA, `wgmma`, and the result back as tiles.
    static func groupMultiplyAdd() throws -> Program {
        let buffers = "input 0 @a: bf16[64, 64]\n input 1 @b: bf16[64, 64]\n output 0 @out: f32[64, 64]"
        let maps = """
            map @a[0] sizes (64, 64) strides (64, 1) box (64, 64) swizzle 128
            map @b[0] sizes (64, 64) strides (64, 1) box (64, 64) swizzle 128
            map @out[0] sizes (64, 64) strides (64, 1) box (64, 32) swizzle 0
            """
        return try program(buffers, threads: 128, maps: maps, """
            local $0: bf16[4096] shared 0
            local $1: bf16[4096] shared 8192
            local $2: f32[4096] shared 16384
            local $3: u64[2] shared 32768
            if (d1 == 0) {
              block initialize $3[0] arrivals 1
              block initialize $3[1] arrivals 128
              block fence_barriers
            }
            block barrier
            if (d1 == 0) {
              block expect $3[0] bytes 16384
              block load_tile $0[0] = 0 (0, 0) barrier $3[0]
              block load_tile $1[0] = 1 (0, 0) barrier $3[0]
            }
            block await $3[0] parity 0
            local $4: f32[32]
            block group_fence
            block group_multiply_add bf16 64 $4[0] = $0[0] leading 16 stride 1024 swizzle 128 * $1[0] leading 16 stride 1024 swizzle 128
            for unrolled d2 in 1 ..< 4 {
              block group_multiply_add bf16 64 $4[0] += $0[16*d2] leading 16 stride 1024 swizzle 128 * $1[16*d2] leading 16 stride 1024 swizzle 128
            }
            block commit_group
            block wait_group 0
            for unrolled d3 in 0 ..< 8 {
              for unrolled d4 in 0 ..< 2 {
                for unrolled d5 in 0 ..< 2 {
                  %0 = load $4[4*d3 + 2*d4 + d5]
                  store $2[2048*(floor(d3, 4)) + 32*(8*d4 + floor(d1, 4) + 8*(floor(d1, 32))) + 8*d3 - 32*(floor(d3, 4)) + 2*d1 - 8*(floor(d1, 4)) + d5] = %0
                }
              }
            }
            block fence_shared
            block arrive $3[1]
            block await $3[1] parity 0
            if (d1 == 0) {
              block store_tile 2 (0, 0) = $2[0]
              block store_tile 2 (0, 32) = $2[2048]
              block commit_tiles
              block wait_tiles 0
            }
            """)
    }

    /// As many products of four warps as a loop has rounds, in registers throughout.
    static func groupLoop() throws -> Program {
        try program("input 0 @a: bf16[64]\n output 0 @out: f32[128, 128]", threads: 128, symbols: "n", """
            local $0: bf16[16384] shared 0
            local $4: f32[64]
            %0 = constant f32 0.0
            for unrolled d2 in 0 ..< 64 {
              store $4[d2] = %0
            }
            block registers up 240
            for d2 in 0 ..< n {
              block group_fence
              for unrolled d3 in 0 ..< 4 {
                block group_multiply_add bf16 128 $4[0] += $0[16*d3] leading 16 stride 1024 swizzle 128 * $0[4096 + 16*d3] leading 16 stride 1024 swizzle 128
              }
              block commit_group
              block wait_group 1
            }
            block wait_group 0
            for unrolled d2 in 0 ..< 64 {
              %1 = load $4[d2]
              store @out[64*d1 + d2] = %1
            }
            """)
    }
}
