// Valid ONNX models: one of a node for each operator, and a few that are written out, in the text format of Protocol Buffers, for what
// models have beside nodes: constants of all kinds, graphs within graphs, functions, and shapes that are computed.

import Foundation
import KilnIR
import KilnONNX
import SwiftProtobuf

enum ONNXSeeds {
    static func all() throws -> [[UInt8]] { try small() + OperatorSeeds.made().models }

    /// Those that take little work to run.
    static func small() throws -> [[UInt8]] { try written.map { try ProtoModel(textFormatString: $0).serializedBytes() } + constants() }

    /// Models whose constants lie in other files, which are not there or may not be read.
    static func refused() throws -> [[UInt8]] {
        try ["weights.bin", "../weights.bin", "/etc/passwd", ".", "a/../../b", ""].map { location in
            try ProtoModel(textFormatString: """
                opset_import { version: 21 } graph { node { op_type: "Relu" input: "w" output: "y" } output { name: "y" }
                  initializer { name: "w" dims: 2 data_type: 1 data_location: 1 external_data { key: "location" value: "\(location)" }
                    external_data { key: "offset" value: "4096" } external_data { key: "length" value: "8" } } }
                """).serializedBytes()
        }
    }

    /// Operators, domains, and what attributes and shapes say.
    static let words = ONNXModel.operators.map(\.name) + [
        "", "x", "y", "z", "a", "b", "c", "n", "batch", "?", "ai.onnx", "ai.onnx.ml", "com.microsoft", "own", "axis", "axes", "to", "value", "body", "then_branch", "perm",
        "else_branch", "shape", "pads", "strides", "dilations", "kernel_shape", "group", "auto_pad", "SAME_LOWER", "VALID", "NOTSET", "ceil_mode", "keepdims",
        "mode", "linear", "cubic", "nearest", "reflect", "edge", "wrap", "constant", "reduction", "none", "mean", "mul", "location", "offset", "length", "../x", "/x",
        "", "value_ints", "value_float", "num_scan_inputs", "scan_input_axes", "hidden_size", "direction", "bidirectional", "num_heads", "block_size", "blocksize",
        "equation", "ij,jk->ik", "...ij->...", "ii->i", "->", "i,->i", "é\u{0}", "9223372036854775807", "-1", "to_int64", "output_padding", "output_shape", "bits",
    ]

    /// A constant of each element type, as bytes and in fields.
    private static func constants() throws -> [[UInt8]] {
        try ElementType.allCases.compactMap { element in
            guard element.dtype != nil else { return nil }
            var model = ProtoModel()
            model.opsetImport = [ProtoOperatorSet.with { $0.version = 23 }]
            for (name, isRaw) in [("raw", true), ("fields", false)] where !isRaw || element != .string {
                var tensor = OperatorSeeds.constant(name, element, [2, 2], isRaw ? [1, 0, 1, 1] : [])
                if element.bitWidth < 8, isRaw { tensor.rawData = Data(repeating: 0x1B, count: element.bitWidth / 2) }
                if !isRaw {
                    tensor.clearRawData()
                    switch element {
                    case .float: tensor.floatData = [1, -0.0, .nan, .infinity]
                    case .double: tensor.doubleData = [1, 2, 3, 4]
                    case .int64: tensor.int64Data = [1, -2, .max, .min]
                    case .uint32, .uint64: tensor.uint64Data = [1, 2, 3, 4]
                    case .string: tensor.stringData = [Data("a".utf8), Data(), Data("\u{E9}".utf8), Data([0xFF])]
                    default: tensor.int32Data = [Int32](repeating: 1, count: element.bitWidth < 8 ? element.bitWidth / 2 : 4)
                    }
                }
                model.graph.initializer.append(tensor)
                model.graph.node.append(ProtoNode.with { ($0.opType, $0.input, $0.output) = ("Transpose", [name], ["\(name)_y"]) })
                model.graph.output.append(ProtoValueInfo.with { $0.name = "\(name)_y" })
            }
            return try model.serializedBytes()
        }
    }

