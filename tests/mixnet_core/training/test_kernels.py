"""The closed-form M-step of full kernels, against a slow loop."""

import numpy as np
import pytest
import torch
from scipy import stats

from mixnet_core.likelihood import Noise, log_likelihood
from mixnet_core.training.kernels import KernelSums
from mixnet_core.training.linear import shrunk


@pytest.mark.parametrize("local", [True, False])
def test_kernel_sums_against_a_loop(x, rng, local, soft):
    points, _ = x
    k, s = 2, 7
    y = torch.from_numpy(rng.normal(size=(k, s, 3 + local)))
    noise = Noise(torch.linalg.cholesky(torch.stack([torch.eye(3).double(), 2 * torch.eye(3)])))
    m = soft(180, k, rng)
    sums = KernelSums(y, noise, 3)
    for part in (slice(0, 100), slice(100, None)):  # blocks add up
        sums.add(points[part], m[part])
    found, residuals = sums.result(4.0)
    outer, counts = torch.zeros(k, 3, 3).double(), m.sum(0)
    for j in range(k):
        scales = y[j, :, 3].exp().numpy() if local else np.ones(s)
        total, mean, weights = 0.0, torch.zeros(3).double(), []
        for i in range(180):
            logs = np.array(
                [
                    stats.multivariate_normal(
                        y[j, r, :3], scales[r] ** 2 * (1 + j) * np.eye(3)
                    ).logpdf(points[i])
                    for r in range(s)
                ]
            )
            w = np.exp(logs - logs.max())
            weights.append(float(m[i, j]) * (m[i, j] > 1e-3) * w / w.sum() / scales**2)
        for i in range(180):
            for r in range(s):
                total += weights[i][r]
                mean += weights[i][r] * (points[i] - y[j, r, :3])
        mean /= total
        for i in range(180):
            for r in range(s):
                d = points[i] - y[j, r, :3] - mean
                outer[j] += weights[i][r] * torch.outer(d, d)
        torch.testing.assert_close(residuals[j], mean, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(found, shrunk(outer, counts, 4.0), rtol=1e-6, atol=1e-8)


def test_the_closed_form_raises_the_likelihood(x, rng):
    """An M-step: offsets and kernels for fixed samples, hard memberships, hardly any prior."""
    points, labels = x
    own = points[labels == 0]
    y = own[::4].unsqueeze(0) + 0.5
    noise = Noise(torch.eye(3).double().unsqueeze(0) * 2)
    values = [float(log_likelihood(own, y, noise).mean())]
    for _ in range(5):
        sums = KernelSums(y, noise, 3)
        sums.add(own, torch.ones(len(own), 1).double())
        covariances, residuals = sums.result(1e-6)
        y, noise = y + residuals, Noise(torch.linalg.cholesky(covariances))
        values.append(float(log_likelihood(own, y, noise).mean()))
    assert all(b > a - 1e-6 for a, b in zip(values[:-1], values[1:], strict=True))
    assert values[-1] > values[0] + 0.5
