#!/usr/bin/env python3
"""What transformers' ViTModel makes of a picture that its own processor squashes: squashed.ppm and squashed.txt, for pictures.sh.   make_squashed.py

Takes transformers 5, whose processors resize with PIL if asked to (backend="pil"); by default they resize tensors, and every 50th byte is off by one.
"""
import json, pathlib, tempfile, warnings

warnings.simplefilter("ignore")
import numpy as np, torch, transformers
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
CONFIG = {"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}, "resample": 2, "rescale_factor": 1 / 255,
          "image_mean": [0.5, 0.4, 0.6], "image_std": [0.5, 0.3, 0.4]}
h, w = 37, 52
y, x, c = np.meshgrid(np.arange(h), np.arange(w), np.arange(3), indexing="ij")
pixels = (128 + 80 * np.sin(x / (3 + c) + y / 7) + 40 * np.cos(y / (2 + c) - x / 11)).astype(np.uint8)
(HERE / "squashed.ppm").write_bytes(b"P6\n%d %d\n255\n" % (w, h) + pixels.tobytes())
model = transformers.ViTModel.from_pretrained(HERE / "fixtures" / "vit", add_pooling_layer=False).eval()
with tempfile.TemporaryDirectory() as folder:
    (pathlib.Path(folder) / "preprocessor_config.json").write_text(json.dumps(CONFIG))
    processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
with torch.no_grad():
    values = model(processor(Image.fromarray(pixels), return_tensors="pt")["pixel_values"]).last_hidden_state[0, 0]
(HERE / "squashed.txt").write_text(" ".join(f"{v:.7g}" for v in values.tolist()) + "\n")
