"""What every method of methods.toml promises its kind, run as the harness runs it, only smaller.

Methods are found in the registry, so a new stanza is held to this at once. Each runs with all cells
that it needs, on images or, if its suites have toy sets only, on those.
"""

from __future__ import annotations

import inspect
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import kinds, registry
from benchmarks.kinds.base import FITTED, resolve
from benchmarks.records.store import jsonable

METHODS, DATASETS = registry.methods(), registry.datasets()
N, K, SEED = 240, 10, 3
#: Work and widths, of cells and of estimators by the names of their parameters, made small.
SMALL = {
    "hidden": lambda v: [8] * len(v),
    "code_hidden": lambda v: [8] * len(v),
    "generator_hidden": lambda v: [8] * len(v),
    "units": lambda v: v if isinstance(v, str) else [4] * len(v),
    "structure": lambda v: re.sub(r"-\d+(?=-)", "-8", v),  # widths between first and last
    "epochs": lambda v: 1 if isinstance(v, int) else [1] * len(v),
    "updates": lambda v: 4,
    "code_updates": lambda v: 4,
    "max_updates": lambda v: 4,
    "min_updates": lambda v: 2,
    "t1": lambda v: 1,
    "t2": lambda v: min(v, 2),
    "n_chains": lambda v: min(v, 20),
    "burn_in": lambda v: min(v, 2),
    "thin": lambda v: 1,
    "n_train": lambda v: 0,
    "n_samples": lambda v: 60,
    "n_final_samples": lambda v: 100,
    "n_centroids": lambda v: 60,
    "n_test": lambda v: 20,
    "n_labels": lambda v: 5 * K,
    "batch_size": lambda v: 20,
    "code_batch_size": lambda v: 20,
    "n_folds": lambda v: 2,
    "max_components": lambda v: 8,
    "n_permutations": lambda v: 20,
    "resolution": lambda v: 8,
    "n_of_network": lambda v: 4,
    "n_rows": lambda v: 2,
    "n_columns": lambda v: 4,
    "n_same": lambda v: 1,
    "n_steps": lambda v: 4,
    "n_pairs": lambda v: 4,
    "n_distances": lambda v: 50,
    "n_examples": lambda v: 2,
    "sizes": lambda v: [60, 120],
    "quick_s": lambda v: 0.0,
    "validation_size": lambda v: 0.1,
    "patience": lambda v: min(v, 5),
    "max_iter": lambda v: min(v, 3),
    "prior_strength": lambda v: 1.0,
    "layer_updates": lambda v: 2,
    "finetune_updates": lambda v: 4,
}
#: Of extras that an environment may lack; compiled when first used, so tried at night.
EXTRAS = {"n2d": "umap"}


class Blind(SimpleNamespace):
    """A dataset whose labels are not to be looked at."""

    @property
    def y(self):
        raise AssertionError("a cell of this kind looked at the labels")


def home(method):
    """The dataset that a method is tried on: MNIST, or the first of its suites if all are toys."""
    used = [
        name
        for suite in registry.suites().values()
        if method in suite["methods"]
        for name in suite.get("only_datasets", {}).get(method, suite["datasets"])
    ]
    toys = used and all(DATASETS[name]["d"] == 2 for name in used)
    return used[0] if toys else "mnist"


def points(name):
    """Few points in the form of a dataset: toys themselves, digits blown up to 28 x 28."""
    stanza = DATASETS[name]
    if stanza["d"] == 2:
        from benchmarks.datasets import load

        return load(name).X[:N].copy(), load(name).y[:N], stanza["n_classes"]
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    images = X[: 2 * N].reshape(-1, 8, 8) / 16
    large = np.pad(images.repeat(3, axis=1).repeat(3, axis=2), ((0, 0), (2, 2), (2, 2)))
    return large.reshape(len(large), -1).astype(np.float32), y[: 2 * N], K


class Bench:
    """Runs cells in this process, each once."""

    def __init__(self, folder):
        self.folder, self.done, self.points = folder, {}, {}

    def dataset(self, name, seen):
        if name not in self.points:
            self.points[name] = points(name)
        X, y, k = self.points[name]
        stanza = DATASETS[name]
        labels = {"y": y[:N]} if seen else {}
        return (SimpleNamespace if seen else Blind)(
            name=name, X=X[:N], n_clusters=k, n_classes=k, image=stanza.get("image"), **labels
        )

    def cell(self, method, name, space):
        params = {"space": space, **registry.resolve_params(method, name, fast=True)}
        kind = kinds.of(METHODS[method])
        if kind.clusters or kind.components:
            params["n_clusters"] = self.dataset(name, False).n_clusters
        target = resolve(METHODS[method]["estimator"])
        for parameter, entry in inspect.signature(target).parameters.items():
            known = parameter in params or entry.default not in (inspect.Parameter.empty, None)
            if parameter in SMALL and known and "model" not in METHODS[method].get("needs", {}):
                params[parameter] = SMALL[parameter](params.get(parameter, entry.default))
        for parameter in ("n_samples", "n_train", "n_test", "n_labels"):  # the kind's own
            if parameter in params:
                params[parameter] = SMALL[parameter](params[parameter])
        return {
            "dataset": name,
            "method": method,
            "params": params,
            "seed": SEED,
            "content_hash": "",
        }

    def run(self, method, name, space, of=None, again=False):
        """(result, fitted model as other cells take it) of a method's cell."""
        if DATASETS[name]["embedding"] == "none":
            space = "raw"
        if method in EXTRAS:
            pytest.importorskip(EXTRAS[method])
        key = (method, name, space, of)
        if key in self.done and not again:
            return self.done[key]
        stanza, kind = METHODS[method], kinds.of(METHODS[method])
        cell = self.cell(method, name, space)
        wanted = kind.inputs(space, DATASETS[name], of)
        for role, reference in stanza.get("needs", {}).items():
            other, _, where = reference.partition("/")
            wanted[role] = (other, where or space)
        inputs = {}
        for role, (other, where) in wanted.items():
            result, model = self.run(other, name, where)
            inputs[role] = (
                model if role in FITTED else getattr(result, kinds.of(METHODS[other]).output)
            )
        if "test" in cell["params"]:
            inputs["test"] = self.points.setdefault(name, points(name))[0][N:]
        folder = self.folder / f"{len(self.done)}-{again}"
        folder.mkdir(exist_ok=True)
        dataset = self.dataset(name, stanza["kind"] in ("labelled", "exhibit"))
        before = dataset.X.copy()
        result = kind.run(cell, stanza, dataset, inputs, folder, folder / "checkpoint")
        assert np.array_equal(dataset.X, before), "the data were changed"
        saved = next(folder.glob("model.*"), None)
        made = (
            result,
            {
                "path": saved,
                "estimator": stanza["estimator"],
                "values": result.values,
                "seconds": 1.0,
            },
        )
        if not again:
            self.done[key] = made
        return made


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIXNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("MIXNET_ARTIFACTS", str(tmp_path_factory.mktemp("artifacts")))
        from baselines.protocols import Protocol  # names rows of MNIST, of which there are few here

        patch.setattr(Protocol, "split", lambda self, n: (np.arange(n - 40), np.arange(n - 40, n)))
        yield Bench(tmp_path_factory.mktemp("cells"))


