"""Local learning clustering (LLC), Gaussian kernel.

Source: M. Wu and B. Schoelkopf, "A local learning approach for clustering", NIPS 2006. The paper
under reproduction calls it a "local linear approach", but its printed figures are those of the
Gaussian-kernel variant.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils import check_random_state

from .collapse import (
    MOST_SETTINGS,
    check_wider,
    effective_clusters,
    first_not_collapsed,
    is_collapsed,
)
from .graph import (
    blocks,
    check_embedding,
    check_number,
    check_points,
    components,
    median_squared_distance,
)
from .many import nearest_neighbours, smallest_eigenvectors
from .rotation import rotate, row_normalise


def local_kernels(X, index, width) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian kernels ``exp(-d2 / width)`` among the neighbours of each point, and with the point.

    Returns
    -------
    among : (n, k, k) K_i of the k neighbours ``index[i]``.
    to_point : (n, k) kernel of each neighbour with x_i.
    """
    n, k = index.shape
    among, to_point = np.empty((n, k, k)), np.empty((n, k))
    for rows in blocks(n, 16 * k * X.shape[1]):
        gap = X[index[rows]].astype(np.float64) - X[rows, None, :]  # origin at x_i: no cancellation
        gram = gap @ gap.transpose(0, 2, 1)
        square = np.diagonal(gram, axis1=1, axis2=2)
        among[rows] = np.exp(
            -np.maximum(square[:, :, None] + square[:, None, :] - 2 * gram, 0.0) / width
        )
        to_point[rows] = np.exp(-square / width)
    return among, to_point


def regression_weights(among: np.ndarray, to_point: np.ndarray, ridge: float) -> np.ndarray:
    """(n, k) kernel ridge regression ``alpha_i = (K_i + ridge I)^-1 k_i``; o(x_i) = alpha_i f."""
    k = among.shape[1]
    return np.linalg.solve(among + ridge * np.eye(k), to_point[:, :, None])[:, :, 0]


def learner(alpha: np.ndarray, index: np.ndarray) -> sp.csr_matrix:
    """``I - A`` (n, n), A[i, N_i] = alpha_i: what local learning fails to predict."""
    n, k = alpha.shape
    A = sp.csr_matrix((alpha.ravel(), index.ravel(), np.arange(n + 1) * k), shape=(n, n))
    return (sp.identity(n, format="csr") - A).tocsr()


def objective(I_minus_A: sp.csr_matrix, labels: np.ndarray, n_clusters: int) -> float:
    """``trace(F^T T F)`` at the scaled partition matrix F = P (P^T P)^-1/2 of `labels`."""
    size = np.bincount(labels, minlength=n_clusters)
    F = np.zeros((len(labels), n_clusters))
    F[np.arange(len(labels)), labels] = 1.0 / np.sqrt(size[labels])
    return float(np.square(I_minus_A @ F).sum())


