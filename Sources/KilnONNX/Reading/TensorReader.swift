// Tensors of a model as literals: the bytes of a file, or the fields that older exporters fill, come in; dense elements go out.

import Foundation
import KilnIR

extension Importer {
    /// A tensor's elements, in the dtype that carries its element type.
    func read(_ tensor: ProtoTensor) throws -> (Literal, ElementType) {
        func wrong(_ problem: String) -> ModelError { ModelError(file, "the tensor '\(tensor.name)' \(problem)") }
        guard let element = ElementType(rawValue: tensor.dataType), let dtype = element.dtype else { throw wrong("has elements of an unknown type, \(tensor.dataType)") }
        var count = 1
        for size in tensor.dims {
            let (product, overflow) = count.multipliedReportingOverflow(by: Int(size))
            guard size >= 0, !overflow, product < 1 << 48 else { throw wrong("has the impossible shape \(tensor.dims)") }
            count = product
        }
        let shape = tensor.dims.map { Int($0) }
        guard tensor.dataLocation == 0 else { throw wrong("lies in another file") }
        guard element != .string else { throw wrong("holds strings") }
        if tensor.hasRawData {
            let bytes = [UInt8](tensor.rawData)
            guard bytes.count == (count * element.bitWidth + 7) / 8 else {
                throw wrong("has \(bytes.count) bytes, and its shape \(shape) needs \((count * element.bitWidth + 7) / 8)")
            }
            if element.bitWidth < 8 { return (Literal(dtype, shape, bytes: Self.unpacked(bytes, element, count)), element) }
            if dtype == .bool { return (Literal(.bool, shape, bytes: bytes.map { $0 == 0 ? 0 : 1 }), element) }
            return (Literal(dtype, shape, bytes: bytes), element)
        }
        return (try fields(tensor, element, dtype, shape, count, wrong), element)
    }

    /// Elements narrower than a byte, one a byte; the first lies in the lowest bits.
    static func unpacked(_ bytes: [UInt8], _ element: ElementType, _ count: Int) -> [UInt8] {
        let width = element.bitWidth, perByte = 8 / width
        return (0..<count).map { position in
            let bits = bytes[position / perByte] >> UInt8(position % perByte * width) & UInt8(1 << width - 1)
            guard element.dtype == .i8, bits >> UInt8(width - 1) == 1 else { return bits }
            return bits | ~UInt8(1 << width - 1)
        }
    }

    private func fields(_ tensor: ProtoTensor, _ element: ElementType, _ dtype: DType, _ shape: [Int], _ count: Int,
                        _ wrong: (String) -> ModelError) throws -> Literal {
        func checked(_ scalars: [Scalar]) throws -> Literal {
            guard scalars.count == count else { throw wrong("has \(scalars.count) elements, and its shape \(shape) needs \(count)") }
            return Literal(dtype, shape, scalars: scalars)
        }
        switch element {
        case .float: return try checked(tensor.floatData.map { .real(Double($0)) })
        case .double: return try checked(tensor.doubleData.map { .real($0) })
        case .int64: return try checked(tensor.int64Data.map { .integer($0) })
        case .uint32, .uint64: return try checked(tensor.uint64Data.map { .unsigned($0) })
        case .uint4, .int4, .uint2, .int2, .float4e2m1:
            let bytes = tensor.int32Data.map { UInt8(truncatingIfNeeded: $0) }
            guard bytes.count == (count * element.bitWidth + 7) / 8 else { throw wrong("has the wrong number of elements") }
            return Literal(dtype, shape, bytes: Self.unpacked(bytes, element, count))
        case .float16, .bfloat16:
            guard tensor.int32Data.count == count else { throw wrong("has \(tensor.int32Data.count) elements, and its shape \(shape) needs \(count)") }
            return Literal(dtype, shape, bytes: tensor.int32Data.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] })
        case .float8e4m3fn, .float8e5m2:
            guard tensor.int32Data.count == count else { throw wrong("has \(tensor.int32Data.count) elements, and its shape \(shape) needs \(count)") }
            return Literal(dtype, shape, bytes: tensor.int32Data.map { UInt8(truncatingIfNeeded: $0) })
        default: return try checked(tensor.int32Data.map { .integer(Int64($0)) })
        }
    }

    /// A sparse tensor, dense.
    func readSparse(_ sparse: ProtoSparseTensor) throws -> (Literal, ElementType) {
        throw ModelError(file, "the sparse tensor '\(sparse.values.name)' can't be read")
    }
}
