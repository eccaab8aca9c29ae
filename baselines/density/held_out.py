"""Which points are held out: a rule that models of different packages can share.

The points that a seed sets aside are the first of ``torch.randperm(n)`` from the first stream of
the seed, as in the mixture of networks, whose held-out likelihood is compared with: two means over
the same points differ by what the models say, not by the points.
"""

from __future__ import annotations

from numbers import Real

import numpy as np


def held_out_count(validation_size, n: int, n_clusters: int) -> int:
    """How many of n points a share (below 1) or a whole number of them is; 0 for 0.

    Raises
    ------
    ValueError
        If it is no such number, or leaves fewer than max(2, n_clusters) points.
    """
    real = isinstance(validation_size, Real) and not isinstance(validation_size, bool)
    least = max(2, n_clusters)
    if real and validation_size == 0:
        return 0
    if real and 0 < validation_size < 1:
        count = max(1, round(validation_size * n))
    elif real and np.isfinite(validation_size) and validation_size == int(validation_size) > 0:
        count = int(validation_size)
    else:
        count = n
    if n - count < least:
        raise ValueError(
            f"validation_size must be 0, a share below 1 or a whole number that leaves at least "
            f"{least} of n_samples = {n} points to fit to; got {validation_size!r}"
        )
    return count


def draw_held_out(seed: int, n: int, count: int) -> np.ndarray:
    """(count,) int64 indices of the points, of 0..n-1, that `seed` sets aside."""
    if not count:
        return np.empty(0, np.int64)
    import torch  # only here: what holds nothing out needs no torch

    from ..generative.training import streams

    return torch.randperm(n, generator=streams(seed, 1)[0])[:count].numpy()


def check_held_out(held_out, n: int, n_clusters: int) -> np.ndarray:
    """Given indices (m,) of held-out points: int64, each once.

    Raises
    ------
    ValueError
        If they are not whole numbers in 0..n-1, repeat, or leave fewer than max(2, n_clusters).
    """
    rows = np.asarray(held_out)
    good = rows.ndim == 1 and (rows.dtype.kind in "iu" or not rows.size)
    if not good or (rows.size and not 0 <= rows.min() <= rows.max() < n):
        raise ValueError(
            f"held_out must be indices (m,) in 0..{n - 1}; got shape {rows.shape}, "
            f"dtype {rows.dtype}"
        )
    rows, least = rows.astype(np.int64), max(2, n_clusters)
    if len(np.unique(rows)) < len(rows):
        raise ValueError("held_out must name each point once; got repeated indices")
    if n - len(rows) < least:
        raise ValueError(
            f"held_out must leave at least {least} of {n} points to fit to; got {len(rows)}"
        )
    return rows
