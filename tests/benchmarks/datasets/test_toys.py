"""The toy sets are what the paper says of k-means and Gaussian mixtures on them (section 4.1.1)."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.metrics import confusion_matrix
from sklearn.mixture import GaussianMixture

from benchmarks.datasets import DatasetError, load, status

SEEDS = range(3)


def purity(y, labels):
    return 100 * confusion_matrix(y, labels).max(axis=0).sum() / len(y)


def scores(name):
    """Purities of k-means and of a full-covariance Gaussian mixture, single and repeated starts."""
    ds = load(name)
    starts = [(seed, n_init) for seed in SEEDS for n_init in (1, 10)]
    kmeans = [
        purity(ds.y, KMeans(2, n_init=n, random_state=s).fit_predict(ds.X)) for s, n in starts
    ]
    gmm = [
        purity(ds.y, GaussianMixture(2, n_init=n, random_state=s).fit_predict(ds.X))
        for s, n in starts
    ]
    return np.array(kmeans), np.array(gmm)


@pytest.mark.parametrize("name, low, high", [("two-moon", 82, 87), ("moon-circle", 85, 91)])
def test_kmeans_errs_and_gmm_fails(name, low, high):
    kmeans, gmm = scores(name)
    assert (low < kmeans).all() and (kmeans < high).all()
    assert (gmm < 95).all()


def test_two_circle_kmeans_errs_but_gmm_does_well():
    kmeans, gmm = scores("two-circle")
    assert (88 < kmeans).all() and (kmeans < 97).all()
    assert (gmm > 99).all()


def test_rings_defeat_both():
    kmeans, gmm = scores("rings")
    assert (kmeans < 60).all() and (gmm < 80).all()


@pytest.mark.parametrize(
    "name, n", [("two-moon", 4000), ("moon-circle", 4000), ("two-circle", 4500), ("rings", 4000)]
)
def test_points(name, n):
    ds = load(name)
    assert ds.X.shape == (n, 2) and ds.X.dtype == np.float32 and ds.source == "generated"
    assert 0.0499 < ds.X.min() and ds.X.max() < 0.9501
    # the classes do not touch: every nearest neighbour belongs to the same one
    from sklearn.neighbors import NearestNeighbors

    nearest = NearestNeighbors(n_neighbors=2).fit(ds.X).kneighbors(return_distance=False)
    assert (ds.y[nearest[:, 0]] == ds.y).all()
    assert not (np.diff(ds.y) >= 0).all()  # shuffled
    assert np.array_equal(load(name, source="/nowhere").X, ds.X)


def test_digits_are_those_of_scikit_learn():
    ds = load("digits")
    X, y = load_digits(return_X_y=True)
    assert np.array_equal(ds.X * 16, X) and np.array_equal(ds.y, y)
    assert ds.source == "scikit-learn" and ds.image == {"height": 8, "width": 8, "order": "C"}


def test_made_sets_are_always_present():
    for name in ("digits", "two-moon", "rings"):
        (row,) = status(name, source="/nowhere")
        assert row["state"] == "present" and row["todo"] == ""


def test_unknown_name():
    with pytest.raises(DatasetError, match="did you mean 'two-moon'"):
        load("two-moons")
