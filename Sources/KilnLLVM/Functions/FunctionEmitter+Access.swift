// Loads and stores: whole vectors where lanes are neighbours, one element where they share it, gathers and scatters otherwise.

import CLLVM
import KilnIR
import KilnKernels

extension FunctionEmitter {
    // MARK: Loads

    func load(_ access: Access, fill: Scalar) throws -> Emitted {
        let place = try place(access.memory)
        let dtype = place.dtype
        if let known = place.value, access.conditions.isEmpty {
            return Emitted(value: module.constant(known, dtype), dtype: dtype, lanes: 0)
        }
        let predicate = try predicate(access.conditions)
        if predicate.isNever { return Emitted(value: module.constant(fill, dtype), dtype: dtype, lanes: 0) }
        let index = try lower(access.address)
        if !dialect.isHost { return deviceLoad(place, index, access.address, predicate, fill) }
        if index.isUniform, predicate.varying == nil { return loadOne(place, index, predicate, fill) }
        return fromMemory(loadLanes(place, index, access.address, predicate, fill), dtype, lanes: lanes!.width)
    }

    /// One element for all lanes. Where the condition fails, the element is read from a slot that holds `fill`.
    private func loadOne(_ place: Address, _ index: Index, _ predicate: Predicate, _ fill: Scalar) -> Emitted {
        let element = module.memoryType(place.dtype)
        var address = pointer(place, index)
        let condition = predicate.uniform
        if let condition { address = module.select(condition, address, fillSlot(element)) }
        let loaded = module.load(element, address, alignment: place.elementAlignment)
        mark(loaded, place)
        let value = fromMemory(loaded, place.dtype, lanes: 0)
        guard let condition, !fill.isZeroBits else { return value }
        return Emitted(value: module.select(condition, value.value, module.constant(fill, place.dtype)), dtype: place.dtype, lanes: 0)
    }

    private func loadLanes(_ place: Address, _ index: Index, _ address: Dim, _ predicate: Predicate, _ fill: Scalar) -> LLVMValueRef {
        let width = lanes!.width
        let dtype = place.dtype
        let type = module.memoryType(dtype, lanes: width)
        let mask = mask(predicate)
        let passed = fill.isZeroBits ? LLVMConstNull(type)! : memoryConstant(fill, dtype, lanes: width)
        switch index.constantStride {
        case 1:
            if let inside = plainLocalLoad(place, index, type, mask) {
                return predicate.isAlways ? inside : module.select(mask ?? allLanes, inside, passed)
            }
            return loadRow(place, index.base, address, type, mask, passed)
        case -1:
            var first = index.base
            first.constant -= width - 1
            let reversed = (0..<width).map { width - 1 - $0 }
            return module.shuffle(loadRow(place, first, nil, type, mask.map { module.shuffle($0, reversed) }, passed), reversed)
        case 0:
            // The same element, for some lanes only: read it if any lane does.
            let condition = module.intrinsic("llvm.vector.reduce.or", [module.vector(module.i1, width)], [mask ?? allLanes])
            let element = module.memoryType(dtype)
            let loaded = module.load(element, module.select(condition, pointer(place, index), fillSlot(element)),
                                     alignment: place.elementAlignment)
            mark(loaded, place)
            return module.select(mask ?? allLanes, module.splat(loaded, width), passed)
        case let stride? where 2...4 ~= stride && width > stride:
            let loaded = loadStrided(place, index.base, type, stride, mask)
            return mask == nil || fill.isZeroBits ? loaded : module.select(mask ?? allLanes, loaded, passed)
        default:
            let pointers = pointers(place, index)
            let gathered = module.intrinsic("llvm.masked.gather", [type, LLVMTypeOf(pointers)],
                                            [pointers, module.integer(module.i32, place.elementAlignment), mask ?? allLanes, passed])
            mark(gathered, place)
            return gathered
        }
    }

    /// Neighbouring elements from `first` on.
    private func loadRow(_ place: Address, _ first: Index, _ address: Dim?, _ type: LLVMTypeRef, _ mask: LLVMValueRef?,
                         _ passed: LLVMValueRef) -> LLVMValueRef {
        let start = pointer(place, first)
        let alignment = address.map { self.alignment(place, $0) } ?? place.elementAlignment
        let loaded: LLVMValueRef
        if let mask {
            loaded = module.intrinsic("llvm.masked.load", [type, module.pointer],
                                      [start, module.integer(module.i32, alignment), mask, passed])
        } else { loaded = module.load(type, start, alignment: alignment) }
        mark(loaded, place)
        return loaded
    }

