"""Writes models of one node each of reductions, products, normalizations, transforms and classical models, whose sizes are open.

Usage: export_numeric_models.py OUT_DIR [TEXT ...]   only models whose names contain one of the texts; all if none is given

OUT_DIR gets models.json as `export_node_models.py` writes it. The options are those that the operators' own tests leave out.
"""
import numpy as np

from export_node_models import FLOAT, INT32, INT64, Node, export, normal, random
from onnx import TensorProto

MICROSOFT, CLASSICAL = "com.microsoft", "ai.onnx.ml"
OPEN, SIZES = {"x": (["a", "b", "c"], FLOAT)}, [(3, 4, 5), (1, 7, 2), (2, 1, 40)]


def cube(s):
    return {"x": np.abs(normal(*s)) + np.float32(0.1)}


def reductions():
    for op in ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare"):
        name = f"reduce_{op.lower()}"
        yield f"{name}_all", Node(f"Reduce{op}", OPEN, SIZES, cube, version=11)
        yield f"{name}_ends", Node(f"Reduce{op}", OPEN, SIZES, cube, version=11, axes=[0, -1], keepdims=0)
        yield f"{name}_input", Node(f"Reduce{op}", OPEN, SIZES, cube, {"axes": np.array([1])}, version=18)
        yield f"{name}_noop", Node(f"Reduce{op}", OPEN, SIZES, cube, version=18, noop_with_empty_axes=1)
        yield f"{name}_integers", Node(f"Reduce{op}", {"x": (["a", "b"], INT32)}, [(3, 4), (1, 9)],
                                       lambda s: {"x": random.integers(1, 5, s).astype(np.int32)}, version=11, axes=[1])
        yield f"{name}_doubles", Node(f"Reduce{op}", {"x": (["a", "b"], TensorProto.DOUBLE)}, [(3, 4), (1, 9)],
                                      lambda s: {"x": np.abs(random.normal(size=s)) + 0.1}, version=11, axes=[-1], tolerance=1e-12)
    for op in ("Softmax", "LogSoftmax", "Hardmax"):
        for version in (9, 11, 13):
            for axis in (0, 1, 2):
                yield f"{op.lower()}_{version}_{axis}", Node(op, OPEN, SIZES, lambda s: {"x": normal(*s)}, version=version, axis=axis)
    for largest in (0, 1):
        yield f"topk_{largest}", Node("TopK", {"x": (["a", "b"], INT64)}, [(3, 40), (1, 7)], lambda s: {"x": random.integers(0, 9, s)},
                                      {"k": np.array([7])}, outputs=2, version=11, largest=largest)
    for last in (0, 1):
        for op in ("ArgMax", "ArgMin"):
            yield f"{op.lower()}_{last}", Node(op, {"x": (["a", "b"], INT32)}, [(3, 40), (1, 7)], lambda s: {"x": random.integers(0, 3, s).astype(np.int32)},
                                               version=13, axis=1, select_last_index=last, keepdims=last)
    for exclusive in (0, 1):
        for reverse in (0, 1):
            yield f"cumsum_{exclusive}{reverse}", Node("CumSum", OPEN, SIZES, cube, {"axis": np.array(1)}, version=14, exclusive=exclusive, reverse=reverse)


