"""What round_trips.py and peft_trips.py share: the command, checks, and where the libraries are missing, exit code 77."""
import json, os, subprocess, sys, tempfile

NEEDED = "torch", "safetensors", "timm", "open_clip", "transformers", "peft", "torchvision"
FORMS = {"dinov2": "hub timm transformers", "dinov3": "transformers", "vit": "timm transformers torchvision", "clip_alone": "transformers timm",
         "clip": "open_clip transformers timm"}
failed = passed = 0
# As in tests/cli/common.sh: reports are painted with fonts, and fontconfig keeps what it read: in a build with sanitizers that is no leak of ours.
suppressions = tempfile.NamedTemporaryFile("w", suffix=".lsan")
suppressions.write("leak:libfontconfig\n")
suppressions.flush()
environment = dict(os.environ, LSAN_OPTIONS=f"suppressions={suppressions.name}:print_suppressions=0")


def need_libraries():
    import importlib
    found = []
    for name in NEEDED:
        try:
            found.append(f"{name} {getattr(importlib.import_module(name), '__version__', '')}")
        except ImportError as e:
            print(f"SKIPPED: {sys.executable}: {e}")
            sys.exit(77)
    print("libraries:", ", ".join(found))


def check(what, good, detail=""):
    global failed, passed
    if good:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {what}: {detail}")


def near(what, found, expected, limit=1e-4):
    """Relative in the 2-norm, as in test_pretrained.c."""
    error = ((found.double() - expected.double()).norm() / expected.double().norm()).item() if found.shape == expected.shape else float("nan")
    check(what, error <= limit, f"deviates by {error:.2g}, limit {limit:g}; shapes {tuple(found.shape)}, {tuple(expected.shape)}")
    return error


def same(what, found, expected):
    import torch
    check(what, found.shape == expected.shape and found.dtype == expected.dtype and torch.equal(found, expected), "other values")


def bittern(*arguments):
    """Runs the command; the test ends where it fails."""
    done = subprocess.run([os.path.abspath(sys.argv[1]), *map(str, arguments)], capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        print(f"FAILED bittern {' '.join(map(str, arguments))}: {done.stderr}")
        sys.exit(1)
    return done.stdout


def imported(f, *options):
    """The fixture's weights as a file of ours."""
    flags = list(options)
    if os.path.exists(f.path("import.json")):
        with open(f.path("import.json")) as text:
            flags += [x for k, v in json.load(text).items() for x in ("--" + k, v)]
    out = f.path("imported.safetensors")
    bittern("import", f.weights, "--out", out, *flags)
    return out


def export(f, file, form):
    """A model of ours under a library's names: its tensors."""
    from safetensors.torch import load_file
    out = f.path(f"to_{form}.safetensors")
    bittern("export", file, out, "--names", form)
    return load_file(out)


def family_of(f):
    """Key of FORMS."""
    return next((k for k in ("dinov2", "dinov3", "clip_alone", "clip") if k in f.name), "dinov2" if f.library == "hub" else "vit")


def finish():
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed != 0 or passed == 0)
