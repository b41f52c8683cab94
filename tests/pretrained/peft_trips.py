"""Adapters from peft into bittern and back, in peft itself, for every tower that peft adapts.

    python3 peft_trips.py BITTERN

peft -> bittern: a LoRA model of peft with random matrices, as save_pretrained writes it. bittern's embeddings with the imported adapters, and those of the
library's model with the weights that bittern merges, are those of peft's model, unmerged and merged (merge_and_unload).
bittern -> peft: a run trains adapters for a few steps. PeftModel.from_pretrained loads what export --peft writes, without a warning, for each library that
has the tower; its outputs, merged and not, and the library's model with the weights that export --names writes, give the run's embeddings.
All within 1e-4, relative in the 2-norm, of the same pictures, which are of the tower's size, so that nothing is resampled.
"""
import copy, json, os, re, sys, tempfile, warnings
from trips import FORMS, bittern, check, export, family_of, finish, imported, near, need_libraries

need_libraries()
import numpy, peft, torch, transformers
from PIL import Image
from safetensors.torch import load_file
import make_fixtures as towers
from libraries import other_tower, own_tower

warnings.simplefilter("error", UserWarning)  # peft says so what it did not find
COUNT = 4
MEAN, STD = 0.5, 0.25


# ---- pictures ----

def pictures(folder, size):
    """COUNT pictures of a size, and a folder of them; another with labels to train on."""
    some, train = os.path.join(folder, f"some_{size}"), os.path.join(folder, f"train_{size}")
    if not os.path.exists(some):
        bittern("demo", train, "--size", size, "--per-class", 8)
        os.makedirs(some)
        g = torch.Generator().manual_seed(size)
        for i in range(COUNT):
            x = torch.randint(0, 256, (size, size, 3), generator=g, dtype=torch.uint8)
            Image.fromarray(x.numpy()).save(os.path.join(some, f"{i}.png"))
    pixels = torch.stack([torch.from_numpy(numpy.array(Image.open(os.path.join(some, f"{i}.png")))) for i in range(COUNT)])
    return some, train, ((pixels.permute(0, 3, 1, 2).double() / 255 - MEAN) / STD).float()


def outputs(run, model):
    """The embedding: projection, or class token."""
    with torch.no_grad():
        cls, _, embedding = run(model)
    return cls if embedding is None else embedding


def embed(folder, model, some, *options):
    out = os.path.join(folder, "embeddings.npy")
    bittern("embed", model, some, out, "--threads", 1, *options)
    return torch.from_numpy(numpy.load(out))


# ---- targets ----

def has(model, *endings):
    return all(any(name.endswith(e) for name, _ in model.named_modules()) for e in endings)


def target_sets(model):
    """By the names that this library's modules have in this version."""
    if has(model, "attn.qkv"):
        mlp = ["mlp.w12", "mlp.w3"] if has(model, "mlp.w12") else ["mlp.fc1", "mlp.fc2"]
        return [["attn.qkv"], ["attn.qkv", "attn.proj", *mlp]]
    q, k, v = ("query", "key", "value") if has(model, "attention.query") else ("q_proj", "k_proj", "v_proj")
    out = next(o for o in ("o_proj", "out_proj", "attention.output.dense") if has(model, o))
    mlp = next(m for m in (["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"], ["mlp.up_proj", "mlp.down_proj"], ["mlp.weights_in", "mlp.weights_out"],
                           ["mlp.fc1", "mlp.fc2"], ["intermediate.dense", "[0-9].output.dense"]) if has(model, *(x.replace("[0-9]", "0") for x in m)))
    return [[q, v], [q, k, v, out, *mlp]]


def expression(model, endings):
    """Whole names: the ending "output.dense" alone would be two layers of a ViT, and "proj" the patches too."""
    return [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)
            and any(re.search(r"(^|\.)" + ending + "$", name) for ending in endings)]


# ---- peft -> bittern ----

def from_peft(f, tower, base, some, seed):
    model = tower.load(export(f, base, f.library))
    if not model:
        return "this tower's authors' code is not here"
    plain = outputs(tower.run, model)
    worst, sets = 0, target_sets(model)
    for k, targets in enumerate(sets):
        config = peft.LoraConfig(r=3, lora_alpha=5, target_modules=expression(model, targets), use_rslora=k == 1)
        adapted = peft.get_peft_model(copy.deepcopy(model), config).eval()
        g = torch.Generator().manual_seed(seed + k)
        with torch.no_grad():
            for name, p in adapted.named_parameters():
                if "lora_" in name:
                    p.copy_(torch.randn(p.shape, generator=g) * (0.2 if "lora_A" in name else 0.1))
        folder = f.path(f"peft_{k}")
        adapted.save_pretrained(folder)
        file, what = f.path(f"adapters_{k}.safetensors"), f"{f.name}: peft's {' '.join(targets)} in bittern"
        bittern("import", folder, "--base", base, "--out", file)
        merged = f.path(f"merged_{k}.safetensors")
        bittern("export", file, merged, "--base", base, "--names", f.library)
        expected = outputs(tower.run, adapted)
        check(f"{what}: adapters matter", ((expected - plain).norm() / plain.norm()).item() > 0.02)
        worst = max(worst, near(f"{what}, unmerged", embed(f.folder, file, some, "--base", base), expected),
                    near(f"{what}, merged by bittern", outputs(tower.run, tower.load(load_file(merged))), expected),
                    near(f"{what}, merged by peft", embed(f.folder, file, some, "--base", base), outputs(tower.run, adapted.merge_and_unload())))
    return f"{len(sets)} sets of targets {worst:.1g}"


