"""Kinds of mistake that public trackers of similar software have: each case as it is right here."""

import json

import pytest

from benchmarks import datasets
from benchmarks.cli.main import main
from benchmarks.records.store import Store


def rewrite(store, change):
    for path in store.root.rglob("*.json"):
        record = json.loads(path.read_text())
        change(record)
        path.write_text(json.dumps(record))


@pytest.fixture
def ran(box):
    """Two methods on one dataset, run."""
    box.ready(["flat"], ["kmeans", "spectral"], "0-1")
    return box


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["provenance"].update(
            started=None, wall_s=None, commit=None, cpu=None
        ),
        lambda record: record.update(provenance={}),
        lambda record: record.update(seconds=None, metrics=dict.fromkeys(record["metrics"])),
        lambda record: record.update(seconds=None, metrics={}),
        lambda record: record.update(seconds=0.0, metrics=dict.fromkeys(record["metrics"], 0.0)),
        lambda record: record.update(
            status="error",
            metrics={},
            values={},
            outputs={},
            arrays=None,
            seconds=None,
            error={"reason": "boom", "traceback": ""},
        ),
    ],
    ids=["null provenance", "no provenance", "null metrics", "no metrics", "zeros", "all failed"],
)
def test_records_with_little_in_them_are_shown_and_stop_nothing(ran, capsys, change):
    """Fields that older or other records lack, nulls and zeros (mteb 3916, benchopt 565, 582)."""
    rewrite(ran.store, change)
    for command in (["table", "small"], ["runs"], ["report"], ["retire"]):
        assert main(command) == 0, command
    assert main(["status", "small"]) in (0, 1)
    assert main(["run", "small", "--dry-run"]) == 0
    assert main(["compare", str(ran.results), str(ran.results)]) == 0
    assert "left out" not in capsys.readouterr().err


def test_a_zero_is_a_number_and_null_is_none(ran, capsys):
    rewrite(
        ran.store,
        lambda record: record["metrics"].update(
            purity=0.0 if record["cell"]["method"] == "kmeans" else None
        ),
    )
    assert main(["table", "small"]) == 0
    lines = {
        line.split()[1]: line
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("flat")
    }
    assert "  0.0 *  " in lines["kmeans"]
    accuracy = ran.store.all()[-1]["metrics"]["acc"]
    assert lines["spectral"].split()[4] == f"{accuracy:.1f}"  # the next column: no purity
    assert [r["metrics"].get("purity") for r in ran.store.all()] == [0.0, 0.0, None, None]


def test_one_table_that_cannot_be_made_does_not_stop_the_others(ran, capsys):
    """mteb 1197: reading all results failed for one of them."""
    (ran.registry / "suites" / "bad.toml").write_text(
        'title = "bad"\ntable = "bad"\nreport = "knee"\ndatasets = ["flat"]\n'
        'methods = ["kmeans"]\nseeds = "0-1"\n'
    )
    assert main(["table"]) == 1
    said = capsys.readouterr()
    assert "mixnet: no tables of bad: one of its records has no 'k'" in said.err
    assert "wrote" in said.out and (ran.results / "small.csv").is_file()
    assert main(["report"]) == 0
    assert "One of its records has no " in (ran.results / "report.html").read_text()


@pytest.mark.parametrize("name", ["my/method", "..", "N/A", "a b", "-x", "ü", "", "x" * 201])
@pytest.mark.parametrize("file", ["methods", "datasets"])
def test_names_that_no_record_can_have_are_refused_before_any_work(box, capsys, file, name):
    """mteb 3868, benchopt 587: a name that is a path; the result was computed and lost."""
    path, old = box.registry / f"{file}.toml", {"methods": "spectral", "datasets": "flat"}[file]
    path.write_text(path.read_text().replace(f"[{old}]", f'["{name}"]'))
    box.suite(*([["blobs"], [name]] if file == "methods" else [[name], ["kmeans"]]))
    assert main(["run", "small"]) == 2
    assert f"{file}.toml: the name " in capsys.readouterr().err
    assert box.ran() == [] and not (box.results / "records").exists()


def test_a_name_with_a_dot_is_a_name(box):
    """benchopt 379."""
    path = box.registry / "methods.toml"
    path.write_text(path.read_text().replace("[spectral]", '["k.means-2+"]'))
    box.suite(["flat"], ["k.means-2+"])
    assert main(["run", "small"]) == 0 and len(box.store.all()) == 1


def test_a_store_writes_no_record_outside_of_its_folder(tmp_path):
    cell = {"dataset": "..", "content_hash": "c", "method": "m", "params": {}, "seed": 0}
    with pytest.raises(ValueError, match=r"cell\.dataset is '\.\.'"):
        Store(tmp_path / "results").write({"cell": cell, "status": "done"})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("limit", ['"1h"', "0", "-5", "nan", "inf", "true", "[1]"])
def test_a_time_limit_that_is_none_is_refused_before_any_work(box, capsys, limit):
    """benchopt 402, 589: a limit that did not limit, or ended everything at once."""
    path = box.registry / "methods.toml"
    path.write_text(path.read_text().replace("timeout_s = 60\n", f"timeout_s = {limit}\n", 1))
    box.suite(["flat"], ["kmeans"])
    assert main(["run", "small"]) == 2
    assert "[kmeans]: timeout_s is " in capsys.readouterr().err and box.ran() == []


@pytest.mark.parametrize("value", ["nan", "-inf", "2026-01-01", "[1, [inf]]"])
def test_a_parameter_that_no_record_can_hold_is_refused_before_any_work(box, capsys, value):
    path = box.registry / "methods.toml"
    path.write_text(
        path.read_text() + f'\n[mine]\nkind = "clustering"\nspaces = ["raw"]\n'
        f'estimator = "fakepkg.cluster:Cluster"\n[mine.params.mode]\nvalue = {value}\n'
        'source = "ours"\n'
    )
    box.suite(["flat"], ["mine"])
    assert main(["run", "small"]) == 2
    assert "[mine].params.mode is " in capsys.readouterr().err and box.ran() == []


def test_what_is_done_reads_no_data(ran, capsys, monkeypatch):
    """mteb 3123, scikit-learn 12227: results in the cache, and the data loaded all the same."""

    def refuse(*_, **__):
        raise AssertionError("data were read")

    monkeypatch.setattr(datasets, "load", refuse)
    monkeypatch.setattr(datasets.core, "load", refuse)
    assert main(["run", "small"]) == 0
    assert "4 cells, 0 to run" in capsys.readouterr().err and ran.ran() == []


def test_tables_written_again_are_the_same_files(ran):
    """benchopt 540: a second run gave files of other names."""
    assert main(["table", "small"]) == 0
    before = {path.name: path.read_bytes() for path in ran.results.iterdir() if path.is_file()}
    assert main(["table", "small"]) == 0
    assert before == {
        path.name: path.read_bytes() for path in ran.results.iterdir() if path.is_file()
    }
