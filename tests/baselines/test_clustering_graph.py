"""Neighbours and eigenvectors against dense arithmetic."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.linalg import subspace_angles
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.spatial.distance import cdist, pdist, squareform

from baselines.clustering import graph


def path_laplacian(n, parts=1):
    """Laplacian of `parts` disjoint paths of n nodes: eigenvalues 2 - 2 cos(pi j / n)."""
    off = -np.ones(n - 1)
    degree = np.r_[1.0, np.full(n - 2, 2.0), 1.0]
    return sp.block_diag([sp.diags([off, degree, off], [-1, 0, 1])] * parts, format="csr")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_neighbours_equal_sorted_distances(dtype):
    X = np.random.default_rng(0).normal(size=(80, 6)).astype(dtype)
    distance = cdist(X.astype(float), X.astype(float), "sqeuclidean")
    np.fill_diagonal(distance, np.inf)
    index, square = graph.nearest_neighbours(X, 7)
    assert np.array_equal(index, np.argsort(distance, axis=1)[:, :7])
    assert np.allclose(square, np.sort(distance, axis=1)[:, :7])


def far_away():
    """Where |x|^2 + |y|^2 - 2 x y in float64 has no digit of a distance left."""
    rng = np.random.default_rng(0)
    blobs = rng.normal(size=(200, 20)) + 10 * np.eye(4, 20)[np.arange(200) % 4]
    yield "far from the origin", blobs + 1e9
    yield "clusters far apart", blobs + 1e9 * np.eye(4, 20)[np.arange(200) % 4]
    yield "an outlier", np.r_[blobs, [np.full(20, 1e12)]]
    seconds = 1.7e9 + rng.uniform(0, 600, size=(200, 1))
    yield "Unix seconds of ten minutes", seconds
    yield "Unix seconds and small features", np.c_[np.repeat(seconds, 20, axis=1), blobs]


@pytest.mark.parametrize(("X",), [pytest.param(X, id=name) for name, X in far_away()])
def test_neighbours_are_exact_wherever_the_points_lie(X):
    gap = X[:, None] - X[None]
    square = np.square(gap).sum(2)
    np.fill_diagonal(square, np.inf)
    index, found = graph.nearest_neighbours(X, 5)
    np.testing.assert_allclose(found, np.sort(square, axis=1)[:, :5], rtol=1e-12)
    np.testing.assert_allclose(np.take_along_axis(square, index, axis=1), found, rtol=1e-12)


def test_bridges_go_by_exact_distances():
    """Two strays beside groups 1e9 apart, nearer to one by far less than products can tell."""
    rng = np.random.default_rng(0)
    group = rng.normal(size=(20, 20))
    X = np.r_[group, group + 1e9, group[:1] + 1e9 + 0.3, group[:1] - 0.3]
    component = np.r_[np.zeros(20), np.ones(20), 2, 3].astype(int)
    pairs, square = graph.bridges(X, component)
    assert {(0, 41), (20, 40)} < {tuple(pair) for pair in pairs.tolist()} and len(pairs) == 3
    assert np.sort(square)[:2] == pytest.approx([20 * 0.09] * 2, rel=1e-6)


def test_a_point_is_not_its_own_neighbour_but_its_duplicates_are():
    X = np.repeat(np.random.default_rng(1).normal(size=(5, 3)) + 1e4, 8, axis=0)
    index, square = graph.nearest_neighbours(X, 5)
    assert not (index == np.arange(40)[:, None]).any()
    assert (square == 0).all()
    assert all(len(set(row)) == 5 for row in index)


def test_neighbours_are_cut_to_the_other_points_and_blocks_change_nothing(monkeypatch):
    X = np.random.default_rng(2).normal(size=(9, 4))
    whole = graph.nearest_neighbours(X, 50)
    assert whole[0].shape == (9, 8)
    monkeypatch.setattr(graph, "BLOCK_BYTES", 1)
    for a, b in zip(whole, graph.nearest_neighbours(X, 50), strict=True):
        assert np.array_equal(a, b)


def test_medians():
    X = np.random.default_rng(3).normal(size=(60, 4))
    assert graph.median_squared_distance(X) == pytest.approx(np.median(pdist(X) ** 2))
    many = np.random.default_rng(3).normal(size=(3000, 4))
    assert graph.median_squared_distance(many) == pytest.approx(
        np.median(pdist(many) ** 2), rel=0.1
    )
    assert graph.positive_median(np.array([0, 0, 0, 2.0, 4.0])) == 3.0
    assert graph.positive_median(np.zeros(4)) == 1.0


def test_components():
    index = np.array([[1], [0], [3], [2], [3]])
    assert list(graph.components(index)) == [0, 0, 1, 1, 1]
    assert len(set(graph.components(np.empty((4, 0), int)))) == 4


@pytest.mark.parametrize("seed", range(4))
def test_bridges_are_the_edges_of_scipys_spanning_tree_between_components(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(80, 3)) + 6 * rng.normal(size=(9, 3))[np.arange(80) % 9]
    component = graph.components(graph.nearest_neighbours(X, 2)[0])
    tree = minimum_spanning_tree(squareform(pdist(X))).tocoo()
    between = component[tree.row] != component[tree.col]
    wanted = sorted(zip(tree.row[between], tree.col[between], strict=True))
    pairs, square = graph.bridges(X, component)
    assert len(pairs) == component.max() > 3
    assert pairs.tolist() == sorted(sorted(map(int, pair)) for pair in wanted)
    np.testing.assert_allclose(np.sort(np.sqrt(square)), np.sort(tree.data[between]))
    edges = np.r_[
        pairs, [[i, j] for i, row in enumerate(graph.nearest_neighbours(X, 2)[0]) for j in row]
    ]
    whole = sp.coo_matrix((np.ones(len(edges)), edges.T), shape=(80, 80))
    assert connected_components(whole, directed=False)[0] == 1


def test_a_connected_graph_gets_no_bridge_and_equal_gaps_no_ring():
    X = np.arange(6.0)[:, None]
    assert graph.bridges(X, np.zeros(6, int))[0].shape == (0, 2)
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]])
    pairs, square = graph.bridges(corners, np.arange(4))
    assert list(square) == [1, 1, 1]
    whole = sp.coo_matrix((np.ones(3), pairs.T), shape=(4, 4))
    assert connected_components(whole, directed=False)[0] == 1


def test_a_bridge_is_never_too_faint_for_a_solver():
    assert graph.bridge_weights(np.array([0, 2.0, 1e9]), 2.0) == pytest.approx(
        [1, np.exp(-1), graph.FAINTEST]
    )


@pytest.mark.parametrize("path", ["dense", "factor", "lobpcg"])
def test_eigenvectors_of_a_path_in_closed_form(path, monkeypatch):
    monkeypatch.setattr(graph, "DENSE_BELOW", 10_000 if path == "dense" else 0)
    monkeypatch.setattr(graph, "FACTOR_BELOW", 0 if path == "lobpcg" else 10_000)
    n, c = 400, 6
    values, vectors = graph.smallest_eigenvectors(path_laplacian(n), c)
    assert np.allclose(values, 2 - 2 * np.cos(np.pi * np.arange(c) / n), atol=1e-8)
    exact = np.cos(np.pi * np.arange(c) * (np.arange(n)[:, None] + 0.5) / n)
    assert subspace_angles(vectors, exact).max() < 1e-3
    assert np.allclose(vectors.T @ vectors, np.eye(c), atol=1e-10)
    again = graph.smallest_eigenvectors(path_laplacian(n), c)[1]
    assert np.array_equal(vectors, again)
    assert (vectors[np.abs(vectors).argmax(0), np.arange(c)] > 0).all()


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("c", [3, 4, 6])
def test_every_zero_eigenvalue_of_a_disconnected_graph_is_found(dense, c, monkeypatch):
    monkeypatch.setattr(graph, "DENSE_BELOW", 10_000 if dense else 0)
    n, parts = 100, 4
    values, vectors = graph.smallest_eigenvectors(path_laplacian(n, parts), c)
    assert np.allclose(values[:parts], 0, atol=1e-12)
    indicators = np.kron(np.eye(parts), np.ones((n, 1)))
    k = min(c, parts)
    inside = indicators @ (indicators.T @ vectors[:, :k]) / n
    assert np.allclose(inside, vectors[:, :k], atol=1e-6)
    if c > parts:
        assert np.allclose(values[parts:], 2 - 2 * np.cos(np.pi / n), atol=1e-10)


def test_a_zero_matrix_and_as_many_vectors_as_points():
    values, vectors = graph.smallest_eigenvectors(sp.csr_matrix((5, 5)), 5)
    assert np.array_equal(values, np.zeros(5))
    assert np.allclose(vectors @ vectors.T, np.eye(5))
