"""Picture files of every kind that Bittern reads, made with PIL and by hand: what PIL does not write (tiles, planes, odd depths, orientation in
odd places) is put together here.

each() yields (name, content, kind): kind "same" where Image.open(f).convert("RGB") is to be met bit by bit, "refused" where
docs/pictures.md says that the file is refused, "newer" as "same" where Pillow before 10 has another answer.
"""
import io, itertools, random, struct, zlib

import numpy as np
from PIL import Image, ImageSequence

SIZES = [(1, 1), (1, 7), (7, 1), (2, 2), (3, 5), (16, 16), (17, 33), (64, 48), (5, 400), (400, 3), (129, 65)]


def pixels(height, width, channels=3, seed=0):
    """Gradients with noise, all byte values."""
    rng = np.random.default_rng(height * 1000 + width + 7 * channels + seed)
    y, x = np.mgrid[0:height, 0:width]
    base = np.stack([y * (3 + c) + x * (2 + c % 3) + 40 * c for c in range(channels)], -1)
    return ((base + rng.integers(0, 64, base.shape)) & 255).astype(np.uint8)


def picture(mode, height, width, seed=0):
    if mode in ("1", "P"):
        image = Image.fromarray(pixels(height, width, 3, seed))
        return image.convert("1") if mode == "1" else image.quantize(37)
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    values = pixels(height, width, channels, seed)
    return Image.fromarray(values[..., 0] if channels == 1 else values, mode)


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


# ---- EXIF and XMP ----

def exif(orientation, order="<", kind=3, before=0, count=1):
    """A TIFF header with `before` other tags, then the orientation."""
    e = order
    entries = b"".join(struct.pack(e + "HHI", 256 + i, 4, 1) + struct.pack(e + "I", 9) for i in range(before))
    value = struct.pack(e + ("HH" if kind == 3 else "I"), *((orientation, 0) if kind == 3 else (orientation,)))
    entries += struct.pack(e + "HHI", 274, kind, count) + value
    return (b"II*\0" if e == "<" else b"MM\0*") + struct.pack(e + "IH", 8, before + 1) + entries + bytes(4)


def xmp(orientation, attribute=True):
    inner = f'<rdf:Description tiff:Orientation="{orientation}"/>' if attribute else f"<tiff:Orientation>{orientation}</tiff:Orientation>"
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/">{inner}</x:xmpmeta>'.encode()


