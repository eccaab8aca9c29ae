"""Gaussian mixture with full covariances, for clusters of any number of points."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from .em import MixtureDensity


class GaussianMixture(MixtureDensity):
    """Mixture of Gaussians by EM, with a prior that holds covariances of few points (``em``).

    scikit-learn's mixture adds a constant to the variances instead, which leaves the density of a
    cluster with fewer points than features to that constant (see the module ``em``).

    Parameters
    ----------
    n_clusters : components, 1..n.
    init : "kmeans", the best of ten starts on the points that are fitted to; or the starting labels
        of all points, (n,) int in 0..n_clusters-1.
    n_init : k-means starts of EM; the one with the largest objective is kept.
    max_iter : EM steps of one start.
    tol : EM stops when the objective, in nats a point, rises by no more.
    prior_strength : > 0; each covariance is estimated as if ``prior_strength * d`` points more had
        been seen, whose covariance is that within the starting clusters. "auto": chosen on a fifth
        of the training points (``em``).
    validation_size : share (below 1) or number of points that are held out and never fitted to;
        0 for none. A seed sets the same points aside as in the mixture of networks (``held_out``).
    random_state : int, RandomState or None.

    Attributes
    ----------
    labels_ : (n,) int64, component of the largest posterior, of held-out points too.
    log_likelihood_ : (n,) log density of every point, nats, in the units of X.
    held_out_ : (m,) int64, the points that were set aside.
    weights_, means_, covariances_ : (n_clusters,), (n_clusters, d), (n_clusters, d, d).
    n_iter_ : steps of the start that was kept; history_ : its ``objective`` after each.
    values_ : dict; ``heldout_log_likelihood`` (mean over the held-out points, if any),
        ``n_held_out``, ``train_log_likelihood``, ``iterations``, ``converged``,
        ``smallest_weight``.
    """

    def __init__(
        self,
        n_clusters=8,
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
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.prior_strength = prior_strength
        self.validation_size = validation_size
        self.random_state = random_state

    @property
    def covariances_(self) -> np.ndarray:
        return np.stack([self.scale_**2 * root @ root.T for _, root in self.components_])

    def _component(self, C: np.ndarray) -> tuple:
        return (np.linalg.cholesky(C),)

    def _log_density(self, gap: np.ndarray, root: np.ndarray) -> np.ndarray:
        white = scipy.linalg.solve_triangular(root, gap.T, lower=True, check_finite=False)
        log_volume = np.log(np.diag(root)).sum()
        return -0.5 * (np.square(white).sum(0) + len(root) * np.log(2 * np.pi)) - log_volume

    def _penalty(self, component, prior: np.ndarray) -> float:
        root = component[1]
        trace = np.trace(scipy.linalg.cho_solve((root, True), prior, check_finite=False))
        return float(2 * np.log(np.diag(root)).sum() + trace)

    @staticmethod
    def _draw(component, n: int, rng) -> np.ndarray:
        mean, root = component
        return mean + rng.standard_normal((n, len(mean))) @ root.T
