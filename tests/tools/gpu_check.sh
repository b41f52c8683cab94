#!/usr/bin/env bash
# tools/gpu_check.sh from end to end with programs that only pretend: what a GPU's machine answers, how tests fail there, and what is recorded.
#   gpu_check.sh SOURCE_FOLDER
set -uo pipefail
source=$1
command -v python3 >/dev/null || { echo "skipped: no python3" && exit 77; }
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
failed=0

check() { # NAME CODE
    if [ "$2" -eq 0 ]; then echo "good   $1"; else echo "FAILED $1" && failed=1; fi
}
says() { # FILE PATTERN
    grep -qE -- "$2" "$out/$1"
    local code=$?
    check "$1: $2" $code
    [ $code -eq 0 ] || head -n 60 "$out/$1"
}

# ---- the pretended machine: a copy without history, and programs that obey files in $scratch/told ----

mkdir -p "$scratch/root/shared/peers" "$scratch/bin" "$scratch/told" "$scratch/cuda/bin" "$scratch/cuda/include" "$scratch/cuda/lib64"
cp -r "$source/tools" "$scratch/root/"
echo 0123456789abcdef-dirty >"$scratch/root/shared/commit"
export GIT_CEILING_DIRECTORIES=$scratch
mkdir -p "$scratch/none/nvidia" && : >"$scratch/none/nvidia/__init__.py" # this machine's own packages stay out of it
export PYTHONPATH=$scratch/none
for file in include/cublasLt.h include/cusolverDn.h lib64/libcublasLt.so lib64/libcusolver.so; do : >"$scratch/cuda/$file"; done

program() { # FILE: a script from standard input
    { echo '#!/usr/bin/env bash' && echo "told=$scratch/told" && cat; } >"$1" && chmod +x "$1"
}
program "$scratch/bin/nvidia-smi" <<'E'
case "$*" in *=name\ *) echo 'NVIDIA H100 80GB HBM3' ;; *compute_cap\ *) echo 9.0 ;; *) echo table ;; esac
E
program "$scratch/bin/uname" <<'E'
[ "$*" = -r ] && cat "$told/kernel" || echo Linux
E
program "$scratch/cuda/bin/nvcc" <<'E'
echo release 13.0
E
program "$scratch/bin/compute-sanitizer" <<'E'
echo "$*" >>"$told/sanitizer"
[ ! -e "$told/race" ] || ! [[ "$*" = *"racecheck"*"--op make_views" ]] || { echo '========= Race reported between Write and Read'; exit 9; }
E
program "$scratch/bin/cmake" <<'E'
if [ "$1" = --build ]; then
    [ ! -e "$told/broken" ] || { printf 'first.cu(7): error: no such thing\n%s\n' "$(seq 50)" >&2; exit 1; }
    cp "$told/bittern-bench" "$told/test_ops_cuda" "$2/"
    [ ! -e "$told/partly" ] || { echo 'FAILED: other.o'; exit 1; }
else
    printf '%s\n' "$@" >"$told/configured"
    echo '-- bittern: CUDNN on'
fi
E
program "$scratch/bin/ctest" <<'E'
case $(cat "$told/tests") in
    good) echo '1/2 Test #1: ops_cuda .........................   Passed    3.2 sec' ;;
    skipped) echo '1/2 Test #1: ops_cuda .........................***Skipped   0.1 sec' ;;
    none) printf '%s\n' '1/2 Test #1: ops_cuda .........................***Skipped   0.1 sec' '2/2 Test #2: pretrained_cuda_f32 .....***Not Run   0.0 sec' && exit 8 ;;
    other) printf '%s\n' '1/2 Test #1: ops_cuda .........   Passed    3.2 sec' '2/2 Test #2: device_launches_cuda ...***Failed    3.2 sec' && exit 8 ;;
    *) printf '%s\n' 'FAIL cuda bf16 gelu: 7 of 9 differ' "$(seq 50)" '1/2 Test #1: ops_cuda .........................***Failed    3.2 sec' && exit 8 ;;
esac
E
program "$scratch/told/test_ops_cuda" <<'E'
if [ "$1" = --list ]; then printf 'gelu  4x4\ngelu  4x5\nlinear  4\nrelu  4 (large)\n' && exit; fi
case $2 in gelu) echo 'FAIL cuda bf16 gelu: 7 of 9 differ' && exit 1 ;; linear) echo 'FAIL an illegal memory access' && kill -SEGV $$ ;; esac
E
program "$scratch/told/bittern-bench" <<'E'
[ ! -e "$told/slow" ] || { echo '{"bench":"ops","op":"before"}'; exec sleep 20; }
echo "$LD_LIBRARY_PATH" >"$told/search"
model=$3 batch=$5 reason=
[[ "$*" != *--no-graphs* ]] || reason=',"launches":"kernel by kernel","launches_reason":"--no-graphs"'
case $1 in
    vit) echo "{\"bench\":\"vit\",\"model\":\"$model\",\"device\":\"it\",\"dtype\":\"bf16\",\"batch\":$batch,\"forward_images_per_s\":40,\"lora_step_images_per_s\":20,\"peak_bytes\":7000000$reason}" ;;
    shapes) for p in forward 'LoRA step'; do
        echo "{\"bench\":\"floor\",\"model\":\"$model\",\"batch\":$batch,\"dtype\":\"bf16\",\"program\":\"$p\",\"images_per_s\":50}"
    done ;;
    ops) echo '{"bench":"ops","op":"gelu"}' ;;