    private static let written = [
        // Sizes that are computed, and a reshape to them.
        """
        ir_version: 8 producer_name: "seed" opset_import { version: 17 } graph { name: "shapes"
          input { name: "x" type { tensor_type { elem_type: 1 shape { dim { dim_param: "batch" } dim { dim_param: "seq len" } dim { dim_value: 8 } } } } }
          initializer { name: "zero" data_type: 7 int64_data: 0 } initializer { name: "last" dims: 2 data_type: 7 int64_data: [2, -1] }
          initializer { name: "first" dims: 1 data_type: 7 int64_data: 0 }
          node { op_type: "Shape" input: "x" output: "s" } node { op_type: "Gather" input: "s" input: "zero" output: "n" attribute { name: "axis" i: 0 } }
          node { op_type: "Unsqueeze" input: "n" input: "first" output: "n1" }
          node { op_type: "Concat" input: "n1" input: "last" output: "t" attribute { name: "axis" i: 0 } }
          node { op_type: "Reshape" input: "x" input: "t" output: "y" } node { op_type: "Mul" input: "s" input: "s" output: "q" }
          node { op_type: "Slice" input: "q" input: "zero1" input: "two" output: "q2" }
          node { op_type: "ReduceProd" input: "q2" output: "q3" attribute { name: "keepdims" i: 1 } }
          node { op_type: "ConstantOfShape" input: "q3" output: "z" } node { op_type: "Expand" input: "zero" input: "s" output: "e" }
          initializer { name: "zero1" dims: 1 data_type: 7 int64_data: 0 } initializer { name: "two" dims: 1 data_type: 7 int64_data: 2 }
          output { name: "y" } output { name: "z" } output { name: "e" } }
        """,
        // A choice, known and not.
        """
        opset_import { version: 21 } graph { input { name: "c" type { tensor_type { elem_type: 9 shape { } } } }
          input { name: "x" type { tensor_type { elem_type: 1 shape { dim { dim_value: 3 } dim { dim_param: "n" } } } } }
          initializer { name: "yes" data_type: 9 raw_data: "\\001" }
          node { op_type: "If" input: "c" output: "y" attribute { name: "then_branch" type: 5 g { name: "t" node { op_type: "Relu" input: "x" output: "r" } output { name: "r" } } }
            attribute { name: "else_branch" type: 5 g { name: "e" initializer { name: "k" dims: 1 data_type: 1 float_data: 2 }
              node { op_type: "Mul" input: "x" input: "k" output: "m" } output { name: "m" } } } }
          node { op_type: "If" input: "yes" output: "z" attribute { name: "then_branch" g { node { op_type: "Neg" input: "y" output: "r" } output { name: "r" } } }
            attribute { name: "else_branch" g { node { op_type: "Flatten" input: "x" output: "m" } output { name: "m" } } } }
          output { name: "z" } }
        """,
        // Rounds: written out, as a loop, stacked, and until a condition fails.
        """
        opset_import { version: 21 } graph { input { name: "x" type { tensor_type { elem_type: 1 shape { dim { dim_value: 4 } } } } }
          input { name: "many" type { tensor_type { elem_type: 7 shape { } } } }
          initializer { name: "three" data_type: 7 int64_data: 3 } initializer { name: "hundred" data_type: 7 int64_data: 100 }
          initializer { name: "go" data_type: 9 int32_data: 1 } initializer { name: "limit" data_type: 1 float_data: 9 }
          node { op_type: "Loop" input: "three" input: "go" input: "x" output: "y" output: "ys" attribute { name: "body" g {
            input { name: "i" } input { name: "on" } input { name: "v" } node { op_type: "Add" input: "v" input: "x" output: "w" }
            node { op_type: "Identity" input: "on" output: "on2" } output { name: "on2" } output { name: "w" } output { name: "w" } } } }
          node { op_type: "Loop" input: "hundred" input: "" input: "x" output: "z" output: "zs" attribute { name: "body" g {
            input { name: "i" } input { name: "on" } input { name: "v" } node { op_type: "Cast" input: "i" output: "f" attribute { name: "to" i: 1 } }
            node { op_type: "Sub" input: "v" input: "f" output: "w" } output { name: "on" } output { name: "w" } output { name: "f" } } } }
          node { op_type: "Loop" input: "many" input: "go" input: "x" output: "u" attribute { name: "body" g {
            input { name: "i" } input { name: "on" } input { name: "v" } node { op_type: "Add" input: "v" input: "v" output: "w" }
            node { op_type: "ReduceMax" input: "w" output: "m" attribute { name: "keepdims" i: 0 } } node { op_type: "Less" input: "m" input: "limit" output: "l" }
            output { name: "l" } output { name: "w" } } } }
          output { name: "y" } output { name: "ys" } output { name: "z" } output { name: "zs" } output { name: "u" } }
        """,
        // Types that change from round to round, within a round of another loop.
        """
        opset_import { version: 21 } graph { input { name: "x" type { tensor_type { elem_type: 1 shape { dim { dim_value: 2 } } } } }
          initializer { name: "n" data_type: 7 int64_data: 12 } initializer { name: "two" data_type: 7 int64_data: 2 }
          node { op_type: "Loop" input: "n" input: "" input: "x" output: "y" attribute { name: "body" g {
            input { name: "i" } input { name: "on" } input { name: "v" } node { op_type: "Concat" input: "v" input: "x" output: "w" attribute { name: "axis" i: 0 } }
            output { name: "on" } output { name: "w" } } } }
          node { op_type: "Loop" input: "two" input: "" input: "x" output: "z" attribute { name: "body" g {
            input { name: "i" } input { name: "on" } input { name: "v" }
            node { op_type: "Loop" input: "two" input: "on" input: "v" output: "w" attribute { name: "body" g {
              input { name: "j" } input { name: "on3" } input { name: "u" } node { op_type: "Mul" input: "u" input: "x" output: "t" } output { name: "on3" } output { name: "t" } } } }
            output { name: "on" } output { name: "w" } } } }
          output { name: "y" } output { name: "z" } }
        """,
        """
        opset_import { version: 16 } graph { input { name: "x" type { tensor_type { elem_type: 1 shape { dim { dim_param: "t" } dim { dim_value: 3 } } } } }
          input { name: "s" type { tensor_type { elem_type: 1 shape { dim { dim_value: 3 } } } } }
          node { op_type: "Scan" input: "s" input: "x" output: "e" output: "ys" attribute { name: "num_scan_inputs" i: 1 } attribute { name: "scan_input_axes" ints: 0 }
            attribute { name: "scan_output_axes" ints: 1 } attribute { name: "scan_input_directions" ints: 1 } attribute { name: "scan_output_directions" ints: 1 }
            attribute { name: "body" g { input { name: "a" } input { name: "b" } node { op_type: "Add" input: "a" input: "b" output: "c" }
              node { op_type: "Exp" input: "c" output: "d" } output { name: "c" } output { name: "d" } } } }
          output { name: "e" } output { name: "ys" } }
        """,
        // Functions that call each other, with attributes of the node that calls.
        """
        opset_import { version: 18 } opset_import { domain: "own" version: 1 } opset_import { domain: "com.microsoft" version: 1 } opset_import { domain: "ai.onnx.ml" version: 3 }
        functions { name: "Twice" domain: "own" input: "a" output: "b" attribute: "alpha" attribute_proto { name: "beta" f: 0.5 } opset_import { version: 18 } opset_import { domain: "own" version: 1 }
          node { op_type: "LeakyRelu" input: "a" output: "c" attribute { name: "alpha" ref_attr_name: "alpha" type: 1 } }
          node { op_type: "Inner" domain: "own" input: "c" output: "b" attribute { name: "alpha" ref_attr_name: "beta" type: 1 } } }
        functions { name: "Inner" domain: "own" input: "a" output: "b" attribute: "alpha" node { op_type: "Elu" input: "a" output: "b" attribute { name: "alpha" ref_attr_name: "alpha" } } }
        functions { name: "Inner" domain: "own" overload: "o" input: "a" output: "a" }
        graph { input { name: "x" type { tensor_type { elem_type: 1 shape { dim { dim_value: 3 } dim { } } } } }
          node { op_type: "Twice" domain: "own" input: "x" output: "y" attribute { name: "alpha" f: 0.25 } } node { op_type: "Inner" domain: "own" overload: "o" input: "y" output: "z" }
          node { op_type: "Gelu" domain: "com.microsoft" input: "z" output: "u" } output { name: "u" } }
        """,
        // Sequences and optionals, whose lengths are known while a model is imported.
        """
        opset_import { version: 19 } graph { input { name: "x" type { tensor_type { elem_type: 1 shape { dim { dim_value: 6 } dim { dim_value: 2 } } } } }
          input { name: "q" type { sequence_type { elem_type { tensor_type { elem_type: 1 } } } } }
          input { name: "o" type { optional_type { elem_type { tensor_type { elem_type: 1 } } } } }
          initializer { name: "one" data_type: 7 int64_data: 1 } initializer { name: "sizes" dims: 2 data_type: 7 int64_data: [2, 4] }
          node { op_type: "SplitToSequence" input: "x" input: "sizes" output: "s" } node { op_type: "SequenceInsert" input: "s" input: "x" input: "one" output: "t" }
          node { op_type: "SequenceErase" input: "t" input: "one" output: "r" } node { op_type: "SequenceAt" input: "r" input: "one" output: "y" }
          node { op_type: "ConcatFromSequence" input: "s" output: "z" attribute { name: "axis" i: 0 } } node { op_type: "SequenceLength" input: "q" output: "l" }
          node { op_type: "SequenceMap" input: "s" output: "m" attribute { name: "body" g { input { name: "a" } node { op_type: "Neg" input: "a" output: "b" } output { name: "b" } } } }
          node { op_type: "Optional" input: "x" output: "p" } node { op_type: "OptionalHasElement" input: "o" output: "h" } node { op_type: "OptionalGetElement" input: "p" output: "g" }
          node { op_type: "SequenceConstruct" input: "x" input: "x" output: "k" } node { op_type: "ConcatFromSequence" input: "k" output: "kk" attribute { name: "axis" i: -1 } attribute { name: "new_axis" i: 0 } }
          output { name: "y" } output { name: "z" } output { name: "m" } output { name: "h" } output { name: "g" } output { name: "l" } output { name: "q" } output { name: "p" } }
        """,
        // Sparse constants, attributes of every kind, value infos and a node whose optional inputs are left out.
        """
        opset_import { domain: "ai.onnx" version: 13 } graph {
          input { name: "x" type { tensor_type { elem_type: 1 shape { dim { dim_value: 3 } dim { dim_value: 4 } } } } }
          sparse_initializer { dims: [3, 4] values { name: "w" dims: 2 data_type: 1 float_data: [1, 2] } indices { dims: 2 data_type: 7 int64_data: [3, 11] } }
          sparse_initializer { dims: [3, 4] values { name: "v" dims: 2 data_type: 1 float_data: [1, 2] } indices { dims: [2, 2] data_type: 7 int64_data: [0, 3, 2, 3] } }
          value_info { name: "w2" type { sparse_tensor_type { elem_type: 1 } } } value_info { name: "m" type { map_type { key_type: 7 value_type { tensor_type { elem_type: 1 } } } } }
          node { name: "sum" op_type: "Sum" domain: "ai.onnx" input: "x" input: "w" input: "v" output: "w2" }
          node { op_type: "Constant" output: "k" attribute { name: "sparse_value" sparse_tensor { dims: 5 values { dims: 1 data_type: 7 int64_data: 7 } indices { dims: 1 data_type: 7 int64_data: 4 } } } }
          node { op_type: "Clip" input: "w2" input: "" input: "hi" output: "y" attribute { name: "doc" s: "text" type: 3 } attribute { name: "f" f: 1.5 } attribute { name: "i" i: -7 }
            attribute { name: "fs" floats: [1, 2] } attribute { name: "is" ints: [1, 2] } attribute { name: "ss" strings: ["a", "b"] } attribute { name: "t" t { dims: 0 data_type: 1 } }
            attribute { name: "ts" tensors { data_type: 1 float_data: 1 } } attribute { name: "gs" graphs { name: "g" } } attribute { name: "tp" tp { tensor_type { elem_type: 1 } } }
            attribute { name: "tps" type_protos { optional_type { elem_type { sequence_type { elem_type { tensor_type { elem_type: 8 } } } } } } } }
          initializer { name: "hi" data_type: 1 raw_data: "\\000\\000\\200\\077" } output { name: "y" } output { name: "k" } }
        """,
        // Gradients of what is computed in the same graph.
        """
        opset_import { version: 17 } opset_import { domain: "ai.onnx.preview.training" version: 1 } graph {
          input { name: "x" type { tensor_type { elem_type: 1 shape { dim { dim_value: 3 } dim { dim_param: "n" } } } } }
          input { name: "w" type { tensor_type { elem_type: 1 shape { dim { dim_param: "n" } dim { dim_value: 2 } } } } }
          node { op_type: "MatMul" input: "x" input: "w" output: "p" } node { op_type: "Tanh" input: "p" output: "t" } node { op_type: "ReduceSum" input: "t" output: "l" attribute { name: "keepdims" i: 0 } }
          node { op_type: "Gradient" domain: "ai.onnx.preview.training" input: "x" input: "w" output: "dx" output: "dw"
            attribute { name: "xs" strings: ["x", "w"] } attribute { name: "y" s: "l" } } output { name: "l" } output { name: "dx" } output { name: "dw" } }
        """,
        // A quantized layer.
        """
        opset_import { version: 21 } graph { input { name: "x" type { tensor_type { elem_type: 1 shape { dim { dim_param: "n" } dim { dim_value: 4 } } } } }
          initializer { name: "s" data_type: 1 float_data: 0.5 } initializer { name: "z" data_type: 3 int32_data: -3 } initializer { name: "w" dims: [4, 2] data_type: 22 raw_data: "\\x12\\xF3\\x84\\x70" }
          initializer { name: "ws" dims: [2, 2] data_type: 1 float_data: [1, 2, 3, 4] }
          node { op_type: "QuantizeLinear" input: "x" input: "s" input: "z" output: "q" } node { op_type: "DequantizeLinear" input: "q" input: "s" input: "z" output: "d" }
          node { op_type: "DequantizeLinear" input: "w" input: "ws" output: "wd" attribute { name: "axis" i: 0 } attribute { name: "block_size" i: 2 } }
          node { op_type: "MatMul" input: "d" input: "wd" output: "y" } output { name: "y" } }
        """,
    ]
}
