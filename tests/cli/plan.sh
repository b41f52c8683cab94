#!/usr/bin/env bash
# The memory plans of training steps, judged by tools/plan_bound.py from the operands alone: nothing alive overlaps, the block is at most
# 1.03 times the largest sum of bytes alive at once, and a block of the tower keeps at most 11 elements per token and width.   plan.sh BITTERN
. "$(dirname "$0")/common.sh"
bound=$root/tools/plan_bound.py
if ! command -v python3 >/dev/null; then
    echo "skipped: plan_bound.py needs python3"
    exit 77
fi
plan_of() { # limit of what is kept per block, key=value...
    local saved=$1
    shift
    "$bittern" inspect plan "$scratch/small.yaml" "$@" --json >"$scratch/plan.json" && python3 "$bound" "$scratch/plan.json" --saved-per-block "$saved"
    check "plan with ${*:-the defaults}" $?
}
python3 "$bound" --self-test
check "plan_bound.py catches broken plans" $?
for depth in 4 12 24; do
    plan_of 11 model.depth=$depth
    plan_of 11 model.depth=$depth run.dtype=bf16 adapter.targets=q,v,proj,fc1,fc2
done
plan_of 11 model.depth=12 model.layer_scale=true run.dtype=bf16 run.device=cuda # pairs made one instruction, in builds with CUDA
plan_of 2 model.depth=12 train.recompute=blocks
plan_of 2 model.depth=4 model.layer_scale=true train.recompute=blocks run.device=cuda
plan_of 12 model.depth=4 train.recompute=none model.layer_scale=true method.views=3
plan_of 11 train.chunk=4 run.dtype=bf16
plan_of 11 model.train_all=true adapter.targets=none model.registers=2 method.supervised=true
plan_of 11 method.name=classify model.train_all=true adapter.targets=none method.views=1 optim.clip=1
# Looking at a plan needs neither data nor a GPU; what is assumed or left out is said.
printf 'model: {name: custom, image: 16, patch: 8, width: 32, depth: 1, heads: 2}\nmethod: {name: crovca, supervised: true}\ntrain: {batch: 8}\n' >"$scratch/bare.yaml"
answer "plan without data" 0 'data not available, 100 classes assumed: data.root is not set' inspect plan bare.yaml
answer "plan for cuda" 0 '' inspect plan small.yaml run.device=cuda adapter.targets=none train.chunk=4
check "missing scratch is said" "$([ "$(grep -c 'MB without scratch;' out)" -eq "$(grep -c '^scratch not available, the block is without it: ' out)" ]; echo $?)"
check "classes of the data are not assumed" "$(! grep -q assumed out; echo $?)"
answer "a device that no build has" 7 'no device "tpu"' inspect plan small.yaml run.device=tpu
finish
