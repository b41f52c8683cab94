#!/usr/bin/env bash
# From nothing to measured codes on a bare Debian 12, within ten minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")"

usage() {
    cat <<'END'
usage: ./quickstart.sh [--seed N]

Installs what is missing (setup.sh), builds, generates a world of 50 bird species, trains a small encoder on 30 of them,
adapts it with CroVCA and LoRA to the other 20, and scores 64-bit codes of birds that no training saw.

  --seed N   another seed, another world: a whole number (default 1)
  --help     this text

Everything lies under runs/quickstart, which is made anew each time; the build is build/quickstart, logs are in build/logs.
END
}

fail() { # message
    echo "quickstart: $1" >&2
    echo "./quickstart.sh --help tells what there is" >&2
    exit 2
}

seed=1
while [ $# -gt 0 ]; do
    case $1 in
    --seed) [ $# -ge 2 ] || fail "--seed needs a value: a whole number"; seed=$2; shift 2 ;;
    --seed=*) seed=${1#--seed=}; shift ;;
    --help | -h) usage; exit 0 ;;
    *) fail "unknown argument $1; allowed: --seed N, --help" ;;
    esac
done
[[ $seed =~ ^[0-9]{1,15}$ ]] || fail "--seed: found \"$seed\", expected a whole number between 0 and 999999999999999"

bittern=build/quickstart/bittern run=runs/quickstart logs=build/logs
begin=$SECONDS
mkdir -p "$logs"

step() { # name of its log, what it does, command...
    local log=$logs/quickstart.$1 what=$2 start=$SECONDS code=0
    shift 2
    printf '%-66s' "$what"
    "$@" >"$log" 2>&1 || code=$?
    if [ $code -ne 0 ]; then
        printf '\n'
        tail -n 20 "$log" >&2
        echo "quickstart: this step failed with exit code $code; its log is $log" >&2
        exit $code
    fi
    printf '%4d s\n' $((SECONDS - start))
}
build() {
    cmake --preset release -B build/quickstart -DBITTERN_CUDA=OFF -DBITTERN_TESTS=OFF
    cmake --build build/quickstart -j "$(nproc)" --target bittern-cli
}

step setup "packages that are missing" ./setup.sh
step build "build" build
rm -rf "$run"
step fen "world $seed: 50 species, 12,000 pictures of 64 x 64" \
    $bittern fen $run/world --species 50 --images 240 --size 64 --seed "$seed" --songs 1
step encoder "encoder: cross entropy on 30 species" $bittern train experiments/quickstart/encoder.yaml
step codes "codes: CroVCA with LoRA on the other 20 species" $bittern train experiments/quickstart/codes.yaml
step eval "scores beside random weights and training-free codes" $bittern eval $run
echo
awk '/^[a-z]+ +@/ { tables++ } tables < 2 || /^[0-9]+ bits:/' $logs/quickstart.eval # the scores of species; the log has genus, family, order
cat <<END

pictures  $run/world (sheet.png shows the species)
report    $run/report.html
scores    $bittern eval $run --json
$((SECONDS - begin)) s in all
END
