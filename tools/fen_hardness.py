#!/usr/bin/python3
"""How hard a world of the Fen is for what has not learned anything: mAP of retrieval by colours, by raw pixels, and by a random ViT.

    bittern fen WORLD --species 50 --images 120 --size 64 --seed 7 --no-songs --format ppm
    tools/fen_hardness.py WORLD [--json]

Queries and database are the splits of that name; each is scored by mAP@100 with the papers' denominator (the relevant items within the top 100),
the larger of the two usual numbers. Rows:
    histogram  8 x 8 x 8 bins of RGB, L1 distance (and cosine: the better counts)
    pixels     32 x 32 RGB, centred, 64 principal components of the training split, cosine
    random vit 64 px, patch 8, width 128, depth 6, 4 heads, truncated normal 0.02: the class token, cosine
    shape      histograms of gradient directions in 8 x 8 cells, then linear discriminants of the training split, cosine
    linear     the same with a thumbnail of 12 x 12 RGB and mirrored training pictures: with "shape" a control in the other direction, that the
               pictures do tell species apart for something that has learned, however little
Needs NumPy; pictures that are not .ppm need PIL.
"""
import csv, json, pathlib, sys
import numpy as np


def read_picture(path):
    if path.suffix != ".ppm":
        from PIL import Image
        return np.asarray(Image.open(path).convert("RGB"))
    magic, size, top, pixels = path.read_bytes().split(b"\n", 3)
    assert magic == b"P6" and top == b"255", f"{path}: no plain PPM"
    width, height = map(int, size.split())
    return np.frombuffer(pixels, np.uint8).reshape(height, width, 3)


def shrink(pictures, side):
    """Mean over blocks: pictures (N,S,S,3) to (N,side,side,3)."""
    n, s = pictures.shape[:2]
    edges = np.linspace(0, s, side + 1).astype(int)
    rows = np.add.reduceat(pictures.astype(np.float32), edges[:-1], axis=1) / np.diff(edges)[None, :, None, None]
    return np.add.reduceat(rows, edges[:-1], axis=2) / np.diff(edges)[None, None, :, None]


def mean_average_precision(distance, query, database, k=100):
    """distance (Q,D); labels (Q), (D). Denominator: relevant items within the top k."""
    order = np.argsort(distance, axis=1, kind="stable")[:, :k]
    hit = (database[order] == query[:, None]).astype(float)
    precision = np.cumsum(hit, 1) / np.arange(1, hit.shape[1] + 1)
    return float(np.mean((precision * hit).sum(1) / np.maximum(hit.sum(1), 1)))


def cosine(a, b):
    unit = lambda x: x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    return 1 - unit(a) @ unit(b).T


def histogram(pictures):
    """(N,S,S,3) to (N,512), each row sums to 1."""
    bins = (pictures >> 5).astype(int)
    index = (bins[..., 0] * 64 + bins[..., 1] * 8 + bins[..., 2]).reshape(len(pictures), -1)
    return np.stack([np.bincount(row, minlength=512) for row in index]) / index.shape[1]


def l1(a, b):
    return np.stack([np.abs(row - b).sum(1) for row in a])


def gradients(pictures):
    """Directions of brightness changes, 9 bins in cells of an eighth of the picture's side: (N, 8*8*9)."""
    grey = shrink(pictures, 64) @ np.array([0.3, 0.6, 0.1], np.float32)
    dy, dx = np.gradient(grey, axis=(1, 2))
    size, bin_of = np.hypot(dx, dy), ((np.arctan2(dy, dx) % np.pi) / np.pi * 9).astype(int) % 9
    cells = np.stack([(size * (bin_of == b)).reshape(len(grey), 8, 8, 8, 8).sum((2, 4)) for b in range(9)], -1)
    cells /= np.linalg.norm(cells, axis=-1, keepdims=True) + 2
    return cells.reshape(len(grey), -1)


def discriminants(train, labels, keep):
    """Directions that tell classes apart, ridge-regularised: (features, keep)."""
    mean = train.mean(0)
    x, classes = train - mean, np.unique(labels)
    centres = np.stack([x[labels == c].mean(0) for c in classes])
    within = x - centres[np.searchsorted(classes, labels)]
    scatter = within.T @ within / len(x)
    scatter += 0.05 * np.trace(scatter) / len(scatter) * np.eye(len(scatter))
    half = np.linalg.inv(np.linalg.cholesky(scatter))
    _, _, directions = np.linalg.svd(centres @ half.T, full_matrices=False)
    return mean, half.T @ directions[:keep].T


