"""Writes models of one node each, of ONNX Runtime's own operators of attention and quantized tables, with inputs and its results.

Usage: export_contributed_operators.py OUT_DIR [NAME ...]

OUT_DIR gets models.json as export_sequence_models.py writes it; sizes are open where the operator leaves them open.
"""
import json
import os
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

TYPES = {np.dtype("float32"): TensorProto.FLOAT, np.dtype("int32"): TensorProto.INT32, np.dtype("int64"): TensorProto.INT64,
         np.dtype("uint8"): TensorProto.UINT8}
SIZES = [(2, 3, 5), (1, 1, 7), (3, 4, 2)]
HEADS, GROUPS, SIZE = 4, 2, 16


class Node:
    """An operator with inputs made for batch, tokens and past, and the names of their axes: an int for a fixed one."""

    def __init__(self, op, outputs, attributes, inputs, sizes=SIZES):
        self.op, self.outputs, self.attributes, self.inputs, self.sizes = op, outputs, attributes, inputs, sizes

    def values(self, size, seed=0):
        random = np.random.default_rng(seed)
        batch, tokens, past = size
        names = {"b": batch, "s": tokens, "p": past, "t": past + tokens}
        made = {}
        for name, axes, make in self.inputs:
            shape = [names.get(a, a) for a in axes]
            made[name] = random.normal(size=shape).astype(np.float32) if make is None else make(random, names, shape)
        return made


def ones(dtype):
    return lambda random, names, shape: np.ones(shape, dtype)


def mask(random, names, shape):
    """Keys hidden at the end, more of them for each row of the batch."""
    value = np.ones(shape, np.int32)
    for row in range(shape[0]):
        value[row, ..., shape[-1] - min(row, shape[-1] - 1):] = 0
    return value


def lengths(random, names, shape):
    return np.array([max(names["t"] - row, 1) for row in range(names["b"])], np.int32)


def limits(random, names, shape):
    ends = [max(names["t"] - row, 1) for row in range(names["b"])]
    return np.array(ends + [min(row, 1) if end > 1 else 0 for row, end in enumerate(ends)], np.int32)


def filled(random, names, shape):
    """The positions of the last tokens: sequences of a batch have filled their caches differently."""
    return np.array([names["t"] - 1 - min(row, names["p"]) for row in range(names["b"])], np.int32).reshape(shape)


def positions(random, names, shape):
    return random.integers(0, 32, shape).astype(np.int64)


def octets(random, names, shape):
    return random.integers(0, 256, shape).astype(np.uint8)


def rows(random, names, shape):
    return random.integers(-12, 12, shape).astype(np.int64)


