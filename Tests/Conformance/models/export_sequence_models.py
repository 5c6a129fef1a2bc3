"""Writes transformer models whose batch, sequence and cache are dynamic, with inputs of several sizes and ONNX Runtime's results.

Usage: export_sequence_models.py OUT_DIR [NAME ...]

OUT_DIR gets models.json, a list of models: their file, and for each run its sizes, the .npy files of its inputs and outputs by name,
and the relative tolerance of each output: 1e-4, or 1e-3 where ONNX Runtime's f32 differs by more than 1e-4 from PyTorch's f64.
`KilnConformance --models OUT_DIR` compiles each model once and compares every run.

Weights are random with a fixed seed. The models named optimum_* need Hugging Face's exporter (`pip install optimum-onnx`), and are left
out where it can't be imported.
"""
import copy
import json
import os
import sys
import tempfile
import warnings

import numpy as np
import onnxruntime
import torch
import transformers
from transformers.cache_utils import DynamicCache

warnings.filterwarnings("ignore")

LAYERS, HEADS, GROUPS, SIZE, WORDS = 2, 4, 2, 64, 128
DECODER_SIZES = [(2, 3, 5), (1, 1, 7), (3, 4, 0), (1, 6, 2), (4, 1, 33)]
ENCODER_SIZES = [(2, 5), (1, 1), (3, 17), (1, 64)]


