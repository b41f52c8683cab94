"""What onnx.sh exported, against the libraries and against bittern embed.

    onnx_check.py ENGINE FIXTURES towers NAME SIZE FILE.onnx ...     the fixture NAME at pictures of SIZE: its library's features
    onnx_check.py ENGINE FIXTURES runs RUN ...                       RUN.onnx: RUN.npy, RUN.logits.npy, RUN.codes.npy of bittern embed

ENGINE is numpy (onnx_numpy.py), or onnxruntime, with which the checker of onnx looks at the file too. Features and logits agree within 1e-4, relative in
the 2-norm of a tensor; codes bit for bit where a logit is not within 1e-5 of 0. Each graph is run with one picture, and with three.
"""
import json, os, struct, sys, zlib

import numpy as np

import onnx_numpy

TOLERANCE, DECIDED = 1e-4, 1e-5
engine, fixtures = sys.argv[1], sys.argv[2]
failures = passed = 0


def check(what, good):
    global failures, passed
    passed += bool(good)
    if not good:
        failures += 1
        print("FAILED:", what)


def near(what, found, expected):
    far = float(np.linalg.norm(found.astype(np.float64) - expected) / np.linalg.norm(expected.astype(np.float64))) if found.shape == expected.shape else np.inf
    check(f"{what}: {far:.2e} of {TOLERANCE:g}, shapes {found.shape} and {expected.shape}", far < TOLERANCE)
    return far


class Runtime:
    def __init__(self, path):
        import onnx, onnxruntime
        onnx.checker.check_model(path, full_check=True)
        with open(path, "rb") as f:
            raw = f.read()
        check(f"{path}: bytes as the onnx package writes them", onnx.load_model(path, load_external_data=False).SerializeToString() == raw)
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.metadata = self.session.get_modelmeta().custom_metadata_map

    def run(self, pixels):
        names = [o.name for o in self.session.get_outputs()]
        return dict(zip(names, self.session.run(names, {"pixels": pixels})))


def open_graph(path):
    return Runtime(path) if engine == "onnxruntime" else onnx_numpy.Session(path)


def run_batches(graph, pixels):
    """All pictures three by three, of which the first is run alone too: the batch is no part of the graph."""
    parts = [graph.run(pixels[k:k + 3]) for k in range(0, len(pixels), 3)]
    out = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    alone = graph.run(pixels[:1])
    for name, value in alone.items():
        near(f"{name} of one picture alone", value.astype(np.float64), out[name][:1].astype(np.float64))
    return out


def check_eps(what, graph, info):
    """At these sizes of values an eps that is ten times too large stays within the tolerance: it is compared as such."""
    if engine != "numpy":
        return
    found = {(n["op_type"], a["f"]) for n in graph.graph["node"] for a in n["attribute"] if a["name"] == "epsilon"}
    wanted = {("LayerNormalization", float(np.float32(info["tower"]["norm_eps"])))}
    if info["method"]["bits"] and "without norm" not in info["method"]["head"]:
        wanted.add(("BatchNormalization", float(np.float32(1e-5))))
    check(f"{what}: eps {found}, expected {wanted}", found == wanted)


# ---- towers ----

def read_safetensors(path):
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    return {k: np.frombuffer(data[slice(*e["data_offsets"])], "<f4").reshape(e["shape"]) for k, e in header.items() if k != "__metadata__" and e["dtype"] == "F32"}


def picture(size, count=2):
    """picture() of make_fixtures.py."""
    n, c, y, x = np.meshgrid(*(np.arange(k, dtype=np.int64) for k in (count, 3, size, size)), indexing="ij")
    return ((n * 15485863 + c * 7919 + y * 104729 + x * 1299709 + y * x * 31) % 1009 / 1009 * 4 - 2).astype(np.float32)


