"""The Parzen-window score against scikit-learn, closed forms and a float64 reference."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.neighbors import KernelDensity
from sklearn.utils.estimator_checks import parametrize_with_checks

from baselines import parzen
from baselines.parzen import ParzenWindow, log_densities, mean_and_error
from baselines.protocols import GMMN, GOODFELLOW, PROTOCOLS
from benchmarks.datasets import DatasetMissing, load

FOLDER = Path(os.environ.get("MIXNET_DATA") or Path(__file__).resolve().parents[3] / "shared/data")


def images(n, seed, d=784):
    """Points in [0, 1] with norms and distances about MNIST's: prototypes, deformed, with noise."""
    made = np.random.default_rng(0)
    prototypes = made.uniform(-0.7, 0.7, size=(10, d))
    directions = made.normal(size=(20, d)) / 20
    rng = np.random.default_rng(seed)
    X = prototypes[rng.integers(10, size=n)] + rng.normal(size=(n, 20)) @ directions
    return np.clip(X + rng.normal(size=(n, d)) * 0.05, 0, 1).astype(np.float32)


def reference(X, samples, widths):
    """Log densities (n, n_widths) in float64, differences first, one point after another."""
    X, samples, widths = (np.asarray(a, dtype=np.float64) for a in (X, samples, widths))
    out = []
    for x in X:
        sq = np.square(x - samples).sum(1)
        out.append(logsumexp(-sq / (2 * widths[:, None] ** 2), axis=1))
    norm = np.log(len(samples)) + X.shape[1] * np.log(widths * np.sqrt(2 * np.pi))
    return np.array(out) - norm


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_within_1e_3_nats_of_float64_at_every_width(protocol):
    samples, X = images(700, 1), images(250, 2)
    window = ParzenWindow.from_protocol(protocol).fit(samples, validation=X[:50])
    exact = reference(X, samples, window.widths)
    found = window.score_samples_grid(X)
    assert np.abs(found - exact).max() < 2e-3
    assert np.abs(found.mean(0) - exact.mean(0)).max() < 1e-4
    assert np.array_equal(window.score_grid(X), found.mean(0))


