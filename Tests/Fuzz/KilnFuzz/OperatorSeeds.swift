// A model of one node for each operator in ONNX's tables: inputs and attributes that some operators take are tried on all of them, and what
// is imported is a seed.

import Foundation
import KilnONNX
import SwiftProtobuf

enum OperatorSeeds {
    /// At most so many for one operator.
    private static let countEach = 4

    /// What a node takes: `inputs | attributes`. An input `-` is left out.
    private static let candidates = """
        x | axis=1 keepdims=0
        n | axis=-1 alpha=0.5 beta=0.25
        n n | axis=1
        x r | axis=1
        x s
        a a | axis=0 transA=1
        a a a
        c a a
        b
        b b
        i
        i i | direction=LEFT
        i i i
        u u | direction=RIGHT fmod=0
        t t
        h f1 f1
        n | kernel_shape=[3,2] strides=[2,1] pads=[1,0,1,1] dilations=[1,2] ceil_mode=1
        n | kernel_shape=[2,2] auto_pad=SAME_UPPER strides=[2,2] p=2
        n w r | pads=[1,1,1,1] strides=[2,2] group=1 dilations=[1,1] kernel_shape=[3,3] activation=Relu
        nl w | pads=[1,1,1,1]
        x w r | output_padding=[1,1] strides=[2,2] output_shape=[13,13]
        x w offsets - - | pads=[1,1,1,1]
        x wu | pads=[0,0,0,0]
        i8x i8w
        m k55 k22 | dilations=[1,1] pads=[0,0,0,0] strides=[1,1]
        x x k | kernel_shape=[2,2]
        p2 ip2 | kernel_shape=[2,2] strides=[2,2]
        x axes | keepdims=1 noop_with_empty_axes=1
        x | axes=[1,-1] keepdims=0
        n | blocksize=2 mode=CRD
        n shape
        x shape | allowzero=1
        x repeats
        x k1 k1 k1 k1 | axes=[2]
        x pads s | mode=constant
        x pads | mode=reflect
        n pads - axes4 | mode=edge
        x scales
        x - scales | mode=linear coordinate_transformation_mode=half_pixel antialias=1
        n - - sizes | mode=cubic cubic_coeff_a=-0.75 exclude_outside=1 nearest_mode=ceil
        x roi - sizes | coordinate_transformation_mode=tf_crop_and_resize extrapolation_value=1.5
        n index | axis=1
        n matrixindex | axis=0
        a matrixindex
        a matrixindex a | axis=1 reduction=add
        a matrixindex rows | reduction=max
        x k1 | axis=2 largest=0 sorted=1
        x zero | exclusive=1 reverse=1
        x k | axis=1 split=[1,3] num_outputs=2 keepdims=0
        x | perm=[3,1,0,2] to=11 saturate=0 round_mode=up
        x i | to=7
        a | to=6
        x | to=8
        x | to=22
        x c | to=16 axis=0
        a flags | axis=0
        a | axis=0 sorted=1
        k | value=t
        shape | value=t
        | value_ints=[1,2]
        | value_strings=[a,b]
        | value=t
        one five two
        index depth values | axis=-1
        x y4 gs | epsilon=0.001 num_groups=2
        x r r r r | epsilon=0.001 momentum=0.5 training_mode=0 spatial=1
        x r r | epsilon=0.01 num_groups=2
        a a r6 r6 r6 | epsilon=0.01
        a r6 r6 | axis=-1
        x | size=3 alpha=0.1 beta=0.5 bias=1.0
        x grid | mode=linear padding_mode=border align_corners=1
        theta sizes
        scores labels rrow | reduction=mean ignore_index=1
        d d d | num_heads=2 is_causal=1 scale=0.5
        e e e | q_num_heads=2 kv_num_heads=2 is_causal=1
        e ew r24 | num_heads=2
        e e e | num_heads=2 kv_num_heads=2
        e e e - - k2i total | num_heads=2 kv_num_heads=2
        d d d dmask | softcap=2.0 qk_matmul_output_mode=1
        d positions cosine cosine | interleaved=1
        d cosine cosine
        d positions cosine cosine | num_heads=2
        lin lin lin - lin1 | q_num_heads=2 kv_num_heads=2 update_rule=gated
        d d d
        cx cw - - | activation=silu
        rx nw nr | hidden_size=4 activations=[Relu] clip=1.5
        rx gw gr | hidden_size=4 linear_before_reset=1 direction=reverse
        rx lw lr - lengths | hidden_size=4 input_forget=1
        a s uz | axis=0
        u s uz | axis=0
        a r6 z6 | axis=1
        u u | transB=1
        u u uz uz
        u s uz u s uz s uz
        ux s uz uw s uz s uz
        u s uz u s uz s uz
        u s uz s uz | axis=0
        ux s uz s uz | channels_last=0
        ux s uz s uz | kernel_shape=[2,2] channels_last=0
        s uz u s uz u s uz | axis=0
        c6 u s uz u s uz s uz
        u s uz u s uz - s uz | alpha=0.5 transB=1
        u u s s uz uz
        a u s uz
        a bq bs | K=6 N=6 bits=4 block_size=16
        bq2 index bs | bits=4 block_size=16 gather_axis=0 quantize_axis=1
        | shape=[2,3] seed=1.0 mean=1.0 dtype=1
        a | dtype=1 sample_size=3 seed=2.0
        a | equation='ij->ji'
        a a | equation='ij,j...->i...'
        x a | equation='...ij,jk->...ik'
        boxes boxscores kk | center_point_box=1
        x rois batches | output_height=2 output_width=3 sampling_ratio=2 spatial_scale=0.5
        x rois5 | pooled_shape=[2,2] spatial_scale=1.0
        x | output_height=2
        cplx k1n | axis=1 inverse=1
        sig five window | onesided=1
        k1n k16 k16 s s | output_datatype=1
        n k1n | upper=0
        a six | batch_axis=1 time_axis=0
        x shape3 | axes=[-3,-2,-1]
        i32 | classlabels_int64s=[3,4] keys_int64s=[1,2] values_floats=[1.0,2.0] default_float=9.0
        st | keys_strings=[a,b] values_int64s=[1,2]
        a | coefficients=[1.0,2.0,3.0,4.0,5.0,6.0] intercepts=[1.0] targets=1 post_transform=LOGISTIC norm=L1 threshold=0.5 offset=[1.0] scale=[2.0]
        a | coefficients=[1.0,2.0,3.0,4.0,5.0,6.0,1.0,2.0,3.0,4.0,5.0,6.0] intercepts=[1.0,2.0] classlabels_ints=[5,6] post_transform=SOFTMAX
        a kk
        tok | max_gram_length=2 min_gram_length=1 max_skip_count=1 mode=TFIDF ngram_counts=[0,2] ngram_indexes=[0,1,2] pool_int64s=[1,2,1,2] weights=[1.0,2.0,0.5]
        a | n_targets=1 nodes_treeids=[0,0,0] nodes_nodeids=[0,1,2] nodes_featureids=[1,0,0] nodes_modes=[BRANCH_LEQ,LEAF,LEAF] nodes_values=[0.5,0.0,0.0] \
        nodes_truenodeids=[1,0,0] nodes_falsenodeids=[2,0,0] target_treeids=[0,0] target_nodeids=[1,2] target_ids=[0,0] target_weights=[1.0,2.0]
        a | nodes_treeids=[0,0,0] nodes_nodeids=[0,1,2] nodes_featureids=[1,0,0] nodes_modes=[BRANCH_LT,LEAF,LEAF] nodes_values=[0.5,0.0,0.0] \
        nodes_truenodeids=[1,0,0] nodes_falsenodeids=[2,0,0] class_treeids=[0,0] class_nodeids=[1,2] class_ids=[0,1] class_weights=[1.0,2.0] classlabels_int64s=[7,8]
        a | n_targets=1 tree_roots=[0] nodes_featureids=[1] nodes_modes=modes nodes_splits=splits nodes_truenodeids=[0] nodes_trueleafs=[1] \
        nodes_falsenodeids=[1] nodes_falseleafs=[1] leaf_targetids=[0,0] leaf_weights=splits2 post_transform=0 aggregate_function=1
        r r kk r r | norm_coefficient=0.1 alpha=0.9 beta=0.5 mode=nesterov
        s k r r r | norm_coefficient=0.1 epsilon=0.01 decay_factor=0.1
        s k r r r r | alpha=0.9 beta=0.5 mode=nesterov norm_coefficient=0.1
        ids - table table - r6 r6 | epsilon=0.001
        """

