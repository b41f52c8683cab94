#!/usr/bin/env bash
# bittern embed into one HDF5 file: what the .npy form has, for h5py and bittern hash; resumed to the same bytes; whole or not there.   embed_hdf5.sh BITTERN
. "$(dirname "$0")/../cli/common.sh"
"$bittern" train small.yaml optim.lr=0.02 eval.batch=0 2>log || { cat log; exit 1; }
"$bittern" embed run pictures all.h5 >out 2>err
found=$?
if [ $found -eq 7 ]; then
    answer "no HDF5 in this build" 7 'this build has no HDF5; install libhdf5-dev and configure again' embed run pictures x.h5
    check "and no file" "$([ ! -e x.h5 ] && [ ! -e x.work ]; echo $?)"
    finish
fi
check "one file" "$([ $found -eq 0 ] && [ -s all.h5 ] && [ ! -e all.work ] && [ ! -e all.npy ] && [ ! -e all.paths.txt ]; echo $?)"

# Damaged pictures, a class of its own for each folder; several labels; none.
cp -r pictures damaged && head -c 60 pictures/disc/00003.png >damaged/disc/00003.png && : >damaged/ring/00015.png
flags=(--codes --logits --damaged skip --batch 4 --threads 1)
printf 'ring/00001.png 0 1 1\ncross/00002.png 1 0 0\n' >several.txt
printf 'pictures/ring/00001.png\npictures/cross/00002.png\npictures/ring/00001.png\n' >list.txt
for data in damaged several.txt list.txt; do
    where=()
    [ $data != several.txt ] || where=(--images pictures)
    for end in npy h5; do "$bittern" embed run $data "${data%.*}.$end" "${where[@]}" "${flags[@]}" >out 2>err || check "$data to .$end: $(tail -n 1 err)" 1; done
done
"$bittern" embed run damaged bare.h5 --skip-embeddings "${flags[@]}" >/dev/null 2>&1
if python_with h5py; then
    "$python" - >out 2>err <<'END'
import h5py, numpy as np, os
for name, rows in ("damaged", 94), ("several", 2), ("list", 3):
    with h5py.File(name + ".h5") as f:
        assert f.attrs["bittern_embeddings"] == 1 and f.attrs["bits"] == 16 and f.attrs["method"] == b"crovca", dict(f.attrs)
        names = set(f)
        for key, end in ("embeddings", ""), ("codes", ".codes"), ("logits", ".logits"), ("labels", ".labels"):
            path = name + end + ".npy"
            assert (key in names) == os.path.exists(path), (name, key, names)
            if key in names:
                a, b = f[key], np.load(path)
                assert a.dtype == b.dtype and a.shape == b.shape and len(a) == rows and (a[:] == b).all(), (name, key, a)
                assert a.chunks is None  # in one piece: mapped where it lies
        for key in "paths", "classes", "damaged":
            path = f"{name}.{key}.txt"
            assert (key in names) == os.path.exists(path), (name, key, names)
            if key in names:
                assert list(f[key].asstr()) == open(path).read().splitlines(), (name, key)
        assert names <= {"embeddings", "codes", "logits", "labels", "paths", "classes", "damaged"}, names
with h5py.File("bare.h5") as f:
    assert set(f) == {"codes", "logits", "labels", "paths", "classes", "damaged"}, set(f)
END
    code=$?
    check "h5py finds what the .npy form has: $(tail -n 1 err)" $code
else
    echo "skipped: HDF5 read by h5py (no Python with h5py; python3-h5py would switch it on)"
fi
scores() { "$bittern" hash "$1" --labels "$2" --bits 8 --method pca --k 20 --json; }
scores damaged.npy damaged.labels.npy >npy.json && scores damaged.h5:embeddings damaged.h5:labels >h5.json && grep -q map_papers npy.json && cmp -s npy.json h5.json
check "bittern hash takes it, with the scores of the .npy form" $?
cp damaged.h5 whole.h5
"$bittern" embed run damaged damaged.h5 "${flags[@]}" >/dev/null 2>&1 && cmp -s damaged.h5 whole.h5
check "made again, the same bytes" $?

