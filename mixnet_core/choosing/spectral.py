"""A spectral partition, as a second candidate for the initial clusters (ours)."""

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackError, eigsh
from sklearn.cluster import KMeans
from sklearn.neighbors import kneighbors_graph

NEIGHBOURS = (5, 10, 20, 50)  # the first that makes the graph of one piece
MAX_ITERATIONS = 1000


def spectral_partition(X: np.ndarray, k: int, seed: int) -> np.ndarray | None:
    """Normalised spectral clustering (Ng, Jordan & Weiss 2001) of a graph of nearest neighbours.

    Weights are exp(-d² / s²), s² being the median of the squared distances; of the eigenvectors of
    D^-1/2 W D^-1/2 for the k largest eigenvalues the rows, of unit length, go to k-means.

    Parameters
    ----------
    X : ndarray of float, shape (n, p)
    k : int
        K.
    seed : int
        Of k-means.

    Returns
    -------
    ndarray of int64, shape (n,), or None
        None where the graph is in pieces, most points coincide, or eigenvectors do not converge:
        the partition would say which points lie apart, and nothing of the others.
    """
    n = len(X)
    if not 2 <= k < n - 1:
        return None
    for neighbours in NEIGHBOURS:
        graph = kneighbors_graph(X, min(neighbours, n - 1), mode="distance")
        square = graph.data.astype(np.float64) ** 2
        width = np.median(square)
        if not width > 0:
            return None
        graph.data = np.exp(-square / width)
        weights = graph.maximum(graph.T)
        if connected_components(weights, directed=False)[0] == 1:
            break
    else:
        return None
    root = sp.diags(1 / np.sqrt(np.asarray(weights.sum(1)).ravel()))
    first = np.random.default_rng(0).standard_normal(n)
    try:
        _, vectors = eigsh(root @ weights @ root, k, which="LA", v0=first, maxiter=MAX_ITERATIONS)
    except ArpackError:
        return None
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors / lengths.clip(np.finfo(np.float64).tiny)
    return KMeans(k, n_init=10, random_state=seed).fit_predict(vectors).astype(np.int64)
