#!/usr/bin/env bash
# The CIFAR-10 table of README.md: encoder, then CroVCA at 16, 32, 64 bits, with and without labels, three seeds each. What is there is not run again,
# and what was interrupted goes on. About ten minutes a run on one core.
#   experiments/crovca/cifar10.sh [BITTERN [THREADS]]; then experiments/crovca/cifar10_table.py
set -euo pipefail
cd "$(dirname "$0")/../.."
bittern=${1:-build/release/bittern} threads=${2:-0}
here=experiments/crovca runs=runs/cifar10
if [ ! -d build/cifar10/train ]; then
    mkdir -p build/cifar10
    tar -xJf ../shared/data/cifar10/cifar10_train_jpeg.tar.xz -C build/cifar10
fi
mkdir -p $runs

train() { # run, configuration, key=value...
    local run=$1
    shift
    if [ ! -e "$run/done" ]; then
        "$bittern" train "$@" run.dir="$run" run.threads="$threads" eval.report=false --resume 2>>"$run.log"
        touch "$run/done"
    fi
}
train $runs/encoder $here/encoder.yaml

# Training takes the first 1,000 of the encoder's 2,000 images of each class; scores are over the 2,900 that no training saw (data.train=2000 says so).
for seed in 1 2 3; do
    for bits in 32 16 64; do
        for supervised in false true; do
            run=$runs/bits${bits}_supervised_${supervised}_seed$seed
            train $run $here/cifar10.yaml method.bits=$bits method.supervised=$supervised run.seed=$seed data.train=1000 eval.batch=0
            baselines=false # random weights and the frozen encoder are the same whatever the bits
            if [ "$bits $supervised" = "32 false" ]; then baselines=true; fi
            if [ ! -e "$run/evaluation.json" ]; then
                "$bittern" eval $run run.threads="$threads" data.train=2000 eval.batch=100 eval.baselines=$baselines >/dev/null 2>>"$run.log"
            fi
        done
    done
done
