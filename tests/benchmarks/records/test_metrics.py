"""Metrics against scikit-learn, brute force and hand-worked cases."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from benchmarks.records import metrics

pairs = st.integers(1, 40).flatmap(
    lambda n: st.tuples(*(st.lists(st.integers(0, 5), min_size=n, max_size=n) for _ in range(2)))
)


def purity_by_formula(y, labels):
    """Eq. 10 with sets of points, word for word."""
    parts = [{i for i, c in enumerate(y) if c == k} for k in set(y)]
    clusters = [{i for i, c in enumerate(labels) if c == k} for k in set(labels)]
    return sum(max(len(c & x) for c in parts) for x in clusters) / len(y)


def accuracy_by_brute_force(y, labels):
    """Best relabelling over all one-to-one maps from clusters to classes (or to nothing)."""
    clusters = sorted(set(labels))
    targets = sorted(set(y)) + [None] * len(clusters)
    return max(
        sum(dict(zip(clusters, image, strict=True))[x] == c for c, x in zip(y, labels, strict=True))
        for image in set(permutations(targets, len(clusters)))
    ) / len(y)


@given(pairs)
def test_purity_is_the_formula(pair):
    y, labels = pair
    assert metrics.purity(y, labels) == pytest.approx(purity_by_formula(y, labels))


@given(pairs)
def test_nmi_and_ari_match_scikit_learn(pair):
    y, labels = pair
    assert metrics.nmi(y, labels) == pytest.approx(
        sk.normalized_mutual_info_score(y, labels), abs=1e-7
    )
    assert metrics.ari(y, labels) == pytest.approx(sk.adjusted_rand_score(y, labels), abs=1e-9)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("n_classes", "n_clusters"), [(3, 3), (4, 2), (2, 4), (1, 3), (3, 1)])
def test_accuracy_is_the_best_matching(seed, n_classes, n_clusters):
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=17).tolist()
    labels = rng.integers(n_clusters, size=17).tolist()
    assert metrics.accuracy(y, labels) == pytest.approx(accuracy_by_brute_force(y, labels))


@given(pairs, st.permutations(range(6)), st.permutations(range(6)), st.randoms())
def test_names_and_order_do_not_matter(pair, classes, clusters, shuffle):
    y, labels = pair
    order = list(range(len(y)))
    shuffle.shuffle(order)
    renamed = metrics.all_metrics(
        [classes[y[i]] for i in order], [f"cluster {clusters[labels[i]]}" for i in order]
    )
    assert renamed == pytest.approx(metrics.all_metrics(y, labels))


@given(pairs)
def test_purity_is_at_least_accuracy(pair):
    assert metrics.purity(*pair) >= metrics.accuracy(*pair) - 1e-12


def test_percentages_of_a_hand_worked_case():
    scores = metrics.all_metrics([0, 0, 0, 1, 1, 2], [5, 5, 7, 7, 7, 7])
    assert scores["purity"] == pytest.approx(100 * 4 / 6)
    assert scores["acc"] == pytest.approx(100 * 4 / 6)
    assert list(scores) == ["purity", "acc", "nmi", "ari"]


@pytest.mark.parametrize(
    ("y", "labels", "nmi", "ari"),
    [
        ([0, 1, 2], [2, 0, 1], 1, 1),  # every point alone, on both sides
        ([0, 0, 0], [4, 4, 4], 1, 1),  # one part, on both sides
        ([0, 0, 1, 1], [0, 0, 0, 0], 0, 0),  # the clustering says nothing
        ([3], [9], 1, 1),
    ],
)
def test_trivial_partitions(y, labels, nmi, ari):
    assert metrics.nmi(y, labels) == pytest.approx(nmi)
    assert metrics.ari(y, labels) == pytest.approx(ari)


def test_ari_does_not_overflow_on_many_points():
    y = np.repeat(np.arange(4), 100_000)
    assert metrics.ari(y, y) == 1.0
    assert metrics.ari(y, y // 2) == pytest.approx(sk.adjusted_rand_score(y, y // 2))


def test_small_unsigned_labels_are_not_wrapped():
    y = np.repeat(np.arange(20, dtype=np.uint8), 20)
    assert metrics.all_metrics(y, y) == dict.fromkeys(["purity", "acc", "nmi", "ari"], 100.0)


@pytest.mark.parametrize(
    ("y", "labels", "message"),
    [
        ([0, 1], [0, 1, 1], "same length, got 2 and 3"),
        ([], [], "empty"),
        ([[0, 1]], [0, 1], r"y needs shape \(n,\), got \(1, 2\)"),
        ([0, 1], [0.0, np.nan], "labels holds nan"),
        ([0, 1], [0.2, 0.8], "labels needs class numbers, got fractions such as 0.2"),
        ([0, None], [0, 1], "y needs integers, booleans or strings, got dtype object"),
    ],
)
def test_errors_name_the_argument(y, labels, message):
    with pytest.raises(ValueError, match=message):
        metrics.all_metrics(y, labels)
