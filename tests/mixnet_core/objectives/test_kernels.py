"""Objectives by kernels against double loops, closed forms for Gaussians, and scipy."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from scipy.stats import energy_distance

from mixnet_core.mmd import GaussianMMD, mmd2, mmd2_gradient_part
from mixnet_core.objectives.kernels import EnergyDistance, RationalQuadraticMMD

SCALE = 0.7
# Each objective and its kernel as a function of the distance, from the formula.
KERNELS = {
    "mmd": (
        GaussianMMD((0.3, 1.1)),
        lambda d: sum(math.exp(-((d / (m * SCALE)) ** 2) / 2) for m in (0.3, 1.1)) / 2,
    ),
    "rational_quadratic": (
        RationalQuadraticMMD((0.2, 3.0)),
        lambda d: sum((1 + d**2 / (2 * a * SCALE**2)) ** -a for a in (0.2, 3.0)) / 2,
    ),
    "energy": (EnergyDistance(), lambda d: -d / SCALE),
}


def eq_9(x, y, k):
    """Eq. 9 word for word with a kernel of the distance, in float64."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    m, n = len(x), len(y)

    def mean(a, b, pairs):
        values = [k(math.sqrt(float(((a[i] - b[j]) ** 2).sum()))) for i, j in pairs]
        return sum(values) / len(values) if values else 0.0

    xx = mean(x, x, [(i, j) for i in range(m) for j in range(m) if j != i])
    yy = mean(y, y, [(i, j) for i in range(n) for j in range(n) if j != i])
    return xx + yy - 2 * mean(x, y, [(i, j) for i in range(m) for j in range(n)])


def prepared(objective, p=4, scale=SCALE):
    objective.prepare(4, p, scale, torch.Generator().manual_seed(0))
    return objective


def batch(g, a=3, m=7, n=5, p=4, dtype=torch.float64):
    return (
        torch.rand(a, m, p, generator=g, dtype=dtype),
        torch.rand(a, n, p, generator=g, dtype=dtype),
    )


def ragged(n_networks=3, size=7):
    mask = torch.arange(size) < torch.tensor([7, 4, 1])[:n_networks].unsqueeze(1)
    mask[1] = mask[1].flip(0)
    return mask


@pytest.mark.parametrize("name", KERNELS)
def test_objectives_against_the_double_loop(name, g):
    objective, kernel = prepared(KERNELS[name][0]), KERNELS[name][1]
    x, y = batch(g)
    expected = [eq_9(x[a], y[a], kernel) for a in range(3)]
    np.testing.assert_allclose(objective.value(x, y), expected, rtol=1e-9, atol=1e-12)
    mask = ragged()
    x[~mask] = 55.0
    expected = [eq_9(x[a][mask[a]], y[a], kernel) for a in range(3)]
    np.testing.assert_allclose(objective.value(x, y, mask), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("masked", [False, True])
def test_what_is_minimised_has_the_gradient_of_the_value(name, masked, g):
    objective = prepared(KERNELS[name][0])
    x, y = batch(g)
    mask, networks = ragged() if masked else None, torch.arange(3)
    gradients = []
    for f in (lambda v: objective.value(x, v, mask), lambda v: objective(x, v, mask, networks)):
        leaf = y.clone().requires_grad_()
        gradients.append(torch.autograd.grad(f(leaf).sum(), leaf)[0])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-10, atol=1e-14)
    assert torch.autograd.gradcheck(lambda v: objective(x, v, mask, networks), y.requires_grad_())


def test_the_paper_objective_is_mmd2_to_the_bit(g):
    objective = prepared(GaussianMMD((0.25, 0.5)))
    x, y = batch(g, dtype=torch.float32)
    for mask in (None, ragged()):
        expected = mmd2_gradient_part(x, y, [0.25 * SCALE, 0.5 * SCALE], mask)
        assert torch.equal(objective(x, y, mask, torch.arange(3)), expected)


@pytest.mark.parametrize("name", KERNELS)
def test_values_are_unbiased_about_zero_for_equal_distributions(name, g):
    draws = 4000
    objective = prepared(KERNELS[name][0])
    x, y = batch(g, a=draws, m=5, n=5, p=3)
    mask = torch.arange(5) < torch.randint(2, 6, (draws, 1), generator=g)
    for values in (objective.value(x, y).numpy(), objective.value(x, y, mask).numpy()):
        assert values.min() < 0 < values.max()
        assert abs(values.mean()) < 4 * values.std() / math.sqrt(draws)


