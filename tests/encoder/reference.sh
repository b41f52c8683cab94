#!/usr/bin/env bash
# An exported file read by NumPy, and the Python reader.   reference.sh BITTERN LIBRARY   Exit code 77: no Python with NumPy.
. "$(dirname "$0")/../cli/common.sh"
need_python numpy NumPy python3-numpy
"$bittern" demo large --per-class 2 --size 40 >/dev/null

train() { # folder, settings...: a model whose adapters matter
    local run=$1
    shift
    "$bittern" train small.yaml run.dir="$run" run.keep=0 eval.batch=0 optim.lr=0.02 train.epochs=3 "$@" 2>log || { cat log; exit 1; }
}
train plain adapter.targets=q,v method.bits=24
train full data.resize=20 data.interpolation=bicubic adapter.targets=qkv,proj,fc1,fc2 model.registers=2 method.head=large method.bits=70
train whole adapter.targets=none model.train_all=true model.layer_scale=true
train classes adapter.targets=k,fc2 method.name=classify method.views=1
for run in plain full whole classes; do
    codes=--codes
    [ $run = classes ] && codes=
    "$bittern" export $run $run.safetensors >/dev/null
    [ $run = whole ] || "$bittern" export $run $run.apart.safetensors --adapter >/dev/null
    "$bittern" embed $run pictures $run.npy $codes --logits --threads 1 --batch 4 >/dev/null
    "$bittern" embed $run.safetensors pictures $run.merged.npy $codes --logits --threads 1 --batch 4 >/dev/null
done
BITTERN_LIBRARY=$2 "$python" -B "$here/reference.py" "$root/python" plain full whole classes
check "NumPy" $?
finish
