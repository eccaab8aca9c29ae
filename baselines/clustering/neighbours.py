"""Exact nearest neighbours: by products where these suffice, and proven to.

|x|^2 + |y|^2 - 2 x y loses what small differences between large numbers say, far from the origin or
where clusters lie far apart. So an error bound says, point by point, whether products did: if not,
that point is searched for again, with points moved to their mean and a few candidates more than are
wanted, of which a bound proves that none was missed; and if that does not do either, by differences
in float64.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

MANY = 20_000  # points: up to it a search in float64 is quick enough
TREE_FEATURES = 12  # a tree visits nearly every point of a space of more
GOOD = 1e-9  # of the largest distance that is kept: an error below it confuses only equals
SPARE = 8  # candidates beyond those wanted
GROUP = 16  # columns of which only the nearest is compared at first
STRIP_BYTES = 16 * 2**20  # squared distances held at a time
GAP_BYTES = 2**20  # differences of points held at a time: within a core's cache


def search(X: np.ndarray, k: int) -> np.ndarray:
    """(n, k) the k nearest other points of each row of X (n, d), Euclidean, in no order; k < n."""
    n, d = X.shape
    if d <= TREE_FEATURES:  # compares differences
        return NearestNeighbors(n_neighbors=k, algorithm="kd_tree").fit(X).kneighbors()[1]
    if n <= max(MANY, GROUP * (k + SPARE)):
        return others(X, k)[0]
    return _by_products(X, k)


def others(X: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest other rows of each row of X (n, d), k < n, as :func:`nearest_of`; n is small.

    Of rows at equal distance, where not all are taken, scikit-learn's search decides.
    """
    found = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(X)
    index = found.kneighbors(return_distance=False)
    index, square = _nearest_first(index, _squares(X, X, index), k)
    length = np.linalg.norm(X.astype(np.float64), axis=1)
    kth = square[:, -1]
    again = np.flatnonzero((_error(X, length, length.max()) > GOOD * kth) & (kth > 0))
    if len(again):
        index[again], square[again] = nearest_of(X, X[again], k, own=again)
    return index, square


def _error(X, length, longest):
    """Bound on the rounding of squared distances by float64 products, from the norms: (n,)."""
    return (X.shape[1] + 6) * np.finfo(np.float64).eps / 2 * (length + longest) ** 2


def nearest_of(
    Y: np.ndarray, X: np.ndarray, k: int, own: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest rows of Y (m, d) to each row of X (n, d), nearest first, ties by index.

    Parameters
    ----------
    own : (n,) row of Y that each row of X is, and which is left out; k < m then, else k <= m.

    Returns
    -------
    index : (n, k) intp.
    square : (n, k) squared distances in float64, from differences (0 for duplicates).
    """
    left_out = 0 if own is None else 1
    q = min(k + SPARE, len(Y) - left_out)
    centre = Y.mean(axis=0, dtype=np.float64)
    x, y = X - centre, Y - centre
    found = NearestNeighbors(n_neighbors=q + left_out, algorithm="brute").fit(y)
    distance, candidates = found.kneighbors(x)
    if own is not None:
        itself = candidates == own[:, None]
        itself[~itself.any(axis=1), -1] = True  # left out among its duplicates
        candidates = candidates[~itself].reshape(len(X), q)
        distance = distance[~itself].reshape(len(X), q)
    index, square = _nearest_first(candidates, _squares(X, Y, candidates), k)
    if q < len(Y) - left_out:
        # No other row is nearer than the last candidate, by products with an error of at most this.
        length, longest = np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1).max()
        beyond = distance.max(axis=1) ** 2 - _error(X, length, longest)
        again = np.flatnonzero((square[:, -1] >= beyond) & (square[:, -1] > 0))
        index[again], square[again] = _by_differences(X, Y, again, k, own)
    return index, square


def _nearest_first(candidates, square, k):
    order = np.lexsort((candidates, square), axis=1)[:, :k]
    return np.take_along_axis(candidates, order, axis=1), np.take_along_axis(square, order, axis=1)


def _by_differences(X, Y, rows, k, own=None):
    """As :func:`nearest_of` for X[rows], by the differences to all of Y."""
    index, square = np.empty((len(rows), k), np.intp), np.empty((len(rows), k))
    y = np.asarray(Y, dtype=np.float64)
    step = max(1, STRIP_BYTES // (8 * len(Y)))
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        every = cdist(X[part].astype(np.float64), y, "sqeuclidean")
        if own is not None:
            every[np.arange(len(part)), own[part]] = np.inf
        bound = np.partition(every, k - 1, axis=1)[:, k - 1]
        for i, (to_all, last) in enumerate(zip(every, bound, strict=True), start):
            near = np.flatnonzero(to_all <= last)
            near = near[np.lexsort((near, to_all[near]))][:k]
            index[i], square[i] = near, to_all[near]
    return index, square


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
        index[here], exact = _nearest_first(candidates, _squares(X[here], X, candidates), k)
        kth = exact[:, -1] / size**2
        error = (d + 4) * unit * length * (np.sqrt(square[here]) + length)
        proven[here] = (kth < square[here] + 2 * (beyond - error)) | (kth == 0)
    again = np.flatnonzero(~proven)
    if len(again):
        index[again] = _again(X, again, k)
    return index


def _squares(X: np.ndarray, Y: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """(n, q) squared distances in float64 of each row of X to the rows Y[candidates]."""
    square = np.empty(candidates.shape)
    step = max(1, GAP_BYTES // (8 * candidates.shape[1] * X.shape[1]))
    for first in range(0, len(candidates), step):
        part = slice(first, first + step)
        gap = Y[candidates[part]] - X[part, None, :].astype(np.float64)
        square[part] = np.einsum("bkd,bkd->bk", gap, gap)
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
    """The k nearest others of X[rows], from float64 products or, where these do not do, exact."""
    return nearest_of(X, X[rows], k, own=rows)[0]
