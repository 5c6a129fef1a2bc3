// Data on the move: squares whose rows become columns, in registers, and lines that are fetched ahead of their use.

import CLLVM
import KilnIR
import KilnKernels

extension FunctionEmitter {
    /// Reading, into all caches. Devices have threads enough to wait meanwhile.
    func prefetch(_ access: Access) throws {
        guard dialect.isHost else { return }
        let address = pointer(try place(access.memory), try lower(access.address))
        let flags = [0, 3, 1].map { module.integer(module.i32, $0) }
        _ = module.intrinsic("llvm.prefetch", [module.pointer], [address] + flags)
    }

    /// Single elements change places across the diagonal of each pair of rows, then blocks of two by two, of four by four and so on:
    ///
    ///     a0 a1 a2 a3      a0 b0 a2 b2      a0 b0 c0 d0
    ///     b0 b1 b2 b3  →   a1 b1 a3 b3  →   a1 b1 c1 d1
    ///     c0 c1 c2 c3      c0 d0 c2 d2      a2 b2 c2 d2
    ///     d0 d1 d2 d3      c1 d1 c3 d3      a3 b3 c3 d3
    func transpose(_ transposition: Transposition) throws {
        let width = transposition.width
        let (source, target) = (try place(transposition.source.memory), try place(transposition.target.memory))
        let type = module.memoryType(source.dtype, lanes: width)
        func address(_ place: Place, _ access: Access, _ row: Int, _ pitch: Int) throws -> LLVMValueRef {
            pointer(place, try lower(access.address + .constant(row * pitch)))
        }
        var rows = try (0..<width).map { row -> LLVMValueRef in
            guard row < transposition.rows else { return LLVMGetPoison(type) }
            let loaded = module.load(type, try address(source, transposition.source, row, transposition.sourcePitch), alignment: source.elementAlignment)
            mark(loaded, source)
            return loaded
        }
        var distance = 1
        while distance < width {
            let low = (0..<width).map { $0 & distance == 0 ? $0 : width + $0 - distance }
            let high = (0..<width).map { $0 & distance == 0 ? $0 + distance : width + $0 }
            for row in 0..<width where row & distance == 0 {
                let (a, b) = (rows[row], rows[row + distance])
                rows[row] = module.shuffle(a, with: b, low)
                rows[row + distance] = module.shuffle(a, with: b, high)
            }
            distance *= 2
        }
        for row in 0..<width {
            let stored = module.store(rows[row], try address(target, transposition.target, row, transposition.targetPitch), alignment: target.elementAlignment)
            mark(stored, target)
        }
    }
}
