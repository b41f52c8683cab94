#!/usr/bin/env bash
# How a published model wants its pictures, from its configuration to what is embedded, trained on and exported: squashed, padded, cropped.
#    pictures.sh BITTERN
pictures=none . "$(dirname "$0")/../cli/common.sh"
fixtures=$here/fixtures
need_yaml() { "$bittern" config none.yaml 2>&1 | grep -qv libyaml; }

# Pictures that are no squares: in three classes, 52 x 37 and 37 x 52.
RANDOM=3
for class in a b c; do
    mkdir -p "photos/$class"
    for ((i = 0; i < 8; i++)); do
        at=$((RANDOM % 100000))
        { if ((i % 2)); then printf 'P6\n52 37\n255\n'; else printf 'P6\n37 52\n255\n'; fi; tail -c +$at "$fixtures/vit/model.safetensors" | head -c 5772; } >"photos/$class/$i.ppm"
    done
done
values='"image_mean": [0.5, 0.4, 0.6], "image_std": [0.5, 0.3, 0.4], "rescale_factor": 0.00392156862745098, "resample": 2'
echo "{\"image_processor_type\": \"ViTImageProcessor\", \"size\": {\"height\": 32, \"width\": 32}, $values}" >squash.json
echo "{\"image_processor_type\": \"CLIPImageProcessor\", \"size\": {\"shortest_edge\": 35}, \"crop_size\": {\"height\": 32, \"width\": 32}, $values}" >crop.json
echo '{"pretrained_cfg": {"input_size": [3, 32, 32], "crop_pct": 0.9, "crop_mode": "border", "interpolation": "bicubic", "mean": [0.5, 0.4, 0.6], "std": [0.5, 0.3, 0.4]}}' >pad.json
echo "{\"image_processor_type\": \"CLIPImageProcessor\", \"do_resize\": false, \"crop_size\": {\"height\": 32, \"width\": 32}, $values}" >none.json
echo "{\"image_processor_type\": \"ViTImageProcessor\", \"size\": {\"height\": 32, \"width\": 48}, $values}" >oblong.json
echo "{\"image_processor_type\": \"CLIPImageProcessor\", \"size\": {\"shortest_edge\": 30}, \"crop_size\": {\"height\": 32, \"width\": 32}, $values}" >border.json
import() { "$bittern" import "$fixtures/vit/model.safetensors" --preprocess "$1.json" --out "$1.safetensors" "${@:2}"; }
words() { # what inspect says of a rule
    case $1 in
    squash) echo "pictures: squashed to 32 x 32 (bilinear), centre 32 x 32; mean 0.5 0.4 0.6, std 0.5 0.3 0.4; EXIF orientation ignored" ;;
    crop) echo "pictures: shorter side to 35 (bilinear), centre 32 x 32; mean 0.5 0.4 0.6" ;;
    pad) echo "pictures: to fit into 35 x 35 (bicubic), filled with 128 102 153, centre 32 x 32" ;;
    none) echo "pictures: not resized, centre 32 x 32" ;;
    esac
}
for rule in squash crop pad none; do
    expect "$rule is imported" 0 "pictures ($rule.json): $(words $rule | sed 's/^pictures: //; s/; EXIF.*//')" import $rule
    answer "$rule is shown" 0 "$(words $rule)" inspect $rule.safetensors
    answer "$rule embeds" 0 "24 pictures" embed $rule.safetensors photos $rule.npy --threads 1 --batch 1
done
check "each gives embeddings of its own" "$([ "$(sha256sum squash.npy crop.npy pad.npy none.npy | cut -c1-64 | sort -u | wc -l)" = 4 ]; echo $?)"
expect "views that are no squares" 7 "pictures are resized to 48 x 32, then 48 x 32 of them taken; towers of this program take squares" import oblong
expect "a border that nobody means" 7 "the shorter side is resized to 30, and 32 x 32 are taken" import border
check "nothing is written for them" "$([ ! -e oblong.safetensors ] && [ ! -e border.safetensors ]; echo $?)"

# transformers' own processor and model.
echo "$here/squashed.ppm" >one.txt
answer "the picture of transformers" 0 "1 pictures" embed squash.safetensors one.txt one.npy --threads 1
if python_with numpy; then
    "$python" - "$here/squashed.txt" >out 2>&1 <<'END'
