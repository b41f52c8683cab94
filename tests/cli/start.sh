#!/usr/bin/env bash
# Weights from other runs, and which checkpoint is evaluated.   start.sh BITTERN
# Exit code 77: no python3, which reads the scores.
command -v python3 >/dev/null || { echo "skipped: no python3"; exit 77; }
. "$(dirname "$0")/common.sh"
s=$scratch/small.yaml
train() { "$bittern" train "$s" eval.k=100 "$@" >"$scratch/out" 2>"$scratch/err"; }
score() { # value of a key of the evaluation, arguments...
    local key=$1
    shift
    "$bittern" eval "$@" eval.k=100 --json | python3 -c "import json, sys; print(json.load(sys.stdin)['$key'])"
}
in_metrics() { # key, run, when, which of them
    python3 -c '
import json, sys
lines = [s for s in map(json.loads, open(sys.argv[2] + "/metrics.jsonl")) if s["kind"] == "scores" and s["when"] == sys.argv[3]]
print(lines[int(sys.argv[4])][sys.argv[1]])' "$@"
}

train eval.every=1 train.ema=0.9 run.keep=0 optim.lr_head=5e-3
check "a run with averages and scores" $?
run=$scratch/run
best=$(readlink "$run/checkpoints/best")
[ "$(score map_binary "$run" --checkpoint 4)" = "$(in_metrics map_binary "$run" epoch 0)" ]
check "a step's checkpoint has the scores that were logged" $?
[ "$(score map_binary "$run" --checkpoint best)" = "$(score map_binary "$run" --checkpoint $((10#${best#step_})))" ]
check "best is that step" $?
[ "$(score map_binary "$run")" = "$(in_metrics map_binary "$run" after 0)" ] && [ "$(score map_binary "$run" --checkpoint last)" = "$(score map_binary "$run")" ]
check "the newest is the default" $?
[ "$(score map_binary "$run" --raw)" != "$(score map_binary "$run")" ]
check "--raw is not the averages" $?
"$bittern" eval "$run" --checkpoint 5x 2>"$scratch/err"
says 'has no checkpoint "5x"; there are last, best (once there are scores) and steps 1, 2, 3, 4, 5,'
code=$?
check "no such checkpoint: $(cat "$scratch/err")" $code

train run.dir="$scratch/again" run.start="$run/checkpoints/best" eval.before=true train.epochs=1
says 'run.start: 30 tensors of the tower, 4 of the adapters, 8 of the head from'
code=$?
check "what was taken is said: $(grep run.start "$scratch/err")" $code
[ "$(in_metrics map_binary "$scratch/again" before 0)" = "$(score map_binary "$run" --checkpoint best)" ]
check "a run begins where the other one's best was" $?
[ "$(score map_binary "$scratch/again" --untrained)" = "$(in_metrics map_binary "$scratch/again" before 0)" ]
check "--untrained is where it began" $?
cp -r "$scratch/again" "$scratch/moved"
mv "$run" "$scratch/elsewhere"
train run.dir="$scratch/moved" run.start="$run/checkpoints/best" eval.before=true train.epochs=1 --resume
check "a resume does not need the other run" $?
mv "$scratch/elsewhere" "$run"

train run.dir="$scratch/tower" model.weights="$run" adapter.targets=none model.train_all=true train.epochs=1 optim.lr=0 optim.lr_head=1e-3 optim.lr_min=0 optim.weight_decay=0
says '4 adapters of that run are not part of this model'
check "adapters that are left are warned about" $?
[ "$(score map_continuous "$scratch/tower" --untrained)" = "$(score map_continuous "$run" --untrained)" ]
check "a tower that is trained begins with the weights as well" $?
train run.dir="$scratch/classes" run.start="$run" method.name=classify method.views=1 train.epochs=1
says 'initial values stay for 0 tensors of the adapters, 2 of the head (head.weight, head.bias)' && says 'not part of this model and left: 8 tensors (hashcoder.0.bias'
code=$?
check "another head: $(grep run.start "$scratch/err")" $code

