"""Gaussian mixture by EM: the conventional mixture model that section 4.1.1 names."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
import sklearn.mixture
from sklearn.base import BaseEstimator, ClusterMixin

from ..inputs import centre_if_far
from .graph import check_number, check_points


class GMM(ClusterMixin, BaseEstimator):
    """scikit-learn's Gaussian mixture with full covariances; labels by the largest posterior.

    Parameters
    ----------
    n_clusters : components, 1..n.
    n_init : k-means starts of EM; the one with the largest likelihood is kept.
    max_iter : EM steps of one start.
    tol : EM stops when the mean log-likelihood, in nats a point, rises by less.
    ridge : added to the variances, as a share of the mean variance of a feature, so that the units
        of X do not matter.
    random_state : int, RandomState or None.

    Attributes
    ----------
    labels_ : (n,) int64.
    means_ : (n_clusters, d).
    covariances_ : (n_clusters, d, d).
    n_iter_ : steps of the start that was kept.
    values_ : dict; ``lower_bound`` (mean log-likelihood in nats a point), ``iterations``,
        ``converged`` (0 or 1).
    """

    def __init__(
        self, n_clusters=8, *, n_init=10, max_iter=1000, tol=1e-3, ridge=1e-6, random_state=None
    ):
        self.n_clusters = n_clusters
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.ridge = ridge
        self.random_state = random_state

    def fit(self, X, y=None):
        """Cluster X (n, d); y is ignored. Raises ValueError or TypeError on bad input."""
        X = np.asarray(check_points(self, X, min_samples=2), dtype=np.float64)
        check_number("n_init", self.n_init, Integral, 1)
        check_number("max_iter", self.max_iter, Integral, 1)
        check_number("tol", self.tol, Real, 0, open_left=True)
        check_number("ridge", self.ridge, Real, 0, open_left=True)
        # scikit-learn multiplies points and means as they are.
        centre = centre_if_far(X)
        X = X - centre
        # Where all points are one, no variance is left to take a share of.
        variance = float(X.var(axis=0).mean()) or 1.0
        found = sklearn.mixture.GaussianMixture(
            self.n_clusters,
            covariance_type="full",
            tol=self.tol,
            reg_covar=self.ridge * variance,
            max_iter=self.max_iter,
            n_init=self.n_init,
            init_params="kmeans",
            random_state=self.random_state,
        )
        self.labels_ = found.fit_predict(X).astype(np.int64)
        self.means_ = found.means_ + centre
        self.covariances_ = found.covariances_
        self.n_iter_ = found.n_iter_
        self.values_ = {
            "lower_bound": float(found.lower_bound_),
            "iterations": int(found.n_iter_),
            "converged": int(found.converged_),
        }
        return self
