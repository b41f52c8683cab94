#!/usr/bin/env python3
"""Draws small breaks, builds each in a scratch copy, and asks the tests that are nearest to it. Started by mutate.sh.

A break is one change on one line of code: comments, texts, assertions, error calls and allocation sizes are left alone. One that does
not compile, or leaves the test programs the same byte by byte (code that is not built here, algebra the compiler undoes), is no
mutant: another is drawn. Areas take turns by weight, kinds within an area are equally likely, so a long file or a frequent
operator does not crowd out the rest. The same seed on the same tree draws the same breaks.
"""
import argparse
import collections
import fnmatch
import glob
import hashlib
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

CAUGHT_SHARE = 0.90
MEMORY_BYTES = 16 << 30  # a broken size must not take the machine down

Area = collections.namedtuple("Area", "name weight files left_out")
AREAS = [
    Area("cpu", 4, ["src/cpu/*.c", "src/cpu/*_simd.h", "src/cpu/vmath.h"], ["*/cpu.c", "*/device.c", "*/product_dnnl_api.c"]),
    # device, product and cholesky wrap NVIDIA's libraries: they are not compiled for the host.
    Area("cuda", 4, ["cuda/*.cu", "cuda/*.cuh"], ["*/device.cu*", "*/product.cu*", "*/cholesky.cu*", "*/libraries.cuh", "*/kernel.cuh"]),
    Area("program", 4, ["src/program/%s.c" % s for s in ("ops_*", "program", "differentiate", "plan", "lifetimes", "place", "params", "optimizer")],
         ["*/ops_info.c"]),
    Area("model", 2, ["src/nn/*.c", "src/loss/*.c", "src/method/*.c"], []),
    Area("formats", 3, ["src/formats/*.c"], ["*/event_file.c", "*_encode.c"]),  # parsers, and writers that parsers read back
    Area("data", 2, ["src/data/*.c"], []),
    Area("retrieval", 1, ["src/retrieval/*.c"], []),
]
# Unit tests by the beginning of a file's name; those that the build lacks are left out.
UNIT = {
    "formats": {"safetensors": ["test_safetensors"], "jsonl": ["test_jsonl"], "json": ["test_json", "test_safetensors"],
                "yaml": ["test_yaml", "test_options"], "config": ["test_yaml", "test_options"],
                "image": ["test_image"], "png": ["test_image"], "jpeg": ["test_image"], "ppm": ["test_image"], "npy": ["test_npy"]},
    "data": {"": ["test_transform", "test_image_folder", "test_random", "test_loader", "test_loader_sampling"]},
    "retrieval": {"": ["test_scores", "test_ranking", "test_evaluation", "test_bits", "test_knn_probe", "test_linalg", "test_training_free"]},
    "program": {"": ["test_record", "test_differentiate", "test_program", "test_params", "test_plan"]},
    "model": {"": ["test_nn", "test_program"]},
    "cpu": {"vector": ["test_vector"], "vmath": ["test_vector"], "product": ["test_product"], "gemm": ["test_product"],
            "cholesky": ["test_cholesky"]},
}
# tests/fuzz: the target that feeds a parser, by the beginning of the file's name.
FUZZ = {"safetensors": "safetensors", "jsonl": "jsonl", "json_": "json", "yaml": "config", "config": "config", "png": "png", "jpeg": "jpeg",
        "ppm": "ppm", "image": "ppm", "npy": "npy"}
# tests/cli/<name>.sh PROGRAM SOURCE_FOLDER ARGUMENTS: what only the whole command shows. They come last.
COMMANDS = {
    "formats": [("bad_input",)],
    "data": [("bad_input",), ("resume", "2")],
    "program": [("plan",), ("resume", "2")],
    "model": [("bad_input",), ("plan",), ("resume", "2")],
}


# ---- what could be broken -------------------------------------------------------------------------------------------------

def masked(text):
    """`text` with comments, strings and preprocessor lines blanked; same length, same lines."""
    blank = lambda m: re.sub(r"[^\n]", " ", m.group())
    text = re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', blank, text, flags=re.S)
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", blank, text, flags=re.M)


def closing(text, opening):
    """Index behind the parenthesis that closes the one at `opening`."""
    depth = 0
    for i in range(opening, len(text)):
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        if depth == 0:
            return i + 1
    return len(text)


UNJUDGED = re.compile(r"\b(bt_error\w*|BT_\w*ASSERT\w*|assert|static_assert|_Static_assert|bt_panic|\w*printf|bt_log\w*|"
                      r"bt_program_fail|\w*alloc\w*|bt_memory_\w+|take|BT_CHECK_OPERANDS|bt_cuda_require\w*|"
                      r"__launch_bounds__)\s*\(")


