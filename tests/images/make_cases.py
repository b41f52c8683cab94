#!/usr/bin/env python3
"""Writes picture files and the pixels that PIL reads from them, for test_images to compare with.   make_cases.py FOLDER

FOLDER/files/*; FOLDER/decode.txt: a line "KIND ORIENT FILE PIXELS" for each comparison: KIND same, refused (Bittern refuses, PIL may not) or either (PIL
refuses: Bittern may); ORIENT 0 or 1: orientation ignored or applied; PIXELS: height and width of 8 bytes each, then (height, width, 3).
"""
import io, os, pathlib, struct, sys, warnings

import numpy as np
import PIL
from PIL import Image, ImageOps

import files

warnings.simplefilter("ignore")
ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = pathlib.Path(os.environ.get("BITTERN_DATA") or ROOT.parent / "shared" / "data")
NEW = int(PIL.__version__.split(".")[0]) >= 10


def rgb(content, orient):
    image = Image.open(io.BytesIO(content))
    tiff = image.format == "TIFF"  # its orientation is applied by load(); Pillow 9's exif_transpose would do it twice
    return ImageOps.exif_transpose(image).convert("RGB") if orient and not tiff else image.convert("RGB")


def raw(image):
    values = np.asarray(image, np.uint8)
    return struct.pack("<qq", *values.shape[:2]) + values.tobytes()


def main():
    folder = pathlib.Path(sys.argv[1])
    (folder / "files").mkdir(parents=True, exist_ok=True)
    counts = {}
    with open(folder / "decode.txt", "w") as out:
        for name, content, kind in files.each():
            (folder / "files" / name).write_bytes(content)
            for orient in (0, 1):
                pixels, found = "-", kind
                if kind in ("same", "newer", "ignored"):
                    found = "same" if NEW or kind != "newer" else "either"
                    try:
                        image = rgb(content, orient and kind != "ignored")
                        pixels = f"files/{name}.{orient}"
                        (folder / pixels).write_bytes(raw(image))
                    except Exception as reason:
                        found = "either"
                        print(f"PIL refuses {name}: {type(reason).__name__}: {reason}")
                counts[found] = counts.get(found, 0) + 1
                out.write(f"{found} {orient} files/{name} {pixels}\n")
        photographs = sorted((DATA / "coco_captions" / "images").glob("*.jpg"))[:60]
        for number, path in enumerate(photographs):
            content = path.read_bytes()
            (folder / "files" / path.name).write_bytes(content)
            (folder / "files" / f"{path.name}.0").write_bytes(raw(rgb(content, 0)))
            out.write(f"same 0 files/{path.name} files/{path.name}.0\n")
    print(f"Pillow {PIL.__version__}: {counts}, {len(photographs)} photographs")


main()
