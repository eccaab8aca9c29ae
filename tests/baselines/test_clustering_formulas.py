"""Each spectral baseline against a slow, dense version written from its formula."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.linalg import subspace_angles
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist
from sklearn.cluster import SpectralClustering
from sklearn.kernel_ridge import KernelRidge
from sklearn.manifold import spectral_embedding
from sklearn.metrics import adjusted_rand_score

from baselines.clustering import graph, ldmgi, llc, ncut
from baselines.clustering.rotation import rotate, row_normalise

N, C = 60, 4


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(7)
    centres = rng.normal(size=(C, 5)) * 1.5
    return centres[np.arange(N) % C] + rng.normal(size=(N, 5))


@pytest.fixture(params=["dense", "sparse"])
def solver(request, monkeypatch):
    """Both eigen-solvers, though the data are small."""
    monkeypatch.setattr(graph, "DENSE_BELOW", 10_000 if request.param == "dense" else 0)


def neighbours(X, i, k):
    """The k nearest other points of point i, by sorting all distances."""
    distance = ((X - X[i]) ** 2).sum(axis=1)
    return sorted((j for j in range(len(X)) if j != i), key=lambda j: distance[j])[:k]


def same_space(a, b):
    return subspace_angles(a, b).max() < 1e-6


# ---- NCut ------------------------------------------------------------------------------------


def dense_affinity(X, k):
    near = [neighbours(X, i, k) for i in range(len(X))]
    square = [[((X[i] - X[j]) ** 2).sum() for j in near[i]] for i in range(len(X))]
    width = np.median(square)
    W = np.zeros((len(X), len(X)))
    for i in range(len(X)):
        for j, d2 in zip(near[i], square[i], strict=True):
            weight = np.exp(-d2 / width)
            W[i, j], W[j, i] = max(W[i, j], weight), max(W[j, i], weight)
    return W, width


def test_ncut_affinity(X):
    W, found, component = ncut.affinity(X, 5)
    dense, width = dense_affinity(X, 5)
    assert np.allclose(W.toarray(), dense)
    assert found == pytest.approx(width)
    assert not component.any()


def test_ncut_eigenvectors(X, solver):
    W, _ = dense_affinity(X, 5)
    degree = W.sum(axis=1)
    L = np.eye(N) - W / np.sqrt(np.outer(degree, degree))
    values, vectors = np.linalg.eigh(L)
    found = ncut.NCut(C).spectral_embedding(X)
    assert np.allclose(found["eigenvalues"], values[:C], atol=1e-10)
    assert same_space(found["vectors"], vectors[:, :C])
    theirs = spectral_embedding(W, n_components=C, drop_first=False, random_state=0)
    assert same_space(found["vectors"], theirs * np.sqrt(degree)[:, None])


# ---- LDMGI -----------------------------------------------------------------------------------


def dense_ldmgi(X, k, penalty):
    n = len(X)
    H = np.eye(k) - np.ones((k, k)) / k
    L, scales = np.zeros((n, n)), []
    for i in range(n):
        members = [i, *neighbours(X, i, k - 1)]
        S = np.zeros((n, k))
        S[members, range(k)] = 1
        centred = X[members].T @ H
        gram = centred.T @ centred
        scales.append(np.trace(gram) / (k - 1))
        L += S @ H @ np.linalg.inv(gram + penalty * np.eye(k)) @ H @ S.T
    return L, np.median(scales)


@pytest.mark.parametrize("k", [2, 5, 8])  # 8 > d: Grams of deficient rank
def test_ldmgi_laplacian_and_eigenvectors(X, k, solver):
    found = ldmgi.LDMGI(C, clique_size=k, penalty=0.01, wider=()).spectral_embedding(X)
    _, scale = dense_ldmgi(X, k, 1.0)
    assert found["penalty"] == pytest.approx(0.01 * scale)
    L, _ = dense_ldmgi(X, k, 0.01 * scale)
    values, vectors = np.linalg.eigh(L)
    clique = ldmgi.cliques(X, k)
    ours = ldmgi.laplacian(ldmgi.local_grams(X, clique), clique, 0.01 * scale)
    assert np.allclose(ours.toarray(), L)
    assert np.allclose(L.sum(axis=1), 0, atol=1e-8)
    assert (found["graph_components"] == 1) == (k > 2)  # where it is not, see below
    if k > 2:
        assert np.allclose(found["eigenvalues"], values[:C], atol=1e-9)
        assert same_space(found["vectors"], vectors[:, :C])


def test_ldmgi_large_penalty_is_the_clique_laplacian(X):
    clique, big = ldmgi.cliques(X, 5), 1e9
    L = big * ldmgi.laplacian(ldmgi.local_grams(X, clique), clique, big)
    expected = np.zeros((N, N))
    for members in clique:
        expected[np.ix_(members, members)] += np.eye(5) - 1 / 5
    assert np.allclose(L.toarray(), expected, atol=1e-5)


def apart():
    """Six far groups of 12 points, of which a graph of 5 neighbours has as many components."""
    rng = np.random.default_rng(9)
    truth = np.arange(72) % 6
    return rng.normal(size=(72, 6)) + 50 * np.diag(1.2 ** np.arange(6))[truth], truth


def dense_bridges(X, truth):
    """1e-3, the floor, at the edges of the spanning tree between groups."""
    tree = minimum_spanning_tree(cdist(X, X)).toarray()
    joins = np.where((tree > 0) & (truth[:, None] != truth), 1e-3, 0)
    return joins + joins.T


def test_components_are_joined_in_ncut_as_in_its_dense_formula():
    X, truth = apart()
    W = dense_affinity(X, 5)[0] + dense_bridges(X, truth)
    degree = W.sum(axis=1)
    L = np.eye(72) - W / np.sqrt(np.outer(degree, degree))
    found = ncut.NCut(6).spectral_embedding(X)
    assert found["graph_components"] == 6
    assert np.allclose(found["eigenvalues"], np.linalg.eigvalsh(L)[:6], atol=1e-12)
    assert found["eigenvalues"][1] > 1e-6  # one component is left
    assert same_space(found["vectors"], np.linalg.eigh(L)[1][:, :6])


def test_components_are_joined_in_ldmgi_as_in_its_dense_formula():
    X, truth = apart()
    _, scale = dense_ldmgi(X, 5, 1.0)
    joins = dense_bridges(X, truth)
    L = scale * dense_ldmgi(X, 5, 1e-3 * scale)[0] + np.diag(joins.sum(axis=1)) - joins
    found = ldmgi.LDMGI(6).spectral_embedding(X)
    assert found["graph_components"] == 6
    assert np.allclose(found["eigenvalues"] * scale, np.linalg.eigvalsh(L)[:6], atol=1e-10)
    assert found["eigenvalues"][1] * scale > 1e-6
    assert same_space(found["vectors"], np.linalg.eigh(L)[1][:, :6])


@pytest.mark.parametrize("method", [ncut.NCut, ldmgi.LDMGI])
def test_more_components_than_clusters_become_unions_of_them(method):
    X, truth = apart()
    labels = method(4, random_state=0).fit(X).labels_
    assert len(set(labels)) == 4
    assert all(len(set(labels[truth == group])) == 1 for group in range(6))


def test_joined_components_as_by_scikit_learns_spectral_clustering():
    X, truth = apart()
    W = ncut.affinity(X, 5)[0]
    theirs = SpectralClustering(6, affinity="precomputed", random_state=0).fit(W.toarray())
    ours = ncut.NCut(6, random_state=0).fit(X).labels_
    assert adjusted_rand_score(theirs.labels_, ours) == adjusted_rand_score(truth, ours) == 1


def test_the_regularised_laplacian_adds_a_share_of_the_mean_degree(X):
    W, _ = dense_affinity(X, 5)
    degree = W.sum(axis=1) + 0.7 * W.sum() / N
    expected = np.eye(N) - W / np.sqrt(np.outer(degree, degree))
    found = ncut.normalised_laplacian(ncut.affinity(X, 5)[0], 0.7).toarray()
    assert np.allclose(found, expected)


def test_normalised_ldmgi_divides_by_its_diagonal_and_the_mean_of_that(X):
    L, _ = dense_ldmgi(X, 5, 1.0)
    degree = np.diag(L) + np.trace(L) / N
    found = ldmgi.normalised(sp.csr_matrix(L)).toarray()
    assert np.allclose(found, L / np.sqrt(np.outer(degree, degree)))


# ---- LLC -------------------------------------------------------------------------------------


def dense_llc(X, k, ridge, width):
    def kernel(a, b):
        return np.exp(-((X[a] - X[b]) ** 2).sum() / width)

    A = np.zeros((len(X), len(X)))
    for i in range(len(X)):
        near = neighbours(X, i, k)
        K = np.array([[kernel(a, b) for b in near] for a in near])
        k_i = np.array([kernel(i, a) for a in near])
        A[i, near] = k_i @ np.linalg.inv(K + ridge * np.eye(k))
    M = np.eye(len(X)) - A
    return M.T @ M


def test_llc_every_setting_of_the_grid(X, solver):
    found = llc.LLC(C).spectral_embedding(X)
    for k in (5, 10):
        for ridge in (0.1, 1.0):
            T = dense_llc(X, k, ridge, float(found["width"]))
            name = f"k{k}_ridge{ridge}"
            M = llc.learner(found[f"{name}_alpha"], found["index"][:, :k])
            assert np.allclose((M.T @ M).toarray(), T)
            assert same_space(found[f"{name}_vectors"], np.linalg.eigh(T)[1][:, :C])


def test_llc_predicts_as_kernel_ridge_regression(X):
    index, _ = graph.nearest_neighbours(X, 6)
    alpha = llc.regression_weights(*llc.local_kernels(X, index, 3.0), 0.5)
    target = np.random.default_rng(8).normal(size=N)
    for i in (0, 17, 59):
        model = KernelRidge(alpha=0.5, kernel="rbf", gamma=1 / 3.0)
        model.fit(X[index[i]], target[index[i]])
        assert alpha[i] @ target[index[i]] == pytest.approx(model.predict(X[i : i + 1])[0])


def test_llc_objective_is_the_trace_at_the_scaled_partition(X):
    labels = np.arange(N) % 3  # the last of 4 clusters is empty: its column of F is 0
    T = dense_llc(X, 5, 0.1, 4.0)
    index, _ = graph.nearest_neighbours(X, 5)
    M = llc.learner(llc.regression_weights(*llc.local_kernels(X, index, 4.0), 0.1), index)
    P = np.eye(3)[labels]
    F = P @ np.diag(1 / np.sqrt(P.sum(axis=0)))
    assert llc.objective(M, labels, 4) == pytest.approx(np.trace(F.T @ T @ F))


def test_llc_keeps_the_setting_of_smallest_discretised_objective(X):
    model = llc.LLC(C, random_state=3)
    embedding = model.spectral_embedding(X)
    model.fit(X, embedding=embedding)
    costs = {}
    rng = np.random.RandomState(3)
    for k in (5, 10):
        for ridge in (0.1, 1.0):
            labels = rotate(row_normalise(embedding[f"k{k}_ridge{ridge}_vectors"]), rng)[0]
            P = np.eye(C)[labels]
            F = P / np.sqrt(P.sum(axis=0))
            T = dense_llc(X, k, ridge, float(embedding["width"]))
            costs[k, ridge] = np.trace(F.T @ T @ F), tuple(labels)
    kept = model.values_["n_neighbors"], model.values_["ridge"]
    assert kept == min(costs, key=costs.get)
    assert model.values_["objective"] == pytest.approx(costs[kept][0])
    assert tuple(model.labels_) == costs[kept][1]