class Decoder(torch.nn.Module):
    """A small decoder: the cache comes in and goes out as tensors."""

    def __init__(self, kind, attention):
        super().__init__()
        config = {"vocab_size": WORDS, "initializer_range": 0.2, "attn_implementation": attention}
        if kind == "gpt2":
            config |= {"n_embd": SIZE, "n_layer": LAYERS, "n_head": HEADS, "n_positions": 256}
        else:
            config |= {"hidden_size": SIZE, "intermediate_size": 2 * SIZE, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
                       "num_key_value_heads": GROUPS, "head_dim": SIZE // HEADS, "max_position_embeddings": 256}
        if kind == "gemma2":
            # Caps on scores and results; every other layer sees a window.
            config |= {"sliding_window": 8, "attn_logit_softcapping": 5.0, "final_logit_softcapping": 3.0, "query_pre_attn_scalar": 16}
        models = {"llama": transformers.LlamaForCausalLM, "gpt2": transformers.GPT2LMHeadModel, "qwen3": transformers.Qwen3ForCausalLM,
                  "gemma2": transformers.Gemma2ForCausalLM, "olmo2": transformers.Olmo2ForCausalLM}
        self.model = models[kind](models[kind].config_class(**config))
        self.groups = HEADS if kind == "gpt2" else GROUPS

    def forward(self, input_ids, attention_mask, position_ids, *past):
        cache = DynamicCache()
        for layer in range(LAYERS):
            cache.update(past[2 * layer], past[2 * layer + 1], layer)
        result = self.model(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids, past_key_values=cache, use_cache=True)
        return (result.logits, *[part for layer in result.past_key_values.layers for part in (layer.keys, layer.values)])

    inputs = ["input_ids", "attention_mask", "position_ids"] + [f"past_key_values.{i}.{p}" for i in range(LAYERS) for p in ("key", "value")]
    outputs = ["logits"] + [f"present.{i}.{p}" for i in range(LAYERS) for p in ("key", "value")]
    sizes = DECODER_SIZES

    def arguments(self, size, seed=0):
        batch, tokens, past = size
        random = np.random.default_rng(seed)
        mask = np.ones((batch, past + tokens), np.int64)
        for row in range(1, batch):
            mask[row, :min(row, past)] = 0  # padding on the left
        cache = [random.normal(size=(batch, self.groups, past, SIZE // HEADS)).astype(np.float32) for _ in range(2 * LAYERS)]
        return [random.integers(0, WORDS, (batch, tokens)), mask, np.tile(np.arange(past, past + tokens), (batch, 1)), *cache]

    @staticmethod
    def axes():
        """For each input, the names of its dynamic axes."""
        return [{0: "batch", 1: "sequence"}, {0: "batch", 1: "total"}, {0: "batch", 1: "sequence"}] + [{0: "batch", 2: "past"}] * (2 * LAYERS)


class Encoder(torch.nn.Module):
    """A small BERT."""

    def __init__(self, kind, attention):
        super().__init__()
        self.model = transformers.BertModel(transformers.BertConfig(
            vocab_size=WORDS, hidden_size=SIZE, num_hidden_layers=LAYERS, num_attention_heads=HEADS, intermediate_size=2 * SIZE,
            max_position_embeddings=256, attn_implementation=attention, initializer_range=0.2))

    def forward(self, input_ids, attention_mask, token_type_ids):
        result = self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
        return result.last_hidden_state, result.pooler_output

    inputs = ["input_ids", "attention_mask", "token_type_ids"]
    outputs = ["last_hidden_state", "pooler_output"]
    sizes = ENCODER_SIZES

    def arguments(self, size, seed=0):
        batch, tokens = size
        random = np.random.default_rng(seed)
        mask = np.ones((batch, tokens), np.int64)
        for row in range(1, batch):
            mask[row, tokens - min(row, tokens - 1):] = 0
        return [random.integers(0, WORDS, (batch, tokens)), mask, random.integers(0, 2, (batch, tokens))]

    @staticmethod
    def axes():
        return [{0: "batch", 1: "sequence"}] * 3


def export(model, path, dynamo):
    """Writes a model with PyTorch's exporter: the newer one, which traces symbols, or the older."""
    example = tuple(torch.from_numpy(a) for a in model.arguments(model.sizes[0], seed=7))
    if dynamo:
        automatic = [{axis: torch.export.Dim.AUTO for axis in axes} for axes in model.axes()]
        shapes = tuple(automatic[:3]) + ((tuple(automatic[3:]),) if len(automatic) > 3 else ())
        torch.onnx.export(model, example, path, dynamo=True, external_data=False, verbose=False, input_names=model.inputs,
                          output_names=model.outputs, dynamic_shapes=shapes)
    else:
        torch.onnx.export(model, example, path, opset_version=17, dynamo=False, input_names=model.inputs, output_names=model.outputs,
                          dynamic_axes=dict(zip(model.inputs, model.axes())))


def export_optimum(model, path):
    from optimum.exporters.onnx import main_export

    task = "text-generation-with-past" if isinstance(model, Decoder) else "feature-extraction"
    with tempfile.TemporaryDirectory() as folder:
        model.model.save_pretrained(folder)
        main_export(folder, output=folder + "/onnx", task=task, do_validation=False, no_post_process=True)
        os.replace(folder + "/onnx/model.onnx", path)


def makers():
    table = {}
    kinds = {"llama": Decoder, "bert": Encoder, "gpt2": Decoder, "qwen3": Decoder, "gemma2": Decoder, "olmo2": Decoder}
    for kind, module in kinds.items():
        for attention in ("eager", "sdpa") if kind != "gemma2" else ("eager",):
            for dynamo in (False, True):
                name = f"{kind}_{attention}" + ("_dynamo" if dynamo else "")
                table[name] = (lambda m=module, k=kind, a=attention: m(k, a), lambda model, path, d=dynamo: export(model, path, d))
        if kind in ("llama", "bert"):
            table[f"optimum_{kind}"] = (lambda m=module, k=kind: m(k, "sdpa"), export_optimum)
    return table


def difference(a, b):
    """The greatest difference, relative to the greatest magnitude."""
    return float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-30)) if a.size else 0.0


def runs(model, name, out):
    session = onnxruntime.InferenceSession(f"{out}/{name}.onnx")
    exact = copy.deepcopy(model).double()
    names = [output.name for output in session.get_outputs()]
    for number, size in enumerate(model.sizes):
        values = dict(zip(model.inputs, model.arguments(size)))
        values = {port.name: values[port.name] for port in session.get_inputs()}
        results = session.run(None, values)
        with torch.no_grad():
            arguments = [torch.from_numpy(a) for a in model.arguments(size)]
            wide = exact(*[a.double() if a.is_floating_point() else a for a in arguments])
        wide = {n: w.numpy() for n, w in zip(model.outputs, wide)}
        run = {"sizes": size, "inputs": {}, "outputs": {}, "tolerances": {}}
        for key, part in (("inputs", values), ("outputs", dict(zip(names, results)))):
            for port, value in part.items():
                file = f"{name}.{number}.{port}.npy"
                np.save(f"{out}/{file}", value)
                run[key][port] = file
        for port, value in zip(names, results):
            run["tolerances"][port] = 1e-3 if difference(value, wide[port]) > 1e-4 else 1e-4
        yield run


def main():
    out, wanted = sys.argv[1], sys.argv[2:]
    os.makedirs(out, exist_ok=True)
    listing = []
    for name, (make, write) in makers().items():
        if wanted and name not in wanted:
            continue
        torch.manual_seed(0)
        model = make().eval()
        try:
            write(model, f"{out}/{name}.onnx")
        except ImportError as error:
            print(f"{name}: left out, {error}", flush=True)
            continue
        listing.append({"name": name, "file": f"{name}.onnx", "runs": list(runs(model, name, out))})
        print(f"{name}: {len(listing[-1]['runs'])} sizes", flush=True)
    with open(f"{out}/models.json", "w") as file:
        json.dump(listing, file, indent=1)


if __name__ == "__main__":
    main()
