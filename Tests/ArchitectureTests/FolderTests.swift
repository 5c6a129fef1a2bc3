// The rooms of each target: which of its folders may use the types of which, read from the sources' text.

import Testing

struct FolderTests {
    /// The folders of each target from the bottom up: a file may use types that are declared in its own folder or in one before it.
    private static let floors: [String: [String]] = [
        "KilnIR": ["Scalars", "Tensors", "Graph", "Text"],
        "KilnOps": ["Scalars", "Elementwise", "Structural", "Spellings", "Catalogue", "Interpreter"],
        "KilnKernels": ["Targets", "LoopIR", "Maths", "Memory", "Lowering", "Schedules"],
        "KilnLLVM": ["Module", "Functions", "Constants", "Kernels", "Plan", "Entry", "Artifacts"],
    ]

    /// A type that a file declares at its outermost level for others to see.
    private static func declaration(_ line: String) -> String? {
        guard let match = line.firstMatch(of: #/^((?:[a-z]+ )*)(?:struct|class|enum|protocol|actor|typealias) (\w+)/#) else { return nil }
        return match.1.contains("private") ? nil : String(match.2)
    }

    /// The words of a line that may be types, without those in strings and behind a dot.
    private static func words(_ line: String) -> [String] {
        line.replacing(#/"[^"]*"/#, with: "").matches(of: #/(^|[^.\w])([A-Z]\w*)/#).map { String($0.2) }
    }

    @Test(arguments: floors.keys.sorted()) func foldersUseWhatIsBelowThem(_ target: String) throws {
        let floors = try #require(Self.floors[target])
        let files = try Checkout.sources().filter { $0.target == target }
        func folder(_ file: SourceFile) -> String { file.path.split(separator: "/").count > 1 ? String(file.path.split(separator: "/")[0]) : "" }
        for file in files where !floors.contains(folder(file)) {
            Issue.record("\(target)/\(file.path) lies in no folder of the target: \(floors.joined(separator: ", "))")
        }
        // A name that is declared twice is looked up by the compiler, and tells nothing here.
        var homes: [String: Set<String>] = [:]
        for file in files { for line in file.lines { if let name = Self.declaration(line) { homes[name, default: []].insert(folder(file)) } } }
        var uses = 0
        for file in files {
            guard let floor = floors.firstIndex(of: folder(file)) else { continue }
            for (number, line) in file.code {
                for word in Self.words(line) {
                    guard let home = homes[word], home.count == 1, let below = floors.firstIndex(of: home.first!) else { continue }
                    uses += 1
                    #expect(below <= floor, "\(target)/\(file.path):\(number) uses \(word) of \(home.first!), which stands above")
                }
            }
        }
        print("\(target): \(uses) uses of \(homes.count) types in \(files.count) files on \(floors.count) floors")
        #expect(uses > 100)
    }
}
