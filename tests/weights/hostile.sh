#!/usr/bin/env bash
# Files that lie, break off, or want to run something: one line each, no crash, nothing run.   hostile.sh CHECK_FILES   Exit code 77: no Python.
python3 -c '' 2>/dev/null || { echo "skipped: no python3"; exit 77; }
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d /tmp/bittern_weights.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
python3 -B "$here/make_files.py" "$scratch/files" || exit 1
cd "$scratch" || exit 1
"$1" table "$scratch/files" || exit 1
[ ! -e owned ] || { echo "FAILED: code of a file was run"; exit 1; }
