"""The measures beside the Parzen window, against loops in float64, scikit-learn and known cases."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from baselines import measures as module
from baselines import tiles
from baselines.measures import (
    Reference,
    density_coverage,
    kernel_widths,
    measures,
    measures_of_test_images,
    mmd2,
    nearest_training_distance,
    two_sample_accuracy,
)

WIDTHS = (0.4, 0.8, 1.7)
KEYS = [
    "mmd2",
    "density",
    "coverage",
    "nn_accuracy",
    "nn_accuracy_samples",
    "nn_accuracy_test",
    "classifier_accuracy",
    "training_distance",
    "training_distance_ratio",
    "training_distance_share",
]


def points(n, seed, d=6, shift=0.0, spread=1.0):
    """Three clumps in [0, 1]^d."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).uniform(0.3, 0.6, size=(3, d))
    noise = rng.normal(scale=0.08 * spread, size=(n, d))
    return np.clip(centres[rng.integers(3, size=n)] + noise + shift, 0, 1).astype(np.float32)


@pytest.fixture
def small_tiles(monkeypatch):
    """Several tiles in each direction, the last ones smaller than k."""
    monkeypatch.setattr(tiles, "TILE", 16)


# ---- mmd2 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "m"), [(2, 2), (23, 40), (50, 50), (35, 17)])
def test_mmd2_is_the_double_loop_and_scikit_learns_kernel(n, m, small_tiles):
    x, y = points(n, 1), points(m, 2, shift=0.05)

    def k(a, b):
        sq = np.square(a.astype(float) - b).sum()
        return np.mean([np.exp(-sq / (2 * width**2)) for width in WIDTHS])

    loop = sum(k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j) / (n * (n - 1))
    loop += sum(k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j) / (m * (m - 1))
    loop -= 2 * sum(k(a, b) for a in x for b in y) / (n * m)
    found = mmd2(x, y, WIDTHS)
    assert found == pytest.approx(loop, abs=1e-7)
    kernels = [
        np.mean(
            [
                rbf_kernel(a.astype(float), b.astype(float), gamma=0.5 / width**2)
                for width in WIDTHS
            ],
            0,
        )
        for a, b in ((x, x), (y, y), (x, y))
    ]
    within = [
        (kernel.sum() - np.trace(kernel)) / (len(kernel) * (len(kernel) - 1))
        for kernel in kernels[:2]
    ]
    assert found == pytest.approx(sum(within) - 2 * kernels[2].mean(), abs=1e-7)
    assert mmd2(y, x, WIDTHS) == pytest.approx(found, abs=1e-7)


def test_mmd2_of_gaussians_is_the_closed_form():
    """E k(x, y) of N(0, s² I) and N(a, t² I) is (w²/v)^(d/2) exp(-|a|²/2v), v = w² + s² + t²."""
    d, s, t, a, n = 4, 0.05, 0.08, 0.06, 3000
    rng = np.random.default_rng(0)
    x = 0.5 + s * rng.normal(size=(n, d))
    y = 0.5 + a + t * rng.normal(size=(n, d))
    widths = (0.05, 0.1)

    def mean(v_x, v_y, gap):
        v = [w**2 + v_x + v_y for w in widths]
        return np.mean(
            [
                (w**2 / u) ** (d / 2) * np.exp(-d * gap**2 / (2 * u))
                for w, u in zip(widths, v, strict=True)
            ]
        )

    exact = mean(s**2, s**2, 0) + mean(t**2, t**2, 0) - 2 * mean(s**2, t**2, a)
    assert exact > 0.1
    assert mmd2(x, y, widths) == pytest.approx(exact, abs=0.01)


