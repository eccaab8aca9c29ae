"""`mixnet verify`: what is run again of what is stale, and what the ledger says of the rest."""

import json
import shutil

import pytest

from benchmarks.cli.main import main
from benchmarks.run import verify
from benchmarks.run.plan import cell_state, suite_plan


def run(box, *words):
    return main(["run", "small", "--jobs", "2", *words])


def test_verify_notes_in_the_ledger_where_the_bits_are_the_same(quick, capsys):
    quick.ready(["blobs"], ["kmeans", "mixnet"], "0-1")
    before = {path: path.read_bytes() for path in quick.results.rglob("*.json")}
    quick.edit("helper", "x + 0.0", "x - 0.0")
    assert main(["verify", "small", "--jobs", "2"]) == 0
    # one seed of each group, whichever was cheapest
    assert [line.split()[0] for line in quick.ran()] == ["embed"] + ["good"] * 3 + ["mix"]
    records = {(r["key"], r["attempt"]): r for r in quick.store.all()}
    assert len(records) == len(before) + 5 and all(p.read_bytes() == before[p] for p in before)
    lines = quick.store.ledger.lines()
    assert len(lines) == 5 and sum(len(one["keys"]) for one in lines) == 5
    for one in lines:
        witness = records[one["witness"]["key"], one["witness"]["attempt"]]
        assert witness["attempt"] == 2 and set(one["old"]) == {"fakepkg.helper"}
        assert one["new"]["fakepkg.helper"] == witness["provenance"]["modules"]["fakepkg.helper"]
        for key in one["keys"]:
            assert (key, 2) not in records
            assert records[key, 1]["cell"]["method"] == witness["cell"]["method"] == one["method"]
    assert main(["status", "small"]) == 0
    quick.clear()
    assert run(quick) == 0 and quick.ran() == []


def test_two_verifications_make_a_chain_and_an_edit_back_needs_none(quick, capsys):
    quick.ready(["flat"], ["kmeans"], "0-2")
    for old, new in (("x + 0.0", "x - 0.0"), ("x - 0.0", "x * 1.0")):
        quick.edit("helper", old, new)
        assert main(["verify", "small"]) == 0
    assert len(quick.store.ledger.lines()) == 2 and main(["status", "small"]) == 0
    quick.clear()
    quick.edit("helper", "x * 1.0", "x + 0.0")
    assert run(quick) == 0 and quick.ran() == []
    quick.edit("helper", "x + 0.0", "x + 1.0")
    assert main(["status", "small"]) == 1
    assert "3 stale" in (out := capsys.readouterr().out) and "code changed: fakepkg.helper" in out


def test_without_the_ledger_or_with_a_damaged_line_cells_are_stale(quick, capsys):
    quick.ready(["flat"], ["kmeans"], "0-2")
    quick.edit("helper", "x + 0.0", "x - 0.0")
    assert main(["verify", "small"]) == 0
    path = quick.store.ledger.path
    path.write_text(path.read_text().replace('"old":{"f', '"old":{"g'))
    assert main(["status", "small"]) == 1
    text = capsys.readouterr()
    assert "2 stale" in text.out and "verified.jsonl line 1" in text.err


def test_a_new_metric_makes_nothing_stale(quick, capsys):
    """Nor does a changed one: what is compared is what was computed, not how it was scored."""
    quick.ready(["flat"], ["kmeans"])
    path = next(quick.results.rglob("*.json"))
    record = json.loads(path.read_text())
    assert "benchmarks.records.metrics" not in record["provenance"]["modules"]
    assert "benchmarks.records.purity" not in record["provenance"]["modules"]


def test_verify_leaves_what_differs_stale(quick, capsys):
    quick.ready(["flat"], ["kmeans", "spectral"], "0-2")
    quick.edit("cluster", ".astype(int)", ".astype(int) * 0")
    assert main(["verify", "small"]) == 1
    text = capsys.readouterr()
    assert "differs" in text.err and "stale: flat kmeans raw" in text.err
    assert quick.store.ledger.lines() == []
    assert main(["status", "small"]) == 1
    assert "1 done" in (out := capsys.readouterr().out) and "2 stale" in out


def test_verify_is_not_content_where_the_new_code_fails(quick, capsys):
    quick.ready(["flat"], ["kmeans"])
    quick.edit("cluster", "note(self.mode, self.seed)", "raise ValueError('broken')")
    assert main(["verify", "small"]) == 1
    text = capsys.readouterr()
    assert "failed: flat kmeans raw seed 0 (error: ValueError: broken)" in text.err
    assert "nothing is stale" not in text.out


