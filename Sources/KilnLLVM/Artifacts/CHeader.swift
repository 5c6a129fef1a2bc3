// A model's C header: all that a C or C++ program needs beside the shared object, with the model's types in comments.

import KilnIR
import KilnKernels

public enum CHeader {
    /// The text of NAME.h.
    public static func text(for program: Program) -> String {
        let name = program.name
        let guardName = name.uppercased() + "_H"
        var text = """
            // The model \(name), compiled by Kiln. Link with lib\(name).so, or load it with dlopen.
            //

            """
        text += list("inputs", program.arguments { if case .input(let i) = $0 { i } else { nil } })
        text += list("outputs", program.arguments { if case .output(let i) = $0 { i } else { nil } })
        if !program.symbols.isEmpty {
            text += "// symbols: \(program.symbols.map(comment).joined(separator: ", ")) (sizes that each call takes from the shapes of its inputs)\n"
        }
        if !program.dataDependent.isEmpty {
            text += "// data-dependent: \(program.dataDependent.map { comment("\($0.name) (at most \($0.bound))") }.joined(separator: ", ")) (sizes that depend on the inputs' elements)\n"
        }
        text += example(program)
        text += "#ifndef \(guardName)\n#define \(guardName)\n\n#include <stddef.h>\n#include <stdint.h>\n\n"
        text += RuntimeObjects.types + "\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\nstruct kiln_program_info;\n\n"
        for function in ExportedFunction.all {
            let parameters = function.parameters.map { declaration($0.type, $0.name) }.joined(separator: ", ")
            text += "/// \(function.comment)\n\(declaration(function.result, "\(name)_\(function.suffix)"))(\(parameters.isEmpty ? "void" : parameters));\n\n"
        }
        text += "/// The model's table, for Kiln's own runtime (kiln.h).\nconst struct kiln_program_info *\(name)_info(void);\n\n"
        return text + "#ifdef __cplusplus\n}\n#endif\n\n#endif\n"
    }

    private static func declaration(_ type: CType, _ name: String) -> String {
        type.rawValue.hasSuffix("*") ? type.rawValue + name : "\(type.rawValue) \(name)"
    }

    private static func list(_ title: String, _ buffers: [Buffer]) -> String {
        buffers.enumerated().map { "// \(title)[\($0.offset)]: \(comment($0.element.name)): \(comment("\($0.element.type)"))\n" }.joined()
    }

    /// A text of the model's as it may stand in a comment: on one line, with nothing in it that a compiler or a reader takes for something else.
    static func comment(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar.properties.generalCategory {
            // A backslash, or ??/ which is one, at a line's end would join the next line to the comment.
            case _ where scalar == "\\" || (scalar == "?" && result.hasSuffix("?")): result += "\\u{\(String(scalar.value, radix: 16))}"
            case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator:
                result += "\\u{\(String(scalar.value, radix: 16))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// A call with this model's own ranks and sizes.
    private static func example(_ program: Program) -> String {
        let inputs = program.arguments { if case .input(let i) = $0 { i } else { nil } }
        let outputs = program.arguments { if case .output(let i) = $0 { i } else { nil } }
        // Some size for each symbol, so that sizes which are computed from them are numbers too.
        let sizes = Dictionary(uniqueKeysWithValues: program.symbols.map { ($0, 8) })
        let bounds = Dictionary(uniqueKeysWithValues: program.dataDependent.map { ($0.name, $0.bound.evaluate(symbols: sizes) ?? 8) })
        let values = sizes.merging(bounds) { size, _ in size }
        var text = "//\n"
        if !program.allSymbols.isEmpty { text += "// With \(program.allSymbols.map { "\(comment($0)) = \(values[$0] ?? 8)" }.joined(separator: ", ")):\n//\n" }
        text += tensors("inputs", inputs, values) + tensors("outputs", outputs, values)
        let first = inputs.isEmpty ? "NULL" : "inputs", second = outputs.isEmpty ? "NULL" : "outputs"
        return text + """
            //     if (\(program.name)_run(\(first), \(inputs.count), \(second), \(outputs.count)) != KILN_OK) puts(\(program.name)_last_error());
            //
            \(dataDependentExample(program))// Every function may be called from any thread. The library may be unloaded while no call is running.

            """
    }

    /// `kiln_tensor inputs[2] = {…};` with data, dtype, rank and shape of the first few.
    private static func tensors(_ name: String, _ buffers: [Buffer], _ symbols: [String: Int]) -> String {
        let shown = 4
        if buffers.isEmpty { return "" }
        let lines = buffers.prefix(shown).enumerated().map { number, buffer in
            let type = buffer.type
            let sizes = type.shape.map { $0.evaluate(symbols: symbols).map(String.init) ?? "?" }.joined(separator: ", ")
            let shape = type.rank == 0 ? "NULL" : "(const int64_t[]){\(sizes)}"
            return "//       {\(name == "inputs" ? "x" : "y")\(number), KILN_\("\(type.dtype)".uppercased()), \(type.rank), \(shape)},   // \(comment(buffer.name))\n"
        }
        return "//     kiln_tensor \(name)[\(buffers.count)] = {   // data, dtype, rank, shape\n" + lines.joined()
            + (buffers.count > shown ? "//       …\n" : "") + "//     };\n"
    }

    /// How to find out the sizes that depend on the inputs' elements.
    private static func dataDependentExample(_ program: Program) -> String {
        if program.dataDependent.isEmpty { return "" }
        return """
            // Outputs have room for the most that there can be, \(program.name)_output_shape. What there is comes first in them, with the shape
            // that the values of all symbols give:
            //
            //     int64_t symbols[\(program.allSymbols.count)], shape[\(max(program.arguments { if case .output(let i) = $0 { i } else { nil } }.map(\.type.rank).max() ?? 1, 1))];
            //     \(program.name)_run_data_dependent(inputs, \(program.arguments { if case .input(let i) = $0 { i } else { nil } }.count), outputs, \(program.arguments { if case .output(let i) = $0 { i } else { nil } }.count), symbols);
            //     \(program.name)_output_shape_for_symbols(symbols, 0, shape);
            //

            """
    }
}

extension Program {
    /// The buffers that are arguments of a kind, by their numbers.
    func arguments(_ number: (Buffer.Storage) -> Int?) -> [Buffer] {
        buffers.compactMap { buffer in number(buffer.storage).map { (number: $0, buffer: buffer) } }
            .sorted { $0.number < $1.number }
            .map(\.buffer)
    }
}
