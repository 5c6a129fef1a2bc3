"""Writes models of one node each whose sizes are open, with inputs of several sizes and ONNX Runtime's results.

Usage: export_node_models.py OUT_DIR [TEXT ...]   only models whose names contain one of the texts; all if none is given

OUT_DIR gets models.json as `export_sequence_models.py` writes it. The options are those that the operators' own tests leave out: recurrent
layers with lengths, peepholes and all activations; Resize with symbols; samples in regions whose number depends on the regions.
"""
import json
import os
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper, numpy_helper

FLOAT, INT32, INT64 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64
random = np.random.default_rng(0)


def normal(*shape):
    return random.normal(size=shape).astype(np.float32)


class Node:
    """A node with open inputs (name to axes, element type) and constant ones, and what it is run on for each size."""

    def __init__(self, op, inputs, sizes, arguments, constants=None, outputs=1, version=21, domain="", tolerance=1e-4, extra=(), **attributes):
        self.op, self.inputs, self.sizes, self.arguments, self.constants = op, inputs, sizes, arguments, constants or {}
        self.outputs, self.version, self.domain, self.tolerance, self.extra, self.attributes = outputs, version, domain, tolerance, extra, attributes
        self.order = None

    def taking(self, *order):
        self.order = order
        return self

    def model(self, name):
        order = self.order or [*self.inputs, *self.constants]
        outputs = [f"y{number}" for number in range(self.outputs)]
        node = helper.make_node(self.op, order, outputs, name=name, domain=self.domain, **self.attributes)
        graph = helper.make_graph(
            [*self.extra, node], name, [helper.make_tensor_value_info(n, kind, axes) for n, (axes, kind) in self.inputs.items()],
            [helper.make_tensor_value_info(n, TensorProto.UNDEFINED, None) for n in outputs],
            [numpy_helper.from_array(value, n) for n, value in self.constants.items()])
        for output in graph.output:
            output.type.Clear()
        sets = [helper.make_opsetid("", self.version)] + ([helper.make_opsetid(self.domain, 3 if self.domain == "ai.onnx.ml" else 1)] if self.domain else [])
        return helper.make_model(graph, opset_imports=sets, ir_version=10)


def resizes():
    image, sizes = {"x": (["n", 3, "h", "w"], FLOAT)}, [(1, 5, 7), (2, 8, 4), (1, 1, 3), (1, 16, 9)]
    arguments = lambda s: {"x": normal(s[0], 3, s[1], s[2])}
    for mode in ("nearest", "linear", "cubic"):
        for position in ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel", "half_pixel_symmetric"):
            for label, scales in (("up", [1, 1, 2, 3]), ("part", [1, 1, 1.5, 0.75])):
                # Ties fall differently in f32, and what aligned corners mean for a part of an element is ONNX Runtime's own.
                if label == "part" and (mode == "nearest" or position == "align_corners"):
                    continue
                yield f"resize_{mode}_{position}_{label}", Node(
                    "Resize", image, sizes, arguments, {"scales": np.array(scales, np.float32)}, mode=mode, version=19,
                    coordinate_transformation_mode=position).taking("x", "", "scales")
            yield f"resize_{mode}_{position}_to_sizes", Node(
                "Resize", image, sizes, arguments, {"sizes": np.array([6, 10])}, mode=mode, version=19, axes=[2, 3],
                nearest_mode="floor", coordinate_transformation_mode=position).taking("x", "", "", "sizes")
    for mode in ("linear", "cubic"):
        yield f"resize_{mode}_antialias_to_sizes", Node(
            "Resize", image, [(1, 15, 17), (2, 8, 40), (1, 16, 9)], arguments, {"sizes": np.array([3, 5])}, mode=mode, version=19, axes=[2, 3],
            antialias=1).taking("x", "", "", "sizes")
        yield f"resize_{mode}_antialias_scales", Node(
            "Resize", image, [(1, 15, 17), (2, 8, 40), (1, 16, 9)], arguments, {"scales": np.array([0.4, 0.3], np.float32)}, mode=mode, version=19, axes=[2, 3],
            antialias=1).taking("x", "", "scales")
    other = {**image, "like": (["n", 3, "H", "W"], FLOAT)}
    shape = helper.make_node("Shape", ["like"], ["sizes"])
    for mode in ("nearest", "linear", "cubic"):
        yield f"resize_{mode}_like_another", Node(
            "Resize", other, [(1, 5, 7, 10, 9), (2, 8, 4, 3, 4), (1, 3, 3, 6, 6)],
            lambda s: {"x": normal(s[0], 3, s[1], s[2]), "like": normal(s[0], 3, s[3], s[4])}, mode=mode, version=19, nearest_mode="floor",
            coordinate_transformation_mode="asymmetric", extra=[shape]).taking("x", "", "", "sizes")