    /// Every `stride`-th element from `first` on: the whole span in vectors, the last of which ends at the last element, and shuffles.
    /// Lanes that the mask leaves out are zero, and what lies between lanes is not read where there is a mask.
    private func loadStrided(_ place: Address, _ first: Index, _ type: LLVMTypeRef, _ stride: Int, _ mask: LLVMValueRef?) -> LLVMValueRef {
        let width = lanes!.width
        let span = (width - 1) * stride + 1
        var gathered: LLVMValueRef?
        for vector in 0..<stride {
            let start = vector == stride - 1 ? span - width : vector * width
            var index = first
            index.constant += start
            // The lanes whose elements are first met in this vector.
            let isHere = (0..<width).map { vector * width..<start + width ~= $0 * stride }
            let spread = mask.map { mask in
                module.shuffle(mask, with: LLVMConstNull(LLVMTypeOf(mask)), (0..<width).map { element in
                    let (lane, rest) = (start + element).quotientAndRemainder(dividingBy: stride)
                    return rest == 0 && isHere[lane] ? lane : width
                })
            }
            let loaded = loadRow(place, index, nil, type, spread, LLVMConstNull(type))
            let here = (0..<width).map { isHere[$0] ? $0 * stride - start : nil }
            gathered = gathered.map { module.shuffle($0, with: loaded, (0..<width).map { lane in here[lane].map { width + $0 } ?? lane }) }
                ?? module.shuffle(loaded, here.map { $0 ?? 0 })
        }
        return gathered!
    }

    /// All of a vector of a local on the stack, also the lanes that are not there, so that the local can live in a register.
    private func plainLocalLoad(_ place: Address, _ index: Index, _ type: LLVMTypeRef, _ mask: LLVMValueRef?) -> LLVMValueRef? {
        guard mask != nil, isWholeVector(place, index) else { return nil }
        return module.load(type, pointer(place, index.base), alignment: place.elementAlignment)
    }

    func isWholeVector(_ place: Address, _ index: Index) -> Bool {
        guard let count = place.stackCount, index.base.isConstant else { return false }
        return index.constant >= 0 && index.constant + lanes!.width <= count
    }

    func fromMemory(_ value: LLVMValueRef, _ dtype: DType, lanes: Int) -> Emitted {
        guard dtype == .bool else { return Emitted(value: value, dtype: dtype, lanes: lanes) }
        let bit = module.compare(LLVMIntNE, value, LLVMConstNull(LLVMTypeOf(value)))
        return Emitted(value: bit, dtype: .bool, lanes: lanes)
    }

    func toMemory(_ value: LLVMValueRef, _ dtype: DType, lanes: Int) -> LLVMValueRef {
        dtype == .bool ? module.zext(value, module.memoryType(.bool, lanes: lanes)) : value
    }

    func memoryConstant(_ scalar: Scalar, _ dtype: DType, lanes: Int) -> LLVMValueRef {
        dtype == .bool ? module.splat(constant: LLVMConstInt(module.i8, scalar.isTrue ? 1 : 0, 0), lanes)
            : module.constant(scalar, dtype, lanes: lanes)
    }

    // MARK: Stores

    func store(_ access: Access, _ value: Emitted, streaming: Bool) throws {
        let place = try place(access.memory)
        let predicate = try predicate(access.conditions)
        if predicate.isNever { return }
        let index = try lower(access.address)
        guard value.dtype == place.dtype else {
            throw InternalError("llvm", "a store of \(value.dtype) into a memory of \(place.dtype)")
        }
        if !dialect.isHost { return try deviceStore(place, index, access.address, predicate, value) }
        if index.isUniform, predicate.varying == nil, value.lanes == 0 { return storeOne(place, index, predicate, value) }
        guard let width = lanes?.width else { throw InternalError("llvm", "a vector is stored outside lanes") }
        let stored = toMemory(spread(value, width), place.dtype, lanes: width)
        storeLanes(place, index, access.address, mask(predicate), stored, streaming: streaming)
    }

    private func storeOne(_ place: Address, _ index: Index, _ predicate: Predicate, _ value: Emitted) {
        let write = {
            let stored = self.module.store(self.toMemory(value.value, value.dtype, lanes: 0), self.pointer(place, index),
                                           alignment: place.elementAlignment)
            self.mark(stored, place)
        }
        guard let condition = predicate.uniform else { return write() }
        let (then, after) = (module.block("store", in: function), module.block("stored", in: function))
        module.jump(if: condition, then, else: after)
        module.position(at: then)
        write()
        module.jump(after)
        module.position(at: after)
    }

    private func storeLanes(_ place: Address, _ index: Index, _ address: Dim, _ mask: LLVMValueRef?, _ value: LLVMValueRef,
                            streaming: Bool) {
        let type = LLVMTypeOf(value)!
        switch index.constantStride {
        case 1:
            storeRow(place, index, address, mask, value, streaming: streaming)
        case -1:
            let width = lanes!.width
            var first = index.base
            first.constant -= width - 1
            let reversed = (0..<width).map { width - 1 - $0 }
            let flipped = module.shuffle(value, reversed)
            storeRow(place, first, nil, mask.map { module.shuffle($0, reversed) }, flipped, streaming: false)
        default:
            let pointers = pointers(place, index)
            let scattered = module.intrinsic("llvm.masked.scatter", [type, LLVMTypeOf(pointers)],
                                             [value, pointers, module.integer(module.i32, place.elementAlignment), mask ?? allLanes])
            mark(scattered, place)
        }
    }

