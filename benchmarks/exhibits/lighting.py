"""What clusters of faces capture: how bright the sides of their images are.

No label is read: brightness is that of the pixels, and the reference are random partitions.
"""

from __future__ import annotations

import numpy as np

from benchmarks.exhibits.images import STREAM, as_images, image_of

#: What is measured of each image, in this order.
QUANTITIES = ("left", "right", "top", "bottom", "left - right", "top - bottom", "whole")


def brightness(images) -> np.ndarray:
    """Mean brightness of the halves of images, the differences of opposite ones, and of the whole.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, height, width)
        Of an odd number of rows or columns the middle one is in neither half. Left is the
        viewer's.

    Returns
    -------
    ndarray of float64, shape (n, 7)
        In the order of `QUANTITIES`, from 0, black, to 1, white.
    """
    images = np.asarray(images) / 255
    height, width = images.shape[1:]
    left, right = images[:, :, : width // 2], images[:, :, -(width // 2) :]
    top, bottom = images[:, : height // 2], images[:, -(height // 2) :]
    left, right, top, bottom = (half.mean((1, 2)) for half in (left, right, top, bottom))
    return np.column_stack(
        [left, right, top, bottom, left - right, top - bottom, images.mean((1, 2))]
    )


def spread(values, labels, n_clusters: int) -> np.ndarray:
    """Standard deviation over points of the mean of their cluster, shape (q,).

    Parameters
    ----------
    values : ndarray, shape (n, q)
    labels : ndarray of int, shape (n,)
    n_clusters : int
        Empty ones have no weight.
    """
    means = cluster_means(values, labels, n_clusters)[labels]
    return np.sqrt(((means - values.mean(0)) ** 2).mean(0))


def cluster_means(values, labels, n_clusters: int) -> np.ndarray:
    """Mean of the rows of each cluster, shape (K, q); NaN for an empty one."""
    member = np.zeros((n_clusters, len(labels)))
    member[labels, np.arange(len(labels))] = 1
    with np.errstate(invalid="ignore"):
        return member @ values / member.sum(1, keepdims=True)


def lighting(dataset, inputs: dict, seed: int, progress=None, *, n_permutations: int):
    """Brightness by cluster, and its spread over clusters beside that of random partitions.

    Parameters
    ----------
    dataset
        Has ``X`` (n, d), ``n_clusters``, ``image`` and ``name``.
    inputs : dict
        Labels (n,) of ``mixture`` and of the k-means ``start`` that it was trained from.
    seed : int
        Of the random partitions.
    progress : callable(done, total, text), optional
    n_permutations : int
        Random partitions, of the same sizes.

    Returns
    -------
    arrays : dict of ndarray
        ``faces`` (K, height, width) uint8: mean image of each cluster of the mixture. Of the
        mixture and, with ``start_`` before, of the start: ``sizes`` (K,), ``means`` and
        ``deviations`` (K, q) of the images in a cluster, ``spread`` (q,), ``share`` (q,) of the
        variance over images that lies between clusters, and of the random partitions
        ``random_mean``, ``random_q95`` (q,) of their spread and ``p`` (q,), the share of
        partitions, this one among them, that spread at least as far. ``image_means``,
        ``image_deviations`` (q,): over all images.
    values : dict
        ``n``, ``n_permutations``, ``quantities``: the q names.
    """
    images = as_images(dataset.X, image_of(dataset))
    values, k = brightness(images), dataset.n_clusters
    rng = np.random.default_rng([seed, STREAM])
    labels = np.asarray(inputs["mixture"])
    pixels = cluster_means(images.reshape(len(images), -1).astype(np.float64), labels, k)
    arrays = {
        "faces": np.rint(np.nan_to_num(pixels)).astype(np.uint8).reshape(k, *images.shape[1:]),
        "image_means": values.mean(0).astype(np.float32),
        "image_deviations": values.std(0).astype(np.float32),
    }
    arrays |= _measured(values, labels, k, n_permutations, rng, progress)
    start = _measured(values, np.asarray(inputs["start"]), k, n_permutations, rng, None)
    arrays |= {f"start_{name}": array for name, array in start.items()}
    return arrays, {
        "n": len(images),
        "n_permutations": n_permutations,
        "quantities": list(QUANTITIES),
    }


def _measured(values, labels, k, n_permutations, rng, progress) -> dict:
    found, random = spread(values, labels, k), np.empty((n_permutations, values.shape[1]))
    for i in range(n_permutations):
        random[i] = spread(values, rng.permutation(labels), k)
        if progress is not None:
            progress(i + 1, n_permutations, "random partitions")
    means = cluster_means(values, labels, k)
    squares = cluster_means(values**2, labels, k)
    measured = {
        "means": means,
        "deviations": np.sqrt(np.maximum(squares - means**2, 0)),
        "spread": found,
        "share": (found / values.std(0)) ** 2,
        "random_mean": random.mean(0),
        "random_q95": np.quantile(random, 0.95, axis=0),
        "p": (1 + (random >= found).sum(0)) / (1 + n_permutations),
    }
    return {
        "sizes": np.bincount(labels, minlength=k).astype(np.int32),
        **{name: np.asarray(array, dtype=np.float32) for name, array in measured.items()},
    }