def products():
    for batch in (0, 1):
        for trans in (0, 1):
            axes = {(0, 0): ["b", "c", "m", 5], (0, 1): ["b", "c", 5, "m"], (1, 0): ["m", "b", "c", 5], (1, 1): [5, "b", "c", "m"]}[batch, trans]
            def arguments(s, axes=axes):
                sizes = dict(zip("bcm", s))
                return {"x": normal(*[sizes.get(a, a) for a in axes]), "y": normal(*s[:2], 5, 6)}
            yield f"fused_matmul_{batch}{trans}", Node("FusedMatMul", {"x": (axes, FLOAT), "y": (["b", "c", 5, 6], FLOAT)}, [(2, 3, 4), (1, 2, 7)], arguments,
                                                       domain=MICROSOFT, transA=trans, transBatchA=batch, alpha=0.5)
    rows = {"x": (["m", 4], FLOAT)}
    yield "fused_gemm", Node("FusedGemm", rows, [(3,), (1,)], lambda s: {"x": normal(*s, 4)}, {"w": normal(4, 5), "b": normal(5)}, domain=MICROSOFT,
                             activation="LeakyRelu", activation_alpha=0.2, alpha=0.5, beta=2.0)
    yield "gemm_transposed", Node("Gemm", {"x": ([4, "m"], FLOAT)}, [(3,), (1,)], lambda s: {"x": normal(4, *s)}, {"w": normal(5, 4), "b": normal(1, 5)},
                                  transA=1, transB=1, alpha=0.5, beta=0.25)
    for bits, size, depth, zeros in ((4, 32, 64, False), (4, 32, 96, True), (4, 16, 80, True), (8, 32, 64, False)):
        blocks = -(-depth // size)
        constants = {"w": random.integers(0, 256, (8, blocks, size * bits // 8)).astype(np.uint8), "s": normal(8 * blocks)}
        if zeros:
            constants["z"] = random.integers(0, 256, 8 * -(-blocks * bits // 8)).astype(np.uint8)
        yield f"matmul_{bits}_bits_{size}_{zeros}", Node("MatMulNBits", {"x": (["b", "m", depth], FLOAT)}, [(2, 3), (1, 1)],
                                                         lambda s, depth=depth: {"x": normal(*s, depth)}, constants, domain=MICROSOFT, K=depth, N=8, bits=bits,
                                                         block_size=size)
    for equation, shapes in (("ii->i", ["aa"]), ("ii", ["aa"]), ("aij,ajk,akl->ail", ["abc", "acb", "aba"]), ("...ij,...jk->...ik", ["cab", "cba"]),
                             ("...ij,jk", ["cab", "ba"]), ("ahwc,hbc->ahwb", ["abca", "bca"]), ("iji->j", ["aba"]), ("ij,ij,ij->", ["ab", "ab", "ab"])):
        names = "xyz"[:len(shapes)]
        yield "einsum_" + equation.replace(",", "_").replace("->", "_to_").replace("...", "open"), Node(
            "Einsum", {n: (list(shape), FLOAT) for n, shape in zip(names, shapes)}, [(2, 3, 4), (5, 1, 2)],
            lambda s, names=names, shapes=shapes: {n: normal(*[s["abc".index(a)] for a in shape]) for n, shape in zip(names, shapes)},
            version=12, equation=equation)
    for size in (1, 2, 5, 16):
        yield f"det_{size}", Node("Det", {"x": (["a", "b", size, size], FLOAT)}, [(2, 3), (1, 1)], lambda s, size=size: {"x": normal(*s, size, size)})
    yield "det_zeros", Node("Det", {"x": (["a", 3, 3], FLOAT)}, [(2,)], lambda s: {"x": np.array(
        [[[0, 1, 2], [0, 3, 4], [0, 5, 6]], [[0, 1, 2], [1, 0, 3], [4, -3, 8]]], np.float32)})


def normalizations():
    channels = {"scale": normal(6), "shift": normal(6)}
    image, sizes = {"x": (["n", 6, "h", "w"], FLOAT)}, [(2, 3, 5), (1, 8, 1)]
    arguments = lambda s: {"x": normal(s[0], 6, *s[1:])}
    yield "batch", Node("BatchNormalization", image, sizes, arguments, {**channels, "mean": normal(6), "variance": np.abs(normal(6))}, version=15)
    yield "batch_7", Node("BatchNormalization", image, sizes, arguments, {**channels, "mean": normal(6), "variance": np.abs(normal(6))}, version=8)
    yield "instance", Node("InstanceNormalization", image, sizes, arguments, channels, version=6)
    yield "group", Node("GroupNormalization", image, sizes, arguments, channels, version=21, num_groups=3)
    yield "group_18", Node("GroupNormalization", image, sizes, arguments, {"scale": normal(3), "shift": normal(3)}, version=18, num_groups=3)
    yield "lrn", Node("LRN", image, sizes, arguments, version=13, size=5, alpha=0.3, beta=0.6, bias=2.0)
    yield "lp_1", Node("LpNormalization", image, sizes, arguments, version=1, p=1, axis=1)
    words, sizes = {"x": (["b", "s", 8], FLOAT)}, [(2, 3), (1, 9)]
    arguments = lambda s: {"x": normal(*s, 8), "skip": normal(*s, 8)}
    yield "layer", Node("LayerNormalization", words, sizes, arguments, {"scale": normal(8), "shift": normal(8)}, outputs=3, version=17)
    yield "simplified", Node("SimplifiedLayerNormalization", words, sizes, arguments, {"scale": normal(8)}, version=17, stash_type=1)
    pairs = {**words, "skip": (["b", "s", 8], FLOAT)}
    yield "skip", Node("SkipLayerNormalization", pairs, sizes, arguments, {"scale": normal(8), "shift": normal(8), "bias": normal(8)}, domain=MICROSOFT)
    yield "skip_simplified", Node("SkipSimplifiedLayerNormalization", pairs, sizes, arguments, {"scale": normal(8), "bias": normal(8)}, domain=MICROSOFT)
    tables = {"words": normal(9, 8), "positions": normal(16, 8), "segments": normal(2, 8), "scale": normal(8), "shift": normal(8)}
    tokens = {"ids": (["b", "s"], INT32), "types": (["b", "s"], INT32), "mask": (["b", "s"], INT32)}
    yield "embedding", Node("EmbedLayerNormalization", tokens, sizes, lambda s: {"ids": random.integers(0, 9, s).astype(np.int32), "types": random.integers(0, 2, s).astype(
        np.int32), "mask": random.integers(0, 2, s).astype(np.int32)}, tables, outputs=2, domain=MICROSOFT).taking(
        "ids", "types", "words", "positions", "segments", "scale", "shift", "mask")
    yield "cross_entropy", Node("SoftmaxCrossEntropyLoss", {"x": (["n", 5, "d"], FLOAT), "labels": (["n", "d"], INT32)}, [(3, 2), (1, 7)], lambda s: {
        "x": normal(s[0], 5, s[1]), "labels": random.integers(0, 5, s).astype(np.int32)}, {"w": np.abs(normal(5))}, outputs=2, version=13, ignore_index=1)


def transforms():
    # ONNX Runtime loses digits where a length has a great prime factor: those are compared with NumPy by hand.
    for size in (3, 7, 16, 33, 37, 64, 100, 120, 400, 512):
        row = lambda s, size=size: {"x": normal(s[0], size, 2)}
        for inverse in (0, 1):
            yield f"dft_{size}_{inverse}", Node("DFT", {"x": (["n", size, 2], FLOAT)}, [(2,), (1,)], row, version=17, axis=1, inverse=inverse)
        yield f"dft_{size}_onesided", Node("DFT", {"x": (["n", size, 1], FLOAT)}, [(2,), (1,)], lambda s, size=size: {"x": normal(s[0], size, 1)}, version=17,
                                           axis=1, onesided=1)
    yield "dft_open", Node("DFT", {"x": (["n", "m", 2], FLOAT)}, [(2, 8), (1, 15)], lambda s: {"x": normal(*s, 2)}, version=17, axis=1)
    yield "dft_filled", Node("DFT", {"x": (["n", "m", 1], FLOAT)}, [(2, 8), (1, 45)], lambda s: {"x": normal(*s, 1)}, {"length": np.array(32)}, version=17, axis=1)
    for sides in (0, 1):
        yield f"stft_{sides}", Node("STFT", {"x": (["n", "t", 1], FLOAT)}, [(2, 1600), (1, 400)], lambda s: {"x": normal(*s, 1)}, {
            "step": np.array(160), "w": np.hanning(400).astype(np.float32), "length": np.array(400)}, version=17, onesided=sides)


def classical():
    rows, sizes = {"x": (["n", 5], FLOAT)}, [(20,), (1,)]
    arguments = lambda s: {"x": np.round(normal(*s, 5), 1)}
    common = dict(domain=CLASSICAL)
    yield "scaler", Node("Scaler", rows, sizes, arguments, offset=[1.0, 2.0, 3.0, 4.0, 5.0], scale=[0.5, 0.25, 2.0, 1.0, 3.0], **common)
    for norm in ("MAX", "L1", "L2"):
        yield f"normalizer_{norm.lower()}", Node("Normalizer", rows, sizes, arguments, norm=norm, **common)
    numbers = lambda count: [float(value) for value in normal(count)]
    yield "regressor", Node("LinearRegressor", rows, sizes, arguments, coefficients=numbers(10), intercepts=[1.0, 2.0], targets=2, **common)
    for transform in ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"):
        yield f"classifier_{transform.lower()}", Node("LinearClassifier", rows, sizes, arguments, outputs=2, coefficients=numbers(15), intercepts=numbers(3),
                                                      classlabels_ints=[5, 7, 9], post_transform=transform, **common)
    yield "labels", Node("LabelEncoder", {"x": (["n"], INT64)}, [(9,), (1,)], lambda s: {"x": random.integers(0, 4, s)}, keys_int64s=[1, 3], values_floats=[0.5, 1.5],
                         default_float=9.0, **common)
    for kind in ("SUM", "AVERAGE", "MIN", "MAX"):
        yield f"trees_{kind.lower()}", Node("TreeEnsembleRegressor", rows, sizes, arguments, n_targets=1, aggregate_function=kind, **trees("target", 1), **common)
    yield "trees_modes", Node("TreeEnsembleRegressor", rows, sizes, arguments, n_targets=2, base_values=[0.5, 1.5], **trees(
        "target", 2, ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]), **common)
    for transform in ("NONE", "SOFTMAX", "LOGISTIC"):
        for classes, labels in ((1, [3, 5]), (3, [3, 5, 8])):
            yield f"trees_{transform.lower()}_{classes}", Node("TreeEnsembleClassifier", rows, sizes, arguments, outputs=2, classlabels_int64s=labels,
                                                               post_transform=transform, **trees("class", classes), **common)
    yield "ngrams", Node("TfIdfVectorizer", {"x": (["n", "t"], INT64)}, [(3, 9), (1, 5)], lambda s: {"x": random.integers(1, 4, s)}, version=9, mode="IDF",
                         min_gram_length=2, max_gram_length=3, max_skip_count=0, ngram_counts=[0, 3, 7], ngram_indexes=[0, 1, 2, 4, 3, 5],
                         pool_int64s=[1, 2, 3, 1, 2, 3, 3, 1, 2, 3], weights=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])


def trees(kind, targets, modes=("BRANCH_LEQ",), count=4, features=5, depth=3):
    """Attributes of full trees of random splits."""
    nodes, leaves = [], []
    for tree in range(count):
        inner = 2 ** depth - 1
        for number in range(2 * inner + 1):
            leaf = number >= inner
            nodes.append((tree, number, 0 if leaf else int(random.integers(features)), 0.0 if leaf else round(float(normal(1)[0]), 1),
                          "LEAF" if leaf else modes[number % len(modes)], 0 if leaf else 2 * number + 1, 0 if leaf else 2 * number + 2))
            if leaf:
                leaves += [(tree, number, target, float(normal(1)[0])) for target in range(targets)]
    names = ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")
    made = {f"nodes_{name}": list(column) for name, column in zip(names, zip(*nodes))}
    return {**made, **{f"{kind}_{name}": list(column) for name, column in zip(("treeids", "nodeids", "ids", "weights"), zip(*leaves))}}


if __name__ == "__main__":
    export([reductions, products, normalizations, transforms, classical])
