"""When Algorithm 2 has saturated, and the state it goes back to, for prescribed likelihoods."""

import numpy as np
import pytest
import torch

from mixnet_core.training.watch import Watch, dead_components, taken_over


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
