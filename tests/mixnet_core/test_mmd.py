"""Unbiased MMD² (eq. 9) against a double loop and the closed form for Gaussians."""

import math

import numpy as np
import pytest
import torch

from mixnet_core.mmd import mmd2, mmd2_gradient_part

WIDTHS = [0.2, 0.5, 1.3]


def double_loop(x, y, widths):
    """Eq. 9 word for word, averaged over kernels, in float64."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    m, n = len(x), len(y)
    total = 0.0
    for width in widths:

        def k(a, b, width=width):
            return math.exp(-float(((a - b) ** 2).sum()) / (2 * width**2))

        xx = sum(k(x[i], x[j]) for i in range(m) for j in range(m) if j != i)
        yy = sum(k(y[i], y[j]) for i in range(n) for j in range(n) if j != i)
        xy = sum(k(a, b) for a in x for b in y)
        total += (xx / (m * (m - 1)) if m > 1 else 0.0) + yy / (n * (n - 1)) - 2 * xy / (m * n)
    return total / len(widths)


def batch(g, a=3, m=7, n=5, p=4, dtype=torch.float64):
    return (
        torch.rand(a, m, p, generator=g, dtype=dtype),
        torch.rand(a, n, p, generator=g, dtype=dtype),
    )


@pytest.mark.parametrize(("m", "n"), [(7, 5), (2, 2), (3, 9)])
def test_against_the_double_loop(m, n, g):
    x, y = batch(g, m=m, n=n)
    expected = [double_loop(x[a], y[a], WIDTHS) for a in range(3)]
    np.testing.assert_allclose(mmd2(x, y, WIDTHS), expected, rtol=1e-10, atol=1e-12)
    in_float32 = mmd2(x.float(), y.float(), WIDTHS)
    np.testing.assert_allclose(in_float32, expected, atol=2e-5)


def test_a_mask_is_a_shorter_batch(g):
    x, y = batch(g)
    counts = [7, 4, 2]
    mask = torch.arange(7) < torch.tensor(counts).unsqueeze(1)
    mask[1] = mask[1].flip(0)  # padding may stand in front, too
    expected = [double_loop(x[a][mask[a]], y[a], WIDTHS) for a in range(3)]
    np.testing.assert_allclose(mmd2(x, y, WIDTHS, mask), expected, rtol=1e-10, atol=1e-12)
    x[~mask] = 55.0  # what lies under the mask is never looked at
    np.testing.assert_allclose(mmd2(x, y, WIDTHS, mask), expected, rtol=1e-10, atol=1e-12)
    part = mmd2_gradient_part(x, y, WIDTHS, mask)
    short = torch.stack(
        [mmd2_gradient_part(x[a][mask[a]][None], y[a : a + 1], WIDTHS)[0] for a in range(3)]
    )
    torch.testing.assert_close(part, short)


def test_one_data_point(g):
    x, y = batch(g)
    mask = torch.zeros(3, 7, dtype=torch.bool)
    mask[:, 2] = True
    expected = [double_loop(x[a, 2:3], y[a], WIDTHS) for a in range(3)]
    np.testing.assert_allclose(mmd2(x, y, WIDTHS, mask), expected, rtol=1e-10)
    np.testing.assert_allclose(mmd2(x[:, 2:3], y, WIDTHS), expected, rtol=1e-10)


def gaussian_mean_kernel(shift, var_x, var_y, width, p):
    """E k(x, y) for x ~ N(0, var_x I), y ~ N(shift, var_y I) in p dimensions (shift along one)."""
    total = width**2 + var_x + var_y
    return (width**2 / total) ** (p / 2) * math.exp(-(shift**2) / (2 * total))


def test_mean_over_draws_is_the_closed_form_for_gaussians(g):
    """Data N(0, 0.3² I), generated N((0.4, 0), 0.5² I): population MMD² by hand."""
    draws, p, shift = 4000, 2, 0.4
    x = torch.randn(draws, 6, p, generator=g, dtype=torch.float64) * 0.3
    y = torch.randn(draws, 4, p, generator=g, dtype=torch.float64) * 0.5
    y[..., 0] += shift
    expected = np.mean(
        [
            gaussian_mean_kernel(0, 0.09, 0.09, width, p)
            + gaussian_mean_kernel(0, 0.25, 0.25, width, p)
            - 2 * gaussian_mean_kernel(shift, 0.09, 0.25, width, p)
            for width in WIDTHS
        ]
    )
    values = mmd2(x, y, WIDTHS).numpy()
    error = values.std() / math.sqrt(draws)
    assert error < 0.05 * expected  # sharp enough to tell
    assert abs(values.mean() - expected) < 4 * error


def test_unbiased_about_zero_for_equal_distributions(g):
    draws = 4000
    x, y = batch(g, a=draws, m=5, n=5, p=3)
    mask = torch.arange(5) < torch.randint(2, 6, (draws, 1), generator=g)
    for values in (mmd2(x, y, WIDTHS).numpy(), mmd2(x, y, WIDTHS, mask).numpy()):
        assert values.min() < 0 < values.max()
        assert abs(values.mean()) < 4 * values.std() / math.sqrt(draws)


@pytest.mark.parametrize("masked", [False, True])
def test_gradient_part_has_the_gradient_of_mmd2(masked, g):
    x, y = batch(g)
    mask = torch.arange(7) < torch.tensor([[7], [3], [1]]) if masked else None
    gradients = []
    for objective in (mmd2, mmd2_gradient_part):
        leaf = y.clone().requires_grad_()
        values = objective(x, leaf, WIDTHS, mask)
        gradients.append(torch.autograd.grad(values.sum(), leaf)[0])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-10, atol=1e-14)
    assert gradients[0].abs().max() > 1e-3
    whole, part = mmd2(x, y, WIDTHS, mask), mmd2_gradient_part(x, y, WIDTHS, mask)
    other = mmd2(x, y.flip(2), WIDTHS, mask), mmd2_gradient_part(x, y.flip(2), WIDTHS, mask)
    torch.testing.assert_close(whole - part, other[0] - other[1])  # what is left out ignores y


@pytest.mark.parametrize("objective", [mmd2, mmd2_gradient_part])
@pytest.mark.parametrize("masked", [False, True])
def test_gradcheck(objective, masked, g):
    x, y = batch(g, a=2, m=4, n=3, p=2)
    mask = torch.tensor([[True] * 4, [True, False, True, False]]) if masked else None
    assert torch.autograd.gradcheck(
        lambda v: objective(x, v, WIDTHS, mask), y.requires_grad_(), eps=1e-6, atol=1e-7
    )


def test_batches_do_not_mix(g):
    x, y = batch(g)
    together = mmd2(x, y, WIDTHS)
    x[1], y[2] = 0.0, 1.0
    torch.testing.assert_close(mmd2(x, y, WIDTHS)[0], together[0], rtol=1e-12, atol=0)
