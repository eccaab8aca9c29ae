"""Measures of samples in the features of a small classifier, and on pixels: what blur cannot win.

Samples and real images are compared by

* ``precision``: the share of samples on the manifold of real images, ``recall``: of real images
  on that of the samples (Kynkäänniemi et al. 2019, eq. 1 and 2). A manifold is the union of balls
  that reach to the k-th nearest point of the same set;
* ``frechet``: the distance of two Gaussians with the means and covariances of both (Heusel et al.
  2017), from 0;
* ``pixel_precision``, ``pixel_recall``: the first two on pixels, without a classifier.

The published features are those of networks that know photographs. Here they are those of
`digit_network`, of 50,000 digits with their labels; the weights, ``digit_features.npz``, are a copy
of what the record of the method ``digit-classifier`` has. No label reaches what is measured.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .digit_network import DigitNetwork
from .generative.model import check_number, check_unit
from .generative.training import streams
from .tiles import Nearest, sweep
from .torch_state import own_switches

WEIGHTS = Path(__file__).with_name("digit_features.npz")
SHA256 = "5366c10b91dfc0c18392471cd689feb1677f2b2af2cc05e5173cede6946346ee"
K = 3  # nearest neighbours: the choice of Kynkäänniemi et al.
BLOCK = 1000  # images whose features are computed at once


def measures(
    samples, test, training=None, random_state: int = 0, *, k: int = K, device="cpu"
) -> dict[str, float]:
    """All measures of samples (n, 784) against test images (m, 784), both in [0, 1].

    Where n and m differ, as many of the larger set are drawn as the smaller one has, since all
    measures depend on n.

    Parameters
    ----------
    samples, test : array of float
        More than k rows each.
    training : ignored
        What other measures compare with.
    random_state : int
        Of the draw.
    k : int
    device : str or torch.device

    Raises
    ------
    ValueError
        If images are not as said, or a setting is below what it must be.
    """
    samples, test = (
        check_unit(name, images, 784) for name, images in (("samples", samples), ("test", test))
    )
    check_number("k", k, 1, whole=True)
    n = min(len(samples), len(test))
    if n <= k:
        raise ValueError(f"samples and test must have more than k = {k} rows; got {n}")
    check_number("random_state", random_state, whole=True)
    (draw,) = streams(random_state, 1)
    samples, test = _drawn(samples, n, draw), _drawn(test, n, draw)
    x, y = features(samples, device=device), features(test, device=device)
    precision, recall = precision_recall(x, y, k, device=device)
    on_pixels = precision_recall(samples, test, k, device=device)
    return {
        "precision": precision,
        "recall": recall,
        "frechet": frechet_distance(x, y),
        "pixel_precision": on_pixels[0],
        "pixel_recall": on_pixels[1],
    }


def measures_of_test_images(
    test, training=None, random_state: int = 0, *, k: int = K, device="cpu"
) -> dict[str, float]:
    """The reference row: a random half of the test images, as samples, against the other half.

    The halves are smaller than the sets of the other rows, so distances to a k-th neighbour are
    larger, and `frechet`, which falls towards its limit as 1/n, is too.
    """
    test = check_unit("test", test, 784, minimum=4)
    half = len(test) // 2
    check_number("random_state", random_state, whole=True)
    order = torch.randperm(len(test), generator=streams(random_state, 1)[0]).numpy()
    one, other = test[order[:half]], test[order[half : 2 * half]]
    return measures(one, other, None, random_state, k=k, device=device)


# ---- one by one ---------------------------------------------------------------------------------


@own_switches()
@torch.no_grad()
def features(images, *, device="cpu") -> np.ndarray:
    """Features of images (n, 784) in [0, 1] by the classifier: (n, 64) float32."""
    images = check_unit("images", images, 784, minimum=1)
    network = _network().to(device)
    parts = torch.from_numpy(np.array(images)).split(BLOCK)
    return torch.cat([network.features(part.to(device)).cpu() for part in parts]).numpy()


def precision_recall(samples, reference, k: int = K, *, device="cpu") -> tuple[float, float]:
    """Shares of samples (n, d) and of reference points (m, d) on the other's manifold.

    The surface of a ball belongs to it, as in eq. 1. Distances are taken in float64.

    Raises ValueError on points that are not finite, unequal d, or k not in 1..n-1 and 1..m-1.
    """
    x, y = _points("samples", samples, device), _points("reference", reference, device)
    check_number("k", k, 1, whole=True)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"reference must have {x.shape[1]} features; got {y.shape[1]}")
    for name, points in (("samples", x), ("reference", y)):
        if len(points) <= k:
            raise ValueError(f"{name} must have more than k = {k} points; got {len(points)}")
    radii = []
    for points in (x, y):
        nearest = Nearest(points, k)
        sweep(points, points, nearest)
        radii.append(nearest.sq[:, -1])
    on_reference, on_samples = _Within(x, radii[1]), _Within(y, radii[0], axis=0)
    sweep(x, y, on_reference, on_samples)
    return on_reference.share, on_samples.share


def frechet_distance(samples, reference) -> float:
    """|m - n|² + tr(A + B - 2 (A^½ B A^½)^½) of the means and covariances (ddof = 1) of two sets.

    Raises ValueError on points that are not finite, unequal d, or fewer than two of either.
    """
    x, y = (
        _points(name, points).numpy()
        for name, points in (("samples", samples), ("reference", reference))
    )
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"reference must have {x.shape[1]} features; got {y.shape[1]}")
    for name, points in (("samples", x), ("reference", y)):
        if len(points) < 2:
            raise ValueError(f"{name} must have at least 2 points; got {len(points)}")
    gap = x.mean(0) - y.mean(0)
    a, b = (np.atleast_2d(np.cov(points, rowvar=False)) for points in (x, y))
    root = _root(a)
    both = np.linalg.eigvalsh(root @ b @ root)
    return float(gap @ gap + np.trace(a) + np.trace(b) - 2 * np.sqrt(both.clip(0)).sum())


# ---- behind them --------------------------------------------------------------------------------


class _Within:
    """``share`` of the points that lie in the ball of any other set's point.

    Of x in the balls of y with these squared radii; `axis` 0: of y in those of x.
    """

    def __init__(self, points: Tensor, sq_radius: Tensor, axis: int = 1):
        self.sq_radius, self.axis = sq_radius, axis
        # Copies lie at distance 0, which the products miss by rounding.
        self.slack = 1e-12 * float(points.square().sum(1).max())
        self.inside = torch.zeros(len(points), dtype=torch.bool, device=points.device)

    def __call__(self, rows, columns, sq):
        if self.axis == 0:
            rows, columns, sq = columns, rows, sq.T
        self.inside[rows] |= (sq <= self.sq_radius[columns] + self.slack).any(1)

    @property
    def share(self) -> float:
        return float(self.inside.double().mean())


def _root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric square root of a covariance (d, d), of whatever rank."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T


@cache
def _network() -> DigitNetwork:
    """The classifier with the weights in the file, asserted to be those that are meant."""
    found = hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    if found != SHA256:
        raise ValueError(f"{WEIGHTS.name} must have sha256 {SHA256[:16]}…; got {found[:16]}…")
    with np.load(WEIGHTS, allow_pickle=False) as file:
        weights = {name: torch.from_numpy(file[name]).float() for name in file.files}
    with torch.device("meta"):  # else it would draw weights, and from the global state
        network = DigitNetwork(len(weights["hidden.bias"]))
    network.load_state_dict(weights, assign=True)
    return network.requires_grad_(False)


def _points(name: str, points, device="cpu") -> Tensor:
    """Points (n, d) in float64."""
    array = np.asarray(points, dtype=np.float64)
    if array.ndim != 2 or not array.shape[1]:
        raise ValueError(f"{name} must be (n, d), d >= 1; got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite; got {array[~np.isfinite(array)][0]}")
    return torch.from_numpy(array).to(device)


def _drawn(points: np.ndarray, n: int, generator: torch.Generator) -> np.ndarray:
    if n == len(points):
        return points
    return points[torch.randperm(len(points), generator=generator)[:n].numpy()]
