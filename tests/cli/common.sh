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
finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
}
