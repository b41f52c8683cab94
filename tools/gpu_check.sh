#!/usr/bin/env bash
# Everything that needs a CUDA device, on a bare machine: CUDA, cmake and a compiler; no image libraries, no cmocka, no Boost.
#
#   tools/gpu_check.sh FOLDER --part LIST  one or several of these, as in 1,3,4; run in the order given
#       1   build, tests labelled gpu (operation table, launches counted, training beside the processor); where the table fails, each
#           operation in a process of its own
#       2   compute-sanitizer: memcheck of the operation table, racecheck of what shares memory
#       3   bittern-bench vit and ops: forward and LoRA step of ViT-S/B/L, replayed as graphs and kernel by kernel, every operation at
#           their shapes (ops and kernel by kernel at the first batch only)
#       4   bittern-bench shapes: each matrix product and attention by itself, and the floor
#       5   the same step in PyTorch, compiled in three modes
#   --models LIST      small,base,large
#   --batches LIST     64,256
#   --modes LIST       default,reduce-overhead,max-autotune (part 5)
#   --peer FILE        vit_lora_torch.py, where it lies neither in shared/peers nor in ../shared/peers
#   --seconds N        570: no step runs beyond this; what finds no time is listed as failed
#   --build FOLDER     build/gpu
#   --toolkit FOLDER   CUDA, where it is neither /usr/local/cuda nor that of the nvcc on the PATH
#   --dry-run          prints the steps
#
# Where a command may take ten minutes and a session has thirty, as calls of the tool `run`, each with kind nvidia-h100-x1 (figures of two
# kinds do not compare; where there is none of it, nvidia-h200 in every call). A call that begins within 30 seconds of the last one finds
# build/gpu as it was left. Estimates in seconds, none measured yet:
#
#   echo /shared/ >>.git/info/exclude; mkdir -p shared/peers; cp ../shared/peers/vit_lora_torch.py shared/peers/      here, first: it travels,
#   git describe --always --dirty --exclude='*' --abbrev=40 >shared/commit                   and the history does not: which commit was measured
#   A   nvidia-h100-x1   tools/gpu_check.sh $OUT --part 1,3,4                              150 build, 60 tests, 180 and 120 of figures
#   B   nvidia-h100-x1   tools/gpu_check.sh $OUT --part 2                                  300 to 560
#   C   nvidia-h100-x1   tools/gpu_check.sh $OUT --part 5 --batches 64 --modes default,reduce-overhead      six compilations of 40 to 90
#   and in a second session, as each of these may fill its ten minutes:
#   D   nvidia-h100-x1   tools/gpu_check.sh $OUT --part 5 --batches 256 --modes default,reduce-overhead
#   E   nvidia-h100-x1   tools/gpu_check.sh $OUT --part 5 --batches 64 --modes max-autotune                 three compilations of 90 to 190
#   F   nvidia-h100-x1   tools/gpu_check.sh $OUT --part 5 --batches 256 --modes max-autotune
#   tools/gpu_table.py FOLDER_A FOLDER_C ... >benchmarks/results/DATE-DEVICE.md            here, afterwards (files that came back, kept by call)
#
# Nothing has to be carried. A step that finds no time is asked for again with --models. Where the toolkit lacks cuBLASLt, cuSOLVER or cuDNN,
# those of the Python packages nvidia-cublas, nvidia-cusolver and nvidia-cudnn are taken.
#
# A failing step does not stop the others. FOLDER gets at most eight files: summary.txt (each step: result, seconds, command), machine.txt,
# build.log, tests.log, bench.log, and the figures: figures.jsonl, torch.txt, table.md. Exit code: 0 all good, 1 a step failed, 2 wrong use.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build/gpu folder='' part='' peer='' toolkit='' models=small,base,large batches=64,256 modes=default,reduce-overhead,max-autotune
budget=570 dry=0

usage() { sed -n '2,/^set -uo/p' "$0" | sed -n 's/^# \{0,1\}//p' >&2 && exit 2; }
while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) dry=1 && shift && continue ;;
        --part | --models | --batches | --modes | --peer | --seconds | --build | --toolkit) [ $# -ge 2 ] || usage ;;
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
        --toolkit) toolkit=$2 ;;
    esac
    shift 2
