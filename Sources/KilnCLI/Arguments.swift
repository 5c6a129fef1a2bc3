// Everything that the command line and the environment can say, in one place; subcommands take what they need of it.
// The environment's KILN_NUM_THREADS is the runtime's default for `--threads`, and read there; KILN_CACHE is the compiler's.
import ArgumentParser
import Kiln
import KilnCompiler
import KilnExecution
import KilnIR
import KilnLLVM
import KilnPasses

/// The model that a subcommand works on.
struct ModelArguments: ParsableArguments {
    @Argument(help: "The model: a .kiln or .onnx file, or - for a graph's text on standard input.")
    var model: String

    @Option(help: ArgumentHelp("The value of an input that decides shapes, which becomes part of the code: integers, or an .npy file.",
                               valueName: "name=2,3"))
    var value: [ValueArgument] = []

    func load() throws -> Graph { try load(inputs: [:]).graph }

    /// The files that hold given values.
    var valueFiles: [String] { value.map(\.text).filter { $0.hasSuffix(".npy") } }

    /// - Parameters:
    ///   - inputs: arrays by name that may be asked for their values.
    ///   - innerValues: values inside the model that are outputs too.
    func load(inputs: [String: Literal], innerValues: [String] = []) throws -> LoadedModel {
        let values = try Dictionary(value.map { ($0.name, try $0.literal()) }, uniquingKeysWith: { _, last in last })
        return try ModelFile.load(model, ModelRequest(values: values, inputs: inputs, innerValues: innerValues))
    }
}

/// What code is made for.
struct TargetArguments: ParsableArguments {
    @Option(help: "The processor to compile for: \(HostTarget.names.joined(separator: ", ")).")
    var target = "host"

    @Flag(help: "Verify after every step.")
    var verify = false

    @Flag(inversion: .prefixedNo, help: "Whether a call fails where an index is out of range.")
    var indexChecks = true

    @Flag(help: "Make all code anew, and keep none; KILN_CACHE=off says the same.")
    var noCache = false

    func options() throws -> Options {
        guard let processor = HostTarget.named(target) else {
            throw CompileError("--target", "there is no target '\(target)'", fix: "choose from \(HostTarget.names.joined(separator: ", "))")
        }
        var options = Options(target: processor, verifies: verify, checksIndices: indexChecks)
        if noCache { options.cache = nil }
        return options
    }

    /// The same for a device on which a model is to run.
    func options(for device: Device) throws -> Options {
        if device == .cpu { return try options() }
        guard target == "host" else {
            throw CompileError("--target", "'\(target)' is a processor, and the model is to run on \(device)", fix: "leave --target out")
        }
        var options = try device.options()
        options.verifies = verify
        options.checksIndices = indexChecks
        if noCache { options.cache = nil }
        return options
    }
}

/// Which GPUs a library has code for.
struct GPUArguments: ParsableArguments {
    @Option(help: ArgumentHelp("GPUs to add code for, separated by commas: \(GPU.all.map(\.name).joined(separator: ", ")). "
                + "Machine code comes beside PTX where ptxas is on the path.", valueName: "a,b"))
    var gpu: String?

    func gpus() throws -> [GPU] { try (gpu ?? "").split(separator: ",").map { try Self.named(String($0)) } }

    static func named(_ name: String) throws -> GPU {
        guard let gpu = GPU(name: name) else {
            throw CompileError("--gpu", "there is no GPU '\(name)'", fix: "choose from \(GPU.all.map(\.name).joined(separator: ", "))")
        }
        return gpu
    }
}

/// Where a model runs.
struct DeviceArguments: ParsableArguments {
    @Option(help: ArgumentHelp("Where to run: cpu, gpu, gpu:1 for another one, or emulated or emulated:sm_90a for a grid on the processor.",
                               valueName: "device"))
    var device = "cpu"

    func chosen() throws -> Device {
        let parts = device.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        switch (parts[0], parts.dropFirst().first) {
        case ("cpu", nil): return .cpu
        case ("gpu", nil): return .gpu
        case ("gpu", let number?): if let index = Int(number), index >= 0 { return .gpu(index) }
        case ("emulated", nil): return .emulatedGPU
        case ("emulated", let name?): return .emulatedGPU(try GPUArguments.named(name))
        default: break
        }
        throw CompileError("--device", "there is no device '\(device)'", fix: "choose from cpu, gpu, gpu:1, emulated, emulated:sm_90a")
    }
}

