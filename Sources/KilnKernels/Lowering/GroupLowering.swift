// One group's way into a kernel: its region, where its inputs and outputs are, and the target; schedules extend it.

import KilnIR
import KilnPasses

/// A group to be lowered, with what all schedules share.
final class GroupLowering {
    let region: Graph
    let table: FormTable
    let target: Target
    let writer = KernelWriter()
    let elements: ElementLowering
    /// The buffer of each output of the region.
    let outputs: [Int]
    let program: ProgramWriter
    /// What the fuse pass found the group to be.
    let kind: GroupKind
    var launches: [KernelLaunch] = []
    /// Bytes of worker scratch that the kernel uses.
    var workspace: Dim = 0

    init(_ kind: GroupKind, region: Graph, inputs: [Int], outputs: [Int], program: ProgramWriter) throws {
        self.kind = kind
        self.region = region
        self.program = program
        self.target = program.target
        self.outputs = outputs
        table = try FormTable(region)
        var places: [ValueID: MemoryReference] = [:]
        for (port, buffer) in zip(region.inputs, inputs) { places[port.value] = Self.place(buffer, region.type(of: port.value)) }
        elements = ElementLowering(graph: region, table: table, writer: writer, places: places)
        for buffer in outputs { writer.written.insert(.buffer(buffer)) }
    }

    static func place(_ buffer: Int, _ type: TensorType) -> MemoryReference {
        MemoryReference(memory: .buffer(buffer), strides: type.strides, dtype: type.dtype)
    }

    /// A dense temporary that lives through the kernel.
    func temporary(_ name: String, _ dtype: DType, _ shape: Shape) -> MemoryReference {
        let type = TensorType(dtype, shape)
        let buffer = program.makeTemporary(name, type)
        writer.written.insert(.buffer(buffer))
        return Self.place(buffer, type)
    }

    /// Worker scratch of the given number of elements.
    func scratch(_ dtype: DType, _ count: Dim) -> Memory {
        let bytes = (count * .constant(dtype.byteCount)).roundedUp(to: 64)
        defer { workspace += bytes }
        return writer.local(dtype, count, .workspace(offset: workspace))
    }

    /// Small scratch on the stack, larger in the worker's memory.
    func scratchOrStack(_ dtype: DType, _ count: Dim) -> Memory {
        if let n = count.constant, n * dtype.byteCount <= 16 << 10 { return writer.local(dtype, count) }
        return scratch(dtype, count)
    }

    /// Adds a launch whose work items are the given number; the body gets the work item's number. On a GPU each work item is a thread's.
    func launch(workItems: Dim, work: Dim, _ body: (Dim) throws -> Void) rethrows {
        if target.gpu != nil { return try threadLaunch(workItems: workItems, work: work, body) }
        let variable = writer.makeVariable()
        let statements = try writer.block { try body(.index(variable)) }
        launches.append(KernelLaunch(variable: variable, workItems: workItems, work: work, body: statements))
    }

    /// Splits a work item's number into indices over the given sizes, outermost first.
    func unflatten(_ position: Dim, _ sizes: [Dim]) -> [Dim] {
        if sizes.count == 1 { return [position] }
        var rest = position
        var indices: [Dim] = []
        for size in sizes.reversed().dropLast() {
            if size == 1 {
                indices.append(0)
                continue
            }
            let quotient = writer.bind(rest / size)
            indices.append(writer.bind(rest - quotient * size))
            rest = quotient
        }
        if !sizes.isEmpty { indices.append(rest) }
        return indices.reversed()
    }

    /// Vector elements for the dtypes that the kernel computes with.
    func lanes(for dtype: DType) -> Int { max(target.vectorBytes / max(dtype.byteCount, 4), 1) }

    /// The dtype that sets the width of vectors: the widest float among inputs and outputs, or without floats the widest of all.
    var computeDType: DType {
        let all = (region.outputs + region.inputs).map { region.type(of: $0.value).dtype }
        let floats = all.filter(\.isFloat)
        return (floats.isEmpty ? all : floats).max { $0.byteCount < $1.byteCount } ?? .f32
    }

    /// A rough number of scalar operations for one element of all outputs.
    var costPerElement: Int {
        2 + table.forms.reduce(0) { $0 + InlineCost.of($1) }
    }

    /// The indices of an output whose elements are, in row-major order, those of the domain.
    func indices(of shape: Shape, in domain: Shape, at variables: [Dim]) -> [Dim] {
        if shape == domain { return variables }
        return IndexMap.reshape(from: shape, to: domain).pieces[0].indices.map { $0.substituting(indices: variables, ranges: elements.ranges) }
    }

    /// Stores past the caches pay where nobody could find the data in them again.
    func isStreaming(_ type: TensorType) -> Bool { (type.byteCount.constant ?? 0) >= 24 << 20 }

    /// Stores an element of an output; past the caches where that pays and whole vectors are stored.
    func storeOutput(_ number: Int, _ value: ValueNumber, _ indices: [Dim], mayStream: Bool = true) {
        let type = region.type(of: region.outputs[number].value)
        let place = Self.place(outputs[number], type)
        writer.store(value, place.memory, elements.physical(place.address(indices)), streaming: mayStream && isStreaming(type))
    }
}
