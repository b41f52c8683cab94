"""The table of README.md from the runs of cifar10.sh: mean and deviation over seeds, mAP@1000, papers' denominator (standard in brackets)."""
import json, math, pathlib, sys

RUNS = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "runs/cifar10")


def cell(values):
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / max(len(values) - 1, 1))
    return f"{mean:.3f} ± {deviation:.3f}"


def scores(key, bits, supervised):
    files = sorted(RUNS.glob(f"bits{bits}_supervised_{supervised}_seed*/evaluation.json"))
    found = [json.loads(f.read_text()) for f in files]
    found = [e for e in found if e.get(key) is not None]
    return f"{cell([e[key] for e in found])} ({cell([e[key + '_standard'] for e in found])})" if found else "-", len(found)


print("| | seeds | continuous (cosine) | binary | symmetric Hamming |")
print("|---|---|---|---|---|")
print(f"| random weights | {scores('map_random', 32, 'false')[1]} | {scores('map_random', 32, 'false')[0]} | | |")
for supervised, name in (("false", "unsupervised"), ("true", "supervised")):
    for bits in (16, 32, 64):
        row = [scores(key, bits, supervised)[0] for key in ("map_continuous", "map_binary", "map_symmetric")]
        print(f"| CroVCA {name}, {bits} bits | {scores('map_binary', bits, supervised)[1]} | " + " | ".join(row) + " |")
