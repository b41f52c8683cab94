#!/usr/bin/env python3
"""Joins what tools/gpu_check.sh left in its folders into one page: bittern's figures, PyTorch's, and how they compare.

    tools/gpu_table.py FOLDER... >benchmarks/results/DATE-DEVICE.md

Of each folder: figures.jsonl (bittern-bench vit, shapes), torch.txt (vit_lora_torch.py) and machine.txt (device, date, commit), whatever is there.
A figure that several folders have is taken from the last of them. Each device has a table of its own: figures of two do not compare. What a
comparison lacks is listed below its table.
"""
import json, pathlib, re, sys

MODELS = ["small", "base", "large"]
PROGRAMS = {"forward": "forward", "LoRA step": "step"}


class Device:
    def __init__(self, name):
        self.name, self.dates, self.commits, self.torch_versions, self.described = name, set(), [], set(), ""
        self.ours, self.plain = {}, {}  # (dtype, batch, model): the line of bittern-bench vit, by graph and kernel by kernel
        self.floor = {}  # (dtype, batch, model): {"forward", "step"}: images/s
        self.torch = {}  # (dtype, batch, model): {mode: {"forward", "step", "peak"}}


def stop(path, number, why):
    sys.exit(f"{path}:{number}: {why}")


def read_machine(folder):
    facts = {}
    path = folder / "machine.txt"
    for line in path.read_text().splitlines() if path.exists() else []:
        key, colon, value = line.partition(": ")
        if colon and key in ("date", "device", "commit"):
            facts.setdefault(key, value.strip())
    return facts


def model_of(name, path, number):
    found = re.match(r"vit_(small|base|large)_", name)
    return found[1] if found else stop(path, number, f"model {name!r} is none of ViT small, base, large")


def read_figures(path, device):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            row = json.loads(line)
            if row["bench"] not in ("vit", "floor"):
                continue
            key = row["dtype"], row["batch"], model_of(row["model"], path, number)
            if row["bench"] == "floor":
                device.floor.setdefault(key, {})[PROGRAMS[row["program"]]] = float(row["images_per_s"])
                continue
            row = {**row, **{k: float(row[k]) for k in ("forward_images_per_s", "lora_step_images_per_s", "peak_bytes")}}
            by_wish = row.get("launches_reason") == "--no-graphs"
            (device.plain if by_wish else device.ours)[key] = row
            device.described = row["device"]
        except (ValueError, KeyError, TypeError) as fault:
            stop(path, number, f"not a figure of bittern-bench ({type(fault).__name__}: {fault})")


def read_torch(path, device):
    key, dtypes = None, {"bfloat16": "bf16", "float32": "f32"}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        head = re.match(r"== PyTorch (\S+), ViT (\w+), batch (\d+): .*--dtype (\w+)", line)
        figure = re.match(r"torch (\S+) .* batch=(\d+) (forward|lora_step): ([0-9.]+) images/s", line)
        peak = re.match(r"peak_bytes: (\d+)", line)
        if head:
            key = dtypes[head[4]], int(head[3]), head[2]
            run = device.torch.setdefault(key, {})[head[1]] = {}
        elif key and figure and int(figure[2]) == key[1]:
            device.torch_versions.add(figure[1])
            run["step" if figure[3] == "lora_step" else "forward"] = float(figure[4])
        elif key and peak:
            run["peak"] = int(peak[1])
        else:
            stop(path, number, f"not a line of vit_lora_torch.py under its heading: {line!r}")


def read(folders):
    devices = {}
    for folder in map(pathlib.Path, folders):
        figures, torch = folder / "figures.jsonl", folder / "torch.txt"
        if not figures.exists() and not torch.exists():
            sys.exit(f"{folder}: neither figures.jsonl nor torch.txt is there")
        facts = read_machine(folder)
        name = facts.get("device") or "unknown device"
        device = devices.setdefault(name, Device(name))
        if "date" in facts:
            device.dates.add(facts["date"])
        if facts.get("commit") and facts["commit"] not in device.commits:
            device.commits.append(facts["commit"])
        if figures.exists():
            read_figures(figures, device)
        if torch.exists():
            read_torch(torch, device)
    return devices.values()


# ---- the page ----


def speed(value):
    return "" if value is None else f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"


