#!/usr/bin/env bash
# The published recipes of experiments/crovca: each resolves, says what the papers say, and plans without data.
#   recipes.sh BITTERN SOURCE_FOLDER [few]     few: planned are a tower with registers, one with rotary positions, one on another grid
pictures=none . "$(dirname "$0")/common.sh"
resolved=$scratch/resolved few=${3:-} planned=" encoder_dinov2.yaml encoder_dinov3.yaml encoder_swag.yaml "
cp -r "$root/experiments/crovca/recipes" "$scratch/recipes" && cd "$scratch/recipes" || exit 1
recipe() { # name, k, file of the encoder, "section.key value" ...
    local file=$1.yaml k=$2 encoder=$3 wanted
    shift 3
    sed "s/encoder_dinov2.yaml/$encoder/" "$file" >"with_$file"
    "$bittern" config "with_$file" | python3 -c '
import re, sys
section = ""
for line in sys.stdin:
    line = line.split("  #")[0].rstrip()
    key, _, value = line.strip().partition(": ")
    if not line.startswith(" "):
        section = line.rstrip(":")
    elif key:
        print(f"{section}.{key} {value.strip(chr(34))}")' >"$resolved"
    for wanted in "train.epochs 5" "train.head_epochs 1" "train.batch 256" "optim.lr 0.001" "optim.lr_min 1e-06" "optim.weight_decay 0.01" "optim.warmup 0" "optim.clip 0" \
        "adapter.rank 16" "adapter.alpha 16" "adapter.dropout 0.1" "method.align_weight 1" "method.rate_weight 0.1" "method.rate_eps 0.05" "method.views 2" \
        "method.head small" "augment.scale_min 0.4" "augment.interpolation bilinear" "augment.flip 0.5" "augment.jitter 0.8" "augment.hue 0.2" "augment.grey 0.2" "augment.blur 0.1" \
        "augment.blur_max 2" "augment.solarize 0.1" "data.interpolation bicubic" "data.resize 256" "data.resize_mode shortest" "data.format lists" "eval.k $k" "$@"; do
        grep -qxF "$wanted" "$resolved"
        code=$?
        check "$file with $encoder: $wanted, found: $(grep -F "${wanted% *} " "$resolved")" $code
    done
    if [ -z "$few" ] || [[ $planned == *" $encoder "* ]]; then
        "$bittern" inspect plan "with_$file" --json train.batch=8 >/dev/null 2>"$resolved"
        code=$?
        check "$file with $encoder: $(tail -n 1 "$resolved")" $code
        planned=${planned/" $encoder "/ }
    fi
    rm -f "with_$file"
}
command -v python3 >/dev/null || { echo "skipped: no python3"; exit 77; }
recipe cifar10_2 1000 encoder_dinov2.yaml "adapter.targets q,v" "model.name vit_base_patch14_reg4_dinov2"
recipe flickr25k 5000 encoder_dinov2.yaml "adapter.targets q,v"
recipe nuswide 5000 encoder_dinov2.yaml "adapter.targets q,v"
recipe coco 5000 encoder_simdinov2.yaml "adapter.targets qkv" "model.width 768"
recipe coco 5000 encoder_dinov3.yaml "adapter.targets q,v" "model.positions rotary" "model.key_bias false" "model.norm_eps 1e-05"
recipe coco 5000 encoder_dfn.yaml "adapter.targets qkv,proj" "model.output 512" "model.activation quick_gelu"
recipe coco 5000 encoder_swag.yaml "adapter.targets qkv,proj" "model.grid 24"
recipe imagenet100 1000 encoder_vit_b16.yaml "adapter.targets qkv,proj" "model.name vit_base_patch16_224"
for file in [a-z]*.yaml; do # every recipe is in the list above
    case $file in common.yaml | encoder_*) continue ;; esac
    grep -q "^recipe ${file%.yaml} " "$root/tests/cli/recipes.sh"
    check "$file has a test" $?
done
finish
