#!/usr/bin/env bash
# bittern import and what is made of it: what it says and refuses, configurations that take their tower from a file, adapters of peft, names of libraries,
# token maps.   import.sh BITTERN
. "$(dirname "$0")/../cli/common.sh"
fixtures=$here/fixtures
need_yaml() { "$bittern" config small.yaml >/dev/null 2>&1; }

# What it is, and how it is taken.
answer "DINOv2 of the hub" 0 "recognised: DINOv2 (hub), PyTorch" import "$fixtures/hub/weights.pth" --heads 3
answer "its positions are resampled as its library does" 0 "learned positions 5 x 5 (resampled as hub), layer scale" import "$fixtures/hub/weights.pth" --heads 3
answer "SwiGLU, a file of before PyTorch 1.6" 0 "MLP 64 (swiglu)" import "$fixtures/hub_giant/weights.pth" --heads 3
answer "how names map" 0 "blocks.0.mlp.w12.weight -> blocks.0.mlp.fc1.weight (and so in every block)" import "$fixtures/hub_giant/weights.pth" --heads 3 --map
answer "a training checkpoint" 0 'prefix "model.teacher.backbone." taken off' import "$fixtures/hub_registers/weights.pth" --heads 3
answer "heads from the configuration beside it" 0 "config.json" import "$fixtures/dinov2/model.safetensors"
answer "rotary positions, keys without bias" 0 "layer.0.attention.q_proj.bias, layer.0.attention.v_proj.bias -> blocks.0.attn.qkv.bias (with zeros for the key)" \
    import "$fixtures/dinov3/model.safetensors" --map
answer "the text tower is left, with the reason" 0 "text tower" import "$fixtures/open_clip/open_clip_pytorch_model.bin"
answer "BioCLIP-2's second projection too" 0 "visual.continual_proj: projection for the replayed pretraining data" import "$fixtures/open_clip/open_clip_pytorch_model.bin"
answer "quick GELU from the configuration" 0 "(quick_gelu)" import "$fixtures/open_clip_quick/open_clip_pytorch_model.bin"
answer "JSON" 0 '"family": "timm"' import "$fixtures/timm/model.safetensors" --heads 3 --json

# Doubt is refused.
answer "heads that nobody tells" 5 "bring the model's config.json (--config FILE), or say --heads" import "$fixtures/hub/weights.pth"
cp "$fixtures/open_clip/open_clip_pytorch_model.bin" clip.bin
answer "an activation that nobody tells" 5 "or say --activation gelu (LAION, BioCLIP-2) or --activation quick_gelu" import clip.bin --heads 3
sed 's/"hidden_size": 24/"hidden_size": 48/' "$fixtures/dinov2/config.json" >other.json
answer "a configuration of another model" 5 "other.json says width 48, the tensors 24: they do not belong together" import "$fixtures/dinov2/model.safetensors" --config other.json
answer "what is no tower" 5 "no known tower among its" import "$fixtures/dinov2/expected.safetensors"
answer "a prefix that is not there" 5 'no known tower under "student."' import "$fixtures/hub/weights.pth" --heads 3 --prefix student.
answer "what is no weight file" 5 "" import "$fixtures/dinov2/config.json"
answer "a name that does not end well" 2 "the name of the output ends in .safetensors" import "$fixtures/hub/weights.pth" --heads 3 --out hub.bin
if python_with numpy; then
    "$python" - "$fixtures/timm/model.safetensors" <<'END'
import json, struct, sys
raw = open(sys.argv[1], "rb").read()
n = struct.unpack("<Q", raw[:8])[0]
head, data = json.loads(raw[8:8 + n]), raw[8 + n:]
def save(name, change):
    h = dict(head)
    change(h)
    text = json.dumps(h).encode()
    open(name, "wb").write(struct.pack("<Q", len(text)) + text + data)
