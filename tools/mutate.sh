#!/usr/bin/env bash
# Breaks the code on purpose, one small change at a time, and counts how often the tests notice.
#
#   tools/mutate.sh [--scratch FOLDER] [--jobs N] [options of mutate.py]
#   tools/mutate.sh --list --only src/cpu/gelu     what could be broken there
#   tools/mutate.sh --count 200 --seed 1 --json x  the full draw, its verdicts kept in a file
#   tools/mutate.sh --again x                      its survivors, judged by tests that were added since
#
# The working tree is copied to FOLDER/tree (default /tmp/bittern_mutants) and built in FOLDER/build and, with sanitizers,
# in FOLDER/sanitized; only the copy is changed. All are kept, so a second run compiles little. mutate.py draws, builds and
# judges; see there.
# Exit code: 0 at least 90 % caught, 1 fewer, 2 the set-up failed.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
scratch=/tmp/bittern_mutants
jobs=$(nproc)
options=()
while [ $# -gt 0 ]; do
    case $1 in
        --scratch) scratch=${2:?--scratch needs a folder} && shift 2 ;;
        --jobs) jobs=${2:?--jobs needs a number} && shift 2 ;;
        *) options+=("$1") && shift ;;
    esac
done
tree=$scratch/tree build=$scratch/build sanitized=$scratch/sanitized
mkdir -p "$tree" "$build" "$sanitized"

case $(realpath "$scratch")/ in
    "$root"/*) echo "mutate: --scratch $scratch lies inside the working tree" >&2 && exit 2 ;;
esac

# Only what differs is copied, with a new time: a file restored with its old time would leave a mutant's object in use.
refresh() {
    local wanted=$scratch/wanted present=$scratch/present file
    (cd "$root" && git ls-files -co --exclude-standard | while IFS= read -r file; do [ ! -f "$file" ] || echo "$file"; done) |
        LC_ALL=C sort -u >"$wanted"
    (cd "$tree" && find . -type f ! -name .mutation-scratch -printf '%P\n') | LC_ALL=C sort >"$present"
    LC_ALL=C comm -13 "$wanted" "$present" | while IFS= read -r file; do rm -f "${tree:?}/$file"; done
    while IFS= read -r file; do
        if ! cmp -s "$root/$file" "$tree/$file"; then
            mkdir -p "$(dirname "$tree/$file")"
            rm -f "$tree/$file"
            cp "$root/$file" "$tree/$file"
        fi
    done <"$wanted"
    touch "$tree/.mutation-scratch"
}

# A break may leave a variable unused: that must not count as "does not compile". Arguments of other types must.
configure() { # build folder, options
    local folder=$1 launcher=()
    shift
    if command -v ccache >/dev/null; then
        launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
    fi
    cmake -S "$tree" -B "$folder" -G Ninja -DBITTERN_CUDA=OFF -DBITTERN_WERROR=OFF "$@" \
        "-DCMAKE_C_FLAGS=-Werror=incompatible-pointer-types -Werror=int-conversion" "${launcher[@]}" >"$scratch/configure.log" 2>&1 ||
        { tail -n 20 "$scratch/configure.log" >&2 && exit 2; }
}

# PyTorch's side of the parity tests does not change with a mutant: made once per version of its maker.
fixtures() {
    local maker=$tree/tests/parity/make_fixtures.py python
    cmp -s "$maker" "$scratch/fixtures/maker" && return
    for python in python3 /usr/bin/python3; do
        if "$python" -c 'import torch' 2>/dev/null; then
            rm -rf "$scratch/fixtures"
            mkdir -p "$scratch/fixtures"
            "$python" "$maker" "$scratch/fixtures" >"$scratch/fixtures.log" 2>&1 || { tail -n 5 "$scratch/fixtures.log" >&2 && exit 2; }
            cp "$maker" "$scratch/fixtures/maker"
            return
        fi
    done
    echo "mutate: no PyTorch, so no parity tests; breaks in src/program, src/nn and src/method are judged by unit tests alone" >&2
}

refresh
configure "$build"
configure "$sanitized" -DBITTERN_SANITIZE=address,undefined -DBITTERN_CUDA_HOST=OFF
fixtures
exec python3 "$root/tools/mutate.py" --tree "$tree" --build "$build" --sanitized "$sanitized" --fixtures "$scratch/fixtures" --jobs "$jobs" \
    ${options[@]+"${options[@]}"}
