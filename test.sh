#!/usr/bin/env bash
# Builds (release, sanitizers, a C compiler alone) and runs every test that needs no GPU. Ends with counts.
#   ./test.sh            everything
#   ./test.sh --fast     the release build only
set -euo pipefail
cd "$(dirname "$0")"
fast=0
[ "${1:-}" = --fast ] && fast=1
./setup.sh python3-torch python3-numpy python3-pil python3-torchvision python3-h5py clang-tidy clang-format
jobs=$(nproc)
export OMP_WAIT_POLICY=passive # two tests at a time share the cores: waiting threads must not spin
mkdir -p build/logs

build() { # preset
    echo "== build $1"
    cmake --preset "$1" >build/logs/"$1".configure 2>&1 || { tail -n 30 build/logs/"$1".configure; exit 1; }
    grep -E '^-- bittern:' build/logs/"$1".configure || true
    cmake --build --preset "$1" -j "$jobs" >build/logs/"$1".build 2>&1 || { tail -n 60 build/logs/"$1".build; exit 1; }
}

passed=0 failed=0 skipped=0
tests() { # preset, ctest arguments
    local preset=$1 log=build/logs/$1.test
    shift
    echo "== test $preset"
    ctest --test-dir build/"$preset" --output-on-failure -j "$jobs" "$@" >"$log" 2>&1 || true
    local total bad skip
    total=$(sed -nE 's/.* tests failed out of ([0-9]+)/\1/p' "$log")
    bad=$(sed -nE 's/.*, ([0-9]+) tests failed out of .*/\1/p' "$log")
    [ -n "$total" ] || { tail -n 40 "$log"; echo "ctest ran nothing in $preset"; exit 1; }
    skip=$(grep -cE '\*\*\*Skipped|\*\*\*Not Run' "$log" || true)
    passed=$((passed + total - bad - skip)) failed=$((failed + bad)) skipped=$((skipped + skip))
    grep -E '\*\*\*Skipped' "$log" | sed 's/^/   /' || true
    if [ "$bad" -ne 0 ]; then sed -n '1,200p' "$log"; fi
}

build release
tests release -LE gpu
if [ $fast -eq 0 ]; then
    # What every build would find alike runs in the first: rules of the sources, and kernels that call no library (ops_cpu_generic without oneDNN).
    build dev
    tests dev -L 'unit|ops|cli|views' -LE architecture
    build minimal
    tests minimal -L 'unit|ops' -LE architecture -E '^ops_cpu_generic$'
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
