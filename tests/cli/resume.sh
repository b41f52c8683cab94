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

# kill -9 at random moments (seeded), resumed each time; steps take a few milliseconds, so the kill falls anywhere.
run=$scratch/killed
RANDOM=7 done_kills=0
for ((i = 0; i < kills * 5 && done_kills < kills; i++)); do
    "$bittern" train "$scratch/small.yaml" run.dir="$run" train.epochs=4 --resume >/dev/null 2>"$scratch/log" &
    pid=$!
    sleep 0.$(printf '%03d' $((RANDOM % 200 + 5)))
    if kill -9 $pid 2>/dev/null; then done_kills=$((done_kills + 1)); fi
    wait $pid 2>/dev/null
    if [ "$(basename "$(newest "$run" 2>/dev/null)" 2>/dev/null)" = step_00000016 ]; then
        check "killed and resumed, same bits" "$(same "$scratch/whole" "$run"; echo $?)"
        rm -rf "$run"
    fi
done
"$bittern" train "$scratch/small.yaml" run.dir="$run" --resume >/dev/null 2>"$scratch/log"
check "$done_kills kills, then to the end" "$([ $done_kills -eq "$kills" ]; echo $?)"
check "killed and resumed to the end, same bits" "$(same "$scratch/whole" "$run"; echo $?)"
check "no half-written checkpoint is left" "$([ -z "$(find "$run/checkpoints" -name '*.partial-*')" ]; echo $?)"
lines() { grep -c '"kind":"step"' "$1/metrics.jsonl"; }
check "metrics have each step once" "$([ "$(lines "$run")" -eq 16 ] && [ "$(lines "$scratch/whole")" -eq 16 ]; echo $?)"
finish
