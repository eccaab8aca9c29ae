"""Curves and sensitivity: what they are computed from, against the definitions; redrawn alike."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_blobs
from sklearn.metrics.cluster import contingency_matrix

from benchmarks.exhibits.curves import training_curves
from benchmarks.report import plot
from benchmarks.report.figures import curves as figure_curves
from benchmarks.report.figures import sensitivity as figure_sensitivity
from mixnet_core.mixture import MixtureOfNetworks

SUITE = {"datasets": ["usps", "digits"], "seeds": [0, 1]}


def purity_of(y, labels):
    return 100 * contingency_matrix(y, labels).max(0).sum() / len(y)


@pytest.fixture(scope="module")
def trained():
    X, y = make_blobs(200, 2, centers=3, cluster_std=2.5, random_state=1)
    start = np.random.default_rng(0).permutation(y)
    start[:150] = y[:150]
    model = MixtureOfNetworks(
        3,
        "2-8-12-2",
        "mixnet",
        t1=2,
        t2=21,
        min_updates=0,
        batch_size=10,
        n_samples=40,
        n_final_samples=50,
        patience=99,
        random_state=0,
    )
    model.fit(X.astype(np.float32), init_labels=start)
    return y, start, model


def test_the_curves_are_those_of_the_training(trained):
    y, start, model = trained
    inputs = {"start": start, "mixture": model.labels_, "model": model}
    arrays, values = training_curves(SimpleNamespace(y=y), inputs, 0, None)
    np.testing.assert_allclose(arrays["heldout"], model.history_["heldout"], rtol=1e-6)
    assert arrays["iteration"].tolist() == [0, 10, 20]
    for i, found in zip(arrays["iteration"], arrays["purity"], strict=True):
        assert found == pytest.approx(purity_of(y, model.snapshots_[int(i)]))
    assert values["purity_start"] == pytest.approx(purity_of(y, start))
    assert values["purity_final"] == pytest.approx(purity_of(y, model.labels_))
    assert values["purity_algorithm_1"] == pytest.approx(arrays["purity"][0])


def curve(dataset, seed, length=4):
    heldout = np.arange(length, dtype=np.float32)
    arrays = {"heldout": heldout, "iteration": np.array([0, 2]), "purity": np.array([60.0, 70.0])}
    return {
        "status": "done",
        "load": lambda: arrays,
        "cell": {"dataset": dataset, "seed": seed},
        "values": {"purity_start": 50.0, "purity_algorithm_1": 60.0, "purity_final": 80.0},
    }


def test_every_stage_is_in_the_table_and_the_plot_is_the_same_again(tmp_path):
    records = [curve("usps", 0), curve("usps", 1, length=3)]
    text, paths = figure_curves.report(records, SUITE, tmp_path, "curves")
    assert text == "usps: purity k-means 50.0, Algorithm 1 60.0, end 80.0; n 2/2"
    frame = pd.read_csv(paths["csv"], keep_default_na=False)
    ends = frame[(frame.stage == "end") & (frame.measure == "heldout")]
    assert ends.iteration.tolist() == [3, 2] and ends.value.tolist() == [3.0, 2.0]
    before = {name: path.read_bytes() for name, path in paths.items()}
    figure_curves.report(records, SUITE, tmp_path, "curves")
    assert before == {name: path.read_bytes() for name, path in paths.items()}


def run_of(method, seed, multiple, purity, heldout):
    # Codes of USPS have 32 dimensions; the last bits of a width differ from seed to seed.
    ratio = multiple / math.sqrt(2 * 32) * (1 + 1e-15 * seed)
    return {
        "status": "done",
        "metrics": {"purity": purity},
        "cell": {"dataset": "usps", "method": method, "seed": seed},
        "values": {"width_ratio": ratio, "heldout_log_likelihood": heldout},
    }


def test_the_choice_stands_beside_the_best_and_the_worst_of_its_own_seeds(tmp_path):
    records = [
        run_of("width-0.4", 0, 0.4, 70, 9),
        run_of("width-0.4", 1, 0.4, 74, 9),
        run_of("width-4", 0, 4, 60, 5),
        run_of("width-4", 1, 4, 62, 5),
        *(
            run_of("mixnet-printed", seed, 0.4, purity, 9.5)
            for seed, purity in enumerate([71, 73, 10])
        ),
    ]  # no widths of seed 2: left out
    text, paths = figure_sensitivity.report(records, SUITE, tmp_path, "s")
    assert text == ("usps: chosen 72.0; best fixed width 0.4 with 72.0, worst 4 with 61.0; n 2")
    frame = pd.read_csv(paths["csv"])
    assert sorted(frame.width.round(4).unique()) == [0.4, 4.0] and frame.chosen.sum() == 3
    part = [records[0], records[3], records[4]]
    halfway, _ = figure_sensitivity.report(part, SUITE, tmp_path, "s")
    assert halfway == "usps: no seed has every width yet"


@pytest.mark.parametrize("module", [figure_curves, figure_sensitivity])
def test_without_records_nothing_is_drawn(module, tmp_path):
    text, paths = module.report([], SUITE, tmp_path, "x")
    assert "recorded yet" in text and not paths and not list(tmp_path.iterdir())


def test_labels_of_ticks_do_not_touch():
    ticks = [0.2, 0.4, 0.6, 0.8, 1.2, 1.6, 2.4, 4.0]
    labels = figure_sensitivity.apart(ticks)
    assert labels == ["0.2", "0.4", "", "0.8", "", "1.6", "", "4"]


def test_older_code_is_said_on_the_figure():
    frame = figure_curves.curve_frame([curve("usps", 0), curve("usps", 1)])
    remark = plot.older([{"stale": True}, {"stale": False}])
    assert remark == "1 of 2 runs: older code" and plot.older([{}]) == ""
    figure = figure_curves.draw(frame, ["usps"], {"usps": "USPS"}, remark)
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words[-1] == remark and "mean of the seeds" in words
