// What running or shipping a graph takes: machine code, and the arguments as callers see them. It is kept from one compilation to the next
// under all that it depends on: the graph to the bit, the targets, the options that change code. (The cache adds the compiler's build.)

import KilnIR
import KilnKernels
import KilnLLVM
import KilnOps

/// A compiled graph without the stages before its code.
public struct CompiledCode: Sendable {
    /// Names, types and sizes of the arguments: a program without kernels and steps.
    public let interface: Program
    /// Machine code, to be loaded or linked.
    public let code: ObjectCode
    /// Seconds that each stage took, in order; of what was kept, only how long it took to find it.
    public let timings: [(stage: String, seconds: Double)]

    init(interface: Program, code: ObjectCode, timings: [(stage: String, seconds: Double)]) {
        (self.interface, self.code, self.timings) = (interface, code, timings)
    }

    public init(_ artifact: Artifact) { self.init(artifact, after: []) }

    /// - Parameter laps: the stages before the compiler's.
    init(_ artifact: Artifact, after laps: [(stage: String, seconds: Double)]) {
        self.init(interface: artifact.program.interface, code: artifact.code, timings: laps + artifact.timings)
    }
}

extension CompiledCode {
    /// As bytes; nil where it is not worth keeping.
    func bytes(_ content: GraphContent, _ options: Options) -> [UInt8]? {
        guard let code = code.bytes(literals: content.literals, devices: [options.target] + options.devices) else { return nil }
        var writer = ByteWriter()
        writer.append(interface.description)
        writer.append(code)
        return writer.bytes
    }

    /// From such bytes; nil where they say something else.
    init?(bytes: [UInt8], _ content: GraphContent, _ options: Options, _ clock: inout Stopwatch) {
        var reader = ByteReader(bytes)
        guard let text = reader.text(), let interface = try? Program.parse(text), let kept = reader.contents(), reader.isAtEnd,
            let code = ObjectCode(bytes: kept, literals: content.literals, devices: [options.target] + options.devices), code.name == interface.name else { return nil }
        clock.lap("cache")
        self.init(interface: interface, code: code, timings: clock.laps)
    }
}

/// What a graph's code depends on.
struct GraphContent {
    /// The literals that are not in the text, in the order in which they are found: they are told by the files that they are mapped from, or
    /// by their digests. (Neither has a say in the code, but for what passes find out about them: that they are equal, or all one number.)
    private(set) var literals: [Literal] = []
    /// Differs where anything differs.
    let key: String

    /// Literals of more bytes are not in the text.
    private static let listedBytes = 256

    /// Nil where an op is not the catalogue's, whose name says what it does.
    init?(_ graph: Graph, _ options: Options, now: Int? = nil) {
        var open = [graph]
        while let next = open.popLast() {
            for operation in next.operations {
                guard Catalogue.op(named: operation.op.name) === operation.op else { return nil }
                open += operation.regions
                for entry in operation.attributes.entries {
                    if case .literal(let literal) = entry.value, literal.byteCount > Self.listedBytes { literals.append(literal) }
                }
            }
        }
        var hash = SHA256()
        hash.update("graph \(options.target) \(options.devices) \(options.checksIndices)\n")
        var text = graph.description(literalsAtMost: Self.listedBytes)
        hash.update("\(text.utf8.count) \(literals.count)\n")
        text.withUTF8 { ContentDigest.digest(UnsafeRawBufferPointer($0)) }.withUnsafeBytes { hash.update($0) }
        var unmapped = literals
        if !literals.isEmpty {
            var files = now.map { MappedFiles(now: $0) } ?? MappedFiles()
            unmapped = []
            for (number, literal) in literals.enumerated() {
                if let identity = files.identity(of: literal) { hash.update("\(number) \(identity)\n") } else { unmapped.append(literal) }
            }
        }
        ContentDigest.update(&hash, unmapped, threads: options.threads)
        key = "graph \(hash.digest().hex)"
    }
}

extension Program {
    /// The arguments alone.
    var interface: Program {
        Program(name: name, symbols: symbols, dataDependent: dataDependent, buffers: buffers.filter {
            switch $0.storage {
            case .input, .output: true
            case .arena, .constant, .packed, .status: false
            }
        })
    }
}
