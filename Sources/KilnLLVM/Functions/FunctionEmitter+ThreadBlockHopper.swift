// TMA with its barriers, and the tensor cores of four warps (sm_90 and sm_90a), in PTX: LLVM 19 has no intrinsics
// for most of these.

import CLLVM
import KilnIR
import KilnKernels

extension FunctionEmitter {
    // MARK: TMA

    func emitTMA(_ operation: ThreadBlockOperation) throws {
        switch operation {
        case .initialize(let barrier, let arrivals):
            instruct("mbarrier.init.shared::cta.b64 [$0], \(arrivals);", "r", [try shared(barrier)])
        case .fenceBarriers: instruct("fence.mbarrier_init.release.cluster;")
        case .arrive(let barrier): instruct("{ .reg .b64 t; mbarrier.arrive.shared::cta.b64 t, [$0]; }", "r", [try shared(barrier)])
        case .expect(let barrier, let bytes):
            instruct("{ .reg .b64 t; mbarrier.arrive.expect_tx.shared::cta.b64 t, [$0], \(bytes); }", "r", [try shared(barrier)])
        case .await(let barrier, let parity):
            let text = """
                { .reg .pred p;
                again: mbarrier.try_wait.parity.shared::cta.b64 p, [$0], $1;
                @p bra over;
                bra again;
                over: }
                """
            instruct(text, "r,r", [try shared(barrier), module.trunc(try scalar(parity), module.i32)])
        case .loadTile(let target, let map, let at, let barrier):
            let name = "cp.async.bulk.tensor.\(at.count)d.shared::cluster.global.mbarrier::complete_tx::bytes"
            let (numbers, list) = try coordinates(at, from: 3)
            instruct("\(name) [$0], [$1, {\(list)}], [$2];", (["r", "l", "r"] + at.map { _ in "r" }).joined(separator: ","),
                     [try shared(target), mapAddress(map), try shared(barrier)] + numbers)
        case .storeTile(let map, let at, let source):
            let (numbers, list) = try coordinates(at, from: 2)
            instruct("cp.async.bulk.tensor.\(at.count)d.global.shared::cta.bulk_group [$1, {\(list)}], [$0];",
                     (["r", "l"] + at.map { _ in "r" }).joined(separator: ","), [try shared(source), mapAddress(map)] + numbers)
        case .commitTiles: instruct("cp.async.bulk.commit_group;")
        case .waitTiles(let pending): instruct("cp.async.bulk.wait_group \(pending);")
        default: instruct("fence.proxy.async.shared::cta;")
        }
    }

    private func shared(_ access: Access) throws -> LLVMValueRef { sharedAddress(try address(access)) }

    /// A tile's place, the innermost axis first, and how the instruction names it.
    private func coordinates(_ at: [Dim], from first: Int) throws -> ([LLVMValueRef], String) {
        (try at.reversed().map { module.trunc(try scalar($0), module.i32) }, at.indices.map { "$\(first + $0)" }.joined(separator: ", "))
    }

    /// The generic address of a map among the parameters.
    private func mapAddress(_ number: Int) -> LLVMValueRef {
        LLVMBuildPtrToInt(module.builder, LLVMGetParam(function, UInt32(number)), module.i64, "")
    }

    // MARK: Four warps

    func emitGroup(_ operation: ThreadBlockOperation) throws {
        switch operation {
        case .groupFence: instruct("wgmma.fence.sync.aligned;")
        case .groupMultiplyAdd(let kind, let columns, let sum, let left, let right, let accumulates):
            try groupMultiplyAdd(kind, columns, sum, left, right, accumulates)
        case .commitGroup:
            instruct("wgmma.commit_group.sync.aligned;")
            groups.append(openGroup)
            openGroup = []
        case .waitGroup(let pending): waitGroup(pending)
        case .registers(let count, let increases): instruct("setmaxnreg.\(increases ? "inc" : "dec").sync.aligned.u32 \(count);")
        default: throw InternalError("llvm", "\(operation) is no operation of four warps")
        }
    }

