"""Cells that are given a few labels: the only ones whose estimators see any.

Which points are labelled is drawn from the seed, the same number of every class, so that all
methods of a seed see the same labels. What counts is the accuracy on the other points.
"""

from __future__ import annotations

import copy

import numpy as np

from benchmarks.kinds.base import Clock, Kind, Result, features

UNLABELLED = -1


def known_labels(y: np.ndarray, n_labels: int, seed: int) -> np.ndarray:
    """`y` with all but `n_labels` entries replaced by -1.

    Parameters
    ----------
    y : ndarray of int, shape (n,)
        Classes 0..L-1.
    n_labels : int
        A multiple of L; n_labels / L points of each class are drawn.
    seed : int

    Raises
    ------
    ValueError
        If `n_labels` is no multiple of L or a class has too few points.
    """
    classes, counts = np.unique(y, return_counts=True)
    each, rest = divmod(n_labels, len(classes))
    if rest or not 0 < each <= counts.min():
        raise ValueError(
            f"n_labels must be a multiple of {len(classes)} classes with at most "
            f"{counts.min()} points each; got {n_labels}"
        )
    rng = np.random.default_rng([seed, n_labels])
    known = np.full(len(y), UNLABELLED, dtype=np.int64)
    for c in classes:
        chosen = rng.choice(np.flatnonzero(y == c), each, replace=False)
        known[chosen] = c
    return known


class Labelled(Kind):
    """Estimators with ``fit(X, y)``, -1 for unknown; a mixture where there is a ``start``.

    ``values`` has `accuracy_unlabelled`, in percent: no matching of names, a component is its
    class. The cell's parameter `n_labels` says how many labels there are.
    """

    text = "is given a few labels"
    clusters = True

    def run(
        self, cell, method, dataset, inputs, artifacts, checkpoint, device="cpu", progress=None
    ) -> Result:
        params, own = dict(cell["params"]), copy.copy(self)
        known = known_labels(dataset.y, params.pop("n_labels"), cell["seed"])
        X, result = features(cell, dataset, inputs), Result()
        own.components = "n_components" if "start" in inputs else ""
        estimator, clock = (
            own.build({**cell, "params": params}, method, device),
            Clock(result.phases),
        )
        if "start" in inputs:
            estimator.fit(
                X, known, init_labels=inputs["start"], checkpoint=checkpoint, progress=progress
            )
            result.history = estimator.history_
        else:
            estimator.fit(X, known)
        clock.lap("fit")
        result.labels = np.asarray(estimator.labels_, dtype=np.int64)
        if result.labels.shape != dataset.y.shape:
            raise ValueError(f"labels_ has shape {result.labels.shape}, needs {dataset.y.shape}")
        result.values.update(getattr(estimator, "values_", {}))
        unlabelled = known == UNLABELLED
        correct = result.labels[unlabelled] == dataset.y[unlabelled]
        result.values |= {
            "n": len(X),
            "n_labels": int((~unlabelled).sum()),
            "accuracy_unlabelled": 100 * float(correct.mean()),
        }
        return result


KIND = Labelled()
