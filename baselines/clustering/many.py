"""The two costly steps of LLC and LDMGI, neighbours and eigenvectors, at any size.

Up to 20,000 points they are those of ``graph``; above, ones that neither compare all pairs in
float64 nor factor a matrix. Nor is a matrix factored whose rows are long: its factor fills up.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from . import graph, neighbours
from .chebyshev import smallest_subspace
from .graph import FACTOR_BELOW

LONG_ROWS = 250  # entries, in the mean: above them the factor of a few thousand points is dense
MAX_DEGREE = 6_000  # products with a block: about ten minutes for 60,000 points and a core
# Of the mean of the diagonal. Rows are scaled to unit length later: short ones need digits too.
TOLERANCE = 1e-10


def nearest_neighbours(X: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """As :func:`graph.nearest_neighbours`: index (n, k) and sq_distance (n, k), nearest first."""
    n, d = X.shape
    if n <= neighbours.MANY or not 1 <= k < n:
        return graph.nearest_neighbours(X, k)
    index = neighbours.search(X, k)
    sq_distance = np.empty(index.shape)
    for rows in graph.blocks(n, 8 * k * d):
        gap = X[index[rows]].astype(np.float64) - X[rows, None, :]
        sq_distance[rows] = np.einsum("bkd,bkd->bk", gap, gap)
    order = np.lexsort((index, sq_distance), axis=1)
    index = np.take_along_axis(index, order, axis=1).astype(np.intp)
    return index, np.take_along_axis(sq_distance, order, axis=1)


def smallest_eigenvectors(
    matrix: sp.spmatrix, c: int, root: sp.spmatrix | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """As :func:`graph.smallest_eigenvectors`: values (c,) ascending and vectors (n, c).

    Above FACTOR_BELOW points or LONG_ROWS entries a row it is by products with the matrix alone.
    Where a spectrum is so long that products with the matrix would not do within MAX_DEGREE of
    them, that function is asked after all.

    Parameters
    ----------
    matrix : (n, n) sparse, symmetric, positive semi-definite
    c : 1 <= c <= n
    root : R with ``matrix = R^T R``, where there is one: two products with it may be cheaper.

    Raises
    ------
    ArithmeticError
        If neither way converged; it says what residuals were left.
    """
    n = matrix.shape[0]
    long_rows = n > graph.DENSE_BELOW and matrix.nnz > LONG_ROWS * n
    if n <= FACTOR_BELOW and not long_rows:
        return graph.smallest_eigenvectors(matrix, c)
    scale = float(np.mean(matrix.diagonal())) or 1.0
    values, vectors, residual, degree = smallest_subspace(
        _product(matrix, root), n, c, TOLERANCE * scale, MAX_DEGREE
    )
    if residual > TOLERANCE * scale:
        try:
            return graph.smallest_eigenvectors(matrix, c)
        except ArithmeticError as error:
            raise ArithmeticError(
                f"{error} Filtered subspace iteration had left one of {residual / scale:.1e} "
                f"after {degree} products."
            ) from error
    top = vectors[np.abs(vectors).argmax(axis=0), np.arange(c)]
    return np.maximum(values, 0.0), vectors * np.where(top < 0, -1.0, 1.0)


def _product(matrix, root):
    if root is None:
        rows = sp.csr_matrix(matrix)
        return lambda block: rows @ block
    rows, columns = sp.csr_matrix(root), sp.csr_matrix(root.T)
    return lambda block: columns @ (rows @ block)