def ratio(a, b):
    return f"{a / b:.2f}" if a is not None and b else ""


def best(runs, what):
    """The mode in which PyTorch is fastest, and its run."""
    return max(((mode, run) for mode, run in runs.items() if what in run), key=lambda item: item[1][what], default=(None, {}))


def compare(device, key, what):
    """Cells of forward or step: bittern's images/s, of the floor, PyTorch's, its mode, ratio."""
    ours = device.ours.get(key, {}).get("forward_images_per_s" if what == "forward" else "lora_step_images_per_s")
    mode, run = best(device.torch.get(key, {}), what)
    return [speed(ours), ratio(ours, device.floor.get(key, {}).get(what)), speed(run.get(what)), mode or "", ratio(ours, run.get(what))]


def row_of(device, key):
    ours, plain = device.ours.get(key, {}), device.plain.get(key, {})
    peak, theirs = ours.get("peak_bytes"), best(device.torch.get(key, {}), "step")[1].get("peak")
    megabytes = lambda value: "" if value is None else f"{value / 1e6:,.0f}"
    return [f"{key[2]}, {key[1]}, {key[0]}", *compare(device, key, "forward"), *compare(device, key, "step"), megabytes(peak), megabytes(theirs),
            ratio(peak, theirs), speed(plain.get("lora_step_images_per_s")), speed(ours.get("lora_step_call_images_per_s"))]


def lacking(device, key):
    name = f"ViT {key[2]}, batch {key[1]}, {key[0]}"
    if key not in device.ours:
        yield f"{name}: no figures of bittern-bench vit"
    elif device.ours[key].get("launches") == "kernel by kernel":
        yield f"{name}: kernel by kernel, not as a graph: {device.ours[key].get('launches_reason', 'no reason given')}"
    for program in ("forward", "step"):
        if program not in device.floor.get(key, {}):
            yield f"{name}: no floor of the {program} (bittern-bench shapes)"
    runs = device.torch.get(key, {})
    if not runs:
        yield f"{name}: PyTorch did not run"
    for mode, run in runs.items():
        if len(run) < 3:
            yield f"{name}: PyTorch {mode} did not finish ({', '.join(sorted({'forward', 'step', 'peak'} - set(run)))} missing)"


HEAD = ["ViT, batch", "forward", "of floor", "PyTorch", "mode", "ratio", "LoRA step", "of floor", "PyTorch", "mode", "ratio", "peak MB", "PyTorch MB",
        "ratio", "step without graphs", "step by a call"]


def page(device):
    keys = sorted({*device.ours, *device.plain, *device.floor, *device.torch}, key=lambda k: (k[0], k[1], MODELS.index(k[2]) if k[2] in MODELS else 9))
    yield f"# {device.name}, {', '.join(sorted(device.dates)) or 'date unknown'}"
    yield ""
    yield f"Commit {'; '.join(device.commits) or 'unknown'}. {device.described or 'No figures of bittern'}. PyTorch {', '.join(sorted(device.torch_versions)) or 'did not run'}."
    yield "Images/s of encoder inputs at 224 pixels, patch 14, medians of 20; pictures on the device in both; PyTorch's best mode of torch.compile."
    yield "Floor: products and attention by themselves, everything else at the memory's rate (`bittern-bench shapes`). Peak: device memory in use above"
    yield "start, kernels' code included; PyTorch's: bytes allocated at its peak, in the mode that is fastest in the step. By a call: pictures in bytes"
    yield "uploaded from pinned memory, results read back. Ratios of speed above 1 and of memory below 1 are in bittern's favour."
    yield ""
    yield "| " + " | ".join(HEAD) + " |"
    yield "|" + "---|" * len(HEAD)
    for key in keys:
        yield "| " + " | ".join(row_of(device, key)) + " |"
    lines = [line for key in keys for line in lacking(device, key)]
    if lines:
        yield ""
        yield "Missing:"
        yield ""
        yield from (f"- {line}" for line in lines)


def main():
    folders = sys.argv[1:]
    if not folders or folders[0].startswith("-"):
        sys.exit(__doc__)
    devices = list(read(folders))
    print("\n\n".join("\n".join(page(device)) for device in devices))


if __name__ == "__main__":
    main()
