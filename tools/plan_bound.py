#!/usr/bin/env python3
"""Checks the memory plan of a step without trusting the planner: lifetimes, overlaps, and the distance to the liveness bound.

  bittern inspect plan CONFIG --json | tools/plan_bound.py - --limit 1.03 --saved-per-block 11

From the instructions' operands alone follow each storage's first and last use. A storage whose first use is a read is an input and lives
from before the first instruction; one that the plan keeps to the last instruction is an output. The bound is the largest sum of
bytes alive at one instruction; no placement can be below it.
Exit code: 0 good, 1 something is wrong or the block is above --limit times the bound, 2 the input is no plan.
"""
import argparse
import collections
import json
import sys

ALIGN_BYTES = 256
ELEMENT_BYTES = {"f32": 4, "bf16": 2, "u8": 1, "i32": 4, "i64": 8}


def count_of(shape):
    n = 1
    for d in shape:
        n *= d
    return n


def bytes_of(operand):
    shape = operand["shape"]
    if operand["dtype"] == "bits":  # rows of 64-bit words
        return count_of(shape[:-1]) * ((shape[-1] + 63) // 64) * 8
    return count_of(shape) * ELEMENT_BYTES[operand["dtype"]]


def uses_of(plan):
    """storage -> [(instruction, written, value, bytes)], in order; within an instruction reads come first."""
    uses = collections.defaultdict(list)
    for i, instruction in enumerate(plan["instructions"]):
        for operand in sorted(instruction["operands"], key=lambda o: o["written"]):
            if "storage" in operand:
                uses[operand["storage"]].append((i, operand["written"], operand["value"], bytes_of(operand)))
        if "scratch_storage" in instruction:
            uses[instruction["scratch_storage"]].append((i, True, "scratch", 0))
    return uses


def check_values(storage, uses, problems):
    """A value must not be read once another has taken over its storage."""
    owner = uses[0][2]
    for i, written, value, _ in uses:
        if written and value != owner:
            owner = value
        elif not written and value != owner:
            problems.append("instruction %d reads %s in storage %d, which %s has taken over" % (i, value, storage, owner))


def check_lives(plan, problems):
    """Recomputed (begin, end, bytes) per storage; complains where the plan's own are shorter."""
    last = len(plan["instructions"]) - 1
    uses = uses_of(plan)
    lives = []
    for s, storage in enumerate(plan["storages"]):
        if s not in uses:  # an input that nobody reads still has a place
            lives.append((0, 0, storage["bytes"]))
            continue
        is_input = not uses[s][0][1]
        begin, end = 0 if is_input else uses[s][0][0], uses[s][-1][0]
        if storage["end"] == last:
            end = last
        if storage["begin"] > begin or storage["end"] < end:
            problems.append("storage %d is in use at instructions %d..%d, the plan says %d..%d" %
                            (s, begin, end, storage["begin"], storage["end"]))
        needed = max(u[3] for u in uses[s])
        if storage["bytes"] < needed:
            problems.append("storage %d has %d bytes, its largest value needs %d" % (s, storage["bytes"], needed))
        check_values(s, uses[s], problems)
        lives.append((begin, end, storage["bytes"]))
    for s in set(uses) - set(range(len(plan["storages"]))):
        problems.append("instruction %d uses storage %d of %d" % (uses[s][0][0], s, len(plan["storages"])))
    return lives


def check_places(plan, lives, problems):
    for s, storage in enumerate(plan["storages"]):
        if storage["offset"] % ALIGN_BYTES or storage["offset"] + storage["bytes"] > plan["summary"]["block_bytes"]:
            problems.append("storage %d at %d with %d bytes is not aligned or not inside the block" %
                            (s, storage["offset"], storage["bytes"]))
        for other in range(s):
            a, b = lives[s], lives[other]
            start = plan["storages"][other]["offset"]
            if a[0] <= b[1] and b[0] <= a[1] and storage["offset"] < start + b[2] and start < storage["offset"] + a[2]:
                problems.append("storages %d and %d overlap while both are alive" % (other, s))


def bound_of(lives, instructions):
    change = [0] * (instructions + 1)
    for begin, end, size in lives:
        change[begin] += size
        change[end + 1] -= size
    alive = most = 0
    for c in change:
        alive += c
        most = max(most, alive)
    return most


def saved_per_block(plan):
    """segment -> elements kept for the backward, over T x D and image, of every segment that is a whole transformer block."""
    produced, kept = {}, {}  # value -> segment; segment -> {value: elements}
    rows = {}                # segment -> elements of its first layer norm's input
    whole = set()
    for instruction in plan["instructions"]:
        segment = instruction["segment"]
        for operand in instruction["operands"]:
            value = operand["value"]
            if instruction["phase"] == "forward":
                if operand["written"] and "storage" in operand:
                    produced[value] = (segment, count_of(operand["shape"]))
                if instruction["op"] == "layer_norm" and operand["operand"] == "x":
                    rows.setdefault(segment, count_of(operand["shape"]))
            elif not operand["written"] and value in produced:
                kept.setdefault(produced[value][0], {})[value] = produced[value][1]
        if instruction["phase"] == "forward" and instruction["op"] == "attention":
            if not any(o["operand"] == "q" for o in instruction["operands"]):  # the last block computes one row only
                whole.add(segment)
    return {s: sum(kept.get(s, {}).values()) / rows[s] for s in sorted(whole & set(rows))}


def self_test():
    """Plans with a known mistake: each must be found, and the good one must pass."""
    def plan(**changes):
        f = lambda value, written, storage: {"operand": "x", "value": value, "written": written, "dtype": "f32", "shape": [64],
                                             "storage": storage}
        step = lambda *operands: {"op": "relu", "phase": "forward", "segment": 0, "operands": list(operands)}
        place = lambda offset, begin, end: {"bytes": 256, "offset": offset, "begin": begin, "end": end}
        p = {"summary": {"block_bytes": 512, "lower_bound_bytes": 512},
             "instructions": [step(f("in", False, 0), f("%1", True, 1)), step(f("%1", False, 1), f("%2", True, 2)),
                              step(f("%2", False, 2), f("%3", True, 1))],
             "storages": [place(0, 0, 0), place(256, 0, 2), place(0, 1, 2)]}
        for key, value in changes.items():
            p["storages"][int(key[1])] = value
        return p
    def found(p):
        problems = []
        check_places(p, check_lives(p, problems), problems)
        return problems
    assert found(plan()) == []
    assert any("overlap" in x for x in found(plan(s2={"bytes": 256, "offset": 256, "begin": 1, "end": 2})))
    assert any("in use at" in x for x in found(plan(s2={"bytes": 256, "offset": 0, "begin": 2, "end": 2})))
    assert any("needs" in x for x in found(plan(s0={"bytes": 128, "offset": 0, "begin": 0, "end": 0})))
    assert any("inside" in x for x in found(plan(s0={"bytes": 256, "offset": 512, "begin": 0, "end": 0})))
    stale = plan()
    stale["instructions"].append({**stale["instructions"][1], "operands": [stale["instructions"][1]["operands"][0]]})
    assert any("taken over" in x for x in found(stale))
    assert bound_of([(0, 1, 10), (1, 2, 5), (2, 2, 7)], 3) == 15
    print("plan_bound: self-test passed")
    return 0


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("plan", nargs="?", help="JSON of `bittern inspect plan`, - for standard input")
    p.add_argument("--limit", type=float, default=1.03, help="block over bound (default 1.03)")
    p.add_argument("--saved-per-block", type=float, metavar="X", help="at most X elements kept per block, token, width and image")
    p.add_argument("--self-test", action="store_true")
    a = p.parse_args()
    if a.self_test:
        return self_test()
    if not a.plan:
        p.error("the plan's JSON file is missing")
    try:
        with (sys.stdin if a.plan == "-" else open(a.plan, encoding="utf-8")) as f:
            plan = json.load(f)
        summary = plan["summary"]
        problems = []
        lives = check_lives(plan, problems)
        check_places(plan, lives, problems)
    except (OSError, ValueError, KeyError, TypeError) as e:
        print("plan_bound: %s: no plan of `bittern inspect plan --json`: %r" % (a.plan, e), file=sys.stderr)
        return 2
    bound = bound_of(lives, len(plan["instructions"]))
    if bound != summary["lower_bound_bytes"]:
        problems.append("the plan states a bound of %d bytes, the operands give %d" % (summary["lower_bound_bytes"], bound))
    ratio = summary["block_bytes"] / bound if bound else 1.0
    if not ratio <= a.limit:
        problems.append("the block is %.4f times the bound, above %g" % (ratio, a.limit))
    print("%d instructions, %d storages: block %.2f MB, bound %.2f MB, ratio %.4f%s" %
          (len(plan["instructions"]), len(plan["storages"]), summary["block_bytes"] / 1e6, bound / 1e6, ratio,
           "" if summary.get("with_scratch", True) else " (without scratch)"))
    if a.saved_per_block is not None:
        saved = saved_per_block(plan)
        print("kept per block, token, width and image: " + (" ".join("%.2f" % x for x in saved.values()) or "no block found"))
        if not saved:
            problems.append("no segment with layer norm and attention: nothing to compare with --saved-per-block")
        problems += ["segment %d keeps %.2f elements, above %g" % (s, x, a.saved_per_block)
                     for s, x in saved.items() if not x <= a.saved_per_block]
    for problem in problems:
        print("WRONG " + problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