@pytest.fixture
def two(quick):
    """One method on two datasets, two seeds each."""
    quick.ready(["blobs", "flat"], ["spectral"], "0-1")
    return quick


def stamps(box):
    cells = {r["key"]: r["cell"] for r in box.store.all()}
    return sorted(
        (cells[key]["dataset"], cells[key]["seed"])
        for one in box.store.ledger.lines()
        for key in one["keys"]
    )


def test_by_method_one_cell_stands_for_all_datasets(two, capsys):
    two.edit("helper", "x + 0.0", "x - 0.0")
    assert main(["verify", "small", "--by", "method"]) == 0
    assert len(two.ran()) == 1
    assert len(stamps(two)) == 3
    assert main(["status", "small"]) == 0


def test_by_method_what_differs_leaves_all_datasets_stale(two, capsys):
    two.edit("spectral", ".astype(int)", ".astype(int) * 0")
    assert main(["verify", "small", "--by", "method"]) == 1
    assert stamps(two) == []
    assert main(["status", "small"]) == 1


def test_by_method_a_short_schedule_stands_for_the_long(quick, capsys):
    quick.suite(["blobs"], ["autoencoder"])
    assert run(quick) == 0 and run(quick, "--fast") == 0
    shorter = next(iter(quick.plan(fast=True).nodes))
    for record in quick.store.all():  # the long one took long
        if record["key"] != shorter:
            (path,) = quick.results.rglob(f"{record['key']}-1.json")
            path.write_text(path.read_text().replace('"seconds": ', '"seconds": 9'))
    quick.edit("embed", "** self.power", "** (self.power + 0)")
    quick.clear()
    assert main(["verify", "small", "--by", "method"]) == 0
    new = [r for r in quick.store.all() if r["attempt"] == 2]
    assert len(quick.ran()) == 1 and [r["key"] for r in new] == [shorter]
    (line,) = quick.store.ledger.lines()
    assert line["witness"] == {"key": shorter, "attempt": 2} and shorter not in line["keys"]
    assert main(["status", "small"]) == main(["status", "small", "--fast"]) == 0


def test_what_was_verified_before_is_not_run_again(two, capsys):
    """A record of the old code that comes later, from another machine, needs no second run."""
    late = next(
        path
        for path in two.results.rglob("flat/spectral/*-1.json")
        if json.loads(path.read_text())["cell"]["seed"] == 1
    )
    kept = late.read_bytes()
    late.unlink()
    two.edit("helper", "x + 0.0", "x - 0.0")
    assert main(["verify", "small"]) == 0
    late.write_bytes(kept)
    capsys.readouterr()
    assert main(["verify", "small"]) == 0
    assert "stale runs" not in capsys.readouterr().err
    assert ("flat", 1) in stamps(two)


def test_one_cell_that_differs_takes_the_word_from_the_witness(two, capsys):
    """As above, but on one dataset the new code was seen to differ."""
    late = next(
        path
        for path in two.results.rglob("flat/spectral/*-1.json")
        if json.loads(path.read_text())["cell"]["seed"] == 1
    )
    kept = late.read_bytes()
    late.unlink()
    two.edit("spectral", "self.labels_ = (", "self.labels_ = (self.seed == 0) * (")
    two.suite(["blobs", "flat"], ["spectral"], "0")
    assert main(["verify", "small"]) == 0  # of seed 0 nothing changed
    two.suite(["blobs"], ["spectral"], "1")
    assert run(two) == 0
    two.suite(["blobs", "flat"], ["spectral"], "0-1")
    late.write_bytes(kept)
    assert main(["verify", "small", "--by", "method"]) == 0
    assert "flat spectral raw seed 1: one of 1 stale runs" in capsys.readouterr().err
    assert ("flat", 1) not in stamps(two)


def test_the_cost_of_a_cell_counts_the_inputs_that_must_be_made_too(quick):
    quick.ready(["blobs"], ["kmeans"], "0-1")
    plan = suite_plan("small", store=quick.store)
    first, second = (n for n in plan.nodes.values() if n.cell["params"]["space"] == "code")
    (codes,) = first.needs.values()

    def seconds(node):
        return cell_state(node, quick.store).record["seconds"]

    assert verify._cost(first, quick.store) == (seconds(first), 0)
    shutil.rmtree(codes.artifacts)
    assert verify._cost(first, quick.store) == (seconds(first) + seconds(codes), 0)
    assert verify._cost(second, quick.store) == (seconds(second), 1)
