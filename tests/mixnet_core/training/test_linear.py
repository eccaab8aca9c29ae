"""The linear stage, against other libraries and closed forms."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.mixture import GaussianMixture

from mixnet_core.training.linear import Gaussians, estimate, frames, linear_stage, lower_root


def test_densities_are_those_of_scipy(x, rng, soft):
    points, _ = x
    model = estimate(points, soft(180, 3, rng), 5.0)
    for j in range(3):
        normal = stats.multivariate_normal(model.means[j], model.covariances[j])
        expected = normal.logpdf(points) + np.log(float(model.weights[j]))
        np.testing.assert_allclose(model.log_joint(points)[:, j], expected)


def test_without_a_prior_the_estimate_is_the_weighted_covariance(x, rng, soft):
    points, _ = x
    m = soft(180, 3, rng)
    model = estimate(points, m, 0.0)
    for j in range(3):
        expected = np.cov(points.T, aweights=m[:, j], ddof=0)
        np.testing.assert_allclose(model.covariances[j], expected)
        np.testing.assert_allclose(model.means[j], np.average(points, axis=0, weights=m[:, j]))


def test_em_without_a_prior_is_that_of_scikit_learn(x, rng, soft):
    points, _ = x
    m = soft(180, 3, rng)
    model = estimate(points, m, 0.0)
    again = estimate(points, model.log_joint(points).softmax(1), 0.0)
    start = dict(
        weights_init=model.weights.numpy(),
        means_init=model.means.numpy(),
        precisions_init=np.linalg.inv(model.covariances),
    )
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


def test_frames_are_principal_directions(x, rng, soft):
    model = estimate(x[0], soft(180, 3, rng), 5.0)
    found = frames(model)
    torch.testing.assert_close(found @ found.mT, model.covariances)
    lengths = found.square().sum(1)
    assert bool((lengths[:, :-1] >= lengths[:, 1:]).all())


def test_a_model_without_points_stays_finite():
    model = estimate(torch.ones(5, 2).double(), torch.ones(5, 1).double(), 3.0)
    assert isinstance(model, Gaussians) and bool(
        model.log_joint(torch.ones(5, 2).double()).isfinite().all()
    )


def test_roots_of_regular_covariances_are_those_of_torch(x, rng, soft):
    points, _ = x
    covariances = estimate(points, soft(180, 3, rng), 5.0).covariances
    assert torch.equal(lower_root(covariances), torch.linalg.cholesky(covariances))


def test_a_singular_covariance_is_raised_in_its_flat_directions_only(rng):
    """Rank one, rank zero, and one with a negative variance left by rounding; a regular beside."""
    line = torch.tensor([3.0, 4.0], dtype=torch.float64) / 5
    across = torch.tensor([-4.0, 3.0], dtype=torch.float64) / 5
    rounded = torch.outer(line, line) - 1e-9 * torch.outer(across, across)
    covariances = torch.stack([torch.eye(2, dtype=torch.float64), rounded, 0 * rounded])
    roots = lower_root(covariances)
    found = roots @ roots.mT
    assert torch.equal(roots[0], torch.eye(2, dtype=torch.float64))
    expected = torch.outer(line, line) + 1e-6 * torch.outer(across, across)
    torch.testing.assert_close(found[1], expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(found[2], 1e-9 * torch.eye(2, dtype=torch.float64))
