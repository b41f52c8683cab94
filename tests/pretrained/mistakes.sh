#!/usr/bin/env bash
# Mistakes of a first day with pretrained towers: inputs mixed up, outputs onto inputs, options that would be passed over.   mistakes.sh BITTERN
. "$(dirname "$0")/../cli/common.sh"
fixtures=$here/fixtures
dinov2=$fixtures/dinov2/model.safetensors
answer "a tower" 0 "" import "$dinov2" --out tower.safetensors
cp tower.safetensors kept.safetensors

# What is read is not replaced.
cp "$dinov2" source.safetensors
ln -s source.safetensors link.safetensors
for name in source ./source link; do
    answer "import onto its source ($name)" 2 "is the file that is imported" import source.safetensors --config "$fixtures/dinov2/config.json" --out $name.safetensors
done
cmp -s source.safetensors "$dinov2"
check "which stays" $?
answer "export onto its source" 2 "it would be replaced" export tower.safetensors tower.safetensors --names transformers
cmp -s tower.safetensors kept.safetensors
check "which stays" $?
picture=$(find pictures -name '*.png' | sort | head -n 1)
cp "$picture" picture.png
answer "tokens onto the picture" 2 "it would be replaced" inspect tokens tower.safetensors picture.png picture.png
cmp -s picture.png "$picture"
check "which stays" $?

# Folders, files of others, files of ours.
answer "a published model's folder" 4 "bittern import $fixtures/dinov2/model.safetensors" import "$fixtures/dinov2/"
answer "with a PyTorch file in it" 4 "bittern import $fixtures/dinov2_registers/pytorch_model.bin" import "$fixtures/dinov2_registers"
answer "a folder without any" 4 "name the file of weights in it" import pictures
answer "a file of ours imported" 5 "take it as it is" import tower.safetensors
answer "a published file embedded" 5 "bittern import $dinov2 --out" embed "$dinov2" pictures x.npy
answer "a published folder embedded" 4 "become one by bittern import" embed "$fixtures/dinov2" pictures x.npy
cached=cache/bittern/weights/dinov2_vits14_reg4
mkdir -p $cached && : >$cached/dinov2_vits14_reg4_pretrain.pth
expect "an empty file in the cache" 5 "is empty: remove it and fetch it again" env -u BITTERN_CACHE XDG_CACHE_HOME="$PWD/cache" "$bittern" fetch dinov2_vits14_reg4
answer "a model that is not there" 4 "cannot open nope: No such file" embed nope pictures x.npy
if "$bittern" config small.yaml >/dev/null 2>&1; then
    echo "{model: {weights: $dinov2}, data: {root: pictures, train: 8, query: 2}, method: {name: crovca, bits: 8}, adapter: {targets: 'q,v', rank: 2}, run: {dir: run}}" >first.yaml
    answer "a published file trained" 3 "Published weights are imported first" train first.yaml
    answer "weights that are not there" 3 "there is no nope.safetensors" train first.yaml model.weights=nope.safetensors
    answer "a run" 0 "" train first.yaml model.weights=tower.safetensors train.epochs=1 train.batch=12 eval.k=10 run.threads=1
    answer "adapters into the run's own folder" 2 "is the run itself" export run run --peft --names timm
    answer "a model onto the run's weights" 2 "it would be replaced" export run run/base.safetensors
    answer "adapters" 0 "" export run peft --peft --names transformers
    answer "imported onto their tower" 2 "it would be replaced" import peft --base tower.safetensors --out tower.safetensors
    answer "an option of towers with adapters" 2 "--heads: peft holds adapters" import peft --base tower.safetensors --out a.safetensors --heads 3
    answer "JSON of adapters" 0 '"rank": 2' import peft --base tower.safetensors --out a.safetensors --json
    cmp -s tower.safetensors kept.safetensors
    check "the tower stays" $?
    answer "the head that another library's file lacks" 0 "the head of crovca is left out" export run named.safetensors --names timm
    answer "a base beside a run" 2 "leave out --base" embed run pictures x.npy --base tower.safetensors
fi

# Nothing is passed over in silence.
answer "a base beside a whole model" 2 "leave out --base" embed tower.safetensors pictures x.npy --base kept.safetensors
answer "a base beside weights" 2 "leave it out" import "$dinov2" --base tower.safetensors
answer "columns of a folder" 2 "--label: pictures is a folder of pictures" embed tower.safetensors pictures x.npy --label species
echo "$PWD/picture.png" >list.txt
answer "columns of a list" 2 "--images: list.txt is a list of paths" embed tower.safetensors list.txt x.npy --images pictures
answer "a name that says nothing of the kind" 2 "ends in .safetensors or .onnx" export tower.safetensors model.onx
check "and nothing is written" "$([ ! -e model.onx ] && [ ! -e x.npy ]; echo $?)"
answer "heads other than the configuration's" 0 "heads 4: as given, in place of the 3 of the configuration" import "$dinov2" --heads 4
answer "an activation too" 0 "activation quick_gelu: as given, in place of gelu of the configuration" import "$dinov2" --activation quick_gelu
answer "a configuration that does not tell heads" 5 "nor does the configuration that was read" import "$fixtures/timm/model.safetensors"
answer "options of tokens for a file" 2 "are for bittern inspect tokens" inspect tower.safetensors --image 56
answer "two files to inspect" 2 "only plan and tokens take more" inspect tower.safetensors kept.safetensors
answer "an array by the picture's name" 2 "ends in .npy" inspect tokens tower.safetensors picture.png out.png --tokens out.png
mkdir folder.npy
answer "a folder as the output" 4 "folder.npy: it is a folder" embed tower.safetensors pictures folder.npy
check "with nothing beside it" "$([ "$(echo folder*)" = folder.npy ]; echo $?)"
answer "JSON of tokens" 2 "leave out --json" inspect tokens tower.safetensors picture.png out.png --json
if [ -c /dev/full ]; then
    expect "a list on a full disk" 4 "cannot write standard output" bash -c '"$0" inspect tower.safetensors >/dev/full' "$bittern"
    expect "help on a full disk" 4 "cannot write standard output" bash -c '"$0" embed --help >/dev/full' "$bittern"
fi
finish
