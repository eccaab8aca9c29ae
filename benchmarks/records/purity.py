"""Purity, the figure that the paper prints (eq. 10), and the counts that it is made of.

A file of its own, since some exhibits compute it: they depend on this and not on other metrics.
"""

from __future__ import annotations

import numpy as np


def contingency(y, labels) -> np.ndarray:
    """Counts |C_i ∩ X_j| of the points of class i in cluster j, int64 of shape (L, K)."""
    y, labels = _vector("y", y), _vector("labels", labels)
    if len(y) != len(labels):
        raise ValueError(f"y and labels need the same length, got {len(y)} and {len(labels)}")
    if len(y) == 0:
        raise ValueError("y and labels are empty, at least one point is needed")
    classes, i = np.unique(y, return_inverse=True)
    clusters, j = np.unique(labels, return_inverse=True)
    flat = np.bincount(i * len(clusters) + j, minlength=len(classes) * len(clusters))
    return flat.reshape(len(classes), len(clusters))


def purity(y, labels) -> float:
    """Share of the points that belong to the largest class of their cluster, in (0, 1] (eq. 10)."""
    return share_of_largest(contingency(y, labels))


def share_of_largest(table: np.ndarray) -> float:
    """Purity of a contingency table (L, K)."""
    return float(table.max(axis=0).sum() / table.sum())


def _vector(name, values) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim != 1:
        raise ValueError(f"{name} needs shape (n,), got {values.shape}")
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise ValueError(f"{name} holds nan or infinity, every point needs a label")
        if (values != np.round(values)).any():
            raise ValueError(
                f"{name} needs class numbers, got fractions such as "
                f"{values[values != np.round(values)][0]}"
            )
    elif len(values) and values.dtype.kind not in "biuUS":
        raise ValueError(f"{name} needs integers, booleans or strings, got dtype {values.dtype}")
    return values
