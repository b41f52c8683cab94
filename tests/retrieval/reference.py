#!/usr/bin/env python3
"""Reference values of the evaluation library by NumPy in float64, as .npy files.   reference.py FOLDER

Everything is written from the definitions (docs/evaluation.md), with whole-matrix operations, sharing nothing with the C code.
"""
import pathlib
import sys

import numpy as np

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
rng = np.random.default_rng(20261124)
N, Q, D, K, CLASSES, CUTOFF = 800, 100, 48, 16, 6, 60


def save(name, array):
    np.save(folder / f"{name}.npy", np.ascontiguousarray(array))


def fix_signs(rows):
    return rows * np.sign(rows[np.arange(len(rows)), np.abs(rows).argmax(1)])[:, None]


centres = rng.normal(size=(CLASSES, D)) * 0.35
y = rng.integers(0, CLASSES, N)
falling = 0.95 ** np.arange(D)
x32 = ((centres[y] + rng.normal(size=(N, D)) * falling) @ np.linalg.qr(rng.normal(size=(D, D)))[0]).astype("<f4")
q32 = (x32[rng.integers(0, N, Q)] + rng.normal(size=(Q, D)) * 0.3).astype("<f4")  # near items of the database
x, q = x32.astype("f8"), q32.astype("f8")
yq = y[((q[:, None] - x[None]) ** 2).sum(2).argmin(1)]
save("x", x32), save("q", q32), save("y", y.astype("<i4")), save("yq", yq.astype("<i8"))
multi, multi_q = rng.random((N, 70)) < 0.02, rng.random((Q, 70)) < 0.02
save("multi", multi), save("multi_q", multi_q)

# Principal components, a rotation, ITQ.
mean = x.mean(0)
values, vectors = np.linalg.eigh((x - mean).T @ (x - mean) / N)
components = fix_signs(vectors.T[::-1][:K])
save("variances", values[::-1][:K]), save("components", components)
z = ((x - mean) @ components.T).astype("f4").astype("f8")
start = np.linalg.qr(rng.normal(size=(K, K)))[0]
rotation, losses = start.copy(), []
for _ in range(20):
    u = z @ rotation.T
    signs = np.where(u > 0, 1.0, -1.0)
    losses.append(((signs - u) ** 2).mean())
    left, _, right = np.linalg.svd(signs.T @ z)
    rotation = left @ right
losses.append(((np.where(z @ rotation.T > 0, 1.0, -1.0) - z @ rotation.T) ** 2).mean())
save("start", start), save("itq", rotation), save("itq_losses", losses)
logits, query_logits = (x - mean) @ (start @ components).T, (q - mean) @ (start @ components).T
bits = logits > 0
save("logits", logits.astype("<f4")), save("query_logits", query_logits.astype("<f4"))


# Scores. Ties: a stable sort keeps the lower index first.
def distances(kind):
    if kind == "cosine":
        return 1 - (q / np.linalg.norm(q, axis=1)[:, None]) @ (x / np.linalg.norm(x, axis=1)[:, None]).T
    p = 1 / (1 + np.exp(-query_logits.astype("f4").astype("f8"))) if kind == "asymmetric" else (query_logits > 0).astype("f8")
    return np.abs(p[:, None, :] - bits[None, :, :].astype("f8")).sum(2).round(9)  # equal codes are equal whatever the order of summation


def average_precisions(relevant, order, k):
    ranked = np.take_along_axis(relevant, order, 1)[:, :k]
    precision = ranked.cumsum(1) / np.arange(1, k + 1)
    total = (precision * ranked).sum(1)
    hits, possible = ranked.sum(1), np.minimum(relevant.sum(1), k)
    return np.where(hits, total / np.maximum(hits, 1), 0), np.where(possible, total / np.maximum(possible, 1), 0), ranked


def sklearn_average_precision(relevant, score):
    """average_precision_score of scikit-learn: sum of (R_n - R_n-1) P_n over falling thresholds."""
    order = np.argsort(-score, kind="stable")
    hits = relevant[order].cumsum()
    precision, recall = hits / np.arange(1, len(order) + 1), hits / hits[-1]
    return (np.diff(np.concatenate([[0.0], recall])) * precision).sum()


