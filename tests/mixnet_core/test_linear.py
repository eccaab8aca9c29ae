"""The linear stage and the closed-form kernels, against slow loops and closed forms."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.mixture import GaussianMixture

from mixnet_core.likelihood import Noise, log_likelihood
from mixnet_core.linear import (
    Gaussians,
    KernelSums,
    estimate,
    frames,
    linear_stage,
    shrunk,
)


@pytest.fixture
def x(rng):
    centres = np.array([[0, 0, 0], [4, 1, 0], [0, 5, 2]])
    labels = np.repeat([0, 1, 2], [80, 60, 40])
    mix = rng.normal(size=(3, 3, 3)) * 0.6
    points = centres[labels] + np.einsum("nij,nj->ni", mix[labels], rng.normal(size=(180, 3)))
    return torch.from_numpy(points), torch.from_numpy(labels)


def soft(n, k, rng):
    m = rng.random((n, k)) ** 4
    return torch.from_numpy(m / m.sum(1, keepdims=True))


def test_densities_are_those_of_scipy(x, rng):
    points, _ = x
    model = estimate(points, soft(180, 3, rng), 5.0)
    for j in range(3):
        normal = stats.multivariate_normal(model.means[j], model.covariances[j])
        expected = normal.logpdf(points) + np.log(float(model.weights[j]))
        np.testing.assert_allclose(model.log_joint(points)[:, j], expected)


def test_without_a_prior_the_estimate_is_the_weighted_covariance(x, rng):
    points, _ = x
    m = soft(180, 3, rng)
    model = estimate(points, m, 0.0)
    for j in range(3):
        expected = np.cov(points.T, aweights=m[:, j], ddof=0)
        np.testing.assert_allclose(model.covariances[j], expected)
        np.testing.assert_allclose(model.means[j], np.average(points, axis=0, weights=m[:, j]))


def test_em_without_a_prior_is_that_of_scikit_learn(x, rng):
    points, _ = x
    m = soft(180, 3, rng)
    model = estimate(points, m, 0.0)
    again = estimate(points, model.log_joint(points).softmax(1), 0.0)
    start = dict(weights_init=model.weights.numpy(), means_init=model.means.numpy(),
                 precisions_init=np.linalg.inv(model.covariances))
    with pytest.warns(match="did not converge"):
        theirs = GaussianMixture(3, reg_covar=0, max_iter=1, tol=0, **start).fit(points.numpy())
    np.testing.assert_allclose(again.means, theirs.means_, rtol=1e-6)
    np.testing.assert_allclose(again.covariances, theirs.covariances_, rtol=1e-6)


def test_the_prior_is_the_pooled_covariance(x):
    points, labels = x
    m = torch.nn.functional.one_hot(labels, 3).double()
    far = estimate(points, m, 1e9).covariances
    for other in far[1:]:
        np.testing.assert_allclose(other, far[0], rtol=1e-4)
    lonely = torch.zeros(180, 4, dtype=torch.float64)
    lonely[:, :3] = m
    lonely[0] = torch.tensor([0, 0, 0, 1.0])  # a cluster of one point has a covariance, too
    assert bool((torch.linalg.eigvalsh(estimate(points, lonely, 5.0).covariances) > 0).all())


def test_volumes_are_equal_where_that_is_asked_for(x):
    points, labels = x
    m = torch.nn.functional.one_hot(labels, 3).double()
    free, equal = (estimate(points, m, 1.0, equal_volumes=e) for e in (False, True))
    volumes = torch.linalg.slogdet(equal.covariances)[1]
    np.testing.assert_allclose(volumes, volumes[0].expand(3))
    mean = (free.weights * torch.linalg.slogdet(free.covariances)[1]).sum()
    assert float(volumes[0]) == pytest.approx(float(mean))
    shape = [c / c.trace() for c in (free.covariances[1], equal.covariances[1])]
    np.testing.assert_allclose(*shape)


def test_the_stage_keeps_the_best_by_held_out_likelihood(x):
    points, labels = x
    worse = labels.clone()
    worse[::5] = (worse[::5] + 1) % 3
    train, held_out = points[::2], points[1::2]
    model = linear_stage(train, held_out, worse[::2], 3)

    def value(m):
        return float(m.log_joint(held_out).logsumexp(1).mean())

    one_hot = torch.nn.functional.one_hot(worse[::2], 3).double()
    for strength in (0.3, 5.0, 30.0):
        assert value(model) >= value(estimate(train, one_hot, strength, equal_volumes=True))
    found = model.log_joint(points).argmax(1)
    assert float((found == labels).double().mean()) > 0.9 > float((worse == labels).double().mean())


def test_the_stage_goes_with_the_data_under_a_linear_map(x, rng):
    points, labels = x
    a = torch.from_numpy(rng.normal(size=(3, 3)))
    moved = points @ a.T + 5
    one, other = (linear_stage(p[::2], p[1::2], labels[::2], 3) for p in (points, moved))
    both = one.log_joint(points).softmax(1), other.log_joint(moved).softmax(1)
    # but for the ridge of a thousandth, which goes by features
    assert float((both[0] - both[1]).abs().max()) < 0.05


def test_frames_are_principal_directions(x, rng):
    model = estimate(x[0], soft(180, 3, rng), 5.0)
    found = frames(model)
    torch.testing.assert_close(found @ found.mT, model.covariances)
    lengths = found.square().sum(1)
    assert bool((lengths[:, :-1] >= lengths[:, 1:]).all())


@pytest.mark.parametrize("local", [True, False])
def test_kernel_sums_against_a_loop(x, rng, local):
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
            logs = np.array([stats.multivariate_normal(
                y[j, r, :3], scales[r] ** 2 * (1 + j) * np.eye(3)).logpdf(points[i])
                for r in range(s)])
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


def test_a_model_without_points_stays_finite():
    model = estimate(torch.ones(5, 2).double(), torch.ones(5, 1).double(), 3.0)
    assert isinstance(model, Gaussians) and bool(model.log_joint(torch.ones(5, 2).double())
                                                 .isfinite().all())
