"""The development sets that need no file are what their stanzas and docstrings say."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import load_wine, make_blobs, make_classification, make_swiss_roll
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis

from benchmarks.datasets import load, made


@pytest.mark.parametrize("deviation", [1.0, 0.3, 0.1, 0.01])
def test_blobs_have_the_deviation_of_their_name(deviation):
    ds = load(f"blobs-{deviation:g}")
    X, y = make_blobs(1000, n_features=10, centers=5, cluster_std=deviation, random_state=0)
    assert np.abs(ds.X - X).max() < 2e-6 and np.array_equal(ds.y, y)
    within = np.concatenate([ds.X[ds.y == k] - ds.X[ds.y == k].mean(0) for k in range(5)])
    assert np.isclose(within.std(), deviation, rtol=0.05)


def test_the_swiss_roll_is_cut_across_at_equal_steps_of_its_parameter():
    ds = load("swiss-roll")
    X, t = make_swiss_roll(2000, random_state=0)
    assert np.abs(ds.X - X).max() < 2e-6
    edges = np.pi * np.linspace(1.5, 4.5, 6)
    assert np.array_equal(ds.y, np.searchsorted(edges, t) - 1)
    assert np.bincount(ds.y).min() > 350  # of 400


def test_classification_and_wine_are_scikit_learns():
    ds = load("classification")
    X, y = make_classification(
        5000,
        20,
        n_informative=8,
        n_redundant=4,
        n_classes=5,
        n_clusters_per_class=1,
        class_sep=1.5,
        random_state=2,
    )
    assert np.abs(ds.X - X).max() < 2e-6 and np.array_equal(ds.y, y)
    wine = load("wine")
    X, y = load_wine(return_X_y=True)
    assert np.array_equal(wine.X, X.astype(np.float32)) and np.array_equal(wine.y, y)


def test_correlated_blobs_are_unequal_correlated_gaussians():
    """Separate enough for who knows the form of the clusters, not for distances to a centre."""
    ds = load("correlated-blobs")
    assert np.bincount(ds.y).tolist() == [120 * k for k in range(1, 9)]
    spreads = []
    for k in range(8):
        variances = np.linalg.eigvalsh(np.cov(ds.X[ds.y == k].T))[::-1]
        assert variances[4] > 20 * variances[5]  # five directions, and a floor
        spreads.append(np.sqrt(variances[5:].mean()) / 0.3)
    assert np.allclose(sorted(spreads), np.linspace(0.4, 0.8, 8), rtol=0.06)
    assert QuadraticDiscriminantAnalysis(reg_param=1e-3).fit(ds.X, ds.y).score(ds.X, ds.y) > 0.999
    labels = KMeans(8, n_init=10, random_state=0).fit_predict(ds.X)
    agreement = sum(np.bincount(ds.y[labels == k]).max() for k in range(8)) / len(ds.y)
    assert agreement < 0.98
    assert not np.array_equal(made.correlated_blobs(1)[0], made.correlated_blobs(0)[0])