esac
E
cat >"$scratch/root/shared/peers/vit_lora_torch.py" <<'E'
import os, sys
if "nvidia" in os.environ.get("LD_LIBRARY_PATH", ""):
    sys.exit("FAILED: PyTorch is given libraries that are not its own")
batch = sys.argv[sys.argv.index("--batch") + 1]
for what in ("forward", "lora_step"):
    print(f"torch 2.11.0 cuda bfloat16 threads=16 batch={batch} {what}: 10.00 images/s (median of 20)")
print("peak_bytes: 14000000  (device memory on CUDA)")
E

# run NAME CODE option...: a run on a fresh build folder; its output in $out/output.
run() {
    local name=$1 wanted=$2 code
    shift 2
    out=$scratch/$name
    rm -rf "$scratch/build"
    mkdir "$out"
    PATH=$scratch/bin:$scratch/cuda/bin:$PATH "$scratch/root/tools/gpu_check.sh" "$out" --build "$scratch/build" --toolkit "$scratch/cuda" \
        "$@" >"$out/output" 2>&1
    code=$?
    [ $code -eq "$wanted" ]
    check "$name: exit code $code, wanted $wanted" $?
}
tell() { echo "$2" >"$scratch/told/$1"; }
untell() { rm -f "$scratch/told/$1"; }

# ---- scenes ----

tell kernel 6.18.44-fc
tell tests good
run everything 0 --part 1,2,3,4,5 --models small,large
says summary.txt '^part 1,2,3,4,5, .*, NVIDIA H100 80GB HBM3, commit 0123456789abcdef-dirty \(shared/commit\)$'
says summary.txt '^all good$'
says machine.txt '^commit: 0123456789abcdef-dirty'
says table.md '^# NVIDIA H100 80GB HBM3, 20'
says table.md '^\| large, 256, bf16 \| 40.0 \| 0.80 \| 10.0 \| default \| 4.00 \| 20.0 \| 0.40 \| 10.0 \| default \| 2.00 \| 7 \| 14 \| 0.50 \|  \|  \|$'
says table.md '^\| small, 64, bf16 .* \| 20.0 \|  \|$'
[ "$(find "$out" -type f ! -name output | wc -l)" -le 8 ]
check "at most eight files" $?
grep -qx -- -DBITTERN_WERROR=OFF "$scratch/told/configured" && grep -qx -- -DBITTERN_CUDA_ARCHITECTURES=90a-real "$scratch/told/configured" &&
    ! grep -q _LIBRARY "$scratch/told/configured"
check "configured for this device, with its own libraries" $?
[ "$(grep -c -- '--tool memcheck --report-api-errors no' "$scratch/told/sanitizer")" -eq 2 ]
check "memcheck of both dtypes" $?
operations=$(sed -n 's/.*racecheck.*--op //p' "$scratch/told/sanitizer")
for op in $operations; do grep -qE "^BT_OP\([a-z0-9_]+, $op," "$source/src/tensor/ops.def" || check "ops.def has $op, which racecheck asks for" 1; done
[ "$(wc -w <<<"$operations")" -gt 10 ]
check "racecheck of operations that there are" $?

run dry 0 --part 1,2,3,4,5 --dry-run
says output '^\[vit of ViT large, batch 256, --profile, at most 60 s, bench.log\]'
says output '^\[shapes of ViT small, batch 64, at most 150 s, bench.log\]'
[ "$(ls "$out")" = output ] && [ ! -e "$scratch/build" ]
check "a dry run writes nothing" $?

tell tests skipped
run skipped 1 --part 1
says summary.txt '^FAILED tests on the device \(skipped\) .*ops_cuda'

tell tests none
run not_run 1 --part 1
says summary.txt '^FAILED tests on the device exit code 8'
! grep -q 'operation by operation' "$out/summary.txt"
check "a table that was skipped is not taken apart" $?

