// The functions that a shared object exports for its model: one table, from which the wrappers and the C header are both made.

/// A type in the C interface.
enum CType: String {
    case status = "kiln_status"
    case int32 = "int32_t"
    case int64 = "int64_t"
    case size = "size_t"
    case text = "const char *"
    case buffer = "char *"
    case int64Pointer = "int64_t *"
    case constInt64Pointer = "const int64_t *"
    case tensors = "const kiln_tensor *"
    case parallel = "kiln_parallel"
    case place = "kiln_place"
    case anyPointer = "void *"
}

/// `NAME_suffix(…)`, which calls `kiln_suffix(program, …)`, or `kiln_suffix(…)` where the program does not matter.
struct ExportedFunction {
    let suffix: String
    let result: CType
    let parameters: [(type: CType, name: String)]
    let takesProgram: Bool
    let comment: String

    private init(_ suffix: String, _ result: CType, _ parameters: [(CType, String)], takesProgram: Bool = true, _ comment: String) {
        self.suffix = suffix
        self.result = result
        self.parameters = parameters.map { (type: $0.0, name: $0.1) }
        self.takesProgram = takesProgram
        self.comment = comment
    }

    private static let index: [(CType, String)] = [(.int64, "index")]
    private static let typeText: [(CType, String)] = [(.int64, "index"), (.buffer, "text"), (.size, "capacity")]

    static let all: [ExportedFunction] = [
        ExportedFunction("run", .status,
            [(.tensors, "inputs"), (.int64, "input_count"), (.tensors, "outputs"), (.int64, "output_count")],
            "Checks every argument and runs the model. Nothing is written unless all arguments are right. Outputs must not overlap."),
        ExportedFunction("run_data_dependent", .status,
            [(.tensors, "inputs"), (.int64, "input_count"), (.tensors, "outputs"), (.int64, "output_count"), (.int64Pointer, "symbols_out")],
            "The same, and writes the value of every symbol, those included that depend on the inputs' elements."),
        ExportedFunction("output_shape", .status,
            [(.tensors, "inputs"), (.int64, "input_count"), (.int64, "index"), (.int64Pointer, "shape_out")],
            "Writes the sizes of an output for inputs of these types; their data may be null. Where they depend on the inputs' elements, the most\n"
                + "/// that they can be."),
        ExportedFunction("output_shape_for_symbols", .status,
            [(.constInt64Pointer, "symbols"), (.int64, "index"), (.int64Pointer, "shape_out")],
            "Writes the sizes of an output for these values of the symbols."),
        ExportedFunction("bind", .status, [(.tensors, "inputs"), (.int64, "input_count"), (.int64Pointer, "symbols_out")],
            "Writes the value of every symbol for inputs of these types; their data may be null. A symbol that depends on the inputs' elements\n"
                + "/// is the most that it can be."),
        ExportedFunction("peak_memory", .status, [(.constInt64Pointer, "symbols"), (.int64Pointer, "bytes_out")],
            "Writes the bytes that a call with these symbols takes beyond its inputs and outputs."),
        ExportedFunction("check", .status, [],
            "Whether this processor can run the model: KILN_UNSUPPORTED_CPU, with a text that names what is missing, where it lacks instructions."),
        ExportedFunction("processor", .text, [], "What the model was compiled for, such as \"x86-64-v3\"."),
        ExportedFunction("cpu_features", .int64, [(.buffer, "text"), (.size, "capacity")],
            "Writes the extensions of the processor that the model uses, such as \"avx2, fma\", as snprintf would."),
        ExportedFunction("input_count", .int64, [], "The number of inputs."),
        ExportedFunction("output_count", .int64, [], "The number of outputs."),
        ExportedFunction("symbol_count", .int64, [], "The number of sizes that are known at run time only."),
        ExportedFunction("input_name", .text, index, "An input's name; null for an index out of range."),
        ExportedFunction("output_name", .text, index, "An output's name; null for an index out of range."),
        ExportedFunction("symbol_name", .text, index, "A symbol's name; null for an index out of range."),
        ExportedFunction("input_dtype", .int32, index, "An input's element type; -1 for an index out of range."),
        ExportedFunction("output_dtype", .int32, index, "An output's element type; -1 for an index out of range."),
        ExportedFunction("input_rank", .int32, index, "An input's number of dimensions; -1 for an index out of range."),
        ExportedFunction("output_rank", .int32, index, "An output's number of dimensions; -1 for an index out of range."),
        ExportedFunction("input_type", .int64, typeText, "Writes a type such as \"f32[batch, 784]\" as snprintf would; -1 for an index out of range."),
        ExportedFunction("output_type", .int64, typeText, "Writes a type such as \"f32[batch, 10]\" as snprintf would; -1 for an index out of range."),
        ExportedFunction("last_error", .text, [], takesProgram: false, "Why this thread's latest call that failed did so; \"\" if none did."),
        ExportedFunction("status_name", .text, [(.status, "status")], takesProgram: false, "The status as a word, such as \"wrong shape\"."),
        ExportedFunction("set_threads", .status, [(.int64, "count")], takesProgram: false,
            "How many threads a call may use, the caller's own included; 0 for the default. Results are the same for any number. All libraries of\n"
                + "/// Kiln's in a process share the threads."),
        ExportedFunction("threads", .int64, [], takesProgram: false, "How many threads a call would use now."),
        ExportedFunction("lend_pool", .status, [(.parallel, "parallel"), (.anyPointer, "pool"), (.int64, "workers")], takesProgram: false,
            "Makes calls run on the caller's threads: `parallel` runs the task over all work items, in pieces, never two at once with the same\n"
                + "/// worker index, which is in 0..<workers, and returns when all is done. Null goes back to Kiln's own threads."),
        ExportedFunction("set_place", .status, [(.place, "place")], takesProgram: false,
            "Where the model runs, if it was compiled for GPUs too."),
        ExportedFunction("shutdown", .status, [], takesProgram: false,
            "Ends Kiln's threads and frees all memory that is kept. Everything can be used again afterwards."),
    ]
}
