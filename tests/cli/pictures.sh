#!/usr/bin/env bash
# Formats and orientation of picture files, from training to embeddings.   pictures.sh BITTERN SOURCE
. "$(dirname "$0")/common.sh"
source=$2
cd "$scratch" || exit 1
corpus=$source/tests/fuzz/corpus
python=python3
[ -x /usr/bin/python3 ] && python=/usr/bin/python3

for library in jpeg webp tiff; do
    "$bittern" doctor | grep -q "^$library *yes" || { echo "skipped: this build has no $library"; exit 77; }
done
mkdir -p odd/a odd/b
cp "$corpus/jpeg/exif.jpg" odd/a/turned.jpg && cp "$corpus/jpeg/rgb.jpg" odd/a/plain.JPEG
cp "$corpus/webp/lossy.webp" odd/b/turned.webp && cp "$corpus/tiff/rgb.tif" odd/b/own.TIF && cp "$corpus/tiff/planes.tif" odd/b/planes.tiff
touch odd/a/notes.txt

# The training pictures have no orientation, so both runs have the same weights.
for what in ignore apply; do
    "$bittern" train small.yaml run.dir=$what data.orientation=$what 2>log || cat log
    "$bittern" export $what $what.safetensors >/dev/null && "$bittern" embed $what.safetensors odd $what.npy >/dev/null 2>&1
    check "embedding with orientation $what" $?
    "$bittern" embed $what odd run_$what.npy >/dev/null 2>&1
    check "embedding by the run itself" $?
done
cmp -s ignore/checkpoints/last/model.safetensors apply/checkpoints/last/model.safetensors
check "pictures without orientation train alike" $?
found=$(tr '\n' ' ' <ignore.paths.txt)
[ "$found" = "a/plain.JPEG a/turned.jpg b/own.TIF b/planes.tiff b/turned.webp " ]
check "every ending is found, in any case: $found" $?
"$bittern" inspect apply.safetensors | grep -q 'orientation' && ! "$bittern" inspect ignore.safetensors --json | grep -q 'orientation'
check "an exported model says that pictures are turned" $?
if "$python" -c 'import numpy' 2>/dev/null; then
    "$python" - <<'END'
import numpy as np
for of in "", "run_":
    ignore, apply = np.load(of + "ignore.npy"), np.load(of + "apply.npy")
    same = [bool((a == b).all()) for a, b in zip(ignore, apply)]
    assert same == [True, False, True, True, False], (of, same)
END
    check "the pictures with EXIF differ, the others and TIFF's own orientation do not" $?
fi

# A pack of images holds turned pixels, so what reads it does not care.
for what in ignore apply; do
    "$bittern" pack odd $what.h5 --size 16 --orientation $what >/dev/null 2>&1 || continue
done
if [ -e apply.h5 ]; then
    ! cmp -s ignore.h5 apply.h5
    check "packs with and without differ" $?
fi
out=$("$bittern" train small.yaml run.dir=no data.orientation=upright 2>&1)
code=$?
[ $code -eq 3 ] && [[ $out == *"data.orientation"*"ignore"*"apply"* ]]
check "an orientation that is none: exit code $code, $out" $?
"$bittern" train small.yaml run.dir=scaled data.jpeg_scale=true 2>log && cmp -s scaled/checkpoints/last/model.safetensors ignore/checkpoints/last/model.safetensors
check "jpeg_scale leaves PNG alone" $?
finish
