"""A few known labels: who is matched to whom, and that labelled points hold their component."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mixnet_core.data.labels import PENALTY, check_partial_labels, hold, match_names, split
from mixnet_core.memberships import batch_memberships, memberships
from mixnet_core.mixture import MixtureOfNetworks

QUICK = dict(
    n_components=3,
    structure="2-16-x",
    t1=10,
    t2=5,
    min_updates=0,
    batch_size=10,
    batch_share=0.5,
    n_samples=100,
    n_final_samples=200,
)


def test_clusters_are_renumbered_by_the_best_match(rng):
    for _ in range(50):
        clusters, y = rng.integers(0, 4, 30), rng.integers(-1, 4, 30)
        known = y >= 0
        names = match_names(clusters, y, 4)
        assert sorted(names) == [0, 1, 2, 3]
        scores = {
            order: int((np.array(order)[clusters[known]] == y[known]).sum())
            for order in itertools.permutations(range(4))
        }
        assert scores[tuple(names)] == max(scores.values())


def test_held_points_belong_to_one_component_only():
    log_lik = torch.tensor([[-1.0, -2.0, -3.0], [-5.0, -1.0, -2.0], [-9.0, -9.0, -1.0]])
    before = log_lik.clone()
    held = hold(log_lik, torch.tensor([1]), torch.tensor([0]))
    assert torch.equal(held[[0, 2]], before[[0, 2]]) and held[1, 0] == before[1, 0]
    assert torch.equal(memberships(held, torch.ones(3) / 3)[1], torch.tensor([1.0, 0.0, 0.0]))
    assert (held[1, 1:] <= -5 - PENALTY).all()  # whatever they were before
    assert torch.equal(hold(before.clone(), torch.tensor([], dtype=int), torch.tensor([])), before)


def test_a_batch_with_labels_of_two_components_has_a_membership():
    log_lik = hold(torch.zeros(4, 2), torch.tensor([0, 1, 2]), torch.tensor([0, 1, 1]))
    m = batch_memberships(log_lik, torch.ones(2) / 2, torch.arange(4).unsqueeze(0))
    torch.testing.assert_close(m, torch.tensor([[0.0, 1.0]], dtype=m.dtype))  # the majority


def test_labelled_points_are_trained_on(g):
    labelled = torch.zeros(50, dtype=bool)
    labelled[[3, 4, 48]] = True
    held_out, train = split(labelled, 20, g)
    assert len(held_out) == 20 and not labelled[held_out].any()
    assert sorted([*held_out.tolist(), *train.tolist()]) == list(range(50))
    few = torch.ones(50, dtype=bool)
    few[[7, 8]] = False
    assert set(split(few, 20, g)[0].tolist()) == {7, 8}  # no more than are not labelled
    # Without labels it is one random permutation, cut.
    plain = split(torch.zeros(50, dtype=bool), 20, torch.Generator().manual_seed(2))
    whole = torch.randperm(50, generator=torch.Generator().manual_seed(2))
    assert torch.equal(torch.cat(plain), whole)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([-1, 0, 3, 0], r"y must lie in -1..2 \(n_components=3\); got -1..3"),
        ([-2, -1, 0, 0], r"got -2..0"),
        ([-1, 0, 1], "y must be 4 whole numbers"),
        ([-1, 0.5, 1, 1], "y must be 4 whole numbers"),
        ([-1, np.nan, 1, 1], r"y must have -1 where the component is not known; got 1 missing"),
        ([0.0, np.nan, 1, np.nan], r"y must have -1 where.*got 2 missing values \(nan\)"),
        ([0, None, 1, 1], r"y must have -1 where.*missing values \(None\)"),
        (pd.array([0, pd.NA, 1, 1], dtype="Int64"), "y must have -1 where.*got 1 missing"),
        (np.ma.masked_equal([0, 7, 1, 1], 7), "y must not have masked entries"),
        ([[-1, 0], [1, 1], [0, 0], [2, 2]], r"got shape \(4, 2\)"),
    ],
)
def test_bad_labels_are_named(y, message):
    with pytest.raises(ValueError, match=message):
        check_partial_labels(y, 4, 3)


def test_columns_of_mixed_type_are_read():
    for y in (["-1", "0", "2", "-1"], np.array([-1, 0, 2, -1], dtype=object)):
        assert check_partial_labels(y, 4, 3).tolist() == [-1, 0, 2, -1]
    with pytest.raises(ValueError, match="y must be whole numbers.*'cat'"):
        check_partial_labels(["-1", "cat", "dog", "-1"], 4, 3)


@pytest.mark.parametrize("y", [None, [0, 1, 2, 9], ["a", "b", "c", "d"]])
def test_labels_without_an_unlabelled_point_are_not_looked_at(y):
    assert np.array_equal(check_partial_labels(y, 4, 3), [-1] * 4)


@pytest.fixture
def blobs(rng):
    centres = np.array([[0, 0, 0], [6, 6, 0], [0, 6, 6]])
    truth = np.repeat([0, 1, 2], 40)
    return centres[truth] + rng.normal(size=(120, 3)), truth


def test_labelled_points_hold_their_component(blobs):
    X, truth = blobs
    y = np.full(120, -1)
    y[[0, 1, 40, 41, 80, 81]] = [2, 2, 0, 0, 1, 1]  # named otherwise than k-means would
    model = MixtureOfNetworks(**QUICK).fit(X, y)
    assert np.array_equal(model.labels_[y >= 0], y[y >= 0])
    assert (model.labels_ == np.array([2, 0, 1])[truth]).mean() > 0.95
    wrong = y.copy()
    wrong[2] = 0  # a point deep inside a cluster of another name
    model = MixtureOfNetworks(**QUICK).fit(X, wrong)
    assert model.labels_[2] == 0 and model.predict(X[2:3])[0] == 2


@pytest.mark.parametrize("pipe", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_fit_predict_knows_the_labels(blobs, pipe):
    X, truth = blobs
    y = np.full(120, -1)
    y[::4] = ((truth + 1) % 3)[::4]
    model = MixtureOfNetworks(**QUICK)
    found = (
        make_pipeline(StandardScaler(), model).fit_predict(X, y)
        if pipe
        else (model.fit_predict(X, y))
    )
    assert np.array_equal(found[y >= 0], y[y >= 0])
    assert (found == (truth + 1) % 3).mean() > 0.95


def test_labels_after_a_fit_without(blobs):
    """A continued training renames its networks, so that they keep what they have learnt."""
    X, truth = blobs
    model = MixtureOfNetworks(**QUICK, warm_start=True).fit(X, init_labels=truth)
    old = [t.clone() for t in model.bank_.tensors()]
    y = np.full(120, -1)
    y[::4] = ((truth + 1) % 3)[::4]
    model.set_params(t2=0).fit(X, y)
    for before, after in zip(old, model.bank_.tensors(), strict=True):
        assert torch.equal(before, after[[1, 2, 0]])
    assert (model.labels_ == (truth + 1) % 3).mean() > 0.95


def test_all_labels_change_nothing(blobs):
    X, truth = blobs
    short = {**QUICK, "t1": 2, "t2": 2}
    one, other = (MixtureOfNetworks(**short).fit(X, y) for y in (None, truth))
    assert np.array_equal(one.log_likelihood_, other.log_likelihood_)