def shape_and_thumbnail(pictures):
    small = shrink(pictures, 12)
    return np.concatenate([gradients(pictures), (small - small.mean((1, 2), keepdims=True)).reshape(len(pictures), -1) / 60], 1)


def linear(train, labels, query, q, database, d, features):
    """mAP in the space of discriminants of features(train)."""
    centre, directions = discriminants(features(train), labels, len(set(labels)) - 1)
    return mean_average_precision(cosine(*((features(x) - centre) @ directions for x in (query, database))), q, d)


def random_vit(pictures, seed=0, patch=8, width=128, depth=6, heads=4):
    """Class token of a ViT with random weights: (N, width)."""
    draw = np.random.default_rng(seed)
    weight = lambda *shape: np.clip(draw.standard_normal(shape), -2, 2).astype(np.float32) * 0.02
    norm = lambda x: (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
    gelu = lambda x: 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))
    x = (shrink(pictures, 64) / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    n, grid = len(x), 64 // patch
    x = x.reshape(n, grid, patch, grid, patch, 3).transpose(0, 1, 3, 2, 4, 5).reshape(n, grid * grid, -1).astype(np.float32)
    embed, token, place = weight(x.shape[2], width), weight(1, 1, width), weight(1, grid * grid + 1, width)
    blocks = [(weight(width, 3 * width), weight(width, width), weight(width, 4 * width), weight(4 * width, width)) for _ in range(depth)]
    out = []
    for chunk in np.array_split(x, max(1, n // 256)):
        t = np.concatenate([np.repeat(token, len(chunk), 0), chunk @ embed], 1) + place
        for qkv, proj, up, down in blocks:
            q, k, v = (norm(t) @ qkv).reshape(len(t), -1, 3, heads, width // heads).transpose(2, 0, 3, 1, 4)
            a = q @ k.transpose(0, 1, 3, 2) / np.sqrt(width // heads)
            a = np.exp(a - a.max(-1, keepdims=True))
            a = (a / a.sum(-1, keepdims=True)) @ v
            t = t + a.transpose(0, 2, 1, 3).reshape(t.shape) @ proj
            t = t + gelu(norm(t) @ up) @ down
        out.append(norm(t)[:, 0])
    return np.concatenate(out)


def main():
    arguments = [a for a in sys.argv[1:] if a != "--json"]
    if len(arguments) != 1:
        sys.exit(__doc__)
    world = pathlib.Path(arguments[0])
    with open(world / "manifest.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    species = {name: i for i, name in enumerate(dict.fromkeys(r["species"] for r in rows))}
    parts = {}
    for split in ("train", "query", "database"):
        mine = [r for r in rows if r["split"] == split]
        parts[split] = np.stack([read_picture(world / r["path"]) for r in mine]), np.array([species[r["species"]] for r in mine])
    (train, train_labels), (query, q), (database, d) = (parts[s] for s in ("train", "query", "database"))
    colours = histogram(query), histogram(database)
    flat = lambda x: shrink(x, 32).reshape(len(x), -1)
    mean, axes = (lambda x: (x.mean(0), np.linalg.svd(x - x.mean(0), full_matrices=False)[2][:64]))(flat(train))
    mirrored = np.concatenate([train, train[:, :, ::-1]]), np.tile(train_labels, 2)
    scores = {
        "histogram": max(mean_average_precision(l1(*colours), q, d), mean_average_precision(cosine(*colours), q, d)),
        "pixels": mean_average_precision(cosine((flat(query) - mean) @ axes.T, (flat(database) - mean) @ axes.T), q, d),
        "random vit": mean_average_precision(cosine(random_vit(query), random_vit(database)), q, d),
        "shape": linear(train, train_labels, query, q, database, d, gradients),
        "linear": linear(*mirrored, query, q, database, d, shape_and_thumbnail),
        "chance": mean_average_precision(np.random.default_rng(1).random((len(q), len(d))), q, d),
    }
    print(json.dumps(scores) if "--json" in sys.argv else "\n".join(f"{name:12s}{value:.3f}" for name, value in scores.items()))


main()
