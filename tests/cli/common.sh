# Shared by the tests of the command, which begin with   . "$(dirname "$0")/common.sh"
#   $bittern, $root, $here   the program (the first argument), the source folder, the folder of the test
#   $scratch                 a folder of the test's own, where it works; gone at the end
#   pictures, small.yaml     there: six classes of 16 pictures, and a configuration that trains on them in seconds.
#                            Without: pictures=none . "$(dirname "$0")/common.sh"
#                            A training makes its report, which takes longer than its steps, with reports=made . "$(dirname "$0")/common.sh"
set -u
bittern=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
scratch=$(mktemp -d /tmp/bittern_cli.XXXXXX)
# Not in a subshell: one that is ended by a signal before it has become the command of `&` would run this too.
trap '[ "$BASHPID" -ne $$ ] || { umount "$scratch/disk" 2>/dev/null; rm -rf "$scratch"; }' EXIT
cd "$scratch" || exit 1
export OMP_NUM_THREADS=1
# A report's plots are painted with fonts, and fontconfig keeps what it read: in a build with sanitizers that is no leak of ours.
echo 'leak:libfontconfig' >lsan
export LSAN_OPTIONS=suppressions=$scratch/lsan:print_suppressions=0${LSAN_OPTIONS:+:$LSAN_OPTIONS}

# ---- counting ----
passed=0 failed=0
check() { # what, condition's exit code
    if [ "$2" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $1"; fi
}
finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
}

# ---- what a command answers ----
expect() { # what, exit code, text, command...: the code, and the text in what it says: an error's on standard error. Leaves ./out and ./err
    local what=$1 code=$2 text=$3 found=0 said
    shift 3
    "$@" >"$scratch/out" 2>"$scratch/err" || found=$?
    said=$(cat "$scratch/err")
    [ "$code" -ne 0 ] || said+=$(cat "$scratch/out")
    [ $found -eq "$code" ] && [[ $said == *"$text"* ]]
    check "$what: exit code $found (expected $code), message: $said (expected: $text)" $?
}
answer() { # what, exit code, text, arguments of bittern...
    expect "$1" "$2" "$3" "$bittern" "${@:4}"
}
refused() { # what, exit code, text, key=value...: a training by $config in a folder that is not there yet
    rm -rf "$scratch/refused"
    answer "$1" "$2" "$3" train "${config:-$scratch/small.yaml}" run.dir="$scratch/refused" "${@:4}"
}
says() { grep -qF -- "$1" "$scratch/err"; } # text: the last answer's standard error has it

# ---- what there is ----
python_with() { # module: sets $python
    local candidate
    for candidate in "${BITTERN_PYTHON:-}" /usr/bin/python3 python3; do
        [ -n "$candidate" ] && "$candidate" -c "import $1" 2>/dev/null && python=$candidate && return
    done
    python=
    return 1
}
need_python() { # module, name, Debian's package: without it the test is skipped
    python_with "$1" || { echo "skipped: no Python with $2 (Debian: $3)"; exit 77; }
}
small_disk() { # size: an empty disk of that size at ./disk, until close_disk
    mkdir -p "$scratch/disk"
    mount -t tmpfs -o "size=$1" tmpfs "$scratch/disk" 2>/dev/null && return
    echo "skipped: full disk (no right to mount a tmpfs)"
    return 1
}
close_disk() { umount "$scratch/disk"; }

# ---- runs ----
newest() { find "$1/checkpoints" -maxdepth 1 -name 'step_????????' 2>/dev/null | sort | tail -n 1; }
same_run() { # two runs: the same bits in their newest checkpoints
    local file
    for file in model optim; do cmp -s "$(newest "$1")/$file.safetensors" "$(newest "$2")/$file.safetensors" || return 1; done
}

# ---- kills ----
# SIGKILL at random moments, on a machine and in a build of any speed: a moment is drawn from `kill_within_ms`, which begins as half
# again what the command takes undisturbed, and follows how it goes: longer after a kill, shorter after an end.
milliseconds() { echo $(($(date +%s%N) / 1000000)); }
undisturbed() { # command...: runs it, and sets what a kill is drawn from; its exit code
    local began code=0
    began=$(milliseconds)
    "$@" >/dev/null 2>"$scratch/err" || code=$?
    kill_within_ms=$((($(milliseconds) - began) * 3 / 2 + 20))
    return $code
}
killed_at_random() { # command...: its exit code, 137 where it was killed (wait says so: a process may end between the moment and the kill)
    local pid code=0 ms=$(((RANDOM * 32768 + RANDOM) % kill_within_ms))
    "$@" >/dev/null 2>"$scratch/err" &
    pid=$!
    sleep "$((ms / 1000)).$(printf '%03d' $((ms % 1000)))"
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null || code=$?
    if [ $code -eq 137 ]; then kill_within_ms=$((kill_within_ms * 9 / 8 + 1)); else kill_within_ms=$((kill_within_ms * 3 / 4 + 1)); fi
    return $code
}

if [ "${pictures:-}" != none ]; then
    "$bittern" demo pictures --per-class 16 --size 16 >/dev/null || { echo "cannot make pictures"; exit 1; }
    cat >small.yaml <<END
model: {name: custom, image: 16, patch: 8, width: 32, depth: 2, heads: 2}
adapter: {targets: "q,v", rank: 4, dropout: 0.1}
method: {name: crovca, bits: 16}
data: {root: $scratch/pictures, train: 8, query: 2}
train: {epochs: 4, batch: 12}
run: {dir: $scratch/run, log_every: 1, checkpoint_every: 1, threads: 1}
eval: {k: 10, batch: 12, before: false, report: $([ "${reports:-}" = made ] && echo true || echo false)}
END
fi
