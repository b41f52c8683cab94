#!/usr/bin/env python3
"""Writes the corpus of the fuzz targets: small files that between them reach every branch of the parsers. Needs Pillow and h5py; the result is committed.

    make_corpus.py FOLDER     (tests/fuzz/corpus)
"""
import io, json, os, struct, subprocess, sys, zlib

from PIL import Image

FOLDER = sys.argv[1]


def put(subject, name, content):
    path = os.path.join(FOLDER, subject, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(content.encode() if isinstance(content, str) else content)


def picture(mode, width=9, height=7):
    image = Image.new("RGBA", (width, height))
    image.putdata([(23 * x % 256, 31 * y % 256, (x * y * 7) % 256, 255 - 9 * x) for y in range(height) for x in range(width)])
    return image.convert("RGB").convert(mode) if mode in ("CMYK", "P", "1") else image.convert(mode)


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def png(width, height, depth, color, interlace, rows, extra=b""):
    """A PNG that Pillow does not write."""
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def tensors(entries, metadata=None, tail=b""):
    """entries: (name, dtype, shape, bytes)."""
    header, data = ({"__metadata__": metadata} if metadata else {}), b""
    for name, dtype, shape, content in entries:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data + tail


def pictures():
    for mode in ("RGB", "RGBA", "L", "LA", "P", "1"):
        put("png", mode.lower() + ".png", saved(picture(mode), "PNG"))
    put("png", "rgb16.png", png(2, 2, 16, 2, 0, b"".join(b"\0" + bytes(range(y, y + 12)) for y in range(2))))
    put("png", "grey2.png", png(5, 2, 2, 0, 0, b"\0\x1b\x40\1\xe4\x80"))
    adam7 = b"\0\x01" + b"\0\x05" + b"\0\x02\x06" + b"\0\x03\x07"  # grey 8 bit, passes of a 4 x 4 image
    put("png", "interlaced.png", png(4, 4, 8, 0, 1, adam7 + b"\0\x08\x09\0\x0a\x0b" + b"\0\1\2\3\4\0\5\6\7\x08"))
    transparent = struct.pack(">I", 2) + b"tRNS\0\7" + struct.pack(">I", zlib.crc32(b"tRNS\0\7"))
    put("png", "transparent.png", png(3, 1, 8, 0, 0, b"\0\7\x08\x09", transparent))
    put("jpeg", "rgb.jpg", saved(picture("RGB", 17, 11), "JPEG", quality=30))
    put("jpeg", "full.jpg", saved(picture("RGB"), "JPEG", quality=90, subsampling=0))
    put("jpeg", "grey.jpg", saved(picture("L"), "JPEG", quality=50))
    put("jpeg", "cmyk.jpg", saved(picture("CMYK"), "JPEG", quality=50))
    put("jpeg", "progressive.jpg", saved(picture("RGB", 17, 11), "JPEG", quality=40, progressive=True))
    put("jpeg", "restarts.jpg", saved(picture("RGB", 33, 17), "JPEG", quality=20, restart_marker_blocks=1))
    put("jpeg", "comment.jpg", saved(picture("L", 1, 1), "JPEG", quality=20, comment=b"one pixel"))
    turned = b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"
    put("jpeg", "exif.jpg", saved(picture("RGB"), "JPEG", quality=30, exif=turned))
    put("png", "exif.png", saved(picture("RGB"), "PNG", exif=turned))
    put("webp", "lossy.webp", saved(picture("RGB", 17, 11), "WEBP", quality=30, exif=turned))
    put("webp", "lossless.webp", saved(picture("RGB"), "WEBP", lossless=True, xmp=b'<a tiff:Orientation="3">'))
    put("webp", "alpha.webp", saved(picture("RGBA"), "WEBP", quality=20))
    put("webp", "alpha_lossless.webp", saved(picture("RGBA"), "WEBP", lossless=True, exact=True))
    put("webp", "animation.webp", saved(picture("RGB"), "WEBP", save_all=True, append_images=[picture("RGBA")], quality=20))
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "images"))
    import files
    for name, content in files.few_tiffs():
        put("tiff", name, content)
    put("ppm", "plain.ppm", b"P6 3 2 255\n" + bytes(range(18)))
    put("ppm", "comment.ppm", b"P6 # two\n# lines\n1\t1 255\nABC")
    for name, content in (("lfs", b"version https://git-lfs.github.com/spec/v1\n"), ("page", b"<html>"), ("gif", b"GIF89a"), ("riff", b"RIFF1234WEBP"),
                          ("empty", b""), ("ascii", b"P3 1 1 255\n1 2 3\n")):
        put("ppm", name, content)