by_label, by_sets = yq[:, None] == y[None], (multi_q.astype(int) @ multi.astype(int).T) > 0
for kind in ("asymmetric", "symmetric", "cosine"):
    d = distances(kind)
    order = np.argsort(d, 1, kind="stable")
    rows = []
    for relevant in (by_label, by_sets):
        for k in (CUTOFF, N):
            papers, standard, ranked = average_precisions(relevant, order, k)
            found, there = ranked.sum(1), relevant.sum(1)
            recall = np.where(there, found / np.maximum(there, 1), 0)
            rows.append([papers.mean(), standard.mean(), (found / k).mean(), recall.mean(), (found > 0).mean()])
    save(f"scores_{kind}", rows)
    if kind == "cosine":
        save("sklearn", np.mean([sklearn_average_precision(by_label[i], -d[i]) for i in range(Q)]))
        levels = np.linspace(0, 1, 11)
        curves = []
        for i in range(Q):
            hits = by_label[i][order[i]].cumsum()
            precision, recall = hits / np.arange(1, N + 1), hits / hits[-1]
            at_hit = by_label[i][order[i]]
            curves.append([max(precision[at_hit & (recall >= level - 1e-12)]) for level in levels])
        save("curve", np.mean(curves, 0))
    similarity = 1 - d if kind == "cosine" else 1 - 2 * d / K
    votes = np.zeros((Q, CLASSES))
    for r in range(20):
        votes[np.arange(Q), y[order[:, r]]] += np.exp((similarity[np.arange(Q), order[:, r]] - 1) / 0.1)
    save(f"neighbours_{kind}", order[:, :20].astype("f8"))
    confused = np.zeros((CLASSES, CLASSES))
    np.add.at(confused, (np.repeat(yq, 10), y[order[:, :10]].ravel()), 1)
    save(f"confusion_{kind}", confused / confused.sum(1, keepdims=True))
    save(f"votes_{kind}", (votes.argmax(1) == yq).mean())

# Bits and effective rank.
share = bits.mean(0)
entropy = -(share * np.log2(share) + (1 - share) * np.log2(1 - share))
correlation = np.abs(np.corrcoef(bits.T.astype("f8")))[np.triu_indices(K, 1)]
save("bit_correlation", np.corrcoef(bits.T.astype("f8")))
_, counts = np.unique(bits, axis=0, return_counts=True)
save("bits", [np.abs(2 * share - 1).mean(), entropy.mean(), entropy.min(), correlation.mean(), correlation.max(), len(counts),
              -(counts / N * np.log2(counts / N)).sum()])
ranks = []
for matrix in (x, x - mean):
    s = np.linalg.svd(matrix, compute_uv=False)
    p = s / s.sum()
    ranks.append([np.exp(-(p * np.log(p)).sum()), (s**2).sum() ** 2 / (s**4).sum()])
save("ranks", ranks)

# Linear probe: Newton's method on the same objective.
scaled, l2 = (x - mean) / x.std(0), 1e-3
features = np.hstack([scaled, np.ones((N, 1))])
decay = np.concatenate([np.full(D, l2), [0.0]])
weights, targets = np.zeros((CLASSES, D + 1)), np.eye(CLASSES)[y]
for _ in range(30):
    p = features @ weights.T
    p = np.exp(p - p.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    gradient = (p - targets).T @ features / N + decay * weights
    hessian = np.zeros((CLASSES, D + 1, CLASSES, D + 1))
    for a in range(CLASSES):
        for b in range(CLASSES):
            hessian[a, :, b, :] = (features * (p[:, a] * ((a == b) - p[:, b]))[:, None]).T @ features / N
        hessian[a, :, a, :] += np.diag(decay)
    size = CLASSES * (D + 1)
    weights -= np.linalg.lstsq(hessian.reshape(size, size), gradient.ravel(), rcond=1e-13)[0].reshape(CLASSES, D + 1)
folded = weights[:, :D] / x.std(0)
bias = weights[:, D] - folded @ mean
save("probe", folded), save("probe_bias", bias - bias.mean())
save("probe_accuracy", ((q @ folded.T + bias).argmax(1) == yq).mean())
