"""The estimators' contract, and what must not crash them."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import sklearn.cluster
import sklearn.mixture
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from baselines.clustering import graph
from baselines.clustering.gmm import GMM
from baselines.clustering.kmeans import KMeans
from baselines.clustering.ldmgi import LDMGI
from baselines.clustering.llc import LLC
from baselines.clustering.ncut import NCut
from baselines.clustering.spectral import Spectral

SPECTRAL = [NCut, LLC, LDMGI]
FULL = partial(Spectral, affinity="full", n_neighbors=7)
ALL = [KMeans, *SPECTRAL, GMM, Spectral, FULL]


def blobs(n=90, c=3, d=4, gap=20.0, seed=0):
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % c
    return (rng.normal(size=(n, d)) + gap * np.eye(c, d)[truth]), truth


@parametrize_with_checks([KMeans(3), NCut(3), LLC(3), LDMGI(3), GMM(3), Spectral(3), FULL(3)])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_separate_blobs_are_found(method, dtype):
    X, truth = blobs()
    model = method(3, n_init=10, random_state=0).fit(X.astype(dtype))
    assert adjusted_rand_score(truth, model.labels_) == 1
    assert model.labels_.dtype == np.int64
    assert all(isinstance(value, (int, float)) for value in model.values_.values())
    if method not in (KMeans, GMM):
        assert model.values_["graph_components"] == 3


@pytest.mark.parametrize("method", SPECTRAL)
def test_an_embedding_kept_on_disk_gives_the_same_labels(method, tmp_path):
    X = load_digits().data[:400] / 16
    model = method(10, random_state=1)
    embedding = model.spectral_embedding(X)
    again = clone(model).set_params(random_state=2).spectral_embedding(X)
    assert all(np.array_equal(embedding[name], again[name]) for name in embedding)
    np.savez(tmp_path / "e.npz", **embedding)
    with np.load(tmp_path / "e.npz") as kept:
        given = clone(model).fit(X, embedding=kept)
    assert np.array_equal(given.labels_, model.fit(X).labels_)
    assert given.values_ == model.values_


@pytest.mark.parametrize("method", ALL)
def test_units_of_the_features_do_not_matter(method):
    X = load_digits().data[:300] / 16
    plain, scaled = (method(10, random_state=0).fit(f * X).labels_ for f in (1, 64))
    assert np.array_equal(plain, scaled)


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("shift", [1e7, 1e9])
def test_the_origin_of_the_features_does_not_matter(method, shift):
    X, truth = blobs(d=20, gap=8.0)
    X = np.round(X * 64) / 64  # so that the shift itself loses nothing
    plain, moved = (method(3, random_state=0).fit(points) for points in (X, X + shift))
    assert np.array_equal(plain.labels_, moved.labels_)
    assert adjusted_rand_score(truth, moved.labels_) == 1
    for name, value in plain.values_.items():
        assert moved.values_[name] == pytest.approx(value, rel=1e-6), name


@pytest.mark.parametrize("method", ALL)
def test_order_of_the_points_does_not_matter(method):
    X, _ = blobs(n=60, gap=8.0, seed=3)
    order = np.random.default_rng(0).permutation(60)
    kwargs = {"n_init": 10, "random_state": 0}
    plain, mixed = method(3, **kwargs).fit(X).labels_, method(3, **kwargs).fit(X[order]).labels_
    assert adjusted_rand_score(plain[order], mixed) == 1


def test_k_means_is_scikit_learns():
    X = load_digits().data
    theirs = sklearn.cluster.KMeans(10, n_init=1, random_state=5).fit(X)
    ours = KMeans(10, random_state=5).fit(X)
    assert np.array_equal(ours.labels_, theirs.labels_)
    assert ours.values_["inertia"] == theirs.inertia_
    assert KMeans(10, n_init=10, random_state=5).fit(X).values_["inertia"] <= theirs.inertia_


def test_gaussian_mixture_is_scikit_learns():
    X = load_digits().data[:, 18:22]
    kept = {"n_init": 3, "max_iter": 1000, "tol": 1e-3, "random_state": 5}
    reg = 1e-6 * X.var(axis=0).mean()
    theirs = sklearn.mixture.GaussianMixture(4, reg_covar=reg, **kept)
    ours = GMM(4, **kept).fit(X)
    assert np.array_equal(ours.labels_, theirs.fit_predict(X))
    assert ours.values_["lower_bound"] == theirs.lower_bound_
    assert np.array_equal(ours.means_, theirs.means_)
    assert ours.values_["converged"] == 1
    with pytest.warns(ConvergenceWarning):
        assert GMM(4, n_init=1, max_iter=1, random_state=0).fit(X).values_["converged"] == 0


def test_spectral_clustering_is_scikit_learns():
    X = load_digits().data[:500]
    kept = {"n_neighbors": 10, "n_init": 10, "random_state": 5}
    theirs = sklearn.cluster.SpectralClustering(10, affinity="nearest_neighbors", **kept).fit(X)
    ours = Spectral(10, **kept)
    assert np.array_equal(ours.fit(X).labels_, theirs.labels_)
    difference = ours.affinity_matrix(X) - theirs.affinity_matrix_
    assert abs(difference).max() == 0
    assert ours.values_["graph_components"] == 1


def test_full_affinities_have_local_scales():
    X = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    distance = np.array([[np.linalg.norm(a - b) for b in X.astype(float)] for a in X.astype(float)])
    scale = np.sort(distance, axis=1)[:, 7]  # the first is the point itself
    expected = np.exp(-(distance**2) / np.outer(scale, scale))
    np.testing.assert_allclose(FULL(2).affinity_matrix(X), expected, rtol=1e-12)


def degenerate():
    rng = np.random.default_rng(6)
    yield "fewer points than neighbours", rng.normal(size=(4, 3)), 2
    yield "a cluster for every point", rng.normal(size=(6, 3)), 6
    yield "two points", rng.normal(size=(2, 3)), 2
    yield "one cluster", rng.normal(size=(30, 3)), 1
    yield "all points equal", np.ones((40, 3)), 3
    yield "each point eight times", np.repeat(rng.normal(size=(10, 3)), 8, axis=0), 4
    yield "a far outlier", np.r_[rng.normal(size=(50, 3)), [[1e6, 0, 0]]], 3
    yield "a cluster of two", np.r_[rng.normal(size=(50, 3)), rng.normal(size=(2, 3)) + 50], 2
    yield "more components than clusters", blobs(n=120, c=6, d=6)[0], 3
    yield "one feature", rng.normal(size=(50, 1)), 3
    yield "a constant feature", np.c_[rng.normal(size=(50, 2)), np.zeros(50)], 3


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize(("X", "c"), [pytest.param(X, c, id=name) for name, X, c in degenerate()])
@pytest.mark.parametrize("dense_below", [300, 0])
@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_degenerate_data(method, X, c, dense_below, monkeypatch):
    monkeypatch.setattr(graph, "DENSE_BELOW", dense_below)
    model = method(c, random_state=0).fit(X)
    assert model.labels_.shape == (len(X),)
    assert set(model.labels_) <= set(range(c))
    assert all(np.isfinite(value) for value in model.values_.values())


BAD_X = {
    "masked": (np.ma.array(np.eye(4), mask=np.eye(4) > 0), "X must have no masked entries.*4"),
    "too long": (np.array([[0.0, 1e200], [1, 2], [3, 4]]), "range lies between 1e-120 and"),
    "too short": (np.eye(4) * 1e-200, "range lies between 1e-120 and"),
    "NaN": (np.array([[0.0, np.nan], [1, 2], [3, 4]]), "X.*NaN"),
    "infinity": (np.array([[0.0, np.inf], [1, 2], [3, 4]]), "X.*infinity"),
    "1-D": (np.arange(5.0), "X must be a 2-D"),
    "3-D": (np.zeros((5, 2, 2)), "X must be a 2-D"),
    "too few": (np.eye(2), "n_clusters=3.*number of points in X"),
}


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("case", BAD_X)
def test_bad_points_are_refused(method, case):
    X, words = BAD_X[case]
    with pytest.raises(ValueError, match=words):
        method(3).fit(X)


@pytest.mark.parametrize(
    ("model", "error", "word"),
    [(m(v), e, "n_clusters") for m in ALL for v, e in ((0, ValueError), (2.0, TypeError))]
    + [
        (KMeans(2, n_init=0), ValueError, "n_init"),
        (GMM(2, n_init=0), ValueError, "n_init"),
        (GMM(2, max_iter=1.0), TypeError, "max_iter"),
        (GMM(2, tol=0), ValueError, "tol"),
        (GMM(2, ridge=0), ValueError, "ridge"),
        (Spectral(2, n_init=0), ValueError, "n_init"),
        (Spectral(2, n_neighbors=0), ValueError, "n_neighbors"),
        (Spectral(2, affinity="knn"), ValueError, "affinity must be one of.*'knn'"),
        (NCut(2, n_neighbors=0), ValueError, "n_neighbors"),
        (NCut(2, n_init="auto"), TypeError, "n_init"),
        (LDMGI(2, clique_size=1), ValueError, "clique_size"),
        (LDMGI(2, penalty=0), ValueError, "penalty"),
        (LDMGI(2, penalty=float("nan")), ValueError, "penalty"),
        (LLC(2, ridges=()), TypeError, "ridges"),
        (LLC(2, ridges=(0.0,)), ValueError, "ridges"),
        (LLC(2, n_neighbors=5), TypeError, "n_neighbors"),
        (LLC(2, n_neighbors=(1, 2, 3), ridges=(1, 2, 3)), ValueError, "at most 6"),
    ],
)
def test_bad_parameters_are_named(model, error, word):
    with pytest.raises(error, match=word):
        model.fit(np.random.default_rng(0).normal(size=(20, 2)))


@pytest.mark.parametrize("method", SPECTRAL)
def test_an_embedding_of_other_points_is_refused(method):
    X, _ = blobs()
    embedding = method(3).spectral_embedding(X)
    with pytest.raises(ValueError, match="embedding"):
        method(3).fit(X[:50], embedding=embedding)
    with pytest.raises(ValueError, match="embedding"):
        method(4).fit(X, embedding=embedding)
    with pytest.raises(ValueError, match="embedding"):
        method(3).fit(X, embedding={})
    with pytest.raises(TypeError, match="embedding"):
        method(3).fit(X, embedding=np.zeros((90, 3)))


@pytest.mark.parametrize("method", ALL)
def test_an_array_whose_mask_hides_nothing_is_the_array(method):
    X, _ = blobs()
    labels = method(3, random_state=0).fit(np.ma.array(X, mask=np.zeros_like(X))).labels_
    assert np.array_equal(labels, method(3, random_state=0).fit(X).labels_)


def test_no_torch():
    code = (
        "import sys, baselines.clustering.kmeans, baselines.clustering.ncut;"
        "import baselines.clustering.llc, baselines.clustering.ldmgi;"
        "import baselines.clustering.gmm, baselines.clustering.spectral;"
        "sys.exit('torch' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
