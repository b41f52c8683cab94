"""ONNX graphs read and evaluated with NumPy alone: the operators that bittern export writes, as the ONNX specification has them, in float64.

A reader of its own, for machines without onnxruntime. What it does not know is an error: a field of another wire type, an operator, an attribute.
"""
import math, os, struct

import numpy as np

FLOAT, UINT8, INT64, STRING = 1, 2, 7, "string"
DTYPES = {FLOAT: np.dtype("<f4"), UINT8: np.dtype("u1"), INT64: np.dtype("<i8")}
erf = np.vectorize(math.erf, otypes=[np.float64])

# ---- protocol buffers ----

# Messages of onnx.proto: number of a field -> (name, kind, repeated); a kind that is a dict is a message.
ENTRY = {1: ("key", STRING, False), 2: ("value", STRING, False)}
TENSOR = {1: ("dims", int, True), 2: ("data_type", int, False), 8: ("name", STRING, False), 9: ("raw_data", bytes, False), 13: ("external_data", ENTRY, True),
          14: ("data_location", int, False)}
ATTRIBUTE = {1: ("name", STRING, False), 2: ("f", float, False), 3: ("i", int, False), 8: ("ints", int, True), 20: ("type", int, False)}
NODE = {1: ("input", STRING, True), 2: ("output", STRING, True), 3: ("name", STRING, False), 4: ("op_type", STRING, False), 5: ("attribute", ATTRIBUTE, True)}
AXIS = {1: ("dim_value", int, False), 2: ("dim_param", STRING, False)}
TYPE = {1: ("tensor_type", {1: ("elem_type", int, False), 2: ("shape", {1: ("dim", AXIS, True)}, False)}, False)}
VALUE = {1: ("name", STRING, False), 2: ("type", TYPE, False)}
GRAPH = {1: ("node", NODE, True), 2: ("name", STRING, False), 5: ("initializer", TENSOR, True), 11: ("input", VALUE, True), 12: ("output", VALUE, True)}
MODEL = {1: ("ir_version", int, False), 2: ("producer_name", STRING, False), 3: ("producer_version", STRING, False), 6: ("doc_string", STRING, False),
         7: ("graph", GRAPH, False), 8: ("opset_import", {1: ("domain", STRING, False), 2: ("version", int, False)}, True), 14: ("metadata_props", ENTRY, True)}


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def parse(data, fields):
    out = {name: [] for name, _, repeated in fields.values() if repeated}
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        name, kind, repeated = fields[key >> 3]
        wire = key & 7
        assert wire == (0 if kind is int else 5 if kind is float else 2), f"field {name} has wire type {wire}"
        if wire == 0:
            value, at = varint(data, at)
            value -= (value >> 63) << 64
        else:
            size, at = (4, at) if wire == 5 else varint(data, at)
            assert at + size <= len(data), f"field {name} ends behind the message"
            raw, at = data[at:at + size], at + size
            value = struct.unpack("<f", raw)[0] if wire == 5 else parse(raw, kind) if isinstance(kind, dict) else raw.decode() if kind is STRING else raw
        if repeated:
            out[name].append(value)
        else:
            assert name not in out, f"field {name} twice"
            out[name] = value
    return out


# ---- the graph ----

def shape_of(value):
    tensor = value["type"]["tensor_type"]
    return tensor["elem_type"], [d.get("dim_param") or d["dim_value"] for d in tensor["shape"]["dim"]]


def constant(t, folder):
    raw = t.get("raw_data")
    if t.get("data_location", 0) == 1:
        place = {e["key"]: e["value"] for e in t["external_data"]}
        offset, length = int(place["offset"]), int(place["length"])
        assert os.path.basename(place["location"]) == place["location"] and offset % 4096 == 0
        with open(os.path.join(folder, place["location"]), "rb") as f:
            f.seek(offset)
            raw = f.read(length)
        assert len(raw) == length
    assert len(raw) == math.prod(t["dims"]) * DTYPES[t["data_type"]].itemsize, t["name"]
    return np.frombuffer(raw, DTYPES[t["data_type"]]).reshape(t["dims"])


def attributes_of(node, **defaults):
    """Those that are given must be known; those without a default must be given."""
    given = {a["name"]: a["ints"] if a["type"] == 7 else a["f"] if a["type"] == 1 else a["i"] for a in node["attribute"]}
    assert not set(given) - set(defaults), given
    out = [given.get(name, value) for name, value in defaults.items()]
    assert None not in out, node
    return out if len(out) > 1 else out[0] if out else None