done
if [ -z "$folder" ] || [[ ! $part =~ ^[1-5](,[1-5])*$ ]] || [[ ! $budget =~ ^[0-9]+$ ]]; then usage; fi
if [[ ! $models =~ ^(small|base|large)(,(small|base|large))*$ ]] || [[ ! $batches =~ ^[0-9]+(,[0-9]+)*$ ]]; then usage; fi
IFS=, read -ra part_list <<<"$part"
IFS=, read -ra model_list <<<"$models"
IFS=, read -ra batch_list <<<"$batches"
IFS=, read -ra mode_list <<<"$modes"
export PATH=$PATH:/usr/local/cuda/bin
jobs=$(nproc)
device=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1)
failed=()

if [ $dry -eq 0 ]; then
    mkdir -p "$folder" "$build" || exit 2
    folder=$(cd "$folder" && pwd) build=$(cd "$build" && pwd)
    : >"$folder/summary.txt"
fi
summary=$folder/summary.txt

say() {
    if [ $dry -eq 1 ]; then echo "$*"; else echo "$*" | tee -a "$summary"; fi
}

fail() { # NAME text...: a line, and a step for the end's list
    failed+=("$1")
    say "FAILED $*"
}

# What the last step wrote to its log.
step_log=/dev/null step_mark=0
last_output() { tail -c +$((step_mark + 1)) "$step_log"; }

first_faults='FAIL|\*\*\*|[Ee]rror[ :]|^bittern-bench:|^========= (Invalid|Race|Program|Potential|ERROR SUMMARY)'

# step NAME SECONDS LOG command...: runs it under a time limit, the output at the end of FOLDER/LOG.
step() {
    local name=$1 limit=$2 log=$folder/$3 left=$((budget - SECONDS)) start=$SECONDS code
    shift 3
    if [ $dry -eq 1 ]; then
        echo "[$name, at most $limit s, ${log##*/}] $*"
        return 0
    fi
    if [ $left -lt 5 ]; then
        fail "$name (no time)" "$*"
        return 1
    fi
    if [ "$limit" -gt $left ]; then limit=$left; fi
    echo "== $name: $*" >>"$log"
    step_log=$log step_mark=$(wc -c <"$log")
    timeout --kill-after=5 "$limit" "$@" >>"$log" 2>&1
    code=$?
    if [ $code -eq 0 ]; then
        say "good   $name, $((SECONDS - start)) s: $*"
        return 0
    fi
    if [ $code -eq 124 ] || [ $code -eq 137 ]; then name="$name (over $limit s)"; fi
    fail "$name" "exit code $code, $((SECONDS - start)) s: $*"
    {
        last_output | grep -nE -m 8 "$first_faults" | cut -c1-300 | sed 's/^/       line /'
        echo '       the end:'
        last_output | tail -n 5 | cut -c1-300 | sed 's/^/         /'
    } | tee -a "$summary"
    return $code
}

# ---- the machine ----

# The copy on a lent machine has no history: the caller leaves the commit in a file that travels.
commit() {
    local here
    here=$(git -C "$root" describe --always --dirty --exclude='*' --abbrev=40 2>/dev/null)
    if [ -s "$root/shared/commit" ]; then
        echo "$(head -n 1 "$root/shared/commit") (shared/commit${here:+; git says $here})"
    elif [ -n "$here" ]; then
        echo "$here (git)"
    else
        echo 'unknown: no history here, and no shared/commit'
    fi
}

machine() {
    {
        echo "date: $(date -u +%F)"
        echo "device: $device"
        echo "commit: $(commit)"
        nvidia-smi
        nvidia-smi --query-gpu=name,driver_version,compute_cap,memory.total,clocks.sm,clocks.mem,power.limit --format=csv
        uname -r
        nvcc --version
        cmake --version
        cc --version
        grep -m1 'model name' /proc/cpuinfo
        nproc
    } >"$folder/machine.txt" 2>&1
}

# ---- build ----

# Machine code for this machine's device alone; the features of 9.0 (wgmma, bulk copies) and 10.0 have names of their own.
architecture() {
    local capability
    capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -d .)
    case ${capability:-90} in
        90) echo 90a-real ;;
        *) echo "$capability-real" ;;
    esac
}

