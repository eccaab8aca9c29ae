"""The selected start: its likelihood against a Gaussian's, and what it must prefer."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.model_selection import ShuffleSplit

from mixnet_core.choosing.starts import StartSelection


def blobs(seed, n=300, p=6):
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    axes = rng.normal(size=(3, 2, p))
    points = 4 * np.eye(3, p)[y] + np.einsum("nq,nqp->np", rng.normal(size=(n, 2)), axes[y])
    return points + 0.1 * rng.normal(size=(n, p)), y


def test_the_score_is_that_of_a_gaussian_mixture_where_one_gaussian_is_all():
    """K = 1: mean and shrunk covariance of the training points, by scipy."""
    X, _ = blobs(0)
    Z = (X - X.mean(0)) / np.sqrt(X.var(0).mean())
    model = StartSelection(1, n_splits=1).fit(X, candidates=np.zeros((len(X), 1), int))
    ((train, held_out),) = ShuffleSplit(1, test_size=0.1, random_state=0).split(Z)
    cov = np.cov(Z[train].T, ddof=0)
    cov += np.diag(1e-3 * np.diag(cov) + 1e-6 * np.diag(cov).mean()) * 0.5  # of any strength
    expected = multivariate_normal(Z[train].mean(0), cov).logpdf(Z[held_out]).mean()
    assert model.values_["score_0"] == pytest.approx(expected, abs=0.05)


def test_true_clusters_beat_one_that_is_split_with_two_merged():
    X, y = blobs(1)
    split = np.where(y == 0, (X[:, 0] > np.median(X[y == 0, 0])).astype(int), 2)
    crumbs = np.where(np.arange(len(y)) < 3, np.arange(len(y)) % 3, 2)
    model = StartSelection(3).fit(X, candidates=np.column_stack([split, y, crumbs]))
    assert model.values_["chosen"] == 1
    np.testing.assert_array_equal(model.labels_, y)
    assert model.values_["score_1"] > model.values_["score_0"] + 0.1
    assert "score_2" not in model.values_, "one cluster and crumbs"
    alone = StartSelection(3).fit(X, candidates=crumbs[:, None])
    assert alone.values_["chosen"] == 0, "where there is no other"


def test_of_equal_candidates_the_first_is_taken():
    X, y = blobs(2)
    for pair in ([y, 2 - y], [2 - y, y]):
        model = StartSelection(3).fit(X, candidates=np.column_stack(pair))
        assert model.values_["chosen"] == 0


def test_scores_are_those_of_the_folds_whatever_the_names_of_the_clusters():
    X, y = blobs(3)
    model = StartSelection(3, n_splits=5).fit(X, candidates=np.column_stack([y, 2 - y]))
    assert model.values_["score_0"] == pytest.approx(model.values_["score_1"])


@pytest.mark.parametrize("size", [1, 2, 3])
def test_tiny_clusters_have_finite_scores(size):
    X, y = blobs(4)
    y = np.where(np.arange(len(y)) < size, 3, y)
    assert np.isfinite(StartSelection(4).fit(X, candidates=y[:, None]).values_["score_0"])


def test_duplicate_points_do_not_win_by_an_infinite_density():
    X, y = blobs(5)
    X[:40] = X[0]
    alone = np.where(np.arange(len(y)) < 40, 2, np.minimum(y, 1))
    model = StartSelection(3).fit(X, candidates=np.column_stack([y, alone]))
    assert np.isfinite(list(model.values_.values())).all()


@pytest.mark.parametrize(
    "candidates", [np.zeros(300), np.zeros((300, 2)), np.zeros((20, 1), int), np.full((300, 1), 3)]
)
def test_bad_candidates_are_named(candidates):
    with pytest.raises(ValueError, match="candidates"):
        StartSelection(3).fit(blobs(6)[0], candidates=candidates)


def test_the_choice_does_not_depend_on_place_and_units():
    X, y = blobs(6)
    worse = np.where(y == 0, (X[:, 0] > np.median(X[y == 0, 0])).astype(int), 2)
    chosen = [
        StartSelection(3).fit(data, candidates=np.column_stack([worse, y]))
        for data in (X, X + 1e9, X * 1e-150, X * 1e150)
    ]
    assert [model.values_["chosen"] for model in chosen] == [1, 1, 1, 1]
    for model in chosen[1:]:
        assert model.values_["score_1"] == pytest.approx(chosen[0].values_["score_1"], rel=1e-4)


def test_equal_points_have_no_best_candidate():
    with pytest.raises(ValueError, match="all rows are equal"):
        StartSelection(2).fit(np.ones((20, 3)), candidates=np.arange(20)[:, None] % 2)


def test_without_candidates_the_best_of_five_runs_of_k_means_is_chosen():
    X, _ = blobs(7)
    model = StartSelection(3).fit(X)
    scores = [model.values_[f"score_{c}"] for c in range(5)]
    assert scores[model.values_["chosen"]] >= max(scores) - 0.01 and len(model.labels_) == len(X)
