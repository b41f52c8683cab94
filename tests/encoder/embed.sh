#!/usr/bin/env bash
# bittern export and bittern embed as a user has them.   embed.sh BITTERN
. "$(dirname "$0")/../cli/common.sh"
same() { # names of two embeddings: every file of them
    local kind
    for kind in npy codes.npy labels.npy paths.txt classes.txt; do cmp -s "$1.$kind" "$2.$kind" || return 1; done
}
count() { "$bittern" embed "$@" --json | sed -n 's/^  "count": \([0-9]*\),$/\1/p'; }

"$bittern" train small.yaml adapter.targets=q,v,fc1 optim.lr=0.02 run.keep=0 eval.batch=0 2>log || { cat log; exit 1; }
export_embed=(--codes --threads 1 --batch 5)

# Merged, apart, and the run itself.
"$bittern" export run merged.safetensors >out && grep -q '4 adapters merged' out
code=$?
check "export merges q, v (one pair a block) and fc1 of two blocks: $(cat out)" $code
"$bittern" export run apart.safetensors --adapter --json >out && grep -q '"kind": "adapter"' out
code=$?
check "export --adapter --json: $(tr -d '\n' <out)" $code
for model in run merged.safetensors; do "$bittern" embed $model pictures ${model%.*}.npy "${export_embed[@]}" >/dev/null || exit 1; done
"$bittern" embed apart.safetensors pictures apart.npy --base run "${export_embed[@]}" >/dev/null
same run apart
check "adapters with their base give the run's bits" $?
"$bittern" export apart.safetensors merged2.safetensors --base run/base.safetensors >/dev/null
cmp -s merged.safetensors merged2.safetensors
check "merging an adapter file equals merging the run" $?
"$bittern" embed run pictures first.npy --checkpoint 1 "${export_embed[@]}" >/dev/null && ! cmp -s first.npy run.npy
check "an earlier checkpoint gives other embeddings" $?
ln -sfn step_00000001 run/checkpoints/best && "$bittern" embed run pictures best.npy --checkpoint best "${export_embed[@]}" >/dev/null && same first best
check "the best checkpoint" $?
"$bittern" train small.yaml run.dir=ema train.ema=0.9 optim.lr=0.02 eval.batch=0 2>/dev/null && "$bittern" embed ema pictures average.npy --threads 1 >/dev/null &&
    cp ema/checkpoints/last/model.safetensors ema/checkpoints/last/average.safetensors && "$bittern" embed ema pictures newest.npy --threads 1 >/dev/null && ! cmp -s average.npy newest.npy
check "a run with moving averages is encoded by them" $?
head -n 1 run.paths.txt | grep -qx 'cross/00000.png' && [ "$(head -n 1 run.classes.txt)" = cross ]
check "paths and classes" $?
answer "adapter file without its base" 2 "has adapters and a head alone" embed apart.safetensors pictures x.npy
"$bittern" train small.yaml run.dir=other run.seed=2 train.epochs=1 eval.batch=0 2>/dev/null
answer "adapters on another tower" 5 "its tower is not the one that the adapters" embed apart.safetensors pictures x.npy --base other
answer "no such checkpoint" 4 "16" export run x.safetensors --checkpoint 99
answer "checkpoint by a wrong name" 4 "bset" export run x.safetensors --checkpoint bset
answer "weights that are no model" 5 "it was written neither by bittern export nor by bittern import" embed run/base.safetensors pictures x.npy
answer "neither run nor file" 4 "is neither a run's folder" embed pictures pictures x.npy
answer "output by another name" 2 "the name of the output ends in .npy" embed run pictures x.dat
"$bittern" train small.yaml run.dir=cls method.name=classify method.views=1 adapter.targets=none train.epochs=1 eval.batch=0 2>/dev/null
"$bittern" embed cls pictures cls.npy --logits >/dev/null && [ -s cls.logits.npy ]
check "a classifier: embeddings and logits" $?
answer "no adapters to export" 3 "has no adapters (adapter.targets: none)" export cls x.safetensors --adapter
answer "codes of a classifier" 7 "method classify makes no codes; leave out --codes" embed cls pictures x.npy --codes
rm -rf x.work