class LLC(ClusterMixin, BaseEstimator):
    """Clusters in which a point's label is best predicted from its neighbours' labels.

    Minimises trace(F^T T F), T = (I - A)^T (I - A), with A the local kernel regressions, by its c
    smallest eigenvectors (the first is kept: the constant is no exact null vector), rows of unit
    length, and a rotation. Of the settings of the grid the one with the smallest objective *after*
    discretisation is kept (the method's own rule, which sees no labels); one whose partition is not
    collapsed (``collapse.is_collapsed``) goes first, then one that leaves fewer clusters empty,
    since neither a crumb nor an empty cluster costs much.

    Parameters
    ----------
    n_clusters : clusters and eigenvectors, 1..n.
    n_neighbors, ridges : the grid; neighbours exclude the point itself.
    wider : larger numbers of neighbours, each with the largest ridge: the first at which the
        partition is not collapsed is taken, where it is in all of the grid. With them there may be
        at most six settings.
    n_init : starts of the rotation.
    random_state : int, RandomState or None; for the rotation only, not for what `wider` adds.

    Components of the graph are not joined: a constant is no null vector of T, so a component costs
    what its points fail to predict. The kernel's width is the median squared distance of all pairs
    (of 1000 points drawn with a fixed seed): near the distance of neighbours the method collapses.

    Attributes
    ----------
    labels_ : (n,) int64.
    values_ : dict; the setting kept (``n_neighbors``, ``ridge``), its ``objective`` and rotation
        ``agreement``, ``width`` (squared units of X), ``graph_components`` (at the largest k of
        the grid), ``clusters_found``, ``collapsed`` (0 or 1).
    """

    def __init__(
        self,
        n_clusters=8,
        *,
        n_neighbors=(5, 10),
        ridges=(0.1, 1.0),
        wider=(40, 80),
        n_init=10,
        random_state=None,
    ):
        self.n_clusters = n_clusters
        self.n_neighbors = n_neighbors
        self.ridges = ridges
        self.wider = wider
        self.n_init = n_init
        self.random_state = random_state

    def _grid(self, n: int) -> list[tuple[str, int, float]]:
        """The settings as (name, k, ridge), k cut to n - 1."""
        for name, kind, low in (("n_neighbors", Integral, 1), ("ridges", Real, 0)):
            values = getattr(self, name)
            if isinstance(values, (str, bytes)) or not np.iterable(values) or not len(values):
                raise TypeError(f"{name} must be a non-empty sequence, got {values!r}.")
            for value in values:
                check_number(f"each of {name}", value, kind, low, open_left=kind is Real)
        sizes = sorted({min(int(k), n - 1) for k in self.n_neighbors})
        grid = [(f"k{k}_ridge{float(r)!r}", k, float(r)) for k in sizes for r in self.ridges]
        if len(grid) > MOST_SETTINGS:
            raise ValueError(
                f"n_neighbors x ridges must be at most {MOST_SETTINGS} settings, got {len(grid)}."
            )
        return grid

    def _wider(self, grid, n: int) -> list[tuple[str, int, float]]:
        """The settings after those of the grid."""
        largest = max(int(k) for k in self.n_neighbors)
        most = MOST_SETTINGS - len(self.n_neighbors) * len(self.ridges)
        sizes = check_wider("wider", self.wider, largest, n - 1, most)
        ridge = max(float(r) for r in self.ridges)
        return [(f"k{k}_ridge{ridge!r}", k, ridge) for k in sizes]

    def spectral_embedding(self, X) -> dict[str, np.ndarray]:
        """What no seed changes, for every setting of the grid or, where all collapse, a wider one.

        Returns a dict: ``index`` (n, k_max) neighbours, nearest first; ``width``;
        ``graph_components``; and for each setting ``<setting>_vectors`` (n, c) and
        ``<setting>_alpha`` (n, k).
        """
        X = check_points(self, X, min_samples=2)
        check_number("n_init", self.n_init, Integral, 1)
        n, c = len(X), self.n_clusters
        grid = self._grid(n)
        wider = self._wider(grid, n)
        width = median_squared_distance(X)

        def attempt(settings):
            index, _ = nearest_neighbours(X, max(k for _, k, _ in settings))
            among, to_point = local_kernels(X, index, width)
            out = {
                "index": index,
                "width": np.asarray(width),
                "graph_components": np.asarray(components(index).max() + 1),
            }
            partitions = []
            for name, k, ridge in settings:
                # the k nearest are the first of the k_max nearest
                alpha = regression_weights(among[:, :k, :k], to_point[:, :k], ridge)
                M = learner(alpha, index[:, :k])
                vectors = smallest_eigenvectors(M.T @ M, c, M)[1]
                out |= {f"{name}_vectors": vectors, f"{name}_alpha": alpha}
                partitions.append(rotate(row_normalise(vectors), 0, self.n_init)[0])
            return out, max(partitions, key=effective_clusters)

        return first_not_collapsed([grid, *([setting] for setting in wider)], attempt, c)

    def fit(self, X, y=None, embedding=None):
        """Cluster X (n, d); y is ignored; `embedding` is what ``spectral_embedding(X)`` returned.

        Raises ValueError or TypeError on bad input.
        """
        given, X = X, check_points(self, X, min_samples=2)
        n, c = len(X), self.n_clusters
        grid = self._grid(n)
        if embedding is None:
            embedding = self.spectral_embedding(given)
        if isinstance(embedding, Mapping):
            wider = self._wider(grid, n)
            grid = [setting for setting in wider if f"{setting[0]}_vectors" in embedding] or grid
        shapes = {"index": (n, max(k for _, k, _ in grid)), "width": (), "graph_components": ()}
        for name, k, _ in grid:
            shapes |= {f"{name}_vectors": (n, c), f"{name}_alpha": (n, k)}
        embedding = check_embedding(embedding, shapes)
        rng = check_random_state(self.random_state)
        best = None
        for name, k, ridge in grid:
            labels, _, agreement = rotate(
                row_normalise(embedding[f"{name}_vectors"]), rng, self.n_init
            )
            M = learner(embedding[f"{name}_alpha"], embedding["index"][:, :k])
            cost, found = objective(M, labels, c), len(np.unique(labels))
            key = is_collapsed(labels, c), -found, cost
            if best is None or key < best[0]:
                best = key, labels, k, ridge, agreement
        (collapsed, found, cost), self.labels_, k, ridge, agreement = best
        self.values_ = {
            "n_neighbors": k,
            "ridge": ridge,
            "objective": cost,
            "agreement": agreement,
            "width": float(embedding["width"]),
            "graph_components": int(embedding["graph_components"]),
            "clusters_found": -found,
            "collapsed": int(collapsed),
        }
        return self
