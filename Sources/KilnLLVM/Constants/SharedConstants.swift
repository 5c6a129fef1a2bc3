// The constants that are too big for LLVM's data, or laid out anew: programs come in, and what code finds them by goes out. Each is one
// symbol, all of them make one table of addresses; what loads or links the code says where the bytes are, which may be anywhere.

import CLLVM
import KilnIR
import KilnKernels

/// The big constants of a compilation that its code reads, each once, whatever targets use it.
public struct SharedConstants: Sendable {
    /// What the bytes are.
    enum Content: Hashable, Sendable {
        /// A literal's, at any alignment.
        case literal(Literal)
        /// A literal's elements in another order. The packing's source says nothing.
        case packed(Literal, Packing)
    }

    /// Literals of more bytes are shared.
    static let threshold = 4096

    /// What the symbols' names start with.
    let name: String
    /// In the order of their numbers.
    private(set) var contents: [Content] = []
    private var numbers: [Content: Int] = [:]

    init(_ name: String, _ programs: [Program]) {
        self.name = name
        for program in programs {
            for number in program.buffersUsed.sorted() {
                guard let content = Self.content(of: number, in: program) else { continue }
                if numbers.updateValue(numbers[content] ?? contents.count, forKey: content) == nil { contents.append(content) }
            }
        }
    }

    /// Those that code was made with before, by their numbers; no program's buffers are among them.
    init(_ name: String, _ contents: [Content]) { (self.name, self.contents) = (name, contents) }

    /// How many there are, and the bytes of each.
    public var byteCounts: [Int] { contents.map(\.byteCount) }

    static func isShared(_ literal: Literal) -> Bool { literal.byteCount > threshold }

    private static func content(of buffer: Int, in program: Program) -> Content? {
        guard program.buffers.indices.contains(buffer) else { return nil }
        switch program.buffers[buffer].storage {
        case .constant(let literal): return isShared(literal) ? .literal(literal) : nil
        case .packed(var packing):
            guard case .constant(let literal) = program.buffers[packing.source].storage else { return nil }
            packing.source = 0
            return .packed(literal, packing)
        case .input, .output, .status, .arena: return nil
        }
    }

    /// The number of a program's buffer among these; nil for what is none of them or is not read.
    func number(of buffer: Int, in program: Program) -> Int? { Self.content(of: buffer, in: program).flatMap { numbers[$0] } }

    /// The symbol of a constant's bytes.
    func symbol(_ number: Int) -> String { "\(name)_constant\(number)" }

    /// The symbol of the table of addresses.
    var table: String { "\(name)_constants" }

    /// The address of a constant's bytes, as a constant for a table.
    func address(_ number: Int, in module: Module) -> LLVMValueRef { module.externalData(symbol(number)) }

    /// The object with the table; nil where there are no constants.
    func tableObject(_ target: Target) throws -> [UInt8]? {
        guard !contents.isEmpty else { return nil }
        // There is no code in it.
        let machine = try Machine(target, isGlue: true)
        let module = Module(name: table, target: machine.description)
        var list: [LLVMValueRef?] = contents.indices.map { address($0, in: module) }
        module.sharedConstant(table, LLVMConstArray2(module.pointer, &list, UInt64(list.count)))
        return try machine.generate(module, LLVMObjectFile)
    }
}

extension SharedConstants.Content {
    var byteCount: Int {
        switch self {
        case .literal(let literal): literal.byteCount
        case .packed(let literal, let packing): packing.elementCount * literal.dtype.byteCount
        }
    }

    /// Bytes that are laid out at a time.
    private static let pieceBytes = 4 << 20

    /// Calls the body with the bytes, in order, in one piece or in several.
    func forEachPiece(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        switch self {
        case .literal(let literal):
            try literal.withUnsafeBytes(body)
            literal.forget()
        case .packed(let literal, let packing):
            defer { literal.forget() }
            let panelBytes = packing.panelCount * literal.dtype.byteCount
            let step = max(1, Self.pieceBytes / max(panelBytes, 1))
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: min(step, packing.panels) * panelBytes, alignment: 64)
            defer { memory.deallocate() }
            for first in stride(from: 0, to: packing.panels, by: step) {
                let panels = first..<min(first + step, packing.panels)
                packing.pack(literal, panels: panels, into: memory)
                try body(UnsafeRawBufferPointer(rebasing: memory[..<(panels.count * panelBytes)]))
            }
        }
    }
}

extension Buffer {
    var isConstant: Bool {
        switch storage {
        case .constant, .packed: true
        case .input, .output, .status, .arena: false
        }
    }
}
