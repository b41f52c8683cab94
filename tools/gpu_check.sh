#!/usr/bin/env bash
# Everything that needs a CUDA device, on a bare machine: CUDA, cmake and a compiler; no image libraries, no cmocka, no Boost.
#
#   tools/gpu_check.sh FOLDER --part LIST  one or several of these, as in 1,3,4; run in the order given
#       1   build, tests labelled gpu (operation table, launches counted, training beside the processor)
#       2   compute-sanitizer: memcheck of the operation table, racecheck of what shares memory
#       3   bittern-bench vit and ops: forward and LoRA step of ViT-S/B/L, every operation at their shapes
#       4   bittern-bench shapes: each matrix product and attention by itself, and the floor
#       5   the same step in PyTorch, compiled in three modes
#   --models LIST      small,base,large
#   --batches LIST     64,256
#   --modes LIST       default,reduce-overhead,max-autotune (part 5)
#   --peer FILE        vit_lora_torch.py, where it lies neither in shared/peers nor in ../shared/peers
#   --seconds N        570: no step runs beyond this; what finds no time is listed as failed
#   --build FOLDER     build/gpu
#   --dry-run          prints the steps
#
# Where a command may take ten minutes and a session has thirty, as calls of the tool `run` (a call that begins within 30 seconds of the
# last one finds build/gpu as it was left; estimates in seconds, none measured yet):
#
#   echo /shared/ >>.git/info/exclude; mkdir -p shared/peers; cp ../shared/peers/vit_lora_torch.py shared/peers/      here, first: it travels
#   A   tools/gpu_check.sh $OUT --part 1,3,4                                        150 build, 60 tests, 160 and 120 of figures
#   B   tools/gpu_check.sh $OUT --part 2                                            300 to 560
#   C   tools/gpu_check.sh $OUT --part 5 --batches 64 --modes default,reduce-overhead      six compilations of 40 to 90
#   and in a second session, as each of these may fill its ten minutes:
#   D   tools/gpu_check.sh $OUT --part 5 --batches 256 --modes default,reduce-overhead
#   E   tools/gpu_check.sh $OUT --part 5 --batches 64 --modes max-autotune                 three compilations of 90 to 190
#   F   tools/gpu_check.sh $OUT --part 5 --batches 256 --modes max-autotune
#
# Nothing has to be carried. A step that finds no time is asked for again with --models.
#
# A failing step does not stop the others. FOLDER gets at most eight files: summary.txt (each step: result, seconds, command), machine.txt, a
# log for each kind of step, and the figures: figures.jsonl, torch.txt. Exit code: 0 all good, 1 a step failed, 2 wrong use.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build/gpu folder='' part='' peer='' models=small,base,large batches=64,256 modes=default,reduce-overhead,max-autotune
budget=570 dry=0

usage() { sed -n '2,/^set -uo/p' "$0" | sed -n 's/^# \{0,1\}//p' >&2 && exit 2; }
while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) dry=1 && shift && continue ;;
        --part | --models | --batches | --modes | --peer | --seconds | --build) [ $# -ge 2 ] || usage ;;
        -*) usage ;;
        *) folder=$1 && shift && continue ;;
    esac
    case $1 in
        --part) part=$2 ;;
        --models) models=$2 ;;
        --batches) batches=$2 ;;
        --modes) modes=$2 ;;
        --peer) peer=$2 ;;
        --seconds) budget=$2 ;;
        --build) build=$2 ;;
    esac
    shift 2
done
if [ -z "$folder" ] || [[ ! $part =~ ^[1-5](,[1-5])*$ ]] || [[ ! $budget =~ ^[0-9]+$ ]]; then usage; fi
IFS=, read -ra part_list <<<"$part"
IFS=, read -ra model_list <<<"$models"
IFS=, read -ra batch_list <<<"$batches"
IFS=, read -ra mode_list <<<"$modes"
export PATH=$PATH:/usr/local/cuda/bin
jobs=$(nproc)
failed=()

mkdir -p "$folder" || exit 2
folder=$(cd "$folder" && pwd)
summary=$folder/summary.txt
[ $dry -eq 1 ] || : >"$summary"

say() {
    if [ $dry -eq 1 ]; then echo "$*"; else echo "$*" | tee -a "$summary"; fi
}

# step NAME SECONDS LOG command...: runs it under a time limit, the output at the end of FOLDER/LOG.
step() {
    local name=$1 limit=$2 log=$folder/$3 left=$((budget - SECONDS)) start=$SECONDS code
    shift 3
    if [ $dry -eq 1 ]; then
        echo "[$name, at most $limit s, ${log##*/}] $*"
        return 0
    fi
    if [ $left -lt 5 ]; then
        say "FAILED $name: no time left: $*"
        failed+=("$name (no time)")
        return 1
    fi
    if [ "$limit" -gt $left ]; then limit=$left; fi
    echo "== $name: $*" >>"$log"
    timeout --kill-after=5 "$limit" "$@" >>"$log" 2>&1
    code=$?
    if [ $code -eq 0 ]; then
        say "good   $name, $((SECONDS - start)) s: $*"
    else
        [ $code -eq 124 ] && name="$name (over $limit s)"
        say "FAILED $name, exit code $code, $((SECONDS - start)) s: $*"
        tail -n 5 "$log" | sed 's/^/         /'
        failed+=("$name")
    fi
    return $code
}

