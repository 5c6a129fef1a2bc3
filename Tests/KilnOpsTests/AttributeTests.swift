// Attributes that rules read by name: none is misspelt, and an op that lacks one it needs is refused, so that no default stands in for it.

import Foundation
import KilnIR
import KilnOps
import Testing

@Suite struct AttributeTests {
    /// An integer or a list that is left out would read as 0 or as nothing.
    @Test func whatIsNeededIsDemanded() {
        var left = 0
        for op in Catalogue.all {
            guard let sample = op.dtypes.lazy.compactMap({ op.samples($0).first }).first else { continue }
            for (name, value) in sample.attributes.entries {
                switch value {
                case .int, .ints, .dims, .dtype, .literal: break
                case .bool, .string, .scalar: continue
                }
                var attributes = sample.attributes
                attributes[name] = nil
                let context = OpContext(op: op, operands: sample.operands, attributes: attributes, regions: sample.regions)
                #expect(throws: ShapeError.self, "\(op.name) without \(name)") { try op.infer(context) }
                left += 1
            }
        }
        print("attributes left out: \(left)")
        #expect(left > 60)
    }

    @Test func namesAreDeclared() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        // Beside the catalogue's, those of the op that stands for a mistake.
        let declared = Set(Catalogue.all.flatMap(\.attributeNames)).union(["op", "problem", "fix"])
        var reads = 0
        for target in ["KilnOps", "KilnPasses"] {
            let folder = root.appendingPathComponent("Sources/\(target)")
            for path in FileManager.default.enumerator(atPath: folder.path)?.compactMap({ $0 as? String }) ?? [] where path.hasSuffix(".swift") {
                let text = try String(contentsOf: folder.appendingPathComponent(path), encoding: .utf8)
                for match in text.matches(of: #/attributes(?:\.\w+\(|\[)"(\w+)"/#) {
                    reads += 1
                    #expect(declared.contains(String(match.1)), "\(target)/\(path) reads `\(match.1)`, which no op declares")
                }
            }
        }
        print("attributes read: \(reads)")
        #expect(reads > 80)
    }
}
