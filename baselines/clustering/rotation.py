"""From a spectral embedding to labels: the rotation of Yu and Shi.

Source: S. X. Yu and J. Shi, "Multiclass spectral clustering", ICCV 2003, section 4.
"""

from __future__ import annotations

from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state

from .graph import check_number


def row_normalise(vectors: np.ndarray) -> np.ndarray:
    """Rows of `vectors` (n, c) scaled to unit length.

    A row below 1e-10 of the longest becomes zero: it is the rounding of a solver, and points
    nowhere (a component of a graph that none of the c vectors reaches has such rows).
    """
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    seen = length > 1e-10 * length.max(initial=0.0)
    return np.where(seen, vectors / np.where(seen, length, 1.0), 0.0)


def rotate(
    vectors: np.ndarray,
    random_state=None,
    n_init: int = 10,
    max_iter: int = 200,
    tol: float = 1e-10,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Labels from the rotation that brings an embedding nearest to an indicator matrix.

    Alternates ``labels = argmax(V R)`` and ``R = argmax tr(R^T V^T X)`` (a c x c SVD), X the
    one-hot labels, from several starts; the start with the largest agreement wins. A start takes
    one random row of V and then, greedily, the row most orthogonal to those already taken.

    Parameters
    ----------
    vectors : (n, c) V, rows of unit length or zero (``row_normalise``).
    random_state : int, RandomState or None; draws the first rows.
    n_init : number of starts.

    Returns
    -------
    labels : (n,) int64 in 0..c-1; a cluster may be empty.
    rotation : (c, c) orthogonal R.
    agreement : mean singular-value sum, tr(X^T V R) / n, at most 1.

    Raises
    ------
    ValueError, TypeError
        If vectors is not a finite 2-D array with c <= n, or n_init not a positive integer.
    """
    vectors = np.asarray(vectors, dtype=np.float64)
    if vectors.ndim != 2 or vectors.shape[1] < 1 or vectors.shape[0] < vectors.shape[1]:
        raise ValueError(f"vectors must be n x c with n >= c >= 1, got shape {vectors.shape}.")
    if not np.isfinite(vectors).all():
        raise ValueError("vectors contains NaN or infinity.")
    check_number("n_init", n_init, Integral, 1)
    candidates = np.flatnonzero(vectors.any(axis=1))  # a zero row is orthogonal to all, and useless
    if not len(candidates):
        candidates = np.arange(len(vectors))
    first_rows = check_random_state(random_state).choice(candidates, size=n_init)
    best = None
    for first in first_rows:
        found = _alternate(vectors, _orthogonal_rows(vectors, candidates, first), max_iter, tol)
        if best is None or found[2] > best[2] + tol:
            best = found
    return best


def _orthogonal_rows(vectors: np.ndarray, candidates: np.ndarray, first: int) -> np.ndarray:
    """Columns of the starting R: row `first`, then the rows least aligned with those taken."""
    c = vectors.shape[1]
    start = np.empty((c, c))
    start[:, 0] = vectors[first]
    rows = vectors[candidates]
    aligned = np.zeros(len(rows))
    for column in range(1, c):
        aligned += np.abs(rows @ start[:, column - 1])
        start[:, column] = rows[aligned.argmin()]
    return start


def _alternate(vectors, rotation, max_iter, tol):
    n, c = vectors.shape
    agreement = -np.inf
    for _ in range(max_iter):
        labels = (vectors @ rotation).argmax(axis=1)
        # X^T V: sums of the rows of each cluster
        sums = np.stack([np.bincount(labels, vectors[:, j], minlength=c) for j in range(c)], axis=1)
        left, singular, right = np.linalg.svd(sums)
        rotation = right.T @ left.T
        before, agreement = agreement, float(singular.sum()) / n
        if agreement - before <= tol:
            break
    # labels, rotation and agreement belong together: labels gave this rotation
    return labels.astype(np.int64), rotation, agreement
