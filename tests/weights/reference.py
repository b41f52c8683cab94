"""Files that PyTorch and NumPy write, and beside each, NAME.expected.safetensors: what must be read from it.   reference.py FOLDER

PyTorch writes; what must be read is said by PyTorch's own values, row by row, in a writer of safetensors of a dozen lines."""
import argparse, collections, json, os, struct, sys

import numpy as np
import torch

FOLDER = sys.argv[1]
DTYPES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64", torch.int32: "I32", torch.int16: "I16",
          torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL"}
torch.manual_seed(1)


def raw(t):
    t = t.detach().contiguous().clone()
    return (t.view(torch.int16) if t.dtype == torch.bfloat16 else t).numpy().tobytes()


def write_safetensors(path, named):
    header, data = {}, b""
    for name, t in named.items():
        content = raw(t)
        header[name] = {"dtype": DTYPES[t.dtype], "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def flat(value, name=""):
    if isinstance(value, torch.Tensor):
        return {name or "tensor": value.detach()}
    if isinstance(value, argparse.Namespace):
        value = vars(value)
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    out = {}
    for key, item in pairs:
        out.update(flat(item, f"{name}.{key}" if name else str(key)))
    return out


def expect(path, named):
    all_of = dict(named)
    for name, t in named.items():
        all_of["f32:" + name] = t.to(torch.float32)
        all_of["bf16:" + name] = t.to(torch.float32).to(torch.bfloat16)
    write_safetensors(path + ".expected.safetensors", all_of)


def save(name, value, **how):
    path = os.path.join(FOLDER, name)
    torch.save(value, path, **how)
    expect(path, flat(value))


class Net(torch.nn.Module):
    def __init__(self, width, depth):
        super().__init__()
        self.patch = torch.nn.Conv2d(3, width, 4, 4)
        self.cls = torch.nn.Parameter(torch.randn(1, 1, width))
        self.blocks = torch.nn.ModuleList(torch.nn.TransformerEncoderLayer(width, 2, 2 * width) for _ in range(depth))
        self.norm = torch.nn.BatchNorm1d(width)
        self.head = torch.nn.Linear(width, 5, bias=False)


def objects():
    yield "small", Net(8, 1).state_dict()
    yield "deep", {"model": Net(24, 3).state_dict(), "epoch": 7, "loss": 0.25, "name": "d\u00e9j\u00e0", "best": None, "ok": True}
    halves = np.arange(65536, dtype=np.uint16)
    halves = torch.from_numpy(halves[~np.isnan(halves.view(np.float16))].view(np.float16).copy())
    yield "dtypes", {"half": halves, "bf16": torch.randn(7, 3).bfloat16(), "f64": torch.randn(5, dtype=torch.float64) * 1e30, "bool": torch.tensor([True, False]),
                     **{str(d): torch.tensor([[0, 1], [-1 if d != torch.uint8 else 255, 127]]).to(d) for d in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)},
                     "large": torch.tensor([2**62 + 12345, -(2**53) - 1])}
    base = torch.randn(6, 5, 4)
    yield "views", {"base": base, "t": base.t() if base.dim() == 2 else base.permute(2, 0, 1), "slice": base[1:4, 2, ::2], "row": base[3], "last": base[-1, -1, -1],
                    "expand": torch.randn(3, 1).expand(3, 40), "channels": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last), "one": base[:1].permute(1, 0, 2),
                    "empty": torch.empty(0, 4), "empty_view": base[2:2], "scalar": torch.tensor(2.5), "diagonal": torch.randn(4, 4).diagonal(), "windows": torch.randn(9).unfold(0, 4, 2)}
    weight = torch.nn.Parameter(torch.randn(4, 6))
    yield "shared", {"a": weight, "b": weight, "c": weight.data[2:], "d": {"e": [weight, (weight.t(),)], "p": torch.nn.Parameter(torch.ones(3), requires_grad=False)}}
    net = Net(8, 1)
    optimizer = torch.optim.AdamW(net.parameters())
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 5])
    (net.head.weight.sum() + net.cls.sum()).backward()
    optimizer.step()
    attributed = torch.nn.Parameter(torch.randn(2, 2))
    attributed.no_decay = True
    yield "training", {"teacher": {"backbone": {"blocks": {0: {"w": torch.randn(2)}, 1: {"w": torch.randn(2)}}}}, "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict(),
                       "args": argparse.Namespace(arch="vit", lr=1e-3, mean=torch.tensor([0.5, 0.4])), "score": np.float64(0.125), "steps": np.int64(9), "size": torch.Size([3, 4]),
                       "device": torch.device("cpu"), "dtype": torch.float16, "default": collections.defaultdict(list, a=[1]), "attributed": attributed, "huge": 2**80,
                       "list": [torch.ones(1), 3, "x"], ("tuple", 1): 4, "bytes": b"\0\xff"}
    yield "bare", torch.arange(6.0).view(2, 3)


def torch_files():
    for name, value in objects():
        save(name + ".pth", value)
        save(name + "_old.pth", value, _use_new_zipfile_serialization=False)
        for protocol in (3, 4, 5):
            save(f"{name}_{protocol}.pth", value, pickle_protocol=protocol)
        save(f"{name}_old_4.pth", value, _use_new_zipfile_serialization=False, pickle_protocol=4)


class Scripted(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.GELU(), torch.nn.Linear(4, 2).half())
        self.register_buffer("ids", torch.arange(3))
        self.sizes = [1, 2]

    def forward(self, x):
        return self.body(x)


def numpy_files():
    arrays = {"Transformer/encoderblock_0/kernel": np.random.randn(4, 3).astype("f4"), "bias": np.arange(5), "f2": np.arange(4, dtype="f2"), "f8": np.random.randn(2, 2), "b": np.array([True, False]),
              "empty": np.zeros((0, 3), "f4"), "scalar": np.float32(1.5)}
    named = {name: torch.from_numpy(np.array(a)) for name, a in arrays.items()}
    for name, write in (("stored.npz", np.savez), ("packed.npz", np.savez_compressed)):
        path = os.path.join(FOLDER, name)
        write(path, **arrays)
        expect(path, named)
    path = os.path.join(FOLDER, "one.npy")
    np.save(path, arrays["f8"])
    expect(path, {"tensor": named["f8"]})


def shards():
    state = Net(8, 2).state_dict()
    parts = [{n: t for i, (n, t) in enumerate(state.items()) if i % 3 == k} for k in range(3)]
    for kind, write in (("safetensors", write_safetensors), ("bin", lambda path, part: torch.save(part, path))):
        weight_map = {}
        for k, part in enumerate(parts):
            file = f"model-{k + 1:05}-of-00003.{kind}"
            write(os.path.join(FOLDER, file), part)
            weight_map.update({n: file for n in part})
        path = os.path.join(FOLDER, f"model.{kind}.index.json")
        with open(path, "w") as f:
            json.dump({"metadata": {"total_size": 1}, "weight_map": weight_map}, f, indent=2)
        expect(path, state)


torch_files()
script = torch.jit.script(Scripted())
torch.jit.save(script, os.path.join(FOLDER, "script.pt"))
expect(os.path.join(FOLDER, "script.pt"), script.state_dict())
numpy_files()
shards()
