// Tensors of a model as literals: bytes of a file, or the fields that older exporters fill, come in; dense elements go out.
// Bytes that are elements already are shared, not copied.

import Foundation
import KilnIR

extension Importer {
    /// A tensor's elements, in the dtype that carries its element type.
    /// - Parameter raw: where its bytes lie in the model's file, if they do.
    func read(_ tensor: ProtoTensor, raw: Range<Int>? = nil) throws -> (Literal, ElementType) {
        func wrong(_ problem: String) -> ModelError { ModelError(file, "the tensor '\(tensor.name)' \(problem)") }
        guard let element = ElementType(rawValue: tensor.dataType), let dtype = element.dtype else {
            throw wrong("has elements of a type that Kiln does not have (\(tensor.dataType))")
        }
        let count = try elementCount(tensor.dims, wrong), shape = tensor.dims.map { Int($0) }
        let needed = (count * element.bitWidth + 7) / 8
        let source: (ByteRegion, Range<Int>)? = if let raw { (model.region, raw) } else
            if tensor.dataLocation == 1 { try model.files.bytes(of: tensor, needed: needed) } else if tensor.hasRawData { (tensor.rawData.region, 0..<tensor.rawData.count) } else { nil }
        guard let (region, range) = source else { return (try fields(tensor, element, dtype, shape, count, wrong), element) }
        guard element != .string else { throw wrong("holds strings as bytes") }
        guard range.count == needed else { throw wrong("has \(range.count) bytes, and its shape \(shape) needs \(needed)") }
        if element.bitWidth < 8 {
            return (Literal(dtype, shape, bytes: Self.unpacked(UnsafeRawBufferPointer(rebasing: region.bytes[range]), element, count)), element)
        }
        return (Literal(dtype, shape, region: region, offset: range.lowerBound), element)
    }

    /// The number of elements of a shape in a file.
    private func elementCount(_ dims: [Int64], _ wrong: (String) -> ModelError) throws -> Int {
        var count = 1
        for size in dims {
            // More than a file can hold; and sizes that only an empty dimension makes harmless.
            let (product, overflow) = count.multipliedReportingOverflow(by: Int(max(size, 1)))
            guard size >= 0, !overflow, product < 1 << 48 else { throw wrong("has the impossible shape \(dims)") }
            count = product
        }
        return dims.contains(0) ? 0 : count
    }

    /// Elements narrower than a byte, one a byte; the first lies in the lowest bits.
    private static func unpacked(_ bytes: UnsafeRawBufferPointer, _ element: ElementType, _ count: Int) -> [UInt8] {
        let width = element.bitWidth, perByte = 8 / width
        return (0..<count).map { position in
            let bits = bytes[position / perByte] >> UInt8(position % perByte * width) & UInt8(1 << width - 1)
            guard element.dtype == .i8, bits >> UInt8(width - 1) == 1 else { return bits }
            return bits | ~UInt8(1 << width - 1)
        }
    }

    /// Elements in the fields for one kind of numbers each.
    private func fields(_ tensor: ProtoTensor, _ element: ElementType, _ dtype: DType, _ shape: [Int], _ count: Int,
                        _ wrong: (String) -> ModelError) throws -> Literal {
        func demand(_ found: Int, _ needed: Int) throws {
            guard found == needed else { throw wrong("has \(found) numbers, and its shape \(shape) needs \(needed)") }
        }
        func scalars(_ scalars: [Scalar]) throws -> Literal {
            try demand(scalars.count, count)
            return Literal(dtype, shape, scalars: scalars)
        }
        switch element {
        case .float: return try scalars(tensor.floatData.map { .real(Double($0)) })
        case .double: return try scalars(tensor.doubleData.map { .real($0) })
        case .int64: return try scalars(tensor.int64Data.map { .integer($0) })
        case .uint32, .uint64: return try scalars(tensor.uint64Data.map { .unsigned($0) })
        case .string: 
            try demand(tensor.stringData.count, count)
            guard !tensor.stringData.contains(where: { $0.last == 0 }) else { throw wrong("has a text that ends in a zero byte") }
            return Literal(utf8: tensor.stringData.map { [UInt8]($0) }, shape)
        case .float16, .bfloat16:
            try demand(tensor.int32Data.count, count)
            return Literal(dtype, shape, bytes: tensor.int32Data.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] })
        case .float8e4m3fn, .float8e4m3fnuz, .float8e5m2, .float8e5m2fnuz, .float8e8m0:
            try demand(tensor.int32Data.count, count)
            return Literal(dtype, shape, bytes: tensor.int32Data.map { UInt8(truncatingIfNeeded: $0) })
        case .uint4, .int4, .uint2, .int2, .float4e2m1:
            let bytes = tensor.int32Data.map { UInt8(truncatingIfNeeded: $0) }
            try demand(bytes.count, (count * element.bitWidth + 7) / 8)
            return Literal(dtype, shape, bytes: bytes.withUnsafeBytes { Self.unpacked($0, element, count) })
        case .uint8, .int8, .uint16, .int16, .int32, .bool, .complex64, .complex128: return try scalars(tensor.int32Data.map { .integer(Int64($0)) })
        }
    }

    /// A sparse tensor as a dense one: its values stand where the indices say, zeros elsewhere.
    func readSparse(_ sparse: ProtoSparseTensor) throws -> (Literal, ElementType) {
        func wrong(_ problem: String) -> ModelError { ModelError(file, "the sparse tensor '\(sparse.values.name)' \(problem)") }
        let (values, element) = try read(sparse.values), (indices, _) = try read(sparse.indices)
        let count = try elementCount(sparse.dims, wrong), shape = sparse.dims.map { Int($0) }
        guard indices.dtype == .i64, values.shape.count == 1 else { throw wrong("is not described as ONNX does it") }
        // Few numbers in a file must not take all memory.
        guard count < max(1 << 24, values.count << 8) else { throw wrong("has \(values.count) of \(count) elements, which Kiln would all store") }
        let isLinear = indices.shape == [values.count]
        guard isLinear || indices.shape == [values.count, shape.count] else { throw wrong("has indices of shape \(indices.shape)") }
        var bytes = [UInt8](repeating: 0, count: count * values.dtype.byteCount)
        let width = values.dtype.byteCount
        try values.withUnsafeBytes { source in
            for number in 0..<values.count {
                var position = 0
                if isLinear { position = Int(indices[number].int64) } else {
                    for (axis, size) in shape.enumerated() {
                        let index = Int(indices[number * shape.count + axis].int64)
                        guard index >= 0, index < size else { throw wrong("has an index that is not in its shape") }
                        position = position * size + index
                    }
                }
                guard position >= 0, position < count else { throw wrong("has an index that is not in its shape") }
                for byte in 0..<width { bytes[position * width + byte] = source[number * width + byte] }
            }
        }
        return (Literal(values.dtype, shape, bytes: bytes), element)
    }
}

extension Data {
    /// These bytes as a region that shares them.
    fileprivate var region: ByteRegion {
        let shared = self as NSData
        return ByteRegion(UnsafeRawBufferPointer(start: shared.bytes, count: shared.length), owner: shared)
    }
}
