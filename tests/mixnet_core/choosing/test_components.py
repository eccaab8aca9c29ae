"""The L method against a slow one by numpy.polyfit; what the suggestion counts; doors."""

import numpy as np
import pytest

from mixnet_core.choosing import components
from mixnet_core.choosing.components import (
    evaluation_graph,
    iterated_l_method,
    l_method,
    suggest_n_components,
)


def slow_l_method(k, values):
    """The formula of Salvador & Chan as printed, for k = 2..b: knee, lines, errors."""
    b, found = k[-1], []
    for c in range(3, b - 1):
        lines, rmse = [], []
        for side in (k <= c, k > c):
            line = np.polyfit(k[side], values[side], 1)
            lines.append(line)
            rmse.append(np.sqrt(np.mean((np.polyval(line, k[side]) - values[side]) ** 2)))
        found.append(((c - 1) / (b - 1) * rmse[0] + (b - c) / (b - 1) * rmse[1], c, lines))
    _, knee, lines = min(found, key=lambda entry: entry[0])
    return knee, lines, np.array([entry[0] for entry in found])


def slow_iteration(k, values, least=20):
    """Figure 5 of Salvador & Chan, do … while, the cutoff kept at `least` points."""
    knees, cutoff, knee = [], k[-1], k[-1]
    while True:
        last = knee
        kept = [i for i in range(len(k)) if k[i] <= cutoff or i < least]
        knee = slow_l_method(k[kept], values[kept])[0]
        knees.append(knee)
        cutoff = 2 * knee
        if not knee < last:
            return knees


def random_graph(seed, b):
    """A decay of some steepness, with a bend and noise."""
    rng = np.random.default_rng(seed)
    k = np.arange(2, b + 1)
    values = 1e3 * k ** -rng.uniform(0.2, 3) + rng.uniform(0, 9) * np.abs(k - rng.integers(3, b))
    return k, values + rng.uniform(0.01, 3) * rng.normal(size=len(k))


def two_lines(corner, b, slopes=(-7.0, -0.25)):
    k = np.arange(2, b + 1)
    return k, 500 + np.where(k <= corner, slopes[0], slopes[1]) * (k - corner)


def blobs(n_clusters, noise, seed=0, size=40, exact=False):
    """Clusters at equal distances: each one merged costs the same (exactly, if their means are)."""
    spread = noise * np.random.default_rng(seed).normal(size=(n_clusters, size, n_clusters))
    if exact:
        spread -= spread.mean(1, keepdims=True)
    return (10 * np.eye(n_clusters)[:, None] + spread).reshape(-1, n_clusters)


# --- the L method ---------------------------------------------------------------------------------


@pytest.mark.parametrize("b", [6, 7, 20, 60])
@pytest.mark.parametrize("seed", range(5))
def test_l_method_equals_polyfit(seed, b):
    k, values = random_graph(seed, b)
    knee, lines, errors = slow_l_method(k, values)
    found = l_method(k, values)
    assert found.n_components == knee and found.cutoff == b
    np.testing.assert_array_equal(found.candidates, np.arange(3, b - 1))
    np.testing.assert_allclose(found.errors, errors, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose([found.left, found.right], lines, rtol=1e-6, atol=1e-8)


def test_k_may_have_gaps():
    k, values = random_graph(1, 40)
    kept = np.array([0, 1, 4, 5, 9, 10, 15, 22, 30, 38])
    found = l_method(k[kept], values[kept])
    for c, error in zip(found.candidates, found.errors, strict=True):
        sides = [kept[k[kept] <= c], kept[k[kept] > c]]
        squares = [np.polyfit(k[side], values[side], 1, full=True)[1].sum() for side in sides]
        expected = sum(
            len(side) / 10 * np.sqrt(square / len(side))
            for side, square in zip(sides, squares, strict=True)
        )
        assert error == pytest.approx(expected, abs=1e-9)
    assert found.n_components == found.candidates[found.errors.argmin()]


@pytest.mark.parametrize("corner", [3, 4, 9, 20, 28])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e9])
def test_two_lines_have_their_corner(corner, scale):
    k, values = two_lines(corner, 30)
    for knee in (l_method(k, scale * values), *iterated_l_method(k, scale * values)):
        assert knee.n_components == corner
        np.testing.assert_allclose(knee.left, scale * np.array([-7, 500 + 7 * corner]))
        np.testing.assert_allclose(knee.right, scale * np.array([-0.25, 500 + corner / 4]))
        assert knee.errors.min() < 1e-9 * scale


