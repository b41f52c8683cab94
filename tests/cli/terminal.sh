#!/usr/bin/env bash
# What a run shows on a terminal and elsewhere: one line that is redrawn, or plain lines.   terminal.sh BITTERN
# Exit code 77: no python3, which plays the terminal.
command -v python3 >/dev/null || { echo "skipped: no python3"; exit 77; }
. "$(dirname "$0")/common.sh"
terminal=$here/terminal.py
epochs=6
show() { # name, columns, environment..., then the run in a terminal of that width; its record in $scratch/NAME
    local name=$1 columns=$2
    shift 2
    python3 "$terminal" "$scratch/$name" "$columns" "$@" "$bittern" train "$scratch/small.yaml" run.dir="$scratch/run_$name" eval.every=2 train.epochs=$epochs eval.before=true
}
train() { # as show, and it must go well
    show "$@"
    check "a run in a terminal, $1" $?
}
train wide 120 TERM=xterm
grep -Eq 'step [0-9]+/24  [0-9]+ %  epoch [1-6]/6  loss [0-9.]+  [0-9.]+ views/s  waiting [0-9]+ %( \((read|decode|augment|copy)\))?  [0-9:?]+ left' "$scratch/wide.drawn"
check "the line tells step, share, epoch, loss, rate, waiting, time left" $?
grep -q 'scores: embedding' "$scratch/wide.drawn"
check "scores are announced" $?
! grep -Eq '^step |left$|embedding' "$scratch/wide.screen"
check "nothing of the line is left behind" $?
[ "$(grep -c '^scores ' "$scratch/wide.screen")" -eq 4 ] && grep -q '^data: 6 classes' "$scratch/wide.screen"
check "log lines stay whole" $?
train narrow 32 TERM=xterm
[ "$(awk '{ if (length($0) > m) m = length($0) } END { print m }' "$scratch/narrow.drawn")" -le 31 ]
check "a narrow terminal gets a line that fits" $?
! grep -Eq 'left$' "$scratch/narrow.screen"
check "nothing is left behind on a narrow terminal" $?
# A line that is drawn or taken back while the terminal changes its width cannot be taken back by anybody, and a run can be over before the
# width changes: each try is longer than the one before.
for epochs in 6 10 16 24 36 54 80 120; do
    rm -rf "$scratch/run_resized"
    show resized 100:50 TERM=xterm && ! grep -Eq 'left$|^step ' "$scratch/resized.screen" && break
done
code=$?
check "nothing is left behind when the terminal becomes narrower ($epochs epochs)" $code
epochs=6
for plain in TERM=dumb TERM= NO_COLOR=1; do
    rm -rf "$scratch/run_plain"
    train plain 100 TERM=xterm "$plain"
    ! grep -q $'\033' "$scratch/plain.raw" && [ "$(grep -c '^step [0-9]*/24 epoch' "$scratch/plain.raw")" -eq 24 ]
    check "$plain gives plain lines" $?
done
TERM=xterm "$bittern" train "$scratch/small.yaml" run.dir="$scratch/run_file" 2>"$scratch/file"
! grep -q $'\033\|\r' "$scratch/file" && [ "$(grep -c '^step [0-9]*/16 epoch' "$scratch/file")" -eq 16 ]
check "a file gets plain lines" $?
python3 "$terminal" "$scratch/error" 80 TERM=xterm "$bittern" train "$scratch/small.yaml" run.dir="$scratch/run_error" optim.lr=10 optim.lr_min=10 optim.weight_decay=10 optim.eps=0 train.epochs=400 method.rate_weight=0 method.align_weight=1e6 run.checkpoint_every=0
check "a run that fails in a terminal ends with its code" "$([ $? -eq 9 ]; echo $?)"
tail -n 1 "$scratch/error.screen" | grep -q '^bittern: step' || tail -n 3 "$scratch/error.screen" | grep -q '^bittern: step'
check "the error stands on a line of its own" $?
finish
