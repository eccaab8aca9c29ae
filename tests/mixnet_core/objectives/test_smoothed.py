"""MMD² to the density of eq. 4: against sampled noise, against plain MMD², and what it learns."""

import math

import numpy as np
import pytest
import torch

from mixnet_core.mixture import MixtureOfNetworks
from mixnet_core.mmd import GaussianMMD
from mixnet_core.objectives.smoothed import SmoothedMMD

NETWORKS = torch.arange(2)


def prepared(objective, noise=0.0, scale=0.8):
    objective.prepare(2, 3, scale, torch.Generator())
    objective.noise = noise
    return objective


def batches(g, m=6, n=5, p=3):
    return (
        torch.rand(2, m, p, generator=g, dtype=torch.float64),
        torch.rand(2, n, p, generator=g, dtype=torch.float64),
    )


@pytest.mark.parametrize("mask", [None, torch.tensor([[1, 1, 1, 1, 1, 1], [0, 1, 1, 0, 1, 0]])])
def test_it_is_the_mean_over_the_noise(g, mask):
    x, y = batches(g)
    mask = mask if mask is None else mask.bool()
    width, noise, scale = 0.5, 0.3, 0.8
    ours = prepared(SmoothedMMD([width]), noise)
    plain = prepared(GaussianMMD([width]))
    factor = (1 + (noise / (width * scale)) ** 2) ** (3 / 2)
    draws = [
        plain(x, y + noise * torch.randn(y.shape, generator=g, dtype=y.dtype), mask, NETWORKS)
        for _ in range(6000)
    ]
    draws = factor * torch.stack(draws)
    error = draws.std(0) / math.sqrt(len(draws))
    assert ((ours(x, y, mask, NETWORKS) - draws.mean(0)).abs() < 4 * error).all()
    whole = factor * plain.value(x, y, mask)  # with the term of the data, which has no noise
    part = factor * plain(x, y, mask, NETWORKS)
    torch.testing.assert_close(ours.value(x, y, mask) - ours(x, y, mask, NETWORKS), whole - part)


def test_without_noise_it_is_mmd(g):
    x, y = batches(g)
    for one, other in ((SmoothedMMD(), GaussianMMD()), (SmoothedMMD([2.0]), GaussianMMD([2.0]))):
        a, b = prepared(one)(x, y, None, NETWORKS), prepared(other)(x, y, None, NETWORKS)
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("mask", [None, torch.tensor([[1, 1, 1, 1, 1, 1], [0, 1, 1, 0, 1, 0]])])
@pytest.mark.parametrize("kind", [GaussianMMD, SmoothedMMD])
def test_the_closed_form_is_the_gradient(g, kind, mask):
    """Of the loss by autograd, and that by finite differences; one noise for each network."""
    x, y = batches(g)
    mask = mask if mask is None else mask.bool()
    objective = prepared(kind(), torch.tensor([0.2, 0.7], dtype=torch.float64))
    assert torch.autograd.gradcheck(
        lambda y: objective(x, y, mask, NETWORKS), y.clone().requires_grad_(), atol=1e-8
    )
    leaf = y.clone().requires_grad_()
    (expected,) = torch.autograd.grad(objective(x, leaf, mask, NETWORKS).sum(), leaf)
    torch.testing.assert_close(objective.gradient(x, y, mask, NETWORKS), expected)


def test_each_network_has_its_own_noise(g):
    x, y = batches(g)
    both = prepared(SmoothedMMD(), torch.tensor([0.2, 0.7], dtype=torch.float64))
    loss = both(x, y, None, NETWORKS)
    for j, noise in enumerate((0.2, 0.7)):
        alone = prepared(SmoothedMMD(), noise)(x[j : j + 1], y[j : j + 1], None, NETWORKS[:1])
        torch.testing.assert_close(loss[j : j + 1], alone)


def test_noise_is_left_to_the_kernel(rng):
    """A line with noise in 20 other directions: bare samples must stretch, these need not."""
    z = rng.uniform(-1, 1, size=(2000, 1))
    X = np.hstack([z, np.zeros((2000, 20))]) + 0.25 * rng.normal(size=(2000, 21))
    scores = {}
    for objective in ("mmd", "smoothed_mmd"):
        model = MixtureOfNetworks(
            1,
            "1-32-x",
            "mixnet",
            objective,
            optimizer="adam",
            lr=3e-3,
            t1=15,
            t2=0,
            min_updates=0,
            n_samples=300,
            n_final_samples=300,
        ).fit(X.astype(np.float32))
        scores[objective] = model.score(X)
    truth = 20 * -0.5 * math.log(2 * math.pi * math.e * 0.25**2)  # entropy of the noise alone
    assert scores["mmd"] + 0.5 < scores["smoothed_mmd"] < truth