# ---- PNG ----

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(height, width, depth, colour, rows, before=b"", after=b""):
    """rows: bytes of each row."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + before + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + r for r in rows))) + after + chunk(b"IEND", b"")


def bits(values, depth):
    """Values of a row, packed."""
    bit = "".join(format(int(v), f"0{depth}b") for v in values)
    return bytes(int(bit[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(bit), 8))


def wide(values, order):
    return np.ascontiguousarray(values).astype(order + "u2").tobytes()


def png_files():
    for mode, (h, w) in itertools.product(("1", "L", "LA", "P", "RGB", "RGBA"), SIZES[:9]):
        yield f"{mode}_{h}x{w}.png", saved(picture(mode, h, w), "PNG"), "same"
    for mode in ("RGBA", "LA"):  # nothing is seen, colours stay
        values = pixels(9, 11, len(mode))
        values[..., -1] = 0
        yield f"invisible_{mode}.png", saved(Image.fromarray(values, mode), "PNG"), "same"
    rng = np.random.default_rng(1)
    for colour, channels in ((2, 3), (4, 2), (6, 4)):
        values = rng.integers(0, 65536, (7, 5, channels))
        yield f"wide_{channels}.png", png(7, 5, 16, colour, [wide(r, ">") for r in values]), "same"
    small = rng.integers(0, 256, (6, 9))
    yield "grey16_small.png", png(6, 9, 16, 0, [wide(r, ">") for r in small]), "same"
    yield "grey16_small_key.png", png(6, 9, 16, 0, [wide(r, ">") for r in small], chunk(b"tRNS", b"\0\7")), "same"
    for value in (256, 4000, 65535):
        large = small.copy()
        large[5, 8] = value
        yield f"grey16_{value}.png", png(6, 9, 16, 0, [wide(r, ">") for r in large]), "refused"
    for depth in (1, 2, 4):
        values = rng.integers(0, 1 << depth, (5, 13))
        yield f"grey_{depth}.png", png(5, 13, depth, 0, [bits(r, depth) for r in values]), "same"
        yield f"grey_{depth}_key.png", png(5, 13, depth, 0, [bits(r, depth) for r in values], chunk(b"tRNS", b"\0\1")), "same"
        palette = bytes(rng.integers(0, 256, 3 << depth).tolist())
        alphas = chunk(b"tRNS", bytes([0, 128]))
        yield f"palette_{depth}.png", png(5, 13, depth, 3, [bits(r, depth) for r in values], chunk(b"PLTE", palette)), "same"
        yield f"palette_{depth}_alpha.png", png(5, 13, depth, 3, [bits(r, depth) for r in values], chunk(b"PLTE", palette) + alphas), "same"
    yield "palette_short.png", png(2, 4, 8, 3, [bytes([0, 1, 2, 200]), bytes([3, 1, 0, 255])], chunk(b"PLTE", bytes(range(10, 16)))), "newer"
    yield "rgb_key.png", png(2, 3, 8, 2, [bytes(range(9)), bytes(range(9, 18))], chunk(b"tRNS", b"\0\0\0\1\0\2")), "same"
    yield "gamma.png", png(2, 3, 8, 2, [bytes(range(9)), bytes(range(90, 99))], chunk(b"gAMA", struct.pack(">I", 100000))), "same"
    rows = [bytes(r) for r in pixels(3, 5).reshape(3, -1)]
    for o in range(0, 10):
        e = "<>"[o % 2]
        yield f"exif_{o}.png", png(3, 5, 8, 2, rows, chunk(b"eXIf", exif(o, e))), "same"
    yield "exif_behind.png", png(3, 5, 8, 2, rows, after=chunk(b"eXIf", exif(6))), "same"
    hexed = b"\nexif\n%8d\n" % 100 + (b"Exif\0\0" + exif(8)).hex().encode() + b"\n"
    yield "raw_profile.png", png(3, 5, 8, 2, rows, chunk(b"tEXt", b"Raw profile type exif\0" + hexed)), "same"
    yield "raw_profile_z.png", png(3, 5, 8, 2, rows, chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(hexed))), "same"
    for i, packed in enumerate((False, True)):
        body = b"XML:com.adobe.xmp\0" + bytes([packed, 0, 0, 0]) + (zlib.compress(xmp(5)) if packed else xmp(7, False))
        yield f"xmp_{i}.png", png(3, 5, 8, 2, rows, chunk(b"iTXt", body)), "same"


# ---- JPEG ----

def with_segment(jpeg, marker, data):
    return jpeg[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data + jpeg[2:]


def jpeg_files():
    for sampling, (h, w) in itertools.product((0, 1, 2), SIZES):
        yield f"s{sampling}_{h}x{w}.jpg", saved(picture("RGB", h, w), "JPEG", quality=60 + 9 * sampling, subsampling=sampling), "same"
    for h, w in SIZES[4:8]:
        yield f"grey_{h}x{w}.jpg", saved(picture("L", h, w), "JPEG"), "same"
        yield f"progressive_{h}x{w}.jpg", saved(picture("RGB", h, w), "JPEG", progressive=True), "same"
        yield f"cmyk_{h}x{w}.jpg", saved(picture("CMYK", h, w), "JPEG", quality=90), "same"
        yield f"optimized_{h}x{w}.jpg", saved(picture("RGB", h, w), "JPEG", optimize=True, quality=20), "same"
    for every in (1, 3):
        try:
            yield f"restart_{every}.jpg", saved(picture("RGB", 40, 70), "JPEG", restart_marker_blocks=every), "same"
            yield f"restart_rows_{every}.jpg", saved(picture("RGB", 70, 40), "JPEG", restart_marker_rows=every, progressive=every == 3), "same"
        except TypeError:
            pass
    plain = saved(picture("RGB", 6, 10), "JPEG", quality=90)
    for o, e, kind in itertools.product(range(0, 10), "<>", (3, 4)):
        yield f"exif_{o}{'le' if e == '<' else 'be'}{kind}.jpg", with_segment(plain, 0xE1, b"Exif\0\0" + exif(o, e, kind, o)), "same"
    yield "exif_two.jpg", with_segment(with_segment(plain, 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp(3)), 0xE1, b"Exif\0\0" + exif(6)), "same"
    yield "xmp.jpg", with_segment(plain, 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp(3)), "newer"
    yield "exif_cut.jpg", with_segment(plain, 0xE1, b"Exif\0\0" + exif(6)[:14]), "ignored"
    yield "exif_none.jpg", with_segment(plain, 0xE1, b"Exif\0\0" + exif(6, count=2)), "ignored"


# ---- WebP ----

def riff(*chunks):
    body = b"".join(kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def chunks_of(webp):
    at = 12
    while at + 8 <= len(webp):
        size = struct.unpack("<I", webp[at + 4 : at + 8])[0]
        yield webp[at : at + 4], webp[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def u24(value):
    return struct.pack("<I", value)[:3]


def vp8x(flags, height, width):
    return b"VP8X", bytes([flags, 0, 0, 0]) + u24(width - 1) + u24(height - 1)


def webp_files():
    for lossless, (h, w) in itertools.product((False, True), SIZES):
        yield f"rgb_{'lossless' if lossless else 'lossy'}_{h}x{w}.webp", saved(picture("RGB", h, w), "WEBP", lossless=lossless, quality=70), "same"
    for lossless, exact, (h, w) in itertools.product((False, True), (False, True), ((9, 11), (40, 33))):
        values = pixels(h, w, 4)
        values[: h // 2, :, 3] = 0
        yield (f"rgba_{'lossless' if lossless else 'lossy'}_{int(exact)}_{h}x{w}.webp", saved(Image.fromarray(values, "RGBA"), "WEBP", lossless=lossless, exact=exact, quality=80),
               "same")
    for o in range(0, 10):
        yield f"exif_{o}.webp", saved(picture("RGB", 6, 11), "WEBP", exif=(b"Exif\0\0" if o % 2 else b"") + exif(o, "<>"[o // 2 % 2])), "same"
    yield "xmp.webp", saved(picture("RGB", 6, 11), "WEBP", xmp=xmp(6)), "newer"
    frames = [picture("RGB", 20, 30, seed=i) for i in range(3)]
    yield "animation.webp", saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=40), "same"
    still = [c for c in chunks_of(saved(picture("RGB", 8, 6), "WEBP", lossless=True))]
    alpha = [c for c in chunks_of(saved(picture("RGBA", 8, 6), "WEBP", lossless=True, exact=True))]
    lossy = [c for c in chunks_of(saved(picture("RGB", 8, 6), "WEBP", quality=50))]
    for name, frame, blend in (("still", still, 0), ("alpha", alpha, 0), ("alpha_over", alpha, 2), ("lossy", lossy, 2)):
        data = u24(2) + u24(1) + u24(5) + u24(7) + u24(100) + bytes([blend]) + b"".join(k + struct.pack("<I", len(d)) + d + b"\0" * (len(d) % 2) for k, d in frame if k in (b"VP8 ", b"VP8L"))
        yield f"frame_{name}.webp", riff(vp8x(0x12, 20, 17), (b"ANIM", bytes([9, 8, 7, 255, 0, 0])), (b"ANMF", data)), "same"


# ---- TIFF ----

def packbits(data):
    return b"".join(bytes([len(data[i : i + 128]) - 1]) + data[i : i + 128] for i in range(0, len(data), 128))


PACKERS = {1: bytes, 8: zlib.compress, 32946: zlib.compress, 32773: packbits}
FORMATS = {1: "B", 2: "s", 3: "H", 4: "I", 7: "s", 9: "i"}


def tiff(tags, pieces, order="<", tiled=False):
    """tags: {tag: (type, values)}; pieces: strips or tiles."""
    tags = dict(tags)
    tags[324 if tiled else 273] = (4, [0] * len(pieces))
    tags[325 if tiled else 279] = (4, [len(p) for p in pieces])
    head, entries, extra = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8), b"", b""
    extra_at = 8 + 2 + 12 * len(tags) + 4
    raw = {tag: b"".join(struct.pack(order + FORMATS[kind], v) for v in values) if kind not in (2, 7) else bytes(values) for tag, (kind, values) in tags.items()}
    data_at = extra_at + sum(len(v) + len(v) % 2 for v in raw.values() if len(v) > 4)
    raw[324 if tiled else 273] = b"".join(struct.pack(order + "I", data_at + sum(map(len, pieces[:i]))) for i in range(len(pieces)))
    for tag in sorted(tags):
        kind, values = tags[tag]
        value = raw[tag]
        field = value.ljust(4, b"\0")
        if len(value) > 4:
            field = struct.pack(order + "I", extra_at + len(extra))
            extra += value + b"\0" * (len(value) % 2)
        entries += struct.pack(order + "HHI", tag, kind, len(values)) + field
    return head + struct.pack(order + "H", len(tags)) + entries + bytes(4) + extra + b"".join(pieces)


def row_bytes(values, depth, order):
    """(W) or (W,C) samples of one row."""
    flat = np.asarray(values).reshape(-1)
    if depth < 8:
        return bits(flat, depth)
    return flat.astype(order + {8: "u1", 16: "u2", 32: "u4"}[depth]).tobytes()


def tiff_of(values, depth, photometric, order="<", compression=1, planar=False, rows=0, tile=None, predictor=False, more=None):
    """values (H,W) or (H,W,C)."""
    values = np.asarray(values)
    height, width = values.shape[:2]
    samples = values.shape[2] if values.ndim == 3 else 1
    tags = {256: (4, [width]), 257: (4, [height]), 258: (3, [depth] * samples), 259: (3, [compression]), 262: (3, [photometric]), 277: (3, [samples]),
            284: (3, [2 if planar else 1])} | (more or {})
    planes = [values[..., c] for c in range(samples)] if planar else [values]
    pieces = []
    for plane in planes:
        if tile:
            tags |= {322: (4, [tile[1]]), 323: (4, [tile[0]])}
            for y, x in itertools.product(range(0, height, tile[0]), range(0, width, tile[1])):
                part = plane[y : y + tile[0], x : x + tile[1]]
                padded = np.pad(part, [(0, tile[0] - part.shape[0]), (0, tile[1] - part.shape[1])] + [(0, 0)] * (part.ndim - 2), mode="edge")
                pieces.append(PACKERS[compression](b"".join(row_bytes(r, depth, order) for r in padded)))
        else:
            tags |= {278: (4, [rows or height])}
            for y in range(0, height, rows or height):
                pieces.append(PACKERS[compression](b"".join(row_bytes(r, depth, order) for r in plane[y : y + (rows or height)])))
    return tiff(tags, pieces, order, tile is not None)


def tiff_layouts(order):
    """name, values, depth, photometric, more tags, kind."""
    rng = np.random.default_rng(5)
    colours = {320: (3, rng.integers(0, 65536, 768).tolist())}
    yield "grey", pixels(21, 19, 1)[..., 0], 8, 1, {}, "same"
    yield "white0", pixels(21, 19, 1)[..., 0], 8, 0, {}, "same"
    yield "rgb", pixels(21, 19), 8, 2, {}, "same"
    yield "rgba", pixels(21, 19, 4), 8, 2, {338: (3, [2])}, "same"
    yield "rgbx", pixels(21, 19, 4), 8, 2, {338: (3, [0])}, "same"
    yield "rgba_unnamed", pixels(21, 19, 4), 8, 2, {}, "same"
    yield "premultiplied", pixels(21, 19, 4), 8, 2, {338: (3, [1])}, "same"
    yield "rgbxx", pixels(21, 19, 5), 8, 2, {338: (3, [0, 0])}, "same"
    yield "premultiplied_x", pixels(21, 19, 5), 8, 2, {338: (3, [1, 0])}, "same"
    yield "la", pixels(21, 19, 2), 8, 1, {338: (3, [2])}, "same"
    yield "cmyk", pixels(21, 19, 4), 8, 5, {}, "same"
    yield "palette", pixels(21, 19, 1)[..., 0], 8, 3, colours, "same"
    yield "palette_alpha", pixels(21, 19, 2), 8, 3, colours | {338: (3, [2])}, "same"
    yield "palette4", pixels(21, 19, 1)[..., 0] & 15, 4, 3, {320: (3, rng.integers(0, 65536, 48).tolist())}, "same"
    for depth in (1, 2, 4):
        for photometric in (0, 1):
            yield f"grey{depth}_{photometric}", pixels(21, 19, 1)[..., 0] >> (8 - depth), depth, photometric, {}, "same"
    yield "rgb16", rng.integers(0, 65536, (21, 19, 3)), 16, 2, {}, "same"
    yield "rgba16", rng.integers(0, 65536, (21, 19, 4)), 16, 2, {338: (3, [2])}, "same"
    yield "premultiplied16", rng.integers(0, 65536, (21, 19, 4)), 16, 2, {338: (3, [1])}, "same"
    if order == "<":
        yield "cmyk16", rng.integers(0, 65536, (21, 19, 4)), 16, 5, {}, "same"
    yield "grey16_small", rng.integers(0, 256, (21, 19)), 16, 1, {}, "same"
    yield "grey16_signed", rng.integers(0, 256, (21, 19)), 16, 1, {339: (3, [2])}, "same"
    yield "grey16_large", rng.integers(0, 65536, (21, 19)), 16, 1, {}, "refused"
    yield "grey16_white0", rng.integers(0, 256, (21, 19)), 16, 0, {}, "refused"
    yield "grey32_signed", rng.integers(0, 256, (21, 19)), 32, 1, {339: (3, [2])}, "same"
    yield "float", rng.integers(0, 256, (21, 19)), 32, 1, {339: (3, [3])}, "refused"
    yield "lab", pixels(21, 19), 8, 8, {}, "refused"
    yield "ycc", pixels(21, 19), 8, 6, {530: (3, [1, 1])}, "refused"


def tiff_files():
    for order in "<>":
        for name, values, depth, photometric, more, kind in tiff_layouts(order):
            name = f"{name}_{'le' if order == '<' else 'be'}"
            yield f"{name}.tif", tiff_of(values, depth, photometric, order, more=more), kind
            if order == ">" and 339 in more:
                continue  # PIL swaps the bytes of packed signed grey once too often
            yield f"{name}_strips.tif", tiff_of(values, depth, photometric, order, 8, rows=4, more=more), kind
            if depth >= 8:
                yield f"{name}_tiles.tif", tiff_of(values, depth, photometric, order, 8, tile=(16, 16), more=more), kind
    for planar, compression, tile in itertools.product((False, True), (1, 8, 32773, 32946), (None, (16, 32))):
        label = f"{'planes' if planar else 'chunky'}_{compression}{'_tiles' if tile else ''}.tif"
        yield "rgb_" + label, tiff_of(pixels(37, 45), 8, 2, compression=compression, planar=planar, tile=tile, rows=0 if tile else 10), "same"
        if compression != 1:  # PIL refuses planes of 4 where they are not packed, and mixes up 16 bits
            yield "rgba_" + label, tiff_of(pixels(37, 45, 4), 8, 2, compression=compression, planar=planar, tile=tile, more={338: (3, [1])}), "same"
            yield "rgb16_" + label, tiff_of(np.random.default_rng(2).integers(0, 65536, (9, 21, 3)), 16, 2, compression=compression, planar=planar, tile=tile), "same"
    for o in range(0, 10):
        yield f"orientation_{o}.tif", tiff_of(pixels(6, 9), 8, 2, more={274: (3, [o])}), "same"
        yield f"orientation_packed_{o}.tif", tiff_of(pixels(6, 9), 8, 2, compression=8, more={274: (3, [o])}), "same"
    for (h, w), mode, packed in itertools.product(SIZES[:8], ("L", "RGB"), ("tiff_lzw", "packbits", "tiff_adobe_deflate")):
        yield f"{mode}_{packed}_{h}x{w}.tiff", saved(picture(mode, h, w), "TIFF", compression=packed), "same"
    for mode, quality in itertools.product(("L", "RGB", "CMYK"), (50, 95)):
        yield f"jpeg_{mode}_{quality}.tif", saved(picture(mode, 50, 67), "TIFF", compression="jpeg", quality=quality), "same"
    for packed in ("group3", "group4", "tiff_ccitt", "tiff_lzw", "packbits"):
        yield f"bilevel_{packed}.tif", saved(picture("1", 43, 77), "TIFF", compression=packed), "same"
    yield "fill2.tif", tiff_of(pixels(9, 19, 1)[..., 0] >> 7, 1, 0, more={266: (3, [2])}), "same"
    pages = [picture("RGB", 9, 12, seed=i) for i in range(3)]
    yield "pages.tif", saved(pages[0], "TIFF", save_all=True, append_images=pages[1:]), "same"
    yield "predictor.tif", saved(picture("RGB", 40, 31), "TIFF", compression="tiff_lzw", tiffinfo={317: 2}), "same"


def few_tiffs():
    """Small ones that between them reach the branches of the reader: a corpus."""
    def small(channels):
        return pixels(7, 9, channels)
    yield "grey.tif", tiff_of(small(1)[..., 0], 8, 1)
    yield "bilevel.tif", tiff_of(small(1)[..., 0] >> 7, 1, 0, ">")
    yield "grey4.tif", tiff_of(small(1)[..., 0] >> 4, 4, 1, rows=3)
    yield "wide.tif", tiff_of(small(1)[..., 0], 16, 1, compression=8)
    yield "signed.tif", tiff_of(small(1)[..., 0], 32, 1, more={339: (3, [2])})
    yield "rgb.tif", tiff_of(small(3), 8, 2, ">", more={274: (3, [6])})
    yield "rgb16.tif", tiff_of(small(3).astype(np.int64) * 257, 16, 2, planar=True, rows=4)
    yield "premultiplied.tif", tiff_of(small(4), 8, 2, compression=32773, more={338: (3, [1])})
    yield "planes.tif", tiff_of(small(3), 8, 2, compression=8, planar=True, tile=(16, 16))
    yield "tiles.tif", tiff_of(small(4), 8, 5, compression=8, tile=(16, 16))
    yield "palette.tif", tiff_of(small(1)[..., 0] >> 6, 2, 3, more={320: (3, list(range(0, 60000, 5000)))})
    for mode, packed in (("RGB", "tiff_lzw"), ("RGB", "jpeg"), ("L", "jpeg"), ("1", "group3"), ("1", "group4"), ("1", "tiff_ccitt")):
        yield f"{mode}_{packed}.tif", saved(picture(mode, 18, 20), "TIFF", compression=packed)


def each():
    for folder, files in (("png", png_files), ("jpeg", jpeg_files), ("webp", webp_files), ("tiff", tiff_files)):
        for name, content, kind in files():
            yield f"{folder}_{name}", content, kind
