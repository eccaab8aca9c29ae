"""Figure 1: its exhibits against closed forms, its files against the records they come from."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import sklearn.cluster

from benchmarks import registry
from benchmarks.datasets import toys as shapes
from benchmarks.exhibits import growth, toys
from benchmarks.report.figures import figure1
from benchmarks.report.figures import growth as figure1_growth
from benchmarks.run.plan import suite_plan
from mixnet_core.mixture import MixtureOfNetworks

# ---- what a toy set shows --------------------------------------------------------------------


class Slope:
    """Memberships that are the coordinates themselves: of component 0 x, of component 1 y."""

    def predict_proba(self, X):
        return np.asarray(X, dtype=float)


def test_grid_has_square_cells_around_the_points():
    X = np.array([[0.0, 2.0], [1.0, 2.5]])
    x, y = toys.axes(X, 45)
    assert len(x) == 45 and np.allclose(np.diff(x), np.diff(y)[0])
    np.testing.assert_allclose([x[0], x[-1]], [-0.05, 1.05])
    assert y[0] <= 2.5 - 0.55 and y[-1] >= 2.55 and y[-1] - y[0] < 0.6 + 2 * (x[1] - x[0])
    np.testing.assert_allclose((y[0] + y[-1]) / 2, 2.25)


def test_memberships_lie_where_their_coordinates_say():
    X = np.random.default_rng(0).uniform(size=(50, 2)) * [1.0, 0.5]
    inputs = {"model": Slope(), "start": np.arange(50) % 2, "mixture": np.arange(50) % 3}
    dataset = SimpleNamespace(name="two-moon", X=X.astype(np.float32))
    arrays, values = toys.memberships(dataset, inputs, 0, None, resolution=20)
    assert values == {"component": 1}
    assert arrays["membership"].shape == (len(arrays["grid_y"]), len(arrays["grid_x"]))
    assert len(arrays["grid_x"]) == 20 > len(arrays["grid_y"])
    np.testing.assert_allclose(
        arrays["membership"],
        np.broadcast_to(arrays["grid_y"][:, None], arrays["membership"].shape),
        rtol=1e-6,
    )
    np.testing.assert_array_equal(arrays["points"], dataset.X)
    np.testing.assert_array_equal(arrays["mixture"], inputs["mixture"])
    assert "model" not in arrays
    other, _ = toys.memberships(dataset, inputs, 0, None, resolution=20, component=0)
    np.testing.assert_allclose(other["membership"][3], arrays["grid_x"], rtol=1e-6)


@pytest.mark.parametrize(
    "X, resolution, message",
    [
        (np.zeros((5, 3)), 20, r"two-moon.*\(5, 3\), needs \(n, 2\)"),
        (np.eye(2), 1, "resolution must be at least 2, got 1"),
    ],
)
def test_what_is_not_a_plane_is_refused(X, resolution, message):
    dataset = SimpleNamespace(name="two-moon", X=X)
    with pytest.raises(ValueError, match=message):
        toys.memberships(dataset, {"model": Slope()}, 0, None, resolution=resolution)


# ---- cost as n grows -------------------------------------------------------------------------

TWO_MOON = SimpleNamespace(name="two-moon", n_clusters=2)
UNLIMITED = {"quick_s": 0.0, "limit_s": 1e9, "memory_gib": 8.0, "pair_bytes": 0}


def test_draws_join_to_any_number_of_points():
    X, y = growth.draw("two-moon", 10_000, 3)
    assert X.shape == (10_000, 2) and X.dtype == np.float32 and y.shape == (10_000,)
    assert X.min() >= 0.05 - 1e-6 and X.max() <= 0.95 + 1e-6
    assert abs(y.mean() - 0.5) < 0.01
    assert len(np.unique(X, axis=0)) > 9_990  # not one draw again and again
    small = growth.draw("two-moon", 1000, 3)
    np.testing.assert_array_equal(small[0], X[:1000])
    assert not np.array_equal(small[0], growth.draw("two-moon", 1000, 4)[0])
    one, _ = shapes.generate("two-moon", 0)
    np.testing.assert_allclose(np.cov(X.T), np.cov(one.T), atol=2e-3)  # one distribution
    with pytest.raises(ValueError, match="'moons', needs one of"):
        growth.draw("moons", 10, 0)


def test_growth_fits_the_registered_method():
    arrays, values = growth.growth(
        TWO_MOON, {}, 5, None, method="kmeans10", sizes=[300, 900], **UNLIMITED
    )
    assert values["n"] == [300, 900] and values["status"] == ["done", "done"]
    assert all(s > 0 for s in values["seconds"]) and values["graph_seconds"] == [None, None]
    for n, purity in zip(arrays["n"], arrays["purity"], strict=True):
        X, y = growth.draw("two-moon", n, 5)
        labels = sklearn.cluster.KMeans(2, n_init=10, random_state=5).fit_predict(X)
        share = np.mean(labels == y)
        assert purity == pytest.approx(100 * max(share, 1 - share))
    assert values["expected_seconds"][0] is None
    assert values["expected_seconds"][1] == pytest.approx(3 * values["seconds"][0])


@pytest.mark.parametrize("method", ["spectral", "spectral-full", "ncut"])
def test_the_graph_is_timed_by_itself(method):
    _, values = growth.growth(TWO_MOON, {}, 0, None, method=method, sizes=[800], **UNLIMITED)
    assert 0 < values["graph_seconds"][0] < values["seconds"][0]
    assert values["purity"] == [100.0]


def test_a_mixture_starts_from_its_own_start(monkeypatch):
    full = registry.resolve_params
    monkeypatch.setattr(growth.registry, "resolve_params", lambda *of: full(*of, fast=True))
    X, _ = growth.draw("two-moon", 400, 0)
    start = sklearn.cluster.KMeans(2, n_init=10, random_state=3).fit_predict(X)
    mixture = MixtureOfNetworks(2, random_state=3, **full("mixnet", "two-moon", fast=True))
    expected = mixture.fit(X, init_labels=start).labels_
    np.testing.assert_array_equal(growth.fitter("mixnet", "two-moon", 2, 3)[0](X), expected)
    assert len(np.unique(expected)) == 2


def test_what_would_take_too_long_is_not_run():
    limits = {**UNLIMITED, "limit_s": 0.0}
    arrays, values = growth.growth(
        TWO_MOON, {}, 0, None, method="gmm", sizes=[200, 300, 400], **limits
    )
    assert values["status"] == ["done", "time", "time"]
    assert values["seconds"][1:] == values["purity"][1:] == [None, None]
    assert arrays["n"].tolist() == [200] and len(arrays["purity"]) == 1


def test_what_does_not_fit_in_memory_is_not_run():
    limits = {**UNLIMITED, "memory_gib": 1.0, "pair_bytes": 2**30 // 300**2}
    _, values = growth.growth(TWO_MOON, {}, 0, None, method="gmm", sizes=[200, 300, 301], **limits)
    assert values["status"] == ["done", "done", "memory"]


@pytest.mark.parametrize("sizes", [[], [300, 200], [200, 200], [1]])
def test_sizes_must_ascend(sizes):
    with pytest.raises(ValueError, match="sizes must be"):
        growth.growth(TWO_MOON, {}, 0, None, method="gmm", sizes=sizes, **UNLIMITED)


def test_of_quick_fits_the_shortest_counts(monkeypatch):
    clock = iter([0.0, 5.0, 10.0, 12.0, 20.0, 23.0])
    monkeypatch.setattr(growth.time, "process_time", lambda: next(clock))
    calls = []
    assert growth.timed(lambda X: calls.append(X) or len(calls), "X", 9.0) == (2.0, 3)
    clock = iter([0.0, 5.0])
    assert growth.timed(lambda X: "labels", "X", 4.0) == (5.0, "labels")
    assert calls == ["X"] * 3


def test_expectation_goes_on_as_the_last_two_runs():
    assert growth.expected(10, []) is None
    assert growth.expected(300, [(100, 2.0)]) == pytest.approx(6.0)
    runs = [(n, 1e-3 * n**2) for n in (10, 20, 50)]
    assert growth.expected(100, runs) == pytest.approx(10.0)
    assert growth.expected(100, [(10, 5.0), (50, 1.0)]) == pytest.approx(2.0)  # never falls
    assert growth.expected(4, [(1, 1e-9), (2, 1.0)]) == pytest.approx(16.0)  # nor without bound


# ---- the files -------------------------------------------------------------------------------


def record(dataset, method, seed, purity=None, estimator="a:B", kind="clustering", **more):
    return {
        "cell": {"dataset": dataset, "method": method, "seed": seed, "params": {"space": "raw"}},
        "key": f"{dataset}/{method}/{seed}",
        "kind": kind,
        "estimator": estimator,
        "status": "done",
        "inputs": {},
        "values": {},
        "metrics": {} if purity is None else {"purity": purity, "nmi": purity},
        **more,
    }


def exhibit(dataset):
    rng = np.random.default_rng(len(dataset))
    points = rng.uniform(size=(40, 2)).astype(np.float32)
    x, y = np.linspace(0, 1, 9, dtype=np.float32), np.linspace(0, 0.5, 6, dtype=np.float32)
    sides = (points[:, 0] > 0.5).astype(np.uint8)
    arrays = {
        "points": points,
        "start": sides,
        "mixture": sides,
        "gmm": 1 - sides,
        "spectral": 1 - sides,
        "grid_x": x,
        "grid_y": y,
        "membership": np.tile(x, (6, 1)),
    }
    used = {"start": "kmeans10", "mixture": "mixnet", "gmm": "gmm", "spectral": "spectral"}
    return record(
        dataset,
        "toy-memberships",
        0,
        estimator=figure1.MEMBERSHIPS,
        kind="exhibit",
        load=lambda: arrays,
        inputs={role: {"key": f"{dataset}/{name}/0"} for role, name in used.items()},
    )


def grown(method, seconds, status):
    n = [1000, 2000, 5000, 10000]
    values = {
        "n": n,
        "seconds": seconds,
        "graph_seconds": [None] * 4,
        "purity": [
            None if s is None else 90.0 + 4 * (n[i] == 2000 and method == "growth-gmm")
            for i, s in enumerate(seconds)
        ],
        "expected_seconds": [None, 1.0, 2.0, 3.0],
        "status": status,
    }
    return record(
        "two-moon", method, 0, estimator=figure1_growth.GROWTH, kind="exhibit", values=values
    )


SUITE = {**registry.suites()["figure1"], "datasets": ["two-moon", "rings"], "seeds": [0, 1]}
PURITIES = {
    "kmeans10": (80.0, 84.0),
    "mixnet": (99.5, 98.0),
    "gmm": (90.0, 90.0),
    "spectral": (100.0, 100.0),
}


def some_records():
    found = [
        record(dataset, method, seed, purity)
        for dataset in SUITE["datasets"]
        for method, pair in PURITIES.items()
        for seed, purity in enumerate(pair)
    ]
    found += [exhibit(dataset) for dataset in SUITE["datasets"]]
    square = [2e-6 * n**2 for n in (1000, 2000, 5000, 10000)]
    return found + [
        grown("growth-gmm", square, ["done"] * 4),
        grown(
            "growth-spectral-full", [*square[:2], None, None], ["done", "done", "memory", "memory"]
        ),
    ]


def test_files_hold_what_the_records_say(tmp_path):
    records = some_records()
    text, paths = figure1.report(records, SUITE, tmp_path / "figures", "figure1")
    assert {path.name for path in paths.values()} == {
        f"figure1{part}"
        for part in (
            ".png",
            ".pdf",
            ".csv",
            "-growth.png",
            "-growth.pdf",
            "-growth.csv",
            "-purity.csv",
            "-purity.md",
        )
    }
    frame = pd.read_csv(tmp_path / "figures" / "figure1.csv")
    arrays = exhibit("rings")["load"]()
    rings = frame[(frame.dataset == "rings") & (frame.series == "points")]
    np.testing.assert_allclose(rings[["x", "y"]], arrays["points"], atol=5.6e-5)
    for role in figure1.PANELS:  # the names of clusters agree, whatever a method calls them
        np.testing.assert_array_equal(rings[role], arrays["mixture"])
    grid = frame[(frame.dataset == "rings") & (frame.series == "grid")]
    x, y = np.meshgrid(arrays["grid_x"][::2], arrays["grid_y"][::2])  # every second node
    np.testing.assert_allclose(grid[["x", "y"]], np.c_[x.ravel(), y.ravel()], atol=5.6e-5)
    np.testing.assert_allclose(grid.membership, arrays["membership"][::2, ::2].ravel(), atol=5.1e-4)
    assert len(frame) == 2 * (40 + x.size + 4)
    purities = frame[frame.dataset == "rings"].set_index("series").purity  # of the seed shown
    assert {role: purities[f"purity of {role}"] for role in figure1.PANELS} == {
        "start": 80.0,
        "mixture": 99.5,
        "gmm": 90.0,
        "spectral": 100.0,
    }

    growth_rows = pd.read_csv(tmp_path / "figures" / "figure1-growth.csv")
    gmm, full = (
        growth_rows[growth_rows.method == m] for m in ("growth-gmm", "growth-spectral-full")
    )
    np.testing.assert_allclose(gmm.exponent, 2.0)
    np.testing.assert_allclose(gmm.seconds, [2, 8, 50, 200])
    assert full.status.tolist() == ["done", "done", "memory", "memory"]
    assert full.seconds.isna().tolist() == [False, False, True, True] and full.exponent.isna().all()

    purity = pd.read_csv(tmp_path / "figures" / "figure1-purity.csv").set_index(
        ["dataset", "method"]
    )
    assert purity.loc[("two-moon", "kmeans10"), "purity_mean"] == 82.0
    assert purity.loc[("rings", "mixnet"), "purity_std"] == pytest.approx(np.sqrt(1.125), abs=1e-4)
    assert purity.loc[("rings", "spectral-full"), "n"] == 0
    written = (tmp_path / "figures" / "figure1-purity.md").read_text()
    for words in (text, written):
        assert (
            "Two-moon: k-means 82.00, mixture 98.75, difference +16.75 ± 3.89, smallest "
            "98.00; 1 of 2 seeds at 99% or more" in words
        )
        assert "Gaussian mixture, purity in percent: Two-moon 90.0 ± 0.0, Rings 90.0 ± 0.0" in words
        assert (
            "Gaussian mixture: 200 processor seconds at n = 10,000, purity 90.0% (over all n "
            "90.0 to 94.0%); grows as n^2.00" in words
        )
        assert (
            "all pairs: 8 processor seconds at n = 2,000, purity 90.0%; not run from n = "
            "5,000: memory" in words
        )

    _, again = figure1.report(records, SUITE, tmp_path / "again", "figure1")
    for name, path in paths.items():
        assert path.read_bytes() == again[name].read_bytes(), name


def test_without_exhibits_there_are_purities_only(tmp_path):
    records = [r for r in some_records() if r["kind"] != "exhibit"]
    _, paths = figure1.report(records, SUITE, tmp_path, "figure1")
    assert sorted(path.name for path in paths.values()) == [
        "figure1-purity.csv",
        "figure1-purity.md",
    ]


def test_picture_shows_its_table():
    frame = figure1.toy_frame(
        {"two-moon": exhibit("two-moon")["load"]()}, {("two-moon", "gmm"): 90.25}
    )
    figure = figure1.draw(frame, {"two-moon": "Two-moon"})
    panels = figure.axes[:4]
    assert [axis.get_title() for axis in panels] == list(figure1.PANELS.values())
    assert panels[0].get_ylabel() == "Two-moon"
    assert [axis.get_xlabel() for axis in panels] == ["", "", "purity 90.2%", ""]
    points = frame[frame.series == "points"]
    for axis in panels:
        dots = axis.collections[-1]
        np.testing.assert_allclose(dots.get_offsets(), points[["x", "y"]])
        orange = np.isclose(
            dots.get_facecolors(), dots.get_facecolors()[points.mixture.to_numpy().argmax()]
        ).all(axis=1)
        np.testing.assert_array_equal(orange, points.mixture == 1)
    assert len(panels[1].collections) == 3  # contour and isolines under the points
    isoline = panels[1].collections[1].get_paths()[2].vertices  # of 0.5; membership is x
    np.testing.assert_allclose(isoline[:, 0], 0.5, atol=1e-6)


def test_clusters_are_numbered_as_the_mixtures():
    like = np.repeat([0, 1, 2], [50, 30, 20])
    labels = np.repeat([2, 0, 1], [50, 30, 20])
    labels[:3] = 0
    found = figure1.renumbered(labels, like)
    assert (found != like).sum() == 3
    np.testing.assert_array_equal(figure1.renumbered(np.zeros(4), [1, 1, 1, 0]), [1, 1, 1, 1])


def test_growth_picture_shows_its_table():
    frame = figure1_growth.growth_frame(some_records())
    names = {"growth-gmm": "Growth: GMM", "growth-spectral-full": "Growth: all pairs"}
    figure = figure1_growth.draw(frame, names)
    cost, purity = figure.axes
    assert cost.get_xscale() == cost.get_yscale() == purity.get_xscale() == "log"
    lines = {line.get_label(): line for line in cost.lines}
    assert list(lines) == ["GMM, $n^{2.00}$", "all pairs; n = 5,000: memory"]
    full = lines["all pairs; n = 5,000: memory"]
    np.testing.assert_array_equal(full.get_xdata(), [1000, 2000])  # nothing where nothing was run
    np.testing.assert_allclose(full.get_ydata(), [2.0, 8.0])
    assert [len(line.get_xdata()) for line in purity.lines] == [4, 2]
    assert len({(line.get_marker(), line.get_linestyle()) for line in cost.lines}) == 2
    assert {line.get_linestyle() for line in purity.lines} == {"None"}  # no line through one fit
    first, second = (line.get_xdata()[0] for line in purity.lines)
    assert first < 1000 < second  # side by side: neither covers the other


def test_no_exponent_stands_where_time_falls():
    rising, n = [3.0, 1.0, 4.0, 16.0], [1000, 2000, 4000, 8000]  # falls before the largest only
    assert figure1_growth.exponent(n, rising) == pytest.approx(2.0)
    assert np.isnan(figure1_growth.exponent(n, [1.0, 4.0, 3.0, 16.0]))


# ---- the suite -------------------------------------------------------------------------------


def test_exhibits_are_asked_for_where_they_are_drawn():
    cells = [node.cell for node in suite_plan("figure1").nodes.values() if node.requested]
    shown = [c for c in cells if c["method"] == "toy-memberships"]
    assert [(c["dataset"], c["seed"]) for c in shown] == [
        (name, 0) for name in ("two-moon", "moon-circle", "two-circle", "rings")
    ]
    costs = [c for c in cells if c["method"].startswith("growth-")]
    assert {(c["dataset"], c["seed"]) for c in costs} == {("two-moon", 0)} and len(costs) == 6
    mixtures = [c for c in cells if c["method"] == "mixnet"]
    assert len(mixtures) == 40
    for cell in mixtures:  # the settings that §4.1.1 prints, but T2: saturation ends it
        params = cell["params"]
        assert (params["structure"], params["n_clusters"]) == ("2-32-128-32-2", 2)
        assert (params["t1"], params["t2"], params["batch_size"]) == (30, 1000, 100)
        assert params["min_updates"] == 0
