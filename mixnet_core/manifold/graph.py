"""The fuzzy graph of nearest neighbours of UMAP (McInnes, Healy & Melville 2018, §3.1)."""

import numpy as np
import scipy.sparse as sp
from sklearn.neighbors import NearestNeighbors

HALVINGS = 64  # of the search for a width: float64 has no more digits
NARROWEST = 1e-3  # width of a point, at least, in mean distances of a neighbour


def fuzzy_graph(X: np.ndarray, n_neighbors: int) -> sp.coo_matrix:
    """Weights of the edges between neighbours, as probabilities that they are joined.

    Point i holds its neighbour j for joined with a_ij = exp(-max(0, d_ij - ρ_i) / σ_i), where ρ_i
    is the distance to its nearest other point and σ_i makes Σ_j a_ij the binary logarithm of the
    number of neighbours. An edge exists if either end holds it: a_ij + a_ji - a_ij a_ji.

    Parameters
    ----------
    X : ndarray of float, shape (n, p)
    n_neighbors : int
        At most n - 1 are taken.

    Returns
    -------
    scipy.sparse.coo_matrix of float64, shape (n, n)
        Symmetric.
    """
    n, k = len(X), min(n_neighbors, len(X) - 1)
    distance, index = NearestNeighbors(n_neighbors=k).fit(X).kneighbors()
    distance = distance.astype(np.float64)
    held = sp.csr_matrix(
        (joined(distance).ravel(), (np.repeat(np.arange(n), k), index.ravel())), shape=(n, n)
    )
    return (held + held.T - held.multiply(held.T)).tocoo()


def joined(distance: np.ndarray) -> np.ndarray:
    """The a_ij of :func:`fuzzy_graph`, shape (n, k), of distances to k neighbours."""
    nearest = np.where(distance > 0, distance, np.inf).min(1, initial=np.inf, keepdims=True)
    gap = np.maximum(distance - np.where(np.isinf(nearest), 0.0, nearest), 0.0)
    mean = distance.mean()
    if not mean > 0:  # all neighbours coincide
        return np.ones_like(distance)
    target = np.log2(distance.shape[1])
    low, width = np.zeros((len(gap), 1)), np.full((len(gap), 1), mean)
    high = np.full_like(width, np.inf)
    for _ in range(HALVINGS):
        wide = np.exp(-gap / width).sum(1, keepdims=True) > target
        low, high = np.where(wide, low, width), np.where(wide, width, high)
        width = np.where(np.isinf(high), 2 * width, (low + high) / 2)
        width = np.maximum(width, NARROWEST * mean)
    return np.exp(-gap / width)
