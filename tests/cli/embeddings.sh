#!/usr/bin/env bash
# Steps on embeddings: of files, and of views encoded once; scores compared with NumPy's; what a user gets wrong.   embeddings.sh BITTERN
# Exit code 77: no Python with NumPy, which makes the embeddings.
. "$(dirname "$0")/common.sh"
need_python numpy NumPy python3-numpy
"$python" - <<'END'
import numpy as np
r = np.random.default_rng(0)
C, N, V, D = 5, 300, 3, 24
y = r.integers(0, C, N)
item = r.normal(size=(C, D))[y] + 0.8 * r.normal(size=(N, D))
x = (item[:, None] + 0.3 * r.normal(size=(N, V, D))).astype("f4")
np.save("x.npy", x), np.save("x8.npy", x.astype("f8")), np.save("one.npy", x[:, 0]), np.save("y.npy", y), np.save("short.npy", y[:200])
sets = np.zeros((N, C), "u1")
sets[np.arange(N), y] = 1
sets[np.arange(N), (y + r.integers(0, 2, N)) % C] = 1
sets[7] = 0
np.save("sets.npy", sets)
splits = np.full(N, 4, "u1")
splits[:40], splits[40:200], splits[200:210] = 2, 5, 0
np.save("splits.npy", splits), np.save("bad_splits.npy", np.full(N, 9, "u1"))
bad = x.copy()
bad[3, 1, 5] = np.nan
np.save("nan.npy", bad), np.save("flat.npy", x.reshape(-1))
END
cat >stored.yaml <<END
method: {name: crovca, bits: 16}
data: {root: $scratch/x.npy, label: $scratch/y.npy, train: 30, query: 5}
train: {epochs: 8, batch: 32}
run: {dir: $scratch/stored, log_every: 1, checkpoint_every: 1, threads: 1}
eval: {k: 50, batch: 32, report: false}
END
config=stored.yaml
train() { "$bittern" train stored.yaml "$@" >out 2>err; }

answer "a head on stored views" 0 '' train stored.yaml eval.report=true
[ "$(basename "$(newest stored)")" = step_00000032 ] && [ ! -e stored/base.safetensors ]
check "steps, and no tower" $?
grep -q 'The data are embeddings: there are no pictures to show.' stored/report.html && ! grep -q 'Found best' stored/report.html
check "a report without sheets says why" $?
"$python" - <<'END'
import json
s = [l for l in map(json.loads, open("stored/metrics.jsonl")) if l["kind"] == "scores"]
assert s[0]["when"] == "before" and s[-1]["when"] == "after"
assert s[-1]["map_binary"] > s[0]["map_binary"] + 0.1 and s[-1]["map_continuous"] == s[0]["map_continuous"], s
END
check "it learns, and the embeddings stay what they are" $?
train run.dir=from_doubles data.root="$scratch/x8.npy" && same_run stored from_doubles
check "64-bit floats give the same bits" $?
# Killed at random moments until three kills fell between checkpoints and the run ended.
lean=(eval.baselines=false eval.resamples=0) # most of the time is in the steps: kills fall there
undisturbed "$bittern" train stored.yaml run.dir=undisturbed "${lean[@]}"
RANDOM=3 kills=0
for ((i = 0; i < 200; i++)); do
    killed_at_random "$bittern" train stored.yaml run.dir=resumed "${lean[@]}" --resume
    code=$?
    found=$(newest resumed)
    [ $code -eq 137 ] && [ -n "$found" ] && [ "$(basename "$found")" != step_00000032 ] && kills=$((kills + 1))
    [ $code -eq 137 ] && continue
    [ $code -ne 0 ] || [ $kills -ge 3 ] && break
    rm -rf resumed
done
[ $code -eq 0 ] && [ $kills -ge 3 ] && same_run stored resumed
check "killed $kills times between steps and resumed, exit code $code, same bits" $?

# Several labels: named splits, supervised; mAP as NumPy has it.
answer "several labels, and the splits of the file" 0 'data: 5 classes, 160 training, 40 query, 250 database images' train stored.yaml run.dir=sets \
    data.label=sets.npy data.split=splits.npy data.train=0 data.query=0 method.supervised=true
