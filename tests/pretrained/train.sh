#!/usr/bin/env bash
# LoRA training of every tower from a configuration that names its file and nothing else of it: the loss falls, adapters move, the tower stays; run,
# adapters apart and merged file embed alike; another size of pictures; DINOv3's keys get no bias.   train.sh BITTERN [few]     few: a tower for each thing that towers differ in, not every one
. "$(dirname "$0")/../cli/common.sh"
fixtures=$here/fixtures
"$bittern" config small.yaml >/dev/null 2>&1 || { echo "skipped: this build reads no YAML"; exit 77; }

losses() { # run: mean loss of its first and last epoch of four, and whether all are numbers
    sed -n 's/.*"step": *\([0-9]*\).*"loss": *\("\{0,1\}[-0-9a-z.]*\).*/\1 \2/p' "$1/metrics.jsonl" |
        awk '$2 !~ /^-?[0-9.]+(e-?[0-9]+)?$/ { bad = 1 } $1 <= 4 { a += $2; n++ } $1 > 12 { b += $2; m++ } END { printf "%.4f %.4f\n", a / n, b / m; exit bad || n != 4 || m != 4 || b >= a }'
}
close_to() { # two .npy of f32: within 1e-4 of the largest value
    "$python" - "$1" "$2" 2>"$scratch/err" <<'END'
import numpy as np, sys
a, b = (np.load(f) for f in sys.argv[1:])
assert a.shape == b.shape and np.isfinite(a).all() and np.abs(a).max() > 0.01 and np.abs(a - b).max() <= 1e-4 * np.abs(a).max(), np.abs(a - b).max()
END
}

# experiments/crovca: q and v, rank 16, alpha 16, dropout 0.1.
towers=0 least=16 few=${2:-}
# Registers and SwiGLU, rotary positions with gated MLPs, CLIP's norms and projection with quick GELU, torchvision's tower; dinov3 and hub for what follows below.
[ "$few" != few ] || few=" dinov2_swiglu dinov3 dinov3_gated hub hub_registers open_clip_quick torchvision " least=7
for folder in "$fixtures"/*; do
    name=$(basename "$folder")
    [ -z "$few" ] || [[ $few == *" $name "* ]] || continue
    weights=$(find "$folder" -name '*.pth' -o -name '*.bin' -o -name 'model.safetensors')
    heads=()
    [ -e "$folder/import.json" ] && heads=(--heads "$(tr -dc 0-9 <"$folder/import.json")")
    "$bittern" import "$weights" "${heads[@]}" --out "$name.safetensors" >out 2>err
    code=$?
    check "$name: imported: $(tail -n 1 err)" $code
    [ $code -eq 0 ] || continue
    towers=$((towers + 1))
    cat >"$name.yaml" <<END
model: {weights: $name.safetensors}
adapter: {targets: "q,v", rank: 16, alpha: 16, dropout: 0.1}
method: {name: crovca, bits: 16}
data: {root: pictures, train: 8, query: 2}
train: {epochs: 4, head_epochs: 0, batch: 12}
run: {dir: run_$name, threads: 1, log_every: 1, checkpoint_every: 0}
END
    answer "$name: trained" 0 "" train "$name.yaml" optim.lr=0.01 eval.batch=0
    said=$(losses "run_$name")
    code=$?
    check "$name: the loss falls ($said)" $code
    embed() { "$bittern" embed "$1" pictures "$2.npy" --codes --threads 1 "${@:3}" >out 2>err; }
    embed "run_$name" a && embed "run_$name" again && cmp -s a.npy again.npy
    check "$name: embedded from the run" $?
    "$bittern" export "run_$name" apart.safetensors --adapter >out 2>err && embed apart.safetensors b --base "$name.safetensors" && cmp -s a.npy b.npy && cmp -s a.codes.npy b.codes.npy
    code=$?
    check "$name: adapters on the imported tower give the run's bits: $(tail -n 1 err)" $code
    "$bittern" export "run_$name" merged.safetensors >out 2>err && grep -q ' 2 adapters merged' out && embed merged.safetensors c
    code=$?
    check "$name: merged: $(tail -n 1 err)" $code
    "$bittern" embed "$name.safetensors" pictures t.npy --threads 1 >out 2>err
    if python_with numpy; then
        close_to a.npy c.npy
        code=$?
        check "$name: merged embeds alike: $(tail -n 1 err)" $code
        close_to a.npy t.npy
        check "$name: and not as before training" "$([ $? -ne 0 ]; echo $?)"
    fi
    image=$("$bittern" config "$name.yaml" | sed -n 's/^  image: \([0-9]*\) .*/\1/p') patch=$("$bittern" config "$name.yaml" | sed -n 's/^  patch: \([0-9]*\) .*/\1/p')
    answer "$name: trained at $((image + patch)) pixels" 0 "" train "$name.yaml" run.dir="larger_$name" model.image=$((image + patch)) train.epochs=1 eval.batch=0
    "$bittern" export "larger_$name" larger.safetensors --adapter >out 2>err && embed "larger_$name" d && embed larger.safetensors e --base "$name.safetensors" && cmp -s d.npy e.npy && ! cmp -s a.npy d.npy
    code=$?
    check "$name: embedded at that size: $(tail -n 1 err)" $code
