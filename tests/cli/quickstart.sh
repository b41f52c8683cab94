#!/usr/bin/env bash
# quickstart.sh in small: its arguments, and its configurations on a world of six species, in seconds.   quickstart.sh BITTERN
# Exit code 77: this build draws no worlds (cairo).
. "$(dirname "$0")/common.sh"

answers() { expect "$1" "$2" "$3" bash "$root/quickstart.sh" "${@:4}"; } # what, exit code, text, arguments...
answers "help" 0 "usage: ./quickstart.sh [--seed N]" --help
answers "unknown argument" 2 "unknown argument --sed; allowed: --seed N, --help" --sed 7
answers "a seed that is none" 2 '--seed: found "x", expected a whole number' --seed x
answers "a seed below 0" 2 '--seed: found "-1", expected a whole number' --seed=-1
answers "no seed" 2 "--seed needs a value" --seed

out=$("$bittern" fen "$scratch/world" --species 6 --images 20 --size 32 --seed 3 --no-songs 2>&1)
code=$?
[ $code -eq 7 ] && { echo "skipped: $out"; exit 77; }
check "a world: $out" $code

# Four species for the encoder, the other two for the codes; everything else is as the quickstart has it.
small="data.root=$scratch/world/manifest.csv run.threads=1 model.image=32 model.width=32 model.depth=2 model.heads=2 train.epochs=2 train.batch=8 run.log_every=5"
run=$scratch/quickstart
answer "the encoder and its data" 0 'data: 4 classes, 40 training, 8 query, 32 database images' train "$root/experiments/quickstart/encoder.yaml" $small \
    run.dir="$run/encoder" data.classes=0-3
answer "the codes and their data" 0 'data: 2 classes, 20 training, 4 query, 16 database images' train "$root/experiments/quickstart/codes.yaml" $small \
    run.dir="$run" model.weights="$run/encoder" data.classes=4-5 method.bits=16
grep -q 'tensors of the tower.* from .*/encoder/' err
check "they begin with the encoder" $?

"$bittern" eval "$run" --json >"$scratch/scores.json"
check "the scores" $?
for key in map_binary map_continuous map_random map_training_free; do
    grep -Eq "\"$key\": *(0\.[0-9]+|1|1\.0)[,}]?" "$scratch/scores.json"
    code=$?
    check "$key is in $(tr -d '\n' <"$scratch/scores.json" | cut -c1-300)" $code
done
[ -s "$run/report.html" ]
check "the report" $?
finish
