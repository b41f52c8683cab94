#!/usr/bin/env bash
# augment.in_step: the same training, to the bit, whoever makes the views.   in_step.sh BITTERN
. "$(dirname "$0")/common.sh"

colour=(augment.jitter=0.8 augment.grey=0.2 augment.blur=0.5 augment.solarize=0.2)
train() { # run, key=value...
    local run=$1
    shift
    "$bittern" train small.yaml run.dir="$run" eval.batch=0 train.epochs=2 "${colour[@]}" "$@" 2>log || cat log
}

# Pictures of 16 pixels: smaller than their two views of 16, larger than two of 8.
for image in 16 8; do
    size=(model.image=$image model.patch=$((image / 2)))
    train "views$image" "${size[@]}"
    train "step$image" "${size[@]}" augment.in_step=true data.loader_threads=3
    same_run "views$image" "step$image"
    check "the step's views, of $image pixels, give the same bits" $?
    train "chunks$image" "${size[@]}" train.chunk=4
    train "step_chunks$image" "${size[@]}" augment.in_step=true train.chunk=4
    same_run "chunks$image" "step_chunks$image"
    check "in chunks too ($image pixels)" $?
done
train other run.seed=2 model.image=16 model.patch=8
! same_run other step16
check "another seed gives other bits" $?
"$bittern" inspect plan small.yaml augment.in_step=true | grep -q make_views
check "the plan has the operation" $?
refused "no views in steps on embeddings" 3 'augment.in_step: the steps are on embeddings (train.cached_views)' augment.in_step=true train.cached_views=4 adapter.targets=none
finish
