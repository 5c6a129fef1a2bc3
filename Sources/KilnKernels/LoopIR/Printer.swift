// Prints programs of the loop IR. `Program.parse` reads the text back to an equal program.

import KilnIR

extension Program: CustomStringConvertible {
    public var description: String { description(literalsAtMost: .max) }

    /// The same; of constants of more bytes only how many they are, which can't be read back.
    public func description(literalsAtMost most: Int) -> String {
        var printer = ProgramPrinter(self)
        printer.printAll(literalsAtMost: most)
        return printer.lines.joined(separator: "\n") + "\n"
    }
}

extension Kernel {
    /// The kernel's text, with the names of the program's buffers.
    public func description(in program: Program) -> String {
        var printer = ProgramPrinter(program)
        printer.print(self, name: "@\(name.asName)", indent: 0)
        return printer.lines.joined(separator: "\n") + "\n"
    }
}

/// Writes a program line by line; what is broken prints with question marks, for the verifier's messages.
package struct ProgramPrinter {
    let program: Program
    private(set) var lines: [String] = []
    private let bufferNames: [String]
    private let kernelNames: [String]

    package init(_ program: Program) {
        self.program = program
        bufferNames = Self.references(program.buffers.map(\.name))
        kernelNames = Self.references(program.kernels.map(\.name))
    }

    /// `@name`, and `@name#3` for number 3 where an earlier one has the name.
    private static func references(_ names: [String]) -> [String] {
        var taken: Set<String> = []
        return names.enumerated().map { "@\($1.asName)" + (taken.insert($1).inserted ? "" : "#\($0)") }
    }

    /// Sizes and strides in turn.
    private static func text(_ axes: [Packing.Axis]) -> String { "[\(axes.map { "\($0.size), \($0.stride)" }.joined(separator: ", "))]" }

    func buffer(_ number: Int) -> String { bufferNames.indices.contains(number) ? bufferNames[number] : "@?\(number)" }
    private func kernel(_ number: Int) -> String { kernelNames.indices.contains(number) ? kernelNames[number] : "@?\(number)" }
    private mutating func line(_ indent: Int, _ text: String) { lines.append(String(repeating: "  ", count: indent) + text) }

    mutating func printAll(literalsAtMost: Int) {
        let symbols = program.symbols.map(\.asName).joined(separator: ", ")
        let sizes = program.dataDependent.map { "\($0.name.asName): \($0.bound)" }.joined(separator: ", ")
        let dataDependent = sizes.isEmpty ? "" : " data_dependent (\(sizes))"
        line(0, "program @\(program.name.asName)(\(symbols))\(dataDependent) arena \(program.arenaSize) workspace \(program.workspaceSize) {")
        for (number, buffer) in program.buffers.enumerated() {
            let declaration = "\(bufferNames[number]): \(buffer.type)"
            switch buffer.storage {
            case .input(let position): line(1, "input \(position) \(declaration)")
            case .output(let position): line(1, "output \(position) \(declaration)")
            case .status(let check):
                line(1, "status \(declaration) = \(check.operation.quoted) axis \(check.axis) of \(check.size)\(check.countsFromEnd ? " from end" : "")"
                    + check.location.suffix)
            case .arena(let offset): line(1, "arena \(declaration) at \(offset)")
            case .constant(let literal): line(1, "constant \(declaration) = \(literal.description(atMost: literalsAtMost))")
            case .packed(let packing):
                line(1, "packed \(declaration) = \(self.buffer(packing.source)) from \(packing.offset) outer \(Self.text(packing.outer)) "
                    + "across \(Self.text(packing.across)) by \(packing.tile) depth \(Self.text(packing.depth))")
            }
        }
        for (number, kernel) in program.kernels.enumerated() { print(kernel, name: kernelNames[number], indent: 1) }
        line(1, "run {")
        print(program.steps, indent: 2)
        line(1, "}")
        line(0, "}")
    }

    private mutating func print(_ steps: [Step], indent: Int) {
        for step in steps {
            switch step {
            case .launch(let number): line(indent, "launch \(kernel(number))")
            case .copy(let source, let target): line(indent, "copy \(buffer(source)) to \(buffer(target))")
            case .exchange(let one, let other): line(indent, "exchange \(buffer(one)) with \(buffer(other))")
            case .measure(let symbol, let source, let limit): line(indent, "measure \(symbol.asName) from \(buffer(source)) limit \(limit)")
            case .check(let condition, let message): line(indent, "check \(text(condition)) else \(message.quoted)")
            case .branch(let condition, let then, let otherwise):
                line(indent, "if \(buffer(condition)) {")
                print(then, indent: indent + 1)
                line(indent, "} else {")
                print(otherwise, indent: indent + 1)
                line(indent, "}")
            case .loop(let test, let condition, let body):
                line(indent, "test {")
                print(test, indent: indent + 1)
                line(indent, "} while \(buffer(condition)) {")
                print(body, indent: indent + 1)
                line(indent, "}")
            }
        }
    }

    mutating func print(_ kernel: Kernel, name: String, indent: Int) {
        line(indent, "kernel \(name)\(kernel.location.suffix) {")
        for launch in kernel.launches {
            let threadBlock = launch.threadBlock.map { " block d\($0.variable) of \($0.threads) resident \($0.resident)" } ?? ""
            line(indent + 1, "parallel d\(launch.variable) < \(launch.workItems) work \(launch.work)\(threadBlock) {")
            for map in launch.maps { line(indent + 2, text(map)) }
            print(launch.body, indent: indent + 2)
            line(indent + 1, "}")
        }
        line(indent, "}")
    }

    private mutating func print(_ statements: [Statement], indent: Int) {
        for statement in statements { print(statement, indent: indent) }
    }

    private mutating func print(_ statement: Statement, indent: Int) {
        switch statement {
        case .loop(let loop):
            let kind = loop.kind == .serial ? "" : "\(loop.kind.rawValue) "
            let step = loop.step == 1 ? "" : " step \(loop.step)"
            line(indent, "for \(kind)d\(loop.variable) in \(loop.lower) ..< \(loop.upper)\(step) {")
            print(loop.body, indent: indent + 1)
            line(indent, "}")
        case .lanes(let variable, let width, let count, let body):
            line(indent, "lanes d\(variable) < \(count) of \(width) {")
            print(body, indent: indent + 1)
            line(indent, "}")
        case .branch(let conditions, let then, let otherwise):
            line(indent, "if \(text(conditions)) {")
            print(then, indent: indent + 1)
            if !otherwise.isEmpty {
                line(indent, "} else {")
                print(otherwise, indent: indent + 1)
            }
            line(indent, "}")
        case .local, .define, .bind, .store, .prefetch, .transpose, .atomic, .threadBlock: line(indent, text(statement))
        }
    }

    /// The text of a statement without a body, or of the head of one with a body.
    package func text(_ statement: Statement) -> String {
        switch statement {
        case .local(let local):
            let declaration = "local $\(local.id): \(local.dtype)[\(local.count)]"
            switch local.storage {
            case .stack: return declaration
            case .workspace(let offset): return "\(declaration) at \(offset)"
            case .shared(let offset): return "\(declaration) shared \(offset)"
            }
        case .define(let number, let instruction): return "%\(number) = \(text(instruction))"
        case .bind(let variable, let value): return "bind d\(variable) = %\(value)"
        case .store(let access, let value, let streaming): return "store \(streaming ? "stream " : "")\(text(access)) = %\(value)"
        case .prefetch(let access): return "prefetch \(text(access))"
        case .transpose(let t):
            return "transpose \(t.rows) by \(t.width) \(text(t.source)) pitch \(t.sourcePitch) to \(text(t.target)) pitch \(t.targetPitch)"
        case .atomic(let kind, let access, let value): return "atomic \(kind.rawValue) \(text(access)) = %\(value)"
        case .threadBlock(let operation): return "block \(text(operation))"
        case .loop(let loop): return "for d\(loop.variable) in \(loop.lower) ..< \(loop.upper)"
        case .lanes(let variable, let width, let count, _): return "lanes d\(variable) < \(count) of \(width)"
        case .branch(let conditions, _, _): return "if \(text(conditions))"
        }
    }

    private func text(_ instruction: Instruction) -> String {
        switch instruction {
        case .constant(let scalar, let dtype): "constant \(dtype) \(scalar)"
        case .position(let dim): "position \(dim)"
        case .load(let access, let fill): "load \(text(access))" + (access.conditions.isEmpty && fill == 0 ? "" : " else \(fill)")
        case .apply(let function, let values, let dtype):
            "\(function.rawValue) \(dtype)" + (values.isEmpty ? "" : " ") + values.map { "%\($0)" }.joined(separator: ", ")
        case .holds(let conditions): "holds \(text(conditions))"
        case .reduceLanes(let kind, let memory, let address, let width):
            "reduce_lanes \(kind.rawValue) \(text(memory))[\(address)] of \(width)"
        case .shuffle(let value, let shuffle): "shuffle %\(value) \(text(shuffle))"
        case .vote(let vote, let value): "vote \(vote.rawValue) %\(value)"
        }
    }

    private func text(_ memory: Memory) -> String {
        switch memory {
        case .buffer(let number): buffer(number)
        case .local(let id): "$\(id)"
        }
    }

    func text(_ access: Access) -> String {
        "\(text(access.memory))[\(access.address)]" + (access.conditions.isEmpty ? "" : " where \(text(access.conditions))")
    }

    private func text(_ conditions: [IndexCondition]) -> String { "(\(conditions.map(text).joined(separator: ", ")))" }

    private func text(_ condition: IndexCondition) -> String {
        switch condition {
        case .isNonNegative(let dim): "\(dim) >= 0"
        case .isZero(let dim): "\(dim) == 0"
        }
    }
}