def code_of(text):
    """What may be changed: masked text without calls that report, assert or allocate."""
    code = masked(text)
    for m in UNJUDGED.finditer(code):
        end = closing(code, m.end() - 1)
        code = code[:m.start()] + re.sub(r"[^\n]", " ", code[m.start():end]) + code[end:]
    return code


TERM = r"[A-Za-z_][\w.]*(?:->\w+|\[\w+\])*"
SWAPS = {"+": "-", "-": "+", "*": "/", "/": "*", "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&",
         "+=": "-=", "-=": "+=", "*=": "/="}
KIND_OF = {"+": "sign", "-": "sign", "+=": "sign", "-=": "sign", "*": "product", "/": "product", "*=": "product", "&&": "logic", "||": "logic"}
# Nobody can see a leak or a missing hint from the outside.
UNSEEN = re.compile(r"(check_|free|release|close|destroy|drop|prefetch|\(void\)|unused|posix_fadvise|madvise)")
HARMLESS_CONDITION = re.compile(r"status|BT_OK|NULL|^!\w+$|^!bt_recording\(p\)$|error|errno")


def breaks_of_line(line, code):
    """(kind, start, end, replacement) of one line; `code` is the line masked."""
    for m in re.finditer(r"(?<=[\w)\]] )(\+=|-=|\*=|\+|-|\*|/|<=|>=|==|!=|<|>|&&|\|\|)(?= [\w(\-!&*.])", code):
        op = m.group()
        if op in "<>" and re.search(r"template|_cast", code):
            continue
        yield KIND_OF.get(op, "comparison"), m.start(), m.end(), SWAPS[op]
    for m in re.finditer(r"(?<![\w.])\d+\.\d*(?:e[+-]?\d+)?f?\b|(?<![\w.])\d+e[+-]?\d+f?\b", code):
        if float(m.group().rstrip("f")) != 0:
            yield "factor", m.start(), m.end(), "(1.25f * %s)" % line[m.start():m.end()]
    for m in re.finditer(r" [+-] %s(?=\s*[;,)\]])" % TERM, code):
        yield "term", m.start(), m.end(), ""
    m = re.match(r"\s+(?:%s|\*\w+) (?:=|\+=|-=|\*=|\|=) [^{}]*;\s*$|\s+\w+\([^{}]*\);\s*$" % TERM, code)
    whole = m and code.count("(") == code.count(")") and not re.match(r"\s*(return|BT_TRY)\b", code)
    if whole and not UNSEEN.search(line) and not UNJUDGED.search(line):
        yield "statement", len(code) - len(code.lstrip()), len(code.rstrip()), ";"
    m = re.search(r"\bfor \([^;]*;[^;]*?[<>]=? ([^;]+?);", code)
    if m:
        yield "bound", m.start(1), m.end(1), "(%s) - 1" % line[m.start(1):m.end(1)]
    m = re.search(r"\bfor \([^;]*= (0);", code)
    if m:
        yield "bound", m.start(1), m.end(1), "1"
    for m in re.finditer(r"\bif \(", code):
        end = closing(code, m.end() - 1)
        condition = code[m.end():end - 1]
        if code[end - 1:end] == ")" and condition.count("(") == condition.count(")") and not HARMLESS_CONDITION.search(condition):
            yield "flag", m.end(), end - 1, "0 && (%s)" % line[m.end():end - 1]
    for m in re.finditer(r"\b(\w+)\((?:[^()]*, )?(%s), (%s)(?=[,)])" % (TERM, TERM), code):
        symmetric = re.search(r"max|min|hypot|equal|if|while|same", m.group(1), re.I)
        if m.group(2) != m.group(3) and not symmetric and code[:1] == " ":
            yield "arguments", m.start(2), m.end(3), "%s, %s" % (m.group(3), m.group(2))


Break = collections.namedtuple("Break", "area kind path line before after")


def breaks_of_file(area, tree, path):
    with open(os.path.join(tree, path), encoding="utf-8") as f:
        text = f.read()
    lines = text.split("\n")
    for number, (line, code) in enumerate(zip(lines, code_of(text).split("\n")), 1):
        for kind, start, end, new in breaks_of_line(line, code):
            yield Break(area.name, kind, path, number, line, line[:start] + new + line[end:])


def not_run_here():
    """Patterns of files whose instructions this machine lacks."""
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        flags = set(re.findall(r"\bavx\w+", f.read()))
    return ["*_%s.c" % name for name, flag in (("avx2", "avx2"), ("avx512", "avx512bw"), ("bf16_avx512", "avx512_bf16")) if flag not in flags]


