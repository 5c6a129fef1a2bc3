"""Writes quantized models with inputs of several sizes and ONNX Runtime's results: one operator each, and a small network that its
tools have quantized in each of their formats.

Usage: export_quantized_operators.py OUT_DIR [NAME ...]

OUT_DIR gets models.json as export_sequence_models.py writes it. Batches are open. Quantized results may differ by one step where the
two round a tie, or what is all but one, differently.
"""
import json
import os
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from onnxruntime import quantization

BATCHES = [2, 1, 5]
STEPS = {np.dtype("uint8"): 1, np.dtype("int8"): 1}


def f32(*values):
    return np.array(values[0] if len(values) == 1 else values, np.float32)


class Node:
    """An operator with inputs, each the shape behind the batch or a constant, and its outputs' element types."""

    def __init__(self, op, inputs, results, domain="com.microsoft", **attributes):
        self.op, self.inputs, self.results, self.domain, self.attributes = op, inputs, results, domain, attributes

    def model(self, name):
        ports, constants = [], []
        for number, part in enumerate(self.inputs):
            if isinstance(part, np.ndarray):
                constants.append(numpy_helper.from_array(part, f"i{number}"))
            elif part is not None:
                ports.append(helper.make_tensor_value_info(f"i{number}", helper.np_dtype_to_tensor_dtype(np.dtype(part[0])), ["batch", *part[1:]]))
        names = ["" if part is None else f"i{number}" for number, part in enumerate(self.inputs)]
        outputs = [helper.make_tensor_value_info(f"o{n}", helper.np_dtype_to_tensor_dtype(np.dtype(t)), None) for n, t in enumerate(self.results)]
        node = helper.make_node(self.op, names, [o.name for o in outputs], name=name, domain=self.domain, **self.attributes)
        graph = helper.make_graph([node], name, ports, outputs, constants)
        return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)])

    def values(self, batch, random):
        return {f"i{number}": drawn(random, part[0], [batch, *part[1:]])
                for number, part in enumerate(self.inputs) if isinstance(part, tuple)}


def drawn(random, dtype, shape):
    dtype = np.dtype(dtype)
    if dtype == np.float32:
        return random.normal(size=shape).astype(dtype)
    if dtype == bool:
        return random.random(shape) > 0.5
    return random.integers(np.iinfo(dtype).min, np.iinfo(dtype).max + 1, shape).astype(dtype)


