"""Ways to name an objective, and a user's own function or class at the door."""

import numpy as np
import pytest
import torch

from mixnet_core.bank import DenseBank
from mixnet_core.em import algorithm_1_epoch
from mixnet_core.mmd import GaussianMMD
from mixnet_core.objectives.base import FunctionObjective, Objective
from mixnet_core.objectives.registry import OBJECTIVES, make_objective
from mixnet_core.objectives.sliced import SlicedWasserstein
from mixnet_core.optimizers import BankTrainer
from mixnet_core.training.adam import Adam


def prepared(objective):
    objective = make_objective(objective)
    objective.prepare(4, 3, 0.7, torch.Generator().manual_seed(0))
    return objective


def batch(g):
    return torch.rand(3, 6, 3, generator=g), torch.rand(3, 6, 3, generator=g) + 0.3


def squared_means(x, y, mask):
    weight = torch.ones_like(x[..., :1]) if mask is None else mask.unsqueeze(2).to(x)
    return ((x * weight).sum(1) / weight.sum(1) - y.mean(1)).square().sum(1)


def test_a_function_is_an_objective(g):
    objective = prepared(squared_means)
    assert isinstance(objective, FunctionObjective) and objective.state() == {}
    x, y = batch(g)
    found = objective(x, y, None, torch.arange(3))
    np.testing.assert_allclose(found, ((x.mean(1) - y.mean(1)) ** 2).sum(1), rtol=1e-6)
    assert objective.plain()["function"].endswith("test_base.squared_means")
    with pytest.raises(ValueError, match="squared_means.*must be handed in again"):
        make_objective(objective.plain())


def test_a_function_moves_the_mean_of_the_samples(g):
    x, labels = torch.rand(60, 2, generator=g) * 0.2 + 0.6, torch.zeros(60, dtype=torch.int64)
    bank = DenseBank("2-8-2", 1, torch.Generator().manual_seed(0))
    training = BankTrainer(bank, squared_means, Adam(lr=0.01), [torch.Generator().manual_seed(1)])
    for _ in range(60):
        algorithm_1_epoch(training, x, labels, 20, g)
    samples = bank.sample(1000, torch.Generator().manual_seed(2))
    np.testing.assert_allclose(samples[0].mean(0), x.mean(0), atol=0.03)


def test_the_trainer_says_which_networks_it_trains(g):
    """Point i of cluster j lies near j; the longest queue comes first, the empty one never."""
    seen = []

    class Watch(Objective):
        def __call__(self, x, y, mask, networks):
            clusters = [points[keep].round().unique() for points, keep in zip(x, mask, strict=True)]
            assert [c.tolist() for c in clusters] == [[float(j)] for j in networks]
            seen.append(networks.tolist())
            return y.mean((1, 2))

    sizes = [3, 12, 0, 21]
    labels = torch.cat([torch.full((n,), j) for j, n in enumerate(sizes)])
    x = labels[:, None] + 0.2 * torch.rand(36, 1, generator=g)
    bank = DenseBank("2-4-1", 4, torch.Generator().manual_seed(0))
    generators = [torch.Generator().manual_seed(j) for j in range(4)]
    training = BankTrainer(bank, Watch(), Adam(lr=0.01), generators)
    algorithm_1_epoch(training, x, labels, 5, g)
    assert seen == [[3, 1, 0], [3, 1], [3], [3]]


BAD_FUNCTIONS = {
    "one loss for all": (
        lambda x, y, mask: (x - y).square().mean(),
        ValueError,
        r"shape \(2,\); got shape \(\)",
    ),
    "one loss a point": (
        lambda x, y, mask: (x - y).square().mean(2),
        ValueError,
        r"shape \(2,\); got shape \(2, 8",
    ),
    "a number": (lambda x, y, mask: 1.0, TypeError, "must return a tensor of floats; got float"),
    "integers": (
        lambda x, y, mask: torch.ones(2, dtype=torch.int64),
        TypeError,
        "floats; got torch.int64",
    ),
    "root of a negative": (
        lambda x, y, mask: (-y.square().sum((1, 2))).sqrt(),
        ValueError,
        "must be finite; got",
    ),
    "infinite with a mask": (
        lambda x, y, mask: y.mean((1, 2)) * (1.0 if mask is None else float("inf")),
        ValueError,
        "with a mask, must be finite",
    ),
    "no gradient": (lambda x, y, mask: y.detach().mean((1, 2)), ValueError, "must have a gradient"),
    "no part of y": (
        lambda x, y, mask: x.mean((1, 2)).requires_grad_(),
        ValueError,
        "must have a gradient",
    ),
    "a root at zero": (
        lambda x, y, mask: (y - y).square().sum((1, 2)).sqrt() + y.mean((1, 2)),
        ValueError,
        "must have a finite gradient",
    ),
    "networks mixed": (
        lambda x, y, mask: (x - y).square().mean().expand(2),
        ValueError,
        "must not mix networks",
    ),
}


@pytest.mark.parametrize("case", BAD_FUNCTIONS)
def test_a_bad_function_is_told_at_the_door(case):
    function, error, words = BAD_FUNCTIONS[case]
    with pytest.raises(error, match=words):
        prepared(function)


def test_an_error_inside_a_function_says_where_it_came_from():
    def breaks(x, y, mask):
        return x[:, 99]

    with pytest.raises(IndexError) as caught:
        prepared(breaks)
    assert "breaks, tried on x and y of shape (2, 8, 3) without a mask" in caught.value.__notes__[0]


def test_names_and_misspellings():
    assert [type(make_objective(name)) for name in OBJECTIVES] == list(OBJECTIVES.values())
    for wrong, meant in (("mdm", "mmd"), ("Energy", "energy"), ("sliced", "sliced_wasserstein")):
        with pytest.raises(ValueError, match=f"got {wrong!r}; did you mean {meant!r}"):
            make_objective(wrong)
    with pytest.raises(ValueError, match=r"one of mmd, .*got 'xyzzy'$"):
        make_objective("xyzzy")
    for wrong in (GaussianMMD, 3, None):
        with pytest.raises(TypeError, match="objective must be a name"):
            make_objective(wrong)
    with pytest.raises(TypeError, match="widht"):
        make_objective({"name": "mmd", "widht": [1.0]})


def test_an_own_class_needs_no_more_than_a_call(g):
    class Means(Objective):
        settings = ("power",)

        def __init__(self, power=2):
            self.power = power

        def __call__(self, x, y, mask, networks):
            return ((x.mean(1) - y.mean(1)).abs() ** self.power).sum(1)

    objective = prepared(Means(4))
    assert objective.plain() == {"name": "Means", "power": 4}
    assert repr(objective) == "Means(power=4)"
    assert objective(*batch(g), None, torch.arange(3)).shape == (3,)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0, 2, 1.0), "n_components must be a positive number; got 0"),
        ((3, 0, 1.0), "n_features must be a positive number; got 0"),
        ((3, 2, 0.0), "scale must be a positive number; got 0.0"),
        ((3, 2, float("nan")), "scale must be a positive number; got nan"),
        ((3, 2, torch.ones(2)), "scale must be a positive number; got tensor"),
    ],
)
def test_preparation_checks_its_numbers(arguments, words):
    with pytest.raises(ValueError, match=words):
        SlicedWasserstein().prepare(*arguments, torch.Generator())
