#!/usr/bin/env bash
# Functions of at most 60 lines, by clang-tidy and .clang-tidy, in every file of a build.
#   functions.sh BUILD_FOLDER     (with compile_commands.json)
# CUDA sources are seen through the files of tests/cuda_host that include them. A planted long function must be found, or the check
# is worth nothing. Exit code 77: clang-tidy or python3 is missing.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
build=${1:?functions.sh needs the build folder}
command -v clang-tidy >/dev/null || exit 77
command -v python3 >/dev/null || exit 77
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

{ echo 'int long_function(int x) {'; for _ in $(seq 60); do echo '    x++;'; done; echo '    return x;'; echo '}'; } >"$scratch/planted.c"
cp "$root/.clang-tidy" "$scratch"
if clang-tidy --quiet "$scratch/planted.c" -- >"$scratch/planted.log" 2>&1; then
    echo "a planted function of 63 lines was not found:" && cat "$scratch/planted.log" && exit 1
fi

# One entry for each file: a file that is built for two programs is looked at once.
python3 - "$build/compile_commands.json" "$scratch" <<'PY'
import json, sys
entries = {e["file"]: e for e in json.load(open(sys.argv[1])) if not e["file"].endswith(".cu")}
json.dump(list(entries.values()), open(sys.argv[2] + "/compile_commands.json", "w"))
print("\n".join(entries), file=open(sys.argv[2] + "/files", "w"))
PY
count=$(wc -l <"$scratch/files")
# Warnings are the compiler's business: another compiler's flags and pragmas would only be noise here.
if xargs -P "$(nproc)" -n 8 clang-tidy -p "$scratch" --config-file="$root/.clang-tidy" --extra-arg=-w --quiet <"$scratch/files" >"$scratch/log" 2>&1; then
    echo "functions: ok, $count files"
else
    grep -E 'error:|lines including' "$scratch/log" | sort -u
    exit 1
fi
