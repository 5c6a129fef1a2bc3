// The tables of a program's devices, `NAME_devices`, laid out word for word as kiln_device_program in Runtime/include/kiln_abi.h,
// with their entries and images.

import CLLVM
import KilnIR
import KilnKernels

/// A program's code for one kind of GPU.
public struct DeviceCode: Sendable {
    /// The GPU's target; for the emulated grid with the host's triple.
    public let target: Target
    /// The kernels as PTX; nil for the emulated grid.
    public let ptx: String?
    /// The kernels as the GPU's own code, where an assembler was at hand.
    public let machineCode: [UInt8]?

    public var isEmulated: Bool { target.isEmulated }
}

struct DevicesEmitter {
    /// The host's side of it.
    let module: Module
    let host: Target
    /// What the symbols' names start with.
    let name: String
    let messages: Messages
    let sharedConstants: SharedConstants

    /// Values of kiln_abi.h.
    private static let (imagePTX, imageMachine) = (0, 1)
    private static let (isSpecific, isEmulated, branches) = (1, 2, 4)

    static func name(_ program: String) -> String { "\(program)_devices" }

    func emit(_ devices: [(program: Program, code: DeviceCode)]) throws {
        let rows = try devices.map { try row($0.program, $0.code) }
        var list: [LLVMValueRef?] = rows
        module.sharedConstant(Self.name(name), LLVMConstArray2(LLVMTypeOf(rows[0]), &list, UInt64(list.count)))
    }

    private func row(_ program: Program, _ code: DeviceCode) throws -> LLVMValueRef {
        guard let gpu = code.target.gpu else { throw InternalError("llvm", "\(code.target.processor) is no GPU") }
        let prefix = code.target.prefix(name)
        var flags = gpu.isSpecific ? Self.isSpecific : 0
        if code.isEmulated { flags |= Self.isEmulated }
        if program.steps.contains(where: \.readsDevice) { flags |= Self.branches }
        let kernels = kernels(program, code, prefix)
        let images = images(code, prefix)
        let constants = constants(program, prefix)
        let arenaSize = try ArenaSizeEmitter(module: module, program: program, target: host, prefix: prefix, isDevice: true).emit()
        let entry = try DeviceEntryEmitter.emit(module, program, host: host, prefix: prefix, messages: messages)
        return module.structure([
            number(gpu.architecture), number(flags),
            module.int64(kernels.count), module.table("\(prefix)_kernels", kernels),
            module.int64(images.count), module.table("\(prefix)_images", images),
            module.int64(constants.count), module.table("\(prefix)_constants", constants),
            arenaSize, entry,
        ])
    }

    private func number(_ value: Int) -> LLVMValueRef { module.integer(module.i32, value) }

    private func kernels(_ program: Program, _ code: DeviceCode, _ prefix: String) -> [LLVMValueRef] {
        program.kernels.enumerated().flatMap { position, kernel in
            kernel.launches.enumerated().map { launchNumber, launch in
                let name = KernelEmitter.name(prefix, program, kernel: position, launch: launchNumber)
                let type = module.functionType(module.void, [module.pointer, module.pointer])
                return module.structure([
                    module.text(name), module.text(kernel.location.isKnown ? "\(kernel.location)" : ""),
                    number(launch.threadBlock?.threads ?? 0), number(launch.sharedBytes),
                    number(KernelParameters(launch, in: program).count), number(launch.maps.count),
                    code.isEmulated ? module.external(name, type, hidden: true) : LLVMConstNull(module.pointer),
                ])
            }
        }
    }

    private func images(_ code: DeviceCode, _ prefix: String) -> [LLVMValueRef] {
        var images: [LLVMValueRef] = []
        func add(_ kind: Int, _ bytes: [UInt8]) {
            images.append(module.structure([number(kind), number(0), module.constantMemory("\(prefix)_image", bytes), module.int64(bytes.count)]))
        }
        if let machineCode = code.machineCode { add(Self.imageMachine, machineCode) }
        if let ptx = code.ptx, !ptx.isEmpty { add(Self.imagePTX, Array(ptx.utf8) + [0]) }
        return images
    }

    private func constants(_ program: Program, _ prefix: String) -> [LLVMValueRef] {
        program.buffers.enumerated().compactMap { number, buffer in
            guard buffer.isConstant else { return nil }
            if let shared = sharedConstants.number(of: number, in: program) {
                return module.structure([sharedConstants.address(shared, in: module), module.int64(sharedConstants.contents[shared].byteCount)])
            }
            guard case .constant(let literal) = buffer.storage, !SharedConstants.isShared(literal) else {
                return module.structure([LLVMConstNull(module.pointer), module.int64(0)])
            }
            return module.structure([module.constantMemory("\(prefix)_constant", literal.bytes), module.int64(literal.byteCount)])
        }
    }
}

extension Step {
    /// Whether what is launched depends on what lies on the device.
    fileprivate var readsDevice: Bool {
        switch self {
        case .measure, .branch, .loop: true
        case .launch, .copy, .exchange, .check: false
        }
    }
}
