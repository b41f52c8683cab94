#!/usr/bin/env bash
# A run that is stopped, or killed at random moments, and resumed ends with the same bits as one that was not.   resume.sh BITTERN SOURCE_FOLDER [KILLS]
. "$(dirname "$0")/common.sh"
kills=${3:-20}

"$bittern" train "$scratch/small.yaml" run.dir="$scratch/whole" 2>"$scratch/log" || { cat "$scratch/log"; exit 1; }
check "the run made 16 steps" "$([ "$(basename "$(newest "$scratch/whole")")" = step_00000016 ]; echo $?)"

for threads in 1 4; do
    run=$scratch/threads$threads
    "$bittern" train "$scratch/small.yaml" run.dir="$run" data.loader_threads=$threads 2>/dev/null
    check "$threads loader threads, same bits" "$(same_run "$scratch/whole" "$run"; echo $?)"
done

# SIGTERM once steps are made: saved, exit code 11, and the message says how to go on. More epochs than any machine finishes before the signal.
# A log of its own: the steps of an earlier run would send the signal before the program has begun.
run=$scratch/term
"$bittern" train "$scratch/small.yaml" run.dir="$run" train.epochs=40000 run.checkpoint_every=0 2>"$scratch/term.log" &
pid=$!
for ((i = 0; i < 6000; i++)); do
    grep -q '^step' "$scratch/term.log" 2>/dev/null && break
    sleep 0.02
done
kill -TERM $pid
wait $pid
check "SIGTERM ends with exit code 11" "$([ $? -eq 11 ]; echo $?)"
check "SIGTERM's message" "$(grep -q 'interrupted by signal 15; saved at step .* continue with --resume' "$scratch/term.log"; echo $?)"
check "SIGTERM left a checkpoint" "$([ -n "$(newest "$run")" ]; echo $?)"

lines() { grep -c '"kind":"step"' "$1/metrics.jsonl"; }

# Killed at random moments (seeded), resumed each time: until so many kills have happened, a quarter of them between the first checkpoint and
# the last, and the run that they disturbed has ended by itself.
RANDOM=7
kill_and_resume() { # name of the run, a run that was not killed, steps, kills, key=value...
    local name=$1 whole=$2 steps=$3 wanted=$4 run=$scratch/$1 kills=0 between=0 here=0 ended=0 code=0 i last
    shift 4
    last=$(printf 'step_%08d' "$steps")
    undisturbed "$bittern" train "$scratch/small.yaml" run.dir="$scratch/undisturbed" "$@"
    check "$name: a run that is not killed" $?
    rm -rf "$scratch/undisturbed"
    for ((i = 0; i < wanted * 20 + 100; i++)); do
        code=0
        killed_at_random "$bittern" train "$scratch/small.yaml" run.dir="$run" "$@" --resume || code=$?
        if [ $code -eq 137 ]; then
            kills=$((kills + 1))
            found=$(newest "$run")
            [ -n "$found" ] && [ "$(basename "$found")" != "$last" ] && between=$((between + 1)) here=$((here + 1))
            continue
        fi
        ended=$((ended + 1))
        [ $code -eq 0 ] && same_run "$whole" "$run"
        check "$name: killed $here times between steps and resumed, exit code $code, same bits" $?
        [ $code -ne 0 ] || { [ $kills -ge "$wanted" ] && [ $((between * 4)) -ge "$wanted" ] && [ $here -gt 0 ]; } && break
        rm -rf "$run"
        here=0
    done
    check "$name: $kills kills (of $wanted), $between between steps, $here of them in the run that ended ($ended did)" \
        "$([ $code -eq 0 ] && [ $kills -ge "$wanted" ] && [ $((between * 4)) -ge "$wanted" ] && [ $here -gt 0 ]; echo $?)"
    check "no half-written checkpoint or link is left" "$([ -z "$(find "$run/checkpoints" -name '*.partial-*')" ]; echo $?)"
    check "metrics have each step once" "$([ "$(lines "$run")" -eq "$steps" ] && [ "$(lines "$whole")" -eq "$steps" ]; echo $?)"
    for link in last best; do
        check "the same $link ($run)" "$([ "$(readlink "$run/checkpoints/$link")" = "$(readlink "$whole/checkpoints/$link")" ] && [ -f "$run/checkpoints/$link/state.json" ]; echo $?)"
    done
    grep '"kind":"scores"' "$whole/metrics.jsonl" >"$scratch/scores_whole"
    grep '"kind":"scores"' "$run/metrics.jsonl" | cmp -s - "$scratch/scores_whole"
    check "the same scores, each once ($run)" $?
}
kill_and_resume killed "$scratch/whole" 16 "$kills" eval.report=true

# With moving averages, scores after every epoch, and few checkpoints kept: the best one stays.
lean=(eval.report=false eval.baselines=false eval.resamples=0) # most of the time is in the steps: kills fall there
scored=(eval.every=1 train.ema=0.9 run.keep=1 eval.k=100 eval.before=true optim.lr_head=5e-3 "${lean[@]}")
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
patient=(eval.every=1 train.patience=2 train.epochs=40 eval.k=100 "${lean[@]}")
"$bittern" train "$scratch/small.yaml" run.dir="$scratch/patient" "${patient[@]}" 2>"$scratch/log"
check "patience ends a run" "$(grep -q 'stopped at step .* scores ago (train.patience)' "$scratch/log" && [ "$(lines "$scratch/patient")" -lt 160 ]; echo $?)"
steps=$(lines "$scratch/patient")
"$bittern" train "$scratch/small.yaml" run.dir="$scratch/patient" "${patient[@]}" --resume 2>"$scratch/log"
check "and a resumed one at once" "$([ "$(lines "$scratch/patient")" -eq "$steps" ] && ! grep -q '^step' "$scratch/log"; echo $?)"
kill_and_resume killed_patient "$scratch/patient" "$steps" $((kills / 4 + 1)) "${patient[@]}"
finish
