#!/usr/bin/env bash
# bittern train --json: one object on standard output, that says what the run's files and bittern eval say.   train.sh BITTERN
# Exit code 77: no python3, which reads it.
command -v python3 >/dev/null || { echo "skipped: no python3"; exit 77; }
. "$(dirname "$0")/common.sh"
agrees() { # object, run, "key=value" ...: with metrics.jsonl, the links, bittern eval RUN --json (./eval.json), and the values
    python3 - "$@" <<'END' >log 2>&1
import json, os, sys
found, run, wanted = json.load(open(sys.argv[1])), sys.argv[2], [w.split("=") for w in sys.argv[3:]]
lines = [json.loads(l) for l in open(run + "/metrics.jsonl")]
steps = [l for l in lines if l["kind"] == "step"]
scores = [l for l in lines if l["kind"] == "scores" and l["when"] != "before"]
assert found["run"] == run and found["steps"] == steps[-1]["step"] and found["loss"] == steps[-1]["loss"], (found, steps[-1])
assert found["seconds"] > 0
if scores:
    best = max(scores, key=lambda s: (s[found["best_by"]], -s["step"]))
    assert (found["best_step"], found["best_score"]) == (best["step"], best[found["best_by"]]), (found, best)
    assert os.readlink(run + "/checkpoints/best") == "step_%08d" % found["best_step"]
    evaluated = json.load(open("eval.json"))
    keys = {k for k in evaluated if k.startswith("map_")} | {"accuracy", "k"}
    assert len(keys) == 15 and {k: found[k] for k in keys} == {k: evaluated[k] for k in keys}, (found, evaluated)
else:
    assert found["best_step"] is None and found["best_score"] is None and not any(k.startswith("map") for k in found), found
for key, value in wanted:
    assert json.dumps(found[key]) == value, (key, found[key], value)
END
}
says_nothing() { [ ! -s out ]; }

answer "a run" 0 'step 16/16' train small.yaml eval.every=1 --json
cp out first.json && ! grep -q '^step' out
check "progress is not on standard output" $?
"$bittern" eval run --json >eval.json 2>err
agrees first.json "$scratch/run" steps=16 epochs=4 stopped_early=false best_by='"map_binary"' accuracy=null
code=$?
check "it says what the run's files say: $(tail -n 1 log)" $code
answer "the finished run once more" 0 'map_binary' train small.yaml eval.every=1 --json --resume
cmp -s out first.json
check "the same object" $?
answer "without --json" 0 '' train small.yaml eval.every=1 --resume
says_nothing
check "nothing is on standard output" $?

answer "a classifier that stops early" 0 'train.patience' train small.yaml run.dir=patient method.name=classify method.views=1 eval.every=1 train.patience=1 train.epochs=200 optim.lr=1e-5 optim.lr_min=0 optim.lr_head=1e-5 run.log_every=7 --json
cp out patient.json
"$bittern" eval patient --json >eval.json 2>err
python3 - <<'END' >log 2>&1
import json
found, evaluated = json.load(open("patient.json")), json.load(open("eval.json"))
assert found["stopped_early"] is True and found["best_by"] == "accuracy" and found["steps"] == 4 * found["epochs"] < 800, found
assert found["accuracy"] == evaluated["accuracy"] and found["map_binary"] is None and found["loss"] > 0, found
END
code=$?
check "its object: $(tail -n 1 log)" $code
answer "without scores" 0 '"best_step": null' train small.yaml run.dir=unscored eval.batch=0 --json
cp out unscored.json
agrees unscored.json unscored steps=16 epochs=4 best_by='"map_binary"'
code=$?
check "its object: $(tail -n 1 log)" $code

answer "a loss that is no number" 9 'the loss is' train small.yaml run.dir=inf optim.lr=10 optim.lr_min=10 optim.weight_decay=10 optim.eps=0 train.epochs=400 method.rate_weight=0 method.align_weight=1e6 run.checkpoint_every=0 --json
says_nothing
check "prints nothing" $?
"$bittern" train small.yaml run.dir=full eval.batch=0 --json >/dev/full 2>err
code=$?
check "standard output that is full: $(tail -n 1 err)" "$([ $code -eq 4 ] && grep -q 'standard output' err; echo $?)"
finish
