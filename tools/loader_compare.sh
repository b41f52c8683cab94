#!/usr/bin/env bash
# The loader beside PIL and torchvision on the same photographs, by turns, in milliseconds of a core; medians of all rounds and their ratios.
#   loader_compare.sh BENCH [ROUNDS] [SOURCE]     BENCH: path of bittern-bench; SOURCE: folder of photographs (see loader_pil.py)
set -euo pipefail
bench=${1:?loader_compare.sh needs the path of bittern-bench} rounds=${2:-5}
tools=$(dirname "$0") folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for python in "${BITTERN_PYTHON:-}" /usr/bin/python3 python3 ""; do
    [ -n "$python" ] && "$python" -c 'import PIL' 2>/dev/null && break
done
[ -n "$python" ] || { echo "skipped: no Python with PIL (Debian: python3-pil python3-torchvision)"; exit 77; }
"$python" "$tools/loader_pil.py" make "$folder/pictures" ${3:+"$3"}
for _ in $(seq "$rounds"); do
    "$bench" loader --data "$folder/pictures" --iterations 3 --json
    OMP_NUM_THREADS=1 "$python" "$tools/loader_pil.py" bench "$folder/pictures" 1
done >"$folder/lines"
"$python" - "$folder/lines" <<'PY'
import json, statistics, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
ours = {m: statistics.median(l["core_ms"] for l in lines if l["bench"] == "loader" and l["mode"] == m) for m in ("train", "eval")}
for mode in ("train", "eval", "eval_tensor"):
    theirs = [l for l in lines if l["bench"] == "loader_pil" and l["mode"] == mode]
    if theirs:
        median, mine = statistics.median(l["core_ms"] for l in theirs), ours[mode.split("_")[0]]
        print(f"{mode:12s} bittern {mine:7.3f} ms   Pillow {theirs[0]['pillow']}, torchvision {theirs[0]['torchvision']} {median:7.3f} ms   ratio {median / mine:.2f}")
PY
