#!/usr/bin/env bash
# bittern-bench vit on a device with memory of its own (the CUDA kernels compiled for the host): what it says, and that a profile harms nothing.
#   bench.sh PROGRAM
set -uo pipefail
program=$1
scratch=$(mktemp -d) && trap 'rm -rf "$scratch"' EXIT
failed=0

check() { # NAME CODE
    if [ "$2" -eq 0 ]; then echo "good   $1"; else echo "FAILED $1" && failed=1; fi
}
has() { # FILE PATTERN
    grep -qE "$2" "$1"
    local code=$?
    check "$(basename "$1"): $2" $code
}

run() { # NAME option...
    local name=$1
    shift
    "$program" vit --device cuda_host --image 28 --batch 4 --iterations 1 "$@" >"$scratch/$name" 2>"$scratch/$name.errors"
    check "$name runs" $?
    cat "$scratch/$name" "$scratch/$name.errors"
}

run replayed --json --profile
has "$scratch/replayed" '^\{.*"launches":"graph"'
has "$scratch/replayed" '"lora_step_call_images_per_s":[0-9]'
has "$scratch/replayed" '^  attention_dx +12 calls '
has "$scratch/replayed" '^  together +[0-9]+ calls .* kernel by kernel$'

run plain --no-graphs
has "$scratch/plain" '^launches: kernel by kernel \(--no-graphs\)$'
has "$scratch/plain" '^by a call: forward [0-9.]+ images/s, LoRA step [0-9.]+ images/s'

# Device memory: at least weights (22 million of ViT-S in f32), block and pictures; at most as much again for weights kept in another form.
peak=$(sed -n 's/.*"peak_bytes":\([0-9]*\).*/\1/p' "$scratch/replayed")
[ "${peak:-0}" -gt 88000000 ] && [ "${peak:-0}" -lt 176000000 ]
check "peak of the device's memory: $peak bytes" $?
exit $failed