def reshape(node, x, to):
    attributes_of(node)
    return x.reshape([x.shape[k] if d == 0 else d for k, d in enumerate(to.tolist())])


def split(node, x, sizes):
    axis = attributes_of(node, axis=None)
    assert sizes.sum() == x.shape[axis] and len(sizes) == len(node["output"])
    return np.split(x, np.cumsum(sizes)[:-1], axis)


def slice_(node, x, first, end, axes):
    attributes_of(node)
    where = [slice(None)] * x.ndim
    for a, b, axis in zip(first.tolist(), end.tolist(), axes.tolist()):
        assert 0 <= a < b <= x.shape[axis]
        where[axis] = slice(a, b)
    return x[tuple(where)]


def softmax(node, x):
    axis = attributes_of(node, axis=-1)
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def layer_norm(node, x, w, b):
    axis, eps = attributes_of(node, axis=-1, epsilon=1e-5)
    assert axis == -1
    m = x.mean(-1, keepdims=True)
    return (x - m) / np.sqrt(((x - m) ** 2).mean(-1, keepdims=True) + eps) * w + b


def batch_norm(node, x, w, b, mean, var):
    eps = attributes_of(node, epsilon=1e-5)
    assert x.ndim == 2
    return (x - mean) / np.sqrt(var + eps) * w + b


def cast(node, x):
    to = attributes_of(node, to=None)
    y = x.astype(np.float64 if to == FLOAT else DTYPES[to])
    assert (y == x).all()
    return y


def pad(node, x, pads):
    attributes_of(node)
    return np.pad(x, list(zip(pads[:x.ndim].tolist(), pads[x.ndim:].tolist())))


def plain(f):
    def run(node, *x):
        attributes_of(node)
        return f(*x)
    return run


OPERATORS = {
    "Add": plain(np.add), "Mul": plain(np.multiply), "Div": plain(np.divide), "MatMul": plain(np.matmul), "Erf": plain(erf), "Identity": plain(lambda x: x),
    "Sigmoid": plain(lambda x: 1 / (1 + np.exp(-x))), "Relu": plain(lambda x: np.maximum(x, 0)), "Greater": plain(np.greater),
    "Expand": plain(lambda x, shape: np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(shape)))),
    "Shape": lambda node, x: np.array(x.shape[slice(*attributes_of(node, start=0, end=None))]),
    "Concat": lambda node, *x: np.concatenate(x, attributes_of(node, axis=None)), "Transpose": lambda node, x: x.transpose(attributes_of(node, perm=None)),
    "Reshape": reshape, "Split": split, "Slice": slice_, "Softmax": softmax, "LayerNormalization": layer_norm, "BatchNormalization": batch_norm, "Cast": cast, "Pad": pad,
}


class Session:
    """run(pixels) gives the outputs by name."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.model = parse(f.read(), MODEL)
        self.graph = self.model["graph"]
        assert self.model["ir_version"] == 8 and [o["version"] for o in self.model["opset_import"]] == [17]
        self.metadata = {e["key"]: e["value"] for e in self.model["metadata_props"]}
        self.constants = {t["name"]: constant(t, os.path.dirname(path)) for t in self.graph["initializer"]}
        assert len(self.constants) == len(self.graph["initializer"])
        self.input = self.graph["input"][0]["name"], *shape_of(self.graph["input"][0])
        self.outputs = {v["name"]: shape_of(v) for v in self.graph["output"]}

    def run(self, pixels):
        name, dtype, shape = self.input
        assert len(self.graph["input"]) == 1 and dtype == FLOAT and pixels.dtype == np.float32 and list(pixels.shape[1:]) == shape[1:]
        values = {k: v.astype(np.float64) if v.dtype == np.float32 else v for k, v in self.constants.items()}
        values[name] = pixels.astype(np.float64)
        for node in self.graph["node"]:
            made = OPERATORS[node["op_type"]](node, *[values[n] for n in node["input"]])
            for name, value in zip(node["output"], made if isinstance(made, list) else [made]):
                assert name not in values, f"{name} is made twice"
                values[name] = value
        out = {}
        for name, (dtype, shape) in self.outputs.items():
            out[name] = values[name].astype(DTYPES[dtype])
            assert [len(pixels) if d == "N" else d for d in shape] == list(out[name].shape), (name, shape, out[name].shape)
        return out
