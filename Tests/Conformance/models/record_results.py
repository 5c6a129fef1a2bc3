"""Writes what ONNX Runtime gives for models of fixed sizes, on random inputs, so that `KilnConformance --models` can compare.

Usage: record_results.py OUT_DIR MODEL.onnx ...

OUT_DIR gets models.json as export_sequence_models.py writes it; the models stay where they are. Needs onnxruntime.
"""
import json
import os
import sys

import numpy as np
import onnxruntime


def record(out, name, file, session, values):
    """The listing's entry of a model: a run for each dictionary of inputs, whose arrays and results are written to `out`."""
    outputs = [port.name for port in session.get_outputs()]
    runs = []
    for number, inputs in enumerate(values):
        run = {"sizes": list(next(iter(inputs.values())).shape), "inputs": {}, "outputs": {}, "tolerances": {}}
        results = dict(zip(outputs, session.run(None, inputs)))
        for kind, arrays in (("inputs", inputs), ("outputs", results)):
            for place, (port, array) in enumerate(arrays.items()):
                run[kind][port] = f"{name}.{number}.{kind}{place}.npy"
                np.save(f"{out}/{run[kind][port]}", array)
        runs.append(run)
    return {"name": name, "file": file, "runs": runs}


def write_listing(out, listing):
    with open(out + "/models.json", "w") as file:
        json.dump(listing, file, indent=1)


def random_inputs(session, seed):
    random = np.random.default_rng(seed)
    inputs = {}
    for port in session.get_inputs():
        if "float" in port.type:
            inputs[port.name] = random.standard_normal(port.shape).astype(np.float32)
        else:
            inputs[port.name] = np.ones(port.shape, np.int64) if "mask" in port.name else random.integers(0, 1000, port.shape)
    return inputs


def main():
    out, listing = sys.argv[1], []
    os.makedirs(out, exist_ok=True)
    for path in sys.argv[2:]:
        session, name = onnxruntime.InferenceSession(path), os.path.splitext(os.path.basename(path))[0]
        listing.append(record(out, name, os.path.relpath(path, out), session, [random_inputs(session, seed) for seed in range(2)]))
        print(name, flush=True)
    write_listing(out, listing)


if __name__ == "__main__":
    main()
