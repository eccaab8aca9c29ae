"""Mixture of probabilistic principal component analysers.

Source: M. Tipping and C. Bishop, "Mixtures of probabilistic principal component analyzers", Neural
Computation 11, 443-482, 1999: the model, and the M-step in closed form by the eigenvectors of the
responsibility-weighted covariance (their equations 22-25 and appendix C; the analyser itself:
"Probabilistic principal component analysis", JRSS B 61, 1999, equations 7 and 8).
"""

from __future__ import annotations

from numbers import Integral

import numpy as np
import scipy.linalg

from ..inputs import check_number
from .em import MixtureDensity

Parts = tuple[np.ndarray, np.ndarray, float]


class MixtureOfPPCA(MixtureDensity):
    """K Gaussians, each of covariance ``W W^T + sigma^2 I`` with W (d, q): linear networks.

    Given the responsibilities, mean, W and sigma^2 are the exact maximisers: the q largest
    eigenvectors of the weighted covariance C, with variances their eigenvalues, and sigma^2 the
    mean of the other eigenvalues. The prior of ``em`` enters C, so sigma^2 is never 0.

    Parameters
    ----------
    n_clusters : components, 1..n.
    n_directions : q >= 0; d - 1 where d is not larger (a full covariance). Or the structure of a
        network, such as "10-64-32": as many directions as it has inputs.
    init, n_init, max_iter, tol, validation_size, random_state : as of
        :class:`~baselines.density.gaussian.GaussianMixture`.
    prior_strength : > 0; each covariance is estimated as if ``prior_strength * d`` points more had
        been seen, whose covariance is that within the starting clusters. "auto": chosen on a fifth
        of the training points (``em``).

    Attributes
    ----------
    labels_, log_likelihood_, held_out_, weights_, means_, n_iter_, history_, values_ : as of
        :class:`~baselines.density.gaussian.GaussianMixture`.
    directions_ : (n_clusters, d, q) orthonormal.
    variances_ : (n_clusters, q) along them, the largest last.
    noise_variances_ : (n_clusters,) sigma^2.
    """

    def __init__(
        self,
        n_clusters=8,
        n_directions=10,
        *,
        init="kmeans",
        n_init=1,
        max_iter=500,
        tol=1e-3,
        prior_strength="auto",
        validation_size=0.1,
        random_state=None,
    ):
        self.n_clusters = n_clusters
        self.n_directions = n_directions
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.prior_strength = prior_strength
        self.validation_size = validation_size
        self.random_state = random_state

    @property
    def directions_(self) -> np.ndarray:
        return np.stack([vectors for _, vectors, _, _ in self.components_])

    @property
    def variances_(self) -> np.ndarray:
        return np.stack([self.scale_**2 * values for _, _, values, _ in self.components_])

    @property
    def noise_variances_(self) -> np.ndarray:
        return np.array([self.scale_**2 * noise for *_, noise in self.components_])

    def _check(self, d: int) -> None:
        super()._check(d)
        _n_directions(self.n_directions)

    def _component(self, C: np.ndarray) -> Parts:
        d = len(C)
        q = min(_n_directions(self.n_directions), d - 1)
        if q == 0:
            return np.empty((d, 0)), np.empty(0), float(np.trace(C) / d)
        if 2 * q > d:
            values, vectors = scipy.linalg.eigh(C, check_finite=False)
            noise = float(values[: d - q].mean())
            values, vectors = values[d - q :], vectors[:, d - q :]
        else:
            values, vectors = scipy.linalg.eigh(
                C, subset_by_index=[d - q, d - 1], check_finite=False
            )
            noise = float((np.trace(C) - values.sum()) / (d - q))
        return vectors, values, noise

    def _log_density(self, gap, vectors, values, noise) -> np.ndarray:
        d, q = vectors.shape
        along = gap @ vectors
        # What is left beside the directions, not a difference of squares: that would lose digits.
        beside = gap - along @ vectors.T
        distance = np.square(along) @ (1 / values) + np.square(beside).sum(1) / noise
        log_volume = np.log(values).sum() + (d - q) * np.log(noise)
        return -0.5 * (distance + log_volume + d * np.log(2 * np.pi))

    def _penalty(self, component, prior: np.ndarray) -> float:
        _, vectors, values, noise = component
        d, q = vectors.shape
        along = np.einsum("dq,dq->q", vectors, prior @ vectors)
        trace = (along / values).sum() + (np.trace(prior) - along.sum()) / noise
        return float(np.log(values).sum() + (d - q) * np.log(noise) + trace)

    @staticmethod
    def _draw(component, n: int, rng) -> np.ndarray:
        mean, vectors, values, noise = component
        along = rng.standard_normal((n, len(values))) * np.sqrt(np.maximum(values - noise, 0))
        return mean + along @ vectors.T + np.sqrt(noise) * rng.standard_normal((n, len(mean)))


def _n_directions(value) -> int:
    """A number of directions, or that of the inputs of a structure; or ValueError, TypeError."""
    first = value.split("-")[0] if isinstance(value, str) else ""
    if first.isdecimal():
        return int(first)
    check_number("n_directions", value, Integral, 0)
    return int(value)
