"""The graph of neighbours against a slow one, written from the formula."""

import numpy as np
import pytest
from scipy.optimize import brentq

from mixnet_core.manifold.graph import fuzzy_graph, joined


def slow_graph(X, k):
    """Point by point, after McInnes, Healy & Melville (2018), §3.1; no two points coincide."""
    n = len(X)
    held = np.zeros((n, n))
    for i in range(n):
        distance = np.sqrt(((X - X[i]) ** 2).sum(1))
        near = [j for j in np.argsort(distance) if j != i][:k]
        gap = distance[near] - distance[near[0]]

        def excess(log_width, gap=gap):
            return np.exp(-gap / np.exp(log_width)).sum() - np.log2(k)

        width = np.exp(brentq(excess, -20, 20, xtol=1e-13))
        held[i, near] = np.exp(-gap / width)
    return held + held.T - held * held.T


@pytest.mark.parametrize(("n", "k"), [(60, 15), (40, 5), (12, 11)])
def test_it_is_the_graph_of_the_formula(rng, n, k):
    X = rng.normal(size=(n, 4)) * rng.gamma(1.0, size=(n, 1))  # dense here, sparse there
    np.testing.assert_allclose(fuzzy_graph(X, k).toarray(), slow_graph(X, k), atol=1e-9)


def test_every_point_is_surely_joined_to_its_nearest_and_holds_log2_k_in_all(rng):
    distance = np.sort(rng.gamma(2.0, size=(50, 8)), axis=1)
    held = joined(distance)
    assert (held[:, 0] == 1).all()
    np.testing.assert_allclose(held.sum(1), 3.0, rtol=1e-9)
    assert (np.diff(held, axis=1) <= 0).all()


def test_it_is_symmetric_without_loops_and_does_not_know_units(rng):
    X = rng.normal(size=(80, 3))
    graph = fuzzy_graph(X, 6)
    dense = graph.toarray()
    assert np.array_equal(dense, dense.T) and not dense.diagonal().any()
    assert 0 < graph.data.min() and graph.data.max() <= 1
    np.testing.assert_allclose(fuzzy_graph(1e6 * X, 6).toarray(), dense, atol=1e-6)


def test_the_nearest_neighbour_of_a_duplicate_is_the_nearest_at_a_distance():
    """ρ is the smallest positive distance: the twin and the nearest other are both surely held."""
    distance = np.array([[0.0, 1.0, 2.0, 4.0], [1.0, 2.0, 3.0, 4.0]])
    held = joined(distance)
    assert held[0, 0] == held[0, 1] == 1 and held[0, 2] > held[0, 3]
    width = brentq(lambda w: 1 + sum(np.exp(-gap / w) for gap in (1, 2, 3)) - 2, 0.01, 100)
    np.testing.assert_allclose(held[1], np.exp(-np.arange(4.0) / width), rtol=1e-9)


def test_pairs_of_twins_stay_finite(rng):
    X = np.repeat(rng.normal(size=(20, 3)), 2, axis=0)
    graph = fuzzy_graph(X, 5).toarray()
    assert np.isfinite(graph).all()
    assert all(graph[i, i + 1] == 1 for i in range(0, 40, 2))


@pytest.mark.parametrize("distance", [np.zeros((4, 3)), np.ones((4, 3))])
def test_points_all_alike_are_joined_with_all(distance):
    """All coincide, or all neighbours are at one distance: no width makes less of them."""
    assert np.array_equal(joined(distance), np.ones((4, 3)))


def test_of_few_points_all_others_are_neighbours(rng):
    X = rng.normal(size=(6, 2))
    few = fuzzy_graph(X, 15).toarray()
    assert np.array_equal(few, fuzzy_graph(X, 5).toarray())
    assert (few[~np.eye(6, dtype=bool)] > 0).all()
    assert fuzzy_graph(X[:2], 15).toarray().tolist() == [[0, 1], [1, 0]]
