"""Sliced Wasserstein against scipy in 1-d, repeated points, and closed forms for shifts."""

import copy
import math

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from mixnet_core.objectives.sliced import SlicedWasserstein, couple, mean_projection

SCALE = 0.7


def prepared(p, scale=SCALE, seed=0, **settings):
    objective = SlicedWasserstein(**settings)
    objective.prepare(4, p, scale, torch.Generator().manual_seed(seed))
    return objective


def batch(g, a=3, m=7, n=5, p=1):
    x = torch.rand(a, m, p, generator=g, dtype=torch.float64)
    return x, torch.rand(a, n, p, generator=g, dtype=torch.float64) * 1.5


def power_of_distance(x, y, order):
    """W_q^q on a line: every point repeated until both samples are of one length, then sorted."""
    a, b = np.repeat(np.sort(x), len(y)), np.repeat(np.sort(y), len(x))
    return float((np.abs(a - b) ** order).mean())


def ragged(size=7):
    mask = torch.arange(size) < torch.tensor([[size], [4], [1]])
    mask[1] = mask[1].flip(0)
    return mask


@pytest.mark.parametrize("order", [1, 1.5, 2, 3])
@pytest.mark.parametrize(("m", "n"), [(5, 5), (7, 5), (2, 9), (6, 4), (1, 3)])
def test_on_a_line(order, m, n, g):
    x, y = batch(g, m=m, n=n)
    found = prepared(1, order=order)(x, y, None, torch.arange(3))
    for a in range(3):
        u, v = x[a, :, 0].numpy(), y[a, :, 0].numpy()
        expected = power_of_distance(u, v, order)
        if order == 1:
            np.testing.assert_allclose(expected, wasserstein_distance(u, v), rtol=1e-10)
        np.testing.assert_allclose(found[a], expected / SCALE**order, rtol=1e-9)


@pytest.mark.parametrize("masked", [False, True])
def test_against_a_loop_over_directions(masked, g):
    p, order = 3, 1
    x, y = batch(g, p=p, n=7)
    mask = ragged() if masked else None
    objective = prepared(p, n_projections=6, order=order)
    directions = torch.randn(p, 6, generator=copy.deepcopy(objective).generator)
    directions = (directions / directions.norm(dim=0)).double()
    found = objective(x, y, mask, torch.arange(3))
    for a in range(3):
        points = x[a] if mask is None else x[a][mask[a]]
        each = [
            wasserstein_distance((points @ d).numpy(), (y[a] @ d).numpy()) for d in directions.T
        ]
        # the mean of |θ_1| over the unit sphere of 3 dimensions is 1/2
        np.testing.assert_allclose(found[a], np.mean(each) / SCALE / 0.5, rtol=1e-6)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("p", [1, 2, 12])
def test_a_shift_costs_its_length_in_any_dimension(order, p, g):
    shift = torch.zeros(p)
    shift[0] = 0.35
    x = torch.rand(1, 4, p, generator=g)
    objective = prepared(p, n_projections=40_000, order=order)
    found = float(objective(x, x + shift, None, torch.zeros(1, dtype=torch.int64)))
    assert abs(found / 0.5**order - 1) < 0.03


@pytest.mark.parametrize(
    ("p", "q", "expected"),
    [(1, 1.7, 1), (2, 1, 2 / math.pi), (3, 1, 1 / 2), (3, 3, 1 / 4), (9, 2, 1 / 9), (9, 4, 3 / 99)],
)
def test_mean_projection(p, q, expected):
    assert math.isclose(mean_projection(p, q), expected, rel_tol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_coupling_has_the_right_margins(dtype):
    """Every point gives and takes its own share, for all sizes up to 24."""
    counts = torch.arange(1, 25)
    for n in (2, 3, 7, 24):
        rows_x, rows_y, share = couple(counts, 24, n, dtype)
        assert bool((share >= 0).all()) and bool((rows_x.diff(dim=1) >= 0).all())
        for c, i, j, mass in zip(counts.tolist(), rows_x, rows_y, share, strict=True):
            of_x = torch.zeros(24, dtype=dtype).index_add(0, i, mass)
            of_y = torch.zeros(n, dtype=dtype).index_add(0, j, mass)
            expected = torch.zeros(24, dtype=dtype)
            expected[:c] = 1 / c
            torch.testing.assert_close(of_x, expected, rtol=0, atol=1e-6)
            torch.testing.assert_close(of_y, torch.full_like(of_y, 1 / n), rtol=0, atol=1e-6)


@pytest.mark.parametrize("order", [1, 2, 2.5])
@pytest.mark.parametrize("masked", [False, True])
def test_gradcheck(order, masked, g):
    x, y = batch(g, p=3, n=7)
    mask = ragged() if masked else None
    objective = prepared(3, n_projections=5, order=order)
    state = objective.state()

    def same_directions(v):
        objective.restore(state)
        return objective(x, v, mask, torch.arange(3))

    assert torch.autograd.gradcheck(same_directions, y.requires_grad_())


def test_gradient_where_points_coincide(g):
    x = torch.rand(1, 6, 2, generator=g)
    for order in (1, 1.5, 2):
        y = x.clone().requires_grad_()
        loss = prepared(2, order=order)(x, y, None, torch.arange(1))
        assert loss.tolist() == [0]
        assert torch.autograd.grad(loss.sum(), y)[0].abs().max() == 0


def test_directions_are_fresh_at_each_call(g):
    x, y = batch(g, p=3)
    objective = prepared(3, n_projections=2)
    values = [objective(x, y, None, torch.arange(3)) for _ in range(3)]
    assert len({float(v[0]) for v in values}) == 3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"n_projections": 0}, "n_projections must be a positive number; got 0"),
        ({"n_projections": 2.5}, "n_projections must be a whole number; got 2.5"),
        ({"order": 0.5}, "order must be at least 1; got 0.5"),
        ({"order": "two"}, "order must be a positive number; got 'two'"),
    ],
)
def test_bad_settings_are_named(settings, words):
    with pytest.raises(ValueError, match=words):
        SlicedWasserstein(**settings)