def rename(h, a, b): h[b] = h.pop(a)
def reshape(h): h["blocks.1.attn.proj.weight"] = dict(h["blocks.1.attn.proj.weight"], shape=[12, 48])
save("missing.safetensors", lambda h: rename(h, "blocks.1.norm2.bias", "head.bias"))
save("unexpected.safetensors", lambda h: rename(h, "norm.bias", "blocks.0.attn.window"))
save("shape.safetensors", reshape)
save("distilled.safetensors", lambda h: rename(h, "norm.bias", "dist_token"))
END
    answer "a missing tensor" 5 "missing: what gives blocks.1.norm2.bias (24)" import missing.safetensors --heads 3
    answer "an unexpected one" 5 "unexpected: blocks.0.attn.window (24)" import unexpected.safetensors --heads 3
    answer "one of another shape" 5 "mismatched: blocks.1.attn.proj.weight (12, 48), expected (24, 24)" import shape.safetensors --heads 3 --out no.safetensors
    check "and nothing is written" "$([ ! -e no.safetensors ]; echo $?)"
    answer "a distilled DeiT" 7 "its distillation token is not supported" import distilled.safetensors --heads 3
fi

# Written, embedded, trained.
answer "written" 0 "hub.safetensors: 34 tensors from 34" import "$fixtures/hub/weights.pth" --heads 3 --out hub.safetensors
answer "inspect says what it is" 0 "tower: image 70, patch 14, width 24, depth" inspect hub.safetensors
grep -qx 'method: features' out
check "and its method" $?
answer "features of pictures" 0 "96 pictures, width 24" embed hub.safetensors pictures hub.npy
answer "features at another size" 0 "96 pictures, width 24" embed hub.safetensors pictures larger.npy --image 84 --threads 1
says "embedding at 84 x 84: 37 tokens a picture, " && says "for batches of 32"
check "it says what that takes" $?
# More than any machine has is refused before it is taken; more than this process may have too, with the batch that fits.
answer "more memory than there is" 6 "in batches of 65536 takes " embed hub.safetensors pictures huge.npy --image 4088 --batch 65536 --threads 1
says "GiB of memory, more than can be had, and there are " && says "embedding at 4088 x 4088: 85265 tokens a picture, " && [ -z "$(find . -name 'huge*')" ]
check "it says what it took and leaves nothing" $?
if (ulimit -v 3000000 && "$bittern" doctor >/dev/null 2>&1); then # sanitizers have more than that
    expect "a limit of the process" 6 "in batches of 128 takes " bash -c "ulimit -v 3000000; exec $bittern embed hub.safetensors pictures huge.npy --image 4088 --batch 128 --threads 1"
    says "more than can be had" && says " fits, with "
    check "it says which batch fits" $?
    least=100000 # kB with which the program begins at all: its libraries, those of CUDA among them, are mapped whole
    until (ulimit -v $least && "$bittern" doctor >/dev/null 2>&1); do least=$((least + 25000)); done
    expect "a limit below one picture" 6 "; one picture takes " bash -c "ulimit -v $((least + 60000)); exec $bittern embed hub.safetensors pictures huge.npy --image 4088 --batch 2 --threads 1"
fi
answer "imported for that size" 0 "image 84" import "$fixtures/hub/weights.pth" --heads 3 --image 84 --out larger.safetensors
answer "embeds" 0 "96 pictures, width 24" embed larger.safetensors pictures as_imported.npy --threads 1
cmp -s larger.npy as_imported.npy && ! cmp -s larger.npy hub.npy
check "to the same bits, and others than at its own size" $?
answer "a size that is no multiple of its patches" 3 "nearest are 84 and 98" embed hub.safetensors pictures x.npy --image 85
answer "codes of a tower alone" 7 "makes no codes" embed hub.safetensors pictures x.npy --codes
if need_yaml; then
    cat >adapt.yaml <<END
