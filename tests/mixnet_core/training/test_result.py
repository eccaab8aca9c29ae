"""When a training ends, what it keeps, and what it warns of."""

import warnings

import pytest
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning

from mixnet_core import em
from mixnet_core.mixture import MixtureOfNetworks

QUICK = dict(
    n_components=3,
    structure="2-16-x",
    t1=10,
    t2=4,
    batch_size=10,
    n_samples=100,
    n_final_samples=300,
    random_state=3,
)


@pytest.fixture
def X():
    return make_blobs(240, 4, centers=3, cluster_std=0.7, random_state=1)[0]


def caught(X, **settings):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        model = MixtureOfNetworks(**QUICK | settings).fit(X)
    return model, [str(w.message) for w in found if w.category is ConvergenceWarning]


def test_a_fit_ended_by_the_cap_says_so(X):
    model, words = caught(X)
    assert len(words) == 1 and "ended by t2=4" in words[0] and "patience=" in words[0]
    assert not model.converged_ and model.values_["ended_by"] == "cap"
    model, words = caught(X, t2=200, patience=2, cuts=0)
    assert not words and model.converged_ and model.values_["ended_by"] == "saturation"
    assert model.n_iter_ < 200
    assert not caught(X, t2=0)[1]  # none was asked for


def test_dead_components_are_named_with_their_numbers(X, monkeypatch):
    def leave(trainer, *args):  # network 1 goes far away from all points
        trainer.bank.biases[-1].data[1] += 100

    monkeypatch.setattr(em, "algorithm_2_iteration", leave)
    monkeypatch.setattr(em, "drawn_epoch", lambda *args: None)
    model, words = caught(
        X, keep="last", revive=False, batches="rearranged", kernel="component", last_layer="cluster"
    )
    assert model.values_["dead_components"] == 1 == model.values_["empty_components"]
    assert "1 of 3 components are dead" in words[0] and "1 (0 of " in words[0]
    assert model.history_["empty"] == [0, 1, 1, 1, 1]
    model, words = caught(
        X, revive=True, batches="rearranged", kernel="component", last_layer="cluster"
    )
    assert model.values_["dead_components"] == 0 and model.values_["kept_iteration"] == 0
    assert model.values_["cuts"] == 1 and model.history_["lr"][-1] < model.history_["lr"][0]


@pytest.mark.parametrize("recipe", ["mixnet", "mixnet+"])
def test_algorithm_2_never_ends_below_algorithm_1(X, recipe, monkeypatch):
    """Each iteration spoils the networks; what is kept is what Algorithm 1 left."""
    before = caught(X, recipe=recipe, t2=0)[0]
    drawn = em.drawn_epoch

    def spoil(trainer, *args):
        for t in trainer.bank.tensors():
            t.mul_(0.5).add_(0.3)

    def spoil_soft(trainer, x, m, *args):
        hard = bool(((m == 0) | (m == 1)).all())
        return drawn(trainer, x, m, *args) if hard else spoil(trainer)

    monkeypatch.setattr(em, "algorithm_2_iteration", spoil)
    monkeypatch.setattr(em, "drawn_epoch", spoil_soft)
    after = caught(X, recipe=recipe, t2=3)[0]
    assert after.values_["kept_iteration"] <= 0 and after.n_iter_ == 3
    assert after.score(X) == pytest.approx(before.score(X), abs=1e-4)
    last = caught(X, recipe=recipe, t2=3, keep="last")[0]
    assert last.score(X) < before.score(X)  # the case tells something


def test_an_explicit_length_of_algorithm_1_is_kept():
    """178 rows, t1=5: five epochs, whatever the recipe's least number of updates is."""
    X = make_blobs(178, 5, centers=3, random_state=0)[0]
    model, _ = caught(X, t1=5, t2=5)
    assert model.values_["t1"] == 5 and model.n_iter_ == 5
    assert caught(X, t1=5, t2=0, min_updates=60)[0].values_["t1"] > 5  # both asked for: both hold
