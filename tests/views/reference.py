#!/usr/bin/env python3
"""Views of pictures made with PIL and torchvision, for test_reference.c to compare with.   reference.py FOLDER

Every choice (crop, flip, steps and strengths) is drawn here once more, from Philox as docs/augmentation.md says; every pixel is made
by PIL and by torchvision's functions on PIL images. Without torchvision its PIL calls stand in, as its functional_pil module makes
them; the output says which was used. Pictures: photographs and CIFAR-10 of $BITTERN_DATA or ../shared/data where they are, and
generated ones of odd sizes.

cases.bin holds for each case 32 numbers of 8 bytes (HEADER below), the file's path, the picture, and the wanted view.
"""
import io, math, os, pathlib, struct, sys, tarfile

import numpy as np
import PIL
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

try:
    import torchvision
    import torchvision.transforms.functional as F
except Exception as reason:  # a torchvision that does not load is as good as none
    torchvision, F = None, None
    missing = f"{type(reason).__name__}: {reason}"

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = pathlib.Path(os.environ.get("BITTERN_DATA") or ROOT.parent / "shared" / "data")
STREAM_AUGMENT = 0x800000
ONE = 1 << 14
INTEGERS = ("training", "seed", "epoch", "id", "height", "width", "size", "resize", "filter", "solarize_threshold", "path_bytes")
REALS = ("scale0", "scale1", "ratio0", "ratio1", "flip", "jitter", "brightness", "contrast", "saturation", "hue", "grey", "blur",
         "solarize", "radius0", "radius1")
FILTERS = (Image.BILINEAR, Image.BICUBIC)


# ---- draws ----

def philox(counter, key):
    c0, c1, c2, c3 = counter
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & 0xFFFFFFFF, (p0 >> 32) ^ c3 ^ k1, p0 & 0xFFFFFFFF
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c0, c1, c2, c3


def block(case, number):
    sample, view = case["id"] & 0xFFFFFFFF, case["id"] >> 32 & 255
    return philox((number, sample, case["epoch"], STREAM_AUGMENT << 8 | view), case["seed"])


def unit(word):
    return (word >> 8) / 2**24


def below(word, count):
    return word * count >> 32


def among(word, low, high):
    return low + below(word, high - low + 1)


def crop_of(case):
    """torchvision's RandomResizedCrop.get_params with our draws: top, left, height, width."""
    height, width = case["height"], case["width"]
    area, low, high = height * width, math.log(case["ratio0"]), math.log(case["ratio1"])
    for t in range(10):
        word = block(case, t)
        target = area * (case["scale0"] + unit(word[0]) * (case["scale1"] - case["scale0"]))
        ratio = math.exp(low + unit(word[1]) * (high - low))
        w, h = round(math.sqrt(target * ratio)), round(math.sqrt(target / ratio))
        if 0 < w <= width and 0 < h <= height:
            return below(word[2], height - h + 1), below(word[3], width - w + 1), h, w
    w, h = width, height
    if width / height < case["ratio0"]:
        h = max(1, round(width / case["ratio0"]))
    elif width / height > case["ratio1"]:
        w = max(1, round(height * case["ratio1"]))
    return (height - h) // 2, (width - w) // 2, h, w


# ---- pixels: torchvision's functions, or what its PIL backend calls ----

# Pillow up to 12 resizes along the rows first. Pillow 13 goes down the columns first where it finds that cheaper, which rounds otherwise; two
# calls keep the order.
ROWS_FIRST = int(PIL.__version__.split(".")[0]) < 13


def resized(image, width, height, filter_):
    for size in [(width, height)] if ROWS_FIRST else [(width, image.height), (width, height)]:
        if F:
            image = F.resize(image, size[::-1], F.InterpolationMode.BICUBIC if filter_ else F.InterpolationMode.BILINEAR)
        else:
            image = image.resize(size, FILTERS[filter_])
    return image


def resized_crop(image, top, left, height, width, size, filter_):
    cropped = F.crop(image, top, left, height, width) if F else image.crop((left, top, left + width, top + height))
    return resized(cropped, size, size, filter_)


def flipped(image):
    return F.hflip(image) if F else image.transpose(Image.FLIP_LEFT_RIGHT)


def enhanced(image, kind, factor):
    if F:
        return (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation)[kind](image, factor)
    return (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)[kind](image).enhance(factor)


def hue_turned(image, share):
    if F:
        return F.adjust_hue(image, share)
    h, s, v = image.convert("HSV").split()
    turned = (np.array(h, dtype=np.int32) + int(share * 255)) & 255
    return Image.merge("HSV", (Image.fromarray(turned.astype(np.uint8), "L"), s, v)).convert("RGB")


def grey(image):
    if F:
        return F.rgb_to_grayscale(image, num_output_channels=3)
    return Image.fromarray(np.dstack([np.array(image.convert("L"), dtype=np.uint8)] * 3), "RGB")


def solarized(image, threshold):
    return F.solarize(image, threshold) if F else ImageOps.solarize(image, threshold)


