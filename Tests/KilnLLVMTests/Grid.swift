// Runs programs of thread blocks on the emulated grid: literals come in, the outputs and what the grid found wrong go out.

import KilnEmulator
import KilnIR
import KilnKernels
import KilnLLVM
import KilnRuntime

struct Grid {
    let target: Target
    var seed: UInt64 = 1

    init(_ gpu: GPU, seed: UInt64 = 1) {
        let host = HostTarget.detect()
        target = Target(gpu, triple: host.triple, processor: host.processor, features: host.features)
        self.seed = seed
    }

    func run(_ program: Program, _ inputs: [Literal], symbols: [String: Int] = [:]) throws -> (outputs: [Literal], findings: [String]) {
        let code = try LLVMBackend.compile(program, target: target, options: .init(verifies: true))
        var count: Int64 = 0
        let table = kiln_emulator_symbols(&count)!
        let jit = try JITCode(code, functions: (0..<Int(count)).map { (String(cString: table[$0].name), table[$0].address) })
        let info = jit.infoPointer.assumingMemoryBound(to: kiln_program_info.self)
        let grid = kiln_emulator_create(seed)!
        var device: OpaquePointer?
        try check(kiln_emulator_device(grid, Int32(target.gpu!.architecture), target.gpu!.isSpecific ? 1 : 0, &device))
        defer { _ = kiln_forget(info) }
        let types = program.buffers.compactMap { if case .output = $0.storage { $0.type } else { nil } }
        let shapes = types.map { $0.shape.map { $0.evaluate(symbols: symbols)! } }
        let sizes = zip(types, shapes).map { $1.reduce($0.dtype.byteCount, *) }
        let memories = try (inputs.map(\.bytes.count) + sizes).map { bytes in
            var memory: UnsafeMutableRawPointer?
            try check(kiln_device_allocate(device, Int64(bytes), &memory))
            return memory
        }
        for (input, memory) in zip(inputs, memories) { try check(kiln_device_write(device, memory, input.bytes, Int64(input.bytes.count))) }
        try memories.withUnsafeBufferPointer { pointers in
            let start = UnsafeMutablePointer(mutating: pointers.baseAddress!)
            var values = program.symbols.map { Int64(symbols[$0]!) }
            try check(kiln_device_invoke(device, info, start, start + inputs.count, &values))
        }
        try check(kiln_device_wait(device))
        let outputs = try zip(zip(types, shapes), memories[inputs.count...]).map { typed, memory in
            var bytes = [UInt8](repeating: 0, count: typed.1.reduce(typed.0.dtype.byteCount, *))
            try check(kiln_device_read(device, &bytes, memory, Int64(bytes.count)))
            return Literal(typed.0.dtype, typed.1, bytes: bytes)
        }
        let findings = (0..<kiln_emulator_finding_count(grid)).map { String(cString: kiln_emulator_finding(grid, $0)) }
        return (outputs, findings)
    }

    private func check(_ status: kiln_status) throws {
        guard status == KILN_OK else { throw InternalError("grid", "status \(status): \(String(cString: kiln_last_error()))") }
    }
}
