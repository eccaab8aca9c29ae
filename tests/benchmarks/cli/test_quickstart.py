"""The quickstart runs every row itself, whatever records are there, in a folder of its own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import benchmarks
from benchmarks.cli import quickstart
from benchmarks.cli.main import main
from benchmarks.records.files import file_lock
from benchmarks.records.store import Store
from benchmarks.run.plan import suite_plan

ROOT = Path(benchmarks.__file__).parents[1]


@pytest.fixture
def planned(box):
    """A suite of which nothing was run."""
    box.suite(["flat"], ["kmeans", "mixnet"], name="quickstart")
    return box


@pytest.fixture(params=[["flat"]])
def started(box, request):
    """Everything of the suite on record already, as in a clone."""
    box.ready(request.param, ["kmeans", "mixnet"], name="quickstart")
    good, others = {1: (2, ["mix"]), 2: (5, ["embed", "mix", "mix"])}[len(request.param)]
    box.everything = sorted(f"{name} 0" for name in ["good"] * good + others)
    return box


def files(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "partial" not in path.parts
    }


def rows(text):
    """(dataset, method, space) -> what a line says of when it was run."""
    return {
        tuple(line.split()[:3]): line
        for line in text.splitlines()
        if line.startswith(("blobs", "flat"))
    }


@pytest.mark.parametrize("started", [["blobs", "flat"]], ids=["with codes"], indirect=True)
def test_every_cell_is_run_now_though_all_are_on_record(started, capsys):
    before, artifacts = files(started.results), os.environ["MIXNET_ARTIFACTS"]
    capsys.readouterr()
    assert main(["quickstart", "--jobs", "2"]) == 0
    said = capsys.readouterr().out
    assert started.ran() == started.everything
    place = started.results / "partial" / "quickstart"
    plan = set(suite_plan("quickstart", store=started.store).nodes)
    assert {r["key"] for r in Store(place).all() if r["status"] == "done"} == plan
    found = rows(said)
    assert len(found) == len(plan) and ("blobs", "autoencoder", "raw") in found
    for line in found.values():
        assert re.search(r" now +\d+\.\d s$", line), line
    assert f"{len(plan)} of {len(plan)} rows were run now" in said
    for name in ("quickstart.csv", "quickstart.png"):
        assert f"wrote {place / name}" in said and (place / name).is_file()
    assert files(started.results) == before and os.environ["MIXNET_ARTIFACTS"] == artifacts


@pytest.mark.slow
def test_a_second_call_goes_on_and_a_fresh_one_starts_over(started, capsys):
    assert main(["quickstart", "--jobs", "2"]) == 0
    place = quickstart.folder(started.results)
    shutil.rmtree(place / "records" / "flat" / "mixnet")
    started.clear()
    capsys.readouterr()
    assert main(["quickstart", "--jobs", "2"]) == 0
    assert started.ran() == ["mix 0"]
    said = capsys.readouterr().out
    old = {name for name, line in rows(said).items() if re.search(r" before, 20\d\d-", line)}
    assert set(rows(said)) - old == {("flat", "mixnet", "raw")}
    assert f"1 of {len(rows(said))} rows were run now" in said
    assert "--fresh starts over" in said
    started.clear()
    assert main(["quickstart", "--fresh", "--jobs", "2"]) == 0
    assert started.ran() == started.everything
    said = capsys.readouterr().out
    assert "before, " not in said and "--fresh" not in said


@pytest.mark.slow
def test_changed_code_is_run_again_and_a_failure_is_said(started, capsys):
    assert main(["quickstart", "--jobs", "2"]) == 0
    started.edit("mix", "-np.square(X)", "undefined(X)")
    capsys.readouterr()
    assert main(["quickstart", "--jobs", "2"]) == 1
    said = rows(capsys.readouterr().out)
    assert "error" in said["flat", "mixnet", "raw"] and "before" in said["flat", "kmeans", "raw"]


def test_two_calls_do_not_share_the_folder(planned, capsys):
    place = quickstart.folder(planned.results)
    place.parent.mkdir(parents=True)
    with file_lock(place.parent / "quickstart.lock"):
        assert main(["quickstart", "--fresh"]) == 2
    assert "another quickstart runs in" in capsys.readouterr().err and planned.ran() == []


def test_a_folder_that_cannot_be_made_is_said(planned, capsys):
    planned.results.mkdir()
    (planned.results / "partial").write_text("a file")
    assert main(["quickstart"]) == 2
    assert "needs to be a folder that can be written" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(3600)  # a whole run, on a machine that may have other work: load is no failure
def test_in_a_fresh_checkout_all_is_run_and_nothing_is_left_to_commit(tmp_path):
    for name in ("benchmarks", "baselines", "mixnet_core"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "results" / "records" / "digits", tmp_path / "results/records/digits")
    shutil.copy(ROOT / ".gitignore", tmp_path)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *words], check=True)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    for name in ("MIXNET_RESULTS", "MIXNET_ARTIFACTS", "MIXNET_REGISTRY"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "quickstart", "--jobs", "2"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    ((n, total),) = re.findall(r"^(\d+) of (\d+) rows were run now", done.stdout, re.MULTILINE)
    assert n == total and int(n) > 20
    assert "wrote results/partial/quickstart/quickstart.png" in done.stdout
    assert "wrote results/partial/quickstart/quickstart.csv" in done.stdout
    state = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True)
    assert state.returncode == 0 and state.stdout == ""