def table():
    d, g = HEADS * SIZE, GROUPS * SIZE
    qkv = [("query", ["b", "s", d], None), ("key", ["b", "t", d], None), ("value", ["b", "t", d], None)]
    own = [("query", ["b", "s", d], None), ("key", ["b", "s", d], None), ("value", ["b", "s", d], None)]
    past = [("past_key", ["b", HEADS, "p", SIZE], None), ("past_value", ["b", HEADS, "p", SIZE], None)]
    gap = lambda count: [("", [], None)] * count
    heads = {"num_heads": HEADS}
    y, cache = ["y"], ["y", "present_key", "present_value"]
    nodes = {
        "mha": Node("MultiHeadAttention", y, heads, qkv),
        "mha_bias": Node("MultiHeadAttention", y, heads, qkv + [("bias", [3 * d], None)]),
        "mha_mask": Node("MultiHeadAttention", y, heads, qkv + gap(1) + [("mask", ["b", "t"], mask)]),
        "mha_mask_rows": Node("MultiHeadAttention", y, heads, qkv + gap(1) + [("mask", ["b", "s", "t"], mask)]),
        "mha_lengths": Node("MultiHeadAttention", y, heads, qkv + gap(1) + [("mask", ["b"], lengths)]),
        "mha_attention_bias": Node("MultiHeadAttention", y, heads, qkv + gap(2) + [("attention_bias", [1, HEADS, "s", "t"], None)]),
        "mha_past": Node("MultiHeadAttention", cache, heads | {"scale": 0.3}, own + gap(3) + past),
        "mha_past_causal": Node("MultiHeadAttention", cache, heads | {"unidirectional": 1}, own + gap(3) + past),
        "mha_packed": Node("MultiHeadAttention", y, heads, [("query", ["b", "s", HEADS, 3, SIZE], None)]),
        "mha_packed_keys": Node("MultiHeadAttention", y, heads, [qkv[0], ("key", ["b", "t", HEADS, 2, SIZE], None)]),
        "mha_cross": Node("MultiHeadAttention", y, heads, [qkv[0], ("key", ["b", HEADS, "t", SIZE], None), ("value", ["b", HEADS, "t", SIZE], None)]),
    }
    x = [("input", ["b", "s", 16], None), ("weights", [16, 3 * d], None), ("bias", [3 * d], None)]
    nodes |= {
        "attention": Node("Attention", y, heads, x),
        "attention_causal": Node("Attention", y, heads | {"unidirectional": 1}, x),
        "attention_mask": Node("Attention", y, heads, x + [("mask", ["b", "s"], mask)]),
        "attention_limits": Node("Attention", y, heads, [("input", [2, "s", 16], None)] + x[1:] + [("mask", [4], limits)], [(2, 3, 0), (2, 9, 0)]),
        "attention_sizes": Node("Attention", y, heads | {"qkv_hidden_sizes": [d, d, 2 * d]},
                                [x[0], ("weights", [16, 4 * d], None), ("bias", [4 * d], None)]),
        "attention_past": Node("Attention", ["y", "present"], heads | {"unidirectional": 1},
                               x + [("mask", ["b", "t"], mask), ("past", [2, "b", HEADS, "p", SIZE], None)]),
    }
    grouped = {"num_heads": HEADS, "kv_num_heads": GROUPS}
    new = [("query", ["b", "s", d], None), ("key", ["b", "s", g], None), ("value", ["b", "s", g], None)]
    store = [("past_key", ["b", GROUPS, "p", SIZE], None), ("past_value", ["b", GROUPS, "p", SIZE], None)]
    ends = [("seqlens_k", ["b"], filled), ("total", ["b", "t"], ones(np.int64))]
    angles = [("cos", [64, SIZE // 2], None), ("sin", [64, SIZE // 2], None)]
    decode = [(2, 1, 5), (1, 1, 7), (3, 1, 2)]
    nodes |= {
        "gqa_prompt": Node("GroupQueryAttention", cache, grouped, new + gap(2) + ends, [(2, 3, 0), (1, 6, 0)]),
        "gqa": Node("GroupQueryAttention", cache, grouped, new + store + ends, decode),
        "gqa_several": Node("GroupQueryAttention", cache, grouped, new + store + ends, [(1, 3, 5), (1, 2, 7)]),
        "gqa_rotary": Node("GroupQueryAttention", cache, grouped | {"do_rotary": 1}, new + store + ends + angles, decode),
        "gqa_rotary_interleaved": Node("GroupQueryAttention", cache, grouped | {"do_rotary": 1, "rotary_interleaved": 1},
                                       new + store + ends + angles, decode),
        "gqa_window": Node("GroupQueryAttention", cache, grouped | {"local_window_size": 3}, new + store + ends, decode),
        "gqa_softcap": Node("GroupQueryAttention", cache, grouped | {"softcap": 0.7}, new + store + ends, decode),
        "gqa_smooth": Node("GroupQueryAttention", cache, grouped | {"smooth_softmax": 1}, new + store + ends, decode),
        "gqa_sinks": Node("GroupQueryAttention", cache, grouped, new + store + ends + gap(4) + [("sinks", [HEADS], None)], decode),
        "gqa_packed": Node("GroupQueryAttention", cache, grouped, [("query", ["b", "s", d + 2 * g], None)] + gap(2) + store + ends, decode),
    }
    places = [("position_ids", ["b", "s"], positions)]
    nodes |= {
        "rotary": Node("RotaryEmbedding", y, {}, [("input", ["b", "s", d], None)] + places + angles),
        "rotary_heads": Node("RotaryEmbedding", y, {"interleaved": 1}, [("input", ["b", HEADS, "s", SIZE], None)] + places + angles),
        "rotary_offset": Node("RotaryEmbedding", y, {}, [("input", ["b", "s", d], None), ("position_ids", [1], positions)] + angles),
        "rotary_part": Node("RotaryEmbedding", y, {"num_heads": HEADS, "rotary_embedding_dim": 8},
                            [("input", ["b", "s", d], None)] + places + [("cos", [64, 4], None), ("sin", [64, 4], None)]),
    }
    table = [("data", [12, 32], octets), ("indices", ["b", "s"], rows), ("scales", [12, 4], None)]
    blocks = {"bits": 4, "block_size": 16, "gather_axis": 0, "quantize_axis": 1}
    nodes |= {
        "gather_quantized": Node("GatherBlockQuantized", y, blocks, table),
        "gather_quantized_zeros": Node("GatherBlockQuantized", y, blocks, table + [("zeros", [12, 2], octets)]),
        "gather_quantized_bytes": Node("GatherBlockQuantized", y, blocks | {"bits": 8}, [table[0], table[1], ("scales", [12, 2], None)]),
    }
    return nodes


def main():
    out, wanted = sys.argv[1], sys.argv[2:]
    os.makedirs(out, exist_ok=True)
    listing = []
    for name, node in table().items():
        if wanted and name not in wanted:
            continue
        names = [n for n, _, _ in node.inputs]
        node.inputs = [(n, axes, make) for n, axes, make in node.inputs if n]
        example = node.values(node.sizes[0])
        ports = [helper.make_tensor_value_info(n, TYPES[example[n].dtype], axes) for n, axes, _ in node.inputs]
        nodes = []
        if "total" in names:
            # As ONNX Runtime's model builder writes it: the length of the mask.
            names[names.index("total")] = "length"
            nodes = [helper.make_node("Shape", ["total"], ["shape"]), helper.make_node("Gather", ["shape", "one"], ["size"]),
                     helper.make_node("Cast", ["size"], ["length"], to=TensorProto.INT32)]
        nodes.append(helper.make_node(node.op, names, node.outputs, name=name, domain="com.microsoft", **node.attributes))
        results = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in node.outputs]
        graph = helper.make_graph(nodes, name, ports, results, [helper.make_tensor("one", TensorProto.INT64, [], [1])] if len(nodes) > 1 else [])
        model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)])
        try:
            session = onnxruntime.InferenceSession(model.SerializeToString())
            runs = []
            for number, size in enumerate(node.sizes):
                values = node.values(size)
                run = {"sizes": size, "inputs": {}, "outputs": {}, "tolerances": {}}
                for key, part in (("inputs", values), ("outputs", dict(zip(node.outputs, session.run(None, values))))):
                    for port, value in part.items():
                        np.save(f"{out}/{name}.{number}.{port}.npy", value)
                        run[key][port] = f"{name}.{number}.{port}.npy"
                runs.append(run)
        except Exception as error:  # ONNX Runtime has no kernel for this form of the operator
            print(f"{name}: left out, {str(error).splitlines()[0][:300]}", flush=True)
            continue
        with open(f"{out}/{name}.onnx", "wb") as file:
            file.write(model.SerializeToString())
        listing.append({"name": name, "file": f"{name}.onnx", "runs": runs})
    with open(f"{out}/models.json", "w") as file:
        json.dump(listing, file, indent=1)
    print(f"{len(listing)} models")


if __name__ == "__main__":
    main()
