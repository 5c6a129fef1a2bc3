// Compiles hand-written programs into this process and runs them with the C runtime; a shorthand for loop IR in tests.

import KilnIR
import KilnKernels
import KilnLLVM
import KilnRuntime

let host = HostTarget.detect()

/// Those of the named targets whose code this processor runs.
func runnable(_ names: [String]) -> [String] {
    let extensions = Set(host.features.split(separator: ","))
    return names.filter { name in HostTarget.named(name).map { extensions.isSuperset(of: $0.features.split(separator: ",")) } ?? false }
}

/// Compiles a program and runs it once; the results are in the order of the outputs' numbers.
func run(_ program: Program, _ inputs: [Literal], symbols: [Int64] = [], target: Target = host) throws -> [Literal] {
    let outcome = try call(program, inputs, symbols: symbols, target: target)
    guard outcome.status == KILN_OK else { throw InternalError("test", "status \(outcome.status): \(String(cString: kiln_last_error()))") }
    return outcome.outputs
}

func call(_ program: Program, _ inputs: [Literal], symbols: [Int64] = [], target: Target = host) throws
    -> (status: kiln_status, outputs: [Literal]) {
    let code = try JITCode(LLVMBackend.compile(program, target: target, options: .init(verifies: true)))
    let info = code.infoPointer.assumingMemoryBound(to: kiln_program_info.self)
    let sizes = Dictionary(uniqueKeysWithValues: zip(program.symbols, symbols.map { Int($0) }))
    let types = program.buffers.compactMap { buffer -> (Int, TensorType)? in
        if case .output(let number) = buffer.storage { (number, buffer.type) } else { nil }
    }.sorted { $0.0 < $1.0 }.map(\.1)
    let shapes = types.map { type in type.shape.map { $0.evaluate(symbols: sizes)! } }
    let memories = (inputs.map(\.bytes) + zip(types, shapes).map { type, shape in
        [UInt8](repeating: 0xAB, count: shape.reduce(1, *) * type.dtype.byteCount)
    }).map { bytes in
        let memory = UnsafeMutableRawPointer.allocate(byteCount: max(bytes.count, 1), alignment: 64)
        memory.copyMemory(from: bytes, byteCount: bytes.count)
        return memory
    }
    defer { for memory in memories { memory.deallocate() } }
    var arguments: [UnsafeMutableRawPointer?] = memories
    var values = symbols
    let status = arguments.withUnsafeMutableBufferPointer { pointers in
        kiln_invoke(info, pointers.baseAddress!, pointers.baseAddress! + inputs.count, &values)
    }
    withExtendedLifetime(code) {}
    let outputs = zip(zip(types, shapes), memories[inputs.count...]).map { typed, memory in
        let count = typed.1.reduce(1, *) * typed.0.dtype.byteCount
        return Literal(typed.0.dtype, typed.1, bytes: [UInt8](UnsafeRawBufferPointer(start: memory, count: count)))
    }
    return (status, outputs)
}

/// A program of one kernel with one launch, over inputs and outputs of the given types.
func program(_ name: String, inputs: [TensorType], outputs: [TensorType], symbols: [String] = [], extra: [Buffer] = [],
             workItems: Dim = 1, arena: Dim = 0, workspace: Dim = 0, workItem: Int = 0, body: [Statement]) -> Program {
    let buffers = inputs.enumerated().map { Buffer("in\($0.offset)", $0.element, .input($0.offset)) }
        + outputs.enumerated().map { Buffer("out\($0.offset)", $0.element, .output($0.offset)) } + extra
    let launch = KernelLaunch(variable: workItem, workItems: workItems, work: 1_000_000, body: body)
    return Program(name: name, symbols: symbols, buffers: buffers, kernels: [Kernel(name: name, launches: [launch])],
                   steps: [.launch(0)], arenaSize: arena, workspaceSize: workspace)
}

/// A body for lanes over `count` elements in steps of `width`; `body` gets the position.
func lanesLoop(_ count: Dim, width: Int, loop: Int = 1, lane: Int = 2, _ body: (Dim) -> [Statement]) -> Statement {
    .loop(Loop(variable: loop, to: count, step: width, body: [
        .lanes(variable: lane, width: width, count: .minimum(.constant(width), count - .index(loop)),
               body: body(.index(loop) + .index(lane))),
    ]))
}

func load(_ number: ValueNumber, _ buffer: Int, _ address: Dim, where conditions: [IndexCondition] = [], fill: Scalar = .real(0)) -> Statement {
    .define(number, .load(Access(.buffer(buffer), address, where: conditions), fill: fill))
}
func store(_ buffer: Int, _ address: Dim, _ number: ValueNumber, where conditions: [IndexCondition] = [], streaming: Bool = false) -> Statement {
    .store(Access(.buffer(buffer), address, where: conditions), number, streaming: streaming)
}
func apply(_ number: ValueNumber, _ function: ScalarFunction, _ operands: [ValueNumber], _ dtype: DType) -> Statement {
    .define(number, .apply(function, operands, dtype))
}

func ramp(_ dtype: DType, _ count: Int, from: Double = 0, step: Double = 1) -> Literal {
    Literal(dtype, [count], doubles: (0..<count).map { from + Double($0) * step })
}
