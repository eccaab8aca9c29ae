"""The bank of critics against separate critics, each with torch's Adam."""

import math
from itertools import chain

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from mixnet_core.objectives.adversarial import Adversarial

SCALE, K, P = 0.7, 4, 3
# Which networks take part in each step, in whatever order.
STEPS = ([0, 1, 2, 3], [2, 0], [3], [1, 3, 0], [0, 1, 2, 3])


def prepared(seed=0, double=True, **settings):
    objective = Adversarial(**{"hidden": 8, "lr": 0.01} | settings)
    objective.prepare(K, P, SCALE, torch.Generator().manual_seed(seed))
    if double:
        objective.tensors = [t.double() for t in objective.tensors]
        objective.slots = [[t.double() for t in slot] for slot in objective.slots]
        objective.centres, objective.counts = objective.centres.double(), objective.counts.double()
    return objective


def batch(g, a, n=6):
    x = torch.rand(a, n, P, generator=g, dtype=torch.float64)
    return x, torch.rand(a, n, P, generator=g, dtype=torch.float64) + 0.3


def ragged(g, a, n=6):
    return torch.arange(n) < torch.randint(1, n + 1, (a, 1), generator=g)


class Separate:
    """One critic as torch has it."""

    def __init__(self, tensors, j, objective):
        layers = []
        for weight, bias in zip(tensors[:3], tensors[3:], strict=True):
            layer = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[2]).double()
            layer.weight.data.copy_(weight[j].T)
            layer.bias.data.copy_(bias[j, 0])
            layers += [layer, nn.LeakyReLU(0.2)]
        self.net = nn.Sequential(*layers[:-1])
        self.adam = torch.optim.Adam(self.net.parameters(), lr=objective.lr, betas=objective.betas)
        self.centre = None

    def see(self, points):
        return self.net((points - self.centre) / (SCALE / math.sqrt(2 * P)))[:, 0]

    def __call__(self, x, y):
        if self.centre is None:
            self.centre = x.mean(0)
        real, false = self.see(x), self.see(y.detach())
        loss = binary_cross_entropy_with_logits(real, torch.ones_like(real))
        loss = loss + binary_cross_entropy_with_logits(false, torch.zeros_like(false))
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        fooled = self.see(y)
        return binary_cross_entropy_with_logits(fooled, torch.ones_like(fooled))


@pytest.mark.parametrize("masked", [False, True])
def test_steps_equal_those_of_separate_critics(masked, g):
    objective = prepared()
    critics = [Separate(objective.tensors, j, objective) for j in range(K)]
    for step in STEPS:
        x, y = batch(g, len(step))
        y.requires_grad_()
        mask = ragged(g, len(step)) if masked else None
        losses = objective(x, y, mask, torch.tensor(step))
        (gradient,) = torch.autograd.grad(losses.sum(), y)
        for a, j in enumerate(step):
            expected = critics[j](x[a] if mask is None else x[a][mask[a]], y[a])
            torch.testing.assert_close(losses[a], expected, rtol=1e-7, atol=1e-9)
            (theirs,) = torch.autograd.grad(expected, y)
            torch.testing.assert_close(gradient[a], theirs[a], rtol=1e-6, atol=1e-9)
    assert objective.counts.tolist() == [4, 3, 3, 4]
    for j, critic in enumerate(critics):
        linear = [layer for layer in critic.net if isinstance(layer, nn.Linear)]
        theirs = [m.weight.T for m in linear] + [m.bias[None] for m in linear]
        for ours, tensor in zip(objective.tensors, theirs, strict=True):
            torch.testing.assert_close(ours[j], tensor.detach(), rtol=1e-7, atol=1e-9)


def test_absent_critics_keep_everything(g):
    objective = prepared(double=False)
    x, y = batch(g, K)
    objective(x, y, None, torch.arange(K))
    before = objective.state()
    x, y = batch(g, 2)
    objective(x, y, None, torch.tensor([3, 1]))
    after = objective.state()
    for old, new in zip(
        [*before["tensors"], *chain.from_iterable(before["slots"])],
        [*after["tensors"], *chain.from_iterable(after["slots"])],
        strict=True,
    ):
        assert torch.equal(old[[0, 2]], new[[0, 2]])
        assert not torch.equal(old[1], new[1]) and not torch.equal(old[3], new[3])
    assert before["counts"].tolist() == [1, 1, 1, 1]
    assert after["counts"].tolist() == [1, 2, 1, 2]


def test_centre_is_the_mean_of_the_first_batch_only(g):
    objective = prepared()
    x, y = batch(g, 2)
    mask = ragged(g, 2)
    objective(x, y, mask, torch.tensor([2, 0]))
    expected = torch.stack([x[a][mask[a]].mean(0) for a in (1, 0)])
    torch.testing.assert_close(objective.centres[[0, 2], 0], expected)
    objective(x + 5, y, mask, torch.tensor([2, 0]))
    torch.testing.assert_close(objective.centres[[0, 2], 0], expected)
    assert not objective.centres[[1, 3]].any()


def test_gradcheck_under_fixed_critics(g):
    objective = prepared()
    networks = torch.tensor([3, 1])
    x, y = batch(g, 2)
    objective(x, y, None, networks)
    assert torch.autograd.gradcheck(lambda v: objective.loss(v, networks), y.requires_grad_())


def test_critics_learn_to_tell_and_the_generator_is_pushed_to_the_data(g):
    """Against points that stay where they are the loss rises, and downhill leads to the data."""
    objective = prepared(double=False)
    networks = torch.arange(K)
    centre = torch.tensor([0.4, 0.0, 0.0])
    losses = []
    for _ in range(60):
        x = 0.1 * torch.randn(K, 50, P, generator=g)
        y = (0.1 * torch.randn(K, 50, P, generator=g) + centre).requires_grad_()
        loss = objective(x, y, None, networks)
        losses.append(float(loss.detach().mean()))
    assert losses[0] < 1.5 and losses[-1] > 3
    (gradient,) = torch.autograd.grad(loss.sum(), y)
    assert bool((gradient.sum(1)[:, 0] > 0).all())  # -gradient points from 0.4 to 0


def test_first_weights_have_the_stated_variance():
    objective = Adversarial(hidden=64)
    objective.prepare(20, 10, SCALE, torch.Generator().manual_seed(1))
    shapes = [tuple(t.shape) for t in objective.tensors]
    assert shapes == [(20, 10, 64), (20, 64, 64), (20, 64, 1), (20, 1, 64), (20, 1, 64), (20, 1, 1)]
    for weight in objective.tensors[:3]:
        expected = math.sqrt(2 / 1.04 / weight.shape[1])
        assert abs(float(weight.std()) / expected - 1) < 0.05
    assert not any(bias.any() for bias in objective.tensors[3:])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"hidden": 0}, "hidden must be a positive number; got 0"),
        ({"hidden": 1.5}, "hidden must be a whole number; got 1.5"),
        ({"lr": -1.0}, "lr must be a positive number; got -1.0"),
        ({"betas": (0.5,)}, r"betas must be two numbers.*got \(0.5,\)"),
        ({"betas": (0.5, 1.0)}, r"betas must be two numbers.*got \(0.5, 1.0\)"),
        ({"weight_decay": -0.1}, "weight_decay must be zero or more; got -0.1"),
    ],
)
def test_bad_settings_are_named(settings, words):
    with pytest.raises(ValueError, match=words):
        Adversarial(**settings)