def all_breaks(tree, only):
    absent = not_run_here()
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for area in AREAS:
        paths = sorted({os.path.relpath(p, tree) for pattern in area.files for p in glob.glob(os.path.join(tree, pattern))})
        for path in paths:
            if any(fnmatch.fnmatch(path, p) for p in area.left_out + absent) or (only and only not in path and not fnmatch.fnmatch(path, only)):
                continue
            for b in breaks_of_file(area, tree, path):
                found[area.name][b.kind].append(b)
    return found


def draws(found, seed):
    """All breaks, each once, in the order of the draw."""
    rng = random.Random(seed)
    for kinds in found.values():
        for kind in sorted(kinds):
            rng.shuffle(kinds[kind])
    while found:
        for area in AREAS:
            for _ in range(area.weight):
                kinds = found.get(area.name)
                if not kinds:
                    break
                kind = rng.choice(sorted(kinds))
                yield kinds[kind].pop()
                if not kinds[kind]:
                    del kinds[kind]
                if not kinds:
                    del found[area.name]


def earlier_survivors(tree, path):
    """Breaks that survived an earlier run (its --json), on the lines where their code is now."""
    with open(path, encoding="utf-8") as f:
        for verdict in map(json.loads, f):
            if verdict.pop("verdict") != "survived":
                continue
            verdict.pop("by")
            b = Break(**verdict)
            with open(os.path.join(tree, b.path), encoding="utf-8") as source:
                places = [n for n, line in enumerate(source.read().split("\n"), 1) if line == b.before]
            if places:
                yield b._replace(line=min(places, key=lambda n: abs(n - b.line)))
            else:
                print("gone     %s:%d: %s" % (b.path, b.line, b.before.strip()), flush=True)


# These are included nearly everywhere: whatever they include does not belong to all operations.
EVERYWHERE = {"cpu", "device", "kernel", "operands"}
NOT_SANITIZED = {"test_ops_cuda_host", "test_ops_cpu", "test_parity"}  # they guard their memory themselves, or take half an hour
MANY_OPS = 8  # from here on the whole table is run instead


# ---- who should notice ------------------------------------------------------------------------------------------------------

Test = collections.namedtuple("Test", "target arguments environment script sanitized", defaults=["", False])


def told(test):
    """The test in a few words."""
    words = [*(v for _, v in test.environment), test.target, os.path.basename(test.script), *test.arguments]
    return " ".join(filter(None, words)) + (" (sanitizers)" if test.sanitized else "")


class Tests:
    """The tests nearest to a file, fastest first."""

    def __init__(self, tree, build, fixtures):
        self.tree = tree
        self.fixtures = fixtures
        listing = subprocess.run(["ninja", "-C", build, "-t", "targets", "all"], capture_output=True, text=True, check=True).stdout
        self.targets = {line.split(":")[0] for line in listing.splitlines()}
        self.families = collections.defaultdict(list)
        with open(os.path.join(tree, "src/tensor/ops.def"), encoding="utf-8") as f:
            for family, op in re.findall(r"^BT_OP\((\w+), (\w+),", f.read(), flags=re.M):
                self.families[family].append(op)

    def ops_of(self, folder, path):
        """Operations of the family that the file is named after, or of all that include the file, directly or not."""
        stem = lambda p: re.sub(r"_(avx2|avx512|simd|plain|dnnl|set|head|tile|plan)$", "", os.path.basename(p).split(".")[0])
        sources = [p for p in glob.glob(os.path.join(self.tree, folder, "*")) if p.endswith((".c", ".cu", ".h", ".cuh"))]
        reached, waiting = set(), {stem(path)}
        while waiting:
            name = waiting.pop()
            reached.add(name)
            if (path.endswith((".c", ".cu")) and name in self.families) or (name in EVERYWHERE and name != stem(path)):
                continue
            for source in sources:
                with open(source, encoding="utf-8") as f:
                    if any(stem(h) == name for h in re.findall(r'#include "(?:cpu/)?(\w+\.c?u?h)"', f.read())):
                        waiting |= {stem(source)} - reached
        families = {f for f in self.families if any(name == f or name.startswith(f + "_") for name in reached)}
        longest = {f for f in families if not any(g != f and g.startswith(f + "_") and g in reached for g in families)}
        return sorted(op for family in longest for op in self.families[family])

    def of(self, b):
        found = []
        name = os.path.basename(b.path)
        for prefix, targets in UNIT.get(b.area, {}).items():
            if name.startswith(prefix):
                found += [Test(t, (), ()) for t in targets]
        if b.area in ("cpu", "cuda"):
            ops = self.ops_of("src/cpu" if b.area == "cpu" else "cuda", b.path)
            filters = [("--stop", "--op", op) for op in ops] if 0 < len(ops) < MANY_OPS else [("--stop",)]
            if b.area == "cuda":
                found += [Test("test_ops_cuda_host", f, ()) for f in filters]
            else:
                found += [Test("test_ops_cpu", f, ()) for f in filters]
                found += [Test("test_ops_cpu", (*f, "--threads", "3"), (("BITTERN_CPU", "generic"),)) for f in filters]
        if b.area in ("program", "model") and os.path.isdir(self.fixtures):
            found += [Test("test_parity", (self.fixtures, dtype), ()) for dtype in ("f32", "bf16")]
        if b.area == "formats":
            found += [Test("fuzz_" + subject, ("--count", "10000", os.path.join(self.tree, "tests/fuzz/corpus", subject)), ())
                      for prefix, subject in FUZZ.items() if name.startswith(prefix)]
        for name, *arguments in COMMANDS.get(b.area, []):
            found.append(Test("bittern", (self.tree, *arguments), (), os.path.join(self.tree, "tests/cli/%s.sh" % name)))
        # What reads, writes or keeps memory that it should not may well pass otherwise. Slow, so only few get there.
        found += [t._replace(sanitized=True) for t in found if not (t.script or t.environment or t.target in NOT_SANITIZED)]
        return [t for t in found if t.target in self.targets]


