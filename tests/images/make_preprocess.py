#!/usr/bin/env python3
"""Views of pictures as timm, open_clip and transformers make them, for test_images_preprocess to compare with.   make_preprocess.py FOLDER

Each of CONFIGS is a configuration file as a library writes it. Where the library is installed its own transform makes the views; else they are made here
from PIL's resize and crop by the library's rules. The output says which. (build/venv: python3 -m venv --system-site-packages build/venv;
build/venv/bin/pip install --no-deps timm open_clip_torch transformers and what they import; BITTERN_PYTHON=build/venv/bin/python ctest -L images.)

FOLDER/preprocess.txt: a line "KIND LIBRARY CONFIG FILE PIXELS": KIND same, or refused where PIL cannot make the view.
"""
import io, json, math, os, pathlib, struct, sys, warnings

import numpy as np
import PIL
from PIL import Image

import files

warnings.simplefilter("ignore")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = pathlib.Path(os.environ.get("BITTERN_DATA") or ROOT.parent / "shared" / "data")
if int(PIL.__version__.split(".")[0]) >= 13:
    print("skipped: Pillow 13 resizes down the columns first where it finds that cheaper; docs/augmentation.md")
    sys.exit(77)

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
CLIP = {"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}


def timm(size, **more):
    return {"architecture": "vit_small_patch16_224", "num_classes": 0, "pretrained_cfg": IMAGENET | {"input_size": [3, *size], "fixed_input_size": True} | more}


def clip(size, **more):
    return {"model_cfg": {"embed_dim": 64, "vision_cfg": {"image_size": size, "layers": 2}}, "preprocess_cfg": IMAGENET | more}


CONFIGS = [
    ("timm", timm((48, 48), crop_pct=0.9, interpolation="bicubic", crop_mode="center")),
    ("timm", timm((48, 48), crop_pct=0.875, interpolation="bilinear")),
    ("timm", timm((48, 48), crop_pct=1.0, interpolation="bicubic")),
    ("timm", timm((49, 49), crop_pct=0.95, interpolation="bicubic")),
    ("timm", timm((48, 48))),
    ("timm", timm((40, 56), crop_pct=0.9, interpolation="bicubic")),
    ("timm", timm((48, 48), crop_pct=0.9, crop_mode="squash", interpolation="bicubic")),
    ("timm", timm((40, 57), crop_pct=0.93, crop_mode="squash", interpolation="bilinear")),
    ("timm", timm((48, 48), crop_pct=1.0, crop_mode="border", interpolation="bicubic")),
    ("timm", timm((41, 48), crop_pct=0.8, crop_mode="border", interpolation="bilinear")),
    ("timm", timm((48, 48), crop_pct=1.3, crop_mode="center", interpolation="bicubic")),
    ("timm", timm((224, 224), crop_pct=0.9, interpolation="bicubic")),
    ("open_clip", clip(48, interpolation="bicubic", resize_mode="shortest")),
    ("open_clip", clip(49, interpolation="bilinear", resize_mode="shortest")),
    ("open_clip", clip(48, interpolation="bicubic", resize_mode="longest")),
    ("open_clip", clip(51, interpolation="bilinear", resize_mode="longest", fill_color=127)),
    ("open_clip", clip(48, interpolation="bicubic", resize_mode="squash")),
    ("open_clip", clip([40, 55], interpolation="bicubic", resize_mode="shortest")),
    ("open_clip", clip([40, 55], interpolation="bicubic", resize_mode="longest")),
    ("open_clip", clip([40, 55], interpolation="bilinear", resize_mode="squash")),
    ("open_clip", clip(48)),
    ("open_clip", clip(224, interpolation="bicubic", resize_mode="shortest")),
    ("transformers", {"image_processor_type": "BitImageProcessor", "do_resize": True, "size": {"shortest_edge": 56}, "resample": 3, "do_center_crop": True,
                      "crop_size": {"height": 49, "width": 49}, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "do_convert_rgb": True} | CLIP),
    ("transformers", {"feature_extractor_type": "CLIPFeatureExtractor", "size": 48, "resample": 3, "crop_size": 48, "do_center_crop": True, "do_resize": True,
                      "do_normalize": True} | CLIP),
    ("transformers", {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 33}, "resample": 2, "crop_size": {"height": 40, "width": 51}} | CLIP),
    ("transformers", {"image_processor_type": "CLIPImageProcessor", "size": {"height": 37, "width": 50}, "resample": 2, "crop_size": {"height": 40, "width": 41}} | CLIP),
    ("transformers", {"image_processor_type": "CLIPImageProcessor", "do_resize": False, "crop_size": {"height": 40, "width": 41}} | CLIP),
    ("transformers", {"image_processor_type": "ViTImageProcessor", "size": {"height": 48, "width": 48}, "resample": 2} | HALF),
    ("transformers", {"image_processor_type": "ViTFeatureExtractor", "size": 45, "resample": 3} | HALF),
    ("transformers", {"image_processor_type": "DeiTImageProcessor", "size": {"height": 56, "width": 56}, "resample": 3, "crop_size": 49} | HALF),
    ("transformers", {"image_processor_type": "SiglipImageProcessor", "size": {"height": 48, "width": 48}, "resample": 3} | HALF),
    ("transformers", {"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 256}, "resample": 3, "crop_size": {"height": 224, "width": 224}} | CLIP),
]


# ---- the rules, with PIL alone ----

FILTERS = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}


def cover(image, side, how):
    w, h = image.size
    return image.resize((side, int(side * h / w)) if w <= h else (int(side * w / h), side), how)


def keep_ratio(image, height, width, longest, how):
    w, h = image.size
    ratio = (max if longest else min)(h / height, w / width)
    return image.resize((round(w / ratio), round(h / ratio)), how)


def centre(image, height, width, fill=(0, 0, 0), down=False):
    """Padded where it is smaller; halves of odd rests: to even, or (transformers) down, of padding up."""
    w, h = image.size
    out = Image.new("RGB", (width, height), fill)
    pad = (lambda rest: -(-rest // 2)) if down else (lambda rest: rest // 2)
    cut = (lambda rest: rest // 2) if down else (lambda rest: int(round(rest / 2)))
    left, top = (pad(width - w) if w < width else 0), (pad(height - h) if h < height else 0)
    x, y = (cut(w - width) if w > width else 0), (cut(h - height) if h > height else 0)
    out.paste(image.crop((x, y, x + min(w, width), y + min(h, height))), (left, top))
    return out


def timm_rules(config, image):
    c = config["pretrained_cfg"]
    (_, h, w), mode, how = c["input_size"], c.get("crop_mode", "center"), FILTERS[c.get("interpolation", "bicubic")]
    rh, rw = math.floor(h / c.get("crop_pct", 0.875)), math.floor(w / c.get("crop_pct", 0.875))
    if mode == "squash":
        return centre(image.resize((rw, rh), how), h, w)
    if mode == "border":
        return centre(keep_ratio(image, rh, rw, True, how), h, w, tuple(round(255 * v) for v in c["mean"]))
    return centre(cover(image, rh, how) if rh == rw else keep_ratio(image, rh, rw, False, Image.BILINEAR), h, w)


def open_clip_rules(config, image):
    c, size = config["preprocess_cfg"], config["model_cfg"]["vision_cfg"]["image_size"]
    h, w = (size, size) if isinstance(size, int) else size
    how, mode = FILTERS[c.get("interpolation", "bicubic")], c.get("resize_mode", "shortest")
    if mode == "squash":
        return image.resize((w, h), how)
    if mode == "longest":
        return centre(keep_ratio(image, h, w, True, how), h, w, (c.get("fill_color", 0),) * 3)
    return centre(cover(image, h, how) if h == w else keep_ratio(image, h, w, False, Image.BICUBIC), h, w)


def transformers_rules(config, image):
    kind = config.get("image_processor_type") or config["feature_extractor_type"]
    size, crop = config.get("size"), config.get("crop_size")
    if config.get("do_resize", True):
        how = {2: Image.BILINEAR, 3: Image.BICUBIC}[config["resample"]]
        if isinstance(size, int):
            size = {"shortest_edge": size} if kind.startswith(("CLIP", "Bit")) else {"height": size, "width": size}
        image = cover(image, size["shortest_edge"], how) if "shortest_edge" in size else image.resize((size["width"], size["height"]), how)
    if crop:
        crop = {"height": crop, "width": crop} if isinstance(crop, int) else crop
        image = centre(image, crop["height"], crop["width"], down=True)
    return image


# ---- the libraries themselves ----

def by_timm(config):
    from timm.data import create_transform, resolve_data_config

    transform = create_transform(**resolve_data_config(pretrained_cfg=config["pretrained_cfg"]), use_prefetcher=True)  # ends with bytes
    return lambda image: transform(image).transpose(1, 2, 0)


def by_open_clip(config):
    from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict

    size = config["model_cfg"]["vision_cfg"]["image_size"]
    cfg = merge_preprocess_dict(merge_preprocess_dict(PreprocessCfg(), config["preprocess_cfg"]), {"size": tuple(size) if isinstance(size, list) else size})
    steps = image_transform_v2(PreprocessCfg(**cfg), is_train=False).transforms[:-2]  # without ToTensor and Normalize

    def apply(image):
        for step in steps:
            image = step(image)
        return image

    return apply


def by_transformers(config):
    import transformers

    kind = (config.get("image_processor_type") or config["feature_extractor_type"]).replace("FeatureExtractor", "ImageProcessor")
    processor = getattr(transformers, kind).from_dict(config)
    return lambda image: processor(image, do_rescale=False, do_normalize=False, input_data_format="channels_last")["pixel_values"][0].transpose(1, 2, 0)


RULES = {"timm": timm_rules, "open_clip": open_clip_rules, "transformers": transformers_rules}
LIBRARIES = {"timm": by_timm, "open_clip": by_open_clip, "transformers": by_transformers}


def makers():
    """Of each configuration the function that makes a view, and by what."""
    used = {}
    for library, config in CONFIGS:
        try:
            make = LIBRARIES[library](config)
            used[library] = f"{library} {sys.modules[library].__version__}"
        except ImportError as reason:
            make = lambda image, config=config, library=library: RULES[library](config, image)
            used[library] = f"{library}'s rules with PIL ({reason})"
        yield library, config, make
    print("; ".join(used.values()))


# ---- pictures ----

ODD = [(1, 1), (1, 2), (2, 1), (3, 3), (5, 7), (1, 97), (97, 1), (2, 333), (333, 2), (37, 600), (600, 37), (48, 48), (49, 50), (47, 48), (55, 56), (100, 150), (101, 152), (199, 101)]


def pictures():
    """name, content: odd sizes, then the files of the decoding test, then photographs."""
    for h, w in ODD:
        yield f"odd_{h}x{w}.png", files.saved(Image.fromarray(files.pixels(h, w)), "PNG"), True
    for name, content, kind in files.each():
        if kind == "same":
            yield name, content, False
    for path in sorted((DATA / "coco_captions" / "images").glob("*.jpg"))[:51]:
        yield path.name, path.read_bytes(), False


def main():
    folder = pathlib.Path(sys.argv[1])
    for name in ("views", "sources"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    configs = list(makers())
    for number, (library, config, make) in enumerate(configs):
        (folder / f"config{number}.json").write_text(json.dumps(config))
    counts = {"same": 0, "refused": 0}
    with open(folder / "preprocess.txt", "w") as out:
        for index, (name, content, everywhere) in enumerate(pictures()):
            (folder / "sources" / name).write_bytes(content)
            try:
                image = Image.open(io.BytesIO(content)).convert("RGB")
            except Exception:
                continue  # refused by PIL
            for number in range(len(configs)) if everywhere else {index % len(configs), (5 * index + 3) % len(configs)}:
                library, config, make = configs[number]
                view = "-"
                try:
                    values = np.asarray(make(image))
                    assert values.dtype == np.uint8 and values.shape[2] == 3, (values.dtype, values.shape)
                    view = f"views/{number}_{name}.raw"
                    (folder / view).write_bytes(struct.pack("<qq", *values.shape[:2]) + values.tobytes())
                except ValueError as reason:
                    assert min(image.size) / max(image.size) < 0.02, (config, image.size, reason)  # a side is rounded to 0
                kind = "refused" if view == "-" else "same"
                counts[kind] += 1
                out.write(f"{kind} {library} config{number}.json sources/{name} {view}\n")
    print(f"{counts['same']} views and {counts['refused']} refusals of {index + 1} pictures with {len(configs)} configurations, Pillow {PIL.__version__}")


main()
