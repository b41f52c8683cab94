#!/usr/bin/env bash
# bittern eval and report on runs made here: every score that can be computed from the files in RUN/evaluation again, baselines, the page's
# numbers, and what a user gets wrong.   eval.sh BITTERN
reports=made . "$(dirname "$0")/common.sh"
command -v python3 >/dev/null || { echo "skipped: python3 is missing, which reads the files back"; exit 77; }
reference=$here/eval_reference.py
agrees() { python3 "$reference" "$@"; }

cat >tree.json <<END
{"families": [{"name": "round", "species": [{"name": "disc"}, {"name": "ring"}]},
              {"name": "straight", "species": [{"name": "square"}, {"name": "cross"}, {"name": "stripes"}, {"name": "triangle"}]}]}
END
answer "a training ends with scores and a report" 0 '' train small.yaml eval.taxonomy=tree.json
says "scores: queries and database as the last step embedded them"
check "they are not embedded twice" $?
[ -f run/evaluation.json ] && [ -f run/report.html ] && [ -f run/plots/scores.svg ] && [ -z "$(find run -name '*partial*' -o -name '*.old-*')" ]
check "scores, report and plots are there, nothing half-written" $?
agrees scores run
check "scores are what the files give" $?
agrees page run
check "the page is whole, offline and has the scores' numbers" $?

cp run/evaluation.json first.json
"$bittern" eval run --json >printed.json
check "eval of the finished run" $?
cmp -s printed.json run/evaluation.json
check "--json prints the file" $?
agrees same first.json run/evaluation.json
check "eval after the training gives the training's scores" $?
OMP_NUM_THREADS=3 "$bittern" eval run data.loader_threads=3 eval.batch=5 >table && agrees same first.json run/evaluation.json
check "other threads and batches, the same scores" $?
head -n 1 table | grep -Eq '^mAP@10 continuous 0\.[0-9]{4}, binary 0\.[0-9]{4} \(symmetric Hamming 0\.[0-9]{4}\), training-free 0\.[0-9]{4}, random 0\.[0-9]{4}$' && grep -q '^training-free' table && grep -q '^family' table
check "the table for people" $?

# What the last step embedded is what the evaluation would embed: with averages, a training that ends early, bf16 too; every file, but for the time.
for flags in "train.ema=0.9 optim.lr=0.02" "eval.every=1 train.patience=1 run.best=loss optim.lr=0" "run.dtype=bf16" "eval.baselines=false"; do
    rm -rf reused && "$bittern" train small.yaml run.dir="$scratch/reused" eval.report=false eval.embeddings=true $flags 2>err && says "as the last step embedded them" &&
        cp -r reused/evaluation kept && cp reused/evaluation.json kept.json && rm -rf reused/evaluation && "$bittern" eval reused >/dev/null 2>err && ! says "as the last step embedded them" &&
        diff -r kept reused/evaluation >/dev/null && agrees same kept.json reused/evaluation.json
    check "embedded once with $flags" $?
    rm -rf kept
done
rm -rf reused && "$bittern" train small.yaml run.dir="$scratch/reused" eval.report=false 2>/dev/null && rm -rf reused/evaluation* && "$bittern" train small.yaml run.dir="$scratch/reused" eval.report=false --resume 2>err &&
    ! says "as the last step embedded them" && [ -f reused/evaluation.json ]
check "a resume of what is done embeds anew" $?
"$bittern" eval run --full eval.embeddings=true --json >full.json
check "a full evaluation" $?
agrees full run
check "shuffles, kNN, probe, effective rank, embeddings" $?
"$bittern" report run >/dev/null && agrees page run && grep -q 'Other measures' run/report.html
check "the report of a full evaluation" $?

"$bittern" eval run --untrained --json >untrained.json 2>/dev/null && agrees untrained untrained.json full.json
check "untrained weights are the encoder before" $?
agrees same full.json run/evaluation.json
check "untrained weights leave the run's files alone" $?
"$bittern" eval run --checkpoint 15 --json | grep -q '"step": 15'
check "an earlier checkpoint" $?
"$bittern" eval run --checkpoint 15 eval.baselines=false eval.all=false eval.resamples=0 --json >bare.json
check "without baselines" $?
agrees bare bare.json
check "what was not asked for is null or absent" $?
"$bittern" report run >/dev/null && ! grep -q 'Codes without training</td>' run/report.html
check "its page does without them" $?

# A run of another method, trained whole: no encoder before it.
sed -e 's/{name: crovca, bits: 16}/{name: classify, views: 1}/' -e 's/targets: "q,v", rank: 4, dropout: 0.1/targets: none/' -e 's/heads: 2}/heads: 2, train_all: true}/' \
    -e "s|$scratch/run|$scratch/whole|" small.yaml >whole.yaml
