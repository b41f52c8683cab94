#!/usr/bin/env bash
# One of the scripts that need the libraries, in a Python that has them; skipped without.   libraries.sh SCRIPT BITTERN [PYTHON]
# PYTHON: without it the environment's BITTERN_LIBRARIES_PYTHON, else python3. docs/pretrained.md says how to make one.
python=${3:-${BITTERN_LIBRARIES_PYTHON:-python3}}
command -v "$python" >/dev/null || {
    echo "skipped: there is no $python"
    exit 77
}
exec "$python" "$1" "$2"