# Killed, until three were in their work and two ended.
work=(embed run damaged k.h5 "${flags[@]}" --save-seconds 0 --resume)
undisturbed "$bittern" "${work[@]}"
rm -f k.h5
RANDOM=9 kills=0 finished=0
for ((i = 0; i < 200 && (finished < 2 || kills < 3); i++)); do
    code=0
    killed_at_random "$bittern" "${work[@]}" || code=$?
    [ $code -eq 137 ] && [ -e k.work/state.json ] && kills=$((kills + 1))
    [ $code -eq 137 ] && continue
    finished=$((finished + 1))
    [ $code -eq 0 ] && cmp -s whole.h5 k.h5 && [ ! -e k.work ]
    check "killed and continued, exit code $code, same bytes" $?
    rm -f k.h5
done
check "$kills kills, $finished times to the end" "$([ $kills -ge 3 ] && [ $finished -ge 2 ]; echo $?)"
rm -rf k.*

# The last step fails, and is done again; what lies in the work folder is not trusted.
mkdir k.h5
answer "a folder in the way" 4 "cannot write k.h5: it is a folder" embed run damaged k.h5 "${flags[@]}"
check "is seen before the work" "$([ ! -e k.work ]; echo $?)"
rmdir k.h5
largest=$(($(wc -c <whole.h5) / 1024 - 1)) # in KiB: no file of the work is as large as the whole
expect "a quota that the last step exceeds" 4 "k.h5" bash -c "ulimit -f $largest; trap '' XFSZ; exec $bittern embed run damaged k.h5 ${flags[*]}"
check "nothing half-written is left" "$([ ! -e k.h5 ] && [ -z "$(find . -name '*.partial-*')" ]; echo $?)"
cp -r k.work kept
answer "the rest of the work as another form" 3 "was begun otherwise; begin anew without --resume" embed run damaged k.npy "${flags[@]}" --resume
tr '\n' '/' <kept/paths.txt >k.work/paths.txt
answer "other lines than were written" 5 "k.work/paths.txt: it has 0 lines, 94 were written" embed run damaged k.h5 "${flags[@]}" --resume
cp kept/paths.txt k.work && sed -i 's/"rows": 94/"rows": 93/; s/"damaged": 2/"damaged": 3/' k.work/state.json
answer "other rows than were written" 5 "are not 93 rows of" embed run damaged k.h5 "${flags[@]}" --resume
cp kept/state.json k.work && truncate -s -8 k.work/codes.npy
answer "less than was written" 4 "it cannot be continued; begin anew" embed run damaged k.h5 "${flags[@]}" --resume
check "none of them made a file" "$([ ! -e k.h5 ] && [ -z "$(find . -name '*.partial-*')" ]; echo $?)"
cp kept/codes.npy k.work
answer "as it was" 0 "94 pictures" embed run damaged k.h5 "${flags[@]}" --resume
check "it ends with the same bytes" "$(cmp -s whole.h5 k.h5; echo $?)"

# What was there stays when the work fails.
echo old >old.h5
answer "a damaged picture" 5 "damaged/disc/00003.png" embed run damaged old.h5
check "the file is untouched" "$([ "$(cat old.h5)" = old ]; echo $?)"
answer "no name" 2 "the name of the output ends in .npy or .h5" embed run pictures nowhere/.h5
mkdir latin && cp pictures/ring/00001.png "$(printf 'latin/\351.png')"
answer "a name that is not UTF-8" 7 "the name of picture 1 is not UTF-8" embed run latin x.h5
answer "which .npy takes" 0 "1 pictures" embed run latin x.npy

if small_disk 16k; then
    echo old >disk/d.h5
    answer "disk full in the work" 4 "No space left on device" embed run damaged disk/d.h5 "${flags[@]}"
    mount -o remount,size=56k disk
    answer "disk full at the end" 4 "disk/d.h5: No space left on device" embed run damaged disk/d.h5 "${flags[@]}"
    says "; of $(stat -c %s whole.h5) bytes of the file "
    check "it says how much is to be written" $?
    check "the old file stays, nothing is half-written" "$([ "$(cat disk/d.h5)" = old ] && [ -z "$(find disk -name '*.partial-*')" ]; echo $?)"
    mount -o remount,size=1m disk
    answer "with room" 0 "94 pictures" embed run damaged disk/d.h5 "${flags[@]}" --resume
    check "it goes on to the same bytes" "$(cmp -s whole.h5 disk/d.h5; echo $?)"
    close_disk
fi
finish
