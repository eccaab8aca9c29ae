"""Metrics of labels on record: computed at any time, kept by what decides them, nothing re-run."""

import json

import numpy as np
import pytest
from sklearn.metrics import completeness_score

from benchmarks.cli.main import main
from benchmarks.datasets import DatasetMissing
from benchmarks.records import metrics, scores
from benchmarks.records.scores import Scores
from benchmarks.run.current import current

Y = np.repeat([0, 1], 20)


@pytest.fixture
def scored(quick):
    """Labels of which ten of forty are wrong, and the record of them."""
    quick.edit("cluster", "> np.median(X[:, 0])", "> np.sort(X[:, 0])[10]")
    quick.ready(["flat"], ["kmeans", "spectral"])
    return quick


def test_it_says_what_the_records_say(scored, capsys):
    before = {path: path.read_bytes() for path in scored.results.rglob("*.*")}
    assert main(["rescore", "small"]) == 0
    out = capsys.readouterr().out
    for record in scored.store.all():
        (line,) = [x for x in out.splitlines() if x.split()[1] == record["cell"]["method"]]
        assert f"purity {record['metrics']['purity']:.2f}, acc" in line and "differ" not in line
    assert scored.ran() == []  # and no record was touched
    assert all(path.read_bytes() == text for path, text in before.items())


def test_a_new_metric_needs_no_run_and_makes_nothing_stale(scored, capsys, monkeypatch):
    def largest(table):
        return table.sum(axis=0).max() / table.sum()

    monkeypatch.setitem(metrics.METRICS, "largest", largest)
    assert main(["status", "small"]) == 0
    assert main(["rescore", "small", "--metric", "largest"]) == 0
    records = {
        r["cell"]["method"]: r
        for r in scores.rescored(current(scored.plan(), scored.store), scored.store)
    }
    for record in records.values():
        labels = scored.store.arrays(record)["labels"]
        assert record["metrics"]["largest"] == 100 * np.bincount(labels).max() / 40
    assert main(["status", "small"]) == 0


def test_a_metric_of_ones_own(scored, capsys):
    assert main(["rescore", "small", "--metric", "sklearn.metrics:completeness_score"]) == 0
    (record,) = [r for r in scored.store.all() if r["cell"]["method"] == "kmeans"]
    wanted = completeness_score(Y, scored.store.arrays(record)["labels"])
    assert f"completeness_score {wanted:.2f}" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["nowhere", "nowhere:f", "math:nothing"])
def test_an_unknown_metric_is_refused(scored, capsys, name):
    assert main(["rescore", "small", "--metric", name]) == 2
    assert f"{name}" in capsys.readouterr().err


def test_a_mended_metric_is_shown_by_tables_and_differs_from_the_records(
    scored, capsys, monkeypatch
):
    monkeypatch.setitem(metrics.METRICS, "purity", lambda table: 0.125)
    hashed = scores.provenance.module_hash
    monkeypatch.setattr(
        scores.provenance,
        "module_hash",
        lambda name: "other" if name.endswith("records.metrics") else hashed(name),
    )
    assert main(["rescore", "small", "--metric", "purity"]) == 0
    assert "purity 12.50 (1 differ from the records)" in capsys.readouterr().out
    shown = scores.rescored(current(scored.plan(), scored.store), scored.store)
    assert {r["metrics"]["purity"] for r in shown} == {12.5}


def test_scores_are_kept_by_code_labels_and_classes(tmp_path, box):
    box.ready(["flat"], ["kmeans"])
    (record,) = box.store.all()
    book = Scores(box.store)
    first = book.compute(record, Y, ["purity"])
    book.save()
    code = scores.scorer("purity")[1]
    kept = Scores(box.store)
    assert kept.known(record, {"purity": code}) == first == {"purity": 100.0}
    assert kept.known(record, {"purity": "other code"}) == {}
    for change in (
        {"outputs": {"labels": "other"}},
        {"dataset": {"content_hash": "other"}},
        {"status": "error"},
    ):
        assert kept.known({**record, **change}, {"purity": code}) == {}
    with pytest.raises(ValueError, match="same length"):
        Scores(box.store).compute(
            {**record, "dataset": {"content_hash": "other"}}, Y[:-1], ["purity"]
        )


@pytest.mark.parametrize("text", ["", "[1]", '{"a": "b"}', "{", "\x00"])
def test_a_damaged_file_of_scores_is_computed_again(box, text):
    box.ready(["flat"], ["kmeans"])
    (box.results / scores.NAME).write_text(text)
    assert main(["rescore", "small"]) == 0
    assert len(json.loads((box.results / scores.NAME).read_text())) == 4


def test_data_that_are_not_here_are_named(scored, capsys, monkeypatch):
    from benchmarks.cli import rescore

    def absent(*_):
        raise DatasetMissing("Flat is not in /data", "flat", ["flat.bin"])

    monkeypatch.setattr(rescore, "load_dataset", absent)
    assert main(["rescore", "small"]) == 1
    assert "not scored: flat" in capsys.readouterr().err
