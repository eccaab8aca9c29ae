"""The likelihood as an objective, against densities of scipy and numerical gradients."""

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import logsumexp

from mixnet_core.likelihood import Noise, log_likelihood
from mixnet_core.objectives.likelihood import KernelLikelihood

K, P = 3, 2


def noises(g):
    full = torch.randn(K, P, P, generator=g, dtype=torch.float64).tril(-1)
    full += torch.diag_embed(torch.rand(K, P, generator=g, dtype=torch.float64) + 0.5)
    return {
        "isotropic": Noise(torch.tensor([0.4, 0.7, 1.1], dtype=torch.float64)),
        "full": Noise(full),
    }


def prepared(noise):
    objective = KernelLikelihood()
    objective.prepare(K, P, 1.0, torch.Generator())
    objective.noise = noise
    return objective


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("kind", ["isotropic", "full"])
def test_the_loss_is_minus_the_mean_log_density_but_for_its_constant(kind, local, g):
    noise, networks = noises(g)[kind], torch.tensor([2, 0])
    x = torch.randn(2, 6, P, generator=g, dtype=torch.float64)
    y = torch.randn(2, 5, P + local, generator=g, dtype=torch.float64)
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    found = prepared(noise)(x, y, mask, networks)
    for a, j in enumerate(networks.tolist()):
        root = noise.roots[j] * (torch.eye(P).double() if noise.isotropic else 1)
        scales = y[a, :, P].exp() if local else torch.ones(5)
        logs = np.stack(
            [
                stats.multivariate_normal(c[:P], float(s) ** 2 * (root @ root.T)).logpdf(x[a])
                for c, s in zip(y[a], scales, strict=True)
            ],
            1,
        )
        density = logsumexp(logs, 1) - np.log(5)
        constant = float(noise.log_det(P)[j]) + P / 2 * np.log(2 * np.pi)
        assert float(found[a]) == pytest.approx(-density[mask[a]].mean() - constant)
        ours = log_likelihood(x[a], y[a, None], Noise(noise.roots[j : j + 1]))[:, 0]
        np.testing.assert_allclose(ours, density)  # the same density is that of eq. 4


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("kind", ["isotropic", "full"])
def test_the_closed_gradient_is_the_slope_of_the_loss(kind, local, g):
    objective, networks = prepared(noises(g)[kind]), torch.tensor([1, 2])
    x = torch.randn(2, 6, P, generator=g, dtype=torch.float64)
    y = torch.randn(2, 5, P + local, generator=g, dtype=torch.float64)
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    for padding in (None, mask):
        found = objective.gradient(x, y, padding, networks)
        assert found.shape == y.shape
        for index in np.ndindex(*y.shape):
            step = torch.zeros_like(y)
            step[index] = 1e-5
            ends = [objective(x, y + s * step, padding, networks).sum() for s in (1, -1)]
            assert float(found[index]) == pytest.approx(float(ends[0] - ends[1]) / 2e-5, abs=1e-7)


def test_it_must_be_prepared():
    with pytest.raises(RuntimeError, match="prepare"):
        KernelLikelihood()(torch.zeros(1, 2, 2), torch.zeros(1, 2, 2), None, torch.tensor([0]))