def test_mmd2_is_unbiased_between_equals_and_grows_with_the_gap():
    values = [mmd2(points(40, seed), points(50, 1000 + seed), WIDTHS) for seed in range(60)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(60)
    assert min(values) < 0 < max(values)
    gaps = [mmd2(points(300, 1), points(300, 2, shift=shift), WIDTHS) for shift in (0, 0.1, 0.2)]
    assert gaps[0] < gaps[1] < gaps[2]


def test_mmd2_of_two_points_and_of_one_set():
    x, y = np.zeros((2, 3)), np.ones((2, 3))
    assert mmd2(x, y, [1.0]) == pytest.approx(2 - 2 * np.exp(-1.5), abs=1e-6)
    same = points(30, 1)
    kernel = rbf_kernel(same.astype(float), gamma=0.5)
    off = (kernel.sum() - 30) / (30 * 29)
    assert mmd2(same, same, [1.0]) == pytest.approx(2 * off - 2 * kernel.mean(), abs=1e-7)


def test_widths_are_multiples_of_the_median_distance(monkeypatch):
    training = points(101, 1)
    gaps = cdist(training, training)[np.triu_indices(101, 1)]
    assert kernel_widths(training) == pytest.approx(np.median(gaps) * np.array([0.5, 1, 2]))
    assert kernel_widths(training, [3]) == pytest.approx([3 * np.median(gaps)])
    monkeypatch.setattr(module, "MEDIAN_OF", 26)
    assert kernel_widths(training) == kernel_widths(training[::4])


# ---- density and coverage -----------------------------------------------------------------------


def slow_density_coverage(x, y, k):
    """The paper's sums, with scikit-learn's neighbours."""
    index = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(y.astype(float))
    radius = index.kneighbors()[0][:, -1]
    inside = cdist(x.astype(float), y.astype(float)) < radius
    return inside.sum() / (k * len(x)), inside.any(0).mean()


@pytest.mark.parametrize("k", [1, 3, 20])
@pytest.mark.parametrize(("n", "m"), [(40, 40), (70, 25), (1, 60)])
def test_density_coverage_are_the_papers_sums(n, m, k, small_tiles):
    if n == 1:
        n = 2
    for shift in (0.0, 0.05):
        x, y = points(n, 1, shift=shift), points(m, 2)
        assert density_coverage(x, y, k) == pytest.approx(slow_density_coverage(x, y, k))


def test_density_coverage_by_hand():
    """On a line at 0, .1, .3, .7 the radii to the next are .1, .1, .2, .4."""
    y = np.array([[0.0], [0.1], [0.3], [0.7]])
    x = np.array([[0.25], [0.25], [0.05], [0.6]])
    # 0.25: balls of .3; 0.05: of 0 and .1; 0.6: of .7
    assert density_coverage(x, y, 1) == (5 / 4, 1.0)
    assert density_coverage(x[:2], y, 1) == (1.0, 1 / 4)
    # On the surface of two balls, in one: rounding makes no difference.
    assert density_coverage(np.array([[0.2], [0.5]]), y, 1) == (1.0, 1 / 2)


def test_density_coverage_of_equals_is_that_of_the_papers_lemma():
    """Mean coverage 1 - (m-1)…(m-k) / (m+n-1)…(m+n-k), mean density 1."""
    n, m, k = 60, 80, 4
    found = np.mean([density_coverage(points(n, s), points(m, 500 + s), k) for s in range(80)], 0)
    steps = np.arange(1, k + 1)
    assert found[1] == pytest.approx(1 - np.prod((m - steps) / (m + n - steps)), abs=0.012)
    assert found[0] == pytest.approx(1, abs=0.06)


def test_density_coverage_of_known_sets():
    y = points(200, 1, d=30)
    # A point of the set is in its own ball and in those that have it as one of k - 1 neighbours.
    assert density_coverage(y, y, 5) == (1.0, 1.0)
    assert density_coverage(np.zeros((20, 30)), y, 5) == (0.0, 0.0)
    one = np.repeat(y[:1], 200, axis=0)
    density, coverage = density_coverage(one, y, 5)
    assert coverage == pytest.approx(density * 5 / 200) and coverage < 0.2
    assert density_coverage(y, one, 5) == (0.0, 0.0)  # balls of no radius


# ---- two samples --------------------------------------------------------------------------------


def slow_nn_accuracy(x, y):
    both, label = np.concatenate([x, y]).astype(float), np.repeat([0, 1], [len(x), len(y)])
    hits = []
    for i in range(len(both)):
        others = np.arange(len(both)) != i
        nearest = KNeighborsClassifier(1, algorithm="brute").fit(both[others], label[others])
        hits.append(nearest.predict(both[i : i + 1])[0] == label[i])
    return np.mean(hits), np.mean(hits[: len(x)]), np.mean(hits[len(x) :])


@pytest.mark.parametrize("shift", [0.0, 0.04, 0.1])
def test_nn_accuracy_is_leave_one_out(shift, small_tiles):
    x, y = points(70, 1, shift=shift), points(70, 2)
    found = two_sample_accuracy(x, y)
    assert tuple(found.values())[:3] == pytest.approx(slow_nn_accuracy(x, y))


def test_two_sample_accuracy_of_known_sets():
    y = points(60, 1)
    apart = two_sample_accuracy(points(60, 2) / 1000, y)
    assert apart == dict.fromkeys(apart, 1.0)
    copies = two_sample_accuracy(y, y)
    assert copies["nn_accuracy"] == copies["nn_accuracy_samples"] == 0
    # Each point twice in each set: the nearest is of either, at a distance of 0.
    twice = np.concatenate([y, y])
    assert two_sample_accuracy(twice, twice)["nn_accuracy"] == 0.5
    # One image alone: samples find each other, most test images as well.
    one = two_sample_accuracy(np.repeat(y[:1] + 1e-3, 60, axis=0), y)
    assert one["nn_accuracy_samples"] == 1 and one["nn_accuracy_test"] > 0.9


def test_two_sample_accuracy_of_equals_is_a_half():
    found = two_sample_accuracy(points(1500, 1), points(1500, 2))
    assert found["nn_accuracy"] == pytest.approx(0.5, abs=0.04)
    assert found["classifier_accuracy"] == pytest.approx(0.5, abs=0.04)
    found = two_sample_accuracy(points(1500, 1, spread=1.5), points(1500, 2))
    assert 0.6 < found["classifier_accuracy"] < 0.95
    assert found["nn_accuracy_test"] > found["nn_accuracy_samples"]  # the wider is the sparser


def test_classifier_is_held_out_balanced_and_seeded():
    """On two sets of one kind it is near a half, however well the training half is known."""
    x, y = points(300, 1, d=20), points(300, 2, d=20)
    first = two_sample_accuracy(x, y, 3)
    assert first == two_sample_accuracy(x, y, 3)
    others = {two_sample_accuracy(x, y, seed)["classifier_accuracy"] for seed in range(3)}
    assert len(others) > 1 and all(abs(value - 0.5) < 0.12 for value in others)


def test_larger_sets_are_drawn_down():
    x, y = points(90, 1), points(40, 2)
    apart = points(90, 1) / 1000
    for found in (two_sample_accuracy(x, y), two_sample_accuracy(y, x)):
        assert 0.3 < found["nn_accuracy"] < 0.7
        assert found["nn_accuracy_samples"] * 40 == pytest.approx(
            round(found["nn_accuracy_samples"] * 40)
        )
    assert two_sample_accuracy(apart, y)["nn_accuracy"] == 1
    assert two_sample_accuracy(x, y, 1) != two_sample_accuracy(x, y, 2)


# ---- nearest training image ---------------------------------------------------------------------


def test_nearest_training_distance_is_scikit_learns(small_tiles):
    samples, training, test = points(50, 1, spread=0.7), points(133, 2), points(60, 3)
    index = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(training.astype(float))
    a, b = (index.kneighbors(p.astype(float))[0][:, 0] for p in (samples, test))
    found = nearest_training_distance(samples, training, test)
    assert list(found.values()) == pytest.approx(
        [a.mean(), a.mean() / b.mean(), (a <= np.quantile(b, 0.01)).mean()]
    )


def test_nearest_training_distance_of_known_sets():
    training, test = points(300, 1, d=20), points(200, 2, d=20)
    copies = nearest_training_distance(training[::3], training, test)
    assert list(copies.values()) == [0, 0, 1]
    same = nearest_training_distance(test, training, test)
    assert same["training_distance_ratio"] == 1
    assert same["training_distance_share"] == pytest.approx(0.01, abs=0.005)
    near = nearest_training_distance(training[::3] * 0.999, training, test)
    assert near["training_distance_ratio"] < 0.02 and near["training_distance_share"] == 1
    far = nearest_training_distance(np.ones((3, 20)), training, test)
    assert far["training_distance_ratio"] > 2 and far["training_distance_share"] == 0
    assert nearest_training_distance(test[:1], training, test)["training_distance"] > 0


# ---- all of them --------------------------------------------------------------------------------


def test_measures_are_those_of_the_functions(small_tiles):
    samples, test, training = points(60, 1, shift=0.02), points(60, 2), points(150, 3)
    found = measures(samples, test, training, 5)
    assert list(found) == KEYS and all(type(value) is float for value in found.values())
    density, coverage = density_coverage(samples, test)
    expected = {
        "mmd2": mmd2(samples, test, kernel_widths(training)),
        "density": density,
        "coverage": coverage,
        **two_sample_accuracy(samples, test, 5),
        **nearest_training_distance(samples, training, test),
    }
    assert found == pytest.approx(expected, abs=1e-7)
    reference = Reference(test, training)
    assert reference.widths == kernel_widths(training)
    assert reference.measures(samples, 5) == found == reference.measures(samples, 5)
    other = Reference(test, training, widths=[0.3], k=2).measures(samples, 5)
    assert other["mmd2"] == pytest.approx(mmd2(samples, test, [0.3]), abs=1e-7)
    assert (other["density"], other["coverage"]) == density_coverage(samples, test, 2)


def test_measures_draw_from_the_larger_set():
    test, training = points(60, 2), points(150, 3)
    for n in (40, 90):
        first = measures(points(n, 1), test, training, 0)
        assert first == measures(points(n, 1), test, training, 0)
        assert first != measures(points(n, 1), test, training, 1)


def test_inputs_stay_as_they_are_and_may_be_read_only():
    sets = points(40, 1), points(40, 2), points(80, 3)
    before = [s.copy() for s in sets]
    expected = measures(*sets)
    assert all(np.array_equal(s, b) for s, b in zip(sets, before, strict=True))
    for s in sets:
        s.setflags(write=False)
    assert measures(*sets) == expected
    assert measures(*(s.astype(np.float64) for s in sets)) == expected
    state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    measures(*sets)
    assert torch.equal(torch.get_rng_state(), state[0])
    assert np.array_equal(np.random.get_state()[1], state[1])  # noqa: NPY002


def test_row_of_test_images():
    training = points(900, 3)
    rows = [measures_of_test_images(points(301, 7), training, seed) for seed in range(3)]
    assert list(rows[0]) == KEYS and rows[0] != rows[1]
    assert rows[0] == measures_of_test_images(points(301, 7), training, 0)
    mean = {key: np.mean([row[key] for row in rows]) for key in KEYS}
    assert abs(mean["mmd2"]) < 0.01
    assert mean["density"] == pytest.approx(1, abs=0.1)
    assert mean["coverage"] == pytest.approx(1 - 2**-5, abs=0.03)
    assert mean["nn_accuracy"] == pytest.approx(0.5, abs=0.1)
    assert mean["training_distance_ratio"] == pytest.approx(1, abs=0.1)


def test_what_each_measure_catches():
    training, test = points(800, 3, d=12), points(300, 2, d=12)
    good = measures(points(300, 1, d=12), test, training)
    copies = measures(training[:300], test, training)
    assert copies["training_distance_share"] == 1 and abs(copies["mmd2"]) < 0.01
    rng = np.random.default_rng(0)
    noise = measures(rng.uniform(size=(300, 12)), test, training)
    assert noise["mmd2"] > 10 * abs(good["mmd2"]) and noise["coverage"] < 0.1
    assert noise["nn_accuracy"] > 0.8 and noise["classifier_accuracy"] > 0.95
    blur = (training[:300] + training[300:600]) / 2
    blurred = measures(blur, test, training)
    assert blurred["mmd2"] > good["mmd2"] and blurred["classifier_accuracy"] > 0.6
    narrow = measures(points(300, 1, d=12, spread=0.4), test, training)
    assert narrow["density"] > 1.5 and narrow["mmd2"] > good["mmd2"]
    assert narrow["nn_accuracy_samples"] > 0.9 and narrow["classifier_accuracy"] > 0.7
    alike = training[np.argsort(np.square(training - training[0]).sum(1))[:60]]
    part = measures(np.resize(alike, (300, 12)), test, training)
    assert part["coverage"] < good["coverage"] - 0.2


def test_products_that_are_not_float32_are_not_used():
    samples, test, training = points(60, 1), points(60, 2), points(80, 3)
    expected = measures(samples, test, training)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        assert tiles.tensor(samples).dtype == torch.float64
        found = measures(samples, test, training)
    finally:
        torch.set_float32_matmul_precision(before)
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("bright", [0.1, 0.5, 0.999])
def test_rounding_is_less_than_is_allowed_for(bright):
    rng = np.random.default_rng(0)
    x = np.clip(bright + rng.normal(scale=0.1, size=(200, 784)), 0, 1).astype(np.float32)
    x[:50] = x[50:100]
    worst = []
    y = x[::-1].copy()
    exact = cdist(x.astype(float), y.astype(float), "sqeuclidean")
    norms = np.square(x - y.mean(0, dtype=float)).sum(1)

    def visit(rows, columns, sq):
        gap = np.abs(sq.double().numpy() - exact[rows, columns])
        worst.append((gap / (norms[rows, None] + norms[::-1][columns])).max())

    tiles.sweep(tiles.tensor(x), tiles.tensor(y), visit)
    assert max(worst) < tiles.rounding(784) / 2


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_is_that_of_tiles():
    """8,000 x 8,000 distances are 256 MB."""
    code = (
        "import numpy as np\n"
        "from benchmarks.records.provenance import peak_rss_mb\n"
        "from baselines.measures import Reference\n"
        "X = np.random.default_rng(0).random((16_000, 4), dtype=np.float32)\n"
        "Reference(X[:600], X[:2000] / 2).measures(X[:600])\n"
        "before = peak_rss_mb()\n"
        "Reference(X[:8000], X[:9000] / 2).measures(X[8000:])\n"
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


# ---- at the door --------------------------------------------------------------------------------

GOOD = points(30, 0, d=3)
NAN = np.where(np.arange(3) == 1, np.nan, GOOD)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (NAN, r"must be finite and lie in \[0, 1\]; got nan"),
        (GOOD * 255, r"must be finite and lie in \[0, 1\]"),
        (GOOD - 1, r"must be finite and lie in \[0, 1\]"),
        (GOOD[:, 0], "must be a matrix of numbers"),
        (GOOD[:0], "needs at least"),
        (GOOD[:, :2], "must have 3 features; got 2"),
    ],
    ids=["NaN", "0 to 255", "negative", "1-D", "no rows", "features"],
)
def test_bad_sets_are_named(bad, words):
    calls = {
        "reference": (
            lambda p: mmd2(GOOD, p, [1.0]),
            lambda p: density_coverage(GOOD, p),
            lambda p: two_sample_accuracy(GOOD, p),
        ),
        "test": (
            lambda p: measures(GOOD, p, GOOD),
            lambda p: nearest_training_distance(GOOD, GOOD, p),
        ),
        "training": (lambda p: nearest_training_distance(GOOD, p, GOOD),),
        "samples": (Reference(points(20, 1, d=3), GOOD).measures,),
    }
    for name, several in calls.items():
        for call in several:
            with pytest.raises(ValueError, match=f"{name} {words}"):
                call(bad)
    if bad.ndim == 2 and bad.shape[1] == 3:
        for call in (
            lambda p: mmd2(p, GOOD, [1.0]),
            lambda p: measures(p, GOOD, GOOD),
            lambda p: nearest_training_distance(p, GOOD, GOOD),
        ):
            with pytest.raises(ValueError, match=f"samples {words}"):
                call(bad)


