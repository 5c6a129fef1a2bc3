// Loads and stores of a GPU's thread. What is not there is branched around, never read from elsewhere: the assembler turns short
// branches into predicates, and addresses keep their space. The emulated grid asks before each access whether it is allowed.

import CLLVM
import KilnIR
import KilnKernels

extension FunctionEmitter {
    // MARK: Loads

    func deviceLoad(_ place: Address, _ index: Index, _ address: Dim, _ predicate: Predicate, _ fill: Scalar) -> Emitted {
        let dtype = place.dtype
        if index.isUniform, predicate.varying == nil {
            let passed = memoryConstant(fill, dtype, lanes: 0)
            return fromMemory(deviceLoadOne(place, index, predicate.uniform, passed), dtype, lanes: 0)
        }
        let width = lanes!.width
        let passed = memoryConstant(fill, dtype, lanes: width)
        let mask = deviceMask(predicate)
        // Registers are there, whether they are asked for or not.
        if index.constantStride == 1, isWholeVector(place, index) {
            let whole = read(LLVMTypeOf(passed), place, pointer(place, index.base), dtype.byteCount)
            let kept = mask.map { module.select($0, whole, passed) } ?? whole
            return fromMemory(predicate.uniform.map { module.select($0, kept, passed) } ?? kept, dtype, lanes: width)
        }
        let loaded = choose(if: predicate.uniform, otherwise: passed) { self.deviceLoadLanes(place, index, address, mask, passed) }
        return fromMemory(loaded, dtype, lanes: width)
    }

    private func deviceLoadOne(_ place: Address, _ index: Index, _ condition: LLVMValueRef?, _ passed: LLVMValueRef) -> LLVMValueRef {
        let element = module.memoryType(place.dtype)
        let start = pointer(place, index)
        if let condition, let count = place.stackCount, index.isConstant, 0..<count ~= index.constant {
            return module.select(condition, read(element, place, start, place.dtype.byteCount), passed)
        }
        return choose(if: condition, otherwise: passed) {
            self.guarded(place, start, bytes: place.dtype.byteCount, place.dtype.byteCount, otherwise: LLVMConstNull(element)) {
                self.read(element, place, start, place.dtype.byteCount)
            }
        }
    }

    private func deviceLoadLanes(_ place: Address, _ index: Index, _ address: Dim, _ mask: LLVMValueRef?, _ passed: LLVMValueRef) -> LLVMValueRef {
        let (width, size) = (lanes!.width, place.dtype.byteCount)
        let element = module.memoryType(place.dtype)
        if index.constantStride == 1, mask == nil {
            let (type, start) = (LLVMTypeOf(passed)!, pointer(place, index.base))
            let alignment = alignment(place, address)
            return guarded(place, start, bytes: width * size, alignment, otherwise: LLVMConstNull(type)) {
                self.read(type, place, start, alignment)
            }
        }
        if index.isUniform, let mask {
            // The same element for some lanes only: read it if any lane does.
            let any = module.intrinsic("llvm.vector.reduce.or", [LLVMTypeOf(mask)], [mask])
            let loaded = deviceLoadOne(place, index, any, LLVMConstNull(element))
            return module.select(mask, module.splat(loaded, width), passed)
        }
        var result = passed
        for (lane, start) in laneAddresses(place, index).enumerated() {
            let bit = mask.map { module.element($0, lane) }
            let value = choose(if: bit, otherwise: module.element(passed, lane)) {
                self.guarded(place, start, bytes: size, size, otherwise: LLVMConstNull(element)) {
                    self.read(element, place, start, size)
                }
            }
            result = module.inserting(value, into: result, lane)
        }
        return result
    }

    // MARK: Stores

