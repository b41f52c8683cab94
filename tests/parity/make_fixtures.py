"""Reference values from PyTorch for tests/parity: weights, inputs, outputs, every gradient, and trajectories.

    /usr/bin/python3 make_fixtures.py FOLDER

The model here is written from the papers' equations with torch modules and autograd, on purpose in another way than ours: q, k, v are
sliced and each head is an explicit softmax; the last block computes all rows; adapters are separate matrices. Files are safetensors; a
tensor's name is "<kind>/<parameter>" with kinds param, grad, m, v, input, out, and a step number for trajectories.
"""
import json, math, os, struct, sys

import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


def write(path, tensors, **metadata):
    """A safetensors file: 8-byte header length, JSON header, data."""
    kinds = {np.dtype("float32"): "F32", np.dtype("uint8"): "U8", np.dtype("int32"): "I32", np.dtype("int64"): "I64"}
    header, at, blobs = {"__metadata__": {k: str(v) for k, v in metadata.items()}}, 0, []
    for name in sorted(tensors):
        a = tensors[name]
        a = np.ascontiguousarray(a.detach().numpy() if isinstance(a, torch.Tensor) else a)
        header[name] = {"dtype": kinds[a.dtype], "shape": list(a.shape), "data_offsets": [at, at + a.nbytes]}
        at += a.nbytes
        blobs.append(a.tobytes())
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def philox(c0, c1, c2, c3, key):
    """Philox4x32-10 on arrays of counters."""
    c0, c1, c2, c3 = (np.asarray(c, dtype=np.uint64) for c in np.broadcast_arrays(c0, c1, c2, c3))
    k0, k1, low = key & 0xFFFFFFFF, key >> 32, np.uint64(0xFFFFFFFF)
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (p1 >> np.uint64(32)) ^ c1 ^ np.uint64(k0), p1 & low, (p0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1), p0 & low
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], -1)


