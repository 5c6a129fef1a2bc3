// What a name of an ONNX graph stands for while the model is imported: a tensor of Kiln's graph, or a structure of them.

import KilnIR

/// A tensor under import.
struct ImportedTensor {
    /// In the graph under construction.
    var value: Value
    /// What its elements are in ONNX; where that is no type of Kiln's, `value` carries it (see `ElementType.dtype`). A node's entry is given
    /// strings as i64 numbers of its own, and may give such numbers back (see `TextRows`).
    var element: ElementType

    init(_ value: Value) {
        self.value = value
        element = ElementType(value.dtype)
    }

    init(_ value: Value, _ element: ElementType) {
        self.value = value
        self.element = element
    }
}

/// A value of ONNX. Sequences and optionals exist only while a model is imported: their lengths are known then.
indirect enum Item {
    case tensor(ImportedTensor)
    case sequence([Item])
    /// Nil where it holds nothing.
    case optional(Item?)
    /// An input or output that a node leaves out.
    case absent
    /// What a node that can't be imported would have made.
    case unavailable

    static func tensor(_ value: Value) -> Item { .tensor(ImportedTensor(value)) }

    /// What an optional holds, or else the item itself.
    var held: Item { if case .optional(let item?) = self { item } else { self } }
}