    /// Ports by name: an element type, a shape and, for constants, the elements.
    private static let ports: [String: (element: ElementType, shape: String, values: [Int]?)] = [
        "x": (.float, "2,4,6,6", nil), "n": (.float, "batch,4,h,w", nil), "nl": (.float, "batch,8,8,4", nil), "r": (.float, "4", nil), "s": (.float, "", [2]),
        "a": (.float, "6,6", nil), "c": (.bool, "6,6", nil), "c6": (.bool, "6,6", nil), "b": (.bool, "n,3", nil), "i": (.int64, "n,3", nil),
        "u": (.uint8, "6,6", nil), "t": (.string, "3", nil), "h": (.float16, "n", nil), "f1": (.float16, "", [1]), "w": (.float, "4,4,3,3", Array(0..<144)),
        "offsets": (.float, "2,18,6,6", nil), "wu": (.float, "4,2,2,2", Array(0..<32)), "i8x": (.int8, "1,2,5,5", nil), "i8w": (.int8, "3,2,2,2", nil),
        "m": (.float, "1,20,4", nil), "k55": (.int64, "2", [3, 3]), "k22": (.int64, "2", [2, 2]), "k": (.int64, "2", [1, 3]), "k1": (.int64, "1", [1]),
        "k1n": (.int64, "", [1]), "kk": (.int64, "1", [2]), "p2": (.float, "1,1,2,2", nil), "ip2": (.int64, "1,1,2,2", nil), "axes": (.int64, "2", [1, -1]),
        "axes4": (.int64, "4", [0, 1, 2, 3]), "shape": (.int64, "3", [0, -1, 36]), "repeats": (.int64, "4", [1, 2, 1, 3]),
        "pads": (.int64, "8", [0, 0, 1, 2, 0, 0, 2, 1]), "scales": (.float, "4", [1, 1, 2, 2]), "sizes": (.int64, "4", [2, 4, 5, 9]),
        "roi": (.float, "8", [0, 0, 0, 0, 1, 1, 1, 1]), "index": (.int64, "2", [0, -1]), "matrixindex": (.int64, "2,1", [1, 0]), "rows": (.float, "2,6", nil),
        "zero": (.int64, "", [0]), "flags": (.bool, "4", nil), "one": (.int64, "", [1]), "five": (.int64, "", [5]), "two": (.int64, "", [2]),
        "depth": (.int64, "", [4]), "values": (.float, "2", [0, 1]), "y4": (.float, "2,4,6,6", nil), "gs": (.float, "4", nil), "r6": (.float, "6", nil),
        "z6": (.uint8, "6", [1, 2, 3, 4, 5, 6]), "grid": (.float, "2,3,5,2", nil), "theta": (.float, "2,2,3", nil), "scores": (.float, "3,5", nil),
        "labels": (.int64, "3", nil), "rrow": (.float, "5", nil), "d": (.float, "batch,2,6,4", nil), "dmask": (.float, "6,6", nil), "e": (.float, "1,6,8", nil),
        "ew": (.float, "8,24", nil), "r24": (.float, "24", nil), "k2i": (.int32, "1", nil), "total": (.int32, "1", [6]), "positions": (.int64, "batch,6", nil),
        "cosine": (.float, "8,2", nil), "lin": (.float, "1,3,8", nil), "lin1": (.float, "1,3,2", nil), "cx": (.float, "1,4,6", nil), "cw": (.float, "4,1,3", nil),
        "rx": (.float, "3,2,5", nil), "nw": (.float, "1,4,5", nil), "nr": (.float, "1,4,4", nil), "gw": (.float, "1,12,5", nil), "gr": (.float, "1,12,4", nil),
        "lw": (.float, "1,16,5", nil), "lr": (.float, "1,16,4", nil), "lengths": (.int32, "2", nil), "uz": (.uint8, "", [128]), "ux": (.uint8, "1,2,5,5", nil),
        "uw": (.uint8, "3,2,2,2", nil), "bq": (.uint8, "6,1,8", Array(0..<48)), "bq2": (.uint8, "6,8", nil), "bs": (.float, "6,1", nil), "boxes": (.float, "1,6,4", nil),
        "boxscores": (.float, "1,2,6", nil), "rois": (.float, "3,4", nil), "batches": (.int64, "3", nil), "rois5": (.float, "3,5", nil),
        "cplx": (.float, "1,16,2", nil), "sig": (.float, "1,32,1", nil), "window": (.float, "8", nil), "k16": (.int64, "", [16]), "six": (.int64, "6", nil),
        "shape3": (.int64, "3", [3, 9, 6]), "i32": (.int64, "n", nil), "st": (.string, "n", nil), "tok": (.int64, "6", nil), "ids": (.int32, "1,6", nil),
        "table": (.float, "9,6", nil),
    ]

