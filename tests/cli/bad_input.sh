#!/usr/bin/env bash
# What a user gets wrong: each case reads the message and the exit code.   bad_input.sh BITTERN
. "$(dirname "$0")/common.sh"
case_of() { # name, exit code, text of the message, arguments...
    local name=$1 code=$2 text=$3 found
    shift 3
    "$bittern" "$@" >"$scratch/out" 2>"$scratch/err"
    found=$?
    if [ $found -ne "$code" ] || ! grep -qF -- "$text" "$scratch/err"; then
        failed=$((failed + 1))
        echo "FAILED: $name: exit code $found (expected $code), message: $(tail -n 1 "$scratch/err") (expected: $text)"
    else
        passed=$((passed + 1))
    fi
}
s=$scratch/small.yaml
case_of "no command" 2 'did you mean "train"?' trian "$s"
case_of "misspelt key on the command line" 3 'command line: unknown key "train.epoch"; did you mean "train.epochs"?' train "$s" train.epoch=3
sed 's/bits: 16/bitz: 16/' "$s" >"$scratch/key.yaml"
case_of "misspelt key in the file" 3 'key.yaml:3:24: unknown key "method.bitz"; did you mean "method.bits"?' train "$scratch/key.yaml"
case_of "wrong type" 3 'train.epochs: found "many", expected a whole number' train "$s" train.epochs=many
case_of "out of range" 3 'adapter.dropout: found "2", expected a number between 0 and 0.99' train "$s" adapter.dropout=2
case_of "not a method" 3 'method.name "corvca" is unknown; allowed: crovca, classify' train "$s" method.name=corvca
case_of "not a target" 3 'adapter target "w" is unknown' train "$s" adapter.targets=w
case_of "targets that exclude each other" 3 'it excludes q, k and v' train "$s" 'adapter.targets="q,qkv"'
case_of "batch too small for batch norm" 3 'train.batch is 1; batch norm in the HashCoder needs at least 2 images per step' train "$s" train.batch=1
case_of "batch above the data" 3 'train.batch is 500, but there are 48 training images' train "$s" train.batch=500
case_of "patch does not divide" 3 'model.image 16 must be a multiple of model.patch 5; nearest are 15 and 20' train "$s" model.patch=5
case_of "chunk does not divide" 3 'train.batch 12 is not a multiple of train.chunk 5' train "$s" train.chunk=5 train.head_epochs=0
case_of "no such device" 7 'no device "tpu"; this build has "cpu"' train "$s" run.device=tpu
case_of "no such data" 4 'nowhere' train "$s" data.root="$scratch/nowhere"
case_of "more images than there are" 3 'class' train "$s" data.train=800
case_of "no such weights" 4 'neither a .safetensors file nor a run with a checkpoint' train "$s" model.weights="$scratch/nowhere"

cp -r "$scratch/pictures" "$scratch/broken"
for f in "$scratch"/broken/ring/*; do head -c 150 "$f" >"$f.cut" && mv "$f.cut" "$f"; done
case_of "truncated picture" 5 'ring/' train "$s" run.dir="$scratch/run_broken" data.root="$scratch/broken"
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n' >"$scratch/pointer.safetensors"
case_of "text pointer in place of weights" 5 'git-lfs' train "$s" model.weights="$scratch/pointer.safetensors"
python3 - "$scratch/overlap.safetensors" <<'END'
import json, struct, sys
head = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}).encode()
open(sys.argv[1], "wb").write(struct.pack("<Q", len(head)) + head + bytes(12))
END
case_of "overlapping tensors" 5 'overlap' train "$s" model.weights="$scratch/overlap.safetensors"

"$bittern" train "$s" >/dev/null 2>&1
check "the plain run works" $?
case_of "a run that is there" 3 'already holds a run; continue it with --resume' train "$s"
case_of "resume with a changed configuration" 3 'resume: optim.lr was "0.001"' train "$s" --resume optim.lr=0.01
case_of "evaluation of a folder without a run" 4 "is no run's folder: it has no config.yaml" eval "$scratch/nothing"
printf '{"step": 1' >"$(find "$scratch/run/checkpoints" -name state.json | sort | tail -n 1)"
case_of "a damaged checkpoint" 5 'state.json' train "$s" --resume
case_of "a rate that blows up" 9 'the loss is' train "$s" run.dir="$scratch/inf" optim.lr=10 optim.lr_min=10 optim.weight_decay=10 optim.eps=0 train.epochs=400 method.rate_weight=0 method.align_weight=1e6 run.checkpoint_every=0

# Damaged files of a run with averages: each is refused by name, and nothing else is touched.
train_ema=(train "$s" run.dir="$scratch/ema" train.ema=0.9 eval.every=1)
"$bittern" "${train_ema[@]}" >/dev/null 2>&1
newest=$(find "$scratch/ema/checkpoints" -maxdepth 1 -name 'step_*' | sort | tail -n 1)
for file in model average optim; do
    cp "$newest/$file.safetensors" "$scratch/kept"
    head -c 700 "$scratch/kept" >"$newest/$file.safetensors"
    case_of "a cut $file.safetensors" 5 "$file.safetensors" "${train_ema[@]}" --resume
    rm "$newest/$file.safetensors"
    case_of "no $file.safetensors" 4 "$file.safetensors" "${train_ema[@]}" --resume
    cp "$scratch/kept" "$newest/$file.safetensors"
done
case_of "averages that a run did not keep" 3 'resume: train.ema was "0.9"' train "$s" run.dir="$scratch/ema" eval.every=1 --resume
printf '{"kind":"scores","when":"epoch","step":4,"map_binary":"many"}\nnonsense\n' >>"$scratch/ema/metrics.jsonl"
"$bittern" "${train_ema[@]}" --resume >/dev/null 2>&1
check "damaged lines of metrics do not stop a run" $?
rm "$scratch/ema/checkpoints/best" && ln -s ../../../etc "$scratch/ema/checkpoints/best"
case_of "a link that names no checkpoint" 4 'has no checkpoint "best"; there are last' eval "$scratch/ema" --checkpoint best

# A full disk: a tmpfs too small for a checkpoint.
mkdir "$scratch/disk"
if mount -t tmpfs -o size=64k tmpfs "$scratch/disk" 2>/dev/null; then
    case_of "disk full while saving" 4 'No space left on device' train "$s" run.dir="$scratch/disk/run" model.width=64
    check "no partial files on the full disk" "$([ -z "$(find "$scratch/disk" -name '*partial*')" ]; echo $?)"
    umount "$scratch/disk"
else
    echo "skipped: disk full (no right to mount a tmpfs)"
fi
finish
