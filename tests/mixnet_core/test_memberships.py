"""Eqs. 5 and 6 against naive products in decimal arithmetic, and the rearrangement."""

from collections import Counter
from decimal import Decimal, getcontext

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from mixnet_core.memberships import (
    batch_memberships,
    memberships,
    mixture_log_likelihood,
    rearrange,
    update_priors,
)

getcontext().prec = 40  # its exponents reach 10^±999999: products of likelihoods do not underflow


def naive_memberships(log_lik, priors, rows):
    """π_j Π_r ℓ_rj over its sum, by multiplication, for points `rows` (eq. 6; eq. 5 for one)."""
    products = []
    for j, prior in enumerate(priors.tolist()):
        product = Decimal(prior)
        for r in rows:
            product *= Decimal(float(log_lik[r, j])).exp()
        products.append(product)
    total = sum(products)
    return [float(product / total) for product in products]


def likelihoods(g, n=60, k=4, spread=3.0, level=0.0):
    return torch.randn(n, k, generator=g) * spread + level


@pytest.mark.parametrize("level", [0.0, -2000.0, 300.0])
def test_memberships_of_points(level, g):
    log_lik, priors = likelihoods(g, level=level), torch.tensor([0.1, 0.2, 0.3, 0.4])
    m = memberships(log_lik, priors)
    expected = [naive_memberships(log_lik, priors, [i]) for i in range(len(log_lik))]
    tolerance = 1e-6 + 1e-7 * abs(level)  # spacing of float32 at that level
    np.testing.assert_allclose(m, expected, atol=tolerance)
    np.testing.assert_allclose(m.sum(1), 1, atol=1e-6)


@pytest.mark.parametrize(("spread", "level"), [(0.05, -2000.0), (0.3, 40.0), (2.0, -50.0)])
@pytest.mark.parametrize("size", [1, 10, 100])
def test_memberships_of_batches(spread, level, size, g):
    log_lik = likelihoods(g, n=300, spread=spread, level=level)
    priors = torch.tensor([0.7, 0.1, 0.15, 0.05])
    batches = torch.randperm(300, generator=g)[: 3 * size].view(3, size)
    m = batch_memberships(log_lik, priors, batches)
    expected = [naive_memberships(log_lik, priors, rows.tolist()) for rows in batches]
    np.testing.assert_allclose(m, expected, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(m.sum(1), 1, atol=1e-12)


def test_a_batch_of_100_impossible_points_is_never_nan(g):
    log_lik = likelihoods(g, n=100, k=3, spread=1e4, level=-1e6)
    m = batch_memberships(log_lik, torch.tensor([1 / 3] * 3), torch.arange(100).view(1, 100))
    assert torch.isfinite(m).all()
    assert float(m.sum()) == pytest.approx(1)
    assert int(m.argmax()) == int(log_lik.sum(0).argmax())


def test_a_component_without_prior_gets_nothing(g):
    log_lik, priors = likelihoods(g, k=3), torch.tensor([0.0, 0.5, 0.5])
    m = memberships(log_lik, priors)
    assert not m[:, 0].any() and torch.isfinite(m).all()
    batches = torch.arange(60).view(6, 10)
    assert not batch_memberships(log_lik, priors, batches)[:, 0].any()
    assert torch.isfinite(mixture_log_likelihood(log_lik, priors)).all()


def test_mixture_log_likelihood(g):
    log_lik, priors = likelihoods(g, level=-500.0), torch.tensor([0.1, 0.2, 0.3, 0.4])
    expected = logsumexp(log_lik.double().numpy(), axis=1, b=priors.double().numpy())
    np.testing.assert_allclose(mixture_log_likelihood(log_lik, priors), expected, rtol=1e-6)


def test_updated_priors_are_mean_memberships_and_raise_the_likelihood(g):
    """With fixed components the update of π is EM's: the likelihood cannot fall."""
    log_lik, priors = likelihoods(g, n=200), torch.tensor([0.25] * 4)
    expected = np.mean([naive_memberships(log_lik, priors, [i]) for i in range(200)], axis=0)
    np.testing.assert_allclose(update_priors(log_lik, priors), expected, atol=1e-6)
    before = float(mixture_log_likelihood(log_lik, priors).mean())
    for _ in range(30):
        priors = update_priors(log_lik, priors)
        assert float(priors.sum()) == pytest.approx(1, abs=1e-5)
        after = float(mixture_log_likelihood(log_lik, priors).mean())
        assert after >= before - 1e-6
        before = after


def test_no_prior_falls_below_the_share_of_one_point(g):
    log_lik = likelihoods(g, n=50, k=3)
    log_lik[:, 2] -= 1000  # its memberships underflow to zero
    priors = update_priors(log_lik, torch.tensor([0.5, 0.5, 0.0]))
    assert float(priors[2]) == pytest.approx(1 / 50 / (1 + 1 / 50), rel=1e-5)
    assert float(priors.sum()) == pytest.approx(1, abs=1e-6)
    assert float(update_priors(log_lik, torch.tensor([0.5, 0.5, 0.0]), floor=0)[2]) == 0  # paper
    log_lik[:10, 2] += 2000  # ten points come back to it, from that floor
    assert float(update_priors(log_lik, priors)[2]) == pytest.approx(10 / 50, rel=1e-4)


@pytest.mark.parametrize("order_of_networks", ["columns", "random"])
def test_rearrange_puts_argmax_groups_together(g, order_of_networks):
    log_lik = likelihoods(g, n=503, k=5)
    order = rearrange(log_lik, g, order_of_networks)
    assert sorted(order.tolist()) == list(range(503))
    groups = log_lik.argmax(1)[order]
    changes = int((groups[1:] != groups[:-1]).sum())
    assert changes == len(groups.unique()) - 1


def test_rearrange_ignores_the_order_of_the_file(g):
    """Points of one network come in an order that says nothing about their place in the file."""
    log_lik = torch.zeros(4000, 2)
    log_lik[:, 1] = torch.where(torch.arange(4000) < 1500, 1.0, -1.0)
    order = rearrange(log_lik, g).numpy()
    for group in (order[order < 1500], order[order >= 1500]):
        correlation = np.corrcoef(np.arange(len(group)), group)[0, 1]
        assert abs(correlation) < 4 / np.sqrt(len(group))
    again = rearrange(log_lik, g).numpy()
    assert not np.array_equal(order, again)
    # Over many draws a point takes every place of its group equally often.
    places = [int((rearrange(log_lik[1490:1510], g) == 0).nonzero()) % 10 for _ in range(1000)]
    counts = Counter(places)
    assert set(counts) == set(range(10))
    assert max(counts.values()) < 2 * min(counts.values())


def test_networks_come_in_the_order_of_the_columns(g):
    """§3.1: the first N_1 rows have their maximum in the first column, and so on."""
    log_lik = likelihoods(g, n=200, k=4)
    groups = log_lik.argmax(1)[rearrange(log_lik, g)]
    assert torch.equal(groups, groups.sort().values)


def test_at_random_the_last_group_is_not_always_the_same(g):
    """Otherwise one network would always get the incomplete batch that is left out."""
    log_lik = torch.eye(3).repeat(20, 1)
    last = Counter(int(rearrange(log_lik, g, "random")[-1]) % 3 for _ in range(300))
    assert set(last) == {0, 1, 2} and min(last.values()) > 60


def test_rearrange_with_an_empty_group(g):
    log_lik = likelihoods(g, n=40, k=3)
    log_lik[:, 1] -= 100
    assert sorted(rearrange(log_lik, g).tolist()) == list(range(40))
