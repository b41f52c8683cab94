#!/usr/bin/env python3
"""What eval.sh checks of the files of an evaluation and of its page, with nothing but Python's library.

    eval_reference.py scores|page|full|whole|adapted|frozen|wide|relevant|accuracy RUN [RUN]     same|untrained A B     bare A     spoil FILE
    eval_reference.py ranks RUN "NAME GROUPS [also NAME...]"...
"""
import ast
import html.parser
import json
import math
import re
import struct
import sys

FORMATS = {"<f4": "f", "<f8": "d", "<i4": "i", "|u1": "B"}


def npy(path):
    """Rows of a matrix in a .npy file."""
    data = open(path, "rb").read()
    assert data[:8] == b"\x93NUMPY\x01\x00", path
    (length,) = struct.unpack("<H", data[8:10])
    head = ast.literal_eval(data[10:10 + length].decode())
    assert not head["fortran_order"]
    rows, columns = head["shape"]
    flat = struct.unpack(f"<{rows * columns}{FORMATS[head['descr']]}", data[10 + length:])
    return [flat[i * columns:(i + 1) * columns] for i in range(rows)]


def scores_of(run):
    return json.load(open(f"{run}/evaluation.json"))


def lines(path):
    return open(path).read().splitlines()


def near(a, b, tolerance=1e-12):
    assert abs(a - b) <= tolerance, (a, b)


def average_precision(relevant, k, total):
    """Papers' and standard AP@k of a ranking given as booleans, straight from the definition."""
    hits, precisions = 0, 0.0
    for rank, good in enumerate(relevant[:k], 1):
        hits += good
        precisions += good * hits / rank
    return (precisions / hits if hits else 0), (precisions / min(k, total) if total else 0)


def check_ranking(run, e, way, distances, rank):
    """Scores of one way at one rank, from the distances of every query to the database."""
    ql, dl = npy(f"{run}/evaluation/query_labels.npy"), npy(f"{run}/evaluation/database_labels.npy")
    group = e["scores"][way]["ranks"][rank]
    for at in group["at"]:
        sums = [0.0] * 5
        for q, row in enumerate(distances):
            order = sorted(range(len(row)), key=lambda i: (row[i], i))  # ties by index
            relevant = [dl[i][rank] == ql[q][rank] for i in order]
            total, found = sum(relevant), sum(relevant[:at["k"]])
            papers, standard = average_precision(relevant, at["k"], total)
            for i, v in enumerate((papers, standard, found / at["k"], found / total, found > 0)):
                sums[i] += v / len(distances)
        for name, v in zip(("papers", "standard", "precision", "recall", "hit_rate"), sums):
            near(at[name], v)
        if "papers_interval" in at:
            low, high = at["papers_interval"]
            assert low <= at["papers"] <= high and 0 <= low and high <= 1, at


def codes_of(run, side, bits):
    return [int.from_bytes(bytes(row), "little") & ((1 << bits) - 1) for row in npy(f"{run}/evaluation/{side}_codes.npy")]


def check_bits(run, e):
    codes, bits, s = codes_of(run, "database", e["bits"]), e["bits"], e["bit_statistics"]
    ones = [sum(c >> b & 1 for c in codes) / len(codes) for b in range(bits)]
    for a, b in zip(ones, s["ones"]):
        near(a, b)
    entropy = [0 if p in (0, 1) else -p * math.log2(p) - (1 - p) * math.log2(1 - p) for p in ones]
    near(sum(entropy) / bits, s["entropy"])
    assert s["distinct"] == len(set(codes)) and s["codes"] == len(codes) and s["dead"] == sum(p in (0, 1) for p in ones)
    r = npy(f"{run}/evaluation/bit_correlation.npy")
    for i in range(bits):
        for j in range(bits):
            p, q, both = ones[i], ones[j], sum(c >> i & c >> j & 1 for c in codes) / len(codes)
            wanted = 0 if p in (0, 1) or q in (0, 1) else (both - p * q) / math.sqrt(p * (1 - p) * q * (1 - q))
            near(r[i][j], wanted, 1e-9)


