"""The consensus against a brute-force search and by what it must not depend on."""

from itertools import product

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from mixnet_core.choosing.consensus import ClosestPartition, Consensus


def X_of(n):
    return np.arange(2.0 * n).reshape(n, 2)


def noisy(y, k, share, rng):
    """y with a share of its labels drawn anew, and the names of the clusters permuted."""
    drawn = np.where(rng.random(len(y)) < share, rng.integers(k, size=len(y)), y)
    return rng.permutation(k)[drawn]


def test_it_is_the_partition_of_least_inertia_of_the_indicators():
    """All 3^7 labellings of seven points, from the formula."""
    rng = np.random.default_rng(0)
    candidates = rng.integers(3, size=(7, 4))
    candidates[:3] = np.arange(3)[:, None]  # every cluster of every candidate has a point
    Z = np.hstack([np.eye(3)[column] for column in candidates.T])

    def inertia(labels):
        labels = np.asarray(labels)
        parts = (Z[labels == c] for c in set(labels.tolist()))
        return sum(((part - part.mean(0)) ** 2).sum() for part in parts)

    least = min(inertia(labels) for labels in product(range(3), repeat=7))
    model = Consensus(3).fit(X_of(7), candidates=candidates)
    assert inertia(model.labels_) == pytest.approx(least)


def test_it_is_nearer_to_the_truth_than_any_partition_that_errs_on_its_own():
    rng = np.random.default_rng(1)
    y = rng.integers(4, size=600)
    candidates = np.column_stack([noisy(y, 4, 0.4, rng) for _ in range(9)])
    found = Consensus(4).fit_predict(X_of(600), candidates=candidates)
    nearest = max(adjusted_rand_score(y, labels) for labels in candidates.T)
    assert adjusted_rand_score(y, found) > nearest + 0.2


def test_neither_names_nor_order_of_the_clusters_matter():
    rng = np.random.default_rng(2)
    y = rng.integers(3, size=200)
    candidates = np.column_stack([noisy(y, 3, 0.3, rng) for _ in range(5)])
    renamed = np.column_stack([rng.permutation(3)[labels] for labels in candidates.T[::-1]])
    first, second = (
        Consensus(3).fit_predict(X_of(200), candidates=c) for c in (candidates, renamed)
    )
    assert adjusted_rand_score(first, second) == pytest.approx(1)


def test_a_partition_of_one_cluster_and_crumbs_has_no_say():
    y = np.repeat([0, 1, 2], 20)
    crumbs = np.where(np.arange(60) < 2, np.arange(60), 2)
    model = Consensus(3).fit(X_of(60), candidates=np.column_stack([y, crumbs]))
    assert adjusted_rand_score(y, model.labels_) == 1
    assert set(model.values_) == {"agreement_0"}


def test_agreements_are_normalised_mutual_information_with_the_consensus():
    rng = np.random.default_rng(3)
    y = rng.integers(3, size=100)
    candidates = np.column_stack([noisy(y, 3, 0.3, rng) for _ in range(3)])
    model = Consensus(3).fit(X_of(100), candidates=candidates)
    for c, labels in enumerate(candidates.T):
        expected = normalized_mutual_info_score(model.labels_, labels)
        assert model.values_[f"agreement_{c}"] == pytest.approx(expected)


def test_fewer_different_rows_than_clusters_keep_their_clusters():
    y = np.repeat([0, 1], 10)
    model = Consensus(5).fit(X_of(20), candidates=y[:, None])
    assert adjusted_rand_score(y, model.labels_) == 1


def test_the_candidate_nearest_to_the_reference_is_chosen():
    rng = np.random.default_rng(4)
    y = rng.integers(3, size=300)
    far, near = noisy(y, 3, 0.6, rng), noisy(y, 3, 0.1, rng)
    model = ClosestPartition(3).fit(X_of(300), candidates=np.column_stack([far, near, y]))
    assert model.values_["chosen"] == 1
    np.testing.assert_array_equal(model.labels_, near)
    expected = normalized_mutual_info_score(far, y)
    assert model.values_["agreement_0"] == pytest.approx(expected)
    tie = ClosestPartition(3).fit(X_of(300), candidates=np.column_stack([(y + 1) % 3, y, y]))
    assert tie.values_["chosen"] == 0, "of equal ones the first"


@pytest.mark.parametrize("estimator", [Consensus(3), ClosestPartition(3)])
@pytest.mark.parametrize(
    ("candidates", "said"),
    [
        (np.zeros((9, 2), int), r"shape \(10, m\)"),
        (np.zeros(10, int), r"shape \(10, m\)"),
        (np.zeros((10, 0), int), "m at least 1"),
        (np.zeros((10, 2)), "must be integers"),
        (np.full((10, 2), 3), r"must lie in 0\.\.2; got 3\.\.3"),
        (np.full((10, 2), -1), r"must lie in 0\.\.2; got -1\.\.-1"),
    ],
)
def test_candidates_that_do_not_fit_are_refused(estimator, candidates, said):
    with pytest.raises(ValueError, match=said):
        estimator.fit(X_of(10), candidates=candidates)


def test_more_clusters_than_points_and_a_reference_alone_are_refused():
    with pytest.raises(ValueError, match="n_clusters=11 is more than n_samples=10"):
        Consensus(11).fit(X_of(10))
    with pytest.raises(ValueError, match="beside the reference"):
        ClosestPartition(2).fit(X_of(10), candidates=np.zeros((10, 1), int))
