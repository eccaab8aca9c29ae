"""MMD² to the density of eq. 4: against sampled noise, against plain MMD², and what it learns."""

import math

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from mixnet_core.mixture import MixtureOfNetworks
from mixnet_core.objectives import GaussianMMD, SmoothedMMD
from mixnet_core.selection import residual_scale

NETWORKS = torch.arange(2)


def prepared(objective, noise=0.0, scale=0.8):
    objective.prepare(2, 3, scale, torch.Generator())
    objective.noise = noise
    return objective


def batches(g, m=6, n=5, p=3):
    return (torch.rand(2, m, p, generator=g, dtype=torch.float64),
            torch.rand(2, n, p, generator=g, dtype=torch.float64))


@pytest.mark.parametrize("mask", [None, torch.tensor([[1, 1, 1, 1, 1, 1], [0, 1, 1, 0, 1, 0]])])
def test_it_is_the_mean_over_the_noise(g, mask):
    x, y = batches(g)
    mask = mask if mask is None else mask.bool()
    width, noise, scale = 0.5, 0.3, 0.8
    ours = prepared(SmoothedMMD([width]), noise)
    plain = prepared(GaussianMMD([width]))
    factor = (1 + (noise / (width * scale)) ** 2) ** (3 / 2)
    draws = [plain(x, y + noise * torch.randn(y.shape, generator=g, dtype=y.dtype), mask, NETWORKS)
             for _ in range(6000)]
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


def test_gradient(g):
    x, y = batches(g)
    objective = prepared(SmoothedMMD(), 0.2)
    assert torch.autograd.gradcheck(
        lambda y: objective(x, y, None, NETWORKS), y.requires_grad_(), atol=1e-8)


def test_residual_scale_is_the_noise_of_probabilistic_pca(rng):
    X = rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6)) + 3
    labels = np.repeat([0, 1, 2], [200, 96, 4])  # the last says nothing: too few points
    expected = [(n, PCA(3).fit(X[labels == c]).noise_variance_) for c, n in ((0, 200), (1, 96))]
    expected = math.sqrt(sum(n * v for n, v in expected) / 296)
    found = residual_scale(torch.from_numpy(X), torch.from_numpy(labels), 3)
    assert found == pytest.approx(expected, rel=1e-6)
    assert residual_scale(torch.from_numpy(X), torch.from_numpy(labels), 6) == 0


def test_noise_is_left_to_the_kernel(rng):
    """A line with noise in 20 other directions: bare samples must stretch, these need not."""
    z = rng.uniform(-1, 1, size=(2000, 1))
    X = np.hstack([z, np.zeros((2000, 20))]) + 0.25 * rng.normal(size=(2000, 21))
    scores = {}
    for objective in ("mmd", "smoothed_mmd"):
        model = MixtureOfNetworks(
            1, "1-32-x", objective, optimizer="adam", lr=3e-3, t1=15, t2=0, min_updates=0,
            n_samples=300, n_final_samples=300,
        ).fit(X.astype(np.float32))
        scores[objective] = model.score(X)
    truth = 20 * -0.5 * math.log(2 * math.pi * math.e * 0.25**2)  # entropy of the noise alone
    assert scores["mmd"] + 0.5 < scores["smoothed_mmd"] < truth
