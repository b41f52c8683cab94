#!/usr/bin/env python3
"""The rules of the house that a compiler does not check. Exits 1 with one line per breach.

    check.py floors     a file includes only its own module's floor or lower ones, and no neighbouring island
    check.py backends   every family of ops.def has src/cpu/<family>.c and cuda/<family>.cu; CUDA is conditional in one file
    check.py sizes      files of at most 500 lines, but for those listed with a reason
    check.py format     C, C++ and CUDA as .clang-format has it (clang-format 14, of Debian 12; skipped, exit 77, without it)
    check.py shell      no test in shell loses the exit code that it checks
    check.py exports    build/.../libbittern.so exports bt_* only (needs the library's path)
    check.py self-test  planted breaches are found
"""
import pathlib, re, shutil, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLOOR = {"base": 0, "tensor": 1, "formats": 1, "pixels": 1, "cpu": 2, "cuda": 2, "program": 3, "nn": 4, "loss": 4, "data": 4, "retrieval": 4,
         "report": 4, "fen": 4, "decision": 4, "fetch": 4, "method": 5, "train": 6, "import": 6, "encoder": 7, "cli": 8}
# Modules of one floor that may use each other; all others are apart.
FRIENDS = {frozenset(("nn", "loss")), frozenset(("tensor", "formats"))}
PUBLIC = {"status": "base", "random": "base", "tensor": "tensor", "positions": "tensor", "safetensors": "formats", "image": "formats", "params": "program",
          "program": "program", "encoder": "encoder"}
LONG = {}  # path: reason
INCLUDE = re.compile(r'^\s*#\s*include\s+["<]([^">]+)[">]', re.M)


def sources(root):
    for folder, kinds in (("src", ("*.c", "*.h")), ("cuda", ("*.cu", "*.cuh")), ("include", ("*.h",))):
        for kind in kinds:
            yield from (root / folder).rglob(kind)


def module_of(path, root):
    parts = path.relative_to(root).parts
    if parts[0] == "src":
        return parts[1]
    return "cuda" if parts[0] == "cuda" else PUBLIC.get(path.stem)


def target_of(name):
    parts = name.split("/")
    if parts[0] == "bittern":
        return PUBLIC.get(parts[1].split(".")[0], "unknown")
    return parts[0] if len(parts) == 2 and parts[0] in FLOOR else None


def floors(root):
    for path in sources(root):
        own = module_of(path, root)
        if own is None:
            yield f"{path.relative_to(root)}: a public header without a module in this test's table"
            continue
        for name in INCLUDE.findall(path.read_text()):
            other = target_of(name)
            if other is None or other == own:
                continue
            if other == "unknown":
                yield f"{path.relative_to(root)}: includes {name}, a public header without a module"
            elif FLOOR[other] > FLOOR[own] or (FLOOR[other] == FLOOR[own] and frozenset((own, other)) not in FRIENDS):
                yield f"{path.relative_to(root)}: module {own} (floor {FLOOR[own]}) includes {name} of {other} (floor {FLOOR[other]})"
            elif other in ("cpu", "cuda"):
                yield f"{path.relative_to(root)}: {name} is inside a backend; a backend exports one symbol"


def backends(root):
    families = set(re.findall(r"^BT_OP\((\w+),", (root / "src/tensor/ops.def").read_text(), re.M))
    for family in sorted(families):
        for path in (f"src/cpu/{family}.c", f"cuda/{family}.cu"):
            if not (root / path).exists():
                yield f"{path}: missing, although ops.def has the family {family}"
    for path in sources(root):
        if "BITTERN_WITH_CUDA" in path.read_text() and path.name != "backends.c":
            yield f"{path.relative_to(root)}: CUDA is conditional in src/program/backends.c only"


def sizes(root):
    for folder in ("src", "cuda", "include", "tests", "benchmarks"):
        for path in (root / folder).rglob("*"):
            if path.suffix in (".c", ".h", ".cu", ".cuh", ".cpp", ".def") and str(path.relative_to(root)) not in LONG:
                lines = path.read_text().count("\n")
                if lines > 500:
                    yield f"{path.relative_to(root)}: {lines} lines, at most 500"


def formatted(root):
    tool = shutil.which("clang-format-14") or shutil.which("clang-format")
    if not tool or "version 14." not in subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout:
        print("skipped: clang-format 14 is not here (Debian: clang-format)")
        sys.exit(77)
    files = [path for folder in ("src", "cuda", "include", "tests", "benchmarks", "examples") for path in sorted((root / folder).rglob("*"))
             if path.suffix in (".c", ".h", ".cu", ".cuh", ".cpp")]
    out = subprocess.run([tool, "--dry-run", *files], capture_output=True, text=True, check=True).stderr
    yield from sorted({f"{pathlib.Path(m).relative_to(root)}: clang-format -i mends it" for m in re.findall(r"^(/[^:\n]+):\d+:\d+: warning", out, re.M)})


# check "text with $(command)" $?    tests the exit code of `command`: bash expands the text first.
LOST_CODE = re.compile(r'\bcheck\s.*\$\(.*"\s+\$\?\s*(;|$)')


def shell(root):
    for path in (root / "tests").rglob("*.sh"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if LOST_CODE.search(line):
                yield f"{path.relative_to(root)}:{number}: $? behind $(...) is the exit code of that command; keep it before (code=$?)"


def exports(library):
    out = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    names = [line.split()[-1] for line in out.splitlines()]
    if not any(n.startswith("bt_") for n in names):
        yield f"{library}: exports nothing"
    yield from (f"{library}: exports {n}" for n in names if not n.startswith("bt_"))


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name in ("src/base", "src/train", "src/data", "src/nn", "src/tensor", "cuda", "include/bittern", "tests", "benchmarks"):
            (root / name).mkdir(parents=True)
        (root / "src/base/a.c").write_text('#include "train/b.h"\n')
        (root / "src/data/c.c").write_text('#include "nn/d.h"\n')
        (root / "src/nn/e.c").write_text("int x;\n" * 501 + "#ifdef BITTERN_WITH_CUDA\n")
        (root / "src/tensor/ops.def").write_text("BT_OP(ghost, ghost, , , , PURE)\n")
        (root / "tests/lost.sh").write_text('grep -q a b\ncheck "found: $(tail -n 1 "$log")" $?\n')
        (root / "tests/kept.sh").write_text('check "plain \\"$a\\"" $?\ncheck "$(f) b" $code\ncheck "c" "$(grep -q a b; echo $?)"\n')
        found = [*floors(root), *backends(root), *sizes(root), *shell(root)]
        wanted = ["src/base/a.c", "src/data/c.c", "src/cpu/ghost.c", "cuda/ghost.cu", "CUDA is conditional", "502 lines", "tests/lost.sh:2"]
        yield from (f"self-test: a planted breach was not found: {w}" for w in wanted if not any(w in f for f in found))
        yield from (f"self-test: found where nothing is wrong: {f}" for f in found if "kept.sh" in f)


def main():
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    checks = {"floors": floors, "backends": backends, "sizes": sizes, "format": formatted, "shell": shell}
    if what in checks:
        breaches = list(checks[what](ROOT))
    elif what == "exports" and len(sys.argv) == 3:
        breaches = list(exports(sys.argv[2]))
    elif what == "self-test":
        breaches = list(self_test())
    else:
        sys.exit(__doc__)
    print("\n".join(breaches) or f"{what}: ok")
    sys.exit(bool(breaches))


main()
