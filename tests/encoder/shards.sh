#!/usr/bin/env bash
# bittern embed in shards: joined, they are the work in one piece, byte for byte; resumed each by itself; what does not belong together is
# refused; jobs of SLURM know which shard they are.   shards.sh BITTERN
. "$(dirname "$0")/../cli/common.sh"
unset "${!SLURM_@}"
"$bittern" train small.yaml optim.lr=0.02 eval.batch=0 2>log || { cat log; exit 1; }
cp -r pictures damaged && head -c 60 pictures/disc/00003.png >damaged/disc/00003.png && : >damaged/ring/00015.png
flags=(--codes --logits --damaged skip --batch 5 --threads 1)
ends=(npy codes.npy logits.npy labels.npy paths.txt classes.txt damaged.txt)
same() { # names of two embeddings: every file of them
    local end
    for end in "${ends[@]}"; do
        [ -e "$1.$end" ] || [ -e "$2.$end" ] || continue
        cmp -s "$1.$end" "$2.$end" || return 1
    done
}
where=()
shards() { # number of them, data, output: all of them, the last first
    local i
    for ((i = $1; i > 0; i--)); do "$bittern" embed run "$2" "$3" "${where[@]}" "${flags[@]}" --shard "$i/$1" >out 2>err || { cat err; return 1; }; done
}
"$bittern" embed run pictures x.h5 >/dev/null 2>&1
hdf5=$? # 7: this build has none

# The same bytes as in one piece.
printf 'ring/00001.png 0 1 1\ncross/00002.png 1 0 0\nring/00003.png 0 1 1\n' >several.txt
printf 'pictures/ring/00001.png\npictures/cross/00002.png\npictures/ring/00001.png\npictures/disc/00001.png\npictures/disc/00002.png\npictures/disc/00004.png\n' >list.txt
for data in damaged several.txt list.txt; do
    name=${data%.*} where=()
    [ $data != several.txt ] || where=(--images pictures)
    "$bittern" embed run $data whole_$name.npy "${where[@]}" "${flags[@]}" >/dev/null 2>&1
    [ "$hdf5" -eq 0 ] && "$bittern" embed run $data whole_$name.h5 "${where[@]}" "${flags[@]}" >/dev/null 2>&1
    for n in 1 2 3 7; do
        rm -rf part.*
        shards $n $data part.npy
        check "$n shards of $data" $?
        answer "joined" 0 "from $n shards" embed --join part.npy
        check "$n shards of $data: the bytes of the work in one piece" "$(same whole_$name part && [ ! -e part.work ]; echo $?)"
        [ "$hdf5" -eq 0 ] || continue
        answer "into HDF5" 0 "from $n shards" embed --join part.h5
        check "$n shards of $data in HDF5: the bytes of the work in one piece" "$(cmp -s whole_$name.h5 part.h5; echo $?)"
    done
