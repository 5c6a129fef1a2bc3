// Operators that compute texts from texts; see `Value+Texts` for what a text is.

import KilnIR
import KilnOps

extension Operators {
    static let texts: [Operator] = [
        Operator("StringConcat", items: { node in [.tensor(ImportedTensor(try node.text(0).followed(by: try node.text(1)), .string))] }),
        Operator("RegexFullMatch") { node in
            let pattern = node.text("pattern", "")
            do { return try node.matches(try node.text(0), ByteAutomaton(pattern)) } catch let error as RegexError {
                throw node.mistake("has the pattern '\(pattern)', which \(error.problem)")
            }
        },
        Operator("StringNormalizer", items: { [.tensor(ImportedTensor(try $0.normalizedTexts(), .string))] }),
        Operator("StringSplit", items: { node in
            let delimiter = node.text("delimiter", ""), most = node.integer("maxsplit", -1)
            let splitting = TextSplitting(node: node, delimiter: delimiter.isEmpty ? nil : Array(delimiter.utf8), mostCuts: most < 0 ? nil : most)
            let (pieces, counts) = try splitting.split(try node.text(0))
            return [.tensor(ImportedTensor(pieces, .string)), .tensor(counts)]
        }),
    ]
}
