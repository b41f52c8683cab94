"""Bittern from Python: encode pictures with a trained model, read codes, Hamming distances. Needs NumPy and libbittern; nothing is built.

    import bittern
    encoder = bittern.Encoder("model.safetensors")
    embeddings, codes = encoder.encode(["wren.jpg", "robin.jpg"])      # paths, or arrays (H, W, 3) uint8, or one array (N, S, S, 3)
    distances = bittern.hamming(codes, bittern.read_codes("database.codes.npy"))

The library is looked for in BITTERN_LIBRARY (a file), beside this file, in ../lib and ../../lib of it, in build/release of a checkout, and
where the system's loader looks.
"""
import ctypes
import json
import os
import pathlib
import struct

import numpy as np

__all__ = ["BitternError", "Encoder", "hamming", "library_version", "read_codes", "read_model", "unpack"]

_STATUS = ["ok", "failed", "usage", "config", "io", "format", "memory", "unsupported", "shape", "numeric", "device", "interrupted"]
_library = None


class BitternError(RuntimeError):
    """What the library said; `status` is its short name, e.g. "format"."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = _STATUS[status] if 0 <= status < len(_STATUS) else str(status)


class _Options(ctypes.Structure):
    """bt_encoder_options of <bittern/encoder.h>."""

    _fields_ = [("device", ctypes.c_char_p), ("dtype", ctypes.c_char_p), ("checkpoint", ctypes.c_char_p), ("base", ctypes.c_char_p),
                ("threads", ctypes.c_int32), ("batch", ctypes.c_int32)]


class _Info(ctypes.Structure):
    """bt_encoder_info of <bittern/encoder.h>."""

    _fields_ = [("method", ctypes.c_char * 16)] + [(name, ctypes.c_int32) for name in (
        "image_size", "resize", "width", "logits", "bits", "code_bytes", "batch", "threads")] + [("step", ctypes.c_int64)]


def _candidates():
    named = os.environ.get("BITTERN_LIBRARY")
    if named:
        return [named]  # what is named is meant: no other is taken in its place
    here = pathlib.Path(__file__).resolve().parent
    folders = [here, here.parent / "lib", here.parent.parent / "lib", here.parent / "build" / "release"]
    folders += [f for lib in folders[1:3] for f in sorted(lib.glob("*-linux-gnu"))]
    return [str(f / name) for f in folders for name in ("libbittern.so.0", "libbittern.so") if (f / name).exists()] + ["libbittern.so.0"]


def _load():
    global _library
    if _library is not None:
        return _library
    tried = []
    for path in _candidates():
        try:
            library = ctypes.CDLL(path)
            break
        except OSError as error:
            tried.append(str(error))
    else:
        raise ImportError("libbittern was not found; set BITTERN_LIBRARY to the file. Tried: " + "; ".join(tried))
    pointer, text, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64
    for name, result, arguments in (
            ("bt_encoder_open", ctypes.c_int, [text, ctypes.POINTER(_Options), ctypes.POINTER(pointer)]),
            ("bt_encoder_close", None, [pointer]),
            ("bt_encoder_describe", None, [pointer, ctypes.POINTER(_Info)]),
            ("bt_encoder_encode", ctypes.c_int, [pointer, pointer, size, pointer, pointer, pointer]),
            ("bt_encoder_prepare", ctypes.c_int, [pointer, pointer, size, size, pointer]),
            ("bt_encoder_prepare_file", ctypes.c_int, [pointer, text, pointer]),
            ("bt_encoder_version", text, []),
            ("bt_error_message", text, [])):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    _library = library
    return library


def _check(status):
    if status:
        raise BitternError(status, _load().bt_error_message().decode("utf-8", "replace"))


def library_version():
    return _load().bt_encoder_version().decode()


class Encoder:
    """A model of `bittern export`, or a run's folder. May be used from several threads; calls run one after the other.

    path, device ("cpu", "cuda"), dtype ("f32", "bf16"), threads (0: all cores), batch (pictures that run together: 1 answers soonest, 16
    to 64 give the most pictures a second), checkpoint of a run ("last", "best", a step), base (tower of an adapter file).
    """

    def __init__(self, path, device=None, dtype=None, threads=0, batch=1, checkpoint=None, base=None):
        text = lambda value: None if value is None else os.fsencode(str(value))
        self._handle, self._library = ctypes.c_void_p(), _load()
        options = _Options(text(device), text(dtype), text(checkpoint), text(base), threads, batch)
        _check(self._library.bt_encoder_open(os.fsencode(path), ctypes.byref(options), ctypes.byref(self._handle)))
        info = _Info()
        self._library.bt_encoder_describe(self._handle, ctypes.byref(info))
        self.method = info.method.decode()
        self.image_size, self.resize, self.width, self.bits, self.step = info.image_size, info.resize, info.width, info.bits, info.step
        self._logits, self._code_bytes = info.logits, info.code_bytes

    def prepare(self, image):
        """One picture as the model takes it, (S, S, 3) uint8: a path, or an array (H, W, 3) uint8, or a PIL image (made RGB)."""
        out = np.empty((self.image_size, self.image_size, 3), np.uint8)
        if isinstance(image, (str, os.PathLike)):
            _check(self._library.bt_encoder_prepare_file(self._open(), os.fsencode(image), out.ctypes.data))
            return out
        if hasattr(image, "convert"):
            image = image.convert("RGB")
        image = np.ascontiguousarray(image)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"a picture is an array (H, W, 3) of uint8, found {image.shape} of {image.dtype}")
        _check(self._library.bt_encoder_prepare(self._open(), image.ctypes.data, image.shape[0], image.shape[1], out.ctypes.data))
        return out

    def encode(self, images, logits=False):
        """Embeddings (N, width) float32 and codes (N, ceil(bits / 8)) uint8 (None for a method without codes); with `logits` those too.

        images: a list of what `prepare` takes, or one array (N, S, S, 3) uint8 of the model's size, which is taken as it is.
        """
        if isinstance(images, (str, os.PathLike)) or hasattr(images, "convert"):
            raise TypeError("encode takes several pictures: put one into a list")
        whole = isinstance(images, np.ndarray) and images.ndim == 4
        side = self.image_size
        if whole and (images.dtype != np.uint8 or images.shape[1:] != (side, side, 3)):
            raise ValueError(f"pictures in one array are (N, {side}, {side}, 3) of uint8, found {images.shape} of {images.dtype}; "
                             "a list takes any size")
        pixels = np.ascontiguousarray(images) if whole else np.array([self.prepare(i) for i in images], np.uint8).reshape(-1, side, side, 3)
        count = len(pixels)
        embeddings = np.empty((count, self.width), np.float32)
        codes = np.empty((count, self._code_bytes), np.uint8) if self.bits else None
        values = np.empty((count, self._logits), np.float32) if logits else None
        at = lambda array: None if array is None else array.ctypes.data
        _check(self._library.bt_encoder_encode(self._open(), pixels.ctypes.data, count, at(embeddings), at(values), at(codes)))
        return (embeddings, codes, values) if logits else (embeddings, codes)

    def _open(self):
        if not self._handle:
            raise ValueError("the encoder is closed")
        return self._handle

    def close(self):
        if self._handle:
            self._library.bt_encoder_close(self._handle)
            self._handle = ctypes.c_void_p()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def __del__(self):
        if getattr(self, "_handle", None):
            self.close()


def read_codes(path):
    """Codes of `bittern embed --codes` or `bittern hash --out`: (N, bytes) uint8, mapped, not read into memory."""
    codes = np.load(path, mmap_mode="r", allow_pickle=False)
    if codes.dtype != np.uint8 or codes.ndim != 2:
        raise ValueError(f"{path}: codes are an array (N, bytes) of uint8, found {codes.shape} of {codes.dtype}")
    return codes


def unpack(codes, bits):
    """Bits (N, bits) of 0 and 1 as uint8."""
    return np.unpackbits(np.asarray(codes), axis=1, bitorder="little")[:, :bits]


_ONES = np.array([bin(i).count("1") for i in range(256)], np.uint8)


def hamming(a, b, chunk=1 << 20):
    """Distances (len(a), len(b)) as uint16, of codes (N, bytes) uint8. Memory beyond the result: `chunk` rows of b at a time."""
    a, b = np.atleast_2d(a), np.atleast_2d(b)
    if a.dtype != np.uint8 or b.dtype != np.uint8 or a.shape[1] != b.shape[1]:
        raise ValueError(f"codes are uint8 and of one length, found {a.shape} of {a.dtype} and {b.shape} of {b.dtype}")
    out = np.empty((len(a), len(b)), np.uint16)
    for i, row in enumerate(np.asarray(a)):
        for first in range(0, len(b), chunk):
            out[i, first:first + chunk] = _ONES[np.bitwise_xor(b[first:first + chunk], row)].sum(axis=1, dtype=np.uint16)
    return out


def read_model(path):
    """An exported file: its description (a dictionary) and its tensors (a dictionary of mapped float32 arrays). Needs no library."""
    with open(path, "rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(length))
    metadata = header.pop("__metadata__", {})
    if "bittern" not in metadata:
        raise ValueError(f"{path}: no description under \"bittern\" of its metadata: it is not a model made by bittern export")
    tensors = {}
    for name, entry in header.items():
        if entry["dtype"] != "F32":
            raise ValueError(f"{path}: tensor {name} is {entry['dtype']}, F32 is expected")
        shape = tuple(entry["shape"])
        tensors[name] = np.memmap(path, np.float32, "r", 8 + length + entry["data_offsets"][0], shape)
    return json.loads(metadata["bittern"]), tensors
