#!/usr/bin/env bash
# Runs a script of this folder with the first Python that has PIL and NumPy; exit 77 (skipped) where there is none.   run.sh SCRIPT FOLDER
set -u
for python in "${BITTERN_PYTHON:-}" /usr/bin/python3 python3; do
    [ -n "$python" ] && "$python" -c 'import PIL, numpy' 2>/dev/null && exec "$python" -B "$(dirname "$0")/$1" "$2" 2> >(grep -v '^_TIFFVSetField' >&2)
done
echo "skipped: no Python with PIL and NumPy (Debian: python3-pil python3-numpy), so there is nothing to compare with"
exit 77
