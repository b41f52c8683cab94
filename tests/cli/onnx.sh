#!/usr/bin/env bash
# bittern export MODEL OUT.onnx: what it says, refuses, and leaves as it was. The graphs themselves: tests/pretrained/onnx.sh.   onnx.sh BITTERN
pictures=none . "$(dirname "$0")/common.sh"
fixtures=$root/tests/pretrained/fixtures
exports() { answer "$1" "$2" "$3" export "${@:4}"; } # what, exit code, text, arguments of bittern export...
kept() { [ "$(cat "$1")" = old ] && [ -z "$(find . -name '*.partial-*')" ]; }

"$bittern" import "$fixtures/hub/weights.pth" --heads 3 --out tower.safetensors >/dev/null || exit 1
exports "a tower" 0 "tower.onnx: pixels (N, 3, 70, 70) to class, patches; " tower.safetensors tower.onnx
[ "$(find . -maxdepth 1 -name 'tower.*' | sort | tr '\n' ' ')" = "./tower.onnx ./tower.safetensors " ]
check "is one file" $?
exports "again" 0 "" tower.safetensors again.onnx
cmp -s tower.onnx again.onnx
check "gives the same bytes" $?
exports "as JSON" 0 '"kind": "onnx",' tower.safetensors again.onnx --json
answer "its outputs are a list" 0 "\"patches\"
  ]," export tower.safetensors again.onnx --json
exports "two files" 0 ", the weights in two.onnx.data" tower.safetensors two.onnx --external
[ "$(stat -c %s two.onnx)" -lt 20000 ] && [ "$(stat -c %s two.onnx.data)" -gt 60000 ] && [ $(($(stat -c %s tower.onnx) - $(stat -c %s two.onnx))) -gt 60000 ]
check "the weights are in the second" $?
exports "one file in the place of two" 0 "two.onnx.data, the weights of the graph that was here before, is removed" tower.safetensors two.onnx
[ ! -e two.onnx.data ] && cmp -s two.onnx tower.onnx
check "is one file" $?
exports "two files again" 0 "" tower.safetensors two.onnx --external
exports "one file, as JSON" 0 '"removed_data": true' tower.safetensors two.onnx --json
echo mine >two.onnx.data
exports "another file of that name" 0 "two.onnx.data is no part of it, and stays as it was" tower.safetensors two.onnx
[ "$(cat two.onnx.data)" = mine ]
check "stays" $?
exports "another size" 0 "pixels (N, 3, 98, 98)" tower.safetensors large.onnx --image 98

# Refused, and no file is made.
exports "names of a library" 2 "--names does not go with no.onnx: an ONNX graph is the whole model" tower.safetensors no.onnx --names timm
exports "adapters alone" 2 "--adapter does not go with no.onnx" tower.safetensors no.onnx --adapter
exports "adapters for peft" 2 "--peft does not go with no.onnx" tower.safetensors no.onnx --peft --names timm
exports "a size for a file of weights" 2 "--image is for ONNX alone, and no.safetensors does not end in .onnx: other files keep the positions" tower.safetensors no.safetensors --image 98
exports "a second file for a file of weights" 2 "--external is for ONNX alone" tower.safetensors no.safetensors --external
exports "a size that is no multiple" 3 "model.image 71 must be a multiple of model.patch 14; nearest are 70 and 84" tower.safetensors no.onnx --image 71
exports "a size out of range" 2 "4096" tower.safetensors no.onnx --image 100000
exports "a checkpoint of a file" 2 "checkpoints are chosen of a run" tower.safetensors no.onnx --checkpoint 3
exports "no model" 4 "nothing.safetensors" nothing.safetensors no.onnx
exports "no folder" 4 "nowhere" tower.safetensors nowhere/no.onnx
[ -z "$(find . -name 'no.*')" ] && [ -z "$(find . -name '*.partial-*')" ]
check "no file of these" $?

# What was there stays when something fails.
echo old >kept.onnx && mkdir kept.onnx.data
exports "a folder in the place of the weights" 4 "cannot write kept.onnx.data: it is a folder" tower.safetensors kept.onnx --external
kept kept.onnx
check "the old file stays" $?
mkdir folder.onnx
exports "a folder in the place of the file" 4 "cannot write folder.onnx: it is a folder" tower.safetensors folder.onnx
echo old >limited.onnx && echo old >limited.onnx.data
for flags in "" --external; do
    expect "a file too large for its quota $flags" 4 "limited.onnx" bash -c "ulimit -f 32; trap '' XFSZ; exec $bittern export tower.safetensors limited.onnx $flags"
    kept limited.onnx && kept limited.onnx.data
    check "the old files stay $flags" $?
done
if small_disk 128k; then
    echo old >disk/full.onnx && echo old >disk/full.onnx.data
    for flags in "" --external; do
        head -c 90000 /dev/zero >disk/taken
        exports "a full disk $flags" 4 "No space left" tower.safetensors disk/full.onnx $flags
        kept disk/full.onnx && kept disk/full.onnx.data
        check "the old files stay $flags" $?
    done
    close_disk
fi

# Runs.
"$bittern" demo pictures --per-class 8 --size 16 >/dev/null
cat >run.yaml <<END
model: {name: custom, image: 16, patch: 8, width: 32, depth: 2, heads: 2}
adapter: {targets: "q,v", rank: 4}
method: {name: crovca, bits: 16}
data: {root: pictures, train: 4, query: 2}
train: {epochs: 1, batch: 8}
run: {dir: run, threads: 1}
eval: {batch: 0}
END
"$bittern" config run.yaml >/dev/null 2>&1 || finish # no YAML
"$bittern" train run.yaml 2>log || { cat log; exit 1; }
exports "a run" 0 "run.onnx: pixels (N, 3, 16, 16) to embedding, logits, codes; " run run.onnx
exports "another size of a run" 2 "another size of pictures (32): run is a run; write it to a file first (bittern export run MODEL.safetensors)" run no.onnx --image 32
exports "by way of a file" 0 "2 adapters merged" run run.safetensors
exports "it can be chosen" 0 "pixels (N, 3, 32, 32) to embedding, logits, codes" run.safetensors run32.onnx --image 32
exports "the file gives the run's graph" 0 "" run.safetensors merged.onnx
cmp -s run.onnx merged.onnx
check "to the byte" $?
exports "adapters without their base" 0 "" run apart.safetensors --adapter
exports "are no model" 2 "has adapters and a head alone" apart.safetensors no.onnx
finish
