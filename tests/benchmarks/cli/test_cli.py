"""The command line from outside: exit statuses, tables, selections."""

import csv
import io

import pytest

from benchmarks.cli.main import main
from benchmarks.run import progress
from benchmarks.run.current import current
from benchmarks.run.progress import History, duration


def run(box, *words):
    return main(["run", "small", "--jobs", "2", *words])


@pytest.mark.parametrize(
    "words, message",
    [
        (["run", "smal"], "unknown suite 'smal'; did you mean small"),
        (["run", "small", "--methods", "kmens"], "did you mean kmeans"),
        (["run", "small", "--datasets", "blob"], "unknown dataset 'blob'; did you mean blobs"),
        (["status", "--datasets", "blob"], "unknown dataset 'blob'; did you mean blobs"),
        (["table", "smal"], "did you mean small"),
        (["data", "usp"], "unknown dataset"),
    ],
)
def test_did_you_mean(box, capsys, words, message):
    assert main(words) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["run"],
        ["run", "small", "--seeds", "9-1"],
        ["list", "x"],
        ["run", "small", "--jobs", "0"],
        [],
        ["run", "small", "--memory-limit", "nan"],
        ["run", "small", "--datasets", ""],
        ["run", "small", "--methods", ","],
        ["run", "small", "--device", "gpu"],
        ["verify", "--device", "cuda:99"],
    ],
)
def test_a_wrong_request_exits_with_2(box, capsys, words):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2


def test_a_whole_run_with_the_real_table(box, capsys):
    box.suite(["flat"], ["kmeans"], "0-1")
    assert run(box) == 0
    text = capsys.readouterr()
    assert "[2/2] flat kmeans raw seed" in text.err and ", purity 100.0" in text.err
    assert "wrote" in text.out and (box.results / "small.csv").exists()
    assert not (box.results / "runs.csv").exists()  # no table, a command of its own


@pytest.mark.parametrize(
    "words", [["--methods", "kmeans"], ["--fast"], ["--seeds", "0"], ["--datasets", "flat"]]
)
def test_a_partial_run_leaves_the_full_tables_alone(quick, words):
    quick.ready(["flat"], ["kmeans"], "0-1")
    (quick.results / "small.csv").write_text("full")
    assert run(quick, *words) == 0
    assert (quick.results / "small.csv").read_text() == "full"
    assert (quick.results / "partial" / "small.csv").exists()


def test_selection(quick):
    assert run(quick, "--methods", "mixnet", "--datasets", "blobs", "--seeds", "1") == 0
    assert quick.ran() == ["embed 1", "good 1", "mix 1"]


def test_a_method_outside_the_suite_runs_beside_it(quick, capsys):
    assert run(quick, "--methods", "kmeans,spectral", "--datasets", "flat", "--seeds", "0") == 0
    assert quick.ran() == ["eigen 0", "good 0"]
    lines = (quick.results / "partial" / "small.csv").read_text().splitlines()
    assert lines == ["kmeans,0,done,False", "spectral,0,done,False"]
    capsys.readouterr()
    assert main(["status", "--methods", "spectral", "--datasets", "flat", "--seeds", "0"]) == 0
    assert "flat         spectral     raw   1 done" in capsys.readouterr().out


def test_a_shortened_run_says_so_in_its_table(box):
    assert run(box, "--fast", "--methods", "mixnet+,pick", "--datasets", "blobs") == 0
    words = (box.results / "partial" / "small.md").read_text()
    assert words.startswith("# small (shortened schedules: no results)\n")
    assert "| autoencoder | power | 2 | --fast |" in words
    assert (
        "Pick (`pick`) is ours, not a row of the paper's table: found without labels from the "
        "partitions of k-means on codes; k-means on raw features." in words
    )
    assert "Pick on Blobs is k-means on codes ×2." in words
    assert "start = Pick instead of k-means 10 on codes. All else" in words


