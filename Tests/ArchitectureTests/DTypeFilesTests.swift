// What a new dtype touches: the files that name the newest one, against the list at the head of DType's declaration.

import Testing

struct DTypeFilesTests {
    @Test func theFilesThatADTypeTouchesAreListed() throws {
        let declaration = "Sources/KilnIR/Scalars/DType.swift"
        let list = try Checkout.text(declaration).split(separator: "\n").prefix { $0.hasPrefix("//") }.joined(separator: "\n")
        let runtime = ["Runtime/include/kiln_types.h", "Runtime/program/dims.c", "Runtime/cuda/cuda_module.c"]
        let sources = try Checkout.sources().map { file in (path: "Sources/\(file.target)/\(file.path)", code: file.code.map(\.text)) }
        let headers = try runtime.map { (path: $0, code: try Checkout.text($0).split(separator: "\n").map(String.init)) }
        var files = 0
        for (path, code) in sources + headers where path != declaration && !path.hasSuffix(".pb.swift") {
            guard code.contains(where: { $0.split(separator: "//")[0].firstMatch(of: #/(?i)f(?:loat)?8e5m2/#) != nil }) else { continue }
            files += 1
            let name = path.split(separator: "/").last.map { $0.hasSuffix(".swift") ? $0.dropLast(6) : $0[...] } ?? ""
            #expect(list.contains(name), "\(path) names a dtype, and is missing in the list at the head of \(declaration)")
        }
        print("a new dtype touches at most \(files + 1) files")
        #expect(files > 5 && files < 22)
    }
}
