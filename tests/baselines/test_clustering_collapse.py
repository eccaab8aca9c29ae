"""When a partition counts as collapsed, and what is tried then."""

import numpy as np
import pytest
import scipy.stats
from scipy.sparse.linalg import ArpackNoConvergence
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from baselines.clustering import graph
from baselines.clustering.collapse import (
    check_wider,
    effective_clusters,
    first_not_collapsed,
    is_collapsed,
)
from baselines.clustering.ldmgi import LDMGI
from baselines.clustering.llc import LLC
from baselines.clustering.ncut import NCut


def sizes(*counts):
    return np.repeat(np.arange(len(counts)), counts)


@pytest.mark.parametrize("counts", [(5, 5, 5), (976, 10, 9, 5), (3, 0, 1), (7,)])
def test_effective_clusters_are_the_exponential_of_scipys_entropy(counts):
    assert effective_clusters(sizes(*counts)) == pytest.approx(np.exp(scipy.stats.entropy(counts)))


def test_equal_clusters_are_no_collapse_and_crumbs_are():
    for c in (1, 2, 4, 26):
        assert effective_clusters(sizes(*[6] * c)) == pytest.approx(c)
        assert not is_collapsed(sizes(*[6] * c), c)
    assert is_collapsed(sizes(976, 10, 9, 5), 4)
    assert is_collapsed(sizes(87, 13), 2) and not is_collapsed(sizes(85, 15), 2)
    # Of three clusters two of equal size and one empty, of five three: exactly the bound.
    assert not is_collapsed(sizes(50, 50), 3) and is_collapsed(sizes(49, 51), 3)
    assert not is_collapsed(sizes(9, 9, 9), 5) and is_collapsed(sizes(9, 9, 10), 5)


def test_the_first_setting_that_does_not_collapse_is_kept_and_no_later_one_tried():
    tried = []

    def attempt(setting):
        tried.append(setting)
        return f"result {setting}", sizes(*setting)

    ladder = [(97, 1, 1, 1), (40, 30, 20, 10), (25, 25, 25, 25)]
    assert first_not_collapsed(ladder, attempt, 4) == "result (40, 30, 20, 10)"
    assert tried == ladder[:2]
    alike = [(97, 1, 1, 1), (94, 2, 2, 2), (1, 97, 1, 1), (2, 94, 2, 2)]
    assert first_not_collapsed(alike, attempt, 4) == "result (94, 2, 2, 2)"


def test_a_setting_that_does_not_converge_is_passed_over_and_only_all_of_them_are_an_error():
    def attempt(setting):
        if setting == "bad":
            raise ArithmeticError("eigenvectors did not converge")
        return setting, sizes(97, 1, 1, 1)

    assert first_not_collapsed(["good", "bad"], attempt, 4) == "good"
    assert first_not_collapsed(["bad", "good"], attempt, 4) == "good"
    with pytest.raises(ArithmeticError, match="did not converge"):
        first_not_collapsed(["bad", "bad"], attempt, 4)


def test_a_lanczos_that_does_not_converge_makes_the_graph_wider_and_no_crash(monkeypatch):
    """As on codes of texts, many of them equal: the graph is in hundreds of pieces."""
    real, calls = graph.eigsh, []

    def first_fails(*args, **kwargs):
        calls.append(kwargs["k"])
        if len(calls) == 1:
            raise ArpackNoConvergence("No convergence (%s)", [], [])
        return real(*args, **kwargs)

    monkeypatch.setattr(graph, "DENSE_BELOW", 10)
    monkeypatch.setattr(graph, "eigsh", first_fails)
    X, truth = make_blobs(300, 5, centers=3, random_state=0)
    model = NCut(3, random_state=0).fit(X)
    assert model.values_["n_neighbors"] == 10 and len(calls) == 2
    assert adjusted_rand_score(truth, model.labels_) == 1


def with_crumbs(gap=8.0, spread=0.3):
    """Two groups of 150 points and, between and around them, tight little ones of 7."""
    rng = np.random.default_rng(3)
    truth = np.arange(300) % 2
    X = rng.normal(size=(300, 10)) + gap * truth[:, None] * np.eye(10)[0]
    crumbs = [rng.normal(size=10) * 3 + spread * rng.normal(size=(7, 10)) for _ in range(3)]
    return np.concatenate([X, *crumbs]), truth


