#!/usr/bin/env bash
# What a user gets wrong: each case reads the message and the exit code.   bad_input.sh BITTERN
. "$(dirname "$0")/common.sh"
s=small.yaml
answer "no command" 2 'did you mean "train"?' trian "$s"
answer "misspelt key on the command line" 3 'command line: unknown key "train.epoch"; did you mean "train.epochs"?' train "$s" train.epoch=3
sed 's/bits: 16/bitz: 16/' "$s" >key.yaml
answer "misspelt key in the file" 3 'key.yaml:3:24: unknown key "method.bitz"; did you mean "method.bits"?' train key.yaml
answer "wrong type" 3 'train.epochs: found "many", expected a whole number' train "$s" train.epochs=many
answer "out of range" 3 'adapter.dropout: found "2", expected a number between 0 and 0.99' train "$s" adapter.dropout=2
answer "not a method" 3 'method.name "corvca" is unknown; allowed: crovca, classify' train "$s" method.name=corvca
answer "not a target" 3 'adapter target "w" is unknown' train "$s" adapter.targets=w
answer "targets that exclude each other" 3 'it excludes q, k and v' train "$s" 'adapter.targets="q,qkv"'
answer "batch too small for batch norm" 3 'train.batch is 1; batch norm in the HashCoder needs at least 2 images per step' train "$s" train.batch=1
answer "batch above the data" 3 'train.batch is 500, but there are 48 training images' train "$s" train.batch=500
answer "patch does not divide" 3 'model.image 16 must be a multiple of model.patch 5; nearest are 15 and 20' train "$s" model.patch=5
answer "chunk does not divide" 3 'train.batch 12 is not a multiple of train.chunk 5' train "$s" train.chunk=5 train.head_epochs=0
answer "no such device" 7 'no device "tpu"; this build has "cpu"' train "$s" run.device=tpu
answer "no such data" 4 'nowhere' train "$s" data.root=nowhere
answer "more images than there are" 3 'class' train "$s" data.train=800
answer "no such weights" 4 'neither a .safetensors file nor a run with a checkpoint' train "$s" model.weights=nowhere

