#!/usr/bin/env bash
# Compares with the first Python that has PyTorch; exit 77 (skipped) where there is none.   compare.sh TEST_RESAMPLE
set -u
for python in "${BITTERN_PYTHON:-}" /usr/bin/python3 python3; do
    [ -n "$python" ] && "$python" -c 'import torch, numpy' 2>/dev/null && exec "$python" "$(dirname "$0")/compare.py" "$1"
done
echo "skipped: no Python with PyTorch (Debian: python3-torch), so there is nothing to compare with"
exit 77