def test_steep_graphs_keep_their_digits():
    """The tail waves by 1e-10 of the range: differences of sums of squares would lose that."""
    k = np.arange(2, 40)
    tail = np.polyfit(k[9:], np.sin(k[9:]), 1, full=True)[1].item()
    found = l_method(k, np.where(k <= 10, 1e10 * (11.0 - k), 4e9 + np.sin(k)))
    assert found.n_components == 10
    assert found.errors[7] == pytest.approx(29 / 38 * np.sqrt(tail / 29), rel=1e-5)


# --- its refinement -------------------------------------------------------------------------------


@pytest.mark.parametrize("b", [12, 21, 22, 80, 200])
@pytest.mark.parametrize("seed", range(5))
def test_iteration_follows_the_published_pseudo_code(seed, b):
    k, values = random_graph(seed, b)
    assert [knee.n_components for knee in iterated_l_method(k, values)] == slow_iteration(k, values)


def test_iteration_moves_left_and_stops_at_twenty_points():
    k = np.arange(2, 301)
    knees = iterated_l_method(k, 1e4 / k)
    found = [knee.n_components for knee in knees]
    assert len(found) > 3 and found[-1] == found[-2] and (np.diff(found[:-1]) < 0).all()
    cutoffs = [knee.cutoff for knee in knees]
    assert cutoffs == [300] + [max(2 * knee, 21) for knee in found[:-1]]
    assert cutoffs[-1] == 21  # 2..21, twenty points


# --- the graph ------------------------------------------------------------------------------------


def test_graph_is_the_sum_of_squares_of_a_good_partition():
    X = blobs(6, noise=0.2)
    k, values = evaluation_graph(X, 8, n_init=3)
    np.testing.assert_array_equal(k, np.arange(2, 9))
    members = X.reshape(6, 40, 6)
    expected = np.square(members - members.mean(1, keepdims=True)).sum()
    assert values[4] == pytest.approx(expected, rel=1e-5)
    # Clusters at distance 10√2: n d² / 2 = 4000 for each one that is merged.
    np.testing.assert_allclose(values[:5], 4000 * np.arange(4, -1, -1) + expected, rtol=0.02)
    assert (np.diff(values) < 0).all()


def test_graph_is_seeded_and_a_shorter_one_its_beginning():
    X = np.random.default_rng(3).normal(size=(80, 3)).astype(np.float32)
    _, values = evaluation_graph(X, 12, n_init=1, random_state=4)
    np.testing.assert_array_equal(values, evaluation_graph(X, 12, 1, 4)[1])
    np.testing.assert_array_equal(values[:6], evaluation_graph(X, 7, 1, 4)[1])
    assert (values != evaluation_graph(X, 12, 1, 5)[1]).any()


def test_as_many_components_as_distinct_points_leave_no_error():
    X = np.repeat(np.random.default_rng(5).normal(size=(7, 2)), 4, axis=0)
    _, values = evaluation_graph(X, 7)
    assert values[-1] == pytest.approx(0, abs=1e-9) and values[-2] > 1e-3


# --- the suggestion -------------------------------------------------------------------------------


@pytest.mark.parametrize("n_clusters", [3, 4, 7])
def test_separate_clusters_are_counted(n_clusters):
    X = blobs(n_clusters, 0.5, exact=True)
    found = suggest_n_components(X, 18, n_restarts=3, n_init=3)
    assert found.n_components == n_clusters and found.stability == 1
    assert found.table == {n_clusters: 18} and (found.knees == n_clusters).all()
    assert found.graphs.shape == (3, 17)