def json_files():
    put("json", "nested.json", '{"a": [1, -2.5, 3e4, true, false, null], "b": {"c": {"d": []}, "": {}}, "text": "x\\n\\u00e9\\ud83d\\ude00 \\"q\\" \u00e9"}')
    put("json", "numbers.json", "[0,-0,9223372036854775807,-9223372036854775808,9223372036854775808,1e308,4.9e-324,0.1,1E+2]")
    put("json", "deepest.json", "[" * 64 + "]" * 64)
    put("json", "too_deep.json", "[" * 65 + "]" * 65)
    put("json", "scalar.json", ' "only" ')
    put("json", "letters.json", '"\u00e9\u20ac\U0001f600"')
    put("json", "cut_letter.json", b'"\xf0\x9f\x98')
    put("json", "cut_surrogate.json", '"\\ud83d')
    put("json", "twice.json", '{"a":1,"a":2}')
    put("jsonl", "steps.jsonl", "".join('{"kind":"step","step":%d,"loss":0.%d}\n' % (i, i) for i in range(1, 8)))
    put("jsonl", "torn.jsonl", '{"kind":"step","step":1}\n{"kind":"scores","step":1,"map":0.5}\n{"kind":"st')
    put("jsonl", "odd.jsonl", '\n{}\n[1]\n{"step":"1"}\n{"step":1.5}\nnot json\n{"step":-1}\n{"step":5}\r\n')
    config = json.dumps({"optim.lr": "0.001", "run.keep": "2", "model.width": "64"})
    state = {"version": 2, "step": 16, "epoch": 4, "batch": 0, "updates": [4, 16, 0, 0], "seconds": 1.25, "loss_sum": 2.5, "loss_count": 4, "config": config}
    put("checkpoint", "state.json", json.dumps(state))
    put("checkpoint", "other.json", json.dumps({**state, "config": "not an object"}))
    put("checkpoint", "future.json", json.dumps({**state, "version": 99}))


