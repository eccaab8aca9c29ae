"""When a training ends, what it keeps, and what it warns of."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning

from mixnet_core import em
from mixnet_core.em import Watch, dead_components, running_mean, taken_over
from mixnet_core.mixture import MixtureOfNetworks

QUICK = dict(
    n_components=3, structure="2-16-x", t1=10, t2=4, batch_size=10, n_samples=100,
    n_final_samples=300, random_state=3,
)


class Course:
    """A training with prescribed held-out likelihoods; its state is the iteration."""

    def __init__(self, watch, values, counts=None):
        self.watch, self.values, self.all_counts = watch, values, counts or {}
        self.start_counts = torch.tensor([50, 50])
        self.history = {"heldout": []}
        self.trainer = type("T", (), {"optimizer": type("O", (), {"lr": 1.0})()})()
        self.iteration, self.at, self.rates, self.returned = 0, 0, [], []

    def snapshot(self):
        return {"iteration": self.iteration}

    def return_to(self, state):
        self.returned.append(state["iteration"])

    def counts(self):
        return torch.tensor(self.all_counts.get(self.iteration, [50, 50]))

    def run(self):
        self.watch.begin(self)
        for value in self.values:
            self.iteration += 1
            self.history["heldout"].append(value)
            self.watch.look(self)
            self.rates.append(self.trainer.optimizer.lr)
            if self.watch.saturated:
                break
        return self


def test_saturation_is_no_rise_for_patience_iterations():
    values = [0.1 * i for i in range(20)] + [2.0] * 100
    course = Course(Watch(patience=15), values).run()
    # The mean of ten reaches 2.0 at iteration 30; the last of its rises by more than 0.01 is there.
    assert course.watch.saturated and course.iteration == 30 + 15
    assert course.watch.best["iteration"] == 30 and course.returned == []


def test_the_state_of_the_best_smoothed_likelihood_is_kept():
    """One lucky value is not the best; the top of the hill is, give or take the smoothing."""
    rng = np.random.default_rng(0)
    hill = 5 - 0.01 * np.square(np.arange(100) - 50.0) + 0.05 * rng.normal(size=100)
    hill[5] = 9.0
    course = Course(Watch(patience=1000), hill.tolist()).run()
    assert 45 <= course.watch.best["iteration"] <= 60


def test_after_saturation_it_goes_back_and_on_with_a_smaller_rate():
    course = Course(Watch(patience=4, cuts=2, cut=0.5), [1.0] + [0.0] * 40).run()
    assert course.returned == [1, 1] and course.watch.cuts_made == 2
    assert course.rates[-1] == 0.25 and course.watch.saturated
    assert course.watch.best["iteration"] == 1


@pytest.mark.parametrize("revive", [True, False])
def test_a_state_with_a_dead_component_is_kept_only_where_that_is_allowed(revive):
    counts = {i: [99, 1] for i in range(5, 100)}
    course = Course(Watch(100, cuts=2, revive=revive), list(range(20)), counts).run()
    assert course.watch.best["iteration"] == (4 if revive else 20)
    assert course.returned == ([4, 4] if revive else [])
    assert [j for _, j in course.watch.deaths][:1] == [1]


def test_dead_and_grown_components():
    start = torch.tensor([100, 100, 10, 0])
    assert dead_components(torch.tensor([5, 4, 1, 0]), start) == [1]
    assert dead_components(torch.tensor([5, 100, 0, 0]), start) == [2]
    assert taken_over(torch.tensor([160, 30, 10, 10]), start) == [0]
    assert taken_over(torch.tensor([120, 80, 10, 0]), start) == []
    assert taken_over(torch.tensor([100]), torch.tensor([100])) == []


def test_the_running_mean_is_of_likelihoods(g):
    old, new = torch.randn(5, 2, generator=g), torch.randn(5, 2, generator=g)
    torch.testing.assert_close(running_mean(old, new, 0.8).exp(), 0.8 * old.exp() + 0.2 * new.exp())
    assert running_mean(old, new, 0) is new


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
    model, words = caught(X, keep="last", revive=False, batches="rearranged", kernel="component",
                          last_layer="cluster")
    assert model.values_["dead_components"] == 1 == model.values_["empty_components"]
    assert "1 of 3 components are dead" in words[0] and "1 (0 of " in words[0]
    assert model.history_["empty"] == [0, 1, 1, 1, 1]
    model, words = caught(X, revive=True, batches="rearranged", kernel="component",
                          last_layer="cluster")
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
