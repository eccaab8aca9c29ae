"""Agreement of a clustering with known classes; used to score a finished run, never to choose.

Every function takes the classes `y` and the cluster labels, both of shape (n,) and of any integer,
boolean or string type, and returns a float; `all_metrics` returns percentages. None depends on how
classes or clusters are numbered. A wrong shape, an empty input or a missing value is a ValueError.
"""

from __future__ import annotations

import numpy as np

from benchmarks.records.purity import contingency, purity, share_of_largest

__all__ = ["METRICS", "accuracy", "all_metrics", "ari", "contingency", "nmi", "purity"]


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


def _accuracy(table):
    largest = table.argmax(axis=0)
    if len(np.unique(largest)) == len(largest):  # no matching gives a cluster more than that class
        return share_of_largest(table)
    from scipy.optimize import linear_sum_assignment  # takes longer to import than a small cell

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


#: What a record says of its labels, and `mixnet rescore` of stored ones: of a table (L, K).
METRICS = {"purity": share_of_largest, "acc": _accuracy, "nmi": _nmi, "ari": _ari}


def all_metrics(y, labels) -> dict[str, float]:
    """The `METRICS` of labels, in percent."""
    table = contingency(y, labels)
    return {name: 100.0 * score(table) for name, score in METRICS.items()}
