"""Mixtures of Gaussians and of PPCA: against closed forms, scikit-learn, and slow formulas."""

import numpy as np
import pytest
import sklearn.mixture
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from baselines.density import em
from baselines.density.gaussian import GaussianMixture
from baselines.density.held_out import draw_held_out, held_out_count
from baselines.density.ppca import MixtureOfPPCA
from mixnet_core.mixture import MixtureOfNetworks

BOTH = [GaussianMixture, MixtureOfPPCA]
WEAK = 1e-9  # a prior that counts for nothing


def clumps(n=400, c=3, d=5, seed=0, gap=4.0):
    """Gaussian clumps of different covariances, and which is whose."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % c
    turn = rng.normal(size=(c, d, d))
    X = np.einsum("nd,nde->ne", rng.normal(size=(n, d)), turn[truth])
    return X + gap * d * np.eye(c, d)[truth], truth


def log_gaussian_mixture(X, weights, means, covariances):
    """log sum_k pi_k N(x; mu_k, C_k), as it is written."""
    density = sum(
        w * multivariate_normal(m, C).pdf(X)
        for w, m, C in zip(weights, means, covariances, strict=True)
    )
    return np.log(density)


def covariances(model):
    if isinstance(model, GaussianMixture):
        return model.covariances_
    parts = zip(model.directions_, model.variances_, model.noise_variances_, strict=True)
    d = model.n_features_in_
    return np.stack([V @ np.diag(v - s) @ V.T + s * np.eye(d) for V, v, s in parts])


@parametrize_with_checks([GaussianMixture(3), MixtureOfPPCA(3, 1)])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_density_is_that_of_the_formula_in_the_units_of_x(make, shift):
    X, truth = clumps()
    X = 7 * X + shift
    model = make(3, random_state=0).fit(X)
    expected = log_gaussian_mixture(X, model.weights_, model.means_, covariances(model))
    np.testing.assert_allclose(model.log_likelihood_, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(model.score_samples(X), model.log_likelihood_, rtol=1e-12)
    assert model.score(X) == pytest.approx(expected.mean())
    assert adjusted_rand_score(truth, model.labels_) > 0.95


@pytest.mark.parametrize("make", BOTH)
def test_posteriors_are_bayes_rule(make):
    X, _ = clumps(gap=0.5)
    model = make(3, random_state=0).fit(X)
    joint = np.stack(
        [
            w * multivariate_normal(m, C).pdf(X)
            for w, m, C in zip(model.weights_, model.means_, covariances(model), strict=True)
        ],
        axis=1,
    )
    posterior = joint / joint.sum(1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X), posterior, atol=1e-9)
    assert np.array_equal(model.predict(X), posterior.argmax(1))
    assert np.array_equal(model.predict(X), model.labels_)


@pytest.mark.parametrize("make", BOTH)
def test_shift_and_scale_change_the_density_by_the_volume_alone(make):
    X, _ = clumps(d=4)
    plain = make(3, random_state=0).fit(X)
    moved = make(3, random_state=0).fit(1000 * X + 5e7)
    assert np.array_equal(plain.labels_, moved.labels_)
    np.testing.assert_allclose(
        moved.log_likelihood_ + 4 * np.log(1000), plain.log_likelihood_, atol=1e-4
    )


def test_one_component_is_maximum_likelihood():
    X, _ = clumps(c=1)
    model = GaussianMixture(1, prior_strength=WEAK, validation_size=0).fit(X)
    np.testing.assert_allclose(model.means_[0], X.mean(0))
    np.testing.assert_allclose(model.covariances_[0], np.cov(X.T, bias=True), rtol=1e-6)
    assert "heldout_log_likelihood" not in model.values_ and model.values_["n_held_out"] == 0


@pytest.mark.parametrize("q", [0, 1, 2, 3])
def test_one_analyser_is_scikit_learns_probabilistic_pca(q):
    X, _ = clumps(c=1)
    model = MixtureOfPPCA(1, q, prior_strength=WEAK, validation_size=0).fit(X)
    n = len(X)
    if q == 0:
        expected = multivariate_normal(X.mean(0), X.var(0).mean() * np.eye(5)).logpdf(X)
    else:
        # scikit-learn estimates with n - 1: that of a covariance n / (n - 1) times as large.
        pca = PCA(q, svd_solver="full").fit(X)
        C = pca.get_covariance() * (n - 1) / n
        expected = multivariate_normal(X.mean(0), C).logpdf(X)
    np.testing.assert_allclose(model.log_likelihood_, expected, atol=1e-6)


@pytest.mark.parametrize("q", [4, 9])
def test_all_directions_but_one_are_a_full_gaussian_mixture(q):
    """A noise of one direction is a variance like the others; more directions there are none."""
    X, _ = clumps(gap=1.0)
    kept = {"prior_strength": 0.1, "random_state": 3, "tol": 1e-9}
    full, ppca = GaussianMixture(3, **kept).fit(X), MixtureOfPPCA(3, q, **kept).fit(X)
    np.testing.assert_allclose(ppca.log_likelihood_, full.log_likelihood_, atol=1e-7)
    np.testing.assert_allclose(
        ppca.history_["objective"], full.history_["objective"], rtol=0, atol=1e-9
    )


def test_the_gaussian_mixture_is_scikit_learns_where_points_are_many():
    X, truth = clumps(n=2000, gap=1.0)
    ours = GaussianMixture(
        3, init=truth, prior_strength=WEAK, validation_size=0, tol=1e-8, max_iter=2000
    ).fit(X)
    theirs = sklearn.mixture.GaussianMixture(
        3,
        tol=1e-8,
        reg_covar=0,
        max_iter=2000,
        means_init=[X[truth == j].mean(0) for j in range(3)],
        precisions_init=[np.linalg.inv(np.cov(X[truth == j].T, bias=True)) for j in range(3)],
        weights_init=np.bincount(truth) / len(X),
    ).fit(X)
    np.testing.assert_allclose(ours.score_samples(X), theirs.score_samples(X), atol=1e-3)
    assert (ours.labels_ == theirs.predict(X)).mean() > 0.999


def slow_step(X, responsibilities, q, nu, prior):
    """An M-step by the formulas of Tipping and Bishop, W and all: weights, means, covariances."""
    weights, means, found = [], [], []
    for r in responsibilities.T:
        mean = sum(r_n * x for r_n, x in zip(r, X, strict=True)) / r.sum()
        S = sum(r_n * np.outer(x - mean, x - mean) for r_n, x in zip(r, X, strict=True))
        C = (S + nu * prior) / (r.sum() + nu)
        values, vectors = np.linalg.eigh(C)
        values, vectors = values[::-1], vectors[:, ::-1]
        noise = values[q:].sum() / (len(C) - q)
        W = vectors[:, :q] @ np.sqrt(np.diag(values[:q]) - noise * np.eye(q))
        weights.append(r.mean()), means.append(mean), found.append(W @ W.T + noise * np.eye(len(C)))
    return weights, means, found


def test_em_is_that_of_the_formulas():
    X, truth = clumps(n=60, gap=0.3)
    centre = X.mean(0)
    scale = np.sqrt(X.var(0).mean())
    Z = (X - centre) / scale
    model = MixtureOfPPCA(
        3, 2, init=truth, prior_strength=0.2, validation_size=0, max_iter=3, tol=0
    )
    with pytest.warns(ConvergenceWarning, match="max_iter=3"):
        model.fit(X)
    nu = 0.2 * 5
    prior = np.mean([np.cov(Z[truth == j].T, bias=True) for j in range(3)], axis=0)
    prior += em.RIDGE * np.square(Z).mean() * np.eye(5)
    responsibilities = np.eye(3)[truth]
    for _ in range(4):  # the start, and three steps
        weights, means, found = slow_step(Z, responsibilities, 2, nu, prior)
        joint = np.stack(
            [
                w * multivariate_normal(m, C).pdf(Z)
                for w, m, C in zip(weights, means, found, strict=True)
            ],
            axis=1,
        )
        responsibilities = joint / joint.sum(1, keepdims=True)
    np.testing.assert_allclose(model.weights_, weights, rtol=1e-9)
    np.testing.assert_allclose((model.means_ - centre) / scale, means, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(covariances(model) / scale**2, found, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(
        model.log_likelihood_, np.log(joint.sum(1)) - 5 * np.log(scale), atol=1e-9
    )


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.parametrize("case", ["clumps", "few points", "wide", "constant feature"])
def test_em_never_lowers_its_objective(make, case):
    X = {
        "clumps": lambda: clumps(gap=0.3)[0],
        "few points": lambda: np.random.default_rng(1).normal(size=(30, 4)),
        "wide": lambda: np.random.default_rng(2).normal(size=(40, 60)),
        "constant feature": lambda: np.c_[clumps()[0], np.ones(400)],
    }[case]()
    model = make(5, max_iter=2000, tol=0, prior_strength=0.05, random_state=0).fit(X)
    objective = np.array(model.history_["objective"])
    assert len(objective) > 1 and model.values_["converged"] == 1
    assert np.diff(objective).min() > -1e-10 * np.abs(objective).max()


@pytest.mark.parametrize("make", BOTH)
def test_fewer_points_than_features_still_give_a_density_of_new_points(make):
    """A covariance of 12 points in 40 dimensions: by scikit-learn's the new points are absurd."""
    X, _ = clumps(n=48, c=4, d=40, seed=4)
    new, _ = clumps(n=400, c=4, d=40, seed=4)
    model = make(4, random_state=0).fit(X)
    theirs = sklearn.mixture.GaussianMixture(4, reg_covar=1e-6, random_state=0).fit(X)
    assert model.score(new) > -400
    assert theirs.score(new) < 10 * model.score(new)