def keep_mask(seed, step, stream, ids, tokens, width, p):
    """(N, tokens, width) of 0 or 1/(1-p): the draw documented in include/bittern/random.h."""
    blocks = np.arange((tokens * width + 3) // 4)
    rows = []
    for i in ids:
        view = int(i) >> 32
        words = philox(blocks, int(i) & 0xFFFFFFFF, step, stream << 8 | view, seed).reshape(-1)[: tokens * width]
        unit = (words >> np.uint64(8)).astype(np.float32) * np.float32(2.0 ** -24)
        rows.append((unit >= np.float32(p)).astype(np.float32).reshape(tokens, width) / np.float32(1 - p))
    return torch.from_numpy(np.stack(rows))


class Net:
    """A ViT with adapters and a head, as a dictionary of tensors and functions on it."""

    def __init__(self, c, seed):
        self.c, self.p, self.buffers = c, {}, {}
        g = torch.Generator().manual_seed(seed)
        n = lambda *s, std=0.2: torch.randn(*s, generator=g) * std
        d, t = c["width"], (c["image"] // c["patch"]) ** 2 + 1
        p = self.p
        p["patch_embed.proj.weight"], p["patch_embed.proj.bias"] = n(d, 3, c["patch"], c["patch"], std=0.05), n(d)
        p["cls_token"], p["pos_embed"] = n(1, 1, d), n(1, t, d)
        for i in range(c["depth"]):
            b = f"blocks.{i}."
            for k in ("norm1", "norm2"):
                p[b + k + ".weight"], p[b + k + ".bias"] = 1 + n(d), n(d)
            for k, o, w in (("attn.qkv", 3 * d, d), ("attn.proj", d, d), ("mlp.fc1", c["mlp"], d), ("mlp.fc2", d, c["mlp"])):
                p[b + k + ".weight"], p[b + k + ".bias"] = n(o, w, std=1 / math.sqrt(w)), n(o)
                parts = self.parts(k)
                if parts:
                    p[b + k + ".lora_A.weight"] = n(parts * c["rank"], w, std=1 / math.sqrt(w))
                    rows = d * parts if k == "attn.qkv" and "qkv" not in c["targets"] else o
                    p[b + k + ".lora_B.weight"] = n(rows, c["rank"], std=0.1)
            if c["layer_scale"]:
                p[b + "ls1.gamma"], p[b + "ls2.gamma"] = 0.5 + n(d), 0.5 + n(d)
        p["norm.weight"], p["norm.bias"] = 1 + n(d), n(d)
        if c["method"] == "classify":
            p["head.weight"], p["head.bias"] = n(c["classes"], d), n(c["classes"])
        else:
            h = d if c["head"] == "small" else max(2 * d, 2048)
            widths = [d, h, c["bits"]] if c["head"] == "small" else [d, h, h, c["bits"]]
            for i in range(len(widths) - 1):
                p[f"hashcoder.{2 * i}.weight"] = n(widths[i + 1], widths[i], std=1 / math.sqrt(widths[i]))
                p[f"hashcoder.{2 * i}.bias"] = n(widths[i + 1])
            self.bn = 2 * len(widths) - 3
        if c["method"] != "classify" and c["batch_norm"]:
            p[f"hashcoder.{self.bn}.weight"], p[f"hashcoder.{self.bn}.bias"] = 1 + n(c["bits"]), n(c["bits"])
            self.buffers[f"hashcoder.{self.bn}.running_mean"] = torch.zeros(c["bits"])
            self.buffers[f"hashcoder.{self.bn}.running_var"] = torch.ones(c["bits"])
        for name, value in p.items():
            adapter_or_head = "lora_" in name or name.startswith(("head", "hashcoder"))
            value.requires_grad_(adapter_or_head or c["full"])
        self.step, self.draws = 0, None

    def parts(self, layer):
        t = self.c["targets"]
        if layer == "attn.qkv":
            return 1 if "qkv" in t else sum(x in t for x in "qkv")
        return int(layer.split(".")[1] in t)

    def linear(self, name, x, stream):
        p, c = self.p, self.c
        y = x @ p[name + ".weight"].T + p[name + ".bias"]
        if name + ".lora_A.weight" not in p:
            return y
        layer = name.split(".", 2)[2]
        dropped = x
        if c["dropout"] and self.draws is not None:
            dropped = x * keep_mask(c["seed"], self.step, stream, self.draws, x.shape[1], x.shape[2], c["dropout"])
        a, b, r, s = p[name + ".lora_A.weight"], p[name + ".lora_B.weight"], c["rank"], c["alpha"] / c["rank"]
        if layer != "attn.qkv" or "qkv" in c["targets"]:
            return y + s * (dropped @ a.T @ b.T)
        d, out, k = c["width"], [], 0
        for third, letter in enumerate("qkv"):
            piece = y[..., third * d:(third + 1) * d]
            if letter in c["targets"]:
                piece = piece + s * (dropped @ a[k * r:(k + 1) * r].T @ b[k * d:(k + 1) * d].T)
                k += 1
            out.append(piece)
        return torch.cat(out, -1)

    def encode(self, images):
        p, c = self.p, self.c
        d, heads = c["width"], c["heads"]
        x = F.conv2d(images, p["patch_embed.proj.weight"], p["patch_embed.proj.bias"], stride=c["patch"])
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([p["cls_token"].expand(len(x), -1, -1), x], 1) + p["pos_embed"]
        for i in range(c["depth"]):
            b = f"blocks.{i}."
            h = F.layer_norm(x, (d,), p[b + "norm1.weight"], p[b + "norm1.bias"], 1e-6)
            q, k, v = self.linear(b + "attn.qkv", h, 4 * i + 1).split(d, -1)
            outs = []
            for j in range(heads):
                cut = slice(j * d // heads, (j + 1) * d // heads)
                s = q[..., cut] @ k[..., cut].transpose(1, 2) / math.sqrt(d // heads)
                outs.append(torch.softmax(s, -1) @ v[..., cut])
            f = self.linear(b + "attn.proj", torch.cat(outs, -1), 4 * i + 2)
            x = x + (p[b + "ls1.gamma"] * f if c["layer_scale"] else f)
            h = F.layer_norm(x, (d,), p[b + "norm2.weight"], p[b + "norm2.bias"], 1e-6)
            f = self.linear(b + "mlp.fc2", F.gelu(self.linear(b + "mlp.fc1", h, 4 * i + 3)), 4 * i + 4)
            x = x + (p[b + "ls2.gamma"] * f if c["layer_scale"] else f)
        return F.layer_norm(x, (d,), p["norm.weight"], p["norm.bias"], 1e-6)[:, 0]

    def hash(self, e):
        p = self.p
        self.constant = []
        for i in range(0, self.bn, 2):
            e = e @ p[f"hashcoder.{i}.weight"].T + p[f"hashcoder.{i}.bias"]
            if i + 1 < self.bn:
                self.constant.append(((e > 0).all(0) | (e <= 0).all(0)).to(torch.uint8))
                e = F.relu(e) if self.c["head"] == "small" else F.gelu(e)
        if not self.c["batch_norm"]:
            return e
        b = f"hashcoder.{self.bn}."
        return F.batch_norm(e, self.buffers[b + "running_mean"], self.buffers[b + "running_var"], p[b + "weight"], p[b + "bias"],
                            True, 0.1, 1e-5)

    def rate(self, z):
        z = F.normalize(z, dim=1)
        n, b = z.shape
        gram = torch.eye(b) + z.T @ z * (b / (n * 0.05))
        return -torch.log(torch.diagonal(torch.linalg.cholesky(gram))).sum() * (b + n) / (b * n)

    def loss(self, batch, out):
        c, e = self.c, self.encode(batch["images"])
        out["embedding"] = e
        if c["method"] == "classify":
            logits = e @ self.p["head.weight"].T + self.p["head.bias"]
            out["logits"] = logits
            out["cross_entropy"] = F.cross_entropy(logits, batch["class"].long())
            return out["cross_entropy"]
        views, self.constant_units = [], 1
        for part in e.chunk(c["views"]):
            views.append(self.hash(part))
            # A ReLU unit that is on (or off) for all images of every view shifts all rows alike: batch norm takes it out again.
            self.constant_units = self.constant_units * self.constant[0]
        stacked = torch.cat(views)
        out["logits"] = stacked
        bits = [(z > 0).float() for z in views]
        if c["supervised"]:
            y = batch["labels"].float()
            many = torch.cat([y] * len(views))
            means = many.T @ stacked.detach() / many.sum(0).clamp(min=1)[:, None]
            target = (y @ means / y.sum(1).clamp(min=1)[:, None] > 0).float()
            align = sum(F.binary_cross_entropy_with_logits(z, target) for z in views) / len(views)
            out["targets"] = torch.cat([target] * len(views)).to(torch.uint8)
        else:
            pairs = [(i, j) for i in range(len(views)) for j in range(len(views)) if i != j]
            align = sum(F.binary_cross_entropy_with_logits(views[i], bits[j]) for i, j in pairs) / len(pairs)
            out["targets"] = torch.cat(bits).to(torch.uint8)
        rate = sum(self.rate(z) for z in views) / len(views)
        out["align"], out["rate"] = align, rate
        return align + c["rate_weight"] * rate


DEFAULT = dict(image=24, patch=8, width=48, depth=3, heads=3, mlp=96, layer_scale=True, full=False, targets="q,v", rank=4, alpha=8.0,
               dropout=0.0, method="crovca", head="small", batch_norm=True, bits=16, views=2, supervised=False, rate_weight=0.1, classes=5, batch=8,
               seed=1234567890123, lr=1e-3, decay=0.01)
CASES = {
    "unsupervised": {},
    "dropout": dict(dropout=0.1, targets="q,v,proj,fc1,fc2"),
    "supervised": dict(supervised=True, layer_scale=False, targets="qkv,proj"),
    "odd": dict(image=21, patch=7, width=40, heads=2, mlp=72, depth=2, targets="k,v,fc2", bits=13, batch=7, views=3),
    "three_views": dict(views=3, depth=2),
    "four_views": dict(views=4, depth=2, supervised=True),
    "four_views_unsupervised": dict(views=4, depth=1, bits=12),
    "no_norm": dict(batch_norm=False, depth=2),
    "no_norm_supervised": dict(batch_norm=False, depth=1, supervised=True, head="large"),
    "no_rate": dict(rate_weight=0.0, depth=2),
    "large_head": dict(head="large", depth=1, targets="qkv", bits=24),
    "classify": dict(method="classify", full=True, targets="", views=1),
}


def config(overrides):
    c = dict(DEFAULT, **overrides)
    c["targets"] = [t for t in c["targets"].split(",") if t]
    return c


def metadata(c):
    return {k: ",".join(v) if isinstance(v, list) else int(v) if isinstance(v, bool) else v for k, v in c.items()}


def make_batch(c, seed, first_sample=0):
    g = torch.Generator().manual_seed(seed)
    n = c["batch"]
    base = torch.randn(n, 3, c["image"], c["image"], generator=g)
    images = torch.cat([base + 0.3 * torch.randn(base.shape, generator=g) for _ in range(c["views"])])
    labels = (torch.rand(n, c["classes"], generator=g) < 0.3).to(torch.uint8)
    ids = np.concatenate([np.arange(n, dtype=np.int64) + first_sample + (v << 32) for v in range(c["views"])])
    return {"images": images, "labels": labels, "class": torch.randint(0, c["classes"], (n,), generator=g).int(), "ids": torch.from_numpy(ids)}


def step_zero(folder, name, c):
    net, out = Net(c, 11), {}
    batch = make_batch(c, 5, first_sample=1000)
    tensors = {f"param/{k}": v.clone() for k, v in {**net.p, **net.buffers}.items()}
    tensors.update({f"input/{k}": v for k, v in batch.items()})
    net.step, net.draws = 3, batch["ids"].numpy() if c["dropout"] else None
    net.loss(batch, out)
    total = out["cross_entropy"] if c["method"] == "classify" else out["align"] + c["rate_weight"] * out["rate"]
    total.backward()
    tensors.update({f"grad/{k}": v.grad for k, v in net.p.items() if v.requires_grad})
    tensors.update({f"out/{k}": v.reshape(1) if v.dim() == 0 else v for k, v in out.items()})
    tensors.update({f"after/{k}": v for k, v in net.buffers.items()})
    write(os.path.join(folder, f"step0_{name}.safetensors"), tensors, step=3, **metadata(c))


def trajectory(folder, c, steps):
    """Weights and Adam state before every step, the loss, the target bits, and the weights after it."""
    net = Net(c, 21)
    trained = {k: v for k, v in net.p.items() if v.requires_grad}
    optimizer = torch.optim.AdamW(trained.values(), lr=c["lr"], weight_decay=c["decay"])
    tensors = {f"frozen/{k}": v for k, v in net.p.items() if not v.requires_grad}
    for s in range(steps):
        batch, out = make_batch(c, 100 + s), {}
        for k, v in trained.items():
            state = optimizer.state.get(v, {})
            tensors[f"{s}/param/{k}"] = v.detach().clone()
            tensors[f"{s}/m/{k}"] = state["exp_avg"].clone() if state else torch.zeros_like(v)
            tensors[f"{s}/v/{k}"] = state["exp_avg_sq"].clone() if state else torch.zeros_like(v)
        loss = net.loss(batch, out)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        tensors[f"{s}/images"], tensors[f"{s}/targets"] = batch["images"], out["targets"]
        tensors[f"{s}/constant_units"] = net.constant_units
        tensors[f"{s}/loss"] = loss.detach().reshape(1)
    for k, v in trained.items():
        tensors[f"{steps}/param/{k}"] = v.detach().clone()
    tensors.update({f"buffer/{k}": v for k, v in net.buffers.items()})
    write(os.path.join(folder, "trajectory.safetensors"), tensors, steps=steps, **metadata(c))


if __name__ == "__main__":
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for name, overrides in CASES.items():
        step_zero(folder, name, config(overrides))
    trajectory(folder, config(dict(targets="qkv,proj", bits=16)), 50)
    print(f"torch {torch.__version__}: {len(CASES) + 1} files in {folder}")