class Judge:
    def __init__(self, options):
        self.o = options
        self.tests = Tests(options.tree, options.build, options.fixtures)
        self.healthy = {}   # Test -> seconds, or None: fails on the true code
        self.digests = {}   # path of a program -> digest when it is built from the true code

    def folder(self, test):
        return self.o.sanitized if test.sanitized else self.o.build

    def program(self, test, kind=""):
        return os.path.join(self.folder(test), kind, test.target)

    def build(self, folder, targets):
        return subprocess.run(["ninja", "-C", folder, "-j", str(self.o.jobs), *sorted(targets)], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0

    @staticmethod
    def digest(path):
        with open(path, "rb") as f:
            return hashlib.sha256(f.read()).hexdigest()

    def passes(self, program, test, limit):
        """True, False, or None where the limit was reached."""
        def confine():
            if not test.sanitized:  # whose shadow memory is huge
                resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        command = ["bash", test.script, program] if test.script else [program]
        child = subprocess.Popen([*command, *test.arguments], cwd=self.folder(test), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                 env={"OMP_WAIT_POLICY": "passive", **os.environ, **dict(test.environment)}, start_new_session=True,
                                 preexec_fn=confine)
        try:
            return child.wait(limit) in (0, 77)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            return None

    def keep_true(self, tests):
        """Builds the true programs once and keeps copies, so that a test can be tried on them at any time."""
        new = {t for t in tests if self.program(t) not in self.digests}
        for folder in {self.folder(t) for t in new}:
            if not self.build(folder, {t.target for t in new if self.folder(t) == folder}):
                sys.exit("mutate: the unbroken tree does not build; see: ninja -C %s" % folder)
        for t in new:
            self.digests[self.program(t)] = self.digest(self.program(t))
            os.makedirs(os.path.join(self.folder(t), "true"), exist_ok=True)
            shutil.copy2(self.program(t), self.program(t, "true"))

    def is_healthy(self, test):
        if test not in self.healthy:
            start = time.monotonic()
            good = self.passes(self.program(test, "true"), test, self.o.limit)
            self.healthy[test] = time.monotonic() - start if good else None
            if not good:
                print("left out: %s fails on the unbroken tree" % told(test), flush=True)
        return self.healthy[test] is not None

    def changed(self, test):
        return self.digest(self.program(test)) != self.digests[self.program(test)]

    def verdict(self, tests):
        """Of a broken tree by these tests, which are in one folder: ("caught" | "survived" | "none", what noticed or why it is no mutant)."""
        if not self.build(self.folder(tests[0]), {t.target for t in tests}):
            return "none", "does not build"
        if not any(map(self.changed, tests)):
            return "none", "same programs"
        judges = 0
        for test in filter(self.is_healthy, filter(self.changed, tests)):
            judges += 1
            good = self.passes(self.program(test), test, max(20, 5 * self.healthy[test]))
            if not good:
                return "caught", told(test) + (" (time limit)" if good is None else "")
        return ("survived", "") if judges else ("none", "no test is near")

    def judge(self, b):
        tests = self.tests.of(b)
        plain, sanitized = [t for t in tests if not t.sanitized], [t for t in tests if t.sanitized and self.o.sanitized]
        if not plain:
            return "none", "no test is near"
        self.keep_true(plain)
        path = os.path.join(self.o.tree, b.path)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        lines = text.split("\n")
        assert lines[b.line - 1] == b.before
        lines[b.line - 1] = b.after
        try:
            self.write(path, "\n".join(lines))
            verdict = self.verdict(plain)
            if verdict[0] == "survived" and sanitized:
                self.write(path, text)
                self.keep_true(sanitized)
                self.write(path, "\n".join(lines))
                second = self.verdict(sanitized)
                verdict = second if second[0] == "caught" else verdict
            return verdict
        finally:
            self.write(path, text)

    @staticmethod
    def write(path, text):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)