@pytest.mark.parametrize("method", [NCut, LDMGI])
def test_where_crumbs_are_cut_off_a_wider_graph_finds_the_groups(method):
    X, truth = with_crumbs()
    narrow = method(2, wider=(), random_state=0).fit(X)
    assert narrow.values_["collapsed"] == 1 and is_collapsed(narrow.labels_, 2)
    found = method(2, random_state=0).fit(X)
    assert found.values_["collapsed"] == 0
    assert adjusted_rand_score(truth, found.labels_[:300]) > 0.9


@pytest.mark.parametrize("method", [NCut, LDMGI, LLC])
def test_where_nothing_collapses_the_published_setting_is_kept(method):
    rng = np.random.default_rng(4)
    X = rng.normal(size=(120, 5)) + 4 * np.eye(3, 5)[np.arange(120) % 3]
    plain, ladder = (method(3, random_state=0, **kept).fit(X) for kept in ({"wider": ()}, {}))
    assert np.array_equal(plain.labels_, ladder.labels_)
    assert plain.values_ == ladder.values_ and ladder.values_["collapsed"] == 0


def test_llc_takes_a_wider_neighbourhood_where_its_whole_grid_collapses():
    X, _ = with_crumbs(gap=5.0, spread=0.01)
    grid = {"n_neighbors": (2,), "ridges": (0.1,)}
    narrow = LLC(2, **grid, wider=(), random_state=0).fit(X)
    assert narrow.values_["collapsed"] == 1
    model = LLC(2, **grid, wider=(4, 60), random_state=0)
    embedding = model.spectral_embedding(X)
    model.fit(X, embedding=embedding)
    k = model.values_["n_neighbors"]
    assert k in (4, 60) and model.values_["collapsed"] == 0
    assert embedding["index"].shape == (len(X), k)
    alone = LLC(2, n_neighbors=(k,), ridges=(0.1,), wider=(), random_state=0).fit(X)
    assert np.array_equal(model.labels_, alone.labels_)


def test_of_llcs_grid_a_setting_that_does_not_collapse_goes_before_a_smaller_objective():
    X, _ = with_crumbs(gap=5.0, spread=0.01)
    model = LLC(2, n_neighbors=(2, 60), ridges=(0.1,), wider=(), random_state=0)
    narrow = LLC(2, n_neighbors=(2,), ridges=(0.1,), wider=(), random_state=0).fit(X)
    model.fit(X)
    assert model.values_["n_neighbors"] == 60 and model.values_["collapsed"] == 0
    assert narrow.values_["objective"] < model.values_["objective"]


def test_sizes_of_the_ladder_are_cut_to_the_points():
    assert check_wider("wider", (10, 20, 50), 5, 19, 4) == [10, 19]
    assert check_wider("wider", np.array([10, 20]), 5, 100, 4) == [10, 20]
    assert check_wider("wider", (10, 20), 5, 4, 4) == []
    assert NCut(2).fit(np.random.default_rng(0).normal(size=(4, 2))).values_["n_neighbors"] == 3


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        (NCut(2, wider=10), TypeError, "wider must be a sequence of integers, got 10"),
        (NCut(2, wider="10"), TypeError, "wider must be a sequence"),
        (LDMGI(2, wider=(10.0,)), TypeError, "each of wider"),
        (LDMGI(2, wider=(0,)), ValueError, "each of wider"),
        (NCut(2, wider=(5, 10)), ValueError, r"wider must increase, from above 5; got \[5, 10\]"),
        (LDMGI(2, wider=(20, 10)), ValueError, "wider must increase"),
        (NCut(2, wider=(6, 7, 8, 9, 10)), ValueError, "wider must have at most 4 sizes, got 5"),
        (LDMGI(2, wider=(6, 7, 8, 9, 10, 11)), ValueError, "at most 5 sizes, got 6"),
        (LLC(2, wider=(20, 40, 80)), ValueError, "at most 2 sizes, got 3"),
    ],
)
def test_bad_ladders_are_named(model, error, words):
    with pytest.raises(error, match=words):
        model.fit(np.random.default_rng(0).normal(size=(20, 2)))
