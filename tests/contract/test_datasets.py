"""What every dataset of datasets.toml promises, found in the registry; those without files skip."""

import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks import registry
from benchmarks.datasets import DatasetMissing, content_hash, load, status
from benchmarks.stanzas import MADE, scaling_range

FOLDER = Path(os.environ.get("MIXNET_DATA") or Path(__file__).resolve().parents[3] / "shared/data")
DATASETS = registry.datasets()


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    cache, found = tmp_path_factory.mktemp("cache"), {}

    def get(name, again=False):
        if name not in found or again:
            try:
                found[name] = load(name, source=FOLDER, cache_dir=cache)
            except DatasetMissing as reason:
                pytest.skip(
                    f"needs {', '.join(reason.files)} in the folder of raw files, MIXNET_DATA"
                )
        return found[name]

    return get


def of_size(*names):
    """The others at once; 60,000 images at night."""
    return [
        pytest.param(name, marks=[pytest.mark.slow] if DATASETS[name]["n"] > 20_000 else [])
        for name in names
    ]


@pytest.mark.parametrize("name", of_size(*DATASETS))
def test_a_dataset_is_what_its_stanza_says(loaded, name):
    stanza, ds = DATASETS[name], loaded(name)
    assert (ds.name, ds.title, ds.scaling) == (name, stanza["title"], stanza["scaling"])
    assert ds.X.shape == (stanza["n"], stanza["d"]) and ds.X.dtype == np.float32
    assert ds.X.flags.c_contiguous and np.isfinite(ds.X).all()
    assert ds.y.shape == (stanza["n"],) and ds.y.dtype == np.int64
    assert set(ds.y) == set(range(stanza["n_classes"])) == set(range(ds.n_classes))
    assert ds.n_clusters == stanza["n_clusters"]
    if stanza["content_hash"]:
        assert ds.content_hash == stanza["content_hash"]
    assert content_hash(ds.X, ds.y) == ds.content_hash
    if scaling_range(ds.scaling) is not None:
        assert ds.X.min() >= 0 and ds.X.max() <= 1
    again = loaded(name, again=True)  # from the cache, or drawn anew
    assert np.array_equal(again.X, ds.X) and np.array_equal(again.y, ds.y)
    (row,) = status(name, source=FOLDER)
    assert (row["state"], row["variant"], row["source"]) == ("present", ds.variant, ds.source)


@pytest.mark.parametrize("name", DATASETS)
def test_every_method_that_is_asked_on_a_dataset_finds_its_parameters(name):
    suites = [suite for suite in registry.suites().values() if name in suite["datasets"]]
    asked = {
        method
        for suite in suites
        for method in suite["methods"]
        if name in suite.get("only_datasets", {}).get(method, [name])
    }
    methods = registry.methods()
    for method in asked | {"kmeans", "mixnet", "autoencoder", "start"}:
        registry.resolve(method, methods[method], name, registry.datasets()[name])


def test_those_without_files_need_no_folder(tmp_path):
    made = [name for name, stanza in DATASETS.items() if stanza.get("format") in MADE]
    assert {"digits", "two-moon", "wine", "swiss-roll", "blobs-0.01"} <= set(made)
    for name in made:
        (row,) = status(name, source=tmp_path)
        assert row["state"] == "present" and row["todo"] == ""