def check_neighbours(run, e):
    ql, dl = npy(f"{run}/evaluation/query_labels.npy"), npy(f"{run}/evaluation/database_labels.npy")
    near_by, far = npy(f"{run}/evaluation/neighbours.npy"), npy(f"{run}/evaluation/distances.npy")
    assert all(list(d) == sorted(d) for d in far)
    for rank, r in enumerate(e["ranks"]):
        for c, row in enumerate(r["confusion"]):
            members = [q for q in range(len(ql)) if ql[q][rank] == c]
            for d, share in enumerate(row):
                found = sum(dl[i][rank] == d for q in members for i in near_by[q][:10])
                near(share, found / (10 * len(members)))
    for side, labels in (("query", ql), ("database", dl)):
        paths = lines(f"{run}/evaluation/{side}_paths.txt")
        names = e["ranks"][0]["names"]
        assert [p.split("/")[-2] for p in paths] == [names[l[0]] for l in labels], "paths and labels disagree"
    precision = npy(f"{run}/evaluation/average_precision.npy")
    near(sum(p[0] for p in precision) / len(precision), e["map_binary"] if e["bits"] else e["map_continuous"])


def check_headlines(e):
    for way, group in e["scores"].items():
        near(e[f"map_{way}"], group["ranks"][0]["at"][0]["papers"], 0)
        near(e[f"map_{way}_standard"], group["ranks"][0]["at"][0]["standard"], 0)
        for r in group["ranks"]:
            assert len(r["curve"]) == len(e["curve_recall"]) and r["curve"] == sorted(r["curve"], reverse=True)


def command_scores(run):
    e = scores_of(run)
    assert (e["format"], e["version"], e["method"], e["bits"], e["k"], e["full"]) == ("bittern evaluation", 1, "crovca", 16, 10, False)
    assert e["run"].endswith("run") and e["checkpoint"] == "step_00000016" and e["step"] == 16
    assert [r["name"] for r in e["ranks"]] == ["species", "family"] and e["ranks"][1]["names"] == ["round", "straight"]
    assert set(e["scores"]) == {"binary", "symmetric", "continuous", "before", "random"}
    q, db = codes_of(run, "query", 16), codes_of(run, "database", 16)
    assert len(q) == e["queries"] and len(db) == e["database"]
    hamming = [[bin(a ^ b).count("1") for b in db] for a in q]
    for rank in (0, 1):
        check_ranking(run, e, "symmetric", hamming, rank)
    check_headlines(e)
    check_bits(run, e)
    check_neighbours(run, e)
    free = e["training_free"]
    assert (free["encoder"], free["bits"], free["draws"]) == ("before", 16, 10) and e["train"] == 48
    near(free["at"][0]["papers"]["mean"], e["map_training_free"], 0)
    near(free["at"][1]["papers"]["mean"], free["at"][1]["standard"]["mean"])  # over the whole database both are one
    assert 0 < free["at"][0]["papers"]["deviation"] < 0.2


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def command_full(run):
    e = scores_of(run)
    assert e["full"]
    q, db = (npy(f"{run}/evaluation/{side}_embeddings.npy") for side in ("query", "database"))
    e["scores"]["continuous"]["ranks"][0]["at"].pop()  # float ties in the tail may fall otherwise; the first k are compared
    check_ranking(run, e, "continuous", [[1 - cosine(a, b) for b in db] for a in q], 0)
    for way in ("binary", "symmetric", "continuous", "before", "random"):
        assert 0 <= e["scores"][way]["vote"] <= 1
    for way in ("continuous", "before"):
        assert 0 <= e["scores"][way]["probe"] <= 1
        assert 1 <= e["scores"][way]["effective_rank"]["entropy"] <= e["width"]
        assert 1 <= e["scores"][way]["effective_rank_centred"]["participation"] <= e["width"]
    at = e["scores"]["symmetric"]["ranks"][0]["at"][1]
    assert at["shuffle_deviation"]["papers"] > 0 and abs(at["shuffled"]["papers"] - at["papers"]) < 0.2
    assert "shuffled" not in e["scores"]["continuous"]["ranks"][0]["at"][0]
    assert "itq_papers" in e["training_free"]


def command_same(a, b):
    a, b = json.load(open(a)), json.load(open(b))
    for e in (a, b):
        e.pop("seconds"), e.pop("run")  # the folder as it was written on the command line
    differ = [k for k in a if a[k] != b.get(k)]
    assert not differ and a.keys() == b.keys(), differ


def command_untrained(a, b):
    a, b = json.load(open(a)), json.load(open(b))
    assert a["checkpoint"] is None
    near(a["map_continuous"], b["map_before"], 0)
    near(a["map_random"], b["map_random"], 0)


def command_bare(path):
    e = json.load(open(path))
    assert e["step"] == 15 and set(e["scores"]) == {"binary", "symmetric", "continuous"}
    assert e["map_random"] is None and e["map_before"] is None and e["map_training_free"] is None and e["training_free"] is None
    at = e["scores"]["binary"]["ranks"][0]["at"]
    assert len(at) == 1 and "papers_interval" not in at[0]