@pytest.mark.parametrize("seed", range(3))
def test_a_corner_on_both_lines_is_answered_within_one(seed):
    """Means that are off by their own sampling error: 5 and 6 fit alike, all others far worse."""
    knee = l_method(*evaluation_graph(blobs(6, 0.5, seed), 20, n_init=3))
    assert knee.n_components in (5, 6)
    error = dict(zip(knee.candidates.tolist(), knee.errors.tolist(), strict=True))
    others = min(value for c, value in error.items() if c not in (5, 6))
    assert others > 4 * max(error[5], error[6])


def with_graphs(monkeypatch, graphs):
    """Let the restarts find these graphs, in turn."""
    remaining = iter(graphs)
    monkeypatch.setattr(components, "evaluation_graph", lambda *args, **kwargs: next(remaining))


def test_stability_counts_restarts_and_cutoffs(monkeypatch):
    graphs = [two_lines(corner, 30) for corner in (9, 5, 9, 12)]
    with_graphs(monkeypatch, graphs)
    found = suggest_n_components(np.eye(40), 30, n_restarts=4, cutoffs=(16, 30))
    np.testing.assert_array_equal(found.knees, [[9, 9], [5, 5], [9, 9], [12, 12]])
    assert (found.n_components, found.stability) == (9, 0.5)
    assert list(found.table.items()) == [(9, 4), (5, 2), (12, 2)]
    assert found.cutoffs == (16, 30) and found.restart == 0 and found.knee.cutoff == 21
    np.testing.assert_array_equal(found.graphs, [values for _, values in graphs])
    np.testing.assert_array_equal(found.k, np.arange(2, 31))


def test_cutoffs_count_and_the_shown_fit_is_of_the_largest(monkeypatch):
    graphs, cutoffs = [random_graph(seed, 30) for seed in (11, 12, 13, 14)], (12, 30, 24)
    with_graphs(monkeypatch, graphs)
    found = suggest_n_components(np.eye(40), 30, n_restarts=4, cutoffs=cutoffs)
    expected = np.array(
        [[slow_iteration(k[: b - 1], v[: b - 1])[-1] for b in cutoffs] for k, v in graphs]
    )
    np.testing.assert_array_equal(found.knees, expected)
    knees, counts = np.unique(expected, return_counts=True)
    assert len(knees) > 2 and (expected != expected[:, :1]).any()  # cutoffs and restarts matter
    assert found.n_components == knees[counts.argmax()] and found.stability == counts.max() / 12
    at = [(c, r) for c in (1, 2, 0) for r in range(4) if expected[r, c] == found.n_components]
    assert found.restart == at[0][1]
    k, values = graphs[found.restart]
    fit = iterated_l_method(*(row[: cutoffs[at[0][0]] - 1] for row in (k, values)))[-1]
    assert (found.knee.cutoff, found.knee.left) == (fit.cutoff, fit.left)
    np.testing.assert_array_equal(found.knee.errors, fit.errors)


def test_equally_frequent_knees_give_the_smallest(monkeypatch):
    with_graphs(monkeypatch, [two_lines(11, 30), two_lines(7, 30)])
    found = suggest_n_components(np.eye(40), 30, n_restarts=2)
    assert (found.n_components, found.stability, found.restart) == (7, 0.5, 1)
    assert list(found.table) == [7, 11]


def test_default_cutoffs_span_the_upper_half():
    X = blobs(3, 0.5)
    assert suggest_n_components(X, 20, 1, n_init=1).cutoffs == (10, 12, 14, 16, 18, 20)
    assert suggest_n_components(X, 8, 1, n_init=1).cutoffs == (6, 7, 8)
    assert suggest_n_components(X, 6, 1, n_init=1).cutoffs == (6,)


