"""Writes models of strings whose sizes are open, with texts of several numbers and lengths and ONNX Runtime's results.

Usage: export_text_models.py OUT_DIR

The models are added to OUT_DIR/models.json, which is as `export_sequence_models.py` writes it; those of the same names are replaced. Where ONNX
Runtime and the reference differ (a text that is empty has one piece; all white space separates words; Gather takes whole rows), the models leave it out.
"""
import json
import os
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

STRING, INT64, FLOAT, BOOL = TensorProto.STRING, TensorProto.INT64, TensorProto.FLOAT, TensorProto.BOOL


def model(nodes, inputs, outputs):
    values = lambda ports: [helper.make_tensor_value_info(name, kind, axes) for name, kind, axes in ports]
    graph = helper.make_graph(nodes, "texts", values(inputs), values(outputs))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 3)], ir_version=10)


def tickets():
    """Lines of text into features: words without stop words, their numbers in a vocabulary, n-grams of them, and what lines look like."""
    vocabulary = ["error", "warning", "disk", "network", "café"]
    strings = lambda name, *values: helper.make_node("Constant", [], [name], value_strings=list(values))
    nodes = [
        helper.make_node("StringSplit", ["lines"], ["words", "counts"], delimiter=" "),
        helper.make_node("LabelEncoder", ["words"], ["numbers"], domain="ai.onnx.ml", keys_strings=vocabulary,
                         values_int64s=list(range(len(vocabulary))), default_int64=-1),
        helper.make_node("TfIdfVectorizer", ["words"], ["grams"], mode="TF", min_gram_length=1, max_gram_length=2, max_skip_count=1,
                         ngram_counts=[0, 2], ngram_indexes=[0, 1, 2], pool_strings=["disk", "café", "disk", "error"]),
        helper.make_node("RegexFullMatch", ["lines"], ["isCoded"], pattern=r"\[(\d{2,3}|[A-F]\p{L}*)\] .*"),
        strings("prefix", "line ", "> "),
        helper.make_node("Unsqueeze", ["lines", "last"], ["column"]),
        helper.make_node("Constant", [], ["last"], value_ints=[1]),
        helper.make_node("StringConcat", ["prefix", "column"], ["quoted"]),
        helper.make_node("Equal", ["lines", "mark"], ["isMark"]),
        strings("mark", "--"),
        helper.make_node("Where", ["isMark", "mark", "owners"], ["chosen"]),
    ]
    order = sorted(nodes, key=lambda node: node.op_type != "Constant")
    return model(order, [("lines", STRING, ["n"]), ("owners", STRING, ["n"])],
                 [("words", STRING, None), ("counts", INT64, None), ("numbers", INT64, None), ("grams", FLOAT, None), ("isCoded", BOOL, None),
                  ("quoted", STRING, None), ("chosen", STRING, None)]), [
        [["[12] disk error", "--"], ["ann", "日本"]],
        [["disk", "warning café  disk full x error", "[Éa] x", "[Bé] café", "[1] disk", "--"], ["", "b", "c", "d", "a longer owner", "e"]],
        [["x"], ["y"]],
    ]


def names():
    """A list of words without some, in small letters."""
    node = helper.make_node("StringNormalizer", ["x"], ["y"], case_change_action="LOWER", is_case_sensitive=0, stopwords=["the", "of"], locale="C")
    return model([node], [("x", STRING, ["n"])], [("y", STRING, None)]), [
        [["The", "Name", "OF", "the", "Rose"]], [["the"]], [["A", "bCd"]], [["OF", "x", "of", "LONGEST"]],
    ]


