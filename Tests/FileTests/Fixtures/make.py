"""Writes the fixtures with NumPy's and safetensors' own writers: python3 make.py (needs numpy, ml_dtypes and safetensors)."""
import io
import os
import numpy as np
import ml_dtypes
from safetensors.numpy import save_file

os.chdir(os.path.dirname(os.path.abspath(__file__)))
dtypes = {"bool": "?", "i8": "i1", "i16": "i2", "i32": "i4", "i64": "i8", "u8": "u1", "u16": "u2", "u32": "u4", "u64": "u8",
          "f16": "f2", "f32": "f4", "f64": "f8"}


def values(code):
    base = np.arange(-2, 4)
    if code == "?":
        base = base > 0
    elif code[0] == "u":
        base = base + 2
    elif code[0] == "f":
        base = base / 2
    return base.astype(code).reshape(2, 3)


arrays = {name: values(code) for name, code in dtypes.items()}
arrays["scalar"] = np.float32(1.5)
arrays["empty"] = np.zeros((0, 3), "f4")
np.savez("stored.npz", **arrays)
np.savez_compressed("deflated.npz", **arrays)
np.savez_compressed("zeros.npz", zeros=np.zeros((100, 1000), "f4"))
np.save("fortran.npy", np.asfortranarray(np.arange(24, dtype="i4").reshape(2, 3, 4)))
np.save("big.npy", values("f8").astype(">f8"))
np.save("plain.npy", values("f4"))
np.save("complex.npy", np.zeros(2, "c8"))
texts = np.array([["a", "", "日本"], ["é", "😀b", "bc"]])
np.save("text.npy", np.asfortranarray(texts.astype(">U3")))
np.save("bytes.npy", np.char.encode(texts, "utf-8"))
np.save("objects.npy", np.array([{}, []], dtype=object))
np.save("records.npy", np.zeros(2, [("x", "f4"), ("y", "i4")]))
for version in [(2, 0), (3, 0)]:
    with open(f"version{version[0]}.npy", "wb") as file:
        np.lib.format.write_array(file, values("f4"), version=version)
tensors = {name: values(code) for name, code in dtypes.items()}
tensors["bf16"] = values("f4").astype(ml_dtypes.bfloat16)
tensors["scalar"] = np.array(1.5, "f4")
tensors["empty"] = np.zeros((0, 3), "f4")
tensors['quote " \u00e9'] = np.array([7], "u8")
save_file(tensors, "tensors.safetensors", metadata={"format": "np", "line": "a\nb"})
save_file({"x": np.zeros(2, ml_dtypes.float8_e4m3fn)}, "float8.safetensors")
