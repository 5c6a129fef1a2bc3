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
            text += "// symbols: \(program.symbols.joined(separator: ", ")) (sizes that each call takes from the shapes of its inputs)\n"
        }
        if !program.measured.isEmpty {
            text += "// measured: \(program.measured.map { "\($0.name) (at most \($0.bound))" }.joined(separator: ", ")) (sizes that depend on the inputs' elements)\n"
        }
        text += example(program)
        text += "#ifndef \(guardName)\n#define \(guardName)\n\n#include <stddef.h>\n#include <stdint.h>\n\n"
        text += "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n" + sharedTypes
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
        buffers.enumerated().map { "// \(title)[\($0.offset)]: \($0.element.name): \($0.element.type)\n" }.joined()
    }

    private static func example(_ program: Program) -> String {
        """
        //
        //     kiln_tensor input = {data, KILN_F32, 2, (const int64_t[]){32, 784}};   // data, dtype, rank, shape
        //     if (\(program.name)_run(&input, 1, &output, 1) != KILN_OK) puts(\(program.name)_last_error());
        //
        \(measuredExample(program))// Every function may be called from any thread.

        """
    }

    /// How to find out the sizes that depend on the inputs' elements.
    private static func measuredExample(_ program: Program) -> String {
        if program.measured.isEmpty { return "" }
        return """
            // Outputs have room for the most that there can be, \(program.name)_output_shape. What there is comes first in them, with the shape
            // that the values of all symbols give:
            //
            //     int64_t symbols[\(program.allSymbols.count)], shape[\(max(program.arguments { if case .output(let i) = $0 { i } else { nil } }.map(\.type.rank).max() ?? 1, 1))];
            //     \(program.name)_run_measured(&input, 1, &output, 1, symbols);
            //     \(program.name)_output_shape_for_symbols(symbols, 0, shape);
            //

            """
    }

    /// The codes of element types, which are part of the ABI.
    private static let dtypes = DType.allCases.map { "KILN_\($0.name.uppercased()) = \($0.rawValue),\(note($0))" }.joined(separator: "\n          ")

    private static func note(_ dtype: DType) -> String {
        if dtype == .bool { return " ///< one byte, 0 or 1" }
        return dtype.format?.greatest.map { " ///< no infinity, up to \(Int($0))" } ?? ""
    }

    /// What the headers of all models and kiln.h have in common, once in a translation unit.
    private static let sharedTypes = """
        #if !defined(KILN_H) && !defined(KILN_MODEL_TYPES)
        #define KILN_MODEL_TYPES

        /// Element types.
        enum {
          \(dtypes)
        };

        /// How a call ended.
        typedef enum kiln_status {
          KILN_OK = 0,
          KILN_NULL_ARGUMENT = 1,     ///< a pointer that is needed is null
          KILN_INCOMPATIBLE_ABI = 2,  ///< the model was compiled for another runtime
          KILN_WRONG_COUNT = 3,       ///< the number of inputs or outputs
          KILN_WRONG_DTYPE = 4,       ///< a tensor's element type
          KILN_WRONG_RANK = 5,        ///< a tensor's number of dimensions
          KILN_WRONG_SHAPE = 6,       ///< the size of a dimension
          KILN_UNBOUND_SYMBOL = 7,    ///< no input dimension gives a symbol's value
          KILN_EVALUATION_FAILED = 8, ///< a dimension can't be computed
          KILN_MISALIGNED = 9,        ///< data that is not aligned to its element size
          KILN_OVERLAP = 10,          ///< an output's memory overlaps another tensor's
          KILN_CHECK_FAILED = 11,     ///< a run-time check inside the model
          KILN_OUT_OF_MEMORY = 12,
          KILN_OUT_OF_RANGE = 13,     ///< an index or a count argument
          KILN_BUSY = 14,             ///< not possible from inside a running kernel
          KILN_MALFORMED_PROGRAM = 15,
          KILN_NO_DEVICE = 16,        ///< no GPU, no driver, or one that is too old
          KILN_DEVICE_FAILED = 17,    ///< a call of the GPU's driver failed
          KILN_INDEX_OUT_OF_RANGE = 18 ///< an index among the inputs' elements, or made of them
        } kiln_status;

        /// Where models run.
        typedef enum kiln_place {
          KILN_PLACE_AUTOMATIC = 0, ///< as the environment's KILN_DEVICE says ("cpu" or "gpu"); else on a GPU if there is one
          KILN_PLACE_CPU = 1,
          KILN_PLACE_GPU = 2
        } kiln_place;

        /// A tensor: dense, row-major, aligned to its element size.
        typedef struct kiln_tensor {
          void *data;
          int32_t dtype;
          int32_t rank;
          const int64_t *shape;
        } kiln_tensor;

        /// Work on units begin..<end.
        typedef void (*kiln_task)(void *frame, int64_t begin, int64_t end, int64_t worker);
        /// Runs a task over 0..<units; `work` estimates the scalar operations of all units together.
        typedef void (*kiln_parallel)(void *pool, kiln_task task, void *frame, int64_t units, int64_t work);

        #endif

        struct kiln_program_info;


        """
}

extension Program {
    /// The buffers that are arguments of a kind, by their numbers.
    func arguments(_ number: (Buffer.Storage) -> Int?) -> [Buffer] {
        buffers.compactMap { buffer in number(buffer.storage).map { (number: $0, buffer: buffer) } }
            .sorted { $0.number < $1.number }
            .map(\.buffer)
    }
}