def preprocess():
    half = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.25, 0.5]}
    image = {"image_mean": half["mean"], "image_std": half["std"]}
    for crop in ("center", "border", "squash"):
        put("preprocess", f"timm_{crop}.json", json.dumps({"pretrained_cfg": half | {"input_size": [3, 48, 48], "crop_pct": 0.9, "crop_mode": crop, "interpolation": "bicubic"}}))
    put("preprocess", "timm_bare.json", json.dumps(half | {"input_size": [3, 40, 56]}))
    for resize in ("shortest", "longest", "squash"):
        put("preprocess", f"open_clip_{resize}.json", json.dumps({"model_cfg": {"vision_cfg": {"image_size": [40, 48]}}, "preprocess_cfg": half | {"resize_mode": resize, "fill_color": 9}}))
    put("preprocess", "bit.json", json.dumps(image | {"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 50}, "crop_size": {"height": 48, "width": 40}, "resample": 3}))
    put("preprocess", "clip.json", json.dumps(image | {"feature_extractor_type": "CLIPFeatureExtractor", "size": 48, "crop_size": 60, "do_center_crop": True, "rescale_factor": 0.5}))
    put("preprocess", "vit.json", json.dumps(image | {"image_processor_type": "ViTImageProcessorFast", "size": {"height": 48, "width": 33}, "resample": 2, "do_pad": None}))
    put("preprocess", "none.json", json.dumps(image | {"image_processor_type": "CLIPImageProcessor", "do_resize": False, "crop_size": 48, "do_normalize": False}))


def safetensors():
    every = [("bool", "BOOL", [2], b"\0\1"), ("u8", "U8", [3], b"abc"), ("i8", "I8", [1], b"\xff"), ("f8", "F8_E4M3", [2], b"\x7f\x01")]
    every += [("u16", "U16", [2], b"\1\2\3\4"), ("i16", "I16", [1, 1], b"\xff\xff"), ("f16", "F16", [3], b"\0\x3c\1\0\0\x7c")]
    every += [("bf16", "BF16", [1, 2], b"\x80\x3f\xc0\x7f"), ("f32", "F32", [2, 1], struct.pack("<2f", 1.5, -2)), ("f64", "F64", [1], struct.pack("<d", 1e300))]
    every += [("i32", "I32", [1], b"\1\0\0\x80"), ("u32", "U32", [1], b"\xff" * 4), ("i64", "I64", [1], b"\xff" * 8), ("u64", "U64", [1], b"\xff" * 8)]
    put("safetensors", "every.safetensors", tensors(every))
    put("safetensors", "metadata.safetensors", tensors([("w", "F32", [1, 2], bytes(8)), ("b.\u00e9", "BF16", [], b"\0\0")], {"format": "pt", "k": "v"}))
    put("safetensors", "empty.safetensors", tensors([]))
    put("safetensors", "zero.safetensors", tensors([("none", "F32", [3, 0, 5], b""), ("one", "U8", [1], b"x")]))
    put("safetensors", "rank8.safetensors", tensors([("r", "U8", [1] * 7 + [4], b"abcd")]))
    put("safetensors", "overlap.safetensors", tensors([("a", "U8", [4], b"abcd")]).replace(b"[0,4]", b"[1,5]"))
    put("safetensors", "long.safetensors", tensors([("a", "U8", [4], b"abcd")], tail=b"more"))
    put("safetensors", "pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")


def configs():
    run = """# a run
model: {name: custom, image: 32, patch: 4, width: 64, depth: 2, heads: 2}
adapter: {targets: "q,v", rank: 4, dropout: 0.1}
method:
  name: crovca
  bits: 16   # of a code
  supervised: false
data: {root: 'pictures', train: 8, query: 2}
train: {epochs: 4, batch: 12, recompute: blocks}
run: {dir: "runs/a", dtype: bf16}
optim:
  lr: 1e-3
"""
    put("config", "run.yaml", run)
    put("config", "misspelt.yaml", run.replace("bits", "bitz"))
    put("config", "types.yaml", run.replace("epochs: 4", "epochs: many").replace("0.1", "2"))
    put("config", "lists.yaml", "a:\n  - 1\n  - 'two'\n  - \"t\\thr\\u00e9e\"\n  - ~\n  - null\nb: [x, \"y\", ]\nc: []\nd: |\n  text\n  more\ne: >-\n  folded\n  text\nf: ''\n")
    put("config", "include.yaml", "include: input.yaml\na: 1\n")
    put("config", "includes.yaml", "include: [a.yaml, b.yaml]\n")
    for name, text in (("anchor", "a: &x 1\nb: *x\n"), ("tag", "a: !!int 1\n"), ("merge", "<<: {a: 1}\n"), ("twice", "a: 1\na: 2\n"), ("dot", "a.b: 1\n"),
                       ("documents", "a: 1\n---\nb: 2\n"), ("deep", "a: " + "{a: " * 20 + "1" + "}" * 20 + "\n"), ("list_of_lists", "a: [[1]]\n"),
                       ("empty", ""), ("latin1", b"a: \xe9\n"), ("scalar", "only\n"), ("key", "? [a]\n: b\n")):
        put("config", name + ".yaml", text)
    put("override", "good", "a.b=1e-4\noptim.lr = 3\na=[1, 2 ,'x, y', \"]\", ~,]\nb=\"x\\n\\\"y\\\\\"\nc='it''s'\nd=~\ne=\na.b.c=1\na=1\n")
    put("override", "bad", "lr\n=3\na..b=3\na=[1\na=[1,,2]\na=[1] 2\na=[[1]]\na='x\na=\"x\\\na={b: 1}\na=*x\ninclude=b.yaml\n")


def npy(descr, shape, data, version=1, order="False"):
    text = "{'descr': %s, 'fortran_order': %s, 'shape': %s, }" % (descr, order, shape)
    length = "<H" if version == 1 else "<I"
    frame = 8 + struct.calcsize(length)
    text += " " * (-(frame + len(text) + 1) % 64) + "\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack(length, len(text)) + text.encode() + data


def arrays():
    for descr, data in (("f4", struct.pack("<2f", 1.5, -2)), ("f8", struct.pack("<2d", 1e300, -2)), ("f2", b"\0\x3c\0\x7c"), ("i8", b"\xff" * 16),
                        ("u8", b"\xff" * 16), ("i4", b"\1\0\0\x80" * 2), ("u2", b"\1\2\3\4")):
        put("npy", descr + ".npy", npy("'<%s'" % descr, "(2,)", data))
    put("npy", "bool.npy", npy("'|b1'", "(1, 3)", b"\0\1\1"))
    put("npy", "bytes.npy", npy("'|u1'", "(2, 0, 3)", b""))
    put("npy", "scalar.npy", npy("'|i1'", "()", b"\xff"))
    put("npy", "version2.npy", npy("'<f4'", "(1, 1, 1, 1, 1, 1, 1, 1)", bytes(4), version=2))
    put("npy", "object.npy", npy("'|O'", "(1,)", b"\x80\4N."))
    put("npy", "record.npy", npy("[('x', '<f4'), ('y', '<i4')]", "(1,)", bytes(8)))
    put("npy", "fortran.npy", npy("'>f4'", "(2, 1)", bytes(8), order="True"))
    put("npy", "long.npy", npy("'<f4'", "(1,)", bytes(5)))


def tables():
    put("manifest", "plain.csv", "path,label\na.jpg,x\nb/c.png,y\n")
    put("manifest", "all.csv", 'split,file_name,caption,order,genus,species\r\ntrain,"a,1.jpg","say ""no""\nplease",O,G,s | t\r\n\r\nquery|database,b.jpg,,O,,\r\n,c.jpg,\u00e4,P,H,t\r\n')
    put("manifest", "tabs.csv", 'path\tclass\tsplit\na.jpg\t5" bill\ttest\nb.jpg\t"quoted\tone"\tval')
    put("manifest", "bom.csv", b"\xef\xbb\xbfimage,labels\rx.ppm,1|2\ry.ppm,\r")
    put("manifest", "up.csv", "path,label\n./a/../b.jpg,x\n../c.jpg,y\n/d.jpg,z\n")
    put("manifest", "ragged.csv", 'path,label\na.jpg\nb.jpg,x,y\n"c,x\n')
    put("label_list", "plain.txt", "a.jpg 0 1 0\nb c/d.png 1 1 1 \r\n\ne.ppm 0 0 0\na.jpg 0 1 0\n")
    put("label_list", "wide.txt", "x.jpeg" + " 0 1" * 40 + "\n" + "y.jpeg" + " 1 0" * 40 + "\n")
    put("label_list", "bad.txt", "a.jpg 0 2\nb.jpg 1\nc 0 1\n../d.jpg 0 1\n")


def packs():
    import h5py
    import numpy as np

    def pack(name, size, several=False, **extra):
        out = io.BytesIO()
        with h5py.File(out, "w", libver=("earliest", "v108")) as f:
            f.attrs["bittern_pack"], f.attrs["size"], f.attrs["crc32c"] = 1, size, 7
            f["class_names"] = np.array([b"a", b"b"])
            f["paths"] = np.array([b"1.png", b"2.png"])
            f["labels"] = np.array([[0, 1], [1, 1]], "u1") if several else np.array([1, -1], "i4")
            for key, value in extra.items():
                if isinstance(value, dict):
                    f.create_dataset(key, **value)
                else:
                    f[key] = value
        put("pack", name, out.getvalue())

    images, one = np.arange(24, dtype="u1").reshape(2, 2, 2, 3), saved(picture("L", 3, 2), "PNG")
    pack("images.h5", 2, images=images)
    pack("all.h5", 2, True, images=images, splits=np.array([1, 6], "u1"), captions=np.array([b"x", "\u00e4".encode()]), rank_names=np.array([b"genus"]),
         rank_0=np.array([0, -1], "i4"), rank_0_names=np.array([b"G"]))
    pack("encoded.h5", 0, encoded=np.frombuffer(one * 2, "u1"), encoded_first=np.array([0, len(one), 2 * len(one)], "i8"))
    pack("chunks.h5", 2, images={"data": images, "chunks": (1, 2, 2, 3), "compression": "gzip"})
    pack("gzip.h5", 2, images=images, captions={"data": np.array([b"x" * 40, b"y"]), "chunks": (1,), "compression": "gzip", "shuffle": True, "fletcher32": True})
    out = io.BytesIO()
    with h5py.File(out, "w") as f:
        f["x"] = np.arange(6, dtype="f4").reshape(3, 2)
    put("pack", "array.h5", out.getvalue())


def reports():
    """Files of a run's folder for fuzz_report.c: they replace those of tests/unit/run_folder.h, 12 queries and 24 items."""
    Q, N, K = 12, 24, 12

    def section(name, content):
        return b"@%s\n" % name.encode() + (content.encode() if isinstance(content, str) else content)

    def matrix(descr, code, rows):
        flat = [v for row in rows for v in row]
        return npy("'%s'" % descr, "(%d, %d)" % (len(rows), len(rows[0])), struct.pack("<%d%s" % (len(flat), code), *flat))

    def scores(ways, ranks, groups, full=False, pack=None, **more):
        at = {"k": 20, "papers": 0.5, "standard": 0.25, "precision": 0.5, "recall": 0.5, "hit_rate": 1}
        free = {"mean": 0.5, "deviation": 0.01}
        way = {"ranks": [{"rank": r, "at": [{**at, "papers_interval": [0.4, 0.6], "standard_interval": [0.2, 0.3]}, at], "curve": [1, 0.5, 0]} for r in ranks]}
        if full:
            way.update(vote=0.5, probe=None, effective_rank={"entropy": 7.5, "participation": 4}, effective_rank_centred={"entropy": 6, "participation": 3})
        e = {"format": "bittern evaluation", "version": 1, "method": "crovca", "bits": 8, "step": 4, "k": 20, "queries": Q, "database": N, "multi_label": False,
             "full": full, "scores": {w: way for w in ways}, "curve_recall": [0, 0.5, 1], "training_free": {"at": [{"k": 20, "papers": free, "standard": free}]},
             "bit_statistics": {"codes": N, "distinct": 20, "dead": 0, "code_entropy": 4, "entropy": 0.9, "least_entropy": 0.5, "imbalance": 0.1,
                                "worst_imbalance": 0.3, "correlation": 0.2, "worst_correlation": 0.6, "ones": [0.5] * 8},
             "ranks": [{"name": r, "also": ["genus"], "classes": n, "names": ["%s %d" % (r, c) for c in range(n)],
                        "confusion": [[float(c == d) for d in range(n)] for c in range(n)]} for r, n in zip(ranks, groups)]}
        if pack:
            e["pack"] = pack
        return json.dumps({**e, **more})

    whole = scores(["binary", "symmetric", "continuous", "before", "random"], ["species", "family"], [12, 3], True, "p.h5")
    put("report", "scores", section("evaluation.json", whole))
    put("report", "files", section("evaluation.json", scores(["continuous"], ["class"], [2])))
    put("report", "bare", section("evaluation.json", scores(["continuous"], ["class"], [3], bits=0, bit_statistics=None, training_free={"reason": "few"})))
    put("report", "labels", section("evaluation.json", scores(["binary", "continuous"], ["class"], [12], multi_label=True)))
    put("report", "version", section("evaluation.json", scores([], [], [], version=2)))
    put("report", "extreme", section("evaluation.json", whole.replace("0.5,", "1e308,").replace("0.25", "-1e308")))
    small = scores(["binary"], ["x"], [1], queries=1, database=1, bits=1, bit_statistics=None)
    put("report", "small", section("evaluation.json", small) + b"\n" + b"\n".join(
        [section("query_labels.npy", matrix("<i4", "i", [[0]])), section("database_labels.npy", matrix("<i4", "i", [[-1]])),
         section("neighbours.npy", matrix("<i4", "i", [[0]])), section("relevant.npy", matrix("|u1", "B", [[1]])),
         section("average_precision.npy", matrix("<f8", "d", [[1, 1]])), section("bit_correlation.npy", matrix("<f8", "d", [[1]])),
         section("query_paths.txt", "#0\n"), section("database_paths.txt", "a\n")]))
    put("report", "neighbours", section("neighbours.npy", matrix("<i4", "i", [[(q + r) % N for r in range(K)] for q in range(Q)])))
    put("report", "relevant", section("relevant.npy", matrix("|u1", "B", [[(q + r) % 2 for r in range(K)] for q in range(Q)])))
    put("report", "query_labels", section("query_labels.npy", matrix("<i4", "i", [[q, q // 4] for q in range(Q)])))
    put("report", "database_labels", section("database_labels.npy", matrix("<i4", "i", [[99, -1]] * N)))
    put("report", "precision", section("average_precision.npy", matrix("<f8", "d", [[1, q / Q] for q in range(Q)])))
    put("report", "not_a_number", section("average_precision.npy", matrix("<f8", "d", [[1, float("nan")]] * Q)))
    put("report", "correlation", section("bit_correlation.npy", matrix("<f8", "d", [[1, float("nan"), 1e300, -1e300, float("inf"), -2, 0, -0.0]] * 8)))
    put("report", "rows", section("query_rows.npy", matrix("<i8", "q", [[q - 1] for q in range(Q)])))
    put("report", "square", bytes(range(27)) + section("database_rows.npy", matrix("<i8", "q", [[1 << 62]] * N)))
    put("report", "picture", saved(picture("L", 3, 2), "PNG") + b"\n" + section("database_paths.txt", "a\n" * N))
    put("report", "paths", section("query_paths.txt", "../a.png\n" * (Q - 1) + "<b>&\n") + section("database_paths.txt", "a\r\n" * N + "more"))
    steps = "".join('{"kind":"step","step":%d,"loss":%s,"rate":-1.5,"lr_head":1e-3}\n' % (i, ("0.5", "1e308", "-1e308", '"nan"')[i % 4]) for i in range(9))
    put("report", "metrics", section("metrics.jsonl", steps + '{"kind":"scores","step":1e300,"map_binary":0.5}\n{"kind":"scores","step":9,"map_binary":1}\n{"kind"'))
    tiny = "".join('{"kind":"step","step":%d,"loss":%s,"rate":%s}\n' % (1 << 53, a, b) for a, b in (("0", "1"), ("4.9e-324", "1.0000000000000002")))
    put("report", "tiny", section("metrics.jsonl", tiny))
    put("report", "one_step", section("metrics.jsonl", '{"kind":"step","step":0,"loss":0}\n{"kind":"other","step":1}\n'))
    put("report", "starts", section("provenance.jsonl", '{"time":"t","commit":"c","device":"d","host":"h","system":"s","step":0}\n{"step":3}\n'))
    put("report", "config", section("config.yaml", "a:\n  b: 1  # default\n  c: x  # y  # f.yaml:3\n:\n\n  d: \n# e: 1  # 2\nf"))


pictures()
json_files()
preprocess()
safetensors()
arrays()
tables()
packs()
configs()
reports()
# The corpora pickle, weights and zip are some of the files of another test.
subprocess.run([sys.executable, "-B", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "weights", "make_files.py"), "--corpus", FOLDER], check=True)