def recurrent():
    T, B, I, H = "time", "batch", 5, 4
    for op, gates, state in (("RNN", 1, 1), ("GRU", 3, 1), ("LSTM", 4, 2)):
        for direction in ("forward", "reverse", "bidirectional"):
            D = 2 if direction == "bidirectional" else 1
            constants = {"w": normal(D, gates * H, I), "r": normal(D, gates * H, H), "b": normal(D, 2 * gates * H)}
            sizes = [(7, 3), (1, 1), (12, 2)]
            open_x = {"x": ([T, B, I], FLOAT)}
            with_lengths = {**open_x, "lengths": ([B], INT32), "h": ([D, B, H], FLOAT)}
            order = ["x", "w", "r", "b", "lengths", "h"]
            if op == "LSTM":
                with_lengths["c"] = ([D, B, H], FLOAT)
                order.append("c")
            def lengths(s, D=D):
                return {"x": normal(*s, I), "lengths": random.integers(1, s[0] + 1, s[1]).astype(np.int32),
                        "h": normal(D, s[1], H), "c": normal(D, s[1], H)}
            plain = lambda s: {"x": normal(*s, I)}
            common = dict(outputs=1 + state, hidden_size=H, direction=direction, version=14)
            yield f"{op.lower()}_{direction}", Node(op, open_x, sizes, plain, constants, **common).taking("x", "w", "r", "b")
            yield f"{op.lower()}_{direction}_lengths", Node(op, with_lengths, sizes, lengths, constants, **common).taking(*order)
            yield f"{op.lower()}_{direction}_unrolled", Node(
                op, {"x": ([5, B, I], FLOAT)}, [(3,), (1,)], lambda s: {"x": normal(5, s[0], I)}, constants, **common).taking("x", "w", "r", "b")
            names = {"RNN": ["HardSigmoid"], "GRU": ["HardSigmoid", "ScaledTanh"], "LSTM": ["Sigmoid", "Affine", "LeakyRelu"]}[op] * D
            alphas = {"RNN": [0.3], "GRU": [0.3, 0.8], "LSTM": [0.7, 0.1]}[op] * D
            betas = {"RNN": [0.4], "GRU": [0.4, 0.9], "LSTM": [0.2]}[op] * D
            yield f"{op.lower()}_{direction}_activations", Node(
                op, open_x, sizes, plain, constants, activations=names, activation_alpha=alphas, activation_beta=betas, clip=1.5,
                **common).taking("x", "w", "r", "b")
            if op == "GRU":
                yield f"gru_{direction}_linear", Node(op, with_lengths, sizes, lengths, constants, linear_before_reset=1, **common).taking(*order)
            if op == "LSTM":
                peepholes = {**constants, "p": normal(D, 3 * H)}
                yield f"lstm_{direction}_peepholes", Node(op, with_lengths, sizes, lengths, peepholes, **common).taking(*order, "p")


def windows():
    image, sizes = {"x": (["n", 4, "h", "w"], FLOAT)}, [(1, 9, 7), (2, 8, 12), (1, 5, 5)]
    arguments = lambda s: {"x": normal(s[0], 4, s[1], s[2])}
    for mode in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        pads = {"pads": [0, 1, 2, 1]} if mode == "NOTSET" else {"auto_pad": mode}
        yield f"conv_{mode.lower()}", Node("Conv", image, sizes, arguments, {"w": normal(6, 2, 3, 2), "b": normal(6)}, strides=[2, 1], group=2, **pads)
        yield f"conv_transpose_{mode.lower()}", Node(
            "ConvTranspose", image, sizes, arguments, {"w": normal(4, 3, 3, 2)}, strides=[2, 2], group=2, **pads)
        yield f"max_pool_{mode.lower()}", Node("MaxPool", image, sizes, arguments, outputs=2, version=12, kernel_shape=[3, 3], strides=[2, 2],
                                               **({"pads": [0, 1, 1, 1], "ceil_mode": 1} if mode == "NOTSET" else pads))
        yield f"average_pool_{mode.lower()}", Node("AveragePool", image, sizes, arguments, version=19, kernel_shape=[3, 3], strides=[2, 2],
                                                   **({"pads": [0, 1, 1, 1]} if mode == "NOTSET" else pads))
    yield "global_lp_pool", Node("GlobalLpPool", image, sizes, arguments, p=3)
    yield "fused_conv", Node("FusedConv", image, sizes, arguments, {"w": normal(6, 4, 3, 3), "b": normal(6)}, domain="com.microsoft",
                             activation="LeakyRelu", activation_params=[0.2], pads=[1, 1, 1, 1])


