"""What users and their systems do, and what it must not cost: work, or the exit status."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cli.main import main
from benchmarks.records import folders
from benchmarks.run import output
from benchmarks.run.progress import Display, History


class Refusing(io.StringIO):
    """A stream that takes some characters, and then only says why not."""

    def __init__(self, number, takes=0):
        super().__init__()
        self.number, self.takes = number, takes

    def write(self, text):
        if self.tell() + len(text) > self.takes:
            raise OSError(self.number, os.strerror(self.number))
        return super().write(text)


@pytest.fixture
def two(quick):
    quick.suite(["flat"], ["kmeans"], "0-1")
    return quick


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("takes", [0, 60])
def test_a_display_that_cannot_be_written_ends_no_run(quick, monkeypatch, number, takes):
    quick.ready(["flat"], ["kmeans"], "0")
    quick.suite(["flat"], ["kmeans"], "0-1")  # one cell to run
    monkeypatch.setattr(sys, "stdout", Refusing(number, takes))
    monkeypatch.setattr(sys, "stderr", Refusing(number, takes))
    assert main(["run", "small", "--jobs", "2"]) == 0
    assert [record["status"] for record in quick.store.all()] == ["done", "done"]
    assert (quick.results / "small.csv").exists()


def test_a_display_that_cannot_be_written_leaves_the_status_of_a_failure(quick, monkeypatch):
    quick.suite(["flat"], ["fail", "kmeans"])
    monkeypatch.setattr(sys, "stderr", Refusing(errno.EPIPE))
    monkeypatch.setattr(sys, "stdout", None)  # as Python has it for one that is closed
    assert main(["run", "small"]) == 1
    assert sorted(record["status"] for record in quick.store.all()) == ["done", "error"]


def test_a_pipe_that_closes_leaves_the_run_its_process_and_its_status(two):
    """As `mixnet run small 2>&1 | head -1`."""
    child = two.spawn("run", "small", "--jobs", "1")
    child.stdout.readline()
    child.stdout.close()
    assert child.wait(300) == 0
    assert len(two.store.all()) == 2


def test_what_is_said_and_lost_on_a_full_disk_is_no_success(box, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", Refusing(errno.ENOSPC))
    assert main(["list", "suites"]) == 1
    assert "what list says could not be written: No space left" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdout", Refusing(errno.EPIPE))  # `| head`
    assert main(["list", "suites"]) == 0


def test_a_run_that_did_not_come_to_every_cell_is_not_complete():
    from benchmarks.run.dispatch import Outcome, Summary

    assert Summary({"a": Outcome("done")}, asked=1).complete
    assert not Summary({"a": Outcome("done")}, asked=2).complete


def test_words_that_a_terminal_cannot_show_are_escaped(box, monkeypatch):
    """`PYTHONIOENCODING=ascii`, and names of files that are not UTF-8."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    datasets = box.registry / "datasets.toml"
    datasets.write_text(
        datasets.read_text().replace('"Blobs"', '"Bl\u00f6bs \u00b1"'), encoding="utf-8"
    )
    assert main(["list", "datasets"]) == 0
    assert b"Bl\\xf6bs \\xb1" in raw.getvalue()
    raw = io.BytesIO()
    stream = output.quiet(io.TextIOWrapper(raw, encoding="utf-8"))
    stream.write("data-\udcff")
    stream.flush()
    assert raw.getvalue() == b"data-\\udcff"


def test_under_tox_progress_goes_to_stdout_which_tox_does_not_paint(monkeypatch, capsys):
    monkeypatch.setenv("TOX_ENV_NAME", "reproduce-table1")
    Display().line("one")
    monkeypatch.delenv("TOX_ENV_NAME")
    Display().line("two")
    text = capsys.readouterr()
    assert (text.out, text.err) == ("one\n", "two\n")


