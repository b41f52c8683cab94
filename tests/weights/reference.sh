#!/usr/bin/env bash
# Files that PyTorch and NumPy write, read to the last bit.   reference.sh CHECK_FILES   Exit code 77: no Python with PyTorch and NumPy.
for candidate in "${BITTERN_PYTHON:-}" /usr/bin/python3 python3; do
    [ -n "$candidate" ] && "$candidate" -c 'import torch, numpy' 2>/dev/null && python=$candidate && break
done
[ -n "${python:-}" ] || { echo "skipped: no Python with PyTorch and NumPy (Debian: python3-torch)"; exit 77; }
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d /tmp/bittern_weights.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
"$python" -B -W ignore "$here/reference.py" "$scratch" || exit 1
"$python" -c 'import torch; print("PyTorch", torch.__version__)'
files=0 failed=0 unread=0
for expected in "$scratch"/*.expected.safetensors; do
    file=${expected%.expected.safetensors}
    out=$("$1" same "$file" "$expected" 2>&1)
    code=$?
    files=$((files + 1))
    if [ $code -ne 0 ] && [[ $out == *"this build has no zlib"* ]]; then unread=$((unread + 1)); continue; fi
    [ $code -eq 0 ] || { failed=$((failed + 1)); echo "$out"; }
done
echo "$files files, $unread not read in this build, $failed failed"
[ $failed -eq 0 ] && [ $files -ge 40 ]
