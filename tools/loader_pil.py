#!/usr/bin/env python3
"""The yardstick of `bittern-bench loader`: the same work by PIL and torchvision, in one thread of this process.

    loader_pil.py make FOLDER [SOURCE]   photographs of SOURCE (default ../shared/data/coco_captions/images) as JPEG of 500 pixels
    loader_pil.py bench FOLDER [EPOCHS]  milliseconds of a core for each picture

train: open and decode once, then twice RandomResizedCrop 224 (scale 0.4 to 1, bilinear), flip, ColorJitter(.4,.4,.4,.2) p .8, grey .2, blur .1
(PIL's GaussianBlur, radius 0.1 to 2), solarize .1. eval: Resize 256 bicubic, CenterCrop 224. Both end with a PIL image, as bittern's end with
bytes; "eval_tensor" adds ToTensor and Normalize, which bittern does on the device. Draws are Python's own. With torchvision its transforms
run; without, the PIL calls that they make (the last line says which).
"""
import json, math, pathlib, random, sys, time

from PIL import Image, ImageEnhance, ImageFilter, ImageOps
import PIL

try:
    import torch, torchvision
    import torchvision.transforms as T
    torch.set_num_threads(1)
except Exception:
    torchvision = None

ROOT = pathlib.Path(__file__).resolve().parents[1]


def make(folder, source):
    out = pathlib.Path(folder) / "photographs"
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(pathlib.Path(source).glob("*.jpg")):
        image = Image.open(path).convert("RGB")
        scale = 500 / max(image.size)
        image.resize([max(1, round(side * scale)) for side in image.size], Image.BICUBIC).save(out / path.name, quality=90)


def load(path):  # torchvision.datasets.folder.pil_loader
    with open(path, "rb") as file:
        return Image.open(file).convert("RGB")


class Blur:
    def __call__(self, image):
        return image.filter(ImageFilter.GaussianBlur(radius=random.uniform(0.1, 2.0)))


def with_torchvision():
    bicubic = T.InterpolationMode.BICUBIC
    train = T.Compose([T.RandomResizedCrop(224, scale=(0.4, 1.0)), T.RandomHorizontalFlip(),
                       T.RandomApply([T.ColorJitter(0.4, 0.4, 0.4, 0.2)], p=0.8), T.RandomGrayscale(p=0.2), T.RandomApply([Blur()], p=0.1),
                       T.RandomSolarize(128, p=0.1)])
    evaluate = T.Compose([T.Resize(256, interpolation=bicubic), T.CenterCrop(224)])
    tensor = T.Compose([evaluate, T.ToTensor(), T.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
    return {"train": lambda i: (train(i), train(i)), "eval": evaluate, "eval_tensor": tensor}


def with_pil():
    def hue(image, share):
        h, s, v = image.convert("HSV").split()
        return Image.merge("HSV", (h.point(lambda x: (x + int(share * 255)) & 255), s, v)).convert("RGB")

    def train(image):
        w, h = image.size
        area, ratio = w * h * random.uniform(0.4, 1), math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        cw, ch = min(w, round(math.sqrt(area * ratio))), min(h, round(math.sqrt(area / ratio)))
        left, top = random.randint(0, w - cw), random.randint(0, h - ch)
        image = image.crop((left, top, left + cw, top + ch)).resize((224, 224), Image.BILINEAR)
        if random.random() < 0.5:
            image = image.transpose(Image.FLIP_LEFT_RIGHT)
        if random.random() < 0.8:
            steps = [lambda i: ImageEnhance.Brightness(i).enhance(random.uniform(0.6, 1.4)), lambda i: ImageEnhance.Contrast(i).enhance(random.uniform(0.6, 1.4)),
                     lambda i: ImageEnhance.Color(i).enhance(random.uniform(0.6, 1.4)), lambda i: hue(i, random.uniform(-0.2, 0.2))]
            random.shuffle(steps)
            for step in steps:
                image = step(image)
        if random.random() < 0.2:
            image = image.convert("L").convert("RGB")
        if random.random() < 0.1:
            image = Blur()(image)
        return ImageOps.solarize(image, 128) if random.random() < 0.1 else image

    def evaluate(image):
        w, h = image.size
        w, h = (256, 256 * h // w) if w <= h else (256 * w // h, 256)
        left, top = round((w - 224) / 2), round((h - 224) / 2)
        return image.resize((w, h), Image.BICUBIC).crop((left, top, left + 224, top + 224))

    return {"train": lambda i: (train(i), train(i)), "eval": evaluate}


def bench(folder, epochs):
    paths = sorted(pathlib.Path(folder).glob("*/*.jpg"))
    random.seed(1)
    for mode, transform in (with_torchvision() if torchvision else with_pil()).items():
        seconds = []
        for _ in range(epochs + 1):  # the first warms up
            start = time.process_time()
            for path in paths:
                transform(load(path))
            seconds.append(time.process_time() - start)
        median = sorted(seconds[1:])[epochs // 2]
        print(json.dumps({"bench": "loader_pil", "mode": mode, "pictures": len(paths), "core_ms": round(median / len(paths) * 1e3, 4),
                          "pillow": PIL.__version__, "torchvision": torchvision.__version__ if torchvision else "its PIL calls"}))


def main():
    if len(sys.argv) >= 3 and sys.argv[1] == "make":
        make(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else ROOT.parent / "shared" / "data" / "coco_captions" / "images")
    elif len(sys.argv) >= 3 and sys.argv[1] == "bench":
        bench(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 5)
    else:
        sys.exit(__doc__)


main()