def test_runs_is_a_row_for_every_attempt(quick, capsys):
    """Also of failures, and of what other code made."""
    quick.ready(["flat"], ["kmeans"], "0-1")
    quick.suite(["flat"], ["kmeans", "fail"], "0-1")
    run(quick)
    quick.edit("cluster", "> np.median", ">= np.median")
    run(quick, "--seeds", "0")
    capsys.readouterr()
    assert main(["runs"]) == 0
    assert "wrote" in (said := capsys.readouterr().out) and "(6 attempts)" in said
    with open(quick.results / "runs.csv", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [
        (r["method"], r["seed"], r["attempt"], r["status"], r["stale"], r["purity"]) for r in rows
    ] == [
        ("fail", "0", "1", "error", "True", ""),
        ("fail", "0", "2", "error", "False", ""),
        ("fail", "1", "1", "error", "True", ""),
        ("kmeans", "0", "1", "done", "True", "100.0"),
        ("kmeans", "0", "2", "done", "False", "100.0"),
        ("kmeans", "1", "1", "done", "True", "100.0"),
    ]
    other = quick.root / "other.csv"
    assert main(["runs", "--output", str(other)]) == 0
    assert other.read_bytes() == (quick.results / "runs.csv").read_bytes()
    assert main(["runs", "--output", str(quick.results)]) == 2
    assert "--output is" in capsys.readouterr().err


def test_tables_of_all_suites_are_those_that_were_run(quick, capsys):
    quick.ready(["flat"], ["kmeans"], "0-1", name="other")
    quick.suite(["flat"], ["spectral"], name="never")
    quick.suite(["flat"], ["kmeans", "mixnet"])
    assert main(["table"]) == 0 and quick.ran() == []
    assert {path.name for path in quick.results.glob("*.csv")} == {"other.csv", "small.csv"}
    assert (quick.results / "small.csv").read_text().splitlines() == ["kmeans,0,done,False"]


def test_missing_data_is_said_and_ends_non_zero(quick, capsys):
    quick.suite(["absent", "flat"], ["kmeans"], "0-1")
    assert run(quick) == 1
    text = capsys.readouterr().err
    assert text.count("put absent.bin into /some/where/raw") == 1 and "mixnet data absent" in text
    assert (quick.results / "small.csv").read_text().count("no data") == 2


def test_failures_are_listed_and_end_non_zero(quick, capsys):
    quick.suite(["flat"], ["kmeans", "fail"])
    assert run(quick) == 1
    assert "not done: flat fail raw seed 0: error ValueError" in capsys.readouterr().err
    assert run(quick) == 1
    assert "--retry-failed" in capsys.readouterr().err


def test_dry_run_runs_nothing_and_says_why(quick, capsys):
    quick.ready(["flat"], ["kmeans"], "0")
    quick.suite(["flat"], ["kmeans"], "0-2")
    assert run(quick, "--dry-run") == 0
    text = capsys.readouterr().out
    assert "flat kmeans raw seed 1: missing, never run; " in text
    assert "2 of 3 cells would run, " in text and quick.ran() == []


def test_status_names_the_changed_module(quick, capsys):
    quick.ready(["flat"], ["kmeans"], "0-1")
    quick.suite(["flat"], ["kmeans", "fail"], "0-1")
    run(quick)
    capsys.readouterr()
    assert main(["status", "small", "--methods", "kmeans"]) == 0
    assert "kmeans       raw   2 done" in capsys.readouterr().out
    quick.edit("helper", "x + 0.0", "x - 0.0")
    assert main(["status", "small"]) == 1
    text = capsys.readouterr().out
    assert "2 stale" in text and "2 × code changed: fakepkg.helper" in text
    assert main(["table", "small"]) == 0
    assert "kmeans,0,done,True" in (quick.results / "small.csv").read_text()


def test_a_damaged_record_is_warned_of(quick, capsys):
    quick.ready(["flat"], ["kmeans"])
    (path,) = quick.results.rglob("*-1.json")
    path.write_text("{")
    assert main(["status", "small"]) == 1
    assert f"record flat/kmeans/{path.name} left out: unreadable" in capsys.readouterr().err


def test_tables_take_the_newest_done_attempt(quick):
    quick.ready(["flat"], ["kmeans"])
    run(quick)
    (node,) = quick.plan().nodes.values()
    (record,) = quick.store.attempts(node.cell)
    quick.store.write(
        {
            **record,
            "status": "killed",
            "arrays": None,
            "error": {"reason": "SIGKILL", "traceback": ""},
        }
    )
    (chosen,) = current(quick.plan(), quick.store)
    assert (chosen["status"], chosen["attempt"], chosen["stale"]) == ("done", 1, False)


@pytest.mark.parametrize(
    "seconds, words",
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (41.2, "41 s"), (200, "3 min 20 s"), (4340, "1 h 12 min")],
)
def test_durations(seconds, words):
    assert duration(seconds) == words