done
shards 12 list.txt many.npy
check "more shards than batches" $?
"$bittern" embed --join many.npy >/dev/null && same whole_list many
check "joined: some are empty" $?
rm -rf part.* && shards 3 damaged part.npy
check "a shard's own files" "$([ -s part.shards/00002-of-00003.npy ] && [ -s part.shards/00002-of-00003.paths.txt ] && [ ! -e part.npy ]; echo $?)"
check "each lists the pictures it left out" "$([ "$(cat part.shards/*.damaged.txt)" = "$(cat whole_damaged.damaged.txt)" ] && [ "$(find part.shards -name '*.damaged.txt' | wc -l)" = 2 ]; echo $?)"
check "ranges follow each other" "$(cat part.shards/*.paths.txt | cmp -s - whole_damaged.paths.txt; echo $?)"
"$bittern" embed run damaged part.npy "${flags[@]}" --shard 2/3 --resume --json >out 2>err && grep -q '"shard": 2' out && grep -q '"first": 30' out && grep -q '"count": 34' out
code=$?
check "JSON of a shard that is done: $(tr -d '\n' <out)" $code
check "which is not made again" "$(says "was done before"; echo $?)"
"$bittern" embed --join part.npy --json >out && grep -q '"shards": 3' out && grep -q '"damaged": 2' out
code=$?
check "JSON of joining: $(tr -d '\n' <out)" $code

# Killed and continued, each by itself.
rm -rf k.* && cp -r part.shards k.shards && rm k.shards/00002-of-00003.*
work=(embed run damaged k.npy "${flags[@]}" --shard 2/3 --save-seconds 0 --resume)
undisturbed "$bittern" "${work[@]}"
RANDOM=7 kills=0 finished=0
rm -f k.shards/00002-of-00003.*
for ((i = 0; i < 200 && (finished < 2 || kills < 3); i++)); do
    code=0
    killed_at_random "$bittern" "${work[@]}" || code=$?
    [ $code -eq 137 ] && [ -e k.shards/00002-of-00003.work/state.json ] && kills=$((kills + 1))
    [ $code -eq 137 ] && continue
    finished=$((finished + 1))
    answer "a shard was killed and continued" 0 "from 3 shards" embed --join k.npy
    [ $code -eq 0 ] && same whole_damaged k && [ ! -e k.shards/00002-of-00003.work ]
    check "exit code $code, the bytes of the work in one piece" $?
    rm -f k.shards/00002-of-00003.*
done
check "$kills kills, $finished times to the end" "$([ "$kills" -ge 3 ] && [ "$finished" -ge 2 ]; echo $?)"

# What does not belong together.
fresh() { rm -rf part.* && cp -r "$1" part.shards; }
mv part.shards good
answer "no folder" 4 "nowhere.shards: no folder of shards" embed --join nowhere.npy
mkdir empty.shards
answer "no shard" 4 "empty.shards: no shard is done" embed --join empty.npy
fresh good && rm part.shards/00001-of-00003.json part.shards/00003-of-00003.json
for with in --resume --json; do # a part of an array submitted again says another number of all
    answer "another number of all" 3 "part.shards holds shards of 3, and this is one of 2, which cannot be joined with them: say --shard I/3" embed run damaged part.npy "${flags[@]}" --shard 2/2 $with
done
mkdir -p begun.shards/00001-of-00004.work
answer "another number of all, none is done" 3 "begun.shards holds shards of 4" embed run damaged begun.npy "${flags[@]}" --shard 2/2
answer "missing shards" 4 "2 of 3 shards are not done: 1, 3; run them with --shard I/3 --resume" embed --join part.npy
check "nothing is written" "$([ ! -e part.npy ] && [ ! -e part.work ]; echo $?)"
fresh good && echo old >part.npy && cp good/00002-of-00003.json part.shards/00002-of-00004.json
answer "shards counted to two numbers" 3 "holds shards of 3 and of 4" embed --join part.npy
check "the old file stays" "$([ "$(cat part.npy)" = old ]; echo $?)"
"$bittern" train small.yaml run.dir=other run.seed=2 train.epochs=1 eval.batch=0 2>/dev/null
fresh good && "$bittern" embed other damaged part.npy "${flags[@]}" --shard 3/3 >/dev/null 2>&1
answer "a shard of another model" 3 "00003-of-00003.json: another model than that of shard 1" embed --join part.npy
cp -r damaged changed && cp changed/disc/00001.png changed/disc/00077.png
fresh good && "$bittern" embed run changed part.npy "${flags[@]}" --shard 2/3 >/dev/null 2>&1
answer "a folder that has changed" 3 "00002-of-00003.json: other pictures than those of shard 1 (97, 96;" embed --join part.npy
fresh good && "$bittern" embed run damaged part.npy "${flags[@]}" --dtype bf16 --shard 2/3 >/dev/null 2>&1
answer "other settings" 3 "00002-of-00003.json: made otherwise than shard 1" embed --join part.npy
answer "a done shard by other settings is not resumed" 3 "the shard was made otherwise; begin anew without --resume" embed run damaged part.npy "${flags[@]}" --shard 2/3 --resume
fresh good && cp good/00001-of-00003.json part.shards/00002-of-00003.json
answer "a note by another name" 5 "it says shard 1 of 3; was it renamed?" embed --join part.npy
for shard in 1 2; do # shard 1 says what all have in common
    for wrong in 's/"damaged": [0-9]*/"damaged": 7/' 's/"version": 1/"version": 2/' 's/"width"/"wide"/'; do
        fresh good && sed -i "$wrong" part.shards/0000$shard-of-00003.json
        answer "a wrong note of shard $shard, $wrong" 5 "0000$shard-of-00003.json" embed --join part.npy
        check "nothing is written" "$([ ! -e part.npy ] && [ ! -e part.work ]; echo $?)"
    done
    fresh good && echo '{' >part.shards/0000$shard-of-00003.json
    answer "no note" 5 "0000$shard-of-00003.json" embed --join part.npy
done
fresh good && sed -i 's/"first": 30/"first": 25/' part.shards/00002-of-00003.json
answer "ranges that overlap" 5 "it begins at picture 26, 31 is expected" embed --join part.npy
fresh good && sed -i 's/"rows": [0-9]*/"rows": 3/' part.shards/00002-of-00003.json
answer "rows that do not add up" 5 "00002-of-00003.json: " embed --join part.npy
fresh good && sed -i 's/"device": "/&another /' part.shards/00003-of-00003.json
answer "another machine" 0 'shard 3 was made on "another ' embed --join part.npy
rm -f part.npy part.*.npy part.*.txt
fresh good && printf 'x' | dd of=part.shards/00002-of-00003.npy bs=1 seek=900 conv=notrunc 2>/dev/null
answer "a file that was changed" 5 "00002-of-00003.npy is not the file that was written" embed --join part.npy
fresh good && truncate -s -4 part.shards/00002-of-00003.codes.npy
answer "a file that was cut" 5 "00002-of-00003.codes.npy is not the file that was written" embed --join part.npy
fresh good && rm part.shards/00003-of-00003.logits.npy
answer "a file that is gone" 4 "00003-of-00003.logits.npy" embed --join part.npy
check "and nothing is left of the attempt" "$([ ! -e part.npy ] && [ ! -e part.work ] && [ ! -e part.paths.txt ]; echo $?)"
answer "it is made again" 0 "(shard 3/3)" embed run damaged part.npy "${flags[@]}" --shard 3/3 --resume
answer "and joined" 0 "94 pictures" embed --join part.npy
check "to the same bytes" "$(same whole_damaged part; echo $?)"
mkdir broken && for name in pictures/disc/*; do : >broken/"$(basename "$name")"; done && cp pictures/ring/00000.png broken/99.png
"$bittern" embed run broken whole_broken.npy "${flags[@]}" >/dev/null 2>&1 && shards 4 broken broken.npy && "$bittern" embed --join broken.npy >/dev/null && same whole_broken broken
check "shards of which all pictures are damaged" $?
rm broken/99.png && shards 2 broken none.npy
answer "nothing is left in any" 5 "pictures are damaged" embed --join none.npy

# What is said wrongly.
for bad in 3/2 0/4 4/0 2/100000; do answer "--shard $bad" 2 "--shard $bad: shards count from 1 to N" embed run pictures x.npy --shard $bad; done
for bad in a/b 3 1/ /2 1/2/3 -1/2 1.5/2 99999999999999999999/2; do answer "--shard $bad" 2 "--shard \"$bad\": expected I/N, as in 2/8, or auto" embed run pictures x.npy --shard $bad; done
answer "joining a shard" 2 "--join takes the name of the output alone" embed --join x.npy --shard 1/2
answer "joining with a model" 2 "--join takes the name of the output alone" embed --join run pictures x.npy
answer "no output" 2 "an argument is missing; usage: bittern embed MODEL PICTURES OUT.npy|OUT.h5 | --join" embed run pictures
answer "joining to another name" 2 "the name of the output ends in .npy" embed --join x.dat

# Jobs of SLURM, by their environment.
auto() { # what, exit code, text, variables...
    local what=$1 code=$2 text=$3
    shift 3
    expect "$what" "$code" "$text" env "$@" "$bittern" embed run damaged auto.npy "${flags[@]}" --shard auto
}
array=(SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_MAX=3)
auto "no job" 2 "neither SLURM_ARRAY_TASK_ID nor SLURM_PROCID with SLURM_NTASKS is set" A=1
auto "a task of an array" 0 "shard 2/3, from SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT" SLURM_ARRAY_TASK_ID=2 "${array[@]}" SLURM_PROCID=0 SLURM_NTASKS=1
auto "an array from 0" 0 "shard 1/3, from SLURM_ARRAY_TASK_ID" SLURM_ARRAY_TASK_ID=0 SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_MIN=0 SLURM_ARRAY_TASK_MAX=2
auto "a process of srun" 0 "shard 3/3, from SLURM_PROCID and SLURM_NTASKS" SLURM_PROCID=2 SLURM_NTASKS=3
answer "joined" 0 "from 3 shards" embed --join auto.npy
check "the bytes of the work in one piece" "$(same whole_damaged auto; echo $?)"
auto "both" 2 "this is task 2 of an array (SLURM_ARRAY_TASK_ID) and process 1 of 4" SLURM_ARRAY_TASK_ID=2 "${array[@]}" SLURM_PROCID=1 SLURM_NTASKS=4
auto "an array with gaps" 2 "task 5 of an array of 2 tasks, 1 to 5, does not say how many shards there are" SLURM_ARRAY_TASK_ID=5 SLURM_ARRAY_TASK_COUNT=2 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_MAX=5
auto "one task submitted again" 2 "does not say how many shards there are" SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_TASK_COUNT=1 SLURM_ARRAY_TASK_MIN=3 SLURM_ARRAY_TASK_MAX=3
auto "an array without its size" 2 "SLURM_ARRAY_TASK_ID is set and SLURM_ARRAY_TASK_COUNT is not" SLURM_ARRAY_TASK_ID=3
auto "no number" 2 'SLURM_PROCID is "one", no whole number' SLURM_PROCID=one SLURM_NTASKS=2
auto "a rank that there is not" 2 "task 5 of 2" SLURM_PROCID=4 SLURM_NTASKS=2
finish
