"""Normalised cut on a sparse neighbour graph.

Source: "k-means on the eigenvectors of the Laplacian matrix" is all that the paper says (section
4.1). The graph is the one of the comparisons its figures come from: 5 neighbours, Gaussian weights.
"""

from __future__ import annotations

from numbers import Integral

import numpy as np
import scipy.sparse as sp
import sklearn.cluster
from sklearn.base import BaseEstimator, ClusterMixin

from .graph import (
    check_embedding,
    check_number,
    check_points,
    components,
    merged_components,
    positive_median,
)
from .many import nearest_neighbours, smallest_eigenvectors
from .rotation import row_normalise


def affinity(X: np.ndarray, n_neighbors: int) -> tuple[sp.csr_matrix, float, np.ndarray]:
    """Gaussian weights of the k-nearest-neighbour graph.

    ``w_ij = exp(-|x_i - x_j|^2 / s2)`` for j among the k nearest of i (i excluded), s2 the
    median of those n k squared distances; symmetrised by the larger of w_ij and w_ji.

    Returns
    -------
    W : (n, n) symmetric, zero diagonal.
    width : s2, in squared units of X.
    component : (n,) connected component of each point.
    """
    n = len(X)
    index, sq_distance = nearest_neighbours(X, n_neighbors)
    width = positive_median(sq_distance)
    # A weight never underflows to 0: every point keeps a positive degree.
    weight = np.maximum(np.exp(-sq_distance / width), np.finfo(np.float64).tiny)
    W = sp.csr_matrix(
        (weight.ravel(), index.ravel(), np.arange(n + 1) * index.shape[1]), shape=(n, n)
    )
    return W.maximum(W.T).tocsr(), width, components(index)


def normalised_laplacian(W: sp.csr_matrix) -> sp.csr_matrix:
    """``I - D^-1/2 W D^-1/2`` for symmetric W with positive degrees."""
    scale = sp.diags(1.0 / np.sqrt(np.asarray(W.sum(axis=1)).ravel()))
    return (sp.identity(W.shape[0]) - scale @ W @ scale).tocsr()


class NCut(ClusterMixin, BaseEstimator):
    """Eigenvectors of the symmetric normalised Laplacian, rows of unit length, then k-means.

    Parameters
    ----------
    n_clusters : clusters and eigenvectors, 1..n.
    n_neighbors : of the graph, the point itself excluded.
    n_init : starts of k-means on the eigenvectors. The paper names none; 10 is what public
        implementations of the comparison use, and does not handicap the baseline.
    random_state : int, RandomState or None; for k-means only.

    Attributes
    ----------
    labels_ : (n,) int64.
    values_ : dict; ``width``, ``graph_components``, ``inertia``, ``largest_eigenvalue``.
    """

    def __init__(self, n_clusters=8, *, n_neighbors=5, n_init=10, random_state=None):
        self.n_clusters = n_clusters
        self.n_neighbors = n_neighbors
        self.n_init = n_init
        self.random_state = random_state

    def spectral_embedding(self, X) -> dict[str, np.ndarray]:
        """What no seed changes: ``vectors`` (n, c) orthonormal, ``eigenvalues`` (c,), scalars."""
        X = check_points(self, X, min_samples=2)
        check_number("n_neighbors", self.n_neighbors, Integral, 1)
        W, width, component = affinity(X, self.n_neighbors)
        m = component.max() + 1
        if m > self.n_clusters:
            vectors = merged_components(X, component, self.n_clusters)
            vectors *= np.sqrt(np.asarray(W.sum(axis=1)))
            vectors /= np.linalg.norm(vectors, axis=0)
            eigenvalues = np.zeros(self.n_clusters)
        else:
            eigenvalues, vectors = smallest_eigenvectors(normalised_laplacian(W), self.n_clusters)
        return {
            "vectors": vectors,
            "eigenvalues": eigenvalues,
            "width": np.asarray(width),
            "graph_components": np.asarray(m),
        }

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
            {"vectors": shape, "eigenvalues": shape[1:], "width": (), "graph_components": ()},
        )
        # Dividing by sqrt(degree) first would change nothing: it scales rows.
        found = sklearn.cluster.KMeans(
            self.n_clusters, n_init=self.n_init, random_state=self.random_state
        ).fit(row_normalise(embedding["vectors"]))
        self.labels_ = found.labels_.astype(np.int64)
        self.values_ = {
            "width": float(embedding["width"]),
            "graph_components": int(embedding["graph_components"]),
            "inertia": float(found.inertia_),
            "largest_eigenvalue": float(embedding["eigenvalues"].max()),
        }
        return self
