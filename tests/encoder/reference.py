"""What reference.sh made, against NumPy in float64 written from the equations, and against the Python reader.

    reference.py FOLDER_OF_BITTERN_PY RUN...     in a folder with RUN.safetensors, RUN.npy, RUN.merged.npy, pictures

Tolerances are relative to the largest value: f32 products of this size differ from float64 by 1e-6 at most; 2e-5 leaves room for other
processors' order of sums. The control: the tower without its adapters must be off by a hundred times that.
"""
import json, math, os, struct, sys, threading

import numpy as np

sys.path.insert(0, sys.argv[1])
import bittern

TOLERANCE = 2e-5
erf = np.vectorize(math.erf)
failures = []


def check(what, good):
    print("ok  " if good else "FAIL", what)
    if not good:
        failures.append(what)


def far(a, b):
    return float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max() / max(1e-30, np.abs(b).max()))


def norm(x, w, b, eps):
    m = x.mean(-1, keepdims=True)
    return (x - m) / np.sqrt(((x - m) ** 2).mean(-1, keepdims=True) + eps) * w + b


def gelu(x):
    return x * 0.5 * (1 + erf(x / math.sqrt(2)))


def forward(info, tensors, pixels):
    """Embeddings and logits of pixels (N, S, S, 3) uint8, by an exported file alone."""
    t, p = info["tower"], {k: np.asarray(v, np.float64) for k, v in tensors.items()}
    n, s, k, d = len(pixels), t["image"], t["patch"], t["width"]
    x = (pixels / 255.0 - info["preprocess"]["mean"]) / info["preprocess"]["std"]
    x = x.reshape(n, s // k, k, s // k, k, 3).transpose(0, 1, 3, 5, 2, 4).reshape(n, -1, 3 * k * k)
    x = x @ p["patch_embed.proj.weight"].reshape(d, -1).T + p["patch_embed.proj.bias"]
    x = np.concatenate([np.broadcast_to(p["cls_token"], (n, 1, d)), x], 1) + p["pos_embed"]
    if t["registers"]:
        x = np.concatenate([x[:, :1], np.broadcast_to(p["reg_token"], (n, t["registers"], d)), x[:, 1:]], 1)
    for i in range(t["depth"]):
        b = f"blocks.{i}."
        linear = lambda name, y: y @ p[b + name + ".weight"].T + p[b + name + ".bias"]
        scale = lambda name: p[b + name + ".gamma"] if t["layer_scale"] else 1.0
        q, key, v = np.split(linear("attn.qkv", norm(x, p[b + "norm1.weight"], p[b + "norm1.bias"], t["norm_eps"])), 3, -1)
        heads = lambda y: y.reshape(n, -1, t["heads"], d // t["heads"]).transpose(0, 2, 1, 3)
        a = heads(q) @ heads(key).transpose(0, 1, 3, 2) / math.sqrt(d / t["heads"])
        a = np.exp(a - a.max(-1, keepdims=True))
        o = (a / a.sum(-1, keepdims=True) @ heads(v)).transpose(0, 2, 1, 3).reshape(n, -1, d)
        x = x + scale("ls1") * linear("attn.proj", o)
        h = gelu(linear("mlp.fc1", norm(x, p[b + "norm2.weight"], p[b + "norm2.bias"], t["norm_eps"])))
        x = x + scale("ls2") * linear("mlp.fc2", h)
    e = z = norm(x, p["norm.weight"], p["norm.bias"], t["norm_eps"])[:, 0]
    if info["method"]["name"] == "classify":
        return e, e @ p["head.weight"].T + p["head.bias"]
    large = info["method"]["head"] == "large"
    layers = 3 if large else 2
    for i in range(layers):
        z = z @ p[f"hashcoder.{2 * i}.weight"].T + p[f"hashcoder.{2 * i}.bias"]
        if i + 1 < layers:
            z = gelu(z) if large else np.maximum(z, 0)
    last = f"hashcoder.{2 * layers - 1}."
    return e, (z - p[last + "running_mean"]) / np.sqrt(p[last + "running_var"] + 1e-5) * p[last + "weight"] + p[last + "bias"]


def check_run(run):
    info, tensors = bittern.read_model(run + ".safetensors")
    paths = [f"pictures/{line}" for line in open(run + ".paths.txt").read().splitlines()]
    own, merged, logits = np.load(run + ".npy"), np.load(run + ".merged.npy"), np.load(run + ".merged.logits.npy")
    check(f"{run}: merged and unmerged agree, {far(merged, own):.1e} of {TOLERANCE:g}", far(merged, own) < TOLERANCE)
    with bittern.Encoder(run + ".safetensors", threads=1, batch=4) as encoder:
        pixels = np.stack([encoder.prepare(path) for path in paths])
        embeddings, codes, values = encoder.encode(paths, logits=True)
        check(f"{run}: the Python reader has the bits of bittern embed", embeddings.tobytes() == merged.tobytes() and values.tobytes() == logits.tobytes())
        check(f"{run}: one array or a list, the same", encoder.encode(pixels)[0].tobytes() == merged.tobytes())
        check(f"{run}: nothing in, nothing out", encoder.encode([])[0].shape == (0, encoder.width))
        if encoder.bits:
            check_codes(run, encoder, codes, values)
        else:
            check(f"{run}: no codes", codes is None)
    expected, expected_logits = forward(info, tensors, pixels)
    check(f"{run}: embeddings as NumPy's, {far(merged, expected):.1e}", far(merged, expected) < TOLERANCE)
    check(f"{run}: logits as NumPy's, {far(logits, expected_logits):.1e}", far(logits, expected_logits) < TOLERANCE)
    check(f"{run}: merged has no adapters", not any(".lora_" in name for name in tensors))
    if os.path.exists(run + ".apart.safetensors"):
        check_adapters(run, info, tensors, pixels, own, merged)


def check_adapters(run, info, tensors, pixels, own, merged):
    apart, adapters = bittern.read_model(run + ".apart.safetensors")
    with bittern.Encoder(run + ".apart.safetensors", base=run, threads=1, batch=4) as encoder:
        check(f"{run}: adapters with base have the run's bits", encoder.encode(pixels)[0].tobytes() == own.tobytes())
    base = read_base(run)
    plain = forward(info, {**tensors, **base}, pixels)[0]
    check(f"{run}: control, without adapters it is off by {far(merged, plain):.1e}", far(merged, plain) > 100 * TOLERANCE)
    check(f"{run}: the adapter file has adapters and head alone", apart["kind"] == "adapter" and not set(adapters) & set(base))


def read_base(run):
    """The frozen tower as the run began: a safetensors file without our description."""
    with open(run + "/base.safetensors", "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    header.pop("__metadata__", None)
    return {name: np.frombuffer(data, np.float32, math.prod(e["shape"]), e["data_offsets"][0]).reshape(e["shape"]) for name, e in header.items()}


def check_codes(run, encoder, codes, values):
    stored = bittern.read_codes(run + ".merged.codes.npy")
    check(f"{run}: codes as bittern embed's", codes.tobytes() == stored.tobytes())
    check(f"{run}: a bit is 1 where its logit is above 0", (bittern.unpack(codes, encoder.bits) == (values > 0)).all())
    bits = bittern.unpack(codes, encoder.bits).astype(np.int64)
    expected = (bits[:5, None] != bits[None]).sum(-1)
    check(f"{run}: Hamming distances", (bittern.hamming(codes[:5], stored) == expected).all() and expected.max() > 0)
    check(f"{run}: in chunks", (bittern.hamming(codes[:5], stored, chunk=7) == expected).all())


def check_sizes():
    """Pictures of other sizes: a file, the array in it, and PIL's image are one."""
    encoder = bittern.Encoder("plain.safetensors", threads=1)
    path = next(path for path in ("large/ring/00000.png", "large/ring/00000.ppm") if os.path.exists(path))
    try:
        from PIL import Image
        array = np.array(Image.open(path).convert("RGB"))
        small = np.array(Image.fromarray(array).resize((16, 16), Image.BILINEAR))
        with bittern.Encoder("full.safetensors", threads=1) as full:
            cut = np.array(Image.fromarray(array).resize((20, 20), Image.BICUBIC))[2:18, 2:18]
            check("40 pixels to 20, the centre of 16, bicubic as PIL", (full.prepare(path) == cut).all())
        check("40 pixels to 16 as PIL", (encoder.prepare(array) == small).all() and (encoder.prepare(path) == small).all())
        check("PIL's image", (encoder.prepare(Image.open(path)) == small).all())
    except ImportError:
        print("skipped: PIL's resize (no PIL)")
    results = [None] * 4

    def work(i):
        results[i] = encoder.encode([path] * 3)[0].tobytes()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    check("four threads on one encoder", len(set(results)) == 1 and results[0] is not None)
    encoder.close()


def check_errors():
    def says(what, kind, text, call):
        try:
            call()
        except kind as error:
            check(f"{what}: {error}", text in str(error))
        else:
            check(f"{what}: no error", False)

    says("no file", bittern.BitternError, "nothing.safetensors", lambda: bittern.Encoder("nothing.safetensors"))
    says("no base", bittern.BitternError, "adapters and a head alone", lambda: bittern.Encoder("plain.apart.safetensors"))
    says("dtype", bittern.BitternError, "allowed are f32 and bf16", lambda: bittern.Encoder("plain.safetensors", dtype="f16"))
    says("device", bittern.BitternError, 'no device "tpu"', lambda: bittern.Encoder("plain.safetensors", device="tpu"))
    says("batch", bittern.BitternError, "batch is -1", lambda: bittern.Encoder("plain.safetensors", batch=-1))
    encoder = bittern.Encoder("plain.safetensors", threads=1)
    says("no picture", bittern.BitternError, "small.yaml", lambda: encoder.encode(["small.yaml"]))
    says("one path", TypeError, "put one into a list", lambda: encoder.encode("x.png"))
    says("floats", ValueError, "uint8", lambda: encoder.encode([np.zeros((4, 4, 3))]))
    says("another size in one array", ValueError, "(N, 16, 16, 3)", lambda: encoder.encode(np.zeros((1, 8, 8, 3), np.uint8)))
    encoder.close()
    says("closed", ValueError, "closed", lambda: encoder.encode(np.zeros((1, 16, 16, 3), np.uint8)))
    says("no codes", ValueError, "(N, bytes) of uint8", lambda: bittern.read_codes("plain.npy"))
    says("codes of two lengths", ValueError, "of one length", lambda: bittern.hamming(np.zeros((1, 2), np.uint8), np.zeros((1, 3), np.uint8)))


for name in sys.argv[2:]:
    check_run(name)
check_sizes()
check_errors()
sys.exit(bool(failures))
