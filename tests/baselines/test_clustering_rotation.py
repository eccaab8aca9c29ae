"""The Yu-Shi rotation against rotations that are known."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import ortho_group
from sklearn.metrics import adjusted_rand_score

from baselines.clustering.rotation import rotate, row_normalise


@pytest.mark.parametrize("c", [2, 5, 20])
@pytest.mark.parametrize("seed", [0, 1])
def test_undoes_a_known_rotation(c, seed):
    rng = np.random.default_rng(seed)
    truth = np.r_[np.arange(c), rng.integers(c, size=300)]
    turned = np.eye(c)[truth] @ ortho_group.rvs(c, random_state=seed)
    labels, rotation, agreement = rotate(turned, random_state=seed)
    assert adjusted_rand_score(truth, labels) == 1
    assert agreement == pytest.approx(1)
    assert np.allclose(rotation @ rotation.T, np.eye(c))
    assert np.allclose(turned @ rotation, np.eye(c)[labels])


def test_reaches_the_optimum_of_all_labellings():
    rng = np.random.default_rng(4)
    for _ in range(5):
        vectors = row_normalise(rng.normal(size=(9, 2)))
        best = max(
            np.linalg.svd(np.eye(2)[list(labels)].T @ vectors, compute_uv=False).sum()
            for labels in product(range(2), repeat=9)
        )
        labels, rotation, agreement = rotate(vectors, 0, n_init=30)
        assert agreement == pytest.approx(best / 9)
        X = np.eye(2)[labels]
        assert np.trace(X.T @ vectors @ rotation) / 9 == pytest.approx(agreement)


def test_more_starts_are_never_worse_and_the_seed_decides():
    vectors = row_normalise(np.random.default_rng(5).normal(size=(200, 8)))
    one = [rotate(vectors, seed, n_init=1)[2] for seed in range(8)]
    assert len(set(one)) > 1
    for seed in range(8):
        assert rotate(vectors, seed, n_init=10)[2] >= one[seed] - 1e-9
        assert np.array_equal(rotate(vectors, seed)[0], rotate(vectors, seed)[0])


def test_one_column_empty_clusters_and_zero_rows():
    assert set(rotate(np.ones((6, 1)), 0)[0]) == {0}
    same = np.tile([[1.0, 0, 0]], (7, 1))
    assert len(set(rotate(same, 0)[0])) == 1
    zero = row_normalise(np.array([[0.0, 0], [3, 0], [0, 4], [1e-15, 0]]))
    assert np.array_equal(zero, [[0, 0], [1, 0], [0, 1], [0, 0]])
    assert set(rotate(np.zeros((4, 2)), 0)[0]) == {0}
    labels = rotate(zero, 0)[0]
    assert labels[1] != labels[2]


@pytest.mark.parametrize(
    ("vectors", "n_init", "word"),
    [
        (np.ones(4), 1, "vectors"),
        (np.ones((2, 3)), 1, "vectors"),
        (np.full((3, 2), np.nan), 1, "vectors"),
        (np.eye(3), 0, "n_init"),
    ],
)
def test_bad_arguments_are_named(vectors, n_init, word):
    with pytest.raises(ValueError, match=word):
        rotate(vectors, 0, n_init=n_init)
