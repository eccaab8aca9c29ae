"""Exact nearest neighbours of many points: trees in few dimensions, float32 products in many.

A search by float32 products may confuse points whose distances differ by rounding. So it takes a
few candidates more than are wanted, and proves by an error bound, point by point, that none was
missed; where it cannot, that point is searched for again in float64.
"""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import NearestNeighbors

MANY = 20_000  # points: up to it the plain search is quick enough
TREE_FEATURES = 12  # a tree visits nearly every point of a space of more
SPARE = 8  # candidates beyond those wanted
GROUP = 16  # columns of which only the nearest is compared at first
STRIP_BYTES = 16 * 2**20  # squared distances held at a time
GAP_BYTES = 2**20  # differences of points held at a time: within a core's cache


def search(X: np.ndarray, k: int) -> np.ndarray:
    """(n, k) the k nearest other points of each row of X (n, d), Euclidean, in no order; k < n."""
    n, d = X.shape
    if d <= TREE_FEATURES:
        return _scikit_learn(X, k, "kd_tree")
    if n <= max(MANY, GROUP * (k + SPARE)):
        return _scikit_learn(X, k, "brute")
    return _by_products(X, k)


def _scikit_learn(X, k, algorithm):
    found = NearestNeighbors(n_neighbors=k, algorithm=algorithm).fit(X)
    return found.kneighbors(return_distance=False)


def _by_products(X: np.ndarray, k: int) -> np.ndarray:
    n, d = X.shape
    centre = X.mean(axis=0, dtype=np.float64)
    size = float(np.abs(X - centre).max()) or 1.0
    Z = ((X - centre) / size).astype(np.float32)  # distances survive; centred ones lose less
    square = np.einsum("nd,nd->n", Z, Z, dtype=np.float64)
    half = (square / 2).astype(np.float32)
    width = -(-n // GROUP)
    rows = max(1, STRIP_BYTES // (4 * GROUP * width))
    strip = np.full((rows, GROUP * width), np.inf, np.float32)  # columns beyond n stay infinite
    index, proven = np.empty((n, k), np.intp), np.empty(n, bool)
    # |x - y|^2 / 2 - |x|^2 / 2 in float32: products of d terms, a sum, and the rounded Z itself
    unit = np.finfo(np.float32).eps / 2
    length = np.sqrt(square.max())
    for start in range(0, n, rows):
        here = slice(start, min(start + rows, n))
        part = strip[: here.stop - start]
        np.matmul(Z[here], Z.T, out=part[:, :n])
        np.subtract(half, part[:, :n], out=part[:, :n])
        own = np.arange(here.stop - start)
        part[own, own + start] = np.inf
        candidates, beyond = _smallest(part, k + SPARE, width)
        exact = _squares(X, start, candidates) / size**2
        order = np.lexsort((candidates, exact), axis=1)[:, :k]
        index[here] = np.take_along_axis(candidates, order, axis=1)
        kth = np.take_along_axis(exact, order[:, -1:], axis=1)[:, 0]
        error = (d + 4) * unit * length * (np.sqrt(square[here]) + length)
        proven[here] = kth < square[here] + 2 * (beyond - error)
    again = np.flatnonzero(~proven)
    if len(again):
        index[again] = _again(X, again, k)
    return index


def _squares(X: np.ndarray, start: int, candidates: np.ndarray) -> np.ndarray:
    """(b, q) squared distances in float64 of X[start:start+b] to X[candidates]."""
    square = np.empty(candidates.shape)
    step = max(1, GAP_BYTES // (8 * candidates.shape[1] * X.shape[1]))
    for first in range(0, len(candidates), step):
        part = candidates[first : first + step]
        own = X[start + first : start + first + len(part), None, :].astype(np.float64)
        gap = X[part] - own
        square[first : first + step] = np.einsum("bkd,bkd->bk", gap, gap)
    return square


def _smallest(part: np.ndarray, q: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns of the q smallest entries of each row, (b, q), and the largest of these entries.

    The q smallest lie in the q groups with the smallest minima.
    """
    groups = part.reshape(len(part), GROUP, width)
    best = np.argpartition(groups.min(axis=1), q - 1, axis=1)[:, :q]
    columns = (best[:, :, None] + width * np.arange(GROUP)).reshape(len(part), -1)
    values = np.take_along_axis(part, columns, axis=1)
    chosen = np.argpartition(values, q - 1, axis=1)[:, :q]
    columns = np.take_along_axis(columns, chosen, axis=1)
    return columns, np.take_along_axis(values, chosen, axis=1).max(axis=1).astype(np.float64)


def _again(X, rows, k):
    """The k nearest others of X[rows] in float64; a row may be left out among its duplicates."""
    found = NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(X)
    near = found.kneighbors(X[rows], return_distance=False)
    itself = near == rows[:, None]
    itself[~itself.any(axis=1), -1] = True
    return near[~itself].reshape(len(rows), k)