def test_rational_quadratic_kernels_become_gaussian(g):
    """(1 + t / α)^-α → exp(-t): for a large α the kernel is the Gaussian one of width w."""
    x, y = batch(g)
    value = prepared(RationalQuadraticMMD([1e8])).value(x, y)
    torch.testing.assert_close(value, mmd2(x, y, [SCALE]), rtol=1e-6, atol=1e-8)


def test_rational_quadratic_kernels_reach_far(g):
    """Points 60 w away from the data are still drawn to them; by Gaussian kernels they are not."""
    x, pulls = torch.zeros(1, 5, 2), []
    for objective in (RationalQuadraticMMD(), GaussianMMD()):
        y = torch.tensor([60 * SCALE, 0.0]).repeat(1, 5, 1).requires_grad_()
        loss = prepared(objective, p=2)(x, y, None, torch.arange(1))
        pulls.append(float(torch.autograd.grad(loss.sum(), y)[0][0, 0, 0]))
    assert pulls[0] > 1e-4 and pulls[1] == 0


@pytest.mark.parametrize(("m", "n"), [(6, 6), (4, 9)])
def test_energy_distance_against_scipy(m, n, g):
    """scipy's is the root of the biased statistic, which counts each point with itself."""
    x, y = batch(g, m=m, n=n, p=1)
    found = prepared(EnergyDistance(), p=1).value(x, y) * SCALE
    for a in range(3):
        biased = energy_distance(x[a, :, 0].numpy(), y[a, :, 0].numpy()) ** 2
        sums = [2 * pdist(points[a].numpy()).sum() for points in (x, y)]
        bias = sum(s / size**2 / (size - 1) for s, size in zip(sums, (m, n), strict=True))
        np.testing.assert_allclose(found[a], biased - bias, rtol=1e-10)


def test_energy_distance_of_gaussians(g):
    """N(0, 0.3²) and N(0.4, 0.5²): E|x - y| is the mean of a folded normal."""

    def folded(shift, variance):
        return math.sqrt(2 * variance / math.pi) * math.exp(
            -(shift**2) / (2 * variance)
        ) + shift * math.erf(shift / math.sqrt(2 * variance))

    draws = 4000
    x = torch.randn(draws, 6, 1, generator=g, dtype=torch.float64) * 0.3
    y = torch.randn(draws, 4, 1, generator=g, dtype=torch.float64) * 0.5 + 0.4
    expected = (2 * folded(0.4, 0.34) - folded(0, 0.18) - folded(0, 0.5)) / SCALE
    values = prepared(EnergyDistance(), p=1).value(x, y).numpy()
    error = values.std() / math.sqrt(draws)
    assert error < 0.1 * expected
    assert abs(values.mean() - expected) < 4 * error


def test_energy_distance_where_points_coincide():
    """Two points at one place do not pull at each other; everything else stays finite and right."""
    x = torch.tensor([[[0.0, 0.0], [3.0, 4.0]]], dtype=torch.float64)
    y = torch.zeros(1, 2, 2, dtype=torch.float64, requires_grad=True)
    loss = prepared(EnergyDistance(), p=2)(x, y, None, torch.arange(1))
    (gradient,) = torch.autograd.grad(loss.sum(), y)
    # 2 E|x - y| has 2 / (2 · 2) for each pair; the only pairs apart are with (3, 4), 5 away
    expected = torch.tensor([-3 / 5, -4 / 5], dtype=torch.float64) / 2 / SCALE
    torch.testing.assert_close(gradient, expected.expand(1, 2, 2))


@pytest.mark.parametrize("name", KERNELS)
def test_one_generated_point_has_no_unbiased_estimate(name):
    objective = prepared(KERNELS[name][0])
    with pytest.raises(ValueError, match=r"y must hold at least 2 points a batch.*\(3, 1, 4\)"):
        objective(torch.rand(3, 5, 4, generator=torch.Generator()), torch.zeros(3, 1, 4), None, [])


@pytest.mark.parametrize("kind", [GaussianMMD, RationalQuadraticMMD])
@pytest.mark.parametrize("bad", [(), (0.5, 0.0), (-1,), (math.nan,), (math.inf,), "0.5", 0.5, None])
def test_bad_widths_are_named(kind, bad):
    with pytest.raises(ValueError, match="(widths|alphas).*positive number"):
        kind(bad)