    /// One attribute by its text.
    private static func attribute(_ text: Substring) -> ProtoAttribute {
        let parts = text.split(separator: "=", maxSplits: 1)
        var attribute = ProtoAttribute()
        attribute.name = String(parts[0])
        let value = parts[1], items = value.dropFirst().dropLast().split(separator: ",")
        let tensors: [String: (ElementType, [Int])] = ["t": (.int64, [7]), "modes": (.uint8, [1]), "splits": (.float, [1]), "splits2": (.float, [1, 2])]
        if let tensor = tensors[String(value)] { attribute.t = constant("", tensor.0, [tensor.1.count], tensor.1) } else if value.first == "[" {
            if Int(items[0]) != nil { attribute.ints = items.map { Int64($0)! } } else if Float(items[0]) != nil { attribute.floats = items.map { Float($0)! } } else {
                attribute.strings = items.map { Data($0.utf8) }
            }
        } else if let number = Int64(value) { attribute.i = number } else if let number = Float(value) { attribute.f = number } else {
            attribute.s = Data(value.filter { $0 != "'" }.utf8)
        }
        return attribute
    }

    static func constant(_ name: String, _ element: ElementType, _ shape: [Int], _ values: [Int]) -> ProtoTensor {
        var tensor = ProtoTensor()
        tensor.name = name
        tensor.dataType = element.rawValue
        tensor.dims = shape.map { Int64($0) }
        tensor.rawData = Data(values.flatMap { value -> [UInt8] in
            let bits: UInt64 = element == .float ? UInt64(Float(value).bitPattern) : element == .float16 ? UInt64(0x3C00) : UInt64(bitPattern: Int64(value))
            return withUnsafeBytes(of: bits.littleEndian) { Array($0.prefix((element.bitWidth + 7) / 8)) }
        })
        return tensor
    }

