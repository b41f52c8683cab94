#!/usr/bin/env bash
# A run that is stopped, or killed at random moments, and resumed ends with the same bits as one that was not.   resume.sh BITTERN SOURCE_FOLDER [KILLS]
. "$(dirname "$0")/common.sh"
kills=${3:-20}
newest() { find "$1/checkpoints" -maxdepth 1 -name 'step_????????' | sort | tail -n 1; }
same() { cmp -s "$(newest "$1")/model.safetensors" "$(newest "$2")/model.safetensors" && cmp -s "$(newest "$1")/optim.safetensors" "$(newest "$2")/optim.safetensors"; }

"$bittern" train "$scratch/small.yaml" run.dir="$scratch/whole" 2>"$scratch/log" || { cat "$scratch/log"; exit 1; }
check "the run made 16 steps" "$([ "$(basename "$(newest "$scratch/whole")")" = step_00000016 ]; echo $?)"

for threads in 1 4; do
    run=$scratch/threads$threads
    "$bittern" train "$scratch/small.yaml" run.dir="$run" data.loader_threads=$threads 2>/dev/null
    check "$threads loader threads, same bits" "$(same "$scratch/whole" "$run"; echo $?)"
done

# SIGTERM: saved, exit code 11, and the message says how to go on. More epochs than it can finish before the signal.
run=$scratch/term
"$bittern" train "$scratch/small.yaml" run.dir="$run" train.epochs=4000 run.checkpoint_every=0 run.log_every=100000 2>"$scratch/log" &
pid=$!
sleep 1.5
kill -TERM $pid
wait $pid
check "SIGTERM ends with exit code 11" "$([ $? -eq 11 ]; echo $?)"
check "SIGTERM's message" "$(grep -q 'interrupted by signal 15; saved at step .* continue with --resume' "$scratch/log"; echo $?)"
check "SIGTERM left a checkpoint" "$([ -n "$(newest "$run")" ]; echo $?)"

lines() { grep -c '"kind":"step"' "$1/metrics.jsonl"; }

# kill -9 at random moments (seeded), resumed each time; steps take a few milliseconds, so the kill falls anywhere.
RANDOM=7
kill_and_resume() { # name of the run, a run that was not killed, steps, kills, key=value...
    local run=$scratch/$1 whole=$2 steps=$3 wanted=$4 done_kills=0 pid i
    shift 4
    for ((i = 0; i < wanted * 5 && done_kills < wanted; i++)); do
        "$bittern" train "$scratch/small.yaml" run.dir="$run" "$@" --resume >/dev/null 2>"$scratch/log" &
        pid=$!
        sleep 0.$(printf '%03d' $((RANDOM % 200 + 5)))
        if kill -9 $pid 2>/dev/null; then done_kills=$((done_kills + 1)); fi
        wait $pid 2>/dev/null
        if [ "$(basename "$(newest "$run" 2>/dev/null)" 2>/dev/null)" = "$(printf 'step_%08d' "$steps")" ]; then
            check "killed and resumed, same bits ($run)" "$(same "$whole" "$run"; echo $?)"
            rm -rf "$run"
        fi
    done
    "$bittern" train "$scratch/small.yaml" run.dir="$run" "$@" --resume >/dev/null 2>"$scratch/log"
    check "$done_kills kills, then to the end" "$([ $done_kills -eq "$wanted" ]; echo $?)"
    check "killed and resumed to the end, same bits ($run)" "$(same "$whole" "$run"; echo $?)"
    check "no half-written checkpoint or link is left" "$([ -z "$(find "$run/checkpoints" -name '*.partial-*')" ]; echo $?)"
    check "metrics have each step once" "$([ "$(lines "$run")" -eq "$steps" ] && [ "$(lines "$whole")" -eq "$steps" ]; echo $?)"
    for link in last best; do
        check "the same $link ($run)" "$([ "$(readlink "$run/checkpoints/$link")" = "$(readlink "$whole/checkpoints/$link")" ] && [ -f "$run/checkpoints/$link/state.json" ]; echo $?)"
    done
    grep '"kind":"scores"' "$whole/metrics.jsonl" >"$scratch/scores_whole"
    grep '"kind":"scores"' "$run/metrics.jsonl" | cmp -s - "$scratch/scores_whole"
    check "the same scores, each once ($run)" $?
}
kill_and_resume killed "$scratch/whole" 16 "$kills"

# With moving averages, scores after every epoch, and few checkpoints kept: the best one stays.
scored=(eval.every=1 train.ema=0.9 run.keep=1 eval.k=100 eval.before=true optim.lr_head=5e-3)
"$bittern" train "$scratch/small.yaml" run.dir="$scratch/scored" "${scored[@]}" 2>/dev/null
check "the averages are not the weights" "$(! cmp -s "$(newest "$scratch/scored")/model.safetensors" "$(newest "$scratch/scored")/average.safetensors"; echo $?)"
kill_and_resume killed_scored "$scratch/scored" 16 "$kills" "${scored[@]}"
check "the same averages" "$(cmp -s "$(newest "$scratch/scored")/average.safetensors" "$(newest "$scratch/killed_scored")/average.safetensors"; echo $?)"

# The best of the scores is what the link says, and nothing but it and the newest is kept.
best_step() { python3 -c '
import json, sys
scores = [s for s in map(json.loads, open(sys.argv[1])) if s["kind"] == "scores" and s["when"] != "before"]
print("step_%08d" % max(scores, key=lambda s: (s[sys.argv[2]] * (-1 if sys.argv[2] == "loss" else 1), -s["step"]))["step"])' "$1/metrics.jsonl" "$2"; }
if command -v python3 >/dev/null; then
    check "best is the best" "$([ "$(readlink "$scratch/scored/checkpoints/best")" = "$(best_step "$scratch/scored" map_binary)" ]; echo $?)"
    for score in loss map_continuous; do
        "$bittern" train "$scratch/small.yaml" run.dir="$scratch/scored" "${scored[@]}" --resume run.best=$score 2>"$scratch/log"
        wanted=$(best_step "$scratch/scored" $score)
        check "best by $score, judged again on resume" "$([ "$(readlink "$scratch/scored/checkpoints/best")" = "$wanted" ] || grep -q "the best checkpoint, of step $((10#${wanted#step_}))," "$scratch/log"; echo $?)"
    done
fi

# Patience: the run ends early, and a resumed one does too.
patient=(eval.every=1 train.patience=2 train.epochs=40 eval.k=100)
"$bittern" train "$scratch/small.yaml" run.dir="$scratch/patient" "${patient[@]}" 2>"$scratch/log"
check "patience ends a run" "$(grep -q 'stopped at step .* scores ago (train.patience)' "$scratch/log" && [ "$(lines "$scratch/patient")" -lt 160 ]; echo $?)"
steps=$(lines "$scratch/patient")
"$bittern" train "$scratch/small.yaml" run.dir="$scratch/patient" "${patient[@]}" --resume 2>"$scratch/log"
check "and a resumed one at once" "$([ "$(lines "$scratch/patient")" -eq "$steps" ] && ! grep -q '^step' "$scratch/log"; echo $?)"
kill_and_resume killed_patient "$scratch/patient" "$steps" $((kills / 4 + 1)) "${patient[@]}"
finish