tell tests fails
run table_fails 1 --part 1
says summary.txt 'line 1:FAIL cuda bf16 gelu: 7 of 9 differ$'
says summary.txt '^         gelu +FAIL \(1\) FAIL cuda bf16 gelu: 7 of 9 differ$'
says summary.txt '^         linear +FAIL \(139\) FAIL an illegal memory access$'
says summary.txt 'operation by operation .*: 1 of 3 pass$'
says tests.log '^relu +pass$'

tell tests other
run other_fails 1 --part 1
says summary.txt 'line 2:2/2 Test #2: device_launches_cuda'
! grep -q 'operation by operation' "$out/summary.txt"
check "a table that passed is not taken apart" $?

tell broken yes
run build_fails 1 --part 1,3
says summary.txt 'line 1:first.cu\(7\): error: no such thing$'
[ "$(grep -c '^FAILED' "$out/summary.txt")" -eq 1 ]
check "a build that fails is tried once" $?
untell broken

tell partly yes
run build_fails_partly 1 --part 4 --models small --batches 64
says summary.txt '^FAILED build exit code 1'
says summary.txt '^good   shapes of ViT small'
untell partly

tell kernel 4.4.0
run gvisor 1 --part 2
says summary.txt '^FAILED compute-sanitizer this machine runs gVisor'
tell kernel 6.18.44-fc

tell race yes
run race 1 --part 2
says summary.txt '^FAILED racecheck make_views exit code 9'
says summary.txt 'line 1:========= Race reported'
untell race

tell slow yes
run slow 1 --part 3 --models small --batches 64 --seconds 8
says summary.txt '^FAILED vit of ViT small, batch 64, --profile \(over [0-9] s\) exit code 124'
says summary.txt '^FAILED vit of ViT small, batch 64, --no-graphs \(no time\)'
says figures.jsonl '"before"'
untell slow

# Libraries of Python packages, in the place of CUDA 13's.
rm "$scratch/cuda/include/cusolverDn.h" "$scratch/cuda/lib64/libcusolver.so"
run no_packages 0 --part 4 --models small --batches 64
says summary.txt '^note .*no Python package has cu.*: cmake decides$'
mkdir -p "$scratch/site/nvidia/cu13/include" "$scratch/site/nvidia/cu13/lib"
for file in include/cublasLt.h include/cublas_v2.h include/cusolverDn.h lib/libcublas.so.13 lib/libcublasLt.so.13 lib/libcusolver.so.12 lib/libcusparse.so.12; do
    : >"$scratch/site/nvidia/cu13/$file"
done
mkdir -p "$scratch/site/nvidia/cudnn/include" "$scratch/site/nvidia/cudnn/lib"
: >"$scratch/site/nvidia/cudnn/include/cudnn_graph.h"
: >"$scratch/site/nvidia/cudnn/lib/libcudnn.so.9"
: >"$scratch/site/nvidia/cu13/lib/libnvrtc.so.13"
export PYTHONPATH=$scratch/site
run packages 0 --part 4,5 --modes default --models small --batches 64
says summary.txt '^note .*those of .*/site/nvidia/cu13/lib are taken$'
for option in "-DCMAKE_CUDA_FLAGS=-isystem $scratch/build/wheels/include" "-DCUDA_cublasLt_LIBRARY=$scratch/build/wheels/lib/libcublasLt.so" \
    "-DCUDA_cusolver_LIBRARY=$scratch/build/wheels/lib/libcusolver.so" "-DCUDNN_INCLUDE=$scratch/site/nvidia/cudnn/include" \
    "-DCUDNN_LIBRARY=$scratch/site/nvidia/cudnn/lib/libcudnn.so.9"; do
    grep -qxF -- "$option" "$scratch/told/configured"
    check "configured with $option" $?
done
grep -qx "$scratch/build/wheels/lib:$scratch/site/nvidia/cudnn/lib:$scratch/cuda/lib64:$scratch/build/wheels/lib.*" "$scratch/told/search"
check "programs find these libraries" $?
says summary.txt '^note   bittern: CUDNN on$'
[ -e "$scratch/build/wheels/lib/libnvrtc.so.13" ] && [ -e "$scratch/build/wheels/lib/libcusolver.so.12" ] && [ -e "$scratch/build/wheels/lib/libcusolver.so" ] && [ -e "$scratch/build/wheels/include/cublas_v2.h" ]
check "links that are whole" $?

rm "$scratch/root/shared/commit"
run no_commit 0 --part 4 --models small --batches 64
says summary.txt 'commit unknown: no history here, and no shared/commit$'

for wrong in '--part 6' '--part 1 --models tiny' '--part' '--part 1 --batches x'; do
    # shellcheck disable=SC2086 # words
    "$scratch/root/tools/gpu_check.sh" "$scratch/wrong" $wrong >"$scratch/usage" 2>&1
    [ $? -eq 2 ] && [ ! -e "$scratch/wrong" ]
    check "wrong use: $wrong" $?
done
exit $failed
