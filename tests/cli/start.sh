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
finish