def spaces(method):
    return ["raw"] if DATASETS[home(method)]["embedding"] == "none" else METHODS[method]["spaces"]


#: Those that measure how the cost of whole trainings grows take time, rows of a design are many.
SLOW = {"growth-mixnet", *EXTRAS, *(m for m in METHODS if "design" in METHODS[m])}
#: Covariances and networks of 784 pixels take seconds; on codes the same cells run by day.
SLOW_RAW = {"gaussian-mixture", "mixture-of-ppca", "mixnet-defaults"}
CELLS = [
    pytest.param(
        method,
        space,
        id=f"{method} {space}",
        marks=[pytest.mark.slow] * (method in SLOW or (space == "raw" and method in SLOW_RAW)),
    )
    for method in METHODS
    for space in spaces(method)
]


def scored(method):
    """What an evaluation is tried on; the test images have no samples."""
    names = inspect.signature(resolve(METHODS[method]["estimator"])).parameters
    takes_samples = "samples" in names or METHODS[method].get("params", {}).get("protocol")
    return "training-images" if kinds.of(METHODS[method]).scores and takes_samples else None


@pytest.mark.parametrize(("method", "space"), CELLS)
def test_a_method_keeps_the_contract_of_its_kind(bench, method, space):
    kind, name = kinds.of(METHODS[method]), home(method)
    result, model = bench.run(method, name, space, scored(method))
    n, k = N, bench.dataset(name, False).n_clusters
    json.dumps(jsonable(result.values), allow_nan=False)
    json.dumps(jsonable(result.history))
    assert result.phases and all(seconds >= 0 for seconds in result.phases.values())
    if kind.output == "labels":
        assert result.labels.shape == (n,) and result.labels.dtype == np.int64
        assert set(result.labels) <= set(range(k))
    elif kind.output == "codes":
        width = registry.resolve_params(method, name, fast=True).get("code_dim")
        assert result.codes.shape == (n, width)
        assert result.codes.dtype == np.float32
        assert result.codes.min() >= -1e-5 and result.codes.max() <= 1 + 1e-5
    elif kind.output == "samples":
        assert result.samples.shape == (60, DATASETS[name]["d"])
        assert result.samples.dtype == np.float32
        assert result.samples.min() >= 0 and result.samples.max() <= 1
    else:
        assert kind.output == "values" and result.values
    if result.log_likelihood is not None:
        assert np.isfinite(result.log_likelihood).all()
    for role in kind.kept:
        assert role not in FITTED or model["path"].is_file()
    for array in result.arrays.values():
        assert array.dtype.kind in "iufb" and array.size


TIMED = ("_seconds", "seconds", "spectral_reused")
#: One cell of every estimator, on codes where it takes them. Other parameters and spaces go through
#: the same generators: they are repeated at night. Those that measure time cannot be.
USUAL = {
    METHODS[method]["estimator"]: (method, spaces(method)[-1])
    for method in reversed(METHODS)
    if method not in EXTRAS
}
REPEATED = [
    pytest.param(
        method,
        space,
        id=f"{method} {space}",
        marks=[] if (method, space) in USUAL.values() else [pytest.mark.slow],
    )
    for method in METHODS
    for space in spaces(method)
    if not METHODS[method]["estimator"].endswith("growth:growth")
]


@pytest.mark.parametrize(("method", "space"), REPEATED)
def test_a_seed_repeats_itself(bench, method, space):
    name, of = home(method), scored(method)
    first, again = (bench.run(method, name, space, of, again=flag)[0] for flag in (False, True))
    for field in ("labels", "codes", "samples", "log_likelihood"):
        one, other = getattr(first, field), getattr(again, field)
        assert (one is None) == (other is None)
        assert one is None or np.array_equal(one, other), field
    assert first.arrays.keys() == again.arrays.keys()
    for field, array in first.arrays.items():
        assert np.array_equal(array, again.arrays[field], equal_nan=array.dtype.kind == "f"), field
    values = [
        {n: v for n, v in jsonable(result.values).items() if not n.endswith(TIMED)}
        for result in (first, again)
    ]
    assert values[0] == values[1]


def test_every_kind_of_cell_has_methods():
    assert {stanza["kind"] for stanza in METHODS.values()} == set(kinds.NAMES)
