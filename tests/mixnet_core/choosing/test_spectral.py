"""The spectral candidate for the initial clusters: what it finds, and where there is none."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs, make_moons, make_swiss_roll
from sklearn.metrics import adjusted_rand_score

from mixnet_core import MixtureOfNetworks
from mixnet_core.choosing.spectral import spectral_partition
from mixnet_core.data.points import Units
from mixnet_core.training.clusters import initial_clusters


def test_it_is_the_textbooks_partition_with_all_eigenvectors_of_a_dense_graph():
    """Ng, Jordan & Weiss, from all distances; and it finds the moons, which k-means does not."""
    X, y = make_moons(300, noise=0.06, random_state=0)
    square = np.square(X[:, None] - X).sum(2)
    nearest = np.argsort(square, axis=1)[:, 1:6]
    width = np.median(np.take_along_axis(square, nearest, 1))
    weights = np.zeros_like(square)
    for i, others in enumerate(nearest):
        weights[i, others] = np.exp(-square[i, others] / width)
    weights = np.maximum(weights, weights.T)
    root = np.diag(1 / np.sqrt(weights.sum(1)))
    vectors = np.linalg.eigh(root @ weights @ root)[1][:, -2:]
    rows = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = KMeans(2, n_init=10, random_state=0).fit_predict(rows)
    found = spectral_partition(X, 2, 0)
    assert adjusted_rand_score(expected, found) == 1
    k_means = KMeans(2, n_init=10, random_state=0).fit_predict(X)
    assert adjusted_rand_score(y, found) > 0.95 > adjusted_rand_score(y, k_means)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_units_do_not_matter(scale):
    X, _ = make_moons(200, noise=0.08, random_state=1)
    mapped = spectral_partition(X * scale, 2, 0)
    assert adjusted_rand_score(spectral_partition(X, 2, 0), mapped) == 1


@pytest.mark.parametrize(
    "X",
    [
        make_blobs(300, 3, centers=3, cluster_std=0.01, random_state=0)[0],
        np.repeat(np.arange(40.0)[:, None], 20, axis=0),
        np.arange(3.0)[:, None],
    ],
    ids=["in pieces", "most points coincide", "as many clusters as points"],
)
def test_there_is_none_where_it_would_say_nothing(X):
    assert spectral_partition(X, 3, 0) is None


def start(X, k, linear):
    return initial_clusters(None, X, Units.spread(X, np.arange(len(X))), 0, k, linear)


def test_curved_clusters_start_from_the_graph():
    roll, where = make_swiss_roll(1000, noise=0.5, random_state=0)
    bins = np.digitize(where, np.quantile(where, [0.2, 0.4, 0.6, 0.8]))
    ours, k_means = start(roll, 5, True), start(roll, 5, False)
    assert adjusted_rand_score(bins, ours) > adjusted_rand_score(bins, k_means) + 0.1


def test_only_the_recipe_with_a_linear_stage_looks_for_it(monkeypatch):
    from mixnet_core.choosing import spectral

    asked = []
    monkeypatch.setattr(spectral, "spectral_partition", lambda X, k, seed: asked.append(len(X)))
    X, _ = make_blobs(90, 3, centers=3, random_state=0)
    for recipe in ("mixnet", "mixnet+"):
        MixtureOfNetworks(3, "2-8-x", recipe, t1=1, t2=0, n_samples=20, n_final_samples=20).fit(X)
    assert asked == [90]
