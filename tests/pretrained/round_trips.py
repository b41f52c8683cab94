"""Library -> bittern import -> bittern export -> the library's own loading, for every fixture of make_fixtures.py.

    python3 round_trips.py BITTERN [FIXTURE ...]

Loaded are, strictly, the tensors that bittern wrote and those that the library's class has besides, which import leaves out: they come from the
original, and are listed in LEFT. Every tensor and every output of the loaded model is bit-equal to the original's.
A model of transformers that torch.save wrote, with the names of its modules, imports to the same.
Then each tower goes to the other libraries that have such towers: their outputs are within 1e-4 of the original's.
"""
import sys, tempfile
from trips import FORMS, bittern, check, export, family_of, finish, imported, near, need_libraries, same

need_libraries()
import torch
import make_fixtures as towers
from libraries import other_tower, own_tower

torch.set_num_threads(1)
OUTPUTS = "class", "patches", "embedding"
# What the library's class has and import leaves out: masked patches of pretraining, classifier, text tower and temperature.
LEFT = {"hub": ("mask_token",), "timm": (), "transformers": ("embeddings.mask_token",), "torchvision": ("heads.",),
        "open_clip": ("positional_embedding", "token_embedding.", "transformer.", "ln_final.", "text_projection", "logit_scale", "attn_mask")}


def compare_tensors(f, exported):
    """All of the original's but LEFT, bit for bit; returns the names of those left."""
    left = sorted(k for k in f.saved if k not in exported)
    check(f"{f.name}: what is left out", all(k.startswith(LEFT[f.library]) for k in left), left)
    check(f"{f.name}: nothing is added", set(exported) <= set(f.saved), sorted(set(exported) - set(f.saved)))
    for key, value in exported.items():
        if key in f.saved:
            same(f"{f.name}: {key}", value, f.saved[key])
    return left


def compare_models(f, tower, exported):
    """False where the library is not here."""
    model, original = tower.load(exported), f.model or tower.load(f.saved)
    if not model:
        return False
    loaded = model.state_dict()
    for key, value in original.state_dict().items():
        same(f"{f.name}: {key} in the loaded model", loaded[key], value)
    for what, a, b in zip(OUTPUTS, tower.run(model), tower.run(original)):
        if b is not None:
            same(f"{f.name}: {what}", a, b)
    return True


def trip(f, file):
    exported = export(f, file, f.library)
    left = compare_tensors(f, exported)
    if not compare_models(f, own_tower(f), exported):
        return "names and tensors; this tower's authors' code is not here"
    kinds = [kind for kind in LEFT[f.library] if any(k.startswith(kind) for k in left)]
    return "loaded strictly" + (f", with {', '.join(kinds)} of the original" if kinds else "")


def cross(f, file):
    """At the size of the positions, so that none resamples."""
    done = []
    for form in FORMS[family_of(f)].split():
        tower = other_tower(f, form)
        model = tower.load(export(f, file, form)) if form != f.library else None
        if model:
            errors = [near(f"{f.name} as {form}: {what}", found, f.expected[f"{what}_{f.size}"])
                      for what, found in zip(OUTPUTS, tower.run(model)) if found is not None]
            done.append(f"{form} {max(errors):.1g}")
    return ", ".join(done)


def from_memory(f, file):
    """What torch.save makes of a model of transformers has the names of its modules, which differ from those of files."""
    if f.library != "transformers":
        return
    state = f.path("state.pth")
    torch.save(f.model.state_dict(), state)
    bittern("import", state, "--config", f.path("config.json"), "--out", f.path("state.safetensors"))
    first, second = export(f, file, "bittern"), export(f, f.path("state.safetensors"), "bittern")
    check(f"{f.name}: from memory", first.keys() == second.keys(), sorted(first.keys() ^ second.keys()))
    for key in first.keys() & second.keys():
        same(f"{f.name}: {key} from memory", second[key], first[key])


def back_from_timm(f, file):
    """timm's files are read as such: what comes back by way of them is what was there. Registers aside: timm adds the class token's position to it."""
    first = export(f, file, f.library)
    if f.library == "timm" or "timm" not in FORMS[family_of(f)] or any("register" in k for k in f.saved):
        return
    export(f, file, "timm")
    flags = ["--activation", "quick_gelu" if f.name in ("transformers_clip", "open_clip_quick") else "gelu"] if "clip" in f.name else []
    again = f.path("again.safetensors")
    bittern("import", f.path("to_timm.safetensors"), "--heads", 3, "--out", again, *flags)
    second = export(f, again, f.library)
    check(f"{f.name}: back from timm", first.keys() == second.keys(), sorted(first.keys() ^ second.keys()))
    for key in first.keys() & second.keys():
        same(f"{f.name}: {key} back from timm", second[key], first[key])


with tempfile.TemporaryDirectory() as folder:
    for name in sys.argv[2:] or towers.tiny:
        f = towers.tiny[name](folder)
        file = imported(f)
        with torch.no_grad():
            print(f"{name} ({f.library}): {trip(f, file)}")
            others = cross(f, file)
            back_from_timm(f, file)
            from_memory(f, file)
        if others:
            print(f"{name}: in other libraries, deviation: {others}")
finish()