@pytest.mark.parametrize("make", BOTH)
def test_held_out_points_are_those_of_the_mixture_of_networks(make):
    X = load_digits().data[:300] / 16
    networks = MixtureOfNetworks(
        n_components=4,
        structure="2-8-x",
        t1=1,
        t2=1,
        min_updates=0,
        n_samples=20,
        n_final_samples=50,
        random_state=11,
    ).fit(X)
    model = make(4, random_state=11).fit(X)
    assert model.values_["n_held_out"] == networks.values_["n_held_out"] == 30
    theirs = networks.log_likelihood_[model.held_out_].mean(dtype=np.float64)
    recorded = networks.values_["heldout_log_likelihood"]
    assert theirs == pytest.approx(recorded, rel=1e-5)
    other = networks.log_likelihood_[draw_held_out(12, 300, 30)].mean(dtype=np.float64)
    assert other != pytest.approx(recorded, rel=1e-5)


@pytest.mark.parametrize("make", BOTH)
def test_held_out_points_are_not_learnt_from(make):
    X, _ = clumps()
    held_out = np.arange(0, 400, 7)
    other = X.copy()
    other[held_out] += np.random.default_rng(0).normal(size=(len(held_out), 5))
    models = [make(3, random_state=0).fit(points, held_out=held_out) for points in (X, other)]
    assert np.array_equal(models[0].means_, models[1].means_)
    assert models[0].values_["n_held_out"] == len(held_out)
    for model, points in zip(models, (X, other), strict=True):
        expected = model.score(points[held_out])
        assert model.values_["heldout_log_likelihood"] == pytest.approx(expected)
        rest = np.setdiff1d(np.arange(400), held_out)
        assert model.values_["train_log_likelihood"] == pytest.approx(model.score(points[rest]))


