// What holds the architecture together: which layer may import which, where ops may be named, and that the same graph is the same bytes.

import Foundation
import KilnCompiler
import KilnIR
import KilnOps
import Testing

struct ArchitectureTests {
    /// Below each target, those that it may import. Whatever is no target of ours (the standard library, Foundation) is not listed.
    private static let arrows: [String: Set<String>] = [
        "KilnIR": [],
        "KilnOps": ["KilnIR"],
        "KilnPasses": ["KilnIR", "KilnOps"],
        "KilnKernels": ["KilnIR", "KilnOps", "KilnPasses"],
        "KilnLLVM": ["KilnIR", "KilnOps", "KilnPasses", "KilnKernels", "CLLVM", "CLLD"],
        "KilnCompiler": ["KilnIR", "KilnOps", "KilnPasses", "KilnKernels", "KilnLLVM"],
        "KilnExecution": ["KilnIR", "KilnRuntime", "KilnEmulator"],
        "Kiln": ["KilnIR", "KilnOps", "KilnPasses", "KilnKernels", "KilnLLVM", "KilnCompiler", "KilnExecution", "CZlib"],
        "KilnONNX": ["Kiln", "KilnIR", "KilnOps", "KilnPasses", "SwiftProtobuf"],
        "KilnCLI": ["Kiln", "KilnONNX", "KilnIR", "KilnOps", "KilnPasses", "KilnKernels", "KilnLLVM", "KilnCompiler", "KilnExecution", "ArgumentParser"],
        "EmbedRuntime": ["PackagePlugin"],
        "EmbedTool": [],
    ]
    /// Of the system and of Swift's toolchain; `Runtime` is Swift's module for backtraces.
    private static let systemModules: Set<String> = ["Foundation", "FoundationEssentials", "Dispatch", "Synchronization", "Runtime", "Glibc", "Musl", "Darwin"]

    @Test func eachLayerImportsOnlyWhatIsBelowIt() throws {
        let sources = try Checkout.sources()
        var imports = 0
        for file in sources {
            guard let allowed = Self.arrows[file.target] else {
                Issue.record("the target \(file.target) has no place among the layers: give it one here and in the architecture")
                continue
            }
            for module in file.imports where !Self.systemModules.contains(module) {
                #expect(allowed.contains(module), "\(file.target)/\(file.path) imports \(module)")
                imports += 1
            }
        }
        print("imports: \(imports) in \(sources.count) files")
        #expect(Set(sources.map(\.target)) == Set(Self.arrows.keys))
        #expect(imports > 200)
    }

    /// Below each folder of the C runtime, those whose headers its files may include. All may include kiln.h and kiln_abi.h.
    private static let runtimeArrows: [String: Set<String>] = [
        "base": [],
        "memory": ["base"],
        "pool": ["base"],
        "share": ["base", "memory", "pool"],
        "threads": ["base", "memory", "pool", "share"],
        "program": ["base"],
        "devices": ["base", "program"],
        "cuda": ["base", "memory", "pool", "share", "threads", "program", "devices"],
        "run": ["base", "memory", "pool", "share", "threads", "program", "devices", "cuda"],
        "emulator": ["base", "devices"], // by what kiln.h declares
    ]