# Kinds of data.
mkdir -p flat/deep/er && cp pictures/cross/0000*.png flat && cp pictures/ring/0000*.png flat/deep/er && touch flat/.hidden.png flat/notes.txt
"$bittern" embed run flat flat.npy --threads 1 >/dev/null
[ "$(wc -l <flat.paths.txt)" = 20 ] && [ -e flat.labels.npy ] && [ "$(cat flat.classes.txt)" = deep ] && grep -qx deep/er/00003.png flat.paths.txt
check "a folder of pictures and folders in folders" $?
{ printf 'ring/00001.png\n\ncross/00002.png\r\nring/00001.png\n'; } >pictures/list.txt
"$bittern" embed run pictures/list.txt list.npy --threads 1 --batch 3 >/dev/null
printf 'ring/00001.png\ncross/00002.png\nring/00001.png\n' | cmp -s - list.paths.txt && [ ! -e list.labels.npy ] && [ ! -e list.classes.txt ]
check "a list, relative to its folder, a picture twice" $?
{ printf 'path\tspecies\nring/00001.png\tring\ncross/00002.png\tcross\nring/00001.png\t\n'; } >table.tsv
"$bittern" embed run table.tsv table.npy --threads 1 --batch 3 --images pictures >/dev/null
cmp -s list.npy table.npy && [ "$(tail -c 12 table.labels.npy | od -An -td4 | tr -s ' ')" = ' 1 0 -1' ] && printf 'cross\nring\n' | cmp -s - table.classes.txt
check "a table with labels: the list's bits" $?
printf 'ring/00001.png 0 1 1\ncross/00002.png 1 0 0\nring/00001.png 0 1 1\n' >hash.txt
"$bittern" embed run hash.txt hash.npy --threads 1 --batch 3 --images pictures >/dev/null
[ "$(tail -c 6 hash.labels.npy | od -An -tu1 | tr -s ' ')" = ' 0 1 1 1 0 0' ] && [ "$(wc -l <hash.paths.txt)" = 2 ]
check "DeepHash's list: several labels, a picture once" $?
{ echo "$scratch/pictures/ring/00001.png"; echo pictures/cross/00002.png; } >mixed.txt
"$bittern" embed run mixed.txt mixed.npy --threads 1 --batch 3 >/dev/null
cmp -s <(tail -c 256 mixed.npy) <(tail -c 384 list.npy | head -c 256)
check "a list with absolute and relative paths: the same pictures, the same bits" $?
printf 'ring/00001.png\nring.txt\n' >bad.txt
answer "a line that is no picture" 5 'bad.txt:2: "ring.txt" is no .png, .jpg, .jpeg, .ppm, .webp, .tif or .tiff file' embed run bad.txt x.npy
: >bad.txt
answer "an empty list" 5 "neither a table" embed run bad.txt x.npy
answer "a picture in place of a folder" 2 "give its folder, or a list" embed run pictures/ring/00001.png x.npy
mkdir nothing
answer "a folder without pictures" 5 "no .png, .jpg, .jpeg, .ppm, .webp, .tif or .tiff file below it" embed run nothing x.npy

# Two processes, one output.
if command -v flock >/dev/null; then
    mkdir taken.work
    exec 9<taken.work
    flock 9
    answer "an output that another process works on" 4 "another process works on taken.npy now (it holds taken.work)" embed run pictures taken.npy
    answer "with --resume too" 4 "another process works on taken.npy now" embed run pictures taken.npy --resume
    exec 9<&-
    answer "when it is gone" 0 "96 pictures" embed run pictures taken.npy
fi

# Damaged pictures.
cp -r pictures damaged && head -c 60 pictures/disc/00003.png >damaged/disc/00003.png && : >damaged/ring/00015.png
answer "a damaged picture ends the work" 5 "damaged/disc/00003.png" embed run damaged d.npy
[ ! -e d.npy ]
check "and leaves no output" $?
[ "$(count run damaged d.npy --damaged skip --batch 4 2>/dev/null)" = 94 ] && printf 'disc/00003.png\nring/00015.png\n' | cmp -s - d.damaged.txt &&
    [ "$(wc -l <d.paths.txt)" = 94 ] && [ ! -e d.work ]
check "skipped, it is listed" $?
"$bittern" embed run pictures d.npy >/dev/null && [ ! -e d.damaged.txt ]
check "the list of earlier work goes" $?

# Interrupted at any moment and continued, until three runs were killed in their work and three ended.
work=(embed run damaged k.npy --damaged skip --batch 3 --codes --threads 1 --save-seconds 0 --resume)
"$bittern" embed run damaged whole.npy --damaged skip --batch 3 --codes --threads 1 >/dev/null 2>&1
undisturbed "$bittern" "${work[@]}"
rm -f k.*
RANDOM=5 kills=0 finished=0
for ((i = 0; i < 200 && (finished < 3 || kills < 3); i++)); do
    code=0
    killed_at_random "$bittern" "${work[@]}" || code=$?
    [ $code -eq 137 ] && [ -e k.work/state.json ] && kills=$((kills + 1))
    [ $code -eq 137 ] && continue
    finished=$((finished + 1))
    [ $code -eq 0 ] && same whole k && cmp -s whole.damaged.txt k.damaged.txt
    check "killed and continued, exit code $code, same bits" $?
    rm -f k.*
done
check "$kills kills, $finished times to the end" "$([ "$kills" -ge 3 ] && [ "$finished" -ge 3 ]; echo $?)"
rm -rf k.*
mkdir k.npy # a folder in the way: all other files get their names, then it fails
answer "the last rename fails" 4 "k.npy" embed run damaged k.npy --damaged skip --batch 3 --codes --threads 1
rmdir k.npy
"$bittern" embed run damaged k.npy --damaged skip --batch 3 --codes --threads 1 --resume >/dev/null 2>&1 && same whole k && [ ! -e k.work ]
check "stopped while files get their names, and continued" $?
rm -rf k.*
mkdir -p k.work && printf '{"version": 1, "settings": "other", "done": 3, "rows": 3, "damaged": 0, "bytes": [0,0,0,0,0,0]}' >k.work/state.json
answer "interrupted work with other settings" 3 "was begun otherwise; begin anew without --resume" embed run damaged k.npy --damaged skip --resume
"$bittern" embed run damaged k.npy --damaged skip --codes --batch 3 --threads 1 >/dev/null 2>&1 && same whole k
check "begun anew" $?
finish
