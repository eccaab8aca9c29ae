"""Normalised cut on a sparse neighbour graph.

Source: "k-means on the eigenvectors of the Laplacian matrix" is all that the paper says (section
4.1). The graph is the one of the comparisons its figures come from: 5 neighbours, Gaussian weights;
what it is joined by where it falls apart, and what is done where its partition collapses, is ours.
"""

from __future__ import annotations

from numbers import Integral

import numpy as np
import scipy.sparse as sp
import sklearn.cluster
from sklearn.base import BaseEstimator, ClusterMixin

from .collapse import MOST_SETTINGS, check_wider, first_not_collapsed, is_collapsed
from .graph import (
    bridge_weights,
    bridges,
    check_embedding,
    check_number,
    check_points,
    components,
    positive_median,
)
from .many import nearest_neighbours, smallest_eigenvectors
from .rotation import row_normalise

SCALARS = ("width", "graph_components", "n_neighbors", "regularisation")  # of an embedding


def affinity(X: np.ndarray, n_neighbors: int) -> tuple[sp.csr_matrix, float, np.ndarray]:
    """Gaussian weights of the k-nearest-neighbour graph.

    ``w_ij = exp(-|x_i - x_j|^2 / s2)`` for j among the k nearest of i (i excluded), s2 the
    median of those n k squared distances; symmetrised by the larger of w_ij and w_ji. Components
    are joined by the edges of the minimum spanning tree (:func:`graph.bridges`).

    Returns
    -------
    W : (n, n) symmetric, zero diagonal.
    width : s2, in squared units of X.
    component : (n,) component of each point before they were joined.
    """
    n = len(X)
    index, sq_distance = nearest_neighbours(X, n_neighbors)
    width = positive_median(sq_distance)
    # A weight never underflows to 0: every point keeps a positive degree.
    weight = np.maximum(np.exp(-sq_distance / width), np.finfo(np.float64).tiny)
    W = sp.csr_matrix(
        (weight.ravel(), index.ravel(), np.arange(n + 1) * index.shape[1]), shape=(n, n)
    )
    component = components(index)
    pairs, square = bridges(X, component)
    joins = sp.csr_matrix((bridge_weights(square, width), pairs.T), shape=(n, n))
    W = W.maximum(joins)
    return W.maximum(W.T).tocsr(), width, component


def normalised_laplacian(W: sp.csr_matrix, regularisation: float = 0.0) -> sp.csr_matrix:
    """``I - D^-1/2 W D^-1/2`` for symmetric W, D the degrees plus a share of the mean degree.

    Source of the latter: T. Qin and K. Rohe, "Regularized spectral clustering under the
    degree-corrected stochastic blockmodel", NIPS 2013, who take the share 1.
    """
    degree = np.asarray(W.sum(axis=1)).ravel()
    scale = sp.diags(1.0 / np.sqrt(degree + regularisation * degree.mean()))
    return (sp.identity(W.shape[0]) - scale @ W @ scale).tocsr()


class NCut(ClusterMixin, BaseEstimator):
    """Eigenvectors of the symmetric normalised Laplacian, rows of unit length, then k-means.

    Parameters
    ----------
    n_clusters : clusters and eigenvectors, 1..n.
    n_neighbors : of the graph, the point itself excluded.
    wider : up to four larger numbers of neighbours. Where the partition collapses
        (``collapse.is_collapsed``), the first of them at which it does not is taken; last, the
        largest with a regularised Laplacian. Empty: `n_neighbors`, whatever comes out.
    n_init : starts of k-means on the eigenvectors. The paper names none; 10 is what public
        implementations of the comparison use, and does not handicap the baseline.
    random_state : int, RandomState or None; for k-means only, and not for the choice of a setting.

    Attributes
    ----------
    labels_ : (n,) int64.
    values_ : dict; the setting kept (``n_neighbors``, ``regularisation`` in mean degrees),
        ``width``, ``graph_components`` before they were joined, ``inertia``,
        ``largest_eigenvalue``, ``collapsed`` (0 or 1).
    """

    def __init__(
        self, n_clusters=8, *, n_neighbors=5, wider=(10, 20, 50, 100), n_init=10, random_state=None
    ):
        self.n_clusters = n_clusters
        self.n_neighbors = n_neighbors
        self.wider = wider
        self.n_init = n_init
        self.random_state = random_state

    def _settings(self, n: int) -> list[tuple[int, float]]:
        """The ladder: (neighbours, regularisation)."""
        check_number("n_neighbors", self.n_neighbors, Integral, 1)
        sizes = check_wider("wider", self.wider, self.n_neighbors, n - 1, MOST_SETTINGS - 2)
        settings = [(min(int(k), n - 1), 0.0) for k in (self.n_neighbors, *sizes)]
        return [*settings, (sizes[-1], 1.0)] if sizes else settings

    def _embedding(self, X, n_neighbors, regularisation):
        W, width, component = affinity(X, n_neighbors)
        laplacian = normalised_laplacian(W, regularisation)
        eigenvalues, vectors = smallest_eigenvectors(laplacian, self.n_clusters)
        return {
            "vectors": vectors,
            "eigenvalues": eigenvalues,
            "width": np.asarray(width),
            "graph_components": np.asarray(component.max() + 1),
            "n_neighbors": np.asarray(n_neighbors),
            "regularisation": np.asarray(regularisation),
        }

    def _partition(self, vectors, random_state):
        # Dividing by sqrt(degree) first would change nothing: it scales rows.
        return sklearn.cluster.KMeans(
            self.n_clusters, n_init=self.n_init, random_state=random_state
        ).fit(row_normalise(vectors))

    def spectral_embedding(self, X) -> dict[str, np.ndarray]:
        """What no seed changes: ``vectors`` (n, c) orthonormal, ``eigenvalues`` (c,), scalars."""
        X = check_points(self, X, min_samples=2)
        check_number("n_init", self.n_init, Integral, 1)

        def attempt(setting):
            found = self._embedding(X, *setting)
            return found, self._partition(found["vectors"], 0).labels_

        return first_not_collapsed(self._settings(len(X)), attempt, self.n_clusters)

    def fit(self, X, y=None, embedding=None):
        """Cluster X (n, d); y is ignored; `embedding` is what ``spectral_embedding(X)`` returned.

        Raises ValueError or TypeError on bad input.
        """
        given, X = X, check_points(self, X, min_samples=2)
        check_number("n_init", self.n_init, Integral, 1)
        if embedding is None:
            embedding = self.spectral_embedding(given)
        shape = (len(X), self.n_clusters)
        embedding = check_embedding(
            embedding,
            {"vectors": shape, "eigenvalues": shape[1:]} | dict.fromkeys(SCALARS, ()),
        )
        found = self._partition(embedding["vectors"], self.random_state)
        self.labels_ = found.labels_.astype(np.int64)
        self.values_ = {
            "n_neighbors": int(embedding["n_neighbors"]),
            "regularisation": float(embedding["regularisation"]),
            "width": float(embedding["width"]),
            "graph_components": int(embedding["graph_components"]),
            "inertia": float(found.inertia_),
            "largest_eigenvalue": float(embedding["eigenvalues"].max()),
            "collapsed": int(is_collapsed(self.labels_, self.n_clusters)),
        }
        return self
