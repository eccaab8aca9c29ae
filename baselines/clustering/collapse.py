"""When a partition says nothing, and which other setting is then taken: no label decides.

A neighbour graph of few edges lets one cluster take nearly all points and leaves crumbs to the
rest. Each spectral method therefore has a ladder of settings: the published one first, then wider
neighbourhoods, and the first of them whose partition is not collapsed is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from numbers import Integral

import numpy as np

from ..inputs import check_number

MOST_SETTINGS = 6  # that a ladder may have


def effective_clusters(labels: np.ndarray) -> float:
    """exp of the entropy of the cluster sizes: K for K equal clusters, near 1 for one and crumbs.

    Parameters
    ----------
    labels : (n,) integers from 0, n >= 1.
    """
    share = np.bincount(labels) / len(labels)
    share = share[share > 0]
    return float(np.exp(-(share * np.log(share)).sum()))


def is_collapsed(labels: np.ndarray, n_clusters: int) -> bool:
    """Whether labels (n,) are closer to one cluster than to equal ones, by effective clusters.

    That is fewer of them than ``(1 + n_clusters) / 2``: of two clusters, one with over 86% of the
    points. Partitions by k-means of real data, with classes of unequal sizes, stay well above.
    """
    return effective_clusters(labels) < (1 + n_clusters) / 2 - 1e-9


def first_not_collapsed(settings: Iterable, attempt: Callable, n_clusters: int):
    """What `attempt` makes of the first setting whose partition is not collapsed.

    If all are, of the one with the most effective clusters (the first of equals). A setting whose
    eigenvectors do not converge is passed over: its graph is in too many pieces.

    Parameters
    ----------
    attempt : setting -> (result, labels (n,)).

    Raises
    ------
    ArithmeticError
        If they converge at no setting.
    """
    best = failed = None
    for setting in settings:
        try:
            result, labels = attempt(setting)
        except ArithmeticError as error:
            failed = error
            continue
        if not is_collapsed(labels, n_clusters):
            return result
        effective = effective_clusters(labels)
        if best is None or effective > best[0]:
            best = effective, result
    if best is None:
        raise failed
    return best[1]


def check_wider(name: str, values, first: int, limit: int, most: int) -> list[int]:
    """The sizes of the ladder after `first`, cut to `limit` and without repetitions.

    Raises
    ------
    TypeError
        If `values` is no sequence of integers.
    ValueError
        If there are more than `most`, or they do not increase from `first` on.
    """
    if isinstance(values, (str, bytes)) or not isinstance(values, (Sequence, np.ndarray)):
        raise TypeError(f"{name} must be a sequence of integers, got {values!r}.")
    for value in values:
        check_number(f"each of {name}", value, Integral, 1)
    if len(values) > most:
        raise ValueError(f"{name} must have at most {most} sizes, got {len(values)}.")
    if any(a >= b for a, b in zip([first, *values], values, strict=False)):
        raise ValueError(f"{name} must increase, from above {first}; got {list(values)}.")
    sizes = dict.fromkeys(min(int(value), limit) for value in values)
    return [size for size in sizes if size > min(first, limit)]
