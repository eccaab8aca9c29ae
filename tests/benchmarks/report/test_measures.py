"""The plain table of chosen measures, against the same means by pandas."""

import pandas as pd
import pytest
from scipy.stats import ttest_rel

from benchmarks.report import measures

METHODS = {
    "a": {"label": "Method A", "kind": "mixture", "spaces": ["code"]},
    "b": {"label": "Method B", "kind": "clustering", "spaces": ["raw", "code"]},
    "e": {"label": "Codes", "kind": "embedding", "spaces": ["raw"]},
}
DATASETS = {"blobs": {"title": "Blobs", "embedding": "e"}, "toy": {"embedding": "none"}}
SUITE = {
    "title": "Some measures",
    "columns": ["purity", "heldout", "seconds"],
    "datasets": ["blobs", "toy"],
    "methods": ["e", "a", "b"],
    "seeds": [0, 1, 2],
}


def record(dataset, method, space, seed, purity, **values):
    return {
        "cell": {"dataset": dataset, "method": method, "params": {"space": space}, "seed": seed},
        "status": "done",
        "metrics": {"purity": purity},
        "values": values,
        "seconds": 1.5,
    }


RECORDS = [
    record("blobs", "a", "code", 0, 70.0, heldout=-1.0),
    record("blobs", "a", "code", 1, 80.0, heldout=-2.5),
    {**record("blobs", "a", "code", 2, 0.0), "status": "timeout"},
    {**record("blobs", "b", "raw", 1, 55.0), "stale": True},
    record("blobs", "b", "raw", 7, 1.0),  # a seed that the suite does not ask for
]


def test_means_and_deviations():
    rows = {
        (r["dataset"], r["method"], r["space"]): r
        for r in measures.summarise(RECORDS, SUITE, METHODS, DATASETS)
    }
    assert set(rows) == {
        ("blobs", "a", "code"),
        ("blobs", "b", "raw"),
        ("blobs", "b", "code"),
        ("toy", "a", "raw"),
        ("toy", "b", "raw"),
    }
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
    assert list(table)[:7] == [
        "dataset",
        "method",
        "space",
        "n",
        "n_asked",
        "purity_mean",
        "purity_std",
    ]
    assert table.purity_mean[0] == 75 and table.purity_mean.isna().sum() == 3
    markdown = paths["md"].read_text()
    assert "| Blobs | Method A | code | 2/3 | 75.00 ± 7.07 | -1.75 ± 1.06 |" in markdown
    assert "Method B" in text and "1 stale, 2 not run" in text


PAIRED = SUITE | {
    "datasets": ["toy"],
    "methods": ["a", "b"],
    "against": {"a": "b"},
    "paired": ["purity", "heldout"],
    "keeps": {"a": "purity"},
}
A, B = [70.0, 81.0, 77.0], [71.0, 78.0, 70.0]


def paired(of_a=(0, 1, 2), of_b=(0, 1, 2), **suite):
    records = [record("toy", "a", "raw", s, A[s], heldout=-float(s)) for s in of_a]
    records += [record("toy", "b", "raw", s, B[s]) for s in of_b]
    return measures.summarise(records, PAIRED | suite, METHODS, DATASETS)


def test_differences_are_paired_by_seed():
    a, b = paired()
    low, high = ttest_rel(A, B).confidence_interval(0.95)
    assert a["against"] == "b" and a["purity_pairs"] == 3 and a["kept"] == "yes"
    assert a["purity_gain"] == pytest.approx(3.0)
    assert (a["purity_gain_low"], a["purity_gain_high"]) == pytest.approx((low, high))
    assert a["heldout_pairs"] == 0 and a["heldout_gain"] is None  # b has no density
    assert b["against"] == "" and b["purity_gain"] is None and b["kept"] == ""


def test_only_seeds_that_both_have_are_compared():
    a, _ = paired(of_a=(0, 1), of_b=(0, 2))
    assert (a["purity_pairs"], a["purity_gain"], a["purity_gain_low"]) == (1, -1.0, None)
    assert a["kept"] == "no" and a["purity_mean"] == 75.5  # means are over all runs


def test_files_say_which_method_differences_are_to(tmp_path, monkeypatch):
    monkeypatch.setattr(measures.registry, "methods", lambda: METHODS)
    monkeypatch.setattr(measures.registry, "datasets", lambda: DATASETS)
    records = [record("toy", m, "raw", s, v) for m, v in (("a", 80.0), ("b", 78.5)) for s in (0, 1)]
    text, paths = measures.report(records, PAIRED, tmp_path, "some")
    table = pd.read_csv(paths["csv"])
    assert table.purity_gain[0] == 1.5 and table.kept[0] == "yes" and table.against[0] == "b"
    markdown = paths["md"].read_text()
    assert "| against | purity difference | heldout difference | kept |" in markdown
    assert "| Method B | +1.50 [+1.50, +1.50] |  | yes |" in markdown
    assert "paired by seed" in markdown and "purity difference" in text
    assert "paired by seed" not in measures.to_markdown(paired(), SUITE, METHODS, DATASETS)


def test_a_method_asked_for_on_some_datasets_has_rows_on_those_only():
    suite = SUITE | {"only_datasets": {"b": ["blobs"]}}
    rows = measures.summarise([], suite, METHODS, DATASETS)
    assert {r["dataset"] for r in rows if r["method"] == "b"} == {"blobs"}
    assert {r["dataset"] for r in rows if r["method"] == "a"} == {"blobs", "toy"}