model: {weights: hub.safetensors, image: 42}
adapter: {targets: "q,v", rank: 2, dropout: 0}
method: {name: crovca, bits: 8}
data: {root: pictures, train: 8, query: 2}
train: {epochs: 2, batch: 12}
optim: {lr: 0.02}
run: {dir: adapted, threads: 1}
eval: {k: 10, batch: 12}
END
    answer "the tower comes from the file" 0 "width: 24  # hub.safetensors" config adapt.yaml
    answer "what contradicts it is refused" 3 "model.depth: 3, but hub.safetensors has 2" config adapt.yaml model.depth=3
    answer "trained at another size" 0 "" train adapt.yaml
    answer "adapters for timm: q and v become one of twice the rank" 0 "adapters of q,v as peft loads them for timm" export adapted peft_timm --peft --names timm
    check "rank and alpha" "$(grep -q '"r": 4' peft_timm/adapter_config.json && grep -q '"lora_alpha": 32' peft_timm/adapter_config.json; echo $?)"
    answer "adapters for transformers" 0 "for transformers" export adapted peft_hf --peft --names transformers
    answer "not for torchvision" 7 "peft adapts towers of timm, hub or transformers" export adapted no --peft --names torchvision
    for library in timm hf; do
        answer "and back ($library)" 0 "on the tower of hub.safetensors" import "peft_$library" --base hub.safetensors --out "back_$library.safetensors"
        answer "embeddings of them ($library)" 0 "width 24" embed "back_$library.safetensors" pictures "back_$library.npy" --base hub.safetensors --threads 1
    done
    answer "adapters without their tower" 2 "--base TOWER.safetensors --out" import peft_hf
    answer "merged" 0 "2 adapters merged" export adapted merged.safetensors
    answer "the run's tower under timm's names" 0 "merged_timm.safetensors" export adapted merged_timm.safetensors --names timm
    echo '{"pretrained_cfg": {"input_size": [3, 70, 70], "crop_pct": 0.875, "interpolation": "bicubic", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}}' >pictures.json
    answer "which is a file that import knows, with its pictures" 0 "pictures (pictures.json): shorter side to 80 (bicubic), centre 70 x 70" \
        import merged_timm.safetensors --heads 3 --out again.safetensors --preprocess pictures.json
    answer "without a word on pictures there is a warning" 0 "nothing says how pictures are made ready" import merged_timm.safetensors --heads 3
    sed 's/"crop_pct": 0.875/"crop_pct": 0.875, "crop_mode": "squash"/' pictures.json >squash.json
    answer "squashed pictures" 0 "pictures (squash.json): squashed to 80 x 80 (bicubic), centre 70 x 70" import merged_timm.safetensors --heads 3 --preprocess squash.json
    answer "embedded" 0 "width 24" embed again.safetensors pictures again.npy --threads 1
    if python_with numpy; then
        "$python" - <<'END'
import numpy as np
a, b, c = (np.load(f"{n}.npy") for n in ("back_timm", "back_hf", "again"))
assert np.abs(a).max() > 0.1 and np.abs(a - b).max() < 1e-4 * np.abs(a).max(), np.abs(a - b).max()
assert np.abs(a - c).max() < 1e-4 * np.abs(a).max(), np.abs(a - c).max()
END
        check "timm's, transformers' and merged adapters give the same embeddings" $?
    fi

    # SwiGLU: fc1 as a whole, and as gate and up with the same A, or each with its own.
    answer "SwiGLU" 0 "giant.safetensors: 34 tensors" import "$fixtures/hub_giant/weights.pth" --heads 3 --out giant.safetensors
    answer "trained with its MLP" 0 "" train adapt.yaml model.weights=giant.safetensors model.image=70 adapter.targets=qkv,fc1 run.dir=gated
    answer "for transformers" 0 "adapters of qkv,fc1" export gated peft_gated --peft --names transformers
    answer "the run's embeddings" 0 "width 24" embed gated pictures gated.npy --threads 1
    if python_with numpy; then
        "$python" - <<'END'
