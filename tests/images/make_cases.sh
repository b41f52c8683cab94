#!/usr/bin/env bash
# Makes picture files and PIL's pixels with the first Python that has PIL and NumPy; exit 77 (skipped) where there is none.   make_cases.sh FOLDER
set -u
for python in "${BITTERN_PYTHON:-}" /usr/bin/python3 python3; do
    [ -n "$python" ] && "$python" -c 'import PIL, numpy' 2>/dev/null && exec "$python" "$(dirname "$0")/make_cases.py" "$1"
done
echo "skipped: no Python with PIL and NumPy (Debian: python3-pil python3-numpy), so there is nothing to compare with"
exit 77
