"""What the spectral baselines share: neighbours, local blocks, smallest eigenvectors.

Nothing here is random: where a start or a sample is needed it comes from a generator with a fixed
seed, so an embedding depends on the data and the parameters alone.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Mapping
from numbers import Integral

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import (
    ArpackNoConvergence,
    LinearOperator,
    eigsh,
    lobpcg,
    spilu,
    splu,
)
from scipy.spatial.distance import pdist

from ..inputs import check_matrix, check_number
from .neighbours import nearest_of, others

DENSE_BELOW = 300  # points: below it a dense solver is quicker and as small
FACTOR_BELOW = 20_000  # points: above it the factor of a neighbour graph may not fit in memory
SMALLEST_SPAN, LARGEST_SPAN = 1e-120, 1e120  # of a feature: its square is far from both ends
FAINTEST = 1e-3  # weight of a bridge: far below a neighbour's, far above what a solver rounds to
BLOCK_BYTES = 64 * 2**20  # scratch of one block of batched k x k problems
_EIGSH_RNG = {"rng": 0} if "rng" in inspect.signature(eigsh).parameters else {}  # SciPy >= 1.17


# ---- input checks ----------------------------------------------------------------------------


def check_points(estimator, X, min_samples: int = 1) -> np.ndarray:
    """Validate ``X`` and the estimator's ``n_clusters``; return X as float32 or float64, (n, d).

    Raises
    ------
    ValueError, TypeError
        If X is sparse, not 2-D, empty, not finite, has masked entries, fewer than `min_samples`
        rows or a span whose square float64 cannot hold, or if n_clusters is not an integer in 1..n.
    """
    X = check_matrix(estimator, X, min_samples=min_samples)
    check_number("n_clusters", estimator.n_clusters, Integral, 1)
    if estimator.n_clusters > len(X):
        raise ValueError(
            f"n_clusters={estimator.n_clusters} is more than the number of points in X, "
            f"n_samples={len(X)}."
        )
    with np.errstate(over="ignore"):
        span = float((X.max(axis=0).astype(np.float64) - X.min(axis=0)).max())
    if span and not SMALLEST_SPAN < span < LARGEST_SPAN:
        raise ValueError(
            f"X must have features whose range lies between {SMALLEST_SPAN:g} and "
            f"{LARGEST_SPAN:g}, for squared distances to be numbers; got a range of {span:g}"
        )
    return X


def check_embedding(embedding, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Return `embedding` as a dict holding at least the arrays named in `shapes`, or raise."""
    if not isinstance(embedding, Mapping):
        raise TypeError(
            "embedding must be the dict that spectral_embedding(X) returned, "
            f"got {type(embedding).__name__}."
        )
    for name, shape in shapes.items():
        if name not in embedding:
            raise ValueError(
                f"embedding lacks {name!r}: it was made with other parameters "
                f"(it holds {sorted(embedding)})."
            )
        if np.shape(embedding[name]) != shape:
            raise ValueError(
                f"embedding[{name!r}] must have shape {shape} for this X and these parameters, "
                f"got {np.shape(embedding[name])}."
            )
    return {name: np.asarray(embedding[name]) for name in embedding}


# ---- neighbours ------------------------------------------------------------------------------