def positions():
    image, sizes = {"x": (["n", 3, "h", "w"], FLOAT)}, [(1, 9, 7), (2, 8, 12)]
    regions = {**image, "rois": (["r", 4], FLOAT), "images": (["r"], INT64)}

    def bounds(s, columns=0):
        count = 4
        corners = random.uniform(0, 1, (count, 2, 2)) * [2 * s[2], 2 * s[1]]
        rois = np.concatenate([corners.min(1), corners.max(1)], 1).astype(np.float32)
        images = random.integers(0, s[0], count)
        if columns:
            return {"x": normal(s[0], 3, s[1], s[2]), "rois": np.concatenate([images[:, None].astype(np.float32), np.round(rois)], 1)}
        return {"x": normal(s[0], 3, s[1], s[2]), "rois": rois, "images": images}
    for mode in ("avg", "max"):
        for ratio in (0, 2):
            for position in ("half_pixel", "output_half_pixel"):
                yield f"roi_align_{mode}_{ratio}_{position}", Node(
                    "RoiAlign", regions, sizes, bounds, version=16, mode=mode, sampling_ratio=ratio, output_height=3, output_width=2,
                    spatial_scale=0.5, coordinate_transformation_mode=position)
    yield "max_roi_pool", Node("MaxRoiPool", {**image, "rois": (["r", 5], FLOAT)}, sizes, lambda s: bounds(s, 5), pooled_shape=[3, 2], spatial_scale=0.5)
    for mode in ("linear", "nearest", "cubic"):
        for padding in ("zeros", "border", "reflection"):
            for aligned in (0, 1):
                yield f"grid_sample_{mode}_{padding}_{aligned}", Node(
                    "GridSample", {**image, "grid": (["n", "a", "b", 2], FLOAT)}, sizes,
                    lambda s: {"x": normal(s[0], 3, s[1], s[2]), "grid": random.uniform(-1.6, 1.6, (s[0], 4, 5, 2)).astype(np.float32)},
                    version=20, mode=mode, padding_mode=padding, align_corners=aligned)


def write(name, node, out):
    model = node.model(name)
    open(f"{out}/{name}.onnx", "wb").write(model.SerializeToString())
    session = onnxruntime.InferenceSession(model.SerializeToString())
    runs = []
    for number, size in enumerate(node.sizes):
        values = {n: v for n, v in node.arguments(size).items() if n in node.inputs}
        results = dict(zip([o.name for o in session.get_outputs()], session.run(None, values)))
        run = {"sizes": list(size), "inputs": {}, "outputs": {}, "tolerances": {}}
        for kind, table in (("inputs", values), ("outputs", results)):
            for port, value in table.items():
                file = f"{name}_{number}_{port}.npy"
                np.save(f"{out}/{file}", value)
                run[kind][port] = file
        run["tolerances"] = {port: node.tolerance for port in results}
        runs.append(run)
    return {"name": name, "file": f"{name}.onnx", "runs": runs}


def export(makers):
    out, wanted = sys.argv[1], sys.argv[2:]
    os.makedirs(out, exist_ok=True)
    listing = []
    for maker in makers:
        for name, node in maker():
            if wanted and not any(text in name for text in wanted):
                continue
            try:
                listing.append(write(name, node, out))
            except Exception as error:
                print(f"{name}: left out, ONNX Runtime can't run it: {str(error).splitlines()[0][:200]}")
    with open(f"{out}/models.json", "w") as file:
        json.dump(listing, file, indent=1)
    print(f"{len(listing)} models")


if __name__ == "__main__":
    export([windows, recurrent, positions, resizes])
