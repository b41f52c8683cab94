#!/usr/bin/env bash
# bittern export MODEL OUT.onnx: every committed tower at its own and at another size of pictures, runs with heads and adapters, one file and two, evaluated
# by NumPy (onnx_numpy.py) or by onnxruntime.   onnx.sh BITTERN numpy|onnxruntime
# Exit code 77: no Python with it. onnxruntime, with onnx, is taken from BITTERN_ONNX_PYTHON, BITTERN_PYTHON or python3.
. "$(dirname "$0")/../cli/common.sh"
fixtures=$here/fixtures engine=$2
if [ "$engine" = numpy ]; then
    need_python numpy NumPy python3-numpy
else
    for python in "${BITTERN_ONNX_PYTHON:-}" "${BITTERN_PYTHON:-}" python3 none; do [ -n "$python" ] && "$python" -c 'import numpy, onnx, onnxruntime' 2>/dev/null && break; done
    [ "$python" != none ] || { echo "skipped: no Python with onnxruntime and onnx (BITTERN_ONNX_PYTHON names one)"; exit 77; }
fi

# Towers. Sizes are those of which the fixture has its library's features.
list=()
import_tower() { # name, file, sizes, flags...
    local name=$1 file=$2 size flags=("${@:4}")
    "$bittern" import "$fixtures/$name/$file" --out "$name.safetensors" "${flags[@]}" >out 2>err || { check "import $name: $(cat err)" 1; return; }
    for size in $3; do
        answer "$name at $size" 0 "pixels (N, 3, $size, $size) to class, patches" export "$name.safetensors" "$name.$size.onnx" --image "$size"
        list+=("$name" "$size" "$name.$size.onnx")
    done
}
import_tower hub weights.pth "70 42 98" --heads 3
import_tower hub_registers weights.pth "70 42 98" --heads 3
import_tower hub_giant weights.pth 70 --heads 3
import_tower timm model.safetensors "48 64" --heads 3
import_tower timm_dinov2 model.safetensors "70 42" --heads 3
import_tower timm_dinov2_registers model.safetensors "42 70" --heads 3
import_tower dinov2 model.safetensors "42 56"
import_tower dinov2_swiglu model.safetensors 42
import_tower dinov2_registers pytorch_model.bin "42 56"
import_tower vit model.safetensors "32 48"
import_tower dinov3 model.safetensors "48 64"
import_tower dinov3_gated model.safetensors 48
import_tower transformers_clip model.safetensors 28
import_tower transformers_clip_alone model.safetensors 28
import_tower open_clip open_clip_pytorch_model.bin "32 48"
import_tower open_clip_quick open_clip_pytorch_model.bin 32
import_tower torchvision vit.pth 48 --heads 3
[ "${#list[@]}" -eq 87 ]
check "29 graphs" $?
[ "$(printf '%s\n' "${list[@]}" | grep -x '[a-z].*' | grep -v 'onnx$' | sort -u)" = "$(ls "$fixtures")" ]
check "of every fixture" $?
answer "weights in a second file" 0 "the weights in two.onnx.data" export hub_registers.safetensors two.onnx --image 42 --external
mkdir moved && mv two.onnx two.onnx.data moved
list+=(hub_registers 42 moved/two.onnx)
answer "without --image, the size of the file" 0 "pixels (N, 3, 70, 70)" export hub.safetensors own.onnx
cmp -s own.onnx hub.70.onnx
check "which is the same file" $?
"$python" -B "$here/onnx_check.py" "$engine" "$fixtures" towers "${list[@]}"
check "towers" $?

# Runs: adapters merged, both heads, bits that do not fill their bytes, classes.
"$bittern" config small.yaml >/dev/null 2>&1 || finish
train() { # name, settings...
    local run=$1
    "$bittern" train small.yaml run.dir="$run" run.keep=0 eval.batch=0 optim.lr=0.02 train.epochs=3 "${@:2}" 2>log || { cat log; exit 1; }
    "$bittern" embed "$run" pictures "$run.npy" --logits --threads 1 --batch 4 $codes >/dev/null || check "embed $run" 1
}
codes=--codes
train plain adapter.targets=q,v method.bits=24
train full adapter.targets=qkv,proj,fc1,fc2 model.registers=2 model.layer_scale=true method.head=large method.bits=70
train whole adapter.targets=none model.train_all=true model.activation=swiglu model.qkv_bias=false model.pre_norm=true model.output=20 method.batch_norm=false
codes=
train classes adapter.targets=k,fc2 method.name=classify method.views=1
answer "a run" 0 "to embedding, logits, codes; " export plain plain.onnx
answer "its adapters are merged" 0 ", 8 adapters merged" export full full.onnx
answer "a run without adapters" 0 "codes" export whole whole.onnx
answer "classes" 0 "to embedding, logits; " export classes classes.onnx
"$bittern" export plain apart.safetensors --adapter >/dev/null
answer "adapters with their base" 0 "codes" export apart.safetensors apart.onnx --base plain
cmp -s apart.onnx plain.onnx
check "give the run's file" $?
"$python" -B "$here/onnx_check.py" "$engine" "$fixtures" runs plain full whole classes
check "runs" $?
finish
