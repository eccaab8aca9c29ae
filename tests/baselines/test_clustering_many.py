"""The paths for many points, forced upon few, against the direct ones and dense arithmetic."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.linalg import subspace_angles
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score

from baselines.clustering import chebyshev, graph, many, neighbours
from baselines.clustering.ldmgi import LDMGI
from baselines.clustering.llc import LLC
from benchmarks import datasets

ESTIMATORS = {"ldmgi": LDMGI, "llc": LLC}
C = 10


@pytest.fixture(scope="module")
def digits():
    return (load_digits().data / 16).astype(np.float32)


@pytest.fixture
def many_points(monkeypatch):
    """As if few points were many; no way out to a factor."""
    monkeypatch.setattr(many, "FACTOR_BELOW", 0)

    def refuse(*_):
        raise AssertionError("fell back to a factor")

    monkeypatch.setattr(graph, "smallest_eigenvectors", refuse)


def path_laplacian(n, parts=1):
    off = -np.ones(n - 1)
    degree = np.r_[1.0, np.full(n - 2, 2.0), 1.0]
    return sp.block_diag([sp.diags([off, degree, off], [-1, 0, 1])] * parts, format="csr")


def embeddings(estimator, X, request):
    direct = estimator.spectral_embedding(X)
    request.getfixturevalue("many_points")
    return direct, estimator.spectral_embedding(X)


def check(name, X, request):
    """Same subspace, same eigenvalues, same labels, whichever way the eigenvectors came."""
    estimator = ESTIMATORS[name](C, random_state=0)
    labels = estimator.fit(X).labels_
    direct, found = embeddings(estimator, X, request)
    assert set(direct) == set(found)
    for key in direct:
        if key.endswith("vectors"):
            # below 1e-8 of the matrix's scale over a gap of some 1e-4 of it
            assert subspace_angles(direct[key], found[key]).max() < 1e-5
        elif key == "eigenvalues":
            assert np.allclose(direct[key], found[key], rtol=1e-6, atol=1e-12)
    assert adjusted_rand_score(labels, estimator.fit(X, embedding=found).labels_) > 0.999


@pytest.mark.parametrize("name", ESTIMATORS)
def test_digits_as_by_the_direct_solver(name, digits, request):
    check(name, digits, request)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("name", ESTIMATORS)
def test_usps_as_by_the_direct_solver(name, request):
    try:
        X = datasets.load("usps").X
    except datasets.DatasetMissing as error:
        pytest.skip(f"needs {', '.join(error.files)} in the folder of raw files, MIXNET_DATA")
    check(name, X, request)


@pytest.mark.parametrize("ridge", [0.1, 1.0])
def test_eigenvalues_of_local_learning(ridge, digits, many_points):
    index = np.argsort(cdist(digits, digits), axis=1)[:, 1:11]
    rng = np.random.default_rng(0)
    alpha = rng.random(index.shape) / (10 + ridge)
    A = np.zeros((len(digits), len(digits)))
    np.put_along_axis(A, index, alpha, axis=1)
    M = np.eye(len(A)) - A
    exact = np.linalg.eigvalsh(M.T @ M)[:C]
    root = sp.csr_matrix(M)
    for given in (None, root):
        values, vectors = many.smallest_eigenvectors(root.T @ root, C, given)
        assert np.allclose(values, exact, rtol=1e-6)
        assert np.allclose(M.T @ (M @ vectors), vectors * values, atol=1e-7)
        again = many.smallest_eigenvectors(root.T @ root, C, given)[1]
        assert np.array_equal(vectors, again)


@pytest.mark.parametrize("c", [3, 4, 6])
def test_a_repeated_eigenvalue_is_found_as_often_as_it_is(c, many_points):
    n, parts = 60, 4
    values, vectors = many.smallest_eigenvectors(path_laplacian(n, parts), c)
    exact = np.sort(np.tile(2 - 2 * np.cos(np.pi * np.arange(3) / n), parts))[:c]
    assert np.allclose(values, exact, atol=1e-10)
    assert np.allclose(vectors.T @ vectors, np.eye(c), atol=1e-10)


def test_a_matrix_of_long_rows_is_not_factored_at_any_size(monkeypatch):
    rng = np.random.default_rng(0)
    near = np.exp(-(cdist(*[rng.normal(size=(400, 2))] * 2) ** 2))
    matrix = sp.csr_matrix(np.diag(near.sum(axis=1)) - near)
    monkeypatch.setattr(graph, "smallest_eigenvectors", None)  # not to be called
    values, vectors = many.smallest_eigenvectors(matrix, 3)
    wanted, exact = np.linalg.eigh(matrix.toarray())
    assert np.allclose(values, wanted[:3], atol=1e-8)
    assert subspace_angles(vectors, exact[:, :3]).max() < 1e-6


@pytest.mark.parametrize("seed", range(5))
def test_the_upper_bound_is_above_the_spectrum(seed):
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.standard_normal((200, 200)))[0]
    values = rng.exponential(size=200) ** 3
    A = (Q * values) @ Q.T
    top = chebyshev.upper_bound(lambda x: A @ x, rng.standard_normal(200))
    assert values.max() <= top * (1 + 1e-12)
    assert top < 2 * values.max()


def test_a_long_chain_is_left_to_the_factor(monkeypatch):
    """Its smallest eigenvalues lie within a millionth of the spectrum: products take too long."""
    monkeypatch.setattr(graph, "DENSE_BELOW", 0)
    monkeypatch.setattr(graph, "FACTOR_BELOW", 0)
    monkeypatch.setattr(many, "FACTOR_BELOW", 0)
    monkeypatch.setattr(many, "MAX_DEGREE", 600)
    used = []

    def counted(*args):
        found = chebyshev.smallest_subspace(*args)
        used.append(found[3])
        return found

    monkeypatch.setattr(many, "smallest_subspace", counted)
    n = 3000
    values, _ = many.smallest_eigenvectors(path_laplacian(n), 4)
    assert used[0] <= 600
    assert np.allclose(values, 2 - 2 * np.cos(np.pi * np.arange(4) / n), atol=1e-9)


def test_no_convergence_is_an_error_with_its_residual(monkeypatch):
    monkeypatch.setattr(graph, "DENSE_BELOW", 0)
    monkeypatch.setattr(graph, "FACTOR_BELOW", 0)
    monkeypatch.setattr(many, "FACTOR_BELOW", 0)
    monkeypatch.setattr(many, "MAX_DEGREE", 30)
    monkeypatch.setattr(graph, "lobpcg", lambda A, X, **_: (np.arange(X.shape[1]), X))
    both = r"relative residual [0-9].*one of [0-9].* after \d+ products"
    with pytest.raises(ArithmeticError, match=both):
        many.smallest_eigenvectors(path_laplacian(500), 4)


# ---- neighbours ------------------------------------------------------------------------------


@pytest.fixture
def many_neighbours(monkeypatch):
    monkeypatch.setattr(neighbours, "MANY", 0)


CLOUDS = {
    "plain": lambda X: X,
    "float32": lambda X: X.astype(np.float32),
    "far from the origin": lambda X: X + 1e5,
    "one far point": lambda X: np.vstack([X, np.full((1, 40), 1e4)]),
    "tiny": lambda X: X * 1e-30,
    "few features": lambda X: X[:, :3].copy(),
}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_neighbours_of_many_points_are_exact(cloud, many_neighbours):
    X = CLOUDS[cloud](np.random.default_rng(0).standard_normal((900, 40)))
    distance = cdist(X.astype(float), X.astype(float), "sqeuclidean")
    np.fill_diagonal(distance, np.inf)
    index, square = many.nearest_neighbours(X, 7)
    assert np.allclose(square, np.sort(distance, axis=1)[:, :7], rtol=1e-9)
    assert (np.diff(index.astype(float), axis=1) != 0).all()


def test_what_rounding_hides_is_searched_again(many_neighbours, monkeypatch):
    """Points on a grid far finer than float32 sees beside one far away: none is proven."""
    rng = np.random.default_rng(1)
    X = np.vstack([rng.standard_normal((600, 20)) * 1e-6, np.ones((1, 20))])
    asked = []
    again = neighbours._again

    def counted(X, rows, k):
        asked.append(len(rows))
        return again(X, rows, k)

    monkeypatch.setattr(neighbours, "_again", counted)
    distance = cdist(X, X, "sqeuclidean")
    np.fill_diagonal(distance, np.inf)
    square = many.nearest_neighbours(X, 5)[1]
    assert asked and asked[0] >= 600
    assert np.allclose(square, np.sort(distance, axis=1)[:, :5], rtol=1e-6)


def test_duplicates_are_neighbours_and_a_point_is_not_its_own(many_neighbours):
    X = np.repeat(np.random.default_rng(2).normal(size=(40, 30)), 20, axis=0)
    index, square = many.nearest_neighbours(X, 6)
    assert (square == 0).all()
    assert not (index == np.arange(len(X))[:, None]).any()
    assert all(len(set(row)) == 6 for row in index)