    private func groupMultiplyAdd(_ kind: MatrixKind, _ columns: Int, _ sum: Access, _ left: MatrixView, _ right: MatrixView,
                                  _ accumulates: Bool) throws {
        let isInteger = kind.accumulator == .i32
        let (element, count) = (isInteger ? module.i32 : module.float, columns / 2)
        let sums = try fragment(sum, words: count, element)
        if case .local(let id) = sum.memory { openGroup.insert(id) }
        let registers = (0..<count).map { "$\($0)" }.joined(separator: ", ")
        let type = isInteger ? "s32.\(kind.ptx).\(kind.ptx)" : "f32.\(kind.ptx).\(kind.ptx)"
        // Signs of the operands, and which of them are transposed, where the kind has them.
        let signs = isInteger ? "" : ", 1, 1"
        let axes = kind.byteCount == 2 ? ", \(left.isTransposed ? 1 : 0), \(right.isTransposed ? 1 : 0)" : ""
        let text = """
            { .reg .pred p; setp.ne.b32 p, \(accumulates ? 1 : 0), 0;
            wgmma.mma_async.sync.aligned.m64n\(columns)k\(kind.depth).\(type) {\(registers)}, $\(count), $\(count + 1), p\(signs)\(axes); }
            """
        let constraints = Array(repeating: isInteger ? "=r" : "=f", count: count) + ["l", "l"] + (0..<count).map(String.init) + ["~{memory}"]
        let operands = [try descriptor(left), try descriptor(right)] + sums.load()
        let result = assembly(text, words(element, count), constraints.joined(separator: ","), operands)
        for number in 0..<count { sums.store(LLVMBuildExtractValue(module.builder, result, UInt32(number), ""), at: number) }
    }

    /// How `wgmma` is told of a matrix: its start and distances in work items of 16 bytes, and the swizzle's code.
    private func descriptor(_ view: MatrixView) throws -> LLVMValueRef {
        let start = module.zext(module.lshr(try shared(view.start), module.integer(module.i32, 4)), module.i64)
        let swizzle: UInt64 = switch view.swizzle {
        case 128: 1
        case 64: 2
        case 32: 3
        default: 0
        }
        func field(_ bytes: Int) -> UInt64 { UInt64(bytes >> 4) & 0x3FFF }
        let fixed = field(view.leadingBytes) << 16 | field(view.strideBytes) << 32 | swizzle << 62
        return module.or(module.and(start, module.int64(0x3FFF)), LLVMConstInt(module.i64, fixed, 0))
    }

    /// Waits, and takes what the finished products left in the fragments: code that reads them must not move before the wait.
    private func waitGroup(_ pending: Int) {
        let busy = groups.suffix(pending).reduce(into: openGroup) { $0.formUnion($1) }
        let finished = groupSums.subtracting(busy).sorted().compactMap { id in locals[id].flatMap { $0.stackCount == nil ? nil : $0 } }
        let fragments = finished.map { place in
            Fragment(emitter: self, start: place.base, word: module.type(place.dtype), count: place.stackCount!, alignment: 4)
        }
        let values = fragments.flatMap { $0.load() }
        let text = "wgmma.wait_group.sync.aligned \(pending);"
        guard !values.isEmpty else { return instruct(text) }
        let outputs = values.map { LLVMTypeOf($0) == module.float ? "=f" : "=r" }
        let constraints = outputs + values.indices.map(String.init) + ["~{memory}"]
        var types: [LLVMTypeRef?] = values.map { LLVMTypeOf($0) }
        let result = types.count == 1 ? types[0]! : LLVMStructTypeInContext(module.context, &types, UInt32(types.count), 0)!
        let waited = assembly(text, result, constraints.joined(separator: ","), values)
        var number: UInt32 = 0
        for fragment in fragments {
            for position in 0..<fragment.count {
                fragment.store(types.count == 1 ? waited : LLVMBuildExtractValue(module.builder, waited, number, ""), at: position)
                number += 1
            }
        }
    }
}