def test_restarts_differ_and_the_seed_repeats_them():
    X = np.random.default_rng(6).normal(size=(90, 4))
    one, more, other = (
        suggest_n_components(X, 9, r, random_state=seed, n_init=1).graphs
        for r, seed in ((2, 1), (3, 1), (2, 2))
    )
    np.testing.assert_array_equal(one, more[:2])
    assert len(np.unique(np.concatenate([more, other]), axis=0)) == 5


# --- doors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("k", "values", "message"),
    [
        (range(2, 6), range(4), "at least 5 points; got 4"),
        (range(2, 9), range(6), r"one length; got \(7,\), \(6,\)"),
        (np.ones((2, 5), int), np.ones((2, 5)), "must be rows"),
        ([2, 3, 5, 4, 6], range(5), "rising integers; got"),
        ([2, 3, 3, 4, 6], range(5), "rising integers; got"),
        ([2.0, 3, 4, 5, 6], range(5), "rising integers; got"),
        (range(2, 8), [9, 5, np.nan, 2, np.inf, 0], "values must be finite; 2 entries"),
        (range(2, 8), np.linspace(3, 0.1, 6), "no knee: the 6 points"),
        (range(2, 8), np.full(6, 0.3), "no knee"),
    ],
)
@pytest.mark.parametrize("method", [l_method, iterated_l_method])
def test_bad_graphs_are_named(method, k, values, message):
    with pytest.raises(ValueError, match=message):
        method(k, values)


@pytest.mark.parametrize("function", [evaluation_graph, suggest_n_components])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"X": np.zeros(9)}, "Expected 2D array"),
        ({"X": np.full((9, 2), np.nan)}, "NaN"),
        ({"X": [["a"]] * 9}, "could not convert string"),
        ({"X": np.repeat(np.eye(6), 5, axis=0), "max_components": 7}, "distinct.*6; got 7"),
        ({"max_components": 5}, "max_components must be an integer of at least 6; got 5"),
        ({"max_components": 7.5}, "max_components must be an integer"),
        ({"n_init": 0}, "n_init must be an integer of at least 1; got 0"),
        ({"n_init": "auto"}, "n_init must be an integer of at least 1; got 'auto'"),
        ({"random_state": -1}, "random_state must be an integer of at least 0"),
        ({"random_state": None}, "random_state must be an integer of at least 0"),
    ],
)
def test_bad_data_and_numbers_are_named(function, changes, message):
    with pytest.raises(ValueError, match=message):
        function(**({"X": np.eye(20), "max_components": 8, "n_init": 1} | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_restarts": 0}, "n_restarts must be an integer of at least 1; got 0"),
        ({"cutoffs": ()}, r"cutoffs must be different integers in 6..8; got \(\)"),
        ({"cutoffs": (5, 8)}, "cutoffs must be different integers"),
        ({"cutoffs": (8, 9)}, "cutoffs must be different integers"),
        ({"cutoffs": (7, 7)}, "cutoffs must be different integers"),
        ({"cutoffs": (6.5,)}, "cutoffs must be different integers"),
    ],
)
def test_bad_restarts_and_cutoffs_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        suggest_n_components(np.eye(20), 8, **changes)


def test_points_at_equal_distances_have_no_knee():
    with pytest.raises(ValueError, match="one straight line"):
        suggest_n_components(np.eye(20), 8, n_restarts=1, n_init=1)


def test_the_data_are_left_as_they_were():
    X = blobs(3, 0.5)
    before = X.copy()
    X.setflags(write=False)
    suggest_n_components(X[::2], 6, n_restarts=1, n_init=1)
    np.testing.assert_array_equal(X, before)


def test_the_graph_is_the_same_far_from_zero():
    """In float32, or without centring, distances at 1e7 would be off by several percent."""
    X = blobs(4, 0.5)
    near, far = (evaluation_graph(data, 8, n_init=1)[1] for data in (X, X + 1e7))
    np.testing.assert_allclose(far, near, rtol=1e-6)