refused "another head size" 5 'tensor "hashcoder.2.weight" has shape (16, 32), the model has (8, 32)' run.start="$run" method.bits=8
refused "another rank" 5 'has shape (8, 32), the model has (4, 32); adapter.targets and adapter.rank' run.start="$run" adapter.rank=2
refused "another tower" 5 'has shape (32, 3, 8, 8), the model has (48, 3, 8, 8); model.image, model.patch and the sizes of the tower must be the same' run.start="$run" model.width=48
refused "a deeper tower" 5 'is missing; there must be a whole tower' run.start="$run" model.depth=3
refused "no run" 4 'is neither a run with a checkpoint (train it first) nor a checkpoint' run.start="$scratch/nothing"
refused "two towers" 3 'run.start: "a" brings a tower, and so does model.weights "b"; set one of them' run.start=a model.weights=b
refused "a rate of adapters that there are not" 3 'optim.lr_adapter: there are no adapters' adapter.targets=none optim.lr_adapter=1e-3
refused "a decay of a tower that is frozen" 3 "optim.decay_tower: the tower's own weights are not trained" optim.decay_tower=0
refused "a rate below the schedule's end" 3 'optim.lr_head: 1e-09 is below optim.lr_min 1e-06' optim.lr_head=1e-9
refused "a score that the method has not" 3 'run.best: crovca has no accuracy' run.best=accuracy
refused "patience without scores" 3 'train.patience: 3 counts scores; set eval.every' train.patience=3
refused "scores that are switched off" 3 'eval.every: 2 asks for scores, and eval.batch 0 switches them off' eval.every=2 eval.batch=0
# Without the file that the tower came from: the run has the weights itself, and what the file said of them.
"$bittern" export "$run" tower.safetensors >/dev/null && "$bittern" export "$run" other.safetensors --checkpoint 4 >/dev/null || exit 1
"$bittern" train "$s" run.dir="$scratch/wide" model.width=48 eval.batch=0 train.epochs=1 2>/dev/null && "$bittern" export "$scratch/wide" wide.safetensors >/dev/null || exit 1
sed "s|^model: .*|model: {weights: $scratch/given.safetensors}|" small.yaml >given.yaml
cp tower.safetensors given.safetensors
given() { "$bittern" train given.yaml run.dir="$scratch/$1" run.keep=0 eval.batch=0 "${@:2}" >"$scratch/out" 2>"$scratch/err"; }
given whole
check "a tower from a file" $?
part() { # run: its first half, as a kill leaves it
    rm -rf "$1" && cp -r whole "$1" && rm -rf "$1"/checkpoints/step_0000000[89] "$1"/checkpoints/step_000000[1-9]? && ln -sfn step_00000007 "$1/checkpoints/last"
}
part gone && rm given.safetensors
given gone --resume && says "given.safetensors is not there any more: the run has its weights itself" && same_run whole gone
check "a resume does not need the file" $?
given new
[ $? -eq 3 ] && says "model.weights: there is no $scratch/given.safetensors; name the place where it is (model.weights=FILE)"
check "a new run does" $?
part gone
given gone --resume model.weights="$scratch/tower.safetensors" && says "tower.safetensors is not read again: the run has its weights itself" && same_run whole gone
check "nor does it read one of another name" $?
cp other.safetensors given.safetensors && ! cmp -s tower.safetensors given.safetensors
check "a changed file of that name" $?
part gone
given gone --resume && same_run whole gone
check "does not reach the run" $?
cp wide.safetensors given.safetensors && part gone
given gone --resume
[ $? -eq 3 ] && says 'resume: model.width was "32"'
check "a file with another tower is refused" $?
rm given.safetensors

# Without its own: no checkpoint repeats them.
part gone && mv gone/base.safetensors away.safetensors
given gone --resume
[ $? -eq 4 ] && says "there is no $scratch/gone/base.safetensors: it holds the frozen weights of the run (CRC-32C "
check "frozen weights that are missing" $?
ln -s "$scratch/away.safetensors" gone/base.safetensors
given gone --resume && same_run whole gone
check "a link to another place" $?
part gone && printf '\x55' | dd of=gone/base.safetensors bs=1 seek=$(($(stat -c %s gone/base.safetensors) - 3)) conv=notrunc status=none
given gone --resume
[ $? -eq 5 ] && says 'are not the frozen weights that' && says 'was trained on (CRC-32C '
check "frozen weights that were changed" $?
answer "are not scored either" 5 'are not the frozen weights that' eval gone eval.batch=12
finish
