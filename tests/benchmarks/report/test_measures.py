"""The plain table of chosen measures, against the same means by pandas."""

import pandas as pd
import pytest

from benchmarks.report import measures

METHODS = {"a": {"label": "Method A", "kind": "mixture", "spaces": ["code"]},
           "b": {"label": "Method B", "kind": "clustering", "spaces": ["raw", "code"]},
           "e": {"label": "Codes", "kind": "embedding", "spaces": ["raw"]}}
DATASETS = {"blobs": {"title": "Blobs", "embedding": "e"}, "toy": {"embedding": "none"}}
SUITE = {"title": "Some measures", "columns": ["purity", "heldout", "seconds"],
         "datasets": ["blobs", "toy"], "methods": ["e", "a", "b"], "seeds": [0, 1, 2]}


def record(dataset, method, space, seed, purity, **values):
    return {"cell": {"dataset": dataset, "method": method, "params": {"space": space},
                     "seed": seed},
            "status": "done", "metrics": {"purity": purity}, "values": values, "seconds": 1.5}


RECORDS = [
    record("blobs", "a", "code", 0, 70.0, heldout=-1.0),
    record("blobs", "a", "code", 1, 80.0, heldout=-2.5),
    {**record("blobs", "a", "code", 2, 0.0), "status": "timeout"},
    {**record("blobs", "b", "raw", 1, 55.0), "stale": True},
    record("blobs", "b", "raw", 7, 1.0),  # a seed that the suite does not ask for
]


def test_means_and_deviations():
    rows = {(r["dataset"], r["method"], r["space"]): r
            for r in measures.summarise(RECORDS, SUITE, METHODS, DATASETS)}
    assert set(rows) == {("blobs", "a", "code"), ("blobs", "b", "raw"), ("blobs", "b", "code"),
                         ("toy", "a", "raw"), ("toy", "b", "raw")}
    a, b = rows["blobs", "a", "code"], rows["blobs", "b", "raw"]
    column = pd.Series([70.0, 80.0])
    assert (a["purity_mean"], a["purity_std"]) == pytest.approx((column.mean(), column.std()))
    assert a["heldout_mean"] == pytest.approx(-1.75) and a["seconds_std"] == 0
    assert (a["n"], a["n_asked"], a["missing"]) == (2, 3, "1 timeout")
    assert (b["n"], b["stale"], b["missing"], b["purity_std"]) == (1, 1, "2 not run", None)
    assert b["heldout_mean"] is None and rows["toy", "a", "raw"]["n"] == 0


def test_files_say_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(measures.registry, "methods", lambda: METHODS)
    monkeypatch.setattr(measures.registry, "datasets", lambda: DATASETS)
    text, paths = measures.report(RECORDS, SUITE, tmp_path, "some")
    table = pd.read_csv(paths["csv"])
    assert list(table)[:7] == ["dataset", "method", "space", "n", "n_asked", "purity_mean",
                               "purity_std"]
    assert table.purity_mean[0] == 75 and table.purity_mean.isna().sum() == 3
    markdown = paths["md"].read_text()
    assert "| Blobs | Method A | code | 2/3 | 75.00 ± 7.07 | -1.75 ± 1.06 |" in markdown
    assert "Method B" in text and "1 stale, 2 not run" in text
