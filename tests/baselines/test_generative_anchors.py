"""The anchors of the Parzen score, against scikit-learn's Lloyd iterations."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import NotFittedError

from baselines.generative.anchors import Centroids, TrainingPoints


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


def points(n=300, d=5, seed=0):
    return np.random.default_rng(seed).random((n, d), dtype=np.float32)


def test_training_points_are_drawn_without_replacement():
    X = points()
    samples = TrainingPoints().fit(X).sample(300, draw())
    assert not np.array_equal(samples, X)
    assert np.array_equal(samples[np.lexsort(samples.T)], X[np.lexsort(X.T)])
    few = TrainingPoints().fit(X).sample(10, draw(1))
    assert np.array_equal(few, TrainingPoints().fit(X).sample(10, draw(1)))
    with pytest.raises(ValueError, match="at most 300"):
        TrainingPoints().fit(X).sample(301, draw())


@pytest.mark.parametrize("n_steps", [1, 4])
def test_centroids_are_those_of_lloyds_algorithm(n_steps):
    X = points(2500)  # more than one block of rows
    model = Centroids(20, n_steps, random_state=3).fit(X)
    start = X[torch.randperm(len(X), generator=draw(3))[:20].numpy()]
    # scikit-learn stops after as many steps, with the centroids of the step before its labels
    reference = KMeans(20, init=start, n_init=1, max_iter=n_steps, tol=0, algorithm="lloyd").fit(X)
    np.testing.assert_allclose(model.centroids_, reference.cluster_centers_, atol=1e-5)
    samples = model.sample(20, draw())
    assert np.array_equal(np.sort(samples, axis=0), np.sort(model.centroids_.numpy(), axis=0))
    assert model.history_["squared_distance"] == sorted(
        model.history_["squared_distance"], reverse=True
    )


def test_an_empty_cluster_keeps_its_centroid():
    X = np.array([[0, 0], [0, 0], [1, 1], [1, 1]], dtype=np.float32)
    model = Centroids(4, 3).fit(X)  # points twice: two centroids of four stay without points
    assert np.isfinite(model.centroids_.numpy()).all()
    assert set(map(tuple, model.centroids_.numpy())) == {(0, 0), (1, 1)}


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"n_centroids": 0}, "n_centroids"),
        ({"n_centroids": 301}, "n_centroids"),
        ({"n_centroids": 9, "n_steps": -1}, "n_steps"),
        ({"n_centroids": 9, "random_state": 1.9}, "random_state must be a whole number"),
        ({"n_centroids": 9, "random_state": -1}, "random_state must be a whole number from 0"),
    ],
)
def test_bad_settings_are_named(params, match):
    with pytest.raises(ValueError, match=match):
        Centroids(**params).fit(points())


@pytest.mark.parametrize("model", [TrainingPoints(), Centroids(9)])
def test_samples_need_a_fit_and_a_generator(model):
    with pytest.raises(NotFittedError):
        model.sample(1, draw())
    model.fit(points())
    for wrong in (None, 3):
        with pytest.raises(ValueError, match="generator must be a torch.Generator; got"):
            model.sample(1, wrong)