def jittered(image, case, order):
    strength, word = block(case, 12), None
    left = [0, 1, 2, 3]
    for place, choices in ((6, 4), (2, 3), (1, 2), (1, 1)):
        kind = left.pop(order // place % choices)
        limit = (case["brightness"], case["contrast"], case["saturation"], case["hue"])[kind]
        if limit <= 0:
            continue
        word, reach = strength[kind], round(limit * ONE)
        if kind == 3:
            image = hue_turned(image, among(word, -reach, reach) / ONE)
        else:
            image = enhanced(image, kind, among(word, ONE - reach, min(ONE + reach, 2 * ONE - 1)) / ONE)
    return image


def training_view(image, case):
    top, left, height, width = crop_of(case)
    image = resized_crop(image, top, left, height, width, case["size"], case["filter"])
    choice, more = block(case, 10), block(case, 11)
    if unit(choice[0]) < case["flip"]:
        image = flipped(image)
    if unit(choice[1]) < case["jitter"]:
        image = jittered(image, case, below(more[1], 24))
    if unit(choice[2]) < case["grey"]:
        image = grey(image)
    if unit(choice[3]) < case["blur"]:
        radius = among(more[2], max(1, round(case["radius0"] * ONE)), max(1, round(case["radius1"] * ONE))) / ONE
        image = image.filter(ImageFilter.GaussianBlur(radius=radius))
    if unit(more[0]) < case["solarize"]:
        image = solarized(image, case["solarize_threshold"])
    return image


def evaluation_view(image, case):
    size, resize, (w, h) = case["size"], case["resize"], image.size
    if F and ROWS_FIRST:
        image = F.resize(image, resize, F.InterpolationMode.BICUBIC if case["filter"] else F.InterpolationMode.BILINEAR)
        return F.center_crop(image, [size, size])
    w, h = (resize, resize * h // w) if w <= h else (resize * w // h, resize)
    image = resized(image, w, h, case["filter"])
    top, left = int(round((h - size) / 2.0)), int(round((w - size) / 2.0))
    return image.crop((left, top, left + size, top + size))


# ---- pictures ----

def generated():
    """Noise over gradients, flat, grey and saturated colours, of sizes where windows and filters meet edges."""
    rng = np.random.default_rng(3)
    sizes = [(1, 1), (1, 2), (2, 1), (3, 3), (1, 600), (600, 1), (5, 7), (7, 5), (2, 333), (333, 2), (600, 37), (37, 600), (64, 64),
             (224, 224), (223, 225), (256, 341), (599, 600), (600, 450), (17, 97), (101, 11)]
    for number, (height, width) in enumerate(sizes):
        y, x = np.mgrid[0:height, 0:width]
        wave = np.stack([y * 3 + x, x * 2 + number * 40, y + x * 5], -1)
        noise = rng.integers(0, 64 if number % 2 else 256, (height, width, 3))
        pixels = (wave + noise) & 255
        if number % 5 == 4:
            pixels[:] = pixels[..., :1]  # grey
        if number % 5 == 3:
            pixels = np.where(pixels > 127, 255, 0)  # saturated
        yield "", Image.fromarray(pixels.astype(np.uint8), "RGB")


def photographs():
    for path in sorted((DATA / "coco_captions" / "images").glob("*.jpg")):
        yield str(path), Image.open(path).convert("RGB")


def cifar(count):
    archive = DATA / "cifar10" / "cifar10_train_jpeg.tar.xz"
    if not archive.exists():
        return
    with tarfile.open(archive, "r|xz") as tar:
        for member in tar:
            if not member.name.endswith(".jpg"):
                continue
            yield "", Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB")
            count -= 1
            if count == 0:
                return


# ---- cases ----

CROVCA = dict(scale0=0.4, scale1=1.0, ratio0=3 / 4, ratio1=4 / 3, flip=0.5, jitter=0.8, brightness=0.4, contrast=0.4, saturation=0.4,
              hue=0.2, grey=0.2, blur=0.1, solarize=0.1, radius0=0.1, radius1=2.0, solarize_threshold=128, filter=0, training=1, resize=0)
STRONG = CROVCA | dict(jitter=1.0, brightness=1.0, contrast=1.0, saturation=1.0, hue=0.5, grey=0.1, blur=1.0, solarize=0.5, radius1=9.0,
                       solarize_threshold=100, filter=1, scale0=0.05)
EVALUATION = CROVCA | dict(training=0, filter=1)


def cases_of(number, path, image):
    large = path != ""
    base = dict(seed=0x1234567890ABCDEF, epoch=number % 3, path=path)
    size = 224 if large else (1 + number * 7 % 61)
    for view in range(2):
        yield CROVCA | base | dict(id=number | view << 32, size=size, filter=number % 2)
    yield STRONG | base | dict(id=number | 7 << 32, size=96 if large else size)
    if large or number % 3 == 0:
        resize = 256 if large else size + number % 9
        yield EVALUATION | base | dict(id=0, size=size, resize=resize, filter=1 - number % 4 // 3)


def write(out, case, image):
    view = (training_view if case["training"] else evaluation_view)(image, case)
    assert view.mode == "RGB" and view.size == (case["size"], case["size"])
    path = case["path"].encode()
    case["path_bytes"] = len(path)
    numbers = struct.pack(f"<{len(INTEGERS)}q", *(case[k] for k in INTEGERS)) + struct.pack(f"<{len(REALS)}d", *(case[k] for k in REALS))
    out.write(numbers.ljust(32 * 8, b"\0") + path + image.tobytes() + view.tobytes())


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [*generated(), *photographs(), *cifar(140)]
    count = 0
    with open(folder / "cases.bin", "wb") as out:
        for number, (path, image) in enumerate(pictures):
            for case in cases_of(number, path, image):
                write(out, case | dict(height=image.height, width=image.width), image)
                count += 1
    used = f"torchvision {torchvision.__version__}" if F else f"PIL calls in place of torchvision ({missing})"
    if not ROWS_FIRST:
        used += ", resizing along the rows first"
    print(f"{count} views of {len(pictures)} pictures by Pillow {PIL.__version__} and {used}")
    if len(pictures) < 100:
        print(f"only generated pictures: {DATA} has no photographs")


main()
