"""Retired attempts: what no table needs goes, what history lacks stays, a line says where."""

import hashlib
import json
import shutil
import subprocess

import pytest

from benchmarks.cli.main import main
from benchmarks.records import retired
from benchmarks.records.store import Store


def git(box, *args):
    return subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b.invalid", "-C", str(box.root), *args],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def commit(box):
    if not (box.root / ".git").exists():
        git(box, "init", "-q")
    git(box, "add", "-f", "results")
    git(box, "commit", "-q", "-m", "records")


def retire(box, *words):
    return main(["retire", *words, "--results", str(box.results)])


def files(box):
    return {path.name for path in (box.results / "records").rglob("*.*")}


def again(box, **changes):
    """Another attempt at every cell, as changed code or other settings would make it."""
    for record in box.store.all():
        arrays = box.store.arrays(record)
        box.store.write({**record, **changes}, arrays)


@pytest.fixture
def ran(box):
    """One cell of k-means, twice done: the newer attempt stands."""
    box.ready(["flat"], ["kmeans"])
    again(box)
    for record in box.store.all():  # the older one by other code
        if record["attempt"] == 1:
            path = box.store.folder(record["cell"]) / f"{record['key']}-1.json"
            record["provenance"]["modules"]["fakepkg.cluster"] = "other"
            path.write_text(json.dumps(record))
    commit(box)
    return box


def test_a_superseded_attempt_goes_and_its_line_says_where_it_is(ran, capsys):
    old, new = sorted(ran.store.all(), key=lambda record: record["attempt"])
    place = f"records/flat/kmeans/{old['key']}-1.json"
    digest = hashlib.sha256((ran.results / place).read_bytes()).hexdigest()
    before = files(ran)
    assert retire(ran) == 0
    assert "1 attempts" in capsys.readouterr().out and files(ran) == before  # it only lists
    assert retire(ran, "--delete") == 0
    assert before - files(ran) == {f"{old['key']}-1.json", f"{old['key']}-1.npz"}
    (one,) = ran.store.retired.lines()
    assert (one["key"], one["attempt"], one["why"]) == (old["key"], "1", "superseded")
    assert one["measure"] == "purity" and float(one["value"]) == pytest.approx(
        old["metrics"]["purity"], rel=1e-5
    )
    shown = ["git", "-C", str(ran.root), "show", f"{one['found_in']}:results/{place}"]
    found = subprocess.run(shown, capture_output=True, check=True).stdout
    assert one["sha256"] == digest == hashlib.sha256(found).hexdigest()
    assert [record["attempt"] for record in ran.store.all()] == [new["attempt"]]
    assert retire(ran, "--delete") == 0 and len(ran.store.retired.lines()) == 1


def test_what_tables_stand_on_and_what_is_fresh_stays(box):
    """The newest is by other code: the older, fresh one is what tables take."""
    box.ready(["flat"], ["kmeans"])
    (record,) = box.store.all()
    stale = json.loads(json.dumps(record))
    stale["provenance"]["modules"]["fakepkg.cluster"] = "other"
    box.store.write(stale, box.store.arrays(record))
    box.store.write({**record, "status": "killed"})
    commit(box)
    before = files(box)
    assert retire(box, "--delete") == 0
    assert files(box) == before and box.store.retired.lines() == []


def test_a_cell_that_no_suite_asks_for_goes_and_its_number_never_comes_again(ran):
    box = ran
    record = box.store.all()[-1]
    arrays = box.store.arrays(record)
    box.suite(["flat"], ["spectral"])
    assert retire(box, "--delete") == 0
    assert files(box) == set()
    assert {(one["why"], one["attempt"]) for one in box.store.retired.lines()} == {
        ("unasked", "1"),
        ("unasked", "2"),
    }
    assert box.store.write(record, arrays)["attempt"] == 3


def settings(box, power):
    """Ask for the embedding with another setting: another cell at the same place."""
    path = box.registry / "methods.toml"
    text = path.read_text()
    start = text.index("[autoencoder.params.power]\nvalue = ") + len(
        "[autoencoder.params.power]\nvalue = "
    )
    path.write_text(text[:start] + str(power) + text[text.index("\n", start) :])