    func deviceStore(_ place: Address, _ index: Index, _ address: Dim, _ predicate: Predicate, _ value: Emitted) throws {
        let size = place.dtype.byteCount
        if index.isUniform, predicate.varying == nil, value.lanes == 0 {
            let stored = toMemory(value.value, place.dtype, lanes: 0)
            return perform(if: predicate.uniform) { self.write(stored, place, self.pointer(place, index), bytes: size, size) }
        }
        guard let width = lanes?.width else { throw InternalError("llvm", "a vector is stored outside lanes") }
        let stored = toMemory(spread(value, width), place.dtype, lanes: width)
        let mask = deviceMask(predicate)
        if index.constantStride == 1, mask != nil || predicate.uniform != nil, isWholeVector(place, index) {
            let start = pointer(place, index.base)
            let before = read(LLVMTypeOf(stored), place, start, size)
            let kept = mask.map { module.select($0, stored, before) } ?? stored
            module.store(predicate.uniform.map { module.select($0, kept, before) } ?? kept, start, alignment: size)
            return
        }
        perform(if: predicate.uniform) {
            if index.constantStride == 1, mask == nil {
                self.write(stored, place, self.pointer(place, index.base), bytes: width * size, self.alignment(place, address))
                return
            }
            for (lane, start) in self.laneAddresses(place, index).enumerated() {
                self.perform(if: mask.map { self.module.element($0, lane) }) {
                    self.write(self.module.element(stored, lane), place, start, bytes: size, size)
                }
            }
        }
    }

    // MARK: Parts

    /// The lanes that are there and for which the varying part of a predicate holds; nil for all of them.
    private func deviceMask(_ predicate: Predicate) -> LLVMValueRef? {
        mask(Predicate(varying: predicate.varying))
    }

    /// The address of each lane's element.
    private func laneAddresses(_ place: Address, _ index: Index) -> [LLVMValueRef] {
        if let stride = index.constantStride {
            return (0..<lanes!.width).map { lane in
                var element = index.base
                element.constant += lane * stride
                return pointer(place, element)
            }
        }
        let start = pointer(place, index.base)
        let offsets = laneOffsets(index)
        return (0..<lanes!.width).map { module.offset(start, module.memoryType(place.dtype), by: module.element(offsets, $0)) }
    }

    func read(_ type: LLVMTypeRef, _ place: Address, _ start: LLVMValueRef, _ alignment: Int) -> LLVMValueRef {
        let loaded = module.load(type, start, alignment: alignment)
        mark(loaded, place)
        return loaded
    }

    private func write(_ value: LLVMValueRef, _ place: Address, _ start: LLVMValueRef, bytes: Int, _ alignment: Int) {
        perform(if: emulatorAllows(place, start, bytes: bytes, alignment, writes: true)) {
            self.mark(self.module.store(value, start, alignment: alignment), place)
        }
    }

    /// What an access gives, or another value where the emulator does not allow it.
    func guarded(_ place: Address, _ start: LLVMValueRef, bytes: Int, _ alignment: Int, otherwise: LLVMValueRef,
                 _ access: () -> LLVMValueRef) -> LLVMValueRef {
        choose(if: emulatorAllows(place, start, bytes: bytes, alignment, writes: false), otherwise: otherwise, access)
    }

    /// What the emulator says of a read or write; nil where there is nobody to ask. One that is not known to be aligned is made in
    /// parts, as on a GPU.
    private func emulatorAllows(_ place: Address, _ start: LLVMValueRef, bytes: Int, _ alignment: Int, writes: Bool) -> LLVMValueRef? {
        guard case .emulated = dialect, place.space != .generic else { return nil }
        let part = min(alignment, 16, bytes)
        var allowed: LLVMValueRef?
        for offset in stride(from: 0, to: bytes, by: part) {
            let address = offset == 0 ? start : module.offset(start, module.i8, by: module.int64(offset))
            let answer = emulator(place.space == .shared ? "local" : "global", module.i1,
                                  [address, module.int64(min(part, bytes - offset)), LLVMConstInt(module.i1, writes ? 1 : 0, 0), statementText])
            allowed = allowed.map { module.and($0, answer) } ?? answer
        }
        return allowed
    }

    /// The body's value where the condition holds (always, for nil), else the other.
    private func choose(if condition: LLVMValueRef?, otherwise: LLVMValueRef, _ body: () -> LLVMValueRef) -> LLVMValueRef {
        guard let condition else { return body() }
        if let known = module.knownInteger(condition) { return known != 0 ? body() : otherwise }
        let (then, after) = (module.block("there", in: function), module.block("after", in: function))
        let before = module.currentBlock
        module.jump(if: condition, then, else: after)
        module.position(at: then)
        let value = body()
        let last = module.currentBlock
        module.jump(after)
        module.position(at: after)
        return module.phi(LLVMTypeOf(value), [(value, last), (otherwise, before)])
    }

    func perform(if condition: LLVMValueRef?, _ body: () -> Void) {
        guard let condition else { return body() }
        if let known = module.knownInteger(condition) { return known != 0 ? body() : () }
        guarded(by: condition, body)
    }
}