done
check "$towers towers" "$([ $towers -ge $least ]; echo $?)"
for tower in dinov3 dinov3_gated; do grep -q 'key_bias: false' <("$bittern" config $tower.yaml); check "$tower: keys without bias" $?; done
answer "as others have it" 0 "key_bias: true" config hub.yaml
answer "a bias that the weights have not" 3 "model.key_bias: true, but dinov3.safetensors has false" config dinov3.yaml model.key_bias=true

# All weights of DINOv3: of the bias of q, k, v the part of the keys stays 0, with chunks, averages, clipping and decay too.
whole=(adapter.targets=none model.train_all=true optim.lr=0.01 optim.weight_decay=0.1 eval.batch=0)
answer "all weights" 0 "" train dinov3.yaml run.dir=whole "${whole[@]}"
answer "in chunks" 0 "" train dinov3.yaml run.dir=chunks "${whole[@]}" train.chunk=6 train.ema=0.9 optim.clip=1
answer "of a tower whose keys have one" 0 "" train hub.yaml run.dir=hub_whole "${whole[@]}"
answer "exported for transformers" 0 "" export whole whole.safetensors --names transformers
answer "there is no bias of keys in it" 0 "q_proj.bias" inspect whole.safetensors
check "none" "$(! grep -q 'k_proj.bias' out; echo $?)"
if python_with numpy; then
    "$python" - >out 2>&1 <<'END'
import json, numpy as np, struct
def read(path):
    raw = open(path, "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    head = json.loads(raw[8:8 + n])
    head.pop("__metadata__", None)
    return {k: np.frombuffer(raw, np.float32, offset=8 + n + v["data_offsets"][0], count=int(np.prod(v["shape"]))) for k, v in head.items() if v["dtype"] == "F32"}
for run, files, held in ("whole", ("model",), True), ("chunks", ("model", "average"), True), ("hub_whole", ("model",), False):
    before = read("hub.safetensors" if run == "hub_whole" else "dinov3.safetensors")
    for file in files:
        after = read(f"{run}/checkpoints/last/{file}.safetensors")
        for block in 0, 1:
            name = f"blocks.{block}.attn.qkv.bias"
            b, c = before[name].reshape(3, -1), after[name].reshape(3, -1)
            assert (b[0] != c[0]).all() and (b[2] != c[2]).all(), (run, file, name)
            assert (c[1] == 0).all() == held, (run, file, name, c[1])
END
    code=$?
    check "queries and values move, keys stay: $(tail -n 1 out)" $code
fi
finish
