"""Writes the test suite that the wheel `onnx` holds: a folder for each case, and a manifest of all.

Usage: suite.py FOLDER

FOLDER/KIND/NAME/model.onnx, input_0.npy …, output_0.npy …; a case with several sets of inputs has those after the first in set1, set2 ….
FOLDER/manifest.json: {"onnx": version, "tests": [{"name", "kind", "dir", "rtol", "atol", "ops", "category", "datasets", "inputs", "outputs"}]}.
A value is one of
  {"type": "tensor", "name", "dtype", "shape", "file", "storage"}: storage is "npy", or how NumPy's own types stand for what it lacks:
      "u16-bits", "u8-bits" (one element a byte), "i8-values", "u8-values", "json" (texts in row-major order)
  {"type": "sequence", "name", "elems"}, {"type": "optional", "name", "elem"}, {"type": "absent", "name"}
"""
import glob
import json
import os
import sys
import warnings

warnings.filterwarnings("ignore")
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.loader import DATA_DIR, load_model_tests

# What a case is counted under: the first that applies.
CATEGORIES = [
    ("random", {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}),
    ("image_decoder", {"ImageDecoder"}),
    ("string", {"StringConcat", "StringSplit", "RegexFullMatch", "StringNormalizer", "TfIdfVectorizer"}),
    ("optional", {"Optional", "OptionalHasElement", "OptionalGetElement"}),
    ("sequence", {"SequenceMap", "SequenceInsert", "SequenceAt", "SequenceEmpty", "SequenceConstruct", "SequenceLength", "SequenceErase",
                  "SplitToSequence", "ConcatFromSequence"}),
    ("control_flow", {"If", "Loop", "Scan"}),
    ("quantization", {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"}),
    ("data_dependent_shape", {"NonZero", "Unique", "Compress", "NonMaxSuppression"}),
]
BITS = {"BFLOAT16": (np.uint16, "u16-bits")}
BITS.update({name: (np.uint8, "u8-bits") for name in
             ("FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "FLOAT8E8M0", "FLOAT4E2M1")})
VALUES = {"INT4": np.int8, "INT2": np.int8, "UINT4": np.uint8, "UINT2": np.uint8}


def element_type(array):
    if array.dtype == object or array.dtype.kind in "US":
        return "STRING"
    return TensorProto.DataType.Name(helper.np_dtype_to_tensor_dtype(array.dtype))


def store_tensor(value, folder, stem):
    if isinstance(value, TensorProto):
        kind, array = TensorProto.DataType.Name(value.data_type), numpy_helper.to_array(value)
    else:
        array = np.asarray(value)
        kind = element_type(array)
    entry = {"type": "tensor", "dtype": kind, "shape": list(array.shape)}
    if kind == "STRING":
        texts = [x.decode() if isinstance(x, bytes) else str(x) for x in array.ravel().tolist()]
        with open(os.path.join(folder, stem + ".json"), "w") as file:
            json.dump(texts, file)
        return {**entry, "file": stem + ".json", "storage": "json"}
    storage = "npy"
    if kind in BITS:
        bits, storage = BITS[kind]
        array = np.frombuffer(np.ascontiguousarray(array).tobytes(), bits).reshape(array.shape)
    elif kind in VALUES:
        storage = "i8-values" if VALUES[kind] == np.int8 else "u8-values"
        array = array.astype(VALUES[kind])
    np.save(os.path.join(folder, stem + ".npy"), np.array(array, order="C"))
    return {**entry, "file": stem + ".npy", "storage": storage}


def store(value, kind, folder, stem):
    which = kind.WhichOneof("value") if kind is not None else None
    if which == "optional_type":
        is_empty = value is None or (isinstance(value, list) and len(value) == 1 and value[0] is None)
        return {"type": "optional", "elem": None if is_empty else store(value, kind.optional_type.elem_type, folder, stem)}
    if value is None:
        return {"type": "absent"}
    if which == "sequence_type" or isinstance(value, (list, tuple)):
        inner = kind.sequence_type.elem_type if which == "sequence_type" else None
        return {"type": "sequence", "elems": [store(x, inner, folder, f"{stem}_{i}") for i, x in enumerate(value)]}
    return store_tensor(value, folder, stem)


def operators(nodes, found):
    for node in nodes:
        name = (node.domain + "::" if node.domain else "") + node.op_type
        found[name] = found.get(name, 0) + 1
        for attribute in node.attribute:
            for graph in [attribute.g] * attribute.HasField("g") + list(attribute.graphs):
                operators(graph.node, found)


def category(model, ops):
    domains = {name.split("::")[0] for name in ops if "::" in name}
    for domain, name in (("ai.onnx.ml", "ai.onnx.ml"), ("ai.onnx.preview.training", "training")):
        if domain in domains:
            return name
    inputs = [x.name for x in model.graph.input]
    if "Dropout" in ops and ("t" in inputs or any("training" in x for x in inputs)):
        return "random"
    for name, members in CATEGORIES:
        if members & set(ops):
            return name
    kinds = {TensorProto.DataType.Name(x.type.tensor_type.elem_type) for x in list(model.graph.input) + list(model.graph.output)
             if x.type.HasField("tensor_type")}
    if kinds & {"STRING"}:
        return "string"
    if any(x.type.HasField("optional_type") for x in list(model.graph.input) + list(model.graph.output)):
        return "optional"
    if any(x.type.HasField("sequence_type") for x in list(model.graph.input) + list(model.graph.output)):
        return "sequence"
    return "low_precision" if kinds & (set(BITS) | set(VALUES)) else "plain_tensor"


def load(path, kind):
    with open(path, "rb") as file:
        data = file.read()
    which = kind.WhichOneof("value")
    if which == "sequence_type":
        return numpy_helper.to_list(onnx.SequenceProto.FromString(data))
    if which == "optional_type":
        return numpy_helper.to_optional(onnx.OptionalProto.FromString(data))
    return TensorProto.FromString(data)


def cases():
    """Name, kind, model, sets of (inputs, outputs), rtol, atol; and the inputs that are fed."""
    for case in load_model_tests(kind="node"):
        yield case.name, "node", case.model, case.data_sets, case.rtol, case.atol, list(case.model.graph.input)
    for kind in ("simple", "pytorch-operator", "pytorch-converted"):
        for case in sorted(load_model_tests(kind=kind), key=lambda case: case.name):
            model = onnx.load(os.path.join(case.model_dir, "model.onnx"))
            sets = []
            for folder in sorted(glob.glob(case.model_dir + "/test_data_set*")):
                def read(what, ports):
                    count = len(glob.glob(f"{folder}/{what}_*.pb"))
                    return [load(f"{folder}/{what}_{i}.pb", ports[i].type) for i in range(count)]
                sets.append((read("input", model.graph.input), read("output", model.graph.output)))
            yield case.name, kind, model, sets, case.rtol, case.atol, list(model.graph.input)
    bounds = {}
    for path in glob.glob(DATA_DIR + "/real/*/data.json"):
        with open(path) as file:
            data = json.load(file)
        bounds[data["model_name"]] = data
    for path in sorted(glob.glob(DATA_DIR + "/light/*.onnx")):
        model = onnx.load(path)
        constants = {x.name for x in model.graph.initializer}
        fed = [x for x in model.graph.input if x.name not in constants]
        inputs = []
        for port in fed:
            shape = [x.dim_value if x.HasField("dim_value") else 1 for x in port.type.tensor_type.shape.dim]
            count = int(np.prod(shape))
            inputs.append((np.arange(count) / count).astype(np.float32).reshape(shape))
        outputs = [load(f"{path[:-5]}_output_{i}.pb", x.type) for i, x in enumerate(model.graph.output)]
        name = os.path.basename(path)[len("light_"):-len(".onnx")]
        yield "light_" + name, "light", model, [(inputs, outputs)], bounds[name]["rtol"], bounds[name]["atol"], fed


def main():
    out, tests = sys.argv[1], []
    for name, kind, model, sets, rtol, atol, fed in cases():
        place = os.path.join(out, kind, name)
        os.makedirs(place)
        with open(os.path.join(place, "model.onnx"), "wb") as file:
            file.write(model.SerializeToString())
        ops = {}
        operators(model.graph.node, ops)
        for function in model.functions:
            operators(function.node, ops)
        entry = {"name": name, "kind": kind, "dir": f"{kind}/{name}", "rtol": rtol, "atol": atol, "ops": ops,
                 "category": category(model, ops), "datasets": len(sets)}
        for number, (inputs, outputs) in enumerate(sets):
            folder = place if number == 0 else os.path.join(place, f"set{number}")
            os.makedirs(folder, exist_ok=True)
            stored = {
                "inputs": [{**store(x, fed[i].type, folder, f"input_{i}"), "name": fed[i].name} for i, x in enumerate(inputs)],
                "outputs": [{**store(x, model.graph.output[i].type, folder, f"output_{i}"), "name": model.graph.output[i].name}
                            for i, x in enumerate(outputs)],
            }
            if number == 0:
                entry.update(stored)
        tests.append(entry)
    with open(os.path.join(out, "manifest.json"), "w") as file:
        json.dump({"onnx": onnx.__version__, "tests": tests}, file)
    print(f"{len(tests)} cases in {out}")


if __name__ == "__main__":
    main()