    private func storeRow(_ place: Address, _ index: Index, _ address: Dim?, _ mask: LLVMValueRef?, _ value: LLVMValueRef,
                          streaming: Bool) {
        let type = LLVMTypeOf(value)!
        let start = pointer(place, index.base)
        let alignment = address.map { self.alignment(place, $0) } ?? place.elementAlignment
        guard let mask else {
            let stored = module.store(value, start, alignment: alignment)
            mark(stored, place)
            if streaming, alignment >= min(64, lanes!.width * place.dtype.byteCount) {
                let one = LLVMValueAsMetadata(LLVMConstInt(module.i32, 1, 0))!
                module.setMetadata("nontemporal", module.metadata([one]), on: stored)
            }
            return
        }
        if isWholeVector(place, index) {
            let before = module.load(type, start, alignment: place.elementAlignment)
            module.store(module.select(mask, value, before), start, alignment: place.elementAlignment)
            return
        }
        let stored = module.intrinsic("llvm.masked.store", [type, module.pointer],
                                      [value, start, module.integer(module.i32, alignment), mask])
        mark(stored, place)
    }

    // MARK: Reductions over neighbours

    func reduceLanes(_ kind: ReductionKind, _ memory: Memory, address: Dim, width: Int) throws -> Emitted {
        guard let combiner = kind.combiner else { throw InternalError("llvm", "reduceLanes can't combine by \(kind.rawValue)") }
        let place = try place(memory)
        let type = module.memoryType(place.dtype, lanes: width)
        let start = pointer(place, try lower(address).base)
        let alignment = alignment(place, address)
        let loaded = guarded(place, start, bytes: width * place.dtype.byteCount, alignment, otherwise: LLVMConstNull(type)) {
            self.read(type, place, start, alignment)
        }
        var value = fromMemory(loaded, place.dtype, lanes: width)
        var half = width / 2
        while half >= 1 {
            let low = half == 1 ? module.element(value.value, 0) : module.shuffle(value.value, Array(0..<half))
            let high = half == 1 ? module.element(value.value, 1) : module.shuffle(value.value, Array(half..<2 * half))
            let lanes = half == 1 ? 0 : half
            value = try apply(combiner, [Emitted(value: low, dtype: place.dtype, lanes: lanes),
                                         Emitted(value: high, dtype: place.dtype, lanes: lanes)], as: place.dtype)
            half /= 2
        }
        if width == 1 { value = Emitted(value: module.element(value.value, 0), dtype: place.dtype, lanes: 0) }
        return value
    }

    // MARK: Addresses

    var allLanes: LLVMValueRef { LLVMConstAllOnes(module.vector(module.i1, lanes!.width)) }

    /// The address of an element, in steps from the outermost loop inwards, the constant last.
    func pointer(_ place: Address, _ index: Index) -> LLVMValueRef {
        let element = module.memoryType(place.dtype)
        var address = place.base
        for part in index.parts { address = module.offset(address, element, by: part.value) }
        return index.constant == 0 ? address : module.offset(address, element, by: module.int64(index.constant))
    }

    private func pointers(_ place: Address, _ index: Index) -> LLVMValueRef {
        module.offset(pointer(place, index.base), module.memoryType(place.dtype), by: laneOffsets(index))
    }

    /// Bytes, a power of two, that the address of lane 0 is a multiple of for certain.
    func alignment(_ place: Address, _ address: Dim) -> Int {
        let size = place.dtype.byteCount
        var base = address
        if let lanes { base = base.substituting { $0 == .index(lanes.variable) ? 0 : nil } }
        let divisor = divisor(base)
        let bytes = divisor == 0 ? place.alignment : min(place.alignment, (divisor & -divisor) &* size)
        return max(place.elementAlignment, min(bytes, 64))
    }

    func mark(_ instruction: LLVMValueRef, _ place: Address) {
        guard let scope = place.scope else { return }
        module.setMetadata("alias.scope", scope, on: instruction)
        if let others = place.otherScopes { module.setMetadata("noalias", others, on: instruction) }
    }
}

extension Scalar {
    /// Whether all bits are zero in every representation: `-0.0` is not.
    var isZeroBits: Bool {
        switch self {
        case .bool(let b): !b
        case .integer(let i): i == 0
        case .unsigned(let u): u == 0
        case .real(let r): r.bitPattern == 0
        }
    }
}