def check_tower(name, size, path):
    expected = read_safetensors(os.path.join(fixtures, name, "expected.safetensors"))
    graph = open_graph(path)
    found = run_batches(graph, np.concatenate([picture(size), picture(size)[:1]]))
    info = json.loads(graph.metadata["bittern"])
    check(f"{name}: the description is of this size", info["preprocess"]["crop"] == size == info["tower"]["image"])
    check_eps(name, graph, info)
    names = {"class": f"class_{size}", "patches": f"patches_{size}"}
    if f"embedding_{size}" in expected:
        names["projection"] = f"embedding_{size}"
    check(f"{name}: outputs are {sorted(found)}", set(found) == set(names))
    far = [near(f"{name} at {size}: {mine}", found[mine][:2], expected[theirs]) for mine, theirs in names.items()]
    for mine in names:
        near(f"{name} at {size}: {mine} of the third picture", found[mine][2:], found[mine][:1])
    print(f"{name} at {size}: {max(far):.1e}")


# ---- runs ----

def read_picture(path):
    """PNG of 8 bits RGB, or PPM, as bittern demo writes them."""
    raw = open(path, "rb").read()
    if raw[:2] == b"P6":
        width, height = map(int, raw.split(b"\n", 3)[1].split())
        return np.frombuffer(raw[-3 * width * height:], np.uint8).reshape(height, width, 3)
    at, data = 8, b""
    while at < len(raw):
        size, kind = struct.unpack(">I4s", raw[at:at + 8])
        if kind == b"IHDR":
            width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", raw[at + 8:at + 21])
            assert (depth, colour, interlaced) == (8, 2, 0)
        if kind == b"IDAT":
            data += raw[at + 8:at + 8 + size]
        at += 12 + size
    rows, out = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, 1 + 3 * width), np.zeros((height + 1, 3 * width + 3), np.int64)
    for y in range(height):
        for k in range(3 * width):
            left, up, corner = out[y + 1, k], out[y, k + 3], out[y, k]
            p = left + up - corner
            paeth = min((left, up, corner), key=lambda v: abs(p - v))
            out[y + 1, k + 3] = (rows[y, 1 + k] + (0, left, up, (left + up) // 2, paeth)[rows[y, 0]]) % 256
    return out[1:, 3:].reshape(height, width, 3).astype(np.uint8)


def check_run(run):
    graph = open_graph(run + ".onnx")
    info = json.loads(graph.metadata["bittern"])
    with open(run + ".paths.txt") as f:
        pictures = np.stack([read_picture("pictures/" + line) for line in f.read().splitlines()])
    mean, std = (np.array(info["preprocess"][key], np.float32) for key in ("mean", "std"))
    pixels = ((pictures.astype(np.float32) / 255 - mean) / std).transpose(0, 3, 1, 2).copy()
    found = run_batches(graph, pixels)
    check_eps(run, graph, info)
    logits = np.load(run + ".logits.npy")
    names = {"embedding", "logits"} | ({"codes"} if info["method"]["bits"] else set())
    check(f"{run}: outputs are {sorted(found)}", set(found) == names)
    far = near(f"{run}: embedding", found["embedding"], np.load(run + ".npy")), near(f"{run}: logits", found["logits"], logits)
    print(f"{run}: {max(far):.1e}")
    if "codes" not in names:
        return
    codes, bits = np.load(run + ".codes.npy"), info["method"]["bits"]
    check(f"{run}: codes are {found['codes'].dtype} {found['codes'].shape}", found["codes"].dtype == np.uint8 and found["codes"].shape == codes.shape)
    a, b = (np.unpackbits(c, axis=1, bitorder="little") for c in (found["codes"], codes))
    decided = np.abs(logits) > DECIDED * np.abs(logits).max()
    check(f"{run}: both values of bits occur, and hardly any logit is near 0", 0.1 < b[:, :bits].mean() < 0.9 and decided.mean() > 0.99)
    check(f"{run}: codes", (a[:, :bits] == b[:, :bits])[decided].all() and not a[:, bits:].any())
    check(f"{run}: codes are the signs of the graph's logits", (a[:, :bits] == (found["logits"] > 0)).all())


if sys.argv[3] == "towers":
    for name, size, path in zip(*(iter(sys.argv[4:]),) * 3):
        check_tower(name, int(size), path)
else:
    for run in sys.argv[4:]:
        check_run(run)
print(f"{passed} checks passed, {failures} failed")
sys.exit(bool(failures or not passed))
