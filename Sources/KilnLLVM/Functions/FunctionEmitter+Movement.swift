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

    /// A call of the module's function for squares of this kind: tens of shuffles, which LLVM takes long over, are compiled once.
    /// Rows that lie in registers go through the stack.
    func transpose(_ transposition: Transposition) throws {
        let (width, rows) = (transposition.width, transposition.rows)
        let (source, target) = (try place(transposition.source.memory), try place(transposition.target.memory))
        let type = module.memoryType(source.dtype, lanes: width)
        func address(_ place: Address, _ access: Access, _ row: Int, _ pitch: Int) throws -> LLVMValueRef {
            pointer(place, try lower(access.address + .constant(row * pitch)))
        }
        var square = Square(dtype: source.dtype, width: width, rows: rows, sourceAlignment: source.elementAlignment, targetAlignment: target.elementAlignment)
        var (start, pitch) = (try address(source, transposition.source, 0, 0), transposition.sourcePitch)
        if source.stackCount != nil {
            let stage = stackMemory(type, count: rows, alignment: 64)
            for row in 0..<rows {
                let loaded = module.load(type, try address(source, transposition.source, row, pitch), alignment: source.elementAlignment)
                module.store(loaded, module.offset(stage, type, by: module.int64(row)), alignment: 64)
            }
            (start, pitch, square.sourceAlignment) = (stage, width, 64)
        }
        let pitches = [pitch, transposition.targetPitch].map { module.int64($0 * source.dtype.byteCount) }
        _ = module.call(transposing(square), transposingType, [start, pitches[0], try address(target, transposition.target, 0, 0), pitches[1]])
    }

    /// What a function that transposes is made for.
    private struct Square {
        var dtype: DType
        var width: Int
        var rows: Int
        var sourceAlignment: Int
        var targetAlignment: Int

        var name: String { "transpose_\(dtype)_\(rows)_\(width)_\(sourceAlignment)_\(targetAlignment)" }
    }

    private var transposingType: LLVMTypeRef { module.functionType(module.void, [module.pointer, module.i64, module.pointer, module.i64]) }

    /// The module's function `void (source, bytes from row to row, target, bytes from row to row)`.
    ///
    /// Single elements change places across the diagonal of each pair of rows, then blocks of two by two, of four by four and so on:
    ///
    ///     a0 a1 a2 a3      a0 b0 a2 b2      a0 b0 c0 d0
    ///     b0 b1 b2 b3  →   a1 b1 a3 b3  →   a1 b1 c1 d1
    ///     c0 c1 c2 c3      c0 d0 c2 d2      a2 b2 c2 d2
    ///     d0 d1 d2 d3      c1 d1 c3 d3      a3 b3 c3 d3
    private func transposing(_ square: Square) -> LLVMValueRef {
        if let known = LLVMGetNamedFunction(module.module, square.name) { return known }
        let made = LLVMAddFunction(module.module, square.name, transposingType)!
        LLVMSetLinkage(made, LLVMInternalLinkage)
        module.copyTargetAttributes(from: function, to: made)
        module.addAttribute("noinline", to: made)
        for (parameter, names) in [0: ["readonly", "nocapture"], 2: ["writeonly", "nocapture", "noalias"]] {
            for name in names { module.addAttribute(name, to: made, parameter: parameter) }
        }
        let before = module.currentBlock
        defer { module.position(at: before) }
        module.position(at: module.block("entry", in: made))
        let type = module.memoryType(square.dtype, lanes: square.width), width = square.width
        func address(_ parameter: UInt32, _ row: Int) -> LLVMValueRef {
            let distance = module.mul(LLVMGetParam(made, parameter + 1), module.int64(row))
            return row == 0 ? LLVMGetParam(made, parameter) : module.offset(LLVMGetParam(made, parameter), module.i8, by: distance)
        }
        var rows = (0..<width).map { row -> LLVMValueRef in
            row < square.rows ? module.load(type, address(0, row), alignment: square.sourceAlignment) : LLVMGetPoison(type)
        }
        var distance = 1
        while distance < width {
            // LLVM looks for a better shuffle through all that led to one, which takes long for four steps in a row; the fence is no instruction.
            if distance == 4, square.dtype == .f32 || square.dtype == .f64 {
                rows = rows.map { module.intrinsic("llvm.arithmetic.fence", [type], [$0]) }
            }
            let low = (0..<width).map { $0 & distance == 0 ? $0 : width + $0 - distance }
            let high = (0..<width).map { $0 & distance == 0 ? $0 + distance : width + $0 }
            for row in 0..<width where row & distance == 0 {
                let (a, b) = (rows[row], rows[row + distance])
                rows[row] = module.shuffle(a, with: b, low)
                rows[row + distance] = module.shuffle(a, with: b, high)
            }
            distance *= 2
        }
        for row in 0..<width { module.store(rows[row], address(2, row), alignment: square.targetAlignment) }
        LLVMBuildRetVoid(module.builder)
        return made
    }
}
