"""Records of every layout there has been load; those of a layout to come are reported."""

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks import registry, results
from benchmarks.cli.main import main
from benchmarks.records.files import array_hash
from benchmarks.records.merge import merge
from benchmarks.records.store import SCHEMA, Store

KEPT = Path(__file__).parent / "kept"  # as runs of their time left them; never edited

# (dataset, method, attempt) -> status, kind, arrays; one of each kind and way to end. A second
# attempt is the first one verified under other code, with the arrays of the first.
SCHEMA_1 = {
    ("coil20", "kmeans", 1): ("done", "clustering", {"labels"}),
    ("coil20", "start", 1): ("done", "selection", {"labels"}),
    ("coil20", "mixnet", 1): ("done", "mixture", {"labels", "log_likelihood"}),
    ("coil20", "mixnet", 2): ("done", "mixture", {"labels", "log_likelihood"}),
    ("coil20", "autoencoder", 1): ("interrupted", "embedding", set()),
    ("coil20", "training-curves", 1): ("done", "exhibit", {"iteration", "purity", "heldout"}),
    ("isolet", "autoencoder", 1): ("done", "embedding", set()),
    ("isolet", "autoencoder", 2): ("done", "embedding", set()),
    ("digits", "labels1000-spreading", 1): ("done", "labelled", {"labels"}),
    ("yaleb", "knee", 1): ("done", "counting", set()),
    ("mnist", "test-images", 1): ("done", "evaluation", set()),
    ("mnist", "training-images", 1): ("done", "generative", set()),
    ("mnist", "gmmn", 1): ("interrupted", "generative", set()),
}


def test_every_layout_up_to_this_one_is_kept():
    assert sorted(path.name for path in KEPT.iterdir()) == [
        f"schema-{number}" for number in range(1, SCHEMA + 1)
    ]


def test_records_of_schema_1_load():
    store = Store(KEPT / "schema-1")
    records = {(r["cell"]["dataset"], r["cell"]["method"], r["attempt"]): r for r in store.all()}
    found = {name: (r["status"], r["kind"], set(store.arrays(r))) for name, r in records.items()}
    assert found == SCHEMA_1 and store.problems == {}
    assert all(store.intact(r) for r in records.values()) and store.problems == {}
    datasets = registry.datasets()
    for (dataset, _, _), record in records.items():
        arrays = store.arrays(record)
        if "labels" in arrays:
            assert arrays["labels"].shape == (datasets[dataset]["n"],)
            assert arrays["labels"].max() < datasets[dataset]["n_clusters"]
            hashed = array_hash(arrays["labels"].astype(np.int64))
            assert record["outputs"]["labels"] == hashed
            assert 0 < record["metrics"]["purity"] <= 100
        if "log_likelihood" in arrays:
            assert record["outputs"]["log_likelihood"] == array_hash(arrays["log_likelihood"])
        assert (record["error"] is None) == (record["status"] == "done")
        assert record in store.attempts(record["cell"])
    assert records["coil20", "mixnet", 2]["restamped_from"] == 1


def test_old_records_are_joined_and_listed_as_they_are(tmp_path):
    store = Store(tmp_path)
    merged = merge(store, [KEPT / "schema-1"])
    assert (merged.added, merged.left_out) == (len(SCHEMA_1), {})
    assert {r["schema"] for r in store.all()} == {1} and len(store.all()) == len(SCHEMA_1)
    rows = [results.row(record) for record in store.all()]
    assert Counter(row["status"] for row in rows) == Counter(
        status for status, _, _ in SCHEMA_1.values()
    )


@pytest.mark.parametrize(
    "change, problem",
    [
        ({"schema": SCHEMA + 1}, "newer version"),
        ({"schema": SCHEMA + 1, "status": "perfect", "cell": None}, "newer version"),
        ({"schema": 0}, "not a record"),
        ({"schema": "1"}, "not a record"),
        ({"schema": None}, "not a record"),
        ({"schema": True}, "not a record"),
    ],
)
def test_an_unknown_version_is_reported_and_not_read(tmp_path, capsys, change, problem):
    shutil.copytree(KEPT / "schema-1", tmp_path, dirs_exist_ok=True)
    (path,) = (tmp_path / "records" / "coil20" / "kmeans").glob("*.json")
    old = json.loads(path.read_text())
    before = json.dumps({**old, **change})
    path.write_text(before)
    store = Store(tmp_path)
    assert store.attempts(old["cell"]) == [] and len(store.all()) == len(SCHEMA_1) - 1
    assert list(store.problems) == [f"coil20/kmeans/{path.name}"]
    assert problem in store.problems[f"coil20/kmeans/{path.name}"]
    assert (
        main(
            [
                "status",
                "table1",
                "--results",
                str(tmp_path),
                "--datasets",
                "coil20",
                "--methods",
                "kmeans",
                "--seeds",
                str(old["cell"]["seed"]),
            ]
        )
        == 1
    )
    text = capsys.readouterr()
    assert "1 missing" in text.out and path.name in text.err and problem in text.err
    assert store.write({**old, "status": "killed"})["attempt"] == 2  # beside it, not over it
    assert path.read_text() == before
