#!/usr/bin/env bash
# tools/gpu_table.py on made-up figures: what is joined, which mode counts, what is said to be missing, and files that are none.
#   gpu_table.sh SOURCE_FOLDER
set -uo pipefail
table=$1/tools/gpu_table.py
command -v python3 >/dev/null || { echo "skipped: no python3" && exit 77; }
scratch=$(mktemp -d) && trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
failed=0

check() { # NAME CODE
    if [ "$2" -eq 0 ]; then echo "good   $1"; else echo "FAILED $1" && failed=1; fi
}
says() { # FILE TEXT
    grep -qF -- "$2" "$1"
    check "$1: $2" $?
}

vit() { # MODEL BATCH FORWARD STEP PEAK more members
    printf '{"bench":"vit","model":"vit_%s_patch14_dinov2","device":"H100, 79 GiB","dtype":"bf16","batch":%d,"forward_images_per_s":%s,"lora_step_images_per_s":%s,"peak_bytes":%d%s}\n' "$@"
}
floor() { # MODEL BATCH PROGRAM IMAGES_PER_S
    printf '{"bench":"floor","model":"vit_%s_patch14_dinov2","batch":%d,"dtype":"bf16","program":"%s","images_per_s":%s}\n' "$@"
}
torch() { # MODE MODEL BATCH FORWARD STEP PEAK
    echo "== PyTorch $1, ViT $2, batch $3: python3 vit_lora_torch.py --device cuda --dtype bfloat16 --batch $3"
    [ -z "$4" ] || echo "torch 2.11.0+cu130 cuda bfloat16 threads=16 batch=$3 forward: $4 images/s (median of 20)"
    [ -z "$5" ] || echo "torch 2.11.0+cu130 cuda bfloat16 threads=16 batch=$3 lora_step: $5 images/s (median of 20)"
    [ -z "$6" ] || echo "peak_bytes: $6  (device memory on CUDA; resident peak minus that after import on CPU)"
}

mkdir a c h200 broken wrong empty
printf 'date: 2027-01-02\ndevice: NVIDIA H100 80GB HBM3\ncommit: 0123abc (shared/commit)\nWed: not this\n' >a/machine.txt
sed 's/01-02/01-03/' a/machine.txt >c/machine.txt
{
    vit small 64 40000 12000 1500000000 ',"launches":"graph","lora_step_call_images_per_s":11000'
    vit small 64 30000 9000 1400000000 ',"launches":"kernel by kernel","launches_reason":"--no-graphs"'
    vit large 64 3000.5 990.4 9000000000 ',"launches":"kernel by kernel","launches_reason":"LoRA step: a library waits"'
    echo '{"bench":"ops","op":"gelu","ms":1}'
    floor small 64 forward 50000
    floor small 64 "LoRA step" 16000
} >a/figures.jsonl
{
    torch default small 64 20000.00 8000.00 3000000000
    torch reduce-overhead small 64 32000.00 7500.00 4000000000
    torch max-autotune small 64 31000.00 '' ''
    torch default base 64 9000.00 3000.00 5000000000
} >c/torch.txt
printf 'device: NVIDIA H200\n' >h200/machine.txt
vit small 64 50000 13000 1500000000 '' >h200/figures.jsonl

"$table" a c h200 >page.md
check "three folders" $?
# 40000/50000 of the floor, against the faster of 20000 and 32000; 12000/16000, against 8000, whose peak counts: 1500/3000.
says page.md '| small, 64, bf16 | 40,000 | 0.80 | 32,000 | reduce-overhead | 1.25 | 12,000 | 0.75 | 8,000 | default | 1.50 | 1,500 | 3,000 | 0.50 | 9,000 | 11,000 |'
says page.md '| base, 64, bf16 |  |  | 9,000 | default |  |  |  | 3,000 | default |  |  | 5,000 |  |  |  |'
says page.md '| large, 64, bf16 | 3,000 |  |  |  |  | 990.4 |  |  |  |  | 9,000 |  |  |  |  |'
says page.md '# NVIDIA H100 80GB HBM3, 2027-01-02, 2027-01-03'
says page.md 'Commit 0123abc (shared/commit). H100, 79 GiB. PyTorch 2.11.0+cu130.'
says page.md '- ViT small, batch 64, bf16: PyTorch max-autotune did not finish (peak, step missing)'
says page.md '- ViT base, batch 64, bf16: no figures of bittern-bench vit'
says page.md '- ViT large, batch 64, bf16: kernel by kernel, not as a graph: LoRA step: a library waits'
says page.md '- ViT large, batch 64, bf16: PyTorch did not run'
says page.md '# NVIDIA H200, date unknown'
says page.md '| small, 64, bf16 | 50,000 |  |  |  |  | 13,000 |  |  |  |  | 1,500 |  |  |  |  |'
order=$(grep -o '^| [a-z]*, 64' page.md | tr -d '|' | tr '\n' ' ')
[ "$order" = ' small, 64  base, 64  large, 64  small, 64 ' ]
check "order of the rows: $order" $?

# A later folder wins.
mkdir later && cp a/machine.txt later/ && vit small 64 44000 12000 1500000000 ',"launches":"graph"' >later/figures.jsonl
"$table" a later >later.md
says later.md '| small, 64, bf16 | 44,000 | 0.88 |'

# Files that are none.
refused() { # FOLDER TEXT
    "$table" "$1" >out 2>errors
    [ $? -eq 1 ] && [ ! -s out ] && grep -qF -- "$2" errors
    check "refused: $2" $?
}
echo '{"bench":"vit"' >broken/figures.jsonl
refused broken 'broken/figures.jsonl:1: not a figure of bittern-bench'
vit tiny 64 1 1 1 '' >broken/figures.jsonl
refused broken "broken/figures.jsonl:1: model 'vit_tiny_patch14_dinov2' is none of"
torch default small 64 1 1 1 | tail -n 1 >wrong/torch.txt
refused wrong 'wrong/torch.txt:1: not a line of vit_lora_torch.py under its heading'
refused empty 'empty: neither figures.jsonl nor torch.txt is there'
exit $failed