# As cmake/dependencies.cmake looks for it.
toolkit_folder() {
    local nvcc=/usr/local/cuda/bin/nvcc
    if [ -n "$toolkit" ]; then nvcc=$toolkit/bin/nvcc; fi
    [ -x "$nvcc" ] || nvcc=$(command -v nvcc) || return
    dirname "$(dirname "$nvcc")"
}

# What the toolkit lacks is taken from Python packages. `libraries`: options of cmake; `own`: before whatever is linked with them, as PyTorch must
# find its own and no others.
libraries=() own=() search=''
# Files NAME... (patterns) under the folders of the Python packages in `packages`.
packages=()
in_packages() {
    local names=() name
    for name in "$@"; do names+=(-o -name "$name"); done
    [ ${#packages[@]} -eq 0 ] || find "${packages[@]}" \( "${names[@]:1}" \)
}

# Links into $build/wheels, libraries also under the name that a linker looks for.
link_files() {
    local file name
    mkdir -p "$build/wheels/include" "$build/wheels/lib"
    while IFS= read -r file; do
        name=${file##*/}
        case $name in
            *.h) ln -sf "$file" "$build/wheels/include/$name" ;;
            *) ln -sf "$file" "$build/wheels/lib/$name" && ln -sf "$file" "$build/wheels/lib/${name%%.so*}.so" ;;
        esac
    done
}

find_blas() { # TOOLKIT
    local name
    for name in cublasLt.h cusolverDn.h libcublasLt.so libcusolver.so; do
        [ -e "$1/include/$name" ] || [ -e "$1/lib64/$name" ] || [ -e "$1/lib/$name" ] || break
        name=''
    done
    [ -n "$name" ] || return 0
    link_files < <(in_packages 'cublas*.h' 'cusolver*.h' 'cusparse*.h' 'libcublas.so*' 'libcublasLt.so*' 'libcusolver.so*' 'libcusparse.so*' \
        'libnvJitLink.so*')
    for name in include/cublasLt.h include/cusolverDn.h lib/libcublasLt.so lib/libcusolver.so; do
        [ -e "$build/wheels/$name" ] && continue
        say "note   $1 has not all of cuBLASLt and cuSOLVER, and no Python package has ${name##*/}: cmake decides"
        return 0
    done
    say "note   $1 has not all of cuBLASLt and cuSOLVER: those of $(dirname "$(readlink "$build/wheels/lib/libcublasLt.so")") are taken"
    libraries+=("-DCMAKE_CUDA_FLAGS=-isystem $build/wheels/include")
    for name in cublas cublasLt cusolver cusparse; do
        [ ! -e "$build/wheels/lib/lib$name.so" ] || libraries+=("-DCUDA_${name}_LIBRARY=$build/wheels/lib/lib$name.so")
    done
    search=$build/wheels/lib
}

# cuDNN compiles what it fuses with NVRTC, which it looks for when it runs.
find_dnn() { # TOOLKIT
    local header
    [ ! -e "$1/include/cudnn_graph.h" ] || return 0
    while IFS= read -r header; do
        header=$(dirname "$(dirname "$header")")
        [ -e "$header/lib/libcudnn.so.9" ] || continue
        libraries+=("-DCUDNN_INCLUDE=$header/include" "-DCUDNN_LIBRARY=$header/lib/libcudnn.so.9")
        search=${search:+$search:}$header/lib:$1/lib64
        if [ ! -e "$1/lib64/libnvrtc.so" ]; then
            link_files < <(in_packages 'libnvrtc*.so*')
            search=$search:$build/wheels/lib
        fi
        return 0
    done < <(in_packages cudnn_graph.h)
}

find_libraries() {
    local cuda
    cuda=$(toolkit_folder)
    if [ -n "$toolkit" ]; then libraries=("-DCMAKE_CUDA_COMPILER=$cuda/bin/nvcc"); fi
    [ -n "$cuda" ] && [ $dry -eq 0 ] || return 0
    mapfile -t packages < <(python3 -c 'import importlib.util as u
s = u.find_spec("nvidia")
for folder in s.submodule_search_locations if s else []: print(folder)' 2>/dev/null)
    find_blas "$cuda"
    find_dnn "$cuda"
    if [ -n "$search" ]; then own=(env "LD_LIBRARY_PATH=$search${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"); fi
}

built=''
build_all() {
    if [ -n "$built" ]; then [ "$built" = good ] && return 0 || return 1; fi
    built=bad # one failure is enough to know
    local generator='Unix Makefiles' go_on=-k
    if command -v ninja >/dev/null; then generator=Ninja go_on=-k0; fi
    find_libraries
    # Warnings of a compiler that was never seen here are none of this run's business.
    step configure 90 build.log "${own[@]}" cmake -S "$root" -B "$build" -G "$generator" -DBITTERN_CUDA=ON \
        "-DBITTERN_CUDA_ARCHITECTURES=$(architecture)" -DBITTERN_CUDA_HOST=OFF -DBITTERN_WERROR=OFF "${libraries[@]}" || return 1
    [ $dry -eq 1 ] || say "note   $(last_output | grep -m 1 -o 'bittern: CUDNN .*' || echo 'cmake says nothing of cuDNN')"
    # What does not compile must not keep the rest from being run; what an earlier call left must not pass for it.
    [ $dry -eq 1 ] || rm -f "$build/bittern-bench" "$build/test_ops_cuda"
    step build 360 build.log "${own[@]}" cmake --build "$build" --parallel "$jobs" -- $go_on
    [ $dry -eq 1 ] || { [ -x "$build/bittern-bench" ] && [ -x "$build/test_ops_cuda" ]; } || return 1
    built=good
}

# ---- parts ----

part_1() {
    build_all || return
    local tests='tests on the device' code
    step "$tests" 300 tests.log "${own[@]}" ctest --test-dir "$build" -L gpu -j 4 --output-on-failure --no-tests=error
    code=$?
    [ $dry -eq 0 ] || return
    # A test that finds no device is skipped, which ctest takes for success.
    if last_output | grep -q '\*\*\*Skipped'; then
        fail "$tests (skipped)" "$(last_output | grep -m 4 '\*\*\*Skipped' | tr -s ' .' ' ' | tr '\n' ';')"
    fi
    # Also where it has no line because time was up.
    if [ $code -ne 0 ] && ! last_output | grep -qE ' ops_cuda \.+(\*\*\*(Skipped|Not Run)| +Passed)'; then each_operation; fi
}

# A kernel's wild access ends all that comes after it in its process: so one process for each operation, four at a time. The table goes into
# the log, what fails into the summary too.
each_operation() {
    local program=$build/test_ops_cuda results names op code left=$((budget - SECONDS))
    if [ $left -lt 20 ]; then
        fail 'operation by operation (no time)'
        return
    fi
    results=$(mktemp -d)
    mapfile -t names < <("${own[@]}" "$program" --list | awk '{ print $1 }' | sort -u)
    # shellcheck disable=SC2016 # the inner shell expands
    printf '%s\n' "${names[@]}" | "${own[@]}" timeout "$left" xargs -P 4 -I '{}' bash -c \
        'timeout --kill-after=5 60 "$0" --op "$1" >"$2/$1.log" 2>&1; echo $? >"$2/$1.code"' "$program" '{}' "$results"
    for op in "${names[@]}"; do
        code=$(cat "$results/$op.code" 2>/dev/null || echo 'no time')
        if [ "$code" = 0 ]; then
            printf '%-22s pass\n' "$op"
        else
            printf '%-22s FAIL (%s) %s\n' "$op" "$code" "$(grep -m 1 -E "$first_faults" "$results/$op.log" 2>/dev/null | cut -c1-200)"
            { echo "== $op" && head -n 40 "$results/$op.log"; } >>"$results/logs" 2>/dev/null
        fi
    done >"$results/table"
    {
        echo '== each operation in a process of its own'
        cat "$results/table" "$results/logs" 2>/dev/null
    } >>"$folder/tests.log"
    say "       operation by operation (tests.log has the table): $(grep -c ' pass$' "$results/table") of ${#names[@]} pass"
    grep -v ' pass$' "$results/table" | sed 's/^/         /' | tee -a "$summary"
    rm -rf "$results"
}

# Racecheck is for kernels of our own that share memory between threads; the rest go through memcheck alone.
shared_memory_ops=(attention attention_dx layer_norm layer_norm_dx layer_norm_dw linear_dw add_dscale batch_norm batch_norm_dx batch_norm_dw
    coding_rate coding_rate_dx code_align cross_entropy sum_squares make_views)

part_2() {
    case $(uname -r) in
        4.4.0*)
            fail compute-sanitizer 'this machine runs gVisor (kernel 4.4.0), where it refuses the device: ask for a machine again'
            return
            ;;
    esac
    build_all || return
    local dtype op
    for dtype in bf16 f32; do # libraries ask for what a device may lack: a refusal that they handle is no error of ours
        step "memcheck $dtype" 200 tests.log "${own[@]}" compute-sanitizer --tool memcheck --report-api-errors no --error-exitcode 9 \
            "$build/test_ops_cuda" --dtype $dtype
    done
    for op in "${shared_memory_ops[@]}"; do
        step "racecheck $op" 40 tests.log "${own[@]}" compute-sanitizer --tool racecheck --error-exitcode 9 "$build/test_ops_cuda" --op "$op"
    done
}

# bench NAME SECONDS ITERATIONS BATCHES option...: bittern-bench for every model; the lines of its log that are figures go to figures.jsonl too.
bench() {
    build_all || return
    local name=$1 limit=$2 iterations=$3 batches=$4 batch model
    shift 4
    for batch in $batches; do
        for model in "${model_list[@]}"; do
            step "$name of ViT $model, batch $batch${1:+, $1}" "$limit" bench.log "${own[@]}" "$build/bittern-bench" "$name" \
                --model "vit_${model}_patch14_dinov2" --batch "$batch" --device cuda --dtype bf16 --iterations "$iterations" --json "$@"
            [ $dry -eq 1 ] || grep -h '^{.*}$' "$folder/bench.log" >"$folder/figures.jsonl"
        done
    done
}

part_3() {
    bench vit 60 20 "${batch_list[*]}" --profile
    bench vit 60 20 "${batch_list[0]}" --no-graphs
    bench ops 60 20 "${batch_list[0]}"
}

part_4() {
    bench shapes 150 9 "${batch_list[*]}"
}

part_5() {
    local file batch model mode width depth heads
    for file in "$root/../shared/peers/vit_lora_torch.py" "$root/shared/peers/vit_lora_torch.py"; do
        if [ -z "$peer" ] && [ -f "$file" ]; then peer=$file; fi
    done
    if [ ! -f "$peer" ]; then
        fail PyTorch 'vit_lora_torch.py was not found; name it with --peer'
        return
    fi
    export TORCHINDUCTOR_CACHE_DIR=$build/torch
    declare -A shape=([small]='384 12 6' [base]='768 12 12' [large]='1024 24 16')
    for mode in "${mode_list[@]}"; do
        for batch in "${batch_list[@]}"; do
            for model in "${model_list[@]}"; do
                read -r width depth heads <<<"${shape[$model]}"
                step "PyTorch $mode, ViT $model, batch $batch" 190 bench.log python3 "$peer" --device cuda --dtype bfloat16 \
                    --width "$width" --depth "$depth" --heads "$heads" --batch "$batch" --iters 20 --compile "$mode"
                [ $dry -eq 1 ] || grep -hE '^(== PyTorch|torch [0-9]|peak_bytes: [0-9])' "$folder/bench.log" >"$folder/torch.txt"
            done
        done
    done
}

[ $dry -eq 1 ] || machine
say "part $part, $(date -u +%FT%TZ), ${device:-no CUDA device}, commit $(commit)"
for part in "${part_list[@]}"; do "part_$part"; done
if [ $dry -eq 0 ] && { [ -s "$folder/figures.jsonl" ] || [ -s "$folder/torch.txt" ]; }; then
    python3 "$root/tools/gpu_table.py" "$folder" >"$folder/table.md" 2>>"$folder/bench.log" || fail 'table of figures' '(why: the end of bench.log)'
fi
if [ ${#failed[@]} -gt 0 ]; then
    say "${#failed[@]} failed: $(printf '%s; ' "${failed[@]}")"
    exit 1
fi
say "all good"