answer "a classifier, trained whole" 0 '' train whole.yaml train.head_epochs=0
agrees whole whole
check "its scores" $?
agrees page whole
check "its page" $?
# Adapted from there: what came before is that run.
answer "adapted" 0 '' train small.yaml run.dir=adapted model.weights=whole
agrees adapted adapted whole
check "the encoder before is the one it began from" $?
"$bittern" train whole.yaml run.dir=again model.weights=whole train.head_epochs=0 2>train.log && agrees adapted again whole
check "trained whole from weights: the encoder before is theirs" $?
mv whole hidden
"$bittern" eval again >/dev/null && agrees adapted again hidden
check "also when those weights are gone: the run has kept them" $?
mv hidden whole
"$bittern" train small.yaml run.dir=frozen model.weights=whole adapter.targets=none train.epochs=1 2>train.log && agrees frozen frozen
check "a head alone: before and after are one encoder" $?
"$bittern" train small.yaml run.dir=wide method.bits=48 train.epochs=1 2>train.log && agrees wide wide && grep -q '48 bits are more than there are principal components' wide/report.html
check "more bits than components: no training-free codes, and why" $?

# A table with ranks: the label is its species, each genus has one, and with three classes left each family has one order.
{
    echo "path,order,family,genus,species"
    for f in pictures/*/*; do
        species=$(basename "$(dirname "$f")")
        case $species in disc) above=Rotunda,Orbes ;; ring) above=Rotunda,Anuli ;; triangle) above=Recta,Trigona ;; *) above=Recta,Laterales ;; esac
        echo "$f,$above,genus of $species,$species"
    done
} >birds.csv
"$bittern" train small.yaml run.dir=birds data.root=birds.csv train.epochs=1 2>train.log && agrees ranks birds "species 6 also genus" "family 4" "order 2"
code=$?
check "each grouping once: $(tail -n 1 train.log)" $code
"$bittern" eval birds >table && [ "$(grep -c '^[a-z]* *@10 papers' table)" -eq 3 ] && grep -q '^species  *@10 papers' table && grep -q '^also by genus: the same groups$' table
check "also in the table" $?
"$bittern" train small.yaml run.dir=some data.root=birds.csv data.classes=disc,ring,triangle train.epochs=1 2>train.log &&
    agrees ranks some "species 3 also genus family" "order 2" && agrees page some && grep -q 'same species<small>also genus, family</small></td><td class="r">3</td>' some/report.html
code=$?
check "classes that were left out do not count: $(tail -n 1 train.log)" $code
agrees relevant some && agrees relevant birds
check "which neighbours are relevant" $?
# The first class is among the training pictures alone: groups get other numbers than classes, which outputs are numbered by.
{
    echo "path,species,split"
    i=0
    for f in pictures/*/*; do
        species=$(basename "$(dirname "$f")") split=train
        i=$((i + 1))
        if [ "$species" != cross ]; then case $((i % 4)) in 0) split=query ;; 1) split=database ;; esac; fi
        echo "$f,$species,$split"
    done
} >open.csv
"$bittern" train whole.yaml run.dir=open data.root=open.csv data.train=0 data.query=0 train.head_epochs=0 train.epochs=12 2>train.log &&
    agrees ranks open "species 5" && agrees accuracy open && agrees relevant open
code=$?
check "a class without queries: $(tail -n 1 train.log)" $code

"$bittern" eval run eval.taxonomy=tree.json >/dev/null 2>&1
mv pictures elsewhere
"$bittern" report run >/dev/null && grep -q 'no picture' run/report.html
check "a report without the pictures has empty frames" $?
mv elsewhere pictures
rm -r run/evaluation
"$bittern" report run >/dev/null && grep -q 'bittern eval RUN makes it' run/report.html
check "a report without evaluation/ says so" $?
mv run/evaluation.json away.json
"$bittern" report run >/dev/null && grep -q 'has not been evaluated yet' run/report.html
check "a report before any evaluation" $?

answer "no run" 4 "is no run's folder: it has no config.yaml" report nowhere
answer "no run to evaluate" 4 "is no run's folder: it has no config.yaml" eval nowhere
answer "no such checkpoint" 4 'has no checkpoint "7"' eval run --checkpoint 7
answer "no scores are wanted" 3 'eval.batch is 0' eval run eval.batch=0
answer "misspelt setting" 3 'did you mean "eval.rotations"?' eval run eval.rotation=3
answer "no such taxonomy" 4 'nothere.json' eval run eval.taxonomy=nothere.json
echo '{"species": [{"name": "disc"}]}' >short.json
answer "a taxonomy without a class" 5 'short.json: byte 0: the class "cross" of' eval run eval.taxonomy=short.json
[ -z "$(find run -name '*partial*')" ]
check "failed evaluations leave nothing" $?
"$bittern" eval run >/dev/null 2>&1
echo '{"format": "bittern evaluation", "version": 2}' >run/evaluation.json
answer "scores of another version" 5 'evaluation.json: version 2; this program reads 1' report run
echo '{"format": "x"}' >run/evaluation.json
answer "other JSON" 5 'format "x"; expected "bittern evaluation"' report run
head -c 300 away.json >run/evaluation.json
answer "torn scores" 5 'evaluation.json: byte' report run
"$bittern" eval run >/dev/null 2>&1
sed -i 's/"queries": 12/"queries": 11/' run/evaluation.json
answer "scores and files of two evaluations" 5 'does not fit evaluation.json' report run
"$bittern" eval run >/dev/null 2>&1
agrees spoil run/evaluation/neighbours.npy
answer "neighbours that are not there" 5 'neighbours.npy: row 0: item' report run
finish