def test_settings_of_before_stay_until_those_of_now_are_done(box):
    box.suite(["blobs"], ["autoencoder"])
    keys = []
    for power in (1, 3, 4):
        settings(box, power)
        keys += list(box.plan().nodes)
        if power != 4:
            box.ready(["blobs"], ["autoencoder"])
    for record in box.store.all():  # no shortened schedule is among them
        path = box.store.folder(record["cell"]) / f"{record['key']}-1.json"
        record["provenance"]["started"] = f"2026-11-0{1 + keys.index(record['key'])}T00:00:00"
        path.write_text(json.dumps({**record, "seconds": 1.0}))
    commit(box)
    assert retire(box, "--delete") == 0
    assert {record["key"] for record in box.store.all()} == {keys[1]}  # the newest of before
    assert box.run().complete
    commit(box)
    assert retire(box, "--delete") == 0
    assert {record["key"] for record in box.store.all()} == {keys[2]}
    assert [one["why"] for one in box.store.retired.lines()] == ["superseded", "replaced"]


def test_settings_of_before_of_a_named_method_go_though_those_of_now_are_not_done(box):
    settings(box, 1)
    box.ready(["blobs"], ["autoencoder", "kmeans"])
    commit(box)
    settings(box, 3)
    there = len(box.store.all())
    assert retire(box, "--former", "autoencodre", "--delete") == 2  # a slip deletes nothing
    assert len(box.store.all()) == there
    kept = {r["key"] for r in box.store.all() if r["cell"]["method"] != "autoencoder"}
    assert retire(box, "--former", "autoencoder", "--delete") == 0
    assert {record["key"] for record in box.store.all()} == kept and kept
    assert {one["why"] for one in box.store.retired.lines()} == {"former"}


def test_a_shortened_run_supersedes_no_long_one(box):
    for power, seconds in ((1, 100.0), (3, 1.0)):
        settings(box, power)
        box.ready(["blobs"], ["autoencoder"])
        for record in box.store.all():
            path = box.store.folder(record["cell"]) / f"{record['key']}-1.json"
            if record["cell"]["params"]["power"] == power:
                record["provenance"]["started"] = f"2026-11-0{power}T00:00:00"
                path.write_text(json.dumps({**record, "seconds": seconds}))
    settings(box, 4)
    commit(box)
    before = files(box)
    assert retire(box, "--delete") == 0
    assert files(box) == before


def test_shortened_schedules_of_the_suites_are_asked_for(box):
    box.ready(["blobs"], ["autoencoder"])
    assert box.run(fast=True).complete
    commit(box)
    before = files(box)
    assert retire(box, "--delete") == 0 and files(box) == before


def test_what_git_does_not_have_is_not_deleted(ran, capsys):
    before = files(ran)
    path = next(path for path in (ran.results / "records").rglob("*-1.json"))
    path.write_text(path.read_text() + "\n")
    assert retire(ran, "--delete") == 2
    assert "not in the last commit" in capsys.readouterr().err
    shutil.rmtree(ran.root / ".git")
    assert retire(ran, "--delete") == 2
    assert "git repository" in capsys.readouterr().err
    assert files(ran) == before and ran.store.retired.lines() == []


def test_interrupted_it_goes_on_without_a_second_line(ran, monkeypatch):
    unlink = type(ran.results).unlink

    def stopped(self, *args, **kwargs):
        if self.suffix == ".npz":
            raise OSError(5, "gone")
        return unlink(self, *args, **kwargs)

    monkeypatch.setattr(type(ran.results), "unlink", stopped)
    assert retire(ran, "--delete") == 2
    monkeypatch.setattr(type(ran.results), "unlink", unlink)
    assert len(ran.store.all()) == 1 and not ran.store.problems
    assert retire(ran, "--delete") == 0
    assert len(ran.store.retired.lines()) == 1
    assert not list((ran.results / "records").rglob("*-1.*"))


def test_a_merge_does_not_bring_back_what_was_retired(ran):
    away = ran.root / "away"
    shutil.copytree(ran.results, away)
    assert retire(ran, "--delete") == 0
    before = files(ran)
    assert main(["merge", str(away), "--results", str(ran.results)]) == 0
    assert files(ran) == before


def test_a_damaged_line_is_said_and_the_rest_holds(tmp_path):
    ledger = retired.Retired(tmp_path)
    good = dict.fromkeys(retired.FIELDS, "") | {
        "key": "0" * 16,
        "attempt": 7,
        "sha256": "1" * 64,
        "found_in": "2" * 40,
    }
    ledger.append([good])
    ledger.append([{**good, "attempt": 8}])
    text = ledger.path.read_text()
    ledger.path.write_text(text.replace(",7,", ",x,") + "half a li")
    assert ledger.numbers("0" * 16) == {8}
    assert set(ledger.problems) == {"retired.csv line 2", "retired.csv line 4"}
    assert text.count("dataset,method") == 1
    assert Store(tmp_path).retired.by_hash() == {"1" * 64: 8}
