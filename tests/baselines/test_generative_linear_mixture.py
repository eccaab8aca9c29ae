"""Gaussian mixtures that put out samples, against torch's distributions and known moments."""

import json

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from baselines.density.gaussian import GaussianMixture
from baselines.density.ppca import MixtureOfPPCA
from baselines.generative.gan import GAN
from baselines.generative.linear_mixture import SampledGaussianMixture, SampledMixtureOfPPCA

PAIRS = {
    "gaussian": (SampledGaussianMixture(2), GaussianMixture(2)),
    "ppca": (SampledMixtureOfPPCA(2, 1), MixtureOfPPCA(2, 1)),
    "ppca of a structure": (SampledMixtureOfPPCA(2, "2-8-4"), MixtureOfPPCA(2, 2)),
    "ppca without directions": (SampledMixtureOfPPCA(2, 0), MixtureOfPPCA(2, 0)),
}
WEIGHTS = np.array([0.25, 0.75])
MEANS = np.array([[0.3, 0.3, 0.4, 0.5], [0.7, 0.6, 0.4, 0.5]])
AXES = np.array([[1, 1, 0, 0], [0, 1, -1, 1]]) / np.sqrt([[2], [3]])
COVARIANCES = np.array([0.006 * np.outer(a, a) + 0.0004 * np.eye(4) for a in AXES])


@pytest.fixture(params=PAIRS)
def pair(request):
    return tuple(clone(one) for one in PAIRS[request.param])


@pytest.fixture
def model(pair):
    return pair[0]


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    own = rng.choice(2, size=4000, p=WEIGHTS)
    points = [rng.multivariate_normal(MEANS[j], COVARIANCES[j]) for j in own]
    return np.clip(points, 0, 1).astype(np.float32)


def draw(model, n=5, seed=3):
    return model.sample(n, torch.Generator().manual_seed(seed))


def log_density(model, X):
    """Of what the samples are drawn from, by torch's distributions: (n,)."""
    of = model.network_
    components = MultivariateNormal(of.means, of.roots @ of.roots.mT)
    return MixtureSameFamily(Categorical(of.weights), components).log_prob(torch.tensor(X)).numpy()


def test_the_density_is_that_of_the_wrapped_estimator(pair, X):
    model, density = pair
    held_out, train = X[:500], X[500:]
    density.set_params(validation_size=0, random_state=3).fit(train)
    model.set_params(random_state=3).fit(train, validation=held_out)
    expected = density.score_samples(held_out)
    np.testing.assert_allclose(log_density(model, held_out.astype(float)), expected, rtol=1e-8)
    assert model.values_["validation_log_likelihood"] == pytest.approx(expected.mean())
    assert model.values_["train_log_likelihood"] == pytest.approx(density.score(train))
    assert model.values_["updates"] == density.n_iter_
    assert model.history_ == density.history_


@pytest.mark.parametrize("kind", [kind for kind in PAIRS if "without" not in kind])
def test_samples_have_the_moments_of_the_mixture_that_made_the_points(kind, X):
    samples = draw(clone(PAIRS[kind][0]).fit(X), 40_000)
    near = np.linalg.norm(samples[:, None] - MEANS, axis=2).argmin(1)
    truth = near_truth(near_of=MEANS)
    for j in range(2):
        rows = samples[near == j]
        weight, mean, covariance = truth[j]
        assert len(rows) / len(samples) == pytest.approx(weight, abs=0.03)
        np.testing.assert_allclose(rows.mean(0), mean, atol=0.01)
        np.testing.assert_allclose(np.cov(rows.T), covariance, atol=6e-4)


def near_truth(near_of):
    """Share, mean and covariance of the points of the true mixture that are nearest to each."""
    rng = np.random.default_rng(1)
    own = rng.choice(2, size=40_000, p=WEIGHTS)
    noise = rng.standard_normal((len(own), 4))
    roots = np.linalg.cholesky(COVARIANCES)
    points = MEANS[own] + np.einsum("nij,nj->ni", roots[own], noise)
    near = np.linalg.norm(points[:, None] - near_of, axis=2).argmin(1)
    return [
        ((near == j).mean(), points[near == j].mean(0), np.cov(points[near == j].T)) for j in (0, 1)
    ]


