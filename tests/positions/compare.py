#!/usr/bin/env python3
"""bt_resample_positions and its gradient against F.interpolate of PyTorch, 1e-6 relative, for every rule and several grids.

  compare.py TEST_RESAMPLE

What is compared with is PyTorch in float64: in float32 it takes the places that it samples in float32 too, and is itself off by what
the last column says.
"""
import subprocess
import sys

import numpy as np
import torch
import torch.nn.functional as F

GRIDS = [((37, 37), (16, 16)), ((37, 37), (7, 7)), ((37, 37), (24, 24)), ((37, 37), (36, 37)), ((16, 16), (14, 14)), ((14, 14), (16, 16)),
         ((16, 16), (12, 20)), ((16, 16), (32, 32)), ((5, 9), (9, 5)), ((7, 7), (1, 1)), ((1, 1), (4, 3))]
RULES = ["hub", "antialias", "bicubic"]
LIMIT = 1e-6
COLUMNS = 24


def torch_resample(rule, pos, source, target):
    """pos (gh*gw, D) -> (h*w, D), as the models' own code does it."""
    grid = pos.reshape(1, *source, -1).permute(0, 3, 1, 2)
    if rule == "hub":  # dinov2's interpolate_pos_encoding with interpolate_offset 0.1
        scale = tuple((n + 0.1) / g for g, n in zip(source, target))
        out = F.interpolate(grid, scale_factor=scale, mode="bicubic", antialias=False)
    else:
        out = F.interpolate(grid, size=target, mode="bicubic", align_corners=False, antialias=rule == "antialias")
    assert out.shape[2:] == target, (out.shape, target)
    return out.permute(0, 2, 3, 1).reshape(-1, pos.shape[1])


def expected(rule, pos, dy, source, target, dtype):
    x = torch.tensor(pos, dtype=dtype, requires_grad=True)
    y = torch_resample(rule, x, source, target)
    y.backward(torch.tensor(dy, dtype=dtype))
    return y.detach().double().numpy(), x.grad.double().numpy()


def error(found, wanted):
    norm = np.linalg.norm(found - wanted) / np.linalg.norm(wanted)
    return max(norm, np.abs(found - wanted).max() / np.abs(wanted).max())


def compare(program, rule, source, target, rng):
    prefix = rng.integers(0, 2)
    rows = (prefix + source[0] * source[1], prefix + target[0] * target[1])
    pos, dy = (rng.standard_normal((n, COLUMNS)).astype(np.float32) for n in rows)
    arguments = [program, str(RULES.index(rule)), str(prefix), *map(str, source + target), str(COLUMNS)]
    out = subprocess.run(arguments, input=pos.tobytes() + dy.tobytes(), stdout=subprocess.PIPE, check=True).stdout
    found = np.frombuffer(out, np.float32).astype(np.float64)
    y, dpos = found[: rows[1] * COLUMNS].reshape(rows[1], COLUMNS), found[rows[1] * COLUMNS :].reshape(rows[0], COLUMNS)
    exact = np.array_equal(y[:prefix], pos[:prefix]) and np.array_equal(dpos[:prefix], dy[:prefix])
    wanted = expected(rule, pos[prefix:], dy[prefix:], source, target, torch.float64)
    single = expected(rule, pos[prefix:], dy[prefix:], source, target, torch.float32)
    errors = error(y[prefix:], wanted[0]), error(dpos[prefix:], wanted[1])
    good = exact and max(errors) <= LIMIT
    print(f"{'' if good else 'FAIL '}{rule:9} {source[0]}x{source[1]} -> {target[0]}x{target[1]}: forward {errors[0]:.1e}, "
          f"gradient {errors[1]:.1e}; PyTorch in float32 {error(single[0], wanted[0]):.1e}, {error(single[1], wanted[1]):.1e}"
          f"{'' if exact else '; the rows before the grid were changed'}")
    return good


def main():
    rng = np.random.default_rng(5)
    results = [compare(sys.argv[1], rule, *grid, rng) for grid in GRIDS for rule in RULES]
    print(f"{sum(results)} of {len(results)} within {LIMIT:g} of PyTorch {torch.__version__}")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
