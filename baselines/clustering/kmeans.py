"""k-means on the points as they are: Table 1's first column, and the start of the mixture."""

from __future__ import annotations

from numbers import Integral

import numpy as np
import sklearn.cluster
from sklearn.base import BaseEstimator, ClusterMixin

from .graph import check_number, check_points


class KMeans(ClusterMixin, BaseEstimator):
    """Lloyd's algorithm from k-means++ starts (scikit-learn's).

    Parameters
    ----------
    n_clusters : clusters, 1..n.
    n_init : starts; the one with the smallest inertia is kept. 1 for a single run, 10 for the best
        of ten (the paper says neither).
    max_iter : iterations of one start.
    random_state : int, RandomState or None.

    Attributes
    ----------
    labels_ : (n,) int64.
    cluster_centers_ : (n_clusters, d).
    n_iter_ : iterations of the start that was kept.
    values_ : dict; ``inertia`` (squared units of X), ``iterations``.
    """

    def __init__(self, n_clusters=8, *, n_init=1, max_iter=300, random_state=None):
        self.n_clusters = n_clusters
        self.n_init = n_init
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X, y=None):
        """Cluster X (n, d); y is ignored. Raises ValueError or TypeError on bad input."""
        X = check_points(self, X)
        check_number("n_init", self.n_init, Integral, 1)
        check_number("max_iter", self.max_iter, Integral, 1)
        found = sklearn.cluster.KMeans(
            self.n_clusters,
            init="k-means++",
            n_init=self.n_init,
            max_iter=self.max_iter,
            random_state=self.random_state,
        ).fit(X)
        self.labels_ = found.labels_.astype(np.int64)
        self.cluster_centers_ = found.cluster_centers_
        self.n_iter_ = found.n_iter_
        self.values_ = {"inertia": float(found.inertia_), "iterations": int(found.n_iter_)}
        return self