def flow():
    """Strings through branches, loops and sequences."""
    port, node = helper.make_tensor_value_info, helper.make_node
    longer = helper.make_graph([node("StringConcat", ["first", "mark"], ["long"])], "then", [], [port("long", STRING, None)])
    same = helper.make_graph([node("Identity", ["first"], ["own"])], "else", [], [port("own", STRING, None)])
    row = helper.make_graph([node("Identity", ["row"], ["next"]), node("Equal", ["row", "state"], ["repeats"]),
                             node("Where", ["repeats", "mark", "row"], ["marked"])], "row", [port("state", STRING, ["k"]), port("row", STRING, ["k"])],
                            [port("next", STRING, ["k"]), port("marked", STRING, ["k"]), port("repeats", BOOL, ["k"])])
    turn = helper.make_graph([node("Identity", ["goes"], ["on"]), node("Gather", ["list", "order"], ["turned"]), node("Identity", ["turned"], ["seen"])], "turn",
                             [port("i", INT64, []), port("goes", BOOL, []), port("list", STRING, ["k"])],
                             [port("on", BOOL, []), port("turned", STRING, ["k"]), port("seen", STRING, ["k"])])
    nodes = [
        node("Constant", [], ["mark"], value_strings=["!"]),
        node("Constant", [], ["rounds"], value_int=12),
        node("Constant", [], ["zero"], value_ints=[0]),
        node("Constant", [], ["one"], value_ints=[1]),
        node("Slice", ["x", "zero", "one"], ["firstRow"]),
        node("Squeeze", ["firstRow", "zero"], ["first"]),
        node("Constant", [], ["awaited"], value_string="on"),
        node("Equal", ["switch", "awaited"], ["isOn"]),
        node("If", ["isOn"], ["branched"], then_branch=longer, else_branch=same),
        node("Scan", ["first", "x"], ["last", "marked", "repeats"], body=row, num_scan_inputs=1, scan_output_axes=[-1, 0]),
        node("Loop", ["rounds", "", "first"], ["turned", "turns"], body=turn),
        node("SequenceConstruct", ["first", "branched", "turned"], ["all"]),
        node("ConcatFromSequence", ["all"], ["together"], axis=-1, new_axis=1),
    ]
    return model(nodes, [("x", STRING, ["n", "k"]), ("order", INT64, ["k"]), ("switch", STRING, [])],
                 [("branched", STRING, None), ("last", STRING, None), ("marked", STRING, None), ("repeats", BOOL, None), ("turned", STRING, None),
                  ("turns", STRING, None), ("together", STRING, None)]), [
        [[["a", "longer"], ["a", "b"], ["日", "b"]], [1, 0], "on"],
        [[["é", "", "x"]], [2, 0, 1], "off"],
    ]


def main():
    out = sys.argv[1]
    made = []
    for name, make in (("texts_tickets", tickets), ("texts_names", names), ("texts_flow", flow)):
        proto, runs = make()
        with open(f"{out}/{name}.onnx", "wb") as file:
            file.write(proto.SerializeToString())
        session = onnxruntime.InferenceSession(proto.SerializeToString())
        entry = {"name": name, "file": f"{name}.onnx", "runs": []}
        for number, texts in enumerate(runs):
            values = {port.name: np.array(given, dtype=np.int64 if port.type == "tensor(int64)" else object) for port, given in zip(session.get_inputs(), texts)}
            results = dict(zip([port.name for port in session.get_outputs()], session.run(None, values)))
            run = {"sizes": list(np.shape(texts[0])), "inputs": {}, "outputs": {}, "tolerances": {}}
            for key, part in (("inputs", values), ("outputs", results)):
                for port, value in part.items():
                    file = f"{name}.{number}.{port}.npy"
                    np.save(f"{out}/{file}", value.astype(str) if value.dtype == object else value)
                    run[key][port] = file
            entry["runs"].append(run)
        made.append(entry)
        print(f"{name}: {len(runs)} sizes", flush=True)
    listing = []
    if os.path.exists(f"{out}/models.json"):
        with open(f"{out}/models.json") as file:
            listing = [entry for entry in json.load(file) if entry["name"] not in {entry["name"] for entry in made}]
    with open(f"{out}/models.json", "w") as file:
        json.dump(listing + made, file, indent=1)


if __name__ == "__main__":
    main()