def blocks(n: int, bytes_each: int) -> Iterator[slice]:
    """Slices of range(n) whose scratch, at `bytes_each` a point, stays near BLOCK_BYTES."""
    step = max(1, BLOCK_BYTES // max(1, bytes_each))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def nearest_neighbours(X: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest other points of each point, Euclidean, nearest first.

    Parameters
    ----------
    X : (n, d)
    k : wanted neighbours; at most n - 1 are returned.

    Returns
    -------
    index : (n, min(k, n-1)) intp; a point is never its own neighbour, its duplicates are.
    sq_distance : same shape, float64, from coordinate differences (so duplicates are at exactly 0).
    """
    n = len(X)
    k = min(k, n - 1)
    if k < 1:
        return np.empty((n, 0), np.intp), np.empty((n, 0))
    return others(X, k)


def positive_median(values: np.ndarray) -> float:
    """Median of `values`; if it is 0 (many duplicates), that of the positive ones; else 1."""
    values = np.ravel(values)
    median = float(np.median(values)) if values.size else 0.0
    if median <= 0.0:
        positive = values[values > 0]
        median = float(np.median(positive)) if positive.size else 1.0
    return median


def median_squared_distance(X: np.ndarray, max_points: int = 1000) -> float:
    """Median squared Euclidean distance of all pairs, from at most `max_points` points.

    The sample is drawn with a fixed seed: it belongs to the data, not to a run.
    """
    if len(X) > max_points:
        X = X[np.random.default_rng(0).choice(len(X), max_points, replace=False)]
    return positive_median(pdist(np.asarray(X, dtype=np.float64), "sqeuclidean"))


def components(index: np.ndarray) -> np.ndarray:
    """(n,) component 0..m-1 of each point in the undirected graph with edges i - index[i, j]."""
    n, k = index.shape
    graph = sp.csr_matrix(
        (np.ones(n * k, np.int8), index.ravel(), np.arange(n + 1) * k), shape=(n, n)
    )
    return connected_components(graph, directed=False)[1]


def bridges(X: np.ndarray, component: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The edges of the minimum spanning tree of all points that join the components of a graph.

    By rounds as of Boruvka: each component but the largest is joined to the point nearest to any of
    its own, until one is left. With them the graph is connected, and where it was, none is added.

    Parameters
    ----------
    X : (n, d)
    component : (n,) 0..m-1, as :func:`components` returns it.

    Returns
    -------
    pairs : (m - 1, 2) intp, the smaller index first.
    square : (m - 1,) squared distances.
    """
    group, found = component.copy(), {}
    while True:
        names, size = np.unique(group, return_counts=True)
        if len(names) == 1:
            pairs = np.array(sorted(found), np.intp).reshape(-1, 2)
            return pairs, np.array([found[tuple(pair)] for pair in pairs])
        joined = group.copy()
        for name in np.delete(names, size.argmax()):
            inside = np.flatnonzero(group == name)
            outside = np.flatnonzero(group != name)
            nearest, square = nearest_of(X[outside], X[inside], 1)
            best = square[:, 0].argmin()
            i, j = inside[best], outside[nearest[best, 0]]
            if joined[i] != joined[j]:  # else a tie closed a ring
                found[min(i, j), max(i, j)] = square[best, 0]
                joined[joined == joined[i]] = joined[j]
        group = joined


def bridge_weights(square: np.ndarray, width: float) -> np.ndarray:
    """``exp(-square / width)``, not below FAINTEST: a bridge shall be felt, and be weak."""
    return np.maximum(np.exp(-square / width), FAINTEST)


# ---- eigenvectors ----------------------------------------------------------------------------


def smallest_eigenvectors(matrix: sp.spmatrix, c: int) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvectors of the c smallest eigenvalues of a symmetric positive semi-definite matrix.

    A sparse factor of ``matrix + shift`` and inverted Lanczos (ARPACK) up to FACTOR_BELOW points;
    above, LOBPCG with an incomplete factor as preconditioner. Never n x n dense, except below
    DENSE_BELOW points. The start is fixed, and the largest entry of each vector is made positive,
    so the result is reproducible. Within a repeated eigenvalue (one zero for each component of a
    graph) the basis is orthonormal and otherwise arbitrary.

    Parameters
    ----------
    matrix : (n, n) sparse
    c : 1 <= c <= n

    Returns
    -------
    values : (c,) ascending, not below 0
    vectors : (n, c) orthonormal columns

    Raises
    ------
    ArithmeticError
        If they do not converge, or leave a residual above 1e-5 of the matrix's scale.
    """
    n = matrix.shape[0]
    matrix = sp.csc_matrix(matrix, dtype=np.float64)
    scale = float(np.mean(matrix.diagonal())) or 1.0
    if n <= DENSE_BELOW or 4 * c >= n:
        _, vectors = scipy.linalg.eigh(matrix.toarray(), subset_by_index=[0, c - 1])
    elif n <= FACTOR_BELOW:
        try:
            vectors = _inverted_lanczos(matrix, c, 1e-6 * scale)
        except ArpackNoConvergence as error:  # many values that the shift makes equal
            raise ArithmeticError(f"eigenvectors did not converge: {error}") from error
    else:
        vectors = _preconditioned(matrix, c, 1e-6 * scale)
    # Rayleigh-Ritz with the matrix itself: removes the shift's rounding, orders the values.
    vectors, _ = np.linalg.qr(vectors)
    product = matrix @ vectors
    values, turn = np.linalg.eigh(vectors.T @ product)
    vectors, product = vectors @ turn, product @ turn
    residual = np.linalg.norm(product - vectors * values, axis=0).max() / scale
    if not residual < 1e-5:
        raise ArithmeticError(f"eigenvectors did not converge: relative residual {residual:.1e}.")
    top = vectors[np.abs(vectors).argmax(axis=0), np.arange(c)]
    return np.maximum(values, 0.0), vectors * np.where(top < 0, -1.0, 1.0)


def _inverted_lanczos(matrix: sp.csc_matrix, c: int, shift: float) -> np.ndarray:
    """Largest eigenvectors of (matrix + shift I)^-1; the shift makes a singular matrix definite."""
    n = matrix.shape[0]
    factor = splu(
        (matrix + shift * sp.identity(n, format="csc")).tocsc(),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,  # definite: the diagonal will do, and keeps the factor sparse
        options={"SymmetricMode": True},
    )
    return eigsh(
        matrix,
        k=c,
        sigma=-shift,
        OPinv=LinearOperator((n, n), matvec=factor.solve, dtype=np.float64),
        v0=np.random.default_rng(0).standard_normal(n),
        ncv=min(n, max(3 * c, 30)),
        maxiter=1000,
        **_EIGSH_RNG,
    )[1]


def _preconditioned(matrix: sp.csc_matrix, c: int, shift: float) -> np.ndarray:
    """LOBPCG from a fixed random block, a few columns wider than asked (quicker).

    Restarted until the c wanted vectors are good: the solver itself judges by its worst column,
    which is one of the spare ones.
    """
    n = matrix.shape[0]
    tol = 0.1 * shift  # 1e-7 of the matrix's scale
    factor = spilu(
        (matrix + shift * sp.identity(n, format="csc")).tocsc(),
        drop_tol=1e-4,
        fill_factor=30,
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    M = LinearOperator((n, n), matvec=factor.solve, matmat=factor.solve, dtype=np.float64)
    block = np.random.default_rng(0).standard_normal((n, c + max(5, c // 2)))
    for _ in range(10):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # "not reaching the tolerance": see above
            values, block = lobpcg(matrix, block, M=M, largest=False, tol=tol, maxiter=40)
        order = np.argsort(values)
        values, block = values[order], block[:, order]
        residual = matrix @ block[:, :c] - block[:, :c] * values[:c]
        if np.linalg.norm(residual, axis=0).max() <= tol:
            break
    return block[:, :c]
