// Operators that give an array another shape.

import KilnIR
import KilnOps

extension Operators {
    static let elementwise: [Operator] = [
        Operator("Reshape") { node in
            let x = try node.tensor(0), data = try node.sizes(1, "the new shape")
            var shape = data.enumerated().map { $0.element == 0 && !node.flag("allowzero") && $0.offset < x.rank ? x.dims[$0.offset] : $0.element }
            if let open = shape.firstIndex(of: -1) {
                shape[open] = 1
                shape[open] = x.type.elementCount / shape.reduce(1, *)
            }
            return x.reshape(shape)
        },
    ]
}
