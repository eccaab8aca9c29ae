"""Kernel likelihoods of eq. 4 against scipy in float64."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from mixnet_core import likelihood
from mixnet_core.likelihood import Noise, log_likelihood
from mixnet_core.mmd import squared_distances


def reference(x, samples, width):
    """log (1/S) Σ_r N(x_i; y_r^j, σ² I), straight from the formula in float64."""
    x, samples = x.double().numpy(), samples.double().numpy()
    p = x.shape[1]
    columns = [
        logsumexp(-cdist(x, y, "sqeuclidean") / (2 * width**2), axis=1) - math.log(len(y))
        for y in samples
    ]
    return np.stack(columns, 1) - p / 2 * math.log(2 * math.pi * width**2)


@pytest.mark.parametrize("shape", [(5, 7, 3), (1, 1, 1), (40, 2, 20)])
def test_squared_distances(shape, g):
    n, m, p = shape
    x, y = torch.rand(2, n, p, generator=g), torch.rand(2, m, p, generator=g)
    d2 = squared_distances(x, y)
    for a in range(2):
        np.testing.assert_allclose(d2[a], cdist(x[a], y[a], "sqeuclidean"), atol=1e-5)


def test_squared_distances_are_never_negative(g):
    x = torch.rand(200, 30, generator=g) * 1e-3 + 0.9  # close points: rounding outweighs distance
    d2 = squared_distances(x, x)
    assert (d2 >= 0).all()
    assert d2.diagonal().max() < 1e-4


@pytest.mark.parametrize("width", [0.02, 0.1, 0.5, 3.0])
@pytest.mark.parametrize(("n", "k", "s", "p"), [(60, 3, 50, 2), (31, 2, 200, 32), (9, 4, 1, 5)])
def test_log_likelihood_against_scipy(width, n, k, s, p, g):
    x, samples = torch.rand(n, p, generator=g), torch.rand(k, s, p, generator=g)
    expected = reference(x, samples, width)
    ours = log_likelihood(x, samples, width)
    assert ours.shape == (n, k)
    # float32 distances: the error grows with distance² / (2 σ²).
    np.testing.assert_allclose(ours, expected, rtol=2e-6, atol=2e-5 + 1e-6 * p / width**2)


def test_float64_agrees_to_the_last_digits(g):
    x = torch.rand(20, 4, generator=g, dtype=torch.float64)
    samples = torch.rand(3, 30, 4, generator=g, dtype=torch.float64)
    np.testing.assert_allclose(
        log_likelihood(x, samples, 0.2), reference(x, samples, 0.2), rtol=1e-11, atol=1e-11
    )


def test_far_points_are_finite_and_right(g):
    samples = torch.rand(2, 100, 3, generator=g) * 0.01
    x = torch.tensor([[0.5, 0.5, 0.5], [1.0, 1.0, 1.0], [40.0, -30.0, 5.0]])
    ours = log_likelihood(x, samples, 0.005)
    assert torch.isfinite(ours).all()
    assert ours.max() < -1e3  # exp of any of these is 0 in float32 and most in float64
    np.testing.assert_allclose(ours, reference(x, samples, 0.005), rtol=1e-4)


def test_kernels_far_below_the_largest_do_not_disturb(g):
    near = torch.zeros(1, 1, 2)
    samples = torch.cat([near, torch.full((1, 9, 2), 1.0)], 1)
    x = torch.zeros(1, 2)
    expected = 2 * stats.norm(0, 0.01).logpdf(0) - math.log(10)
    # Half of the squared distance to the mean of the samples is 8100; float32 has 7 digits of it.
    assert float(log_likelihood(x, samples, 0.01)) == pytest.approx(expected, abs=5e-3)
    exact = log_likelihood(x.double(), samples.double(), 0.01)
    assert float(exact) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("entries", [1, 7, 100, 1 << 30])
def test_blocks_do_not_matter(entries, g, monkeypatch):
    x, samples = torch.rand(37, 5, generator=g), torch.rand(3, 20, 5, generator=g)
    whole = log_likelihood(x, samples, 0.3)
    monkeypatch.setattr(likelihood, "BLOCK_ENTRIES", entries)
    torch.testing.assert_close(log_likelihood(x, samples, 0.3), whole, rtol=1e-5, atol=1e-5)


def test_one_sample_is_a_normal_density(g):
    x, y = torch.rand(10, 3, generator=g), torch.rand(1, 1, 3, generator=g)
    expected = stats.multivariate_normal(y[0, 0].numpy(), 0.04 * np.eye(3)).logpdf(x.numpy())
    np.testing.assert_allclose(log_likelihood(x, y, 0.2)[:, 0], expected, atol=1e-4)


@pytest.mark.parametrize("width", [0.1, 0.4])
def test_the_density_integrates_to_one(width, g):
    samples = torch.rand(2, 15, 2, generator=g)
    axis = torch.linspace(-2.5, 3.5, 241)
    grid = torch.cartesian_prod(axis, axis)
    area = float(axis[1] - axis[0]) ** 2
    mass = log_likelihood(grid, samples, width).double().exp().sum(0) * area
    np.testing.assert_allclose(mass, 1.0, atol=1e-3)


def test_inputs_are_left_as_they_were(g):
    x, samples = torch.rand(8, 3, generator=g), torch.rand(2, 6, 3, generator=g)
    copies = x.clone(), samples.clone()
    log_likelihood(x, samples, 0.1)
    assert torch.equal(x, copies[0]) and torch.equal(samples, copies[1])


def test_every_component_has_a_kernel_of_its_own(g):
    """Against scipy: one σ a component, and a full covariance a component."""
    x, samples = torch.rand(12, 3, generator=g), torch.rand(2, 9, 3, generator=g)
    widths = torch.tensor([0.1, 0.4])
    ours = log_likelihood(x, samples, widths)
    for j in range(2):
        np.testing.assert_allclose(
            ours[:, j], reference(x, samples[j : j + 1], float(widths[j]))[:, 0], atol=1e-4
        )
    roots = torch.tril(torch.rand(2, 3, 3, generator=g)) * 0.2 + 0.1 * torch.eye(3)
    ours = log_likelihood(x, samples, Noise(roots))
    for j in range(2):
        covariance = (roots[j] @ roots[j].T).double().numpy()
        logs = [
            stats.multivariate_normal(y.numpy(), covariance).logpdf(x.numpy())
            for y in samples[j].double()
        ]
        np.testing.assert_allclose(ours[:, j], logsumexp(logs, axis=0) - math.log(9), atol=1e-3)


def test_clusters_far_apart_keep_their_digits(g):
    """Own samples decide: a cluster 1000 widths away from the others loses nothing."""
    y = torch.randn(2, 50, 4, generator=g)
    x = torch.randn(20, 4, generator=g)
    there = 1024.0  # exact in float32
    near = log_likelihood(x, y, 0.3)[:, 0]
    far = log_likelihood(x + there, torch.stack([y[0] + there, y[1] - there]), 0.3)[:, 0]
    torch.testing.assert_close(far, near, atol=2e-2, rtol=1e-4)


def test_a_guess_that_is_far_too_low_is_made_good(g):
    """The sample next to a point is not among the first ones, from which the largest is guessed."""
    far = 5 + torch.rand(1, likelihood.PILOTS, 2, generator=g)
    samples = torch.cat([far, torch.rand(1, 3, 2, generator=g)], 1)
    x = torch.rand(7, 2, generator=g)
    np.testing.assert_allclose(
        log_likelihood(x, samples, 0.02), reference(x, samples, 0.02), rtol=1e-3, atol=0.05
    )