machine() {
    {
        date -u
        git -C "$root" rev-parse HEAD
        nvidia-smi
        nvidia-smi --query-gpu=name,driver_version,compute_cap,memory.total,clocks.sm,clocks.mem,power.limit --format=csv
        nvcc --version
        cmake --version
        cc --version
        grep -m1 'model name' /proc/cpuinfo
        nproc
        python3 -c 'import torch; print("torch", torch.__version__, "cuda", torch.version.cuda)'
    } >"$folder/machine.txt" 2>&1
}

# Machine code for this machine's device alone; the features of 9.0 (wgmma, bulk copies) and 10.0 have names of their own.
architecture() {
    local capability
    capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -d .)
    case ${capability:-90} in
        90) echo 90a-real ;;
        *) echo "$capability-real" ;;
    esac
}

built=0
build_all() {
    [ $built -eq 0 ] || return 0
    local generator='Unix Makefiles'
    command -v ninja >/dev/null && generator=Ninja
    step configure 90 build.log cmake -S "$root" -B "$build" -G "$generator" -DBITTERN_CUDA=ON \
        "-DBITTERN_CUDA_ARCHITECTURES=$(architecture)" -DBITTERN_CUDA_HOST=OFF || return 1
    step build 360 build.log cmake --build "$build" --parallel "$jobs" || return 1
    built=1
}

part_1() {
    build_all || return
    step 'tests on the device' 200 tests.log ctest --test-dir "$build" -L gpu --output-on-failure --no-tests=error
}

# Racecheck is for kernels that share memory between threads; the rest go through memcheck alone.
shared_memory_ops=(attention attention_dx linear lora_linear lora_linear_dx lora_dw layer_norm_dw batch_norm batch_norm_dx coding_rate
    coding_rate_dx code_align cross_entropy sum_squares tokens_dw)

part_2() {
    build_all || return
    local dtype op
    for dtype in bf16 f32; do
        step "memcheck $dtype" 120 sanitizer.log compute-sanitizer --tool memcheck --error-exitcode 9 "$build/test_ops_cuda" --dtype $dtype
    done
    for op in "${shared_memory_ops[@]}"; do
        step "racecheck $op" 40 sanitizer.log compute-sanitizer --tool racecheck --error-exitcode 9 "$build/test_ops_cuda" --op "$op"
    done
}

# bench NAME option...: bittern-bench for every model and batch; the lines of its log that are figures go to figures.jsonl too.
bench() {
    build_all || return
    local name=$1 batch model
    shift
    for batch in "${batch_list[@]}"; do
        for model in "${model_list[@]}"; do
            step "$name of ViT $model, batch $batch" 60 bench.log "$build/bittern-bench" "$name" --model "vit_${model}_patch14_dinov2" \
                --batch "$batch" --device cuda --dtype bf16 --iterations 20 --json "$@"
        done
    done
    [ $dry -eq 1 ] || grep -h '^{' "$folder/bench.log" >"$folder/figures.jsonl" || true
}

part_3() {
    bench vit --profile
    bench ops
}

part_4() {
    bench shapes
}

part_5() {
    local file batch model mode
    for file in "$root/../shared/peers/vit_lora_torch.py" "$root/shared/peers/vit_lora_torch.py"; do
        if [ -z "$peer" ] && [ -f "$file" ]; then peer=$file; fi
    done
    if [ ! -f "$peer" ]; then
        say "FAILED PyTorch: vit_lora_torch.py was not found; name it with --peer"
        failed+=(PyTorch)
        return
    fi
    export TORCHINDUCTOR_CACHE_DIR=$build/torch
    declare -A shape=([small]='384 12 6' [base]='768 12 12' [large]='1024 24 16')
    for mode in "${mode_list[@]}"; do
        for batch in "${batch_list[@]}"; do
            for model in "${model_list[@]}"; do
                local width depth heads
                read -r width depth heads <<<"${shape[$model]:-}"
                [ -n "$heads" ] || usage
                step "PyTorch $mode, ViT $model, batch $batch" 190 torch.log python3 "$peer" --device cuda --dtype bfloat16 \
                    --width "$width" --depth "$depth" --heads "$heads" --batch "$batch" --iters 20 --compile "$mode"
            done
        done
    done
    [ $dry -eq 1 ] || grep -hE '^(== PyTorch|torch |peak_bytes)' "$folder/torch.log" >"$folder/torch.txt" || true
}

[ $dry -eq 1 ] || machine
say "part $part, $(date -u +%FT%TZ), $(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null || echo 'no CUDA device')"
for part in "${part_list[@]}"; do "part_$part"; done
if [ ${#failed[@]} -gt 0 ]; then
    say "${#failed[@]} failed: $(printf '%s; ' "${failed[@]}")"
    exit 1
fi
say "all good"
