"""Points that k-means and NCut put in the wrong cluster and the mixture in the right one.

A cluster stands for its majority class. Labels are read here to pick what is shown, and to count;
nothing is trained or chosen by them.
"""

from __future__ import annotations

import numpy as np

from benchmarks.exhibits.images import STREAM, as_images, image_of

NO_CLASS = -1  # of an empty cluster


def majority_classes(labels, y) -> np.ndarray:
    """Class that each cluster has most points of, the smaller at a tie: (largest label + 1,).

    Parameters
    ----------
    labels, y : ndarray of int, shape (n,)
        Clusters and classes, from 0.

    Returns
    -------
    ndarray of int64
        -1 for a number that no point has.
    """
    labels, y = np.asarray(labels, dtype=np.int64), np.asarray(y, dtype=np.int64)
    if labels.shape != y.shape or labels.ndim != 1 or not len(y):
        raise ValueError(
            f"labels and y must be vectors of one length; got shapes {labels.shape} and {y.shape}"
        )
    counts = np.zeros((labels.max() + 1, y.max() + 1), dtype=np.int64)
    np.add.at(counts, (labels, y), 1)
    return np.where(counts.any(1), counts.argmax(1), NO_CLASS)


def misclustered(dataset, inputs: dict, seed: int, progress=None, *, n_examples: int):
    """Examples of every class, drawn at random from all that there are.

    Parameters
    ----------
    dataset
        Has ``X`` (n, d), ``y`` (n,), ``n_classes``, ``image`` and ``name``.
    inputs : dict
        Labels (n,) of ``kmeans``, ``ncut`` and ``mixture``.
    seed : int
        Of the draw.
    progress : ignored
    n_examples : int
        At most so many of a class.

    Returns
    -------
    arrays : dict of ndarray
        Of the m examples, by class and then row: ``images`` (m, height, width) uint8, ``rows``,
        ``classes``, and for each method the class that its cluster stands for. ``only_mixture``,
        ``only_others`` (n_classes,): how many points of a class the mixture alone puts right, and
        how many only k-means and NCut, both of them. ``kmeans_clusters``, ``ncut_clusters``,
        ``mixture_clusters`` (K,): the class that each cluster stands for.
    values : dict
        Points that each method puts right, those two counts in sum, and ``n``.
    """
    image, y = image_of(dataset), np.asarray(dataset.y)
    names = ("kmeans", "ncut", "mixture")
    stands = {name: majority_classes(inputs[name], y) for name in names}
    classes = {name: stands[name][inputs[name]] for name in names}
    right = {name: classes[name] == y for name in names}
    only_mixture = right["mixture"] & ~right["kmeans"] & ~right["ncut"]
    only_others = ~right["mixture"] & right["kmeans"] & right["ncut"]
    rng = np.random.default_rng([seed, STREAM])
    rows = []
    for c in range(dataset.n_classes):
        candidates = np.flatnonzero(only_mixture & (y == c))
        drawn = rng.choice(candidates, min(n_examples, len(candidates)), replace=False)
        rows.append(np.sort(drawn))
    rows = np.concatenate(rows)
    arrays = {
        "rows": rows.astype(np.int32),
        "images": as_images(dataset.X[rows], image),
        "classes": y[rows].astype(np.int16),
        "only_mixture": np.bincount(y[only_mixture], minlength=dataset.n_classes),
        "only_others": np.bincount(y[only_others], minlength=dataset.n_classes),
    }
    for name in names:
        arrays[f"{name}_classes"] = classes[name][rows].astype(np.int16)
        arrays[f"{name}_clusters"] = stands[name].astype(np.int16)
    values = {
        "n": len(y),
        **{f"{name}_right": int(right[name].sum()) for name in names},
        "only_mixture": int(only_mixture.sum()),
        "only_others": int(only_others.sum()),
    }
    return arrays, values
