# Shared by the tests of the command: a scratch folder, a few generated pictures, a configuration that trains in seconds.
set -u
bittern=$1
scratch=$(mktemp -d /tmp/bittern_cli.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
export OMP_NUM_THREADS=1
# A report's plots are painted with fonts, and fontconfig keeps what it read: in a build with sanitizers that is no leak of ours.
echo 'leak:libfontconfig' >"$scratch/lsan"
export LSAN_OPTIONS=suppressions=$scratch/lsan:print_suppressions=0${LSAN_OPTIONS:+:$LSAN_OPTIONS}
passed=0 failed=0

"$bittern" demo "$scratch/pictures" --per-class 16 --size 16 >/dev/null || { echo "cannot make pictures"; exit 1; }
cat >"$scratch/small.yaml" <<END
model: {name: custom, image: 16, patch: 8, width: 32, depth: 2, heads: 2}
adapter: {targets: "q,v", rank: 4, dropout: 0.1}
method: {name: crovca, bits: 16}
data: {root: $scratch/pictures, train: 8, query: 2}
train: {epochs: 4, batch: 12}
run: {dir: $scratch/run, log_every: 1, checkpoint_every: 1, threads: 1}
eval: {k: 10, batch: 12, before: false}
END

check() { # what, condition's exit code
    if [ "$2" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $1"; fi
}

# Kills (SIGKILL) at random moments, on a machine and in a build of any speed: a moment is drawn from `kill_within_ms`, which begins as half
# again what the command takes undisturbed, and follows how it goes: longer after a kill, shorter after an end.
milliseconds() { echo $(($(date +%s%N) / 1000000)); }
undisturbed() { # command...: runs it, and sets what a kill is drawn from; its exit code
    local began code=0
    began=$(milliseconds)
    "$@" >/dev/null 2>"$scratch/killed.log" || code=$?
    kill_within_ms=$((($(milliseconds) - began) * 3 / 2 + 20))
    return $code
}
killed_at_random() { # command...: its exit code, 137 where it was killed (wait says so: a process may end between the moment and the kill)
    local pid code=0 ms=$(((RANDOM * 32768 + RANDOM) % kill_within_ms))
    "$@" >/dev/null 2>"$scratch/killed.log" &
    pid=$!
    sleep "$((ms / 1000)).$(printf '%03d' $((ms % 1000)))"
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null || code=$?
    if [ $code -eq 137 ]; then kill_within_ms=$((kill_within_ms * 9 / 8 + 1)); else kill_within_ms=$((kill_within_ms * 3 / 4 + 1)); fi
    return $code
}
finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
}