@pytest.mark.parametrize("make", BOTH)
def test_samples_have_the_moments_of_their_component(make):
    X, _ = clumps()
    model = make(3, random_state=0).fit(X)
    found, components = model.sample(60_000, component=1, random_state=5)
    assert found.shape == (60_000, 5) and set(components) == {1}
    C = covariances(model)[1]
    size = np.sqrt(np.trace(C))
    np.testing.assert_allclose(found.mean(0), model.means_[1], atol=0.03 * size)
    np.testing.assert_allclose(np.cov(found.T), C, atol=0.05 * size**2)
    shares = np.bincount(model.sample(60_000, random_state=5)[1], minlength=3) / 60_000
    np.testing.assert_allclose(shares, model.weights_, atol=0.01)
    assert np.array_equal(model.sample(9)[0], model.sample(9)[0])
    assert not np.array_equal(model.sample(9, random_state=1)[0], model.sample(9)[0])


@pytest.mark.parametrize("make", BOTH)
def test_a_seed_repeats_itself_and_given_labels_are_the_start(make):
    X, truth = clumps(gap=0.5)
    model = make(3, random_state=4)
    assert np.array_equal(model.fit(X).log_likelihood_, clone(model).fit(X).log_likelihood_)
    moved = make(3, init=(truth + 1) % 3, random_state=4).fit(X)
    same = make(3, init=truth, random_state=4).fit(X)
    assert np.array_equal((same.labels_ + 1) % 3, moved.labels_)
    objectives = [
        make(3, n_init=i, random_state=4, prior_strength=0.1).fit(X).history_["objective"][-1]
        for i in (1, 6)
    ]
    assert objectives[0] <= objectives[1]