/// How many threads a call uses.
struct ThreadArguments: ParsableArguments {
    @Option(help: "Threads of a call; 0 for KILN_NUM_THREADS, or else all that the process may use.")
    var threads = 0

    func apply() throws {
        guard threads >= 0 else { throw CompileError("--threads", "\(threads) is no number of threads", fix: "give 0 or more") }
        if threads > 0 { try Threads.set(threads) }
    }
}

/// The names of a library's files and functions.
struct LibraryArguments: ParsableArguments {
    @Option(name: [.short, .long], help: "The shared object to write.")
    var output: String

    @Option(help: "The C header to write.")
    var header: String?

    @Option(help: "What the C functions' names begin with; the graph's name if left out.")
    var name: String?
}

/// The tensors of a run.
struct DataArguments: ParsableArguments {
    @OptionGroup var input: InputArguments

    @Option(help: "Where to write the outputs by name, as an .npz file; printed if left out.")
    var outputs: String?

    @Flag(help: "Run the graph by its definition, slowly, instead of compiling it.")
    var interpret = false
}

/// A stage of compilation that can be printed.
enum Stage: String, CaseIterable, ExpressibleByArgument {
    case graph, groups, loops, llvm, asm, ptx
}

/// What to print of a model.
struct StageArguments: ParsableArguments {
    @Option(help: ArgumentHelp("The stage to print: graph, groups, loops, llvm, asm or ptx.", valueName: "stage"))
    var stage: Stage

    @Option(help: "Only the kernel of this name, as the stage `loops` has it.")
    var kernel: String?

    @Flag(help: "Print long constants too, so that the text can be read back.")
    var full = false

    @Option(help: "Print what is made for a GPU: \(GPU.all.map(\.name).joined(separator: ", ")); sm_80 for the stage ptx if left out.")
    var gpu: String?

    /// Bytes of the longest constant that is printed.
    var longest: Int { full ? .max : 4096 }

    /// The GPU whose stages are printed; nil for the processor's.
    func chosenGPU() throws -> GPU? {
        guard let gpu else { return stage == .ptx ? .sm80 : nil }
        if stage == .asm { throw CompileError("--stage asm", "a GPU's machine code is not printed", fix: "print --stage ptx") }
        return try GPUArguments.named(gpu)
    }
}

/// The passes to run.
struct PassArguments: ParsableArguments {
    @Option(help: ArgumentHelp("Passes in order, separated by commas: \(Passes.all.map(\.name).joined(separator: ", ")).", valueName: "a,b,c"))
    var run: String

    @Flag(help: "Print the graph after each pass on standard error.")
    var verbose = false
}

/// A symbol's value, written `batch=64`.
struct SizeArgument: ExpressibleByArgument {
    let name: String
    private let text: String

    init?(argument: String) {
        let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        (name, text) = (parts[0], parts.count == 2 ? parts[1] : "")
    }

    func size() throws -> Int {
        guard !name.isEmpty, let size = Int(text), size >= 0 else {
            throw CompileError("--size \(name)", text.isEmpty ? "gives no size" : "'\(text)' is no size", fix: "write SYMBOL=NUMBER with a whole number of at least 0")
        }
        return size
    }
}

/// An input's value, written `axes=0,1`, `k=5` (a number of no axes) or `shape=shape.npy`.
struct ValueArgument: ExpressibleByArgument {
    let name: String
    let text: String

    init?(argument: String) {
        let parts = argument.split(separator: "=", maxSplits: 1)
        guard parts.count == 2 else { return nil }
        (name, text) = (String(parts[0]), String(parts[1]))
    }

    func literal() throws -> Literal {
        if text.hasSuffix(".npy") { return try NPY.read(text) }
        let numbers = text.split(separator: ",").compactMap { Int64($0) }
        guard numbers.count == text.split(separator: ",", omittingEmptySubsequences: false).count else {
            throw CompileError("--value \(name)", "'\(text)' is no list of integers", fix: "write \(name)=2,3, or name an .npy file")
        }
        return Literal(.i64, text.contains(",") ? [numbers.count] : [], scalars: numbers.map { .integer($0) })
    }
}

/// How a model is measured.
struct MeasureArguments: ParsableArguments {
    @Option(help: ArgumentHelp("The size of a symbol, for each symbol of the model.", valueName: "symbol=size"))
    var size: [SizeArgument] = []

    @Option(help: "Seconds to measure for.")
    var seconds = 1.0

    @Flag(help: "Print one line of JSON.")
    var json = false
}