"$python" - <<'END'
import json, numpy as np
x, sets, splits = np.load("x.npy")[:, 0].astype("f8"), np.load("sets.npy"), np.load("splits.npy")
q, d = splits & 2 > 0, splits & 4 > 0
unit = x / np.linalg.norm(x, axis=1, keepdims=True)
order = np.argsort(-(unit[q] @ unit[d].T), axis=1, kind="stable")[:, :50]
relevant = np.take_along_axis((sets[q] @ sets[d].T) > 0, order, axis=1)
precision = np.cumsum(relevant, 1) / np.arange(1, 51)
ap = (precision * relevant).sum(1) / np.maximum(relevant.sum(1), 1)
found = [l for l in map(json.loads, open("sets/metrics.jsonl")) if l["kind"] == "scores"][-1]
assert abs(found["map_continuous"] - ap.mean()) < 1e-6, (found["map_continuous"], ap.mean())
END
check "mAP with shared labels is NumPy's" $?
cmp -s "$(newest sets)/model.safetensors" "$(newest stored)/model.safetensors"
check "labels matter" "$([ $? -ne 0 ]; echo $?)"
train run.dir=first data.split="$scratch/splits.npy" data.train=0 data.query=0 method.supervised=true
! cmp -s "$(newest sets)/model.safetensors" "$(newest first)/model.safetensors"
check "and so do second labels" $?
answer "one stored view is said" 0 'holds one view of each item: the 2 views of a step are the same' train stored.yaml run.dir=one data.root=one.npy
answer "classify on embeddings" 0 'accuracy' train stored.yaml run.dir=classes method.name=classify method.views=1 eval.every=2
answer "start from another head" 0 '0 tensors of the tower, 0 of the adapters, 8 of the head' train stored.yaml run.dir=again run.start=stored train.epochs=1
"$bittern" inspect plan stored.yaml | grep -q 'code_align'
check "the plan" $?

refused "adapters on embeddings" 3 'adapter.targets: steps on stored embeddings train the head alone; set it to none' adapter.targets=q
refused "a sampler" 3 'data.sampler: steps on embeddings take every item once an epoch' data.sampler=long_tail
refused "no labels" 3 'data.label: embeddings need a file of labels: .npy, or FILE.h5:NAME' 'data.label=""'
refused "labels of fewer items" 8 'short.npy has labels of 200 items' data.label="$scratch/short.npy"
refused "a NaN" 9 'nan.npy: item 3, view 1, column 5 is not a finite number' data.root="$scratch/nan.npy"
refused "another shape" 8 'flat.npy: the shape is (21600); stored embeddings are (items, width) or (items, views, width)' data.root="$scratch/flat.npy"
refused "more views than stored" 3 'method.views is 4, but only 3 views of each item are stored' method.views=4
refused "splits that are none" 5 'bad_splits.npy: item 0 is 9; allowed are sums of 1 train, 2 query, 4 database' data.split="$scratch/bad_splits.npy" data.train=0 data.query=0
refused "no such file" 4 'nothing.npy' data.root="$scratch/nothing.npy"
refused "weights of a tower" 3 'model.weights: embeddings come without a tower' model.weights="$scratch/stored"

# Views encoded once, then the head alone.
cat >cached.yaml <<END
include: $scratch/small.yaml
adapter: {targets: none}
train: {cached_views: 4, epochs: 6}
END
answer "a head on views encoded once" 0 '' train cached.yaml run.dir=cached
grep -q 'cached: 4 views of 48 images, 0.0 MB' err && [ "$(basename "$(newest cached)")" = step_00000024 ] && [ -s cached/base.safetensors ]
check "views, steps, and the frozen tower saved" $?
"$bittern" train cached.yaml run.dir=cached_4 data.loader_threads=4 2>/dev/null && same_run cached cached_4
check "4 loader threads, same bits" $?
"$bittern" train cached.yaml run.dir=cached_part train.epochs=6 run.keep=0 2>/dev/null
rm -rf cached_part/checkpoints/step_0000001[3-9] cached_part/checkpoints/step_0000002?
"$bittern" train cached.yaml run.dir=cached_part --resume 2>/dev/null && same_run cached cached_part
check "resumed from step 12, same bits" $?
stored=$(find cached_part/checkpoints -maxdepth 1 -name 'step_0000002?' | wc -l)
check "it went on: $stored" "$([ "$stored" -gt 0 ]; echo $?)"
"$bittern" eval cached --json >scores && "$python" -c '
import json
a = json.load(open("scores"))
b = [l for l in map(json.loads, open("cached/metrics.jsonl")) if l["kind"] == "scores"][-1]
assert a["map_binary"] == b["map_binary"] and a["map_continuous"] == b["map_continuous"]'
check "evaluated on pictures as any other run" $?
answer "fewer views than a step takes" 3 'train.cached_views: 1 is below method.views 2' train cached.yaml run.dir=refused train.cached_views=1
if python_with h5py && "$bittern" doctor | grep -q '^hdf5 *yes'; then
    "$python" -c 'import h5py, numpy as np
f = h5py.File("x.h5", "w")
f["x"], f["y"] = np.load("x.npy"), np.load("y.npy")
f.create_dataset("packed", data=f["x"][:], chunks=(64, 3, 24), compression="gzip")'
    for root in x.npy x.h5:x x.h5:packed; do
        train run.dir="$scratch/again_$root" data.root="$scratch/$root" data.label="$scratch/x.h5:y" train.epochs=2
        grep -h 'scores after' out err | sed 's/, [0-9.]* s$//' >>same.txt
    done
    check "HDF5 trains as .npy does" "$([ "$(wc -l <same.txt)" -eq 3 ] && [ "$(sort -u same.txt | wc -l)" -eq 1 ]; echo $?)"
else
    echo "skipped: embeddings in HDF5 (no h5py, or a build without HDF5)"
fi
finish
