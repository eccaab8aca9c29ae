"""Local discriminant models and global integration (LDMGI).

Source: Y. Yang, D. Xu, F. Nie, S. Yan, Y. Zhuang, "Image clustering using local discriminant models
and global integration", IEEE Trans. Image Processing 19(10), 2761-2773, 2010.
"""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClusterMixin

from .collapse import MOST_SETTINGS, check_wider, first_not_collapsed, is_collapsed
from .graph import (
    blocks,
    bridge_weights,
    bridges,
    check_embedding,
    check_number,
    check_points,
    components,
    positive_median,
)
from .many import nearest_neighbours, smallest_eigenvectors
from .rotation import rotate, row_normalise

WIDER_PENALTY = 1.0  # in local scales, where L is normalised: 1e-3 leaves it to near duplicates
SCALARS = ("penalty", "graph_components", "clique_size", "normalised")  # of an embedding


def cliques(X: np.ndarray, clique_size: int) -> np.ndarray:
    """(n, k) indices: each point and its k - 1 nearest others, k = min(clique_size, n)."""
    index, _ = nearest_neighbours(X, clique_size - 1)
    return np.hstack([np.arange(len(X))[:, None], index])


def local_grams(X: np.ndarray, clique: np.ndarray) -> np.ndarray:
    """(n, k, k) Gram matrices of the centred points of each clique, ``Xt^T Xt``, in float64."""
    n, k = clique.shape
    gram = np.empty((n, k, k))
    for rows in blocks(n, 16 * k * X.shape[1]):
        points = X[clique[rows]].astype(np.float64)
        points -= points.mean(axis=1, keepdims=True)
        gram[rows] = points @ points.transpose(0, 2, 1)
    return gram


def laplacian(gram: np.ndarray, clique: np.ndarray, penalty: float) -> sp.csr_matrix:
    """``L = sum_i S_i H (G_i + penalty I)^-1 H S_i^T``: (n, n), L 1 = 0, from (n, k, k) Grams."""
    n, k = clique.shape
    local = np.linalg.inv(gram + penalty * np.eye(k))
    local -= local.mean(axis=1, keepdims=True)  # H from the left ...
    local -= local.mean(axis=2, keepdims=True)  # ... and from the right
    rows, columns = np.repeat(clique, k, axis=1), np.tile(clique, (1, k))
    L = sp.csr_matrix((local.ravel(), (rows.ravel(), columns.ravel())), shape=(n, n))
    return (L + L.T) * 0.5


def join(L: sp.csr_matrix, X: np.ndarray, component: np.ndarray, width: float) -> sp.csr_matrix:
    """L (n, n) plus ``w (e_i - e_j)(e_i - e_j)^T`` for each bridge between components.

    `width` is that of the weights, in squared units of X.
    """
    pairs, square = bridges(X, component)
    edge = np.arange(len(pairs))
    root = sp.csr_matrix(
        (np.r_[np.ones(len(pairs)), -np.ones(len(pairs))], (np.r_[edge, edge], pairs.T.ravel())),
        shape=(len(pairs), len(X)),
    )
    return (L + root.T @ sp.diags(bridge_weights(square, width)) @ root).tocsr()


def normalised(L: sp.csr_matrix) -> sp.csr_matrix:
    """``D^-1/2 L D^-1/2``, D the diagonal of L plus its mean: a regularised degree, as in NCut."""
    diagonal = L.diagonal()
    scale = sp.diags(1.0 / np.sqrt(diagonal + (diagonal.mean() or 1.0)))
    return (scale @ L @ scale).tocsr()