import json, os, shutil, struct
import numpy as np
def read(folder):
    raw = open(f"{folder}/adapter_model.safetensors", "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    head = json.loads(raw[8:8 + n])
    head.pop("__metadata__")
    return {k: np.frombuffer(raw[8 + n + v["data_offsets"][0]:8 + n + v["data_offsets"][1]], np.float32).reshape(v["shape"]).copy() for k, v in head.items()}
def write(folder, tensors, source):
    os.makedirs(folder)
    shutil.copy(f"{source}/adapter_config.json", folder)
    head, data = {}, b""
    for k, v in tensors.items():
        head[k] = {"dtype": "F32", "shape": list(v.shape), "data_offsets": [len(data), len(data) + v.nbytes]}
        data += v.tobytes()
    text = json.dumps(head).encode()
    open(f"{folder}/adapter_model.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + data)
t = read("peft_gated")
halves = {k: v for k, v in t.items() if "weights_in" not in k and ".attention.attention." not in k}  # what transformers 5 alone would write
write("peft_halves", halves, "peft_gated")
own = {k: v * (np.float32(1.5) if ".up_proj.lora_A" in k else np.float32(1)) for k, v in halves.items()}
for k in own:
    if ".up_proj.lora_B" in k:
        own[k] = own[k] / np.float32(1.5)  # the same product by another A
write("peft_own", own, "peft_gated")
differ = {k: v.copy() for k, v in t.items()}
differ["base_model.model.encoder.layer.1.mlp.up_proj.lora_B.weight"][0, 0] += 1
write("peft_differ", differ, "peft_gated")
differ = {k: v.copy() for k, v in t.items()}
differ["base_model.model.encoder.layer.0.attention.q_proj.lora_A.weight"][0, 0] += 1
write("peft_differ_q", differ, "peft_gated")
write("peft_text", {k.replace("model.encoder.layer.0.attention.q_proj", "model.text_model.encoder.layers.0.self_attn.q_proj"): v for k, v in halves.items()}, "peft_gated")
END
        answer "two names of a layer, two adapters" 5 "are of the same layer, and differ" import peft_differ --base giant.safetensors --out no.safetensors
        answer "and so with q" 5 "are of the same layer, and differ" import peft_differ_q --base giant.safetensors --out no.safetensors
        answer "an adapter of CLIP's text tower" 5 "is an adapter of a text tower" import peft_text --base giant.safetensors --out no.safetensors
        answer "a gate where there is none" 5 "the tower's MLP has no gate" import peft_halves --base hub.safetensors --out no.safetensors
        answer "halves and wholes" 0 "adapters of q,k,v,fc1, rank 2, alpha 16" import peft_gated --base giant.safetensors --out gated_gated.safetensors
        answer "gate and up with one A" 0 "adapters of q,k,v,fc1, rank 2, alpha 16" import peft_halves --base giant.safetensors --out gated_halves.safetensors
        answer "gate and up with an A each" 0 "adapters of q,k,v,fc1, rank 4, alpha 32" import peft_own --base giant.safetensors --out gated_own.safetensors
        for kind in gated halves own; do
            answer "embedded ($kind)" 0 "width 24" embed "gated_$kind.safetensors" pictures "gated_$kind.npy" --base giant.safetensors --threads 1
        done
        "$python" - <<'END'
import numpy as np
a = np.load("gated.npy")
for kind in "gated", "halves", "own":
    b = np.load(f"gated_{kind}.npy")
    assert np.abs(a - b).max() < 1e-4 * np.abs(a).max(), (kind, np.abs(a - b).max())
END
        check "all give the run's embeddings" $?
    fi
fi

answer "CLIP written" 0 "clip.safetensors" import "$fixtures/open_clip/open_clip_pytorch_model.bin" --out clip.safetensors
answer "torchvision has no such tower" 7 "torchvision has no tower with CLIP's norm before the blocks" export clip.safetensors no.safetensors --names torchvision

# Token maps.
answer "token maps" 0 "tokens of 5 x 5 patches as colours" inspect tokens hub.safetensors pictures/cross/00000.png maps.png --tokens t.npy --attention a.npy
[ "$(head -c 8 maps.png | tail -c 7)" = "$(printf 'PNG\r\n\032\n')" ] && [ -s t.npy ] && [ -s a.npy ]
check "a picture and two arrays" $?
answer "at another size" 0 "tokens of 3 x 3 patches" inspect tokens hub.safetensors pictures/cross/00000.png maps.png --image 42
answer "not a multiple of the patch" 3 "must be a multiple of model.patch 14" inspect tokens hub.safetensors pictures/cross/00000.png maps.png --image 43
finish
