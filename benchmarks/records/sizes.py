"""How large the classes and the clusters of a run are: what its purity is to be held against."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from benchmarks.records.purity import contingency

#: The rule, in the words of the tables.
RULE = (
    "Collapsed: the partition has fewer than (1 + K) / 2 effective clusters, that is the "
    "exponential of the entropy of the sizes of its clusters, K those asked for; it is nearer "
    "to one cluster than to K equal ones. Trivial: the share of the largest class, which one "
    "cluster of all points has as its purity."
)


def sizes(y: ArrayLike, labels: ArrayLike) -> dict[str, float]:
    """What a record says of the sizes, from classes y and labels, both (n,).

    Returns
    -------
    dict
        ``largest_class`` and ``largest_cluster``, in percent of the points, and
        ``effective_clusters``.
    """
    table = contingency(y, labels)
    classes, clusters = table.sum(axis=1) / table.sum(), table.sum(axis=0) / table.sum()
    return {
        "largest_class": 100.0 * float(classes.max()),
        "largest_cluster": 100.0 * float(clusters.max()),
        "effective_clusters": float(np.exp(-(clusters * np.log(clusters)).sum())),
    }


def collapsed(record: dict) -> bool | None:
    """Whether the partition of a record is (see `RULE`); None where it does not say its sizes."""
    effective = record.get("values", {}).get("effective_clusters")
    asked = record["cell"]["params"].get("n_clusters")
    return None if effective is None or asked is None else effective < (1 + asked) / 2 - 1e-9
