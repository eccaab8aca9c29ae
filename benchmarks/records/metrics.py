"""Agreement of a clustering with known classes; used to score a finished run, never to choose.

Every function takes the classes `y` and the cluster labels, both of shape (n,) and of any integer,
boolean or string type, and returns a float; `all_metrics` returns percentages. None depends on how
classes or clusters are numbered. A wrong shape, an empty input or a missing value is a ValueError.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment


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
    return _purity(contingency(y, labels))


def accuracy(y, labels) -> float:
    """Share of the points that the best one-to-one matching of clusters and classes gets right.

    In [0, 1]; the matching is found by the Hungarian algorithm (Kuhn, 1955), and where there are
    more clusters than classes the points of an unmatched cluster count as wrong.
    """
    return _accuracy(contingency(y, labels))


def nmi(y, labels) -> float:
    """Mutual information over the arithmetic mean of the two entropies, in [0, 1].

    Two partitions of one part each agree fully: 1.
    """
    return _nmi(contingency(y, labels))


def ari(y, labels) -> float:
    """Rand index adjusted for chance (Hubert and Arabie, 1985): 1 is identical, 0 chance level."""
    return _ari(contingency(y, labels))


def all_metrics(y, labels) -> dict[str, float]:
    """Purity, accuracy, NMI and ARI in percent, under the keys `purity`, `acc`, `nmi`, `ari`."""
    table = contingency(y, labels)
    scores = {"purity": _purity, "acc": _accuracy, "nmi": _nmi, "ari": _ari}
    return {name: 100.0 * score(table) for name, score in scores.items()}


def _purity(table):
    return float(table.max(axis=0).sum() / table.sum())


def _accuracy(table):
    rows, columns = linear_sum_assignment(table, maximize=True)
    return float(table[rows, columns].sum() / table.sum())


def _nmi(table):
    joint = table / table.sum()
    p, q = joint.sum(axis=1), joint.sum(axis=0)
    entropy = -(p @ np.log(p)) - (q @ np.log(q))
    if len(p) == 1 and len(q) == 1:
        return 1.0
    i, j = np.nonzero(table)
    information = (joint[i, j] * (np.log(joint[i, j]) - np.log(p[i]) - np.log(q[j]))).sum()
    return float(np.clip(2.0 * information / entropy, 0.0, 1.0))


def _ari(table):
    def pairs(counts):  # Python integers: n = 60,000 has 1.8e9 pairs and the products overflow
        return sum(int(c) * (int(c) - 1) // 2 for c in np.ravel(counts))

    both, rows, columns = pairs(table), pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    total = pairs(table.sum())
    if total == 0:  # one point
        return 1.0
    chance = rows * columns / total
    ceiling = (rows + columns) / 2
    return 1.0 if ceiling == chance else float((both - chance) / (ceiling - chance))


def _vector(name, values) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim != 1:
        raise ValueError(f"{name} needs shape (n,), got {values.shape}")
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise ValueError(f"{name} holds nan or infinity, every point needs a label")
        if (values != np.round(values)).any():
            raise ValueError(f"{name} needs class numbers, got fractions such as "
                             f"{values[values != np.round(values)][0]}")
    elif len(values) and values.dtype.kind not in "biuUS":
        raise ValueError(f"{name} needs integers, booleans or strings, got dtype {values.dtype}")
    return values
