"""runs.csv against the records that it is made from, read anew as plain JSON."""

import csv
import json
from pathlib import Path

import pytest

from benchmarks.records.store import Store
from benchmarks.report import runs

KEPT = Path(__file__).parents[1] / "records" / "kept" / "schema-1"


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = runs.write(Store(KEPT).all(), tmp_path_factory.mktemp("runs") / "runs.csv")
    with open(path, newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_every_attempt_is_a_row_with_what_its_record_says(rows):
    found = {path.stem: json.loads(path.read_text()) for path in KEPT.rglob("*.json")}
    assert {f"{row['key']}-{row['attempt']}" for row in rows} == set(found)
    assert len(rows) == len(found) > 5
    scored = 0
    for row in rows:
        record = found[f"{row['key']}-{row['attempt']}"]
        assert (row["dataset"], row["method"], row["status"], row["kind"]) == (
            record["cell"]["dataset"], record["cell"]["method"], record["status"], record["kind"])
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
    assert len(runs.COLUMNS) <= 40 and list(rows[0]) == list(runs.COLUMNS)
    explained = runs.__doc__.split("====\n")[1]
    for name in runs.COLUMNS:
        assert name.replace("_", "").isalnum() and name.islower() and name in explained, name


def test_no_record_makes_a_table_of_no_row(tmp_path):
    path = runs.write([], tmp_path / "runs.csv")
    assert path.read_text() == ",".join(runs.COLUMNS) + "\n"
