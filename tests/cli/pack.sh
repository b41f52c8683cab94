#!/usr/bin/env bash
# Data sets and packs as a user has them: tables, lists, packs give the same run; what goes wrong is said; a pack that was killed, that met a
# full disk or that was damaged leaves nothing that looks whole.   pack.sh BITTERN
reports=made . "$(dirname "$0")/common.sh"
python_with h5py

# A table of the pictures with splits: per class the first 8 train, 2 query, 6 database. And DeepHash's lists of the same.
: >train.txt && : >test.txt && : >database.txt
echo "path,kind,split,caption" >table.csv
classes=(pictures/*)
for c in "${!classes[@]}"; do
    row=
    for k in "${!classes[@]}"; do row+=" $((k == c))"; done
    i=0
    for f in "${classes[$c]}"/*; do
        split=database list=database
        [ $i -lt 8 ] && split=train list=train
        [ $i -ge 8 ] && [ $i -lt 10 ] && split=query list=test
        echo "$f,$(basename "${classes[$c]}"),$split,\"a, \"\"picture\"\"\"" >>table.csv
        echo "$f$row" >>$list.txt
        i=$((i + 1))
    done
done
scores() { "$bittern" train small.yaml run.dir="$scratch/run_$RANDOM$RANDOM" data.train=0 data.query=0 "$@" 2>&1 | grep 'scores after'; }
want=$(scores data.root=table.csv data.label=kind | sed 's/, [0-9.]* s$//')
check "a table trains: $want" "$([ -n "$want" ]; echo $?)"
mkdir lists && mv ./*.txt lists/
answer "lists train" 0 'data: 6 classes, 48 training, 12 query, 36 database images' train small.yaml run.dir="$scratch/run_lists" data.root=lists data.images=. \
    data.train=0 data.query=0 train.epochs=1
answer "without splits counts are needed" 3 'names no splits, so data.train and data.query must say how many' train small.yaml data.train=0
answer "a column that is not there" 5 'table.csv:1:1: no column "knd" (data.label); the header has path, kind, split, caption; did you mean "kind"?' \
    train small.yaml data.root=table.csv data.label=knd
sed 's/,query,/,qery,/' table.csv >split.csv
answer "an unknown split" 5 'unknown split "qery"; allowed: train, query' train small.yaml data.root=split.csv data.label=kind
sed '5s/$/,more/' table.csv >ragged.csv
answer "a ragged row" 5 'ragged.csv:5:' train small.yaml data.root=ragged.csv data.label=kind
sed '2s,^,../,' table.csv >outside.csv
answer "a path that leads out" 5 'outside.csv:2:1: the path ../pictures/' train small.yaml data.root=outside.csv data.label=kind
answer "a class that is not there" 3 'data.classes: "rng" is no class of table.csv; did you mean "ring"?' train small.yaml data.root=table.csv data.label=kind data.classes=rng
answer "a choice of classes" 0 'data: 2 classes, 16 training, 4 query, 12 database images' train small.yaml data.root=table.csv data.label=kind data.classes=0-1 \
    data.train=0 data.query=0 run.dir="$scratch/run_two" train.epochs=1
answer "more classes a batch than there are" 3 'data.per_class 1 and a batch of 12 make 12 classes a batch' train small.yaml \
    data.sampler=class_balanced data.per_class=1 run.dir="$scratch/run_classes"
answer "k images a class do not divide the batch" 3 'data.per_class 5 does not divide the batch of 12' train small.yaml \
    data.sampler=class_balanced data.per_class=5 run.dir="$scratch/run_classes"
awk -F, -v OFS=, 'NR > 1 && $2 == "ring" {$2 = "ring|stripes"} 1' table.csv >several.csv
answer "classify and several labels" 3 'method.name classify needs one label for each training and query image' train small.yaml data.root=several.csv data.label=kind \
    data.train=0 data.query=0 method.name=classify method.views=1 run.dir="$scratch/run_several"
answer "several labels train supervised codes" 0 'scores after training' train small.yaml data.root=several.csv data.label=kind data.train=0 data.query=0 \
    method.supervised=true run.dir="$scratch/run_several"
check "its sheets mark a label in common" "$(grep -q 'Blue frame and tick: a label in common' run_several/report.html; echo $?)"
awk -F, -v OFS=, 'NR > 1 {$2 = $2 "|any"} 1' table.csv >shared.csv
answer "a shared label is relevant" 0 'continuous 1.0000, binary 1.0000 (symmetric Hamming 1.0000)' train small.yaml data.root=shared.csv data.label=kind \
    data.train=0 data.query=0 run.dir="$scratch/run_shared" train.epochs=1
check "so all neighbours in its report are right" "$(grep -q 'a label in common' run_shared/report.html && ! grep -q '<div class="miss">' run_shared/report.html; echo $?)"

"$bittern" pack table.csv p.h5 --label kind --size 16 >out 2>err
found=$?
if [ $found -eq 7 ]; then
    answer "no HDF5 in this build" 7 'libhdf5-dev' pack table.csv p.h5 --label kind
    finish
fi
check "pack" $found
check "a pack gives the same scores" "$([ "$(scores data.root=p.h5 | sed 's/, [0-9.]* s$//')" = "$want" ]; echo $?)"
check "and so do kept files" "$("$bittern" pack table.csv e.h5 --label kind --keep-encoded >/dev/null 2>&1 &&
    [ "$(scores data.root=e.h5 | sed 's/, [0-9.]* s$//')" = "$want" ]; echo $?)"
# Reports of packs: the pictures are gone, the packs have moved into another folder, and classes were left out, so rows and samples differ.
mv pictures away && mkdir packs && cp p.h5 e.h5 packs
pictures_in() { grep -c '<img ' "$1/report.html"; }
for kind in p e; do
    "$bittern" train small.yaml run.dir="run_pack_$kind" data.root=packs/$kind.h5 data.classes=1-4 data.train=0 data.query=0 train.epochs=1 >/dev/null 2>err
    code=$?
    check "a run on the pack $kind: $(tail -n 1 err)" $code
    [ "$(pictures_in run_pack_$kind)" -eq 88 ] && ! grep -q 'no picture' run_pack_$kind/report.html
    check "its report has all 88 pictures" $?
done
pixels() { grep -o 'base64,[^"]*' "$1/report.html" | sort; }
[ "$(pixels run_pack_p)" = "$(pixels run_pack_e)" ]
check "the same pictures from squares and from files" $?
mv away pictures
"$bittern" train small.yaml run.dir=run_files data.root=table.csv data.label=kind data.classes=1-4 data.train=0 data.query=0 train.epochs=1 >/dev/null 2>&1 && [ "$(pixels run_files)" = "$(pixels run_pack_e)" ]
check "and from the pictures themselves" $?
"$bittern" pack pictures packs/p.h5 --classes disc --size 16 >/dev/null 2>&1 && "$bittern" report run_pack_p >/dev/null && [ "$(pictures_in run_pack_p)" -eq 0 ] && grep -q 'no picture' run_pack_p/report.html
check "a pack that was made anew of other pictures: empty frames" $?
rm packs/p.h5
"$bittern" report run_pack_p >/dev/null && grep -q 'The pictures are in a pack that cannot be read: .*packs/p.h5' run_pack_p/report.html && ! grep -q 'Found best' run_pack_p/report.html
check "a pack that is gone: no sheets, and why" $?
check "inspect" "$("$bittern" inspect p.h5 2>&1 | grep -q 'images of 16 x 16 (.*), splits, captions'; echo $?)"
answer "verify" 0 '' pack --verify p.h5
cp p.h5 first.h5
"$bittern" pack table.csv p.h5 --label kind --size 16 --threads 1 >/dev/null 2>&1
check "equal data make equal packs" "$(cmp -s p.h5 first.h5; echo $?)"
if [ -n "$python" ]; then
    "$python" - >out 2>err <<'END'
import h5py
p, e = h5py.File("p.h5"), h5py.File("e.h5")
assert p["images"].shape == (96, 16, 16, 3) and p["images"].dtype == "u1" and p["images"].chunks is None, p["images"]
assert list(p["class_names"].asstr()) == sorted(p["class_names"].asstr()) and len(p["class_names"]) == 6
assert p["captions"][0] == b'a, "picture"' and p["paths"].asstr()[0].startswith("pictures/")
assert sorted(p["splits"][:].tolist()) == [1] * 48 + [2] * 12 + [4] * 36
assert p.attrs["bittern_pack"] == 1 and p.attrs["size"] == 16
first = e["encoded_first"][:]
assert bytes(e["encoded"][first[3]:first[4]]) == open(e["paths"].asstr()[3], "rb").read()
END
    check "h5py reads packs" $?
    "$python" - <<'END'
import h5py, numpy as np
r = np.random.default_rng(0)
with h5py.File("x.h5", "w") as f:
    y = r.integers(0, 3, 90)
    f["x"] = (r.normal(size=(3, 8))[y] + r.normal(size=(90, 8)) * .3).astype("f4")
    f.create_dataset("packed", data=f["x"][:].astype("f2"), chunks=(16, 8), compression="gzip", shuffle=True)
    f["y"] = y
    f["big"] = f["x"][:].astype(">f4")
    f["words"] = ["a"] * 90
END
    "$bittern" hash x.h5:x --labels x.h5:y --bits 8 --method pca --k 20 >whole.txt 2>&1
    check "embeddings from HDF5" $?
    answer "embeddings in chunks" 0 '' hash x.h5:packed --labels x.h5:y --bits 8 --method pca --k 20
    answer "which data set" 5 'x.h5: it has 5 data sets: big, packed, words, x, y; name one as in x.h5:' hash x.h5 --bits 8
    answer "big-endian" 7 'data set big: big-endian numbers' hash x.h5:big --bits 8
    answer "texts" 7 'data set words: texts of variable length' hash x.h5:words --bits 8
    answer "one axis" 8 'x.h5:y: the shape is (90); embeddings are (items, width)' hash x.h5:y --bits 8
    answer "no pack" 5 'x.h5: it has no attribute bittern_pack' train small.yaml data.root=x.h5
else
    echo "skipped: packs in h5py (no Python with h5py; python3-h5py would switch it on)"
fi

# Damage: a changed byte of an image is found by its checksum, a cut file when it is opened.
printf '\377' | dd of=p.h5 bs=1 seek=$(($(stat -c %s p.h5) - 300)) conv=notrunc status=none
answer "a changed byte" 5 'p.h5: the images are damaged: their checksum is' inspect p.h5
head -c $(($(stat -c %s first.h5) - 100)) first.h5 >p.h5
answer "a pack that is cut" 5 'p.h5' train small.yaml data.root=p.h5
cp -r pictures broken && head -c 100 broken/ring/0001.* >broken.tmp 2>/dev/null || head -c 100 "$(find broken/ring -type f | sort | head -n 1)" >broken.tmp
mv broken.tmp "$(find broken/ring -type f | sort | head -n 1)"
answer "a damaged picture" 5 'broken/ring/' pack broken q.h5 --size 16
check "and no pack" "$([ ! -e q.h5 ] && [ -z "$(find . -name 'q.h5*')" ]; echo $?)"
answer "or without it" 0 'skipped: ' pack broken q.h5 --size 16 --skip-damaged
check "95 pictures" "$("$bittern" inspect q.h5 2>/dev/null | grep -q '95 samples, 6 classes'; echo $?)"

# Killed at random moments, until six writers were, two of which left something, and one ended: a pack is always whole, and the next
# one clears what was left.
cp first.h5 k.h5
large=("$bittern" pack table.csv k.h5 --label kind --size 224 --threads 1)
undisturbed "${large[@]}"
RANDOM=11 kills=0 left=0 ended=0 torn=0
for ((i = 0; i < 200 && (kills < 6 || left < 2 || ended < 1) && torn == 0; i++)); do
    code=0
    killed_at_random "${large[@]}" || code=$?
    case $code in
    137) kills=$((kills + 1)) ;;
    0) ended=$((ended + 1)) ;;
    *) break ;;
    esac
    "$bittern" pack --verify k.h5 >/dev/null 2>&1 || torn=1
    [ -z "$(find . -name 'k.h5.partial*')" ] || left=$((left + 1))
done
check "a pack is whole after $kills kills ($left left something) and $ended ends, exit code $code" \
    "$([ $torn -eq 0 ] && [ $kills -ge 6 ] && [ $left -ge 2 ] && [ $ended -ge 1 ]; echo $?)"
"$bittern" pack table.csv k.h5 --label kind --size 16 >/dev/null 2>&1
check "what they left is gone" "$([ -z "$(find . -name 'k.h5.partial*')" ]; echo $?)"

# A full disk: found before the first picture is read, or while tables are written.
if small_disk 300k; then
    answer "disk full, images" 4 'No space left on device' pack table.csv disk/p.h5 --label kind --size 224
    check "no partial pack on the full disk" "$([ -z "$(ls disk)" ]; echo $?)"
    dd if=/dev/zero of=disk/fill bs=1k count=294 status=none
    answer "disk full, tables" 4 'No space left on device' pack table.csv disk/p.h5 --label kind --size 16
    check "no partial tables on the full disk" "$([ "$(ls disk)" = fill ]; echo $?)"
    # Wherever it becomes full, from the first page of the file on: the reason, the file, and but for its beginning what it takes.
    for free in 0 4 8 12 16 20 24; do
        rm -f disk/*
        dd if=/dev/zero of=disk/fill bs=1k count=$((300 - free)) status=none
        answer "$free KiB left" 4 'disk/p.h5: No space left on device; the disk is full' pack table.csv disk/p.h5 --label kind --size 224
        [ $free -eq 0 ] || { says 'bytes of the file' && says 'are still to be written, and there is room for'; }
        check "$free KiB left: it says how much is to be written" $?
        check "$free KiB left: no partial pack" "$([ "$(ls disk)" = fill ]; echo $?)"
    done
    rm -f disk/*
    "$bittern" pack table.csv pack224.h5 --label kind --size 224 >/dev/null
    answer "disk full, how much" 4 "; of $(stat -c %s pack224.h5) bytes of the file " pack table.csv disk/p.h5 --label kind --size 224
    close_disk
fi
finish