def test_a_tilde_is_the_home_folder_wherever_a_folder_is_named(two, monkeypatch, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIXNET_ARTIFACTS", "~/artifacts")
    assert main(["run", "small", "--results", "~/named"]) == 0
    monkeypatch.setenv("MIXNET_RESULTS", "~/set")
    assert main(["merge", "~/named"]) == 0
    assert main(["runs", "--output", "~/all.csv"]) == 0
    assert {path.name for path in home.iterdir()} == {"artifacts", "named", "set", "all.csv"}
    assert len(list((home / "set" / "records").glob("*/*/*.json"))) == 2
    assert not (tmp_path / "~").exists()


def test_installed_results_go_to_the_working_directory_not_among_packages(monkeypatch, tmp_path):
    monkeypatch.delenv("MIXNET_RESULTS", raising=False)
    monkeypatch.delenv("MIXNET_ARTIFACTS", raising=False)
    monkeypatch.chdir(tmp_path)
    assert folders.results() == folders.ROOT / "results"  # a checkout
    monkeypatch.setattr(folders, "ROOT", Path("/opt/lib/python3.11/site-packages"))
    assert folders.results() == tmp_path / "results"
    assert folders.artifacts() == tmp_path / "artifacts"


def test_without_a_home_folder_parsed_data_lie_among_the_artefacts(tmp_path):
    """A user id without an entry in the system's list, and no HOME, as containers have them."""
    code = """
import os, pwd
def getpwuid(number):
    raise KeyError(number)
pwd.getpwuid = getpwuid
from benchmarks.cli.main import main
assert main(["data", "digits"]) == 0
print(os.environ["MIXNET_CACHE"])
"""
    env = {
        name: value for name, value in os.environ.items() if name not in ("HOME", "MIXNET_CACHE")
    }
    env |= {"MIXNET_ARTIFACTS": str(tmp_path / "artifacts"), "PYTHONPATH": str(folders.ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(tmp_path / "artifacts" / "datasets")


def test_a_method_of_ones_own_is_shown_beside_the_rows_of_the_suite(quick, capsys):
    quick.ready(["flat"], ["kmeans"], "0-1")
    capsys.readouterr()
    assert main(["run", "small", "--methods", "spectral", "--seeds", "0"]) == 0
    assert quick.ran() == ["eigen 0"]
    lines = (quick.results / "partial" / "small.csv").read_text().splitlines()
    assert lines == ["kmeans,0,done,False", "spectral,0,done,False"]
    (said,) = [one for one in capsys.readouterr().out.splitlines() if one.startswith("for good")]
    assert 'add "spectral" to methods in' in said and "suites/small.toml" in said
    assert "`mixnet run small --methods spectral`" in said
    assert main(["table", "small", "--methods", "kmeans", "--seeds", "0"]) == 0  # only what it asks
    assert "for good" not in capsys.readouterr().out
    assert (quick.results / "partial" / "small.csv").read_text() == "kmeans,0,done,False"


def test_a_changed_parameter_is_named_where_its_cells_are_missing(quick, capsys):
    quick.ready(["flat"], ["kmeans"], "0-1")
    methods = quick.registry / "methods.toml"
    methods.write_text(
        methods.read_text().replace(
            "timeout_s = 60\n[kmeans10]",
            'timeout_s = 60\n[kmeans.params.threshold]\nvalue = 0.5\nsource = "ours"\n[kmeans10]',
        )
    )
    assert main(["status", "small"]) == 1
    text = capsys.readouterr().out
    assert "2 missing" in text
    assert "2 × never run with these parameters: threshold was None, is 0.5" in text


@pytest.mark.parametrize("words", [["report"], ["runs"], ["table"], ["rescore"], ["retire"]])
def test_a_results_folder_that_is_not_there_is_refused_not_made(box, capsys, tmp_path, words):
    assert main([*words, "--results", str(tmp_path / "again")]) == 2
    assert "again, needs a results folder: there is none" in capsys.readouterr().err
    assert not (tmp_path / "again").exists()


def refuse_to_sync(monkeypatch, number=errno.ENOSPC):
    def refuse(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_a_merge_that_the_disk_ends_says_so_and_goes_on_later(two, tmp_path, capsys, number):
    assert main(["run", "small"]) == 0
    other = tmp_path / "other"
    with pytest.MonkeyPatch.context() as full:
        refuse_to_sync(full, number)
        assert main(["merge", str(two.results), "--results", str(other)]) == 1
    said = capsys.readouterr().err
    assert f"mixnet: merge stopped: {other}" in said and os.strerror(number) in said
    assert not [path for path in other.rglob("*") if path.is_file()]
    assert main(["merge", str(two.results), "--results", str(other)]) == 0
    assert "2 records joined, 0 were here already" in capsys.readouterr().out


def test_scores_that_cannot_be_kept_are_shown(two, monkeypatch, capsys):
    assert main(["run", "small"]) == 0
    refuse_to_sync(monkeypatch)
    capsys.readouterr()
    assert main(["rescore", "small", "--metric", "purity"]) == 1
    said = capsys.readouterr()
    assert "n 2   purity 100.00" in said.out
    assert "could not be kept" in said.err and "No space left" in said.err


def test_from_a_folder_that_was_deleted_files_are_named_in_full(
    shelf, monkeypatch, tmp_path, capsys
):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(["runs"]) == 0
    assert f"wrote {shelf.results / 'runs.csv'}" in capsys.readouterr().out


def test_an_error_that_is_none_of_the_disk_keeps_its_traceback(box, monkeypatch):
    def broken(_):
        raise FileNotFoundError(errno.ENOENT, "some mistake of the code")

    monkeypatch.setattr("benchmarks.cli.arguments.show_status", broken)
    with pytest.raises(OSError, match="some mistake"):
        main(["status"])


def test_full_schedules_say_nothing_of_the_time_of_shortened_ones():
    def record(wall, **params):
        return {
            "status": "done",
            "provenance": {"wall_s": wall},
            "cell": {"dataset": "usps", "method": "mixnet", "params": {"space": "code", **params}},
        }

    full, short = record(3600.0, steps=1000), record(9.0, steps=10)
    assert History([full], fast=True).expect(short["cell"]) is None
    assert History([full, short], fast=True).expect(short["cell"]) == 9.0
    history = History([full], fast=True)
    history.learn(record(8.0, steps=20))  # of the same run
    assert history.expect(short["cell"]) == 8.0