    private static func model(_ name: String, _ domain: String, _ inputs: [String], _ attributes: [ProtoAttribute]) -> ProtoModel {
        var model = ProtoModel()
        model.opsetImport = [ProtoOperatorSet.with { $0.version = 22 }]
        var node = ProtoNode()
        (node.opType, node.domain, node.attribute, node.output) = (name, domain, attributes, ["y", "z"])
        node.input = inputs.map { $0 == "-" ? "" : $0 }
        for name in Set(inputs).sorted() where name != "-" {
            let port = ports[name]!
            let sizes = port.shape.split(separator: ",")
            if let values = port.values { model.graph.initializer.append(constant(name, port.element, sizes.map { Int($0)! }, values)) } else {
                model.graph.input.append(ProtoValueInfo.with { info in
                    info.name = name
                    info.type.tensorType = .with { $0.elemType = port.element.rawValue; $0.shape.dim = sizes.map { size in
                        .with { if let number = Int64(size) { $0.dimValue = number } else { $0.dimParam = String(size) } }
                    } }
                })
            }
        }
        model.graph.node = [node]
        model.graph.output = [ProtoValueInfo.with { $0.name = "y" }]
        return model
    }

    /// Models of one node each, and the operators that none of the candidates fits.
    static func made() throws -> (models: [[UInt8]], missing: [String]) {
        let parts = candidates.split(separator: "\n").map { line in
            let sides = line.split(separator: "|", maxSplits: 1, omittingEmptySubsequences: false)
            return (sides[0].split(separator: " ").map { String($0) }, sides.count < 2 ? [] : sides[1].split(separator: " ").map { attribute($0) })
        }
        var models: [[UInt8]] = [], missing: [String] = []
        for (name, domain) in ONNXModel.operators {
            var own: [[UInt8]] = []
            for (inputs, attributes) in parts where own.count < countEach {
                let bytes: [UInt8] = try model(name, domain, inputs, attributes).serializedBytes()
                if (try? ONNXModel(bytes: bytes).imported()) != nil { own.append(bytes) }
            }
            if own.isEmpty { missing.append(name) }
            models += own
        }
        return (models, missing)
    }
}