def test_time_left_comes_from_history():
    def record(method, wall, dataset="usps"):
        return {
            "status": "done",
            "provenance": {"wall_s": wall},
            "cell": {"dataset": dataset, "method": method, "params": {"space": "raw"}},
        }

    history = History([record("llc", 10.0), record("llc", 30.0), record("llc", 20.0)])
    cell, other = record("llc", 0)["cell"], record("ncut", 0)["cell"]
    assert history.expect(cell) == 20 and history.expect(other) is None
    assert history.expect(record("llc", 0, "isolet")["cell"]) == 20
    assert history.left([cell] * 4, [(cell, 5.0, 0.9)], jobs=2) == pytest.approx((4 * 20 + 15) / 2)
    assert history.left([cell], [(cell, 50.0, 0.0)], jobs=4) == 20  # no faster than the longest
    assert history.left([other], [], jobs=1) is None
    assert history.words([other], [], jobs=1) == ""
    assert history.left([], [(other, 30.0, 0.25)], jobs=1) == pytest.approx(90)  # as it says itself
    assert history.left([], [(other, 30.0, 0.0)], jobs=1) is None
    assert history.words([cell], [], jobs=1) == "20 s"
    assert history.words([cell, record("llc", 0, "isolet")["cell"]], [], jobs=1) == "roughly 40 s"
    short = {**cell, "params": {"space": "raw", "epochs": 1}}  # another schedule tells little
    assert history.expect(short) == 20 and not history.certain([short])
    assert history.left([], [(cell, 100.0, 0.0)], jobs=1) == pytest.approx(10)  # overdue, not over
    history.learn(record("kmeans", 2.0))
    assert history.expect(other) == 2.0


def test_doctor_and_data(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("MIXNET_DATA", str(tmp_path))
    assert main(["doctor"]) == 1
    text = capsys.readouterr().out
    assert "GFLOP/s" in text and "numpy" in text and "datasets are here" in text
    assert main(["data", "digits"]) == 0
    assert "present" in capsys.readouterr().out


def test_off_a_terminal_a_long_run_still_says_how_it_goes(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    display = progress.Display(stream)
    for minute in range(12):
        now[0] = 1000 + 60 * minute
        display.status(f"minute {minute}")
    assert stream.getvalue() == "minute 5\nminute 10\n"


def test_status_counts_the_cells_of_no_suite(quick, capsys):
    quick.ready(["flat"], ["kmeans", "spectral"], "0-1")
    quick.suite(["flat"], ["kmeans"], "0-1")
    assert main(["status"]) == 0
    assert "of no suite" in (words := capsys.readouterr().out) and ": 2 cells, 0 of" in words
    quick.edit("spectral", ".astype(int)", ".astype(int) * 1")
    assert main(["status"]) == 0
    assert ": 2 cells, 2 of" in capsys.readouterr().out
    assert main(["status", "small"]) == 0
    assert "of no suite" not in capsys.readouterr().out


@pytest.mark.parametrize("command", ["run", "verify"])
def test_folders_that_cannot_be_written_are_refused_before_any_work(
    quick, capsys, monkeypatch, tmp_path, command
):
    (tmp_path / "file").touch()
    assert main([command, "small", "--results", str(tmp_path / "file")]) == 2
    text = capsys.readouterr()
    assert "--results (MIXNET_RESULTS) needs a folder that can be written; got" in text.err
    assert str(tmp_path / "file" / "records") in text.err and "cells" not in text.err + text.out
    monkeypatch.setenv("MIXNET_ARTIFACTS", str(tmp_path / "file" / "artifacts"))
    assert main([command, "small"]) == 2
    assert "MIXNET_ARTIFACTS needs a folder" in capsys.readouterr().err
    assert not quick.store.all()


def test_a_source_that_is_no_folder_is_said_when_planning(quick, capsys, tmp_path):
    assert main(["run", "small", "--dry-run", "--data-source", str(tmp_path / "none")]) == 0
    assert "(MIXNET_DATA) is " in (err := capsys.readouterr().err) and "no folder" in err
    assert main(["run", "small", "--dry-run", "--data-source", str(tmp_path)]) == 0
    assert "no folder" not in capsys.readouterr().err


def test_samples_of_a_dataset_without_test_images_are_refused_when_planning(capsys, tmp_path):
    words = ["run", "quickstart", "--datasets", "digits", "--methods", "gan", "--dry-run"]
    assert main([*words, "--results", str(tmp_path)]) == 2
    text = capsys.readouterr().err
    assert "datasets.toml [digits]: no 'test', images that samples of gan" in text