@pytest.mark.parametrize("n_samples", [1, 40, 2300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equals_scikit_learns_kernel_density(n_samples, dtype):
    rng = np.random.default_rng(3)
    samples, X = rng.random((n_samples, 6)).astype(dtype), rng.random((600, 6)).astype(dtype)
    theirs = KernelDensity(bandwidth=0.2).fit(samples).score_samples(X)
    assert np.abs(ParzenWindow(0.2).fit(samples).score_samples(X) - theirs).max() < 1e-4


def test_closed_form_of_one_and_of_two_samples():
    rng = np.random.default_rng(4)
    a, b, X = rng.normal(size=3), rng.normal(size=3), rng.normal(size=(20, 3))
    one, two = (multivariate_normal(mean, 0.7**2).logpdf(X) for mean in (a, b))
    assert np.allclose(ParzenWindow(0.7).fit(a[None]).score_samples(X), one, atol=1e-5)
    found = ParzenWindow(0.7).fit(np.stack([a, b])).score_samples(X)
    assert np.allclose(found, np.logaddexp(one, two) - np.log(2), atol=1e-5)


def test_density_integrates_to_one():
    samples = np.random.default_rng(5).normal(size=(7, 1))
    at = np.linspace(-8, 8, 4001)[:, None]
    density = np.exp(ParzenWindow(0.3).fit(samples).score_samples(at))
    assert abs(np.trapezoid(density, at[:, 0]) - 1) < 1e-5


@pytest.mark.parametrize(("tile", "features"), [(7, 5), (64, 784), (1024, 100)])
def test_tiles_and_slices_make_no_difference(tile, features, monkeypatch):
    samples, X = images(150, 1), images(40, 2)
    monkeypatch.setattr(parzen, "TOLERANCE", 0)  # all in float64: rounding hangs on the slices
    whole = log_densities(X, samples, GOODFELLOW.widths)
    monkeypatch.setattr(parzen, "TILE", tile)
    monkeypatch.setattr(parzen, "FEATURES", features)
    assert np.allclose(log_densities(X, samples, GOODFELLOW.widths), whole, rtol=0, atol=1e-8)


def test_float32_is_used_and_keeps_the_tolerance():
    samples, X = images(150, 1), images(40, 2)
    found = log_densities(X, samples, GOODFELLOW.widths)
    exact = reference(X, samples, GOODFELLOW.widths)
    assert 0 < np.abs(found - exact).max() < parzen.TOLERANCE


def test_a_later_tile_may_hold_the_nearest_samples(monkeypatch):
    """Sums so far are rescaled, whichever way the distances go."""
    monkeypatch.setattr(parzen, "TILE", 4)
    samples = np.linspace(0, 3, 40)[:, None]
    X = np.array([[0.0], [3.0], [1.5]])
    for order in (samples, samples[::-1]):
        assert np.allclose(
            log_densities(X, order, [0.05, 1.0]), reference(X, order, [0.05, 1.0]), atol=1e-4
        )


def test_order_and_company_of_the_points_make_no_difference():
    samples, X = images(300, 1), images(90, 2)
    window = ParzenWindow(0.2).fit(samples)
    scores = window.score_samples(X)
    order = np.random.default_rng(0).permutation(300)
    assert np.allclose(ParzenWindow(0.2).fit(samples[order]).score_samples(X), scores, atol=1e-3)
    alone = np.concatenate([window.score_samples(x[None]) for x in X[:9]])
    assert np.allclose(alone, scores[:9], atol=1e-3)


def test_width_is_the_likeliest_on_validation():
    samples, validation = images(200, 1), images(60, 2)
    window = ParzenWindow().fit(samples, validation=validation)
    exact = reference(validation, samples, window.widths).mean(0)
    assert np.allclose(window.validation_scores_, exact, atol=1e-3)
    assert window.width_ == GOODFELLOW.widths[int(exact.argmax())]
    test = images(30, 3)
    at = window.widths.index(window.width_)
    assert np.allclose(
        window.score_samples(test), window.score_samples_grid(test)[:, at], rtol=0, atol=1e-3
    )
    assert window.score(test) == window.score_samples(test).mean()
    again = window.set_params(width=0.5).fit(samples, validation=validation)
    assert again.width_ == 0.5 and not hasattr(again, "validation_scores_")


# ---- what must not overflow or mislead ----------------------------------------------------------


def test_far_points_and_narrow_widths_do_not_overflow():
    samples = images(50, 1)
    X = np.concatenate([images(5, 2), images(5, 3) + 1e4, -1e6 * np.ones((1, 784))])
    widths = [1e-6, 1e-3, 0.05, 1.0, 1e6]
    found, exact = log_densities(X, samples, widths), reference(X, samples, widths)
    assert np.isfinite(found).all()
    assert np.allclose(found, exact, rtol=1e-12, atol=1e-3)


def test_clusters_far_apart_and_an_outlier_cost_no_digits():
    """Products lose what points differ by where the mean of all is far from each of them."""
    near = np.random.default_rng(0).normal(size=(60, 5))
    for samples in (np.r_[near, near + 1e9], np.r_[near, np.full((1, 5), 1e12)]):
        X = samples[::7] + 0.25
        exact = reference(X, samples, [0.5, 1.0])
        assert np.allclose(log_densities(X, samples, [0.5, 1.0]), exact, rtol=1e-9, atol=1e-6)


def test_a_grid_of_extreme_widths_stays_finite():
    found = log_densities(images(3, 1), images(4, 2), [1e-100, 1e-20, 1.0, 1e150, 1e300])
    assert np.isfinite(found).all() and (np.diff(found[:, 2:]) < 0).all()


def test_an_outlier_among_the_samples_changes_its_share_only():
    samples, X = images(80, 1).astype(np.float64), images(20, 2)
    plain = log_densities(X, samples, [0.1, 0.5])
    far = np.concatenate([samples, np.full((1, 784), 1e3)])
    assert np.allclose(log_densities(X, far, [0.1, 0.5]), plain + np.log(80 / 81), atol=2e-3)
    # The centre is then so far away that the images are one point even to float64.
    farther = np.concatenate([samples, np.full((1, 784), 1e120)])
    assert np.isfinite(log_densities(X, farther, [0.1, 0.5])).all()


def test_duplicates_weigh_as_often_as_they_stand():
    samples, X = images(30, 1), images(10, 2)
    scores = ParzenWindow(0.1).fit(samples).score_samples(X)
    twice = ParzenWindow(0.1).fit(np.repeat(samples, 3, axis=0)).score_samples(X)
    assert np.allclose(twice, scores, atol=1e-3)
    same = ParzenWindow(0.1).fit(np.repeat(samples[:1], 40, axis=0))
    peak = -784 * np.log(0.1 * np.sqrt(2 * np.pi))
    assert abs(same.score(samples[:1]) - peak) < 1e-6
    assert (
        abs(
            ParzenWindow(1e-120).fit(samples[:1]).score(samples[:1]) - peak - 784 * 119 * np.log(10)
        )
        < 1e-6
    )


def test_no_density_is_above_that_of_a_sample_on_the_point():
    samples = images(64, 1)
    peak = ParzenWindow(0.1).fit(samples[:1]).score(samples[:1])
    # The other samples are so far that they add nothing.
    many = ParzenWindow(0.1).fit(samples).score_samples(samples)
    assert (many <= peak - np.log(64) + 1e-9).all()
    assert np.allclose(many, peak - np.log(64), atol=2e-3)


def test_products_that_are_not_float32_are_not_used():
    samples, X = images(60, 1), images(20, 2)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        found = log_densities(X, samples, [0.1])
    finally:
        torch.set_float32_matmul_precision(before)
    assert np.allclose(found, reference(X, samples, [0.1]), rtol=0, atol=1e-8)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_is_that_of_tiles():
    """12,000 x 12,000 distances are 576 MB."""
    code = (
        "import numpy as np\n"
        "from benchmarks.records.provenance import peak_rss_mb\n"
        "from baselines.parzen import ParzenWindow\n"
        "X = np.random.default_rng(0).random((12_000, 4), dtype=np.float32)\n"
        "window = ParzenWindow(0.2).fit(X)\n"
        "window.score_samples(X[:1200])\n"
        "before = peak_rss_mb()\n"
        "window.score_samples(X)\n"
        "print(peak_rss_mb() - before)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert float(ran.stdout) * 2**20 < 100e6


# ---- the published protocols --------------------------------------------------------------------


def test_protocols_are_the_published_ones():
    assert np.allclose(
        GOODFELLOW.widths,
        [0.1, 0.1292, 0.1668, 0.2154, 0.2783, 0.3594, 0.4642, 0.5995, 0.7743, 1.0],
        atol=1e-4,
    )
    assert np.allclose(GMMN.widths, 0.1 + 0.01 * np.arange(20))
    train, validation = GOODFELLOW.split()
    assert np.array_equal(train, np.arange(50_000))
    assert np.array_equal(validation, np.arange(50_000, 51_000))
    train, validation = GMMN.split(60_000)
    assert np.array_equal(np.r_[validation, train], np.random.RandomState(0).permutation(60_000))
    assert len(validation) == 5000
    assert (GOODFELLOW.fresh_samples, GMMN.fresh_samples) == (False, True)
    with pytest.raises(ValueError, match="n must be 60000.*'gmmn'; got 1000"):
        GMMN.split(1000)
    with pytest.raises(ValueError, match="name must be one of .*'gmmn', 'goodfellow'.*'theis'"):
        ParzenWindow.from_protocol("theis")


@pytest.fixture(scope="module")
def mnist(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    try:
        return [load(name, source=FOLDER, cache_dir=cache).X for name in ("mnist", "mnist-test")]
    except DatasetMissing as reason:
        pytest.skip(f"needs {', '.join(reason.files)} in the folder of raw files, MIXNET_DATA")


@pytest.mark.data
def test_real_images_within_1e_3_nats_of_float64(mnist):
    train, test = mnist
    samples, X = train[:1500], test[::50]
    for protocol in PROTOCOLS.values():
        exact = reference(X, samples, protocol.widths)
        found = log_densities(X, samples, protocol.widths)
        assert np.abs(found.mean(0) - exact.mean(0)).max() < 2e-4
        assert np.abs(found - exact).max() < 5e-3


@pytest.mark.data
@pytest.mark.parametrize(
    "name",
    [pytest.param(p, marks=[] if p == "goodfellow" else [pytest.mark.slow]) for p in PROTOCOLS],
)
def test_real_training_images_score_244(mnist, name):
    """Drawn at random: the file goes by writers, and blocks of 10,000 of it score 238 to 243."""
    train, test = mnist
    rows, validation = PROTOCOLS[name].split(len(train))
    drawn = np.random.default_rng(0).permutation(rows)[:10_000]
    window = ParzenWindow.from_protocol(name).fit(train[drawn], validation=train[validation])
    mean, error = mean_and_error(window.score_samples(test))
    assert abs(mean - 244) < 2
    assert 1.7 < error < 2.2
    assert 0.16 < window.width_ < 0.19


# ---- the estimator's contract and the door ------------------------------------------------------


class WithoutValidation(ParzenWindow):
    """As scikit-learn's checks call it: the second argument of fit is y."""

    def fit(self, X, y=None):
        return super().fit(X)


@parametrize_with_checks([WithoutValidation(1.0)])
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def test_parameters_survive_clone():
    window = ParzenWindow(widths=[0.1, 0.2], device="cpu")
    assert clone(window).get_params() == window.get_params()
    assert "widths" in repr(window)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float16, bool])
def test_numbers_of_other_types(dtype):
    samples, X = np.eye(4).astype(dtype), np.ones((3, 4)).astype(dtype)
    assert np.allclose(
        ParzenWindow(0.5).fit(samples).score_samples(X),
        reference(X, samples, [0.5])[:, 0],
        atol=1e-5,
    )


def test_mean_and_error():
    values = np.random.default_rng(0).normal(size=50)
    assert mean_and_error(values) == (
        pytest.approx(values.mean()),
        pytest.approx(values.std(ddof=1) / np.sqrt(50)),
    )
    mean, error = mean_and_error([2.0])
    assert mean == 2 and np.isnan(error)
    for wrong in ([], [[1.0]]):
        with pytest.raises(ValueError, match="log_density must be .* got shape"):
            mean_and_error(wrong)
    for value in (np.nan, -np.inf):
        with pytest.raises(ValueError, match=rf"log_density must be finite; got {value} \(1 of"):
            mean_and_error([1.0, value])


GOOD = np.random.default_rng(0).random((6, 3))
NAN, INF = GOOD.copy(), GOOD.copy()
NAN[2, 1], INF[0, 0] = np.nan, np.inf


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (NAN, "{name} contains NaN"),
        (INF, "{name} contains infinity"),
        (GOOD[:, 0], "{name} must be a 2-D array .* got 1-D"),
        (GOOD[None], "{name} must be a 2-D array .* got 3-D"),
        (GOOD[:0], r"0 sample\(s\)"),
        (GOOD[:, :0], r"0 feature\(s\)"),
        (GOOD + 1j, "Complex data not supported"),
    ],
    ids=["NaN", "infinity", "1-D", "3-D", "no rows", "no features", "complex"],
)
def test_bad_points_are_named(bad, words):
    window = ParzenWindow(0.2).fit(GOOD)
    for name, call in {
        "X": ParzenWindow(0.2).fit,
        "validation": lambda points: ParzenWindow().fit(GOOD, validation=points),
        "X ": window.score_samples,
    }.items():
        name = name.strip()
        with pytest.raises(ValueError, match=words.format(name=name)):
            call(bad)
    assert np.isfinite(window.score_samples(GOOD)).all()


