"""What the networks of a mixture draw: samples by the priors, one network a row, straight lines.

Figures 2 and 3 show the same three things of two datasets. The mixture generates codes, which the
autoencoder decodes; neighbours are looked for, and distances measured, among codes.
"""

from __future__ import annotations

import numpy as np
import torch

from baselines import tiles
from benchmarks.records.files import array_hash
from mixnet_core.data.labels import split
from mixnet_core.training.fitted import streams

STREAM = 3  # of the seed: 0 and 1 are the mixture's own, 2 the draws of samples
SAME_MEAN = 1e-4  # nats: rounding of a mean log-likelihood was 3e-6, other rows differ by far more


def as_images(X, image: dict) -> np.ndarray:
    """Rows in [0, 1] as upright pictures.

    Parameters
    ----------
    X : array, shape (n, height * width)
        What lies outside [0, 1] is cut off.
    image : dict
        ``height``, ``width`` and ``order``, as in datasets.toml: "F" where a row of X goes down the
        columns of its picture.

    Returns
    -------
    ndarray of uint8, shape (n, height, width)

    Raises
    ------
    ValueError
        If the rows have another length, or the order is neither "C" nor "F".
    """
    height, width, order = image["height"], image["width"], image["order"]
    X = np.asarray(X)
    if X.ndim != 2 or X.shape[1] != height * width:
        raise ValueError(f"X must have rows of {height} x {width} pixels; got shape {X.shape}")
    if order not in ("C", "F"):
        raise ValueError(f"image.order must be 'C' or 'F'; got {order!r}")
    pixels = np.rint(255 * np.clip(X, 0, 1)).astype(np.uint8)
    if order == "F":
        return np.ascontiguousarray(pixels.reshape(-1, width, height).transpose(0, 2, 1))
    return pixels.reshape(-1, height, width)


def image_of(dataset) -> dict:
    """Height, width and order of a dataset's images; ValueError where its rows are no images."""
    if not dataset.image:
        raise ValueError(
            f"the dataset must have images; {dataset.name} has no `image` in datasets.toml"
        )
    return dataset.image


def nearest(queries, codes, rows, own=None) -> tuple[np.ndarray, np.ndarray]:
    """Nearest of some rows of `codes` to each query, by Euclidean distance.

    Parameters
    ----------
    queries : ndarray of float32, shape (m, p)
    codes : ndarray of float32, shape (n, p)
    rows : ndarray of int, shape (r,)
        Rows of `codes` that may be found.
    own : ndarray of int, shape (m,), optional
        Row that each query is itself; it is not its own neighbour, another row with the same code
        is.

    Returns
    -------
    found : ndarray of int32, shape (m,)
        Rows of `codes`.
    distances : ndarray of float32, shape (m,)

    Raises
    ------
    ValueError
        If there are too few rows to have a neighbour.
    """
    k = 1 if own is None else 2
    if len(rows) < k:
        raise ValueError(
            f"rows must name at least {k} points to find neighbours among; got {len(rows)}"
        )
    x, y = tiles.tensor(queries), tiles.tensor(codes[rows])
    search = tiles.Nearest(x, k)
    tiles.sweep(x, y, search)
    found = rows[search.index.numpy()]
    if own is not None:
        found = np.where(found[:, :1] == np.asarray(own)[:, None], found[:, 1:], found[:, :1])
    found = found[:, 0]
    apart = np.asarray(queries, dtype=np.float64) - codes[found]
    return found.astype(np.int32), np.linalg.norm(apart, axis=1).astype(np.float32)


def training_rows(model, codes) -> tuple[np.ndarray, np.ndarray]:
    """Rows that a fitted mixture was trained on, and those that it held out, drawn again.

    Raises
    ------
    RuntimeError
        If the mean likelihood of the held-out rows is not the one that the training kept.
    """
    unlabelled = torch.zeros(len(codes), dtype=torch.bool)
    held_out, train = split(unlabelled, model.values_["n_held_out"], streams(model.seed_, 1)[0])
    held_out, train = held_out.numpy(), train.numpy()
    mean = model.score(codes[held_out])
    if abs(mean - model.values_["heldout_log_likelihood"]) > SAME_MEAN:
        raise RuntimeError(
            "the rows that the mixture held out could not be drawn again: their mean "
            f"log-likelihood is {mean:.4f}, the training kept "
            f"{model.values_['heldout_log_likelihood']:.4f}"
        )
    return train, held_out


