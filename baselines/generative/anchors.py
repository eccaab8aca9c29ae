"""Anchors of the Parzen score: what it gives to samplers that have learnt nothing, or know all.

Theis, van den Oord and Bethge, "A note on the evaluation of generative models", ICLR 2016: k-means
centroids score above the training images themselves.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from ..torch_state import own_switches
from .model import check_generator, check_number, check_unit

ROWS = 2000  # points whose distances to all centroids are in memory at once


class TrainingPoints(BaseEstimator):
    """Samples are training points, drawn without replacement.

    Points of a random order, never the first ones: the first 10,000 of MNIST are from other
    writers than the rest.
    """

    def __init__(self, random_state=0):
        self.random_state = random_state

    def fit(self, X, y=None, validation=None, checkpoint=None, progress=None):
        """Keep X, shape (n, d), in [0, 1]; all else is ignored."""
        self.points_ = check_unit("X", X, minimum=1)
        validate_data(self, X, skip_check_array=True)
        self.values_ = {}
        return self

    def sample(self, n: int, generator: torch.Generator) -> np.ndarray:
        """n of the points, shape (n, d). Raises ValueError where there are fewer."""
        rows = _draw(self, "points_", n, generator)
        return self.points_[rows.numpy()]


class Centroids(BaseEstimator):
    """Samples are k-means centroids of the training points, after a few steps of Lloyd's.

    Parameters
    ----------
    n_centroids : int
    n_steps : int
        Ours: four steps from random points; the score has then nearly stopped to rise.
    random_state : int
    """

    def __init__(self, n_centroids=10_000, n_steps=4, random_state=0):
        self.n_centroids = n_centroids
        self.n_steps = n_steps
        self.random_state = random_state

    @own_switches()
    def fit(self, X, y=None, validation=None, checkpoint=None, progress=None):
        """Lloyd's algorithm on X, shape (n, d), in [0, 1]; an empty cluster keeps its centroid."""
        given, X = X, check_unit("X", X, minimum=1)
        validate_data(self, given, skip_check_array=True)
        check_number("n_centroids", self.n_centroids, 1, len(X), whole=True)
        check_number("n_steps", self.n_steps, whole=True)
        check_number("random_state", self.random_state, whole=True)
        points = torch.from_numpy(X)
        generator = torch.Generator().manual_seed(int(self.random_state))
        start = torch.randperm(len(X), generator=generator)[: self.n_centroids]
        self.centroids_ = points[start].clone()
        errors = []
        for step in range(self.n_steps):
            own, distances = _nearest(points, self.centroids_)
            errors.append(float(distances.mean()))
            counts = torch.bincount(own, minlength=self.n_centroids)
            sums = torch.zeros_like(self.centroids_).index_add_(0, own, points)
            full = counts > 0
            self.centroids_[full] = sums[full] / counts[full].unsqueeze(1)
            if progress is not None:
                progress(step + 1, self.n_steps, f"mean squared distance {errors[-1]:.2f}")
        self.history_ = {"squared_distance": errors}
        self.values_ = {"updates": self.n_steps}
        return self

    def sample(self, n: int, generator: torch.Generator) -> np.ndarray:
        """n of the centroids, shape (n, d), without replacement. Raises ValueError as above."""
        rows = _draw(self, "centroids_", n, generator)
        return self.centroids_[rows].numpy()


def _draw(model, attribute: str, n: int, generator) -> torch.Tensor:
    """Indices of n of the rows that a fitted model keeps, without replacement: (n,)."""
    check_is_fitted(model, attribute)
    rows = len(getattr(model, attribute))
    check_number("n", n, 1, rows, whole=True)
    check_generator(generator)
    return torch.randperm(rows, generator=generator)[:n]


def _nearest(points: torch.Tensor, centres: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Index of the nearest centre of each point, and the squared distance to it: (n,) each."""
    shift = centres.double().mean(0).to(centres.dtype)  # centred points lose fewer digits
    points, centres = points - shift, centres - shift
    half = centres.square().sum(1) / 2
    found = [torch.addmm(half, rows, centres.T, alpha=-1).min(1) for rows in points.split(ROWS)]
    least = torch.cat([part.values for part in found])
    squared = (2 * least + points.square().sum(1)).clamp_min(0)
    return torch.cat([part.indices for part in found]), squared
