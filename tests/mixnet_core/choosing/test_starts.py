"""The selected start: its likelihood against dense Gaussians, and what it must prefer."""

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from mixnet_core.choosing.starts import StartSelection, partition_log_likelihood


def blobs(seed, n=300, p=6):
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    axes = rng.normal(size=(3, 2, p))
    points = 4 * np.eye(3, p)[y] + np.einsum("nq,nqp->np", rng.normal(size=(n, 2)), axes[y])
    return points + 0.1 * rng.normal(size=(n, p)), y


def test_likelihood_equals_gaussians_with_the_covariance_of_probabilistic_pca():
    """Tipping & Bishop: mean of the discarded eigenvalues as noise, the kept ones as they are."""
    X, y = blobs(0)
    parts = []
    for j in range(3):
        members = X[y == j]
        values, vectors = np.linalg.eigh(np.cov(members.T))
        values[:-2] = values[:-2].mean()
        density = multivariate_normal(members.mean(0), (vectors * values) @ vectors.T)
        parts.append(np.log((y == j).mean()) + density.logpdf(X[:50]))
    found = partition_log_likelihood(X, y, X[:50], n_dims=2, floor=1e-9)
    np.testing.assert_allclose(found, logsumexp(parts, axis=0), rtol=1e-8)


def test_true_clusters_beat_random_merged_and_collapsed_ones():
    X, y = blobs(1)
    rng = np.random.default_rng(2)
    collapsed = np.where(np.arange(len(y)) < 3, np.arange(len(y)) % 3, 2)
    candidates = np.column_stack([rng.permutation(y), np.minimum(y, 1), y, collapsed])
    model = StartSelection(3, "2-8-6").fit(X, candidates=candidates)
    assert model.values_["chosen"] == 2
    np.testing.assert_array_equal(model.labels_, y)
    scores = [model.values_[f"score_{c}"] for c in range(4)]
    assert scores[2] == max(scores) and scores[1] > scores[3]


def test_scores_are_those_of_the_folds_whatever_the_names_of_the_clusters():
    X, y = blobs(3)
    model = StartSelection(3, "2-8-6", n_folds=5).fit(X, candidates=np.column_stack([y, 2 - y]))
    assert model.values_["score_0"] == pytest.approx(model.values_["score_1"])


@pytest.mark.parametrize("size", [1, 2, 3])
def test_tiny_clusters_have_finite_densities(size):
    X, y = blobs(4)
    y = np.where(np.arange(len(y)) < size, 3, y)
    assert np.isfinite(partition_log_likelihood(X, y, X[:20], n_dims=2, floor=1e-3)).all()


def test_duplicate_points_do_not_win_by_an_infinite_density():
    X, y = blobs(5)
    X[:40] = X[0]
    alone = np.where(np.arange(len(y)) < 40, 2, np.minimum(y, 1))
    model = StartSelection(3, "2-8-6").fit(X, candidates=np.column_stack([y, alone]))
    assert np.isfinite(list(model.values_.values())).all()


@pytest.mark.parametrize(
    "candidates", [np.zeros(300), np.zeros((300, 2)), np.zeros((20, 1), int)]
)
def test_bad_candidates_are_named(candidates):
    with pytest.raises(ValueError, match="candidates"):
        StartSelection(3, "2-8-6").fit(blobs(6)[0], candidates=candidates)


def test_the_choice_does_not_depend_on_place_and_units():
    X, y = blobs(6)
    worse = np.roll(y, 7)
    chosen = [
        StartSelection(3, "2-8-6", n_folds=3).fit(data, candidates=np.column_stack([worse, y]))
        for data in (X, X + 1e9, X * 1e-150, X * 1e150)
    ]
    assert [model.values_["chosen"] for model in chosen] == [1, 1, 1, 1]
    for model in chosen[1:]:
        assert model.values_["score_1"] == pytest.approx(chosen[0].values_["score_1"], rel=1e-4)


def test_equal_points_have_no_best_candidate():
    with pytest.raises(ValueError, match="all rows are equal"):
        StartSelection(2, n_folds=2).fit(np.ones((20, 3)), candidates=np.arange(20)[:, None] % 2)


def test_without_candidates_the_best_of_five_runs_of_k_means_is_chosen():
    X, _ = blobs(7)
    model = StartSelection(3, "2-8-6", n_folds=3).fit(X)
    scores = [model.values_[f"score_{c}"] for c in range(5)]
    assert model.values_["chosen"] == int(np.argmax(scores)) and len(model.labels_) == len(X)