def test_samples_leave_the_unit_interval_as_the_density_does(model):
    X = np.random.default_rng(0).integers(0, 2, (400, 4)).astype(np.float32)
    samples = draw(model.fit(X), 3000)
    assert samples.dtype == np.float32 and samples.shape == (3000, 4)
    assert (samples < 0).any() and (samples > 1).any()


def test_the_seed_decides_and_no_global_state_is_touched(model, X):
    X = X[:300]
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    one, again = clone(model).fit(X), clone(model).fit(X)
    assert one.values_ == again.values_ and one.history_ == again.history_
    assert np.array_equal(draw(one, 2300), draw(again, 2300))
    assert not np.array_equal(draw(one), draw(one, seed=4))
    assert len(np.unique(draw(one, 2300), axis=0)) == 2300
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


def test_another_seed_chooses_other_starts(X):
    rounds = [SampledGaussianMixture(12, random_state=s).fit(X[:300]).history_ for s in (0, 1)]
    assert rounds[0] != rounds[1]


def test_save_and_load(model, X, tmp_path):
    with pytest.raises(NotFittedError):
        model.save(tmp_path / "model.npz")
    model.fit(X[:300], validation=X[300:400]).save(tmp_path / "model.npz")
    loaded = type(model).load(tmp_path / "model.npz")
    assert np.array_equal(draw(model), draw(loaded))
    assert loaded.values_ == model.values_ and loaded.history_ == model.history_
    assert loaded.get_params() == model.get_params()
    with np.load(tmp_path / "model.npz", allow_pickle=False) as file:
        assert json.loads(str(file["head"]))["kind"] == type(model).__name__
    with pytest.raises(ValueError, match=f"holds a {type(model).__name__}, not a GAN"):
        GAN.load(tmp_path / "model.npz")


def test_few_steps_are_said(model, X):
    rng = np.random.default_rng(0)
    told = []
    with pytest.warns(ConvergenceWarning, match="max_iter=1 "):
        model.set_params(max_iter=1, tol=0).fit(
            rng.random((100, 4)), progress=lambda *a: told.append(a)
        )
    assert model.values_["stopped_by"] == "length" and model.values_["updates"] == 1
    assert [(done, total) for done, total, _ in told] == [(1, 1)]
    assert model.set_params(max_iter=500, tol=1e-3).fit(X).values_["stopped_by"] == "convergence"


@pytest.mark.parametrize("bad", [-1, "many", float("nan"), None])
def test_bad_settings_are_named(model, X, bad):
    for name in set(model.get_params()) - {"device"}:
        with pytest.raises(ValueError, match=f"{name} must be"):
            clone(model).set_params(**{name: bad}).fit(X)


def test_bad_data_is_refused(model, X):
    for bad, message in [
        (X[0], "X must be a matrix"),
        (X * 3, r"X must be finite and lie in"),
        (X[:1], "X needs at least 2 rows"),
        (X * np.nan, "X must be finite"),
    ]:
        with pytest.raises(ValueError, match=message):
            clone(model).fit(bad)
    with pytest.raises(ValueError, match="validation must have 4 features; got 3"):
        clone(model).fit(X, validation=X[:, :3])
    with pytest.raises(ValueError, match="n_components must be .* at most 3; got 4"):
        clone(model).set_params(n_components=4).fit(X[:3])
    with pytest.raises(NotFittedError):
        draw(model)
    model.fit(X[:100])
    with pytest.raises(ValueError, match="n must be a whole number from 1"):
        model.sample(0, torch.Generator())
    with pytest.raises(ValueError, match="generator must be a torch.Generator; got 3"):
        model.sample(2, 3)