    @Test func theRuntimesFoldersIncludeOnlyWhatIsBelowThem() throws {
        let folder = Checkout.root.appending(path: "Runtime")
        let paths = try FileManager.default.subpathsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".c") || $0.hasSuffix(".h") }
        var includes = 0
        for path in paths {
            let parts = path.split(separator: "/").map(String.init)
            if parts.contains("include") { continue }
            guard parts.count == 2, let allowed = Self.runtimeArrows[parts[0]] else {
                Issue.record("Runtime/\(path) has no place among the folders: give it one here and in the architecture")
                continue
            }
            let text = try String(contentsOf: folder.appending(path: path), encoding: .utf8)
            for match in text.matches(of: #/#include "([^"]+)"/#) {
                includes += 1
                let included = match.1.split(separator: "/").map(String.init)
                if included.last == "kiln.h" || included.last == "kiln_abi.h" || included.last == "kiln_emulator.h" { continue }
                if included.count == 1 { continue } // of the same folder
                #expect(included.first == ".." && allowed.contains(included[1]), "Runtime/\(path) includes \(match.1)")
            }
        }
        print("includes: \(includes) in \(paths.count) files of the runtime")
        #expect(Set(paths.map { String($0.split(separator: "/")[0]) }) == Set(Self.runtimeArrows.keys).union(["include"]))
        #expect(includes > 50)
    }

    /// A call of another file's function is an arrow too: it leads to a folder that may be included, and back to no file that it comes from.
    @Test func theRuntimesFilesCallOnlyWhatIsBelowThem() throws {
        let folder = Checkout.root.appending(path: "Runtime")
        let paths = try FileManager.default.subpathsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".c") }
        let texts = try Dictionary(uniqueKeysWithValues: paths.map {
            ($0, try String(contentsOf: folder.appending(path: $0), encoding: .utf8).replacing(#/(?m)\/\/.*$/#, with: ""))
        })
        // A definition begins a line.
        var homes: [String: String] = [:]
        for (path, text) in texts {
            for match in text.matches(of: #/(?m)^[a-z][\w *]*?\b(kiln_\w+)\([^;{]*\)\s*\{/#) where !match.0.hasPrefix("static") { homes[String(match.1)] = path }
        }
        var calls = 0
        var arrows: [String: Set<String>] = [:]
        for (path, text) in texts {
            let own = String(path.split(separator: "/")[0])
            for match in text.matches(of: #/\b(kiln_\w+)\(/#) {
                guard let home = homes[String(match.1)], home != path else { continue }
                calls += 1
                arrows[path, default: []].insert(home)
                let there = String(home.split(separator: "/")[0])
                #expect(there == own || Self.runtimeArrows[own]?.contains(there) == true, "Runtime/\(path) calls \(match.1) of \(home)")
            }
        }
        // What calls nothing that is left is taken away, again and again; what stays is in a circle.
        var left = Set(paths)
        while let free = left.first(where: { arrows[$0, default: []].isDisjoint(with: left) }) { left.remove(free) }
        #expect(left.isEmpty, "in or above a circle of calls: \(left.sorted())")
        print("calls between the runtime's files: \(calls) of \(homes.count) functions")
        #expect(calls > 200 && homes.count > 150)
    }

    /// The C libraries have one importer each.
    @Test(arguments: [("CLLVM", "KilnLLVM"), ("CLLD", "KilnLLVM"), ("KilnRuntime", "KilnExecution"), ("CZlib", "Kiln")])
    func foreignModulesHaveOneImporter(_ module: String, _ importer: String) throws {
        let found = Set(try Checkout.sources().filter { $0.imports.contains(module) }.map(\.target))
        #expect(found == [importer])
    }

    /// What Package.swift declares agrees: a dependency that isn't there can't be imported by accident either.
    @Test func declaredDependenciesFollowTheArrows() throws {
        let manifest = try Checkout.text("Package.swift")
        let pattern = #/\.(?:target|executableTarget)\(name: "(\w+)", dependencies: \[([^\]]*)\]/#
        var declared = 0
        for match in manifest.matches(of: pattern) {
            let target = String(match.1)
            guard let allowed = Self.arrows[target] else { continue }
            for dependency in match.2.matches(of: #/"(\w+)"/#) where dependency.1.hasPrefix("Kiln") || dependency.1.hasPrefix("C") {
                #expect(allowed.contains(String(dependency.1)), "\(target) declares \(dependency.1)")
                declared += 1
            }
        }
        #expect(declared > 15)
        #expect(!manifest.contains("unsafeFlags"), "unsafe flags keep other packages from depending on Kiln")
    }

    /// Which schedules a target has is said in one table; the host's ask no more than that.
    @Test func schedulesAreListedInOneTable() throws {
        let files = try Checkout.sources().filter { $0.target == "KilnKernels" && $0.path.hasPrefix("Schedules/") }
        let table = try #require(files.first { $0.path.hasSuffix("ScheduleTable.swift") }).lines.joined(separator: "\n")
        var schedules = 0
        for file in files {
            for (number, text) in file.code {
                if let match = text.firstMatch(of: #/struct (\w+): Schedule\b/#) {
                    schedules += 1
                    #expect(table.contains("\(match.1).self"), "\(file.path):\(number): the table lacks \(match.1)")
                }
                if !file.path.contains("GPU/"), !file.path.hasSuffix("ScheduleTable.swift") {
                    #expect(!text.contains("target.gpu"), "\(file.path):\(number) asks for a GPU: give the GPU a schedule of its own")
                }
            }
        }
        print("schedules: \(schedules) in \(files.count) files")
        #expect(schedules > 15)
    }

    @Test func thePipelineReadsInOneSitting() throws {
        let lines = try Checkout.text("Sources/KilnCompiler/Pipeline.swift").split(separator: "\n", omittingEmptySubsequences: false).count
        print("Pipeline.swift: \(lines) lines")
        #expect(lines < 150)
    }

    /// Drivers, fusion, schedules and backends switch over forms: no op's name stands in them as a string, but that of the op which fusion
    /// makes, and none of the catalogue's tables is read. Rules are about ops, so they name them.
    @Test func driversNameNoOps() throws {
        let names = Set(Catalogue.all.map(\.name))
        var (files, strings) = (0, 0)
        for file in try Checkout.sources() where ["KilnPasses", "KilnKernels", "KilnLLVM", "KilnCompiler"].contains(file.target) {
            if file.target == "KilnPasses", file.path.hasPrefix("Rules/") { continue }
            files += 1
            for (number, line) in file.code {
                let place = "\(file.target)/\(file.path):\(number)"
                for match in line.matches(of: #/"(\w+)"/#) {
                    strings += 1
                    let word = String(match.1)
                    #expect(!names.contains(word) || word == "group" || Self.otherWords[file.path]?.contains(word) == true, "\(place): \(line)")
                }
                // Patterns of rules read constants, which are two ops.
                if !file.path.hasPrefix("Rewriting/") { #expect(line.firstMatch(of: #/\b(Structural|Elementwise)\.\w/#) == nil, "\(place): \(line)") }
            }
        }
        print("drivers: \(strings) strings in \(files) files")
        #expect(files > 60 && strings > 100)
    }

    /// Words that are an op's name by chance: keywords of the loop IR's text, a label, and an extension of the processor.
    private static let otherWords: [String: Set<String>] = [
        "LoopIR/Parser.swift": ["if", "while"], "LoopIR/Parser+Statements.swift": ["if"], "LoopIR/Parser+ThreadBlock.swift": ["xor"], "Entry/StepEmitter.swift": ["round"],
        "Module/CPUFeatures.swift": ["fma"],
    ]

    /// Files stay small enough to have one subject, and begin by saying what it is.
    @Test func filesBeginWithTheirSubject() throws {
        // What is generated is not read.
        for file in try Checkout.sources() where !file.path.hasSuffix(".pb.swift") {
            #expect(file.lines.count <= 450, "\(file.target)/\(file.path) has \(file.lines.count) lines")
            let first = file.lines.first ?? ""
            #expect(first.hasPrefix("//") || file.path == "Exports.swift" || first.hasPrefix("// swift-tools-version"), "\(file.target)/\(file.path): \(first)")
        }
    }

    // MARK: The same graph, the same bytes

    private static func network() throws -> Graph {
        let builder = GraphBuilder("network")
        let x = builder.input("x", TensorType(.f32, ["batch", 1, 8, 8])), kernel = builder.input("kernel", TensorType(.f32, [4, 1, 3, 3]))
        let w = builder.input("w", TensorType(.f32, [10, 64]))
        let scores = x.conv2d(kernel, padding: 1).relu().maxPool2d(2).flatten(from: 1).linear(w)
        return try builder.finish([("probabilities", scores.softmax(1)), ("best", scores.argmax(1))])
    }

    @Test func theSameGraphGivesTheSameBytes() throws {
        let graph = try Self.network()
        let first = try Pipeline.compile(graph, options: Options(threads: 1))
        for threads in [1, 2, 4] {
            let again = try Pipeline.compile(Graph.parse(graph.description, catalogue: Catalogue.op(named:)), options: Options(threads: threads))
            // Where the lines of the source are known is part of the text, and so is the same.
            #expect(again.program == first.program)
            #expect(again.code.objects == first.code.objects, "with \(threads) threads")
        }
        print("the same bytes: \(first.code.objects.reduce(0) { $0 + $1.count }) in \(first.code.objects.count) objects, 4 times")
        #expect(!first.code.objects.isEmpty)
    }
}
