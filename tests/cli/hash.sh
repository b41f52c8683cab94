#!/usr/bin/env bash
# bittern hash on embeddings made here: scores, codes in files, and what a user gets wrong.   hash.sh BITTERN
# Exit code 77: no Python with NumPy, which makes the embeddings and reads the codes back.
pictures=none . "$(dirname "$0")/common.sh"
need_python numpy NumPy python3-numpy
refuses() { answer "$1" "$2" "$3" hash "${@:4}"; } # what, exit code, text, arguments of bittern hash...

"$python" - <<'END'
import numpy as np
r = np.random.default_rng(0)
centres = r.normal(size=(5, 24))
y, yq = r.integers(0, 5, 300), r.integers(0, 5, 40)
np.save("x.npy", (centres[y] + r.normal(size=(300, 24))).astype("f4"))
np.save("q.npy", (centres[yq] + r.normal(size=(40, 24))).astype("f2"))
np.save("y.npy", y), np.save("yq.npy", yq.astype("u1"))
np.save("sets.npy", np.eye(5, dtype=bool)[y])
np.save("other.npy", np.zeros((40, 23), "f4"))
np.save("nan.npy", np.where(np.arange(48) == 29, np.nan, 1).reshape(2, 24))
np.save("two.npy", np.full((300, 5), 2, "i4"))
END

"$bittern" hash x.npy --labels y.npy --query q.npy --query-labels yq.npy --bits 8,16 --method pca,rotation,itq,lsh --k 50 --neighbours 10 --json >scores.json
check "scores as JSON" $?
"$python" - <<'END'
import json
s = json.load(open("scores.json"))
rows = {(c["method"], c["bits"]): c for c in s["codes"]}
assert (s["database"], s["queries"], s["k"], s["leave_one_out"]) == (300, 40, 50, False), s
assert len(rows) == 8 and rows["pca", 8]["draws"] == 1 and rows["itq", 16]["draws"] == 10
for c in rows.values():
    for key in ("map_papers", "map_standard", "map_hamming_papers", "vote"):
        assert 0.2 < c[key]["mean"] <= 1 and 0 <= c[key]["deviation"] < 0.2, (c, key)
    assert c["map_papers"]["mean"] >= c["map_standard"]["mean"]  # the papers' denominator is never larger
assert rows["rotation", 16]["map_papers"]["deviation"] > 0 == rows["pca", 16]["map_papers"]["deviation"]
assert rows["itq", 16]["map_papers"]["mean"] > rows["lsh", 16]["map_papers"]["mean"]
assert s["map_continuous"]["papers"] > 0.5 and s["vote_continuous"] > 0.8
END
check "scores are what they should be" $?
OMP_NUM_THREADS=3 "$bittern" hash x.npy --labels y.npy --query q.npy --query-labels yq.npy --bits 8,16 --method pca,rotation,itq,lsh --k 50 --neighbours 10 --json | cmp -s - scores.json
check "the same bytes with three threads" $?

"$bittern" hash x.npy --labels sets.npy --method rotation --bits 8 --rotations 2 --randomised >table
check "rows of labels, the items themselves as queries" $?
grep -q 'each left out of its own ranking' table && grep -q 'mAP@all' table && grep -Eq '^rotation +8 +0\.[0-9]{4} \+- 0\.[0-9]{4}' table
check "the table says how it was made" $?

"$bittern" hash x.npy --method pca --bits 12 --out codes.npy >/dev/null && "$bittern" hash x.npy --method pca,itq --bits 4 --out many.npy >/dev/null
check "codes alone" $?
"$python" - <<'END'
import numpy as np
x, codes = np.load("x.npy").astype("f8"), np.load("codes.npy")
assert codes.dtype == np.uint8 and codes.shape == (300, 2)
bits = np.unpackbits(codes, axis=1, bitorder="little")
assert not bits[:, 12:].any()
values, vectors = np.linalg.eigh(np.cov(x.T))
rows = vectors.T[::-1][:12]
rows *= np.sign(rows[np.arange(12), np.abs(rows).argmax(1)])[:, None]
assert (bits[:, :12] == ((x - x.mean(0)) @ rows.T > 0)).all()
assert np.load("many-pca-4.npy").shape == np.load("many-itq-4.npy").shape == (300, 1)
END
check "codes are the signs of the components" $?

refuses "no such file" 4 'nowhere.npy' nowhere.npy
refuses "no arguments" 2 'usage: bittern hash EMBEDDINGS.npy'
refuses "queries without labels" 2 '--query and --query-labels go together; --query-labels is missing' x.npy --labels y.npy --query q.npy
refuses "queries without labels of the database" 2 '--query needs --labels' x.npy --query q.npy --query-labels yq.npy
refuses "labels of other items" 8 'yq.npy has 40 labels, x.npy 300 embeddings' x.npy --labels yq.npy --bits 8
refuses "another width" 8 'other.npy has width 23, x.npy 24' x.npy --labels y.npy --query other.npy --query-labels yq.npy
refuses "labels of another kind" 8 'columns of labels' x.npy --labels sets.npy --query q.npy --query-labels yq.npy --bits 8
refuses "labels that are no labels" 5 'byte 128: row 0, column 0 is 2; rows of labels hold 0 and 1' x.npy --labels two.npy --bits 8
refuses "floats as labels" 7 'where whole numbers are expected' x.npy --labels x.npy --bits 8
refuses "labels as embeddings" 8 'y.npy: the shape is (300); embeddings are (items, width)' y.npy
refuses "a NaN" 9 'nan.npy: byte 360: row 1, column 5 is not a number' nan.npy
refuses "more bits than width" 8 '--bits 32: pca gives at most as many bits as the embeddings are wide, 24' x.npy
refuses "misspelt method" 2 'did you mean "rotation"?' x.npy --method rotatoin
refuses "a method twice" 2 'itq is there twice' x.npy --method itq,itq
refuses "misspelt option" 2 '--rotations?' x.npy --rotation 3
refuses "votes by sets of labels" 2 '--neighbours needs class numbers' x.npy --labels sets.npy --neighbours 3 --bits 8
refuses "codes into no folder" 4 'nowhere' x.npy --bits 4 --method pca --out nowhere/codes.npy

finish