cp -r pictures broken
for f in broken/ring/*; do head -c 150 "$f" >"$f.cut" && mv "$f.cut" "$f"; done
answer "truncated picture" 5 'ring/' train "$s" run.dir=run_broken data.root=broken
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n' >pointer.safetensors
answer "text pointer in place of weights" 5 'git-lfs' train "$s" model.weights=pointer.safetensors
python3 - overlap.safetensors <<'END'
import json, struct, sys
head = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}).encode()
open(sys.argv[1], "wb").write(struct.pack("<Q", len(head)) + head + bytes(12))
END
answer "overlapping tensors" 5 'overlap' train "$s" model.weights=overlap.safetensors

python3 - "$scratch/evil.pth" <<'END'
import os, pickle, sys, zipfile
class Evil:
    def __reduce__(self):
        return os.system, ("touch '%s.ran'" % sys.argv[1],)
with zipfile.ZipFile(sys.argv[1], "w") as z:
    z.writestr("a/data.pkl", pickle.dumps({"model": Evil()}, 2))
    z.writestr("a/version", "3\n")
END
answer "weights that run code" 5 'calls posix.system; weight files hold tensors and plain containers only' inspect "$scratch/evil.pth"
check "nothing of it was run" "$([ ! -e "$scratch/evil.pth.ran" ]; echo $?)"
echo '<html>404' >"$scratch/page.pth"
answer "a page in place of weights" 5 'a web page, perhaps the error page of a failed download' inspect "$scratch/page.pth"
answer "a configuration in place of weights" 5 'no weights, but text' inspect "$s"

"$bittern" train "$s" >/dev/null 2>&1
check "the plain run works" $?
answer "a run that is there" 3 'already holds a run; continue it with --resume' train "$s"
answer "resume with a changed configuration" 3 'resume: optim.lr was "0.001"' train "$s" --resume optim.lr=0.01
answer "evaluation of a folder without a run" 4 "is no run's folder: it has no config.yaml" eval nothing
printf '{"step": 1' >"$(find run/checkpoints -name state.json | sort | tail -n 1)"
answer "a damaged checkpoint" 5 'state.json' train "$s" --resume
answer "a rate that blows up" 9 'the loss is' train "$s" run.dir=inf optim.lr=10 optim.lr_min=10 optim.weight_decay=10 optim.eps=0 train.epochs=400 method.rate_weight=0 method.align_weight=1e6 run.checkpoint_every=0

# Damaged files of a run with averages: each is refused by name, and nothing else is touched.
train_ema=(train "$s" run.dir=ema train.ema=0.9 eval.every=1)
"$bittern" "${train_ema[@]}" >/dev/null 2>&1
newest=$(newest ema)
for file in model average optim; do
    cp "$newest/$file.safetensors" kept
    head -c 700 kept >"$newest/$file.safetensors"
    answer "a cut $file.safetensors" 5 "$file.safetensors" "${train_ema[@]}" --resume
    rm "$newest/$file.safetensors"
    answer "no $file.safetensors" 4 "$file.safetensors" "${train_ema[@]}" --resume
    cp kept "$newest/$file.safetensors"
done
answer "averages that a run did not keep" 3 'resume: train.ema was "0.9"' train "$s" run.dir=ema eval.every=1 --resume
printf '{"kind":"scores","when":"epoch","step":4,"map_binary":"many"}\nnonsense\n' >>ema/metrics.jsonl
"$bittern" "${train_ema[@]}" --resume >/dev/null 2>&1
check "damaged lines of metrics do not stop a run" $?
rm ema/checkpoints/best && ln -s ../../../etc ema/checkpoints/best
answer "a link that names no checkpoint" 4 'has no checkpoint "best"; there are last' eval ema --checkpoint best

# A full disk: a tmpfs too small for a checkpoint.
if small_disk 64k; then
    answer "disk full while saving" 4 'No space left on device' train "$s" run.dir=disk/run model.width=64
    check "no partial files on the full disk" "$([ -z "$(find disk -name '*partial*')" ]; echo $?)"
    close_disk
fi

# The disk becomes full within a checkpoint: room for the weights and for half of their averages.
kept_kb() { echo $((($(stat -c %s "$1") + 4095) / 4096 * 4)); } # a tmpfs keeps whole pages
if small_disk 16m; then
    averaged=(train "$s" run.dir=disk/run model.width=128 train.ema=0.9 run.keep=0 eval.batch=0)
    answer "a run with averages" 0 'step 16/16' "${averaged[@]}"
    cp -r disk/run whole && rm -r disk/run/checkpoints/step_0000001[0-6]
    leave=$(($(kept_kb whole/checkpoints/step_00000010/model.safetensors) + $(kept_kb whole/checkpoints/step_00000010/average.safetensors) / 2))
    dd if=/dev/zero of=disk/fill bs=1k count=$(($(df --output=avail -k disk | tail -n 1) - leave)) status=none
    answer "disk full within the averages" 4 'average.safetensors: No space left on device' "${averaged[@]}" --resume
    says 'step 10: the checkpoint was not saved; earlier ones are intact'
    check "it says which checkpoint" $?
    check "nothing half-written is left" "$([ -z "$(find disk -name '*partial*')" ]; echo $?)"
    intact=0
    for step in disk/run/checkpoints/step_????????; do diff -rq "$step" "whole/checkpoints/$(basename "$step")" >/dev/null && intact=$((intact + 1)); done
    check "$intact earlier checkpoints are whole, and last is the ninth" "$([ $intact -eq 9 ] && [ "$(readlink disk/run/checkpoints/last)" = step_00000009 ] &&
        [ "$(basename "$(newest disk/run)")" = step_00000009 ]; echo $?)"
    rm disk/fill
    answer "with room it goes on" 0 'step 16/16' "${averaged[@]}" --resume
    same_run whole disk/run && cmp -s "$(newest whole)/average.safetensors" "$(newest disk/run)/average.safetensors"
    check "to the same bits" $?
    close_disk
fi
finish
