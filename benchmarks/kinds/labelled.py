"""Cells that are given a few labels: the only ones whose estimators see any.

Which points are labelled is drawn from the seed, the same number of every class, so that all
methods of a seed see the same labels. What counts is the accuracy on the other points.
"""

from __future__ import annotations

import time

import numpy as np

from benchmarks.kinds import stages

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
        raise ValueError(f"n_labels must be a multiple of {len(classes)} classes with at most "
                         f"{counts.min()} points each; got {n_labels}")
    rng = np.random.default_rng([seed, n_labels])
    known = np.full(len(y), UNLABELLED, dtype=np.int64)
    for c in classes:
        chosen = rng.choice(np.flatnonzero(y == c), each, replace=False)
        known[chosen] = c
    return known


def run(cell: dict, method: dict, dataset, inputs: dict[str, np.ndarray], artifacts, checkpoint,
        device: str = "cpu", progress=None) -> stages.Result:
    """Fit one cell's estimator on all points and a few labels; as `stages.run`.

    ``values`` has `accuracy_unlabelled`, in percent: no matching of names, a component is its
    class. The cell's parameter `n_labels` says how many labels there are.
    """
    params = dict(cell["params"])
    known = known_labels(dataset.y, params.pop("n_labels"), cell["seed"])
    mixture = "start" in inputs
    estimator = stages.build({**cell, "params": params},
                             {**method, "kind": "mixture" if mixture else "classifier"}, device)
    X = inputs["codes"] if params["space"] == "code" else dataset.X
    result = stages.Result()
    start = time.perf_counter()
    if mixture:
        estimator.fit(X, known, init_labels=inputs["start"], checkpoint=checkpoint,
                      progress=progress)
        result.history = estimator.history_
    else:
        estimator.fit(X, known)
    result.phases["fit"] = time.perf_counter() - start
    result.labels = np.asarray(estimator.labels_, dtype=np.int64)
    if result.labels.shape != dataset.y.shape:
        raise ValueError(f"labels_ has shape {result.labels.shape}, needs {dataset.y.shape}")
    result.values.update(getattr(estimator, "values_", {}))
    unlabelled = known == UNLABELLED
    correct = result.labels[unlabelled] == dataset.y[unlabelled]
    result.values |= {"n": len(X), "n_labels": int((~unlabelled).sum()),
                      "accuracy_unlabelled": 100 * float(correct.mean())}
    return result
