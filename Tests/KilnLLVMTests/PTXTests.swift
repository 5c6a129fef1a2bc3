// Kernels for GPUs as PTX: the instructions that must occur, no memory of a thread's own, and what NVIDIA's assembler says where it is at hand.

import Foundation
import KilnIR
import KilnKernels
import KilnLLVM
import Testing

/// NVIDIA's assembler, where Tests/run names it.
let ptxas = ProcessInfo.processInfo.environment["KILN_PTXAS"]

@Suite struct PTXTests {
    private func ptx(_ program: Program, _ gpu: GPU) throws -> String {
        let code = try LLVMBackend.compile(program, target: Target(gpu), options: .init(verifies: true))
        let text = try #require(code.devices.first?.ptx)
        #expect(!text.contains(".local"), "memory of a thread's own: \(text)")
        if let ptxas { #expect(throws: Never.self) { try PTX.assemble(text, for: gpu.name, ptxas: ptxas) } }
        return text
    }

    private func expect(_ program: Program, _ gpu: GPU, _ lines: [String]) throws {
        let text = try ptx(program, gpu)
        for line in lines where !line.split(separator: "|").contains(where: text.contains) { Issue.record("no \(line) in\n\(text)") }
    }

    @Test func vectorsAreOneAccess() throws {
        try expect(ThreadBlockPrograms.vectors(), .sm80, ["ld.global.nc.v4.f32", "st.global.v4.f32", ".maxntid 128", "add.rn.f32"])
    }

    @Test func warpsAndBarriers() throws {
        try expect(ThreadBlockPrograms.rowSums(), .sm80, ["shfl.sync.bfly.b32", "bar.sync", "st.shared.f32", "ld.shared"])
        try expect(ThreadBlockPrograms.histogram(), .sm80, ["vote.sync.ballot.b32", "vote.sync.any.pred", "atom.shared.add", "atom.global.max"])
    }

    @Test func copiesInFlight() throws {
        try expect(ThreadBlockPrograms.copies(bytes: 16, present: 50), .sm80, ["cp.async.cg.shared.global", "cp.async.commit_group", "cp.async.wait_group 0", "bar.sync 1, 64", "bar.warp.sync"])
        try expect(ThreadBlockPrograms.copies(bytes: 4, present: 64), .sm80, ["cp.async.ca.shared.global"])
    }

    @Test(arguments: [MatrixKind.f16, .bf16])
    func matricesOfAWarp(kind: MatrixKind) throws {
        try expect(ThreadBlockPrograms.multiplyAdd(kind), .sm80, ["ldmatrix.sync.aligned.m8n8.x4.shared.b16", "mma.sync.aligned.m16n8k16.row.col.f32.\(kind.rawValue)"])
    }

    @Test(arguments: [MatrixKind.i8, .u8, .f8e4m3, .f8e5m2])
    func matricesOfBytes(kind: MatrixKind) throws {
        try expect(ThreadBlockPrograms.multiplyAddBytes(kind), .sm90, ["mma.sync.aligned.m16n8k32.row.col", "st.global.v4", "ld.global.nc.v4.u32|ld.global.nc.v4.b32"])
        if kind.accumulator == .f32 { #expect(throws: InternalError.self) { try LLVMBackend.compile(ThreadBlockPrograms.multiplyAddBytes(kind), target: Target(.sm80)) } }
    }

    @Test func tmaAndFourWarps() throws {
        try expect(ThreadBlockPrograms.groupMultiplyAdd(), .sm90a, [
            "cp.async.bulk.tensor.2d.shared::cluster.global", "mbarrier.try_wait.parity", "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16",
            "wgmma.wait_group.sync.aligned 0", "cp.async.bulk.tensor.2d.global.shared::cta", "fence.proxy.async", ".param .align 64 .b8",
        ])
        try expect(ThreadBlockPrograms.groupLoop(), .sm90a, ["setmaxnreg.inc.sync.aligned.u32 240", "m64n128k16"])
    }

    @Test func whatTheGPULacksIsRefused() throws {
        for gpu in [GPU.sm80, .sm90] {
            let error = #expect(throws: InternalError.self) { try LLVMBackend.compile(ThreadBlockPrograms.groupMultiplyAdd(), target: Target(gpu)) }
            #expect("\(error!)".contains("sm_90"))
        }
    }
}