class LDMGI(ClusterMixin, BaseEstimator):
    """Smallest eigenvectors of the summed local discriminant models, then a rotation.

    The paper's nine penalties 1e-8 .. 1e8 are not searched: the result changes once, between
    penalties well below and well above the scale of the local Grams, and the lower side is the one
    where the models are discriminant (above, L is a plain neighbour-clique Laplacian).

    Parameters
    ----------
    n_clusters : clusters and eigenvectors, 1..n; the constant vector is kept as the first.
    clique_size : k, the point itself included.
    penalty : lambda in units of the local scale, which is the median over cliques of the mean
        non-trivial eigenvalue of a centred Gram, ``trace(G_i) / (k - 1)``. So no unit of X matters.
    wider : up to five larger cliques. Where the partition collapses (``collapse.is_collapsed``),
        the first of them at which it does not is taken. L is then normalised (:func:`normalised`)
        and the penalty one local scale: the cut of L itself is the ratio cut, for which a stray
        point is cheapest however large the cliques are. Empty: the published setting, whatever
        comes out.
    n_init : starts of the rotation.
    random_state : int, RandomState or None; for the rotation only, not for the choice of a setting.

    Attributes
    ----------
    labels_ : (n,) int64.
    values_ : dict; the setting kept (``clique_size``, ``penalty``, lambda itself in squared units
        of X, ``normalised``, 0 or 1), ``graph_components`` before they were joined by the edges of
        the minimum spanning tree, ``agreement`` of the rotation, ``largest_eigenvalue``,
        ``clusters_found``, ``collapsed`` (0 or 1).
    """

    def __init__(
        self,
        n_clusters=8,
        *,
        clique_size=5,
        penalty=1e-3,
        wider=(10, 20, 50, 100),
        n_init=10,
        random_state=None,
    ):
        self.n_clusters = n_clusters
        self.clique_size = clique_size
        self.penalty = penalty
        self.wider = wider
        self.n_init = n_init
        self.random_state = random_state

    def _embedding(self, X, clique_size, penalty, normalise):
        clique = cliques(X, clique_size)
        gram = local_grams(X, clique)
        scale = positive_median(np.trace(gram, axis1=1, axis2=2) / (clique.shape[1] - 1))
        component = components(clique)
        width = 2 * scale  # mean squared distance of the pairs of a clique
        # A constant factor on L is irrelevant; dividing by the scale keeps its entries near 1.
        L = join(laplacian(gram / scale, clique, penalty), X, component, width)
        eigenvalues, vectors = smallest_eigenvectors(
            normalised(L) if normalise else L, self.n_clusters
        )
        return {
            "vectors": vectors,
            "eigenvalues": eigenvalues if normalise else eigenvalues / scale,
            "penalty": np.asarray(penalty * scale),
            "graph_components": np.asarray(component.max() + 1),
            "clique_size": np.asarray(clique.shape[1]),
            "normalised": np.asarray(int(normalise)),
        }

    def spectral_embedding(self, X) -> dict[str, np.ndarray]:
        """What no seed changes: ``vectors`` (n, c) orthonormal, ``eigenvalues`` (c,), scalars."""
        X = check_points(self, X, min_samples=2)
        check_number("clique_size", self.clique_size, Integral, 2)
        check_number("penalty", self.penalty, Real, 0, open_left=True)
        check_number("n_init", self.n_init, Integral, 1)
        sizes = check_wider("wider", self.wider, self.clique_size, len(X), MOST_SETTINGS - 1)
        settings = [(self.clique_size, self.penalty, False)]
        settings += [(size, WIDER_PENALTY, True) for size in sizes]

        def attempt(setting):
            found = self._embedding(X, *setting)
            return found, rotate(row_normalise(found["vectors"]), 0, self.n_init)[0]

        return first_not_collapsed(settings, attempt, self.n_clusters)

    def fit(self, X, y=None, embedding=None):
        """Cluster X (n, d); y is ignored; `embedding` is what ``spectral_embedding(X)`` returned.

        Raises ValueError or TypeError on bad input.
        """
        given, X = X, check_points(self, X, min_samples=2)
        if embedding is None:
            embedding = self.spectral_embedding(given)
        shape = (len(X), self.n_clusters)
        embedding = check_embedding(
            embedding,
            {"vectors": shape, "eigenvalues": shape[1:]} | dict.fromkeys(SCALARS, ()),
        )
        # eq. 23, then the rotation
        self.labels_, _, agreement = rotate(
            row_normalise(embedding["vectors"]), self.random_state, self.n_init
        )
        self.values_ = {
            "clique_size": int(embedding["clique_size"]),
            "normalised": int(embedding["normalised"]),
            "penalty": float(embedding["penalty"]),
            "graph_components": int(embedding["graph_components"]),
            "agreement": agreement,
            "largest_eigenvalue": float(embedding["eigenvalues"].max()),
            "clusters_found": len(np.unique(self.labels_)),
            "collapsed": int(is_collapsed(self.labels_, self.n_clusters)),
        }
        return self