def distant_inputs(model, component: int, n_pairs: int, rng) -> np.ndarray:
    """Of `n_pairs` random pairs of inputs the one whose outputs lie farthest apart: (2, n_inputs).

    The ends of a line should have different shapes, as the paper's have.
    """
    z = rng.uniform(-1, 1, (n_pairs, 2, model.bank_.n_inputs)).astype(np.float32)
    first, second = (model.generate(z[:, end], component) for end in (0, 1))
    return z[np.linalg.norm(first - second, axis=1).argmax()]


def generated(
    dataset,
    inputs: dict,
    seed: int,
    progress=None,
    *,
    n_rows: int,
    n_columns: int,
    n_of_network: int,
    n_same: int,
    n_steps: int,
    n_pairs: int,
    n_distances: int,
):
    """Arrays of what the networks generate, with the nearest training row of every picture.

    Parameters
    ----------
    dataset
        Has ``X`` (n, d), ``image`` and ``name``.
    inputs : dict
        ``model`` and ``autoencoder``, fitted, and ``codes`` (n, p) of the latter.
    seed : int
    progress : ignored
    n_rows, n_columns : int
        Samples by the priors.
    n_of_network, n_same : int
        Pictures of each network, of which the last `n_same` have inputs that all networks share.
    n_steps, n_pairs : int
        Pictures on each network's line, both ends included, and the pairs that its ends are
        chosen from.
    n_distances : int
        At most so many points of a kind for the distances to nearest training points.

    Returns
    -------
    arrays : dict of ndarray
        Pictures are uint8, (..., height, width). ``samples`` (n_rows * n_columns), ``lines``
        (K, n_steps) and ``networks`` (K, n_of_network); of each ``_rows`` int32, the nearest
        training rows, and ``_distances`` float32, in code space. ``samples_networks``: which
        network drew each. ``neighbours`` (n_rows): training images nearest to the last sample of
        each row. ``lines_steps`` (K, n_steps - 1): from picture to picture. ``nearest_samples``,
        ``nearest_held_out``, ``nearest_training``: distances to the nearest training point of
        samples, held-out points and other training points. ``priors`` (K,).
    values : dict
        ``n_training``, ``n_held_out``.

    Raises
    ------
    ValueError
        If the dataset has no images.
    RuntimeError
        If the autoencoder did not make the codes, or the held-out rows cannot be drawn again.
    """
    image = image_of(dataset)
    model, autoencoder, codes = inputs["model"], inputs["autoencoder"], inputs["codes"]
    if array_hash(autoencoder.transform(dataset.X)) != array_hash(codes):
        raise RuntimeError("the autoencoder is not the one that made the codes; run its cell again")
    train, held_out = training_rows(model, codes)
    rng = np.random.default_rng([seed, STREAM])
    arrays = {"priors": model.priors_.cpu().numpy().astype(np.float32)}
    networks = range(len(arrays["priors"]))

    def show(name, points):
        points = points.astype(np.float32)
        found, distances = nearest(points.reshape(-1, points.shape[-1]), codes, train)
        pixels = as_images(autoencoder.inverse_transform(points.reshape(len(found), -1)), image)
        arrays[name] = pixels.reshape(*points.shape[:-1], *pixels.shape[1:])
        arrays[f"{name}_rows"] = found.reshape(points.shape[:-1])
        arrays[f"{name}_distances"] = distances.reshape(points.shape[:-1])

    shown = n_rows * n_columns
    samples, of = model.sample(max(shown, n_distances), random_state=int(rng.integers(2**32)))
    show("samples", samples[:shown])
    arrays["samples_networks"] = of[:shown].astype(np.uint8)
    beside = arrays["samples_rows"].reshape(n_rows, n_columns)[:, -1]
    arrays["neighbours"] = as_images(dataset.X[beside], image)

    own = n_of_network - n_same
    same = rng.uniform(-1, 1, (n_same, model.bank_.n_inputs))
    show(
        "networks",
        np.stack(
            [
                model.generate(
                    np.concatenate([rng.uniform(-1, 1, (own, model.bank_.n_inputs)), same]), j
                )
                for j in networks
            ]
        ),
    )

    lines = np.stack(
        [model.interpolate(j, *distant_inputs(model, j, n_pairs, rng), n_steps) for j in networks]
    )
    show("lines", lines)
    arrays["lines_steps"] = np.linalg.norm(np.diff(lines, axis=1), axis=2).astype(np.float32)

    some = rng.choice(train, min(n_distances, len(train)), replace=False)
    other = rng.choice(held_out, min(n_distances, len(held_out)), replace=False)
    arrays["nearest_samples"] = nearest(samples[:n_distances].astype(np.float32), codes, train)[1]
    arrays["nearest_held_out"] = nearest(codes[other], codes, train)[1]
    arrays["nearest_training"] = nearest(codes[some], codes, train, own=some)[1]
    return arrays, {"n_training": len(train), "n_held_out": len(held_out)}
