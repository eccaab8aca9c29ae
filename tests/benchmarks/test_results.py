"""Rows of attempts against the records that they are made from, read anew as plain JSON."""

import csv
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import registry, results
from benchmarks.records import folders
from benchmarks.records.store import Store

KEPT = Path(__file__).parent / "records" / "kept" / "schema-1"


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = results.write(results.rows(Store(KEPT)), tmp_path_factory.mktemp("runs") / "runs.csv")
    with open(path, newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_of_a_suite_is_what_its_tables_stand_on(shelf):
    """Two datasets, four rows, three seeds: one run is missing, one failed, one is stale."""
    store = shelf.store
    of = {"dataset": "usps", "method": "kmeans", "seed": 1}
    (old,) = [
        record
        for record in store.of_method("usps", "kmeans")
        if record["cell"]["seed"] == 1 and record["cell"]["params"]["space"] == "raw"
    ]
    store.write({**old, "metrics": {"purity": 12.5}})
    every, behind = results.load(shelf.results), results.load(shelf.results, suite="table1")
    assert len(behind) == 2 * 4 * 3 - 1 < len(every)
    assert not behind.duplicated(["dataset", "method", "space", "seed"]).any()
    assert behind["status"].value_counts().to_dict() == {"done": 22, "error": 1}
    assert behind["stale"].sum() == 1
    newest = behind[(behind[list(of)] == list(of.values())).all(axis=1) & (behind.space == "raw")]
    assert newest[["attempt", "purity"]].values.tolist() == [[2, 12.5]]
    with pytest.raises(registry.UnknownName, match="table9"):
        results.load(shelf.results, suite="table9")


def test_every_attempt_is_a_row_with_what_its_record_says(rows):
    found = {path.stem: json.loads(path.read_text()) for path in KEPT.rglob("*.json")}
    assert {f"{row['key']}-{row['attempt']}" for row in rows} == set(found)
    assert len(rows) == len(found) > 5
    scored = 0
    for row in rows:
        record = found[f"{row['key']}-{row['attempt']}"]
        assert (row["dataset"], row["method"], row["status"], row["kind"]) == (
            record["cell"]["dataset"],
            record["cell"]["method"],
            record["status"],
            record["kind"],
        )
        assert row["seed"] == str(record["cell"]["seed"])
        assert json.loads(row["values"]) == record["values"]
        asked = {"space": record["cell"]["params"]["space"], **json.loads(row["parameters"])}
        assert asked == {k: v for k, v in record["cell"]["params"].items() if k != "inputs"}
        for column, metric in (("purity", "purity"), ("accuracy", "acc"), ("nmi", "nmi")):
            assert (float(row[column]) if row[column] else None) == record["metrics"].get(metric)
            scored += bool(row[column])
        assert row["cpu_seconds"] == str(record["provenance"].get("cpu_s", ""))
        assert row["scikit_learn"] == record["provenance"]["versions"]["scikit-learn"]
        assert row["reason"] == (record["error"] or {}).get("reason", "")
    assert scored > 3


def test_there_are_few_columns_and_each_is_explained(rows):
    assert len(results.COLUMNS) <= 40 and list(rows[0]) == list(results.COLUMNS)
    explained = results.__doc__.split("====\n")[1]
    for name in results.COLUMNS:
        assert name.replace("_", "").isalnum() and name.islower() and name in explained, name


def test_no_record_makes_a_table_of_no_row(tmp_path):
    path = results.write([], tmp_path / "runs.csv")
    assert path.read_text() == ",".join(results.COLUMNS) + "\n"


def test_the_frame_says_what_the_table_says(rows):
    frame = results.load(KEPT)
    assert list(frame.columns) == list(results.COLUMNS) and len(frame) == len(rows)
    for name in ("purity", "heldout_log_likelihood", "seconds", "peak_memory_mb"):
        said = [float(row[name]) if row[name] else np.nan for row in rows]
        np.testing.assert_array_equal(frame[name], said)
    assert [str(key) for key in frame.key] == [row["key"] for row in rows]
    assert frame.seed.tolist() == [int(row["seed"]) for row in rows]
    assert frame.stale.tolist() == [row["stale"] == "True" for row in rows]
    assert [str(time.date()) for time in frame.started] == [row["started"][:10] for row in rows]
    assert str(frame.started.dt.tz) == "UTC"


def test_the_frame_of_a_folder_without_a_record_has_the_same_types(tmp_path):
    (tmp_path / "records").mkdir()
    empty, full = results.load(tmp_path), results.load(KEPT)
    assert len(empty) == 0 and empty.dtypes.equals(full.dtypes)
    assert str(full.dtypes["seed"]) == "Int64" and str(full.dtypes["stale"]) == "boolean"


def test_values_of_other_types_are_missing_numbers(tmp_path):
    shutil.copytree(
        KEPT / "records" / "coil20" / "mixnet", tmp_path / "records" / "coil20" / "mixnet"
    )
    (path,) = (tmp_path / "records").rglob("*-1.json")
    record = json.loads(path.read_text())
    record["values"]["iterations"], record["provenance"]["started"] = [1, 2], "yesterday"
    path.write_text(json.dumps(record))
    frame = results.load(tmp_path)
    assert frame.iterations.isna().tolist() == [True, False]
    assert frame.started.isna().tolist() == [True, False]


def test_a_record_that_cannot_be_read_is_left_out_with_a_warning(tmp_path):
    shutil.copytree(KEPT, tmp_path / "kept")
    (path,) = (tmp_path / "kept").rglob("coil20/kmeans/*.json")
    path.write_text("{")
    with pytest.warns(UserWarning, match=f"{path.name} left out: unreadable"):
        assert len(results.load(tmp_path / "kept")) == len(results.load(KEPT)) - 1


def test_labels_are_those_of_the_attempt_also_where_it_repeats_another(tmp_path):
    frame = results.load(KEPT)
    row = frame[(frame.method == "mixnet") & (frame.attempt == 2) & (frame.dataset == "coil20")]
    found = results.labels(row.iloc[0], KEPT)
    with np.load(next(KEPT.rglob("coil20/mixnet/*.npz"))) as stored:
        np.testing.assert_array_equal(found, stored["labels"])
    assert row.iloc[0].restamped_from == 1 and found.shape == (1440,)
    knee = frame[frame.method == "knee"].iloc[0]
    with pytest.raises(results.NoResults, match="yaleb knee .* has no labels"):
        results.labels(knee, KEPT)
    with pytest.raises(results.NoResults, match="is not on record in"):
        results.labels({**row.iloc[0], "attempt": 9}, KEPT)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository with the kept records in its first commit, tag `one`, and less in its second."""
    root = tmp_path / "checkout"
    shutil.copytree(KEPT / "records", root / "results" / "records")

    def git(*words):
        subprocess.run(
            ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@b", *words],
            check=True,
            capture_output=True,
        )

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "one")
    git("tag", "one")
    shutil.rmtree(root / "results" / "records" / "coil20")
    git("commit", "-qam", "two")
    git("rm", "-rq", "results")
    (root / "README").touch()
    git("add", "README")
    git("commit", "-qm", "three")
    monkeypatch.setattr(folders, "ROOT", root)
    return root


def test_a_revision_has_the_records_that_it_had(checkout, tmp_path):
    pd.testing.assert_frame_equal(results.load("one"), results.load(KEPT))
    now = results.load("HEAD~1")
    assert len(now) and set(now.dataset) == set(results.load(KEPT).dataset) - {"coil20"}


@pytest.mark.parametrize(
    "place, words",
    [
        ("nowhere", "nowhere is no folder and no revision of"),
        ("--all", "no revision"),
        ("HEAD", "revision HEAD has no results/records"),
    ],
)
def test_what_is_neither_folder_nor_revision_is_refused(checkout, place, words):
    with pytest.raises(results.NoResults, match=words):
        results.load(place)


def test_a_folder_without_records_and_a_file_are_refused(tmp_path, monkeypatch):
    with pytest.raises(results.NoResults, match="has no records, needs a results folder"):
        results.load(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(results.NoResults, match="is a file"):
        results.load(tmp_path / "file")
    monkeypatch.setattr(folders, "ROOT", tmp_path)
    with pytest.raises(results.NoResults, match="no repository of its own"):
        results.load("HEAD")