# ---- bittern -> peft ----

RUN = """model: {{weights: {base}}}
adapter: {{targets: "{targets}", rank: 2, dropout: 0}}
method: {{name: crovca, bits: 8}}
data: {{root: {train}, train: 5, query: 2}}
train: {{epochs: 2, batch: 12}}
optim: {{lr: 0.02}}
run: {{dir: {run}, threads: 1}}
eval: {{k: 10, batch: 12}}
"""


def train(f, base, targets, folder_of_pictures, name):
    run, config = f.path("run_" + name), f.path(f"run_{name}.yaml")
    with open(config, "w") as text:
        text.write(RUN.format(base=base, targets=targets, train=folder_of_pictures, run=run))
    bittern("train", config)
    return run


def load_adapters(tower, plain_tensors, folder, what):
    model = tower.load(plain_tensors)
    if model is None:
        return None, None
    try:
        return outputs(tower.run, model), peft.PeftModel.from_pretrained(model, folder).eval()
    except (UserWarning, ValueError, RuntimeError) as e:
        check(f"{what}: PeftModel.from_pretrained", False, str(e)[:500])
        return None, None


def to_peft(f, tower, base, file_of_run, expected, targets):
    folder, merged = f.path(f"to_peft_{tower.library}"), f.path(f"run_{tower.library}.safetensors")
    what = f"{f.name}: bittern's {targets} in peft for {tower.library}"
    bittern("export", file_of_run, folder, "--peft", "--names", tower.library)
    plain, adapted = load_adapters(tower, export(f, base, tower.library), folder, what)
    if adapted is None:
        return None
    matrices = [p for name, p in adapted.named_parameters() if "lora_B" in name]
    check(f"{what}: no matrix is left empty", matrices and all(m.abs().max() > 0 for m in matrices))
    found = outputs(tower.run, adapted)
    check(f"{what}: adapters matter", ((found - plain).norm() / plain.norm()).item() > 0.005, ((found - plain).norm() / plain.norm()).item())
    worst = max(near(what, found, expected), near(f"{what}, merged by peft", outputs(tower.run, adapted.merge_and_unload()), expected))
    bittern("export", file_of_run, merged, "--names", tower.library)
    return max(worst, near(f"{what}, merged by bittern", outputs(tower.run, tower.load(load_file(merged))), expected))


def from_bittern(f, base, some, folder_of_pictures):
    """q and v, all of qkv with the rest of the block, and q, k, v with it, which a fused qkv has not at one rank."""
    done = {}
    for targets in ("q,v", "qkv,proj,fc1,fc2", "q,k,v,proj,fc1,fc2"):
        run = train(f, base, targets, folder_of_pictures, targets.replace(",", "_"))
        expected = embed(f.folder, run, some)
        for library in FORMS[family_of(f)].split():
            fused = library in ("timm", "hub")
            if library not in ("timm", "hub", "transformers") or ("k" in targets.split(",") and fused):
                continue
            tower = own_tower(f) if library == f.library else other_tower(f, library)
            error = to_peft(f, tower, base, run, expected, targets)
            if error is not None:
                done[library] = max(done.get(library, 0), error)
    return ", ".join(f"{k} {v:.1g}" for k, v in done.items())


def trip(f, folder, seed):
    some, labelled, pixels = pictures(folder, f.size)
    preprocess = f.path("preprocess.json")
    with open(preprocess, "w") as text:
        json.dump({"pretrained_cfg": {"input_size": [3, f.size, f.size], "crop_pct": 1.0, "interpolation": "bicubic", "mean": [MEAN] * 3, "std": [STD] * 3}}, text)
    base = imported(f, "--preprocess", preprocess, "--image", f.size)
    towers.picture = lambda size: pixels  # what every run() of a library's model is given
    if f.library != "open_clip":
        tower = own_tower(f)
        print(f"{f.name} ({f.library}): from peft: {from_peft(f, tower, base, some, seed)}", flush=True)
    print(f"{f.name}: to peft: {from_bittern(f, base, some, labelled)}", flush=True)


with tempfile.TemporaryDirectory() as folder:
    picture = towers.picture
    wanted = sys.argv[2:] or [name for name in towers.tiny if name != "torchvision"]
    for seed, name in enumerate(wanted):
        towers.picture = picture
        trip(towers.tiny[name](folder), folder, 100 * seed)
finish()
