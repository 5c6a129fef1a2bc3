// What a new form touches: the files that tell forms apart one by one, against the list at the head of Form's declaration.

import Testing

struct FormFilesTests {
    /// Forms that no other form is a part of, as one that is added would be.
    @Test(arguments: ["sort", "scan", "scatter", "attention"]) func theFilesThatAFormTouchesAreListed(_ form: String) throws {
        let declaration = "Sources/KilnIR/Graph/Form.swift"
        let list = try Checkout.text(declaration).split(separator: "\n").prefix { $0.hasPrefix("//") }.joined(separator: "\n")
        let pattern = try Regex("(case|,) (let )?\\.\(form)\\b")
        var files = 0
        for file in try Checkout.sources() where file.target.hasPrefix("Kiln") {
            let path = "Sources/\(file.target)/\(file.path)"
            guard path != declaration, file.code.contains(where: { $0.text.contains(pattern) }) else { continue }
            files += 1
            // A form's own ops and schedules lie where all of them do.
            if file.target == "KilnOps", file.path.hasPrefix("Structural/") { continue }
            if file.target == "KilnKernels", file.path.hasPrefix("Schedules/") { continue }
            let name = file.path.split(separator: "/").last!.dropLast(6)
            #expect(list.contains(name), "\(path) tells the form \(form) from others, and is missing in the list at the head of \(declaration)")
        }
        print("the form \(form) is told from others in \(files) files")
        #expect(files > 3 && files < 9)
    }
}
