// Operators that compute texts from texts; see `Value+Texts` for what a text is.

import KilnIR
import KilnOps

extension Operators {
    static let texts: [Operator] = [
        Operator("StringConcat", items: { node in [.tensor(ImportedTensor(try node.text(0).followed(by: try node.text(1)), .string))] }),
    ]
}