@pytest.mark.parametrize("make", BOTH)
@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
@pytest.mark.parametrize(
    ("X", "c"),
    [
        pytest.param(np.ones((40, 3)), 3, id="all points equal"),
        pytest.param(np.random.default_rng(0).normal(size=(6, 3)), 5, id="a cluster a point"),
        pytest.param(np.repeat(np.eye(4), 8, axis=0), 4, id="each point eight times"),
        pytest.param(
            np.r_[np.random.default_rng(0).normal(size=(50, 3)), [[1e9, 0, 0]]], 3, id="an outlier"
        ),
        pytest.param(np.random.default_rng(0).normal(size=(50, 1)), 3, id="one feature"),
    ],
)
def test_degenerate_data(make, X, c):
    model = make(c, random_state=0).fit(X)
    assert np.isfinite(model.log_likelihood_).all()
    assert set(model.labels_) <= set(range(c))
    assert np.isfinite(model.predict_proba(X)).all()


def test_an_empty_starting_cluster_has_weight_zero():
    X, truth = clumps()
    model = GaussianMixture(4, init=truth).fit(X)
    assert model.weights_[3] == 0 and np.isfinite(model.log_likelihood_).all()
    assert 3 not in set(model.sample(500)[1])


@pytest.mark.parametrize(
    ("share", "n", "expected"), [(0.1, 300, 30), (0.001, 300, 1), (7, 300, 7), (0, 300, 0)]
)
def test_how_many_are_held_out(share, n, expected):
    assert held_out_count(share, n, 3) == expected
    rows = draw_held_out(5, n, expected)
    assert len(np.unique(rows)) == expected and set(rows) <= set(range(n))


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"n_clusters": 0}, ValueError, "n_clusters"),
        ({"n_clusters": 500}, ValueError, "n_clusters=500 is more than the number of points"),
        ({"n_init": 0}, ValueError, "n_init"),
        ({"max_iter": 2.0}, TypeError, "max_iter"),
        ({"tol": -1}, ValueError, "tol"),
        ({"prior_strength": 0}, ValueError, "prior_strength must be > 0"),
        ({"prior_strength": "strong"}, ValueError, "prior_strength must be 'auto'"),
        ({"validation_size": 1.5}, ValueError, "validation_size"),
        ({"validation_size": float("inf")}, ValueError, "validation_size"),
        ({"validation_size": 398}, ValueError, "leaves at least 3 of n_samples = 400"),
        ({"init": "random"}, ValueError, "init must be 'kmeans' or 400 labels"),
        ({"init": np.full(400, 3)}, ValueError, r"init must have labels in 0..2; got 3..3"),
        ({"init": np.zeros(399, int)}, ValueError, "init must be"),
        ({"random_state": -1}, ValueError, "random_state"),
    ],
)
@pytest.mark.parametrize("make", BOTH)
def test_bad_settings_are_named(make, settings, error, words):
    with pytest.raises(error, match=words):
        make(**{"n_clusters": 3} | settings).fit(clumps()[0])


def test_directions_may_be_the_inputs_of_a_structure():
    X, _ = clumps()
    named, counted = (MixtureOfPPCA(3, q, random_state=0).fit(X) for q in ("2-16-5", 2))
    assert np.array_equal(named.log_likelihood_, counted.log_likelihood_)
    with pytest.raises(TypeError, match="n_directions must be an integer, got 'x-16-5'"):
        MixtureOfPPCA(3, "x-16-5").fit(X)


def test_bad_directions_held_out_points_and_calls_are_named():
    X, _ = clumps()
    with pytest.raises(ValueError, match="n_directions must be >= 0"):
        MixtureOfPPCA(3, -1).fit(X)
    for held_out, words in (
        ([0.5], "held_out must be indices"),
        ([400], r"in 0..399"),
        ([1, 1], "each point once"),
        (np.arange(398), "at least 3 of 400"),
    ):
        with pytest.raises(ValueError, match=words):
            GaussianMixture(3).fit(X, held_out=held_out)
    model = GaussianMixture(3).fit(X)
    with pytest.raises(ValueError, match="n_samples must be >= 1"):
        model.sample(0)
    with pytest.raises(ValueError, match="component must be below n_clusters = 3"):
        model.sample(1, component=3)
    with pytest.raises(ValueError, match="4 features"):
        model.predict(X[:, :4])