def report(results):
    for key, title in ((lambda b: b.area, "area"), (lambda b: b.kind, "kind")):
        table = collections.defaultdict(lambda: [0, 0])
        for b, verdict in results:
            table[key(b)][0] += verdict == "caught"
            table[key(b)][1] += 1
        print("by %s: %s" % (title, ", ".join("%s %d/%d" % (name, *table[name]) for name in sorted(table))))
    survivors = [b for b, verdict in results if verdict == "survived"]
    for b in survivors:
        print("\nsurvived  %s:%d  (%s)\n- %s\n+ %s" % (b.path, b.line, b.kind, b.before.strip(), b.after.strip()))
    caught = len(results) - len(survivors)
    share = caught / len(results) if results else 0.0
    print("\n%d of %d mutants caught (%.1f %%; %.0f %% wanted)" % (caught, len(results), 100 * share, 100 * CAUGHT_SHARE))
    return 0 if share >= CAUGHT_SHARE else 1


def main():
    p = argparse.ArgumentParser(prog="tools/mutate.sh", description=__doc__.split("\n")[0])
    p.add_argument("--tree", required=True, help="scratch copy with the mark .mutation-scratch (given by mutate.sh)")
    p.add_argument("--build", required=True, help="its build folder (given by mutate.sh)")
    p.add_argument("--sanitized", default="", help="build folder with sanitizers, or none (given by mutate.sh)")
    p.add_argument("--fixtures", default="", help="fixtures of the parity tests (given by mutate.sh)")
    p.add_argument("--jobs", type=int, default=os.cpu_count())
    p.add_argument("--count", type=int, default=200, help="mutants to judge")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--only", help="part of a path, or a pattern with *")
    p.add_argument("--limit", type=float, default=300, help="seconds for one test on the unbroken tree")
    p.add_argument("--minutes", type=float, help="stop drawing after this time")
    p.add_argument("--json", help="write one object per verdict to this file")
    p.add_argument("--again", metavar="JSON", help="judge the survivors of an earlier run instead of drawing")
    p.add_argument("--list", action="store_true", help="print what could be broken, and change nothing")
    options = p.parse_args()
    if not os.path.isfile(os.path.join(options.tree, ".mutation-scratch")):
        sys.exit("mutate: %s has no mark .mutation-scratch; only a copy made by mutate.sh is broken" % options.tree)
    found = all_breaks(options.tree, options.only)
    if options.list:
        for kinds in found.values():
            for b in sorted((b for kind in kinds.values() for b in kind), key=lambda b: (b.path, b.line)):
                print("%s:%d  %s\n- %s\n+ %s" % (b.path, b.line, b.kind, b.before.strip(), b.after.strip()))
        print("%d breaks" % sum(len(b) for kinds in found.values() for b in kinds.values()))
        return 0
    judge = Judge(options)
    results, refused, start = [], 0, time.monotonic()
    for b in earlier_survivors(options.tree, options.again) if options.again else draws(found, options.seed):
        if len(results) == options.count or (options.minutes and time.monotonic() - start > 60 * options.minutes):
            break
        verdict, why = judge.judge(b)
        if verdict == "none":
            refused += 1
            continue
        results.append((b, verdict))
        print("%3d %-8s %s:%d (%s) %s" % (len(results), verdict, b.path, b.line, b.kind, why), flush=True)
        if options.json:
            with open(options.json, "a", encoding="utf-8") as f:
                f.write(json.dumps({**b._asdict(), "verdict": verdict, "by": why}) + "\n")
    print("\nseed %d, %d drawn again (not built, or the same programs)" % (options.seed, refused))
    return report(results)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))  # the file is put back on the way out
    sys.exit(main())