def table():
    random, nodes = np.random.default_rng(0), {}
    for dtype, points in (("uint8", (120, 130, 10)), ("int8", (3, -5, 7))):
        a, b, y = (np.array(point, dtype) for point in points)
        columns = f32(0.01, 0.02, 0.03, 0.04, 0.05)
        many = np.full(5, points[1], dtype)
        image = [(dtype, 3, 7, 8), f32(0.03), a, f32(0.01), y]
        made = {
            "add": Node("QLinearAdd", [(dtype, 4, 5), f32(0.02), a, (dtype, 4, 1), f32(0.03), b, f32(0.05), y], [dtype]),
            "mul": Node("QLinearMul", [(dtype, 4, 5), f32(0.02), a, (dtype, 1, 5), f32(0.03), b, f32(0.09), y], [dtype]),
            "sigmoid": Node("QLinearSigmoid", image, [dtype]),
            "leaky_relu": Node("QLinearLeakyRelu", image, [dtype], alpha=0.1),
            "global_average": Node("QLinearGlobalAveragePool", image, [dtype]),
            "average": Node("QLinearAveragePool", image, [dtype], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
            "average_up": Node("QLinearAveragePool", image, [dtype], kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1),
            "softmax": Node("QLinearSoftmax", image[:3] + [f32(1 / 256), np.array(np.iinfo(dtype).min, dtype)], [dtype], axis=1, opset=13),
            "softmax_old": Node("QLinearSoftmax", image[:3] + [f32(1 / 256), np.array(np.iinfo(dtype).min, dtype)], [dtype], axis=1, opset=12),
            "concat": Node("QLinearConcat", [f32(0.02), y, (dtype, 3), f32(0.01), a, (dtype, 4), f32(0.03), b], [dtype], axis=1),
            "where": Node("QLinearWhere", [("bool", 4), (dtype, 4), f32(0.01), a, (dtype, 4), f32(0.03), b, f32(0.02), y], [dtype]),
            "gemm": Node("QGemm", [(dtype, 8), f32(0.01), a, drawn(random, dtype, [5, 8]), f32(0.03), b,
                                   random.integers(-1000, 1000, 5).astype(np.int32), f32(0.2), y], [dtype], transB=1, alpha=0.5),
            "gemm_real": Node("QGemm", [(dtype, 8), f32(0.01), a, drawn(random, dtype, [5, 8]), columns, many, None], ["float32"], transB=1),
            "dynamic_product": Node("DynamicQuantizeMatMul", [("float32", 3, 8), drawn(random, dtype, [8, 5]), columns, many, columns], ["float32"]),
            "product_to_float": Node("MatMulIntegerToFloat", [(dtype, 3, 8), drawn(random, dtype, [8, 5]), f32(0.02), columns, a, many], ["float32"]),
            "product": Node("QLinearMatMul", [(dtype, 6), f32(0.02), a, drawn(random, dtype, [6, 5]), columns, many, f32(0.1), y], [dtype], domain=""),
            "convolution": Node("QLinearConv", [(dtype, 4, 9, 8), f32(0.02), a, drawn(random, "int8", [6, 2, 3, 3]), drawn(random, "float32", [6]) ** 2 * f32(0.01),
                                                np.zeros(6, np.int8), f32(0.1), y, random.integers(-1000, 1000, 6).astype(np.int32)], [dtype],
                                domain="", pads=[1, 0, 2, 1], strides=[2, 1], group=2),
        }
        nodes |= {f"{name}_{dtype}": node for name, node in made.items()}
    for bits, block, depth, points in [(4, 16, 32, False), (4, 16, 32, True), (4, 32, 40, True), (8, 16, 32, True)]:
        blocks = -(-depth // block)
        inputs = [("float32", 3, depth), drawn(random, "uint8", [6, blocks, block * bits // 8]), random.random(6 * blocks).astype(np.float32)]
        if points:
            inputs.append(drawn(random, "uint8", [6 * ((blocks * bits + 7) // 8)]))
        nodes[f"packed_{bits}_{block}_{depth}_{points}".lower()] = Node("MatMulNBits", inputs, ["float32"], K=depth, N=6, bits=bits, block_size=block)
    for name in ("Gelu", "FastGelu", "QuickGelu", "BiasGelu"):
        bias = [f32(0.1, -0.2, 0.3, 0.4)] if name in ("FastGelu", "BiasGelu") else []
        nodes[name.lower()] = Node(name, [("float32", 3, 4), *bias], ["float32"])
    return nodes


def network():
    """Convolutions with a shortcut, pools and a product."""
    random = np.random.default_rng(1)
    shapes = {"w1": [8, 3, 3, 3], "b1": [8], "w2": [8, 8, 3, 3], "b2": [8], "w3": [8, 10], "b3": [10]}
    weights = [numpy_helper.from_array((random.normal(size=shape) * 0.3).astype(np.float32), name) for name, shape in shapes.items()]
    nodes = [helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], name="conv1", pads=[1] * 4), helper.make_node("Relu", ["c1"], ["r1"], name="relu1"),
             helper.make_node("AveragePool", ["r1"], ["p1"], name="pool1", kernel_shape=[2, 2], strides=[2, 2]),
             helper.make_node("Conv", ["p1", "w2", "b2"], ["c2"], name="conv2", pads=[1] * 4), helper.make_node("Add", ["c2", "p1"], ["s2"], name="add2"),
             helper.make_node("Sigmoid", ["s2"], ["g2"], name="sigmoid2"), helper.make_node("GlobalAveragePool", ["g2"], ["m2"], name="mean2"),
             helper.make_node("Flatten", ["m2"], ["f3"], name="flat3"), helper.make_node("MatMul", ["f3", "w3"], ["d3"], name="dense3"),
             helper.make_node("Add", ["d3", "b3"], ["y"], name="bias3")]
    graph = helper.make_graph(nodes, "network", [helper.make_tensor_value_info("x", 1, ["batch", 3, 16, 16])],
                              [helper.make_tensor_value_info("y", 1, ["batch", 10])], weights)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


class Samples(quantization.CalibrationDataReader):
    def __init__(self):
        self.values = iter([{"x": np.random.default_rng(n).normal(size=[4, 3, 16, 16]).astype(np.float32)} for n in range(4)])

    def get_next(self):
        return next(self.values, None)


def networks():
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(network(), f"{folder}/plain.onnx")
        for name, form in (("network_operators", quantization.QuantFormat.QOperator), ("network_pairs", quantization.QuantFormat.QDQ)):
            quantization.quantize_static(f"{folder}/plain.onnx", f"{folder}/{name}.onnx", Samples(), form, per_channel=True)
            yield name, onnx.load(f"{folder}/{name}.onnx")
        quantization.quantize_dynamic(f"{folder}/plain.onnx", f"{folder}/dynamic.onnx")
        yield "network_dynamic", onnx.load(f"{folder}/dynamic.onnx")


def main():
    out, wanted = sys.argv[1], sys.argv[2:]
    os.makedirs(out, exist_ok=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    models = [(name, node.model(name), node.values, None) for name, node in table().items()]
    # A step of a quantized value inside moves the result by more than f32 does.
    models += [(name, model, lambda batch, random: {"x": drawn(random, "float32", [batch, 3, 16, 16])}, 2e-2) for name, model in networks()]
    listing = []
    for name, model, values, tolerance in models:
        if wanted and name not in wanted:
            continue
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        random, runs = np.random.default_rng(2), []
        for number, batch in enumerate(BATCHES):
            inputs = values(batch, random)
            outputs = dict(zip([o.name for o in session.get_outputs()], session.run(None, inputs)))
            run = {"sizes": [batch], "inputs": {}, "outputs": {}, "tolerances": {}}
            for key, part in (("inputs", inputs), ("outputs", outputs)):
                for port, value in part.items():
                    np.save(f"{out}/{name}.{number}.{port}.npy", value)
                    run[key][port] = f"{name}.{number}.{port}.npy"
            for port, value in outputs.items():
                step = STEPS.get(value.dtype, 0) / max(int(np.abs(value.astype(np.int64)).max()), 1)
                run["tolerances"][port] = tolerance or step * 1.001 or 1e-4
            runs.append(run)
        onnx.save(model, f"{out}/{name}.onnx")
        listing.append({"name": name, "file": f"{name}.onnx", "runs": runs})
    with open(f"{out}/models.json", "w") as file:
        json.dump(listing, file, indent=1)
    print(f"{len(listing)} models")


if __name__ == "__main__":
    main()