import numpy as np, sys
want, found = np.loadtxt(sys.argv[1]), np.load("one.npy")[0]
assert want.shape == found.shape == (24,) and np.abs(want - found).max() < 1e-4 * np.abs(want).max(), np.abs(want - found).max()
import numpy as np, sys
want, found = np.loadtxt(sys.argv[1]), np.load("one.npy")[0]
assert want.shape == found.shape == (24,) and np.abs(want - found).max() < 1e-4 * np.abs(want).max(), np.abs(want - found).max()
END
    code=$?
    check "gives the features that it gives there: $(tail -n 1 out)" $code
fi

# A run takes the rule, says so, keeps it, and hands it on.
if need_yaml; then
    for rule in squash pad crop; do
        cat >$rule.yaml <<END
run: {dir: run_$rule, threads: 1}
model: {weights: $rule.safetensors}
method: {name: crovca, bits: 8}
data: {root: photos, train: 4, query: 2}
train: {epochs: 1, head_epochs: 0, batch: 12}
eval: {k: 5, batch: 1, before: false, baselines: false, embeddings: true}
END
        "$bittern" config $rule.yaml >resolved 2>&1
        case $rule in
        squash) wanted=("resize_mode: squash  # squash.safetensors" "resize: 32  # squash.safetensors") ;;
        pad) wanted=("resize_mode: longest  # pad.safetensors" "resize: 35  # pad.safetensors" "fill: [128, 102, 153]  # pad.safetensors" "interpolation: bicubic  # pad.safetensors") ;;
        crop) wanted=("resize_mode: shortest  # crop.safetensors" "resize: 35  # crop.safetensors" "center: down  # crop.safetensors") ;;
        esac
        for line in "${wanted[@]}"; do check "bittern config: $line" "$(grep -qF -- "$line" resolved; echo $?)"; done
        answer "$rule: trained" 0 "" train $rule.yaml
        answer "$rule: exported" 0 "" export run_$rule exported.safetensors
        answer "$rule: exported, it is shown" 0 "$(words $rule | sed 's/; EXIF.*//')" inspect exported.safetensors
        for model in run_$rule exported.safetensors; do "$bittern" embed $model photos ${model%.*}.npy --codes --threads 1 --batch 1 >/dev/null; done
        check "$rule: run and file give the same bits" "$(cmp -s run_$rule.npy exported.npy && cmp -s run_$rule.codes.npy exported.codes.npy; echo $?)"
        check "$rule: the tower's own file too" "$(cmp -s run_$rule.npy $rule.npy; echo $?)"
        answer "$rule: scored again" 0 "" eval run_$rule
        python_with numpy || continue
        "$python" - run_$rule >out 2>&1 <<'END'
import glob, numpy as np, sys
rows = {r.tobytes() for r in np.load(sys.argv[1] + ".npy")}
seen = [r.tobytes() for f in glob.glob(sys.argv[1] + "/evaluation/*_embeddings.npy") for r in np.load(f)]
assert len(rows) == 24 and len(seen) >= 12 and set(seen) <= rows, (len(seen), len(set(seen) - rows))
END
        code=$?
        check "$rule: scores are made of the embeddings that embed writes: $(tail -n 1 out)" $code
    done
    answer "a rule of one's own" 0 "resize_mode: longest" config squash.yaml data.resize_mode=longest "data.fill=[1, 2, 3]"
    answer "a mode that there is not" 3 "data.resize_mode" config squash.yaml data.resize_mode=pad
    answer "a shorter side that does not cover the square" 3 "data.resize: 20 is below model.image 32" config crop.yaml data.resize=20
    answer "which others fill up" 0 "" config squash.yaml data.resize=20
    answer "two colours" 3 "data.fill: 2 numbers, expected 3" config squash.yaml "data.fill=[1, 2]"
    if "$bittern" pack photos photos.h5 --size 32 >out 2>&1; then
        answer "squares of a pack are not squashed" 0 "photos.h5 holds squares, cut from the centre when it was packed" embed squash.safetensors photos.h5 packed.npy
    fi
fi

# Token maps see what the tower sees.
if "$bittern" doctor 2>/dev/null | grep -q '^png  *yes'; then
    answer "token maps of a squashed picture" 0 "tokens of 2 x 2 patches" inspect tokens squash.safetensors "$here/squashed.ppm" maps.png --tokens t1.npy
    answer "of a padded one" 0 "tokens of 2 x 2 patches" inspect tokens pad.safetensors "$here/squashed.ppm" maps.png --tokens t2.npy
    check "differ" "$(cmp -s t1.npy t2.npy; [ $? -eq 1 ]; echo $?)"
fi
finish
