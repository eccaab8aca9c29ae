"""Neighbour graph, NCut, LLC and LDMGI, against what scikit-learn and SciPy offer.

Quick: 6,000 made points of 784 features. ``--full``: the 60,000 images of MNIST (MIXNET_DATA or
cache), where a target is a time. Rates count the distances of the neighbour search only.
"""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import eigsh
from sklearn.cluster import SpectralClustering
from sklearn.neighbors import NearestNeighbors

from baselines.clustering import graph, ldmgi, llc, many, ncut, neighbours
from benchmarks import datasets
from benchmarks.perf import workloads

K, NEIGHBOURS, FEATURES = 10, 10, 784


@pytest.fixture(scope="module")
def X(full, device):
    if device != "cpu":
        pytest.skip("these run on the CPU alone")
    if not full:
        return workloads.made_points(6_000, FEATURES)
    try:
        return datasets.load("mnist").X
    except datasets.DatasetError as error:
        pytest.skip(f"MNIST is not here: {error}")


@pytest.fixture(autouse=True)
def paths_of_many_points(monkeypatch):
    """The code of LLC and LDMGI that runs above 20,000 points, at quick sizes too."""
    monkeypatch.setattr(many, "FACTOR_BELOW", 0)
    monkeypatch.setattr(neighbours, "MANY", 0)


def flops(X):
    return 2 * len(X) ** 2 * X.shape[1]


def test_neighbour_graph(compare, X):
    found = many.nearest_neighbours(X, NEIGHBOURS)[1]

    def theirs():
        return NearestNeighbors(n_neighbors=NEIGHBOURS).fit(X).kneighbors()

    if len(X) < 10_000:
        assert np.allclose(np.sqrt(found), theirs()[0], atol=1e-4)
    compare(
        "neighbour graph",
        lambda: many.nearest_neighbours(X, NEIGHBOURS),
        flops=flops(X),
        n=len(X),
        d=X.shape[1],
        others={"scikit-learn's": (theirs, 1, 1.0)},
    )


def test_ncut(compare, X, full):
    theirs = SpectralClustering(K, affinity="nearest_neighbors", random_state=0)
    compare(
        "NCut",
        lambda: ncut.NCut(K, random_state=0).fit(X),
        flops=flops(X),
        n=len(X),
        d=X.shape[1],
        target_seconds=120 if full else None,
        others={"scikit-learn's SpectralClustering": (lambda: theirs.fit(X), 1, 1.0)},
    )


def plain_llc(X, n_neighbors=5, ridge=0.1):
    """One setting of LLC, a point at a time, and SciPy's inverted Lanczos."""
    n, width = len(X), graph.median_squared_distance(X)
    index = NearestNeighbors(n_neighbors=n_neighbors).fit(X).kneighbors(return_distance=False)
    A = sp.lil_matrix((n, n))
    for i, near in enumerate(index):
        among = np.square(X[near][:, None] - X[near]).sum(2)
        to_point = np.square(X[near] - X[i]).sum(1)
        A[i, near] = np.linalg.solve(
            np.exp(-among / width) + ridge * np.eye(n_neighbors), np.exp(-to_point / width)
        )
    M = sp.identity(n) - A.tocsr()
    return eigsh((M.T @ M).tocsc(), k=K, sigma=-1e-6, which="LM")


def plain_ldmgi(X, clique_size=5):
    """LDMGI's eigenvectors, a clique at a time, and SciPy's inverted Lanczos."""
    n = len(X)
    near = NearestNeighbors(n_neighbors=clique_size).fit(X).kneighbors(X, return_distance=False)
    H = np.eye(clique_size) - 1 / clique_size
    L = sp.lil_matrix((n, n))
    for clique in near:
        centred = X[clique] - X[clique].mean(0)
        gram = (centred @ centred.T).astype(float)
        penalty = 1e-3 * np.trace(gram) / (clique_size - 1)
        L[np.ix_(clique, clique)] += H @ np.linalg.inv(gram + penalty * np.eye(clique_size)) @ H
    return eigsh(L.tocsc(), k=K, sigma=-1e-3, which="LM")


@pytest.mark.parametrize(
    ("name", "estimator", "theirs", "settings"),
    [("LLC", llc.LLC, plain_llc, 4), ("LDMGI", ldmgi.LDMGI, plain_ldmgi, 1)],
)
def test_local_learning(compare, X, full, name, estimator, theirs, settings):
    """At full size no plain version ends in reasonable time and memory: it is left out there."""
    others = {"a plain loop and shift-invert": (lambda: theirs(X), 1 / settings, None)}
    row = compare(
        name,
        lambda: estimator(K, random_state=0).fit(X),
        flops=flops(X),
        n=len(X),
        d=X.shape[1],
        target_seconds=900 if full else None,
        others=None if full else others,
    )
    assert not full or row["peak_rss_mb"] < 8 * 1024
