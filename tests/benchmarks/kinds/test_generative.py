"""Cells that draw samples, and those that score them, on data made here."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.neighbors import KernelDensity

from baselines.protocols import PROTOCOLS
from benchmarks.kinds import base, evaluation, generative
from benchmarks.records.store import Store
from benchmarks.run.plan import suite_plan

REAL = {"estimator": "baselines.generative.anchors:TrainingPoints", "kind": "generative"}
PARZEN = {"estimator": "baselines.parzen:ParzenWindow", "kind": "evaluation"}
HERE = "tests.benchmarks.kinds.test_generative"


@pytest.fixture(scope="module")
def dataset():
    rng = np.random.default_rng(0)
    return SimpleNamespace(X=rng.random((60_000, 3), dtype=np.float32))


class Halves:
    """Stands in for an autoencoder: codes are the points halved."""

    def __init__(self, factor=2.0, values=None):
        self.factor, self.values_ = factor, values or {"heldout_error": 0.5}

    @classmethod
    def load(cls, path):
        return {"good": cls(), "other": cls(3.0), "older": cls(2.0, {"heldout_error": 0.7})}[path]

    def transform(self, X):
        return X / np.float32(self.factor)

    def inverse_transform(self, codes):
        return codes * np.float32(self.factor) + np.float32(0.3)  # leaves [0, 1]


def draw(dataset, inputs=None, method=REAL, seed=0, **params):
    cell = {"seed": seed, "params": {"space": "raw", "n_samples": 50, "n_train": 0} | params}
    return generative.KIND.run(cell, method, dataset, inputs or {}, None, None)


def autoencoder(path, seconds=4.0):
    return {
        "path": path,
        "estimator": f"{HERE}:Halves",
        "values": {"heldout_error": 0.5},
        "seconds": seconds,
    }


def test_models_see_the_rows_of_the_protocol(dataset):
    train = {row.tobytes() for row in dataset.X[PROTOCOLS["goodfellow"].train]}
    result = draw(dataset)
    assert result.samples.shape == (50, 3) and result.samples.dtype == np.float32
    assert all(row.tobytes() in train for row in result.samples)
    first = {row.tobytes() for row in dataset.X[:60]}
    assert all(row.tobytes() in first for row in draw(dataset, n_train=60).samples)
    assert np.array_equal(result.samples, draw(dataset).samples)
    assert not np.array_equal(result.samples, draw(dataset, seed=1).samples)


def test_samples_of_codes_are_decoded_and_stay_in_the_unit_cube(dataset):
    inputs = {"codes": Halves().transform(dataset.X), "autoencoder": autoencoder("good")}
    result = draw(dataset, inputs, space="code")
    original = draw(dataset).samples  # the same rows are drawn
    np.testing.assert_allclose(result.samples, np.minimum(original + 0.3, 1), atol=1e-6)
    assert result.values["autoencoder_seconds"] == 4


@pytest.mark.parametrize("path", ["other", "older"])
def test_another_autoencoder_than_the_recorded_one_is_refused(dataset, path):
    inputs = {"codes": Halves().transform(dataset.X), "autoencoder": autoencoder(path)}
    with pytest.raises(RuntimeError, match="not the one of its record"):
        draw(dataset, inputs, space="code")


def test_a_budget_of_0_is_none(dataset, monkeypatch):
    seen = []

    class Model:
        values_ = {"updates": 1, "stopped_by": "length"}

        def __init__(self, random_state, max_updates):
            seen.append(max_updates)

        def fit(self, X, validation, checkpoint, progress):
            assert (len(X), len(validation)) == (50_000, 10_000)

        def sample(self, n, generator):
            return np.zeros((n, 3))

    monkeypatch.setattr(base, "resolve", lambda name: Model)
    assert draw(dataset, max_updates=0).values["stopped_by"] == "length"
    draw(dataset, max_updates=7)
    assert seen == [None, 7]


def test_samples_that_are_not_finite_are_a_divergence(dataset, monkeypatch):
    monkeypatch.setattr(generative, "_draw", lambda *args: np.full((5, 3), np.nan))
    with pytest.raises(base.Diverged):
        draw(dataset)


def score(dataset, samples, test, method=PARZEN, **params):
    params = {"space": "raw", "protocol": "goodfellow", "n_test": 0, "test": "t"} | params
    return evaluation.KIND.run(
        {"seed": 0, "params": params},
        method,
        dataset,
        {"samples": samples, "test": test},
        None,
        None,
    )


def test_the_score_is_that_of_kernel_density(dataset):
    rng = np.random.default_rng(1)
    samples, test = rng.random((200, 3), dtype=np.float32), rng.random((40, 3), dtype=np.float32)
    result = score(dataset, samples, test)
    widths = PROTOCOLS["goodfellow"].widths
    fitted = [KernelDensity(bandwidth=width).fit(samples) for width in widths]
    validation = [kde.score_samples(dataset.X[50_000:51_000]).mean() for kde in fitted]
    best = int(np.argmax(validation))
    expected = fitted[best].score_samples(test)
    assert result.values["sigma"] == pytest.approx(widths[best])
    np.testing.assert_allclose(result.log_likelihood, expected, atol=1e-4)
    assert result.values["ll"] == pytest.approx(expected.mean(), abs=1e-5)
    assert result.values["se"] == pytest.approx(expected.std(ddof=1) / 40**0.5, rel=1e-4)
    assert score(dataset, samples, test, n_test=10).values["n_test"] == 10


def test_fresh_samples_score_what_others_chose_the_width_for(dataset):
    rng = np.random.default_rng(2)
    samples, test = rng.random((200, 3), dtype=np.float32), rng.random((20, 3), dtype=np.float32)
    result = score(dataset, samples, test, protocol="gmmn")
    window = KernelDensity(bandwidth=result.values["sigma"]).fit(samples[100:])
    np.testing.assert_allclose(result.log_likelihood, window.score_samples(test), atol=1e-4)


def test_every_generative_row_of_table_2_is_evaluated(tmp_path):
    plan = suite_plan("table2", seeds=[0], store=Store(tmp_path))
    by_kind = {}
    for node in plan.nodes.values():
        by_kind.setdefault(node.method["kind"], []).append(node)
    rows = {(n.cell["method"], n.cell["params"]["space"]) for n in by_kind["generative"]}
    assert ("training-images", "code") in rows and ("gmmn", "code") in rows
    for method in ("parzen", "measures"):
        scored = [n for n in by_kind["evaluation"] if n.cell["method"] == method]
        assert {
            (n.needs["samples"].cell["method"], n.cell["params"]["space"]) for n in scored
        } == rows
    mixture = next(n for n in by_kind["generative"] if n.cell["method"] == "mixnet-samples")
    assert mixture.needs["model"].cell["method"] == "mixnet"
    assert mixture.needs["autoencoder"] is mixture.needs["codes"]
    assert mixture.needs["model"].needs["codes"] is mixture.needs["codes"]
    assert str(by_kind["evaluation"][0]).startswith("mnist parzen of")