def test_dimensions_must_agree():
    with pytest.raises(ValueError, match="validation has 2 features, .* expecting 3 features"):
        ParzenWindow().fit(GOOD, validation=GOOD[:, :2])
    with pytest.raises(ValueError, match="X has 2 features, .* expecting 3 features"):
        ParzenWindow(0.1).fit(GOOD).score_grid(GOOD[:, :2])


@pytest.mark.parametrize("bad", [0, -0.1, np.nan, np.inf])
def test_a_width_without_a_density_is_refused(bad):
    with pytest.raises(ValueError, match=r"^width must be positive and finite.* got"):
        ParzenWindow(bad).fit(GOOD)
    with pytest.raises(ValueError, match=r"^widths must be positive and finite.* got"):
        ParzenWindow(widths=[0.1, bad]).fit(GOOD, validation=GOOD)


def test_other_bad_settings():
    with pytest.raises(ValueError, match="validation must be given .* or a width"):
        ParzenWindow().fit(GOOD)
    for widths in ([], "0.1", 0.1, None):
        with pytest.raises(ValueError, match="widths must be one or more positive numbers"):
            ParzenWindow(widths=widths).fit(GOOD, validation=GOOD)
    for width in ("0.1", True):
        with pytest.raises(TypeError, match="width must be positive numbers"):
            ParzenWindow(width).fit(GOOD)
    with pytest.raises(ValueError, match="X and samples must be within 1e150 widths"):
        ParzenWindow(1e-3).fit(GOOD).score_samples(GOOD + 1e160)