def command_whole(run):
    e = scores_of(run)
    assert e["method"] == "classify" and e["bits"] == 0 and e["bit_statistics"] is None and 0 <= e["accuracy"] <= 1
    assert set(e["scores"]) == {"continuous", "random"} and e["map_before"] is None and e["map_binary"] is None
    assert e["training_free"]["encoder"] == "after" and e["training_free"]["bits"] == 32
    check_headlines(e)
    check_neighbours(run, e)


def command_adapted(run, base):
    e, before = scores_of(run), scores_of(base)
    near(e["map_before"], before["map_continuous"], 0)
    assert e["training_free"]["encoder"] == "before"


def command_frozen(run):
    e = scores_of(run)
    near(e["map_before"], e["map_continuous"], 0)
    assert e["training_free"]["encoder"] == "before" and "before" not in e["scores"]


def command_wide(run):
    e = scores_of(run)
    assert e["map_training_free"] is None and "48 bits" in e["training_free"]["reason"]


def command_ranks(run, *wanted):
    e = scores_of(run)
    found = [" ".join([r["name"], str(r["classes"])] + (["also"] + r["also"] if r["also"] else [])) for r in e["ranks"]]
    assert found == list(wanted), found
    assert all(len(r["names"]) == r["classes"] == len(r["confusion"]) for r in e["ranks"])
    assert all([r["rank"] for r in way["ranks"]] == [r["name"] for r in e["ranks"]] for way in e["scores"].values())
    labels = npy(f"{run}/evaluation/query_labels.npy") + npy(f"{run}/evaluation/database_labels.npy")
    for rank, r in enumerate(e["ranks"]):
        assert {row[rank] for row in labels} == set(range(r["classes"])), "groups that nobody has"


def command_accuracy(run):
    """The evaluation's accuracy is the training's last one."""
    last = [s for s in map(json.loads, open(f"{run}/metrics.jsonl")) if s["kind"] == "scores"][-1]
    near(scores_of(run)["accuracy"], last["accuracy"])
    assert last["accuracy"] > 0, last


def command_relevant(run):
    ql, dl = npy(f"{run}/evaluation/query_labels.npy"), npy(f"{run}/evaluation/database_labels.npy")
    found, near_by = npy(f"{run}/evaluation/relevant.npy"), npy(f"{run}/evaluation/neighbours.npy")
    assert [[int(ql[q][0] == dl[i][0]) for i in row] for q, row in enumerate(near_by)] == [list(row) for row in found]


class Page(html.parser.HTMLParser):
    VOID = {"meta", "img", "path", "circle", "br"}

    def __init__(self):
        super().__init__()
        self.open, self.text, self.ids, self.links = [], [], set(), []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        assert tag not in ("script", "link", "iframe", "object"), tag
        assert not any(name.startswith("on") for name in attributes), attributes
        for name in ("src", "href", "data", "action", "xlink:href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:image/", "#")), value
        assert tag != "img" or attributes.get("alt"), "a picture without words"
        if "id" in attributes:
            assert attributes["id"] not in self.ids, attributes["id"]
            self.ids.add(attributes["id"])
        if tag == "a":
            self.links.append(attributes["href"][1:])
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert tag in self.VOID, tag

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text.append(data)


def command_page(run):
    e, source = scores_of(run), open(f"{run}/report.html", encoding="utf-8").read()
    outside = [u for u in re.findall(r"(?:https?:)?//[a-z][^\s\"'<)]*", re.sub(r"base64,[A-Za-z0-9+/=]*", "", source))
               if u != "http://www.w3.org/2000/svg"]
    assert not outside, outside
    assert "url(" not in source and "@import" not in source
    page = Page()
    page.feed(source)
    page.close()
    assert not page.open, page.open
    assert set(page.links) <= page.ids and "scores" in page.ids
    text = "\n".join(page.text)
    for key, value in e.items():
        if re.fullmatch(r"map_[a-z_]*", key) and value is not None and not key.endswith("deviation"):
            assert f"{value:.3f}" in text, (key, value)
    for way in e["scores"].values():
        for at in way["ranks"][0]["at"]:
            assert f"{at['standard']:.3f}" in text
            low, high = at["standard_interval"]
            assert f"{low:.3f} to {high:.3f}" in text
    for rank in e["ranks"]:
        assert all(name in text for name in rank["names"])
    assert source.count("<img ") >= 11 * 11 or len(e["ranks"][0]["names"]) < 4
    assert "small.yaml" in text or "whole.yaml" in text, "where settings were made"


def command_spoil(path):
    data = bytearray(open(path, "rb").read())
    data[128:132] = struct.pack("<i", 1 << 30)
    open(path, "wb").write(data)


globals()["command_" + sys.argv[1]](*sys.argv[2:])