def test_bad_settings():
    for widths, words in (
        ([], "got none"),
        (0.5, "got none"),
        ("1", "got none"),
        ([1.0, 0], "each of widths must be a number above 0; got 0"),
        ([np.nan], "each of widths"),
        (["a"], "each of widths"),
    ):
        with pytest.raises(ValueError, match=words):
            mmd2(GOOD, GOOD, widths)
        with pytest.raises(ValueError, match=words):
            Reference(GOOD, GOOD[:20], widths=widths)
    with pytest.raises(ValueError, match="each of multiples must be .* above 0; got -1"):
        kernel_widths(GOOD, [-1])
    with pytest.raises(ValueError, match="training must be images that differ"):
        kernel_widths(GOOD[[0, 0, 0]])
    for k in (0, 1.5, True):
        with pytest.raises(ValueError, match="k must be a whole number from 1"):
            density_coverage(GOOD, GOOD, k)
    with pytest.raises(ValueError, match="reference must have more than k = 30 points; got 30"):
        density_coverage(GOOD, GOOD, 30)
    with pytest.raises(ValueError, match="test must have more than k = 5 points; got 5"):
        Reference(GOOD[:5], GOOD)
    for call in (
        lambda seed: two_sample_accuracy(GOOD, GOOD, seed),
        lambda seed: measures(GOOD, GOOD, GOOD, seed),
        lambda seed: measures_of_test_images(GOOD, GOOD, seed),
    ):
        for seed in (-1, None, 0.5):
            with pytest.raises(ValueError, match="random_state must be a whole number from 0"):
                call(seed)
    with pytest.raises(ValueError, match="samples must be at least as many as test, 20; got 19"):
        Reference(points(20, 1, d=3), GOOD).measures(GOOD[:19])
    with pytest.raises(ValueError, match="test must not consist of training images alone"):
        nearest_training_distance(GOOD, GOOD, GOOD[:5])
    with pytest.raises(ValueError, match="test must not consist of training images alone"):
        Reference(GOOD[:9], GOOD)
    with pytest.raises(ValueError, match="test needs at least 4 rows"):
        measures_of_test_images(GOOD[:3], GOOD)
