"""Records of several machines in one folder: none lost, none doubled, none that says otherwise."""

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.cli.main import main
from benchmarks.records import ledger
from benchmarks.records import merge as merging
from benchmarks.records import store as recording
from benchmarks.records.store import Store
from benchmarks.run.dispatch import forecast
from benchmarks.run.plan import cell_state


@pytest.fixture
def pair(box, monkeypatch):
    """`box` with a second machine, whose codes differ in the last bits: ``away``."""
    box.edit(
        "embed",
        "+ self.seed * 1e-3",
        "+ self.seed * 1e-3 + float(__import__('os').environ.get('FAKE_BITS', '0'))",
    )
    box.away = box.root / "away"

    def there(*suite):
        results, artifacts = box.results, box.root / "artifacts"
        box.results = box.away
        monkeypatch.setenv("MIXNET_ARTIFACTS", str(box.root / "artifacts-away"))
        monkeypatch.setenv("FAKE_BITS", "1e-6")
        box.ready(*suite)
        box.results = results
        monkeypatch.setenv("MIXNET_ARTIFACTS", str(artifacts))
        monkeypatch.setenv("FAKE_BITS", "0")

    box.there = there
    return box


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted((folder / "records").rglob("*"))
        if path.is_file()
    }


def said(record):
    """A record without its numbers, by hand."""
    words = json.loads(json.dumps(record))
    words.pop("attempt")
    words.pop("restamped_from", None)
    words.get("verified_by", {}).pop("attempt", None)
    for used in words["inputs"].values():
        used.pop("attempt")
    if words["arrays"]:
        words["arrays"].pop("file")
    return json.dumps(words, sort_keys=True)


def merge(box, *folders):
    return main(["merge", *map(str, folders), "--results", str(box.results)])


def test_seeds_of_two_machines_make_one_table(pair, capsys):
    pair.there(["blobs"], ["kmeans", "mixnet"], "1")
    pair.ready(["blobs"], ["kmeans", "mixnet"], "0")
    before, theirs = files(pair.results), Store(pair.away).all()
    assert merge(pair, pair.away) == 0
    assert (
        f"{len(theirs)} records joined, 0 were here already, 0 left out" in capsys.readouterr().out
    )
    after = files(pair.results)
    assert {name: after[name] for name in before} == before  # what was here is untouched
    pair.suite(["blobs"], ["kmeans", "mixnet"], "0-1")
    assert forecast(pair.plan(), pair.store) == {}
    assert pair.run().complete and pair.ran() == []
    for record in pair.store.all():
        assert pair.store.intact(record)


@pytest.mark.slow
def test_merging_again_adds_nothing(pair, capsys):
    pair.there(["blobs"], ["kmeans", "mixnet"], "0")
    pair.ready(["blobs"], ["kmeans", "mixnet"], "0")
    assert merge(pair, pair.away) == 0
    after = files(pair.results)
    capsys.readouterr()
    assert merge(pair, pair.away) == 0
    assert "0 records joined" in capsys.readouterr().out and files(pair.results) == after
    # and back: everything that is there was there
    shutil.copytree(pair.results, pair.root / "copy")
    assert merge(pair, pair.root / "copy", pair.away) == 0
    assert "0 records joined" in capsys.readouterr().out and files(pair.results) == after


def test_what_a_record_says_stays_and_what_it_names_is_the_same_one(pair):
    """Both ran every cell: each number of the other machine moves by one, and so do the names."""
    pair.there(["blobs"], ["mixnet"], "0")
    pair.ready(["blobs"], ["mixnet"], "0")
    assert merge(pair, pair.away) == 0
    here, theirs = pair.store.all(), Store(pair.away).all()
    assert sorted(map(said, theirs)) == sorted(said(r) for r in here if r["attempt"] == 2)
    by_number = {(r["key"], r["attempt"]): r for r in here}
    named = 0
    for record in here:
        for used in record["inputs"].values():
            need = by_number[used["key"], used["attempt"]]
            assert used["hash"] in need["outputs"].values()
            assert used["attempt"] == record["attempt"]
            named += 1
    assert named == 6


def test_what_differs_in_the_last_bits_makes_nothing_stale(pair):
    """Codes of two machines, and methods on either: all fresh; new cells take the codes here."""
    pair.there(["blobs"], ["mixnet"], "0")
    pair.ready(["blobs"], ["kmeans"], "0")
    assert merge(pair, pair.away) == 0
    pair.suite(["blobs"], ["kmeans", "mixnet"], "0")
    assert forecast(pair.plan(), pair.store) == {}
    pair.suite(["blobs"], ["kmeans", "mixnet", "pick"], "0")
    assert pair.run().complete and pair.ran() == ["pick 0"]
    embedding, *_ = (n for n in pair.plan().nodes.values() if n.method["kind"] == "embedding")
    codes = [r["outputs"]["codes"] for r in pair.store.attempts(embedding.cell)]
    (picked,) = [r for r in pair.store.all() if r["cell"]["method"] == "pick"]
    assert picked["inputs"]["codes"] == {
        "method": "autoencoder",
        "key": embedding.key,
        "attempt": 1,
        "hash": codes[0],
    }
    assert codes[0] != codes[1]


def test_an_older_attempt_that_is_fresh_stands_before_a_newer_one_that_is_not(pair):
    pair.there(["flat"], ["kmeans"], "0")
    pair.edit("cluster", ".astype(int)", ".astype(int) * 1")
    pair.ready(["flat"], ["kmeans"], "0")
    assert merge(pair, pair.away) == 0
    (node,) = pair.plan().nodes.values()
    assert [r["attempt"] for r in pair.store.attempts(node.cell)] == [1, 2]
    state = cell_state(node, pair.store)
    assert (state.name, state.record["attempt"]) == ("done", 1)


def test_verifications_are_joined_and_name_the_same_witness(pair, capsys):
    pair.there(["flat"], ["kmeans"], "0-2")
    pair.edit("helper", "x + 0.0", "x - 0.0")
    assert main(["verify", "small", "--results", str(pair.away)]) == 0
    pair.edit("helper", "x - 0.0", "x + 0.0")
    pair.ready(["flat"], ["kmeans"], "0-2")  # so that every number moves
    pair.edit("helper", "x + 0.0", "x - 0.0")
    (theirs,) = Store(pair.away).ledger.lines()
    assert merge(pair, pair.away) == 0
    assert "1 verifications joined" in capsys.readouterr().out
    (ours,) = pair.store.ledger.lines()
    assert {**ours, "witness": 0, "id": 0} == {**theirs, "witness": 0, "id": 0}
    by_number = {(r["key"], r["attempt"]): r for r in pair.store.all()}
    witness = by_number[ours["witness"]["key"], ours["witness"]["attempt"]]
    there = {(r["key"], r["attempt"]): r for r in Store(pair.away).all()}
    assert said(witness) == said(there[theirs["witness"]["key"], theirs["witness"]["attempt"]])
    assert (theirs["witness"]["attempt"], ours["witness"]["attempt"]) == (2, 3)
    assert forecast(pair.plan(), pair.store) == {}
    before = pair.store.ledger.path.read_bytes()
    assert merge(pair, pair.away) == 0 and pair.store.ledger.path.read_bytes() == before


def test_a_verification_whose_witness_is_broken_is_left_out(pair, capsys):
    pair.there(["flat"], ["kmeans"], "0-1")
    pair.edit("helper", "x + 0.0", "x - 0.0")
    assert main(["verify", "small", "--results", str(pair.away)]) == 0
    (line,) = Store(pair.away).ledger.lines()
    (path,) = pair.away.rglob(f"{line['witness']['key']}-2.json")
    path.write_text("{}")
    assert merge(pair, pair.away) == 1
    assert "verified.jsonl" in (err := capsys.readouterr().err) and "its witness" in err
    assert pair.store.ledger.lines() == []


def test_a_record_that_names_a_copy_names_the_attempt_that_was_copied(pair):
    pair.there(["blobs"], ["mixnet"], "0")
    away = Store(pair.away)
    (embedding,) = (r for r in away.all() if r["kind"] == "embedding")
    away.ledger.append(
        [
            ledger.line(
                old={},
                new={},
                keys=[embedding["key"]],
                copies={embedding["key"]: [1, 2]},
                witness={"key": embedding["key"], "attempt": 1},
            )
        ]
    )
    for path in (pair.away / "records").rglob("*.json"):
        record = json.loads(path.read_text())
        for used in record["inputs"].values():
            used["attempt"] += used["key"] == embedding["key"]
        path.write_text(json.dumps(record))
    assert merge(pair, pair.away) == 0
    named = [used for r in pair.store.all() for used in r["inputs"].values()]
    assert named and {used["attempt"] for used in named} == {1}


def test_broken_records_are_reported_and_left_out(pair, capsys):
    pair.there(["flat"], ["kmeans", "spectral"], "0-2")
    one, two, three = sorted((pair.away / "records" / "flat" / "kmeans").glob("*.json"))
    one.write_text(one.read_text()[:200])
    two.with_suffix(".npz").write_bytes(b"damaged")
    moved = pair.away / "records" / "flat" / "elsewhere"
    moved.mkdir()
    three.rename(moved / three.name)
    assert merge(pair, pair.away) == 1
    text = capsys.readouterr()
    assert "3 records joined, 0 were here already, 3 left out" in text.out
    assert f"{one.name} left out: unreadable" in text.err
    assert f"{two.with_suffix('.npz').name} left out: missing or damaged arrays" in text.err
    assert "does not lie where its cell belongs" in text.err
    assert {r["cell"]["method"] for r in pair.store.all()} == {"spectral"}


def test_a_record_cannot_lead_outside(pair, capsys):
    """Names in a record of unknown origin are names of folders."""
    pair.there(["flat"], ["kmeans"], "0")
    (path,) = (pair.away / "records").rglob("*.json")
    record = json.loads(path.read_text())
    record["cell"]["method"] = "../../../outside"
    record["key"] = recording.cell_key(record["cell"])
    path.with_name(f"{record['key']}-1.json").write_text(json.dumps(record))
    assert merge(pair, pair.away) == 1
    assert "cell.method is '../../../outside'" in capsys.readouterr().err
    assert not list(pair.root.rglob("outside"))


def test_different_data_are_refused_before_anything_is_written(pair, capsys):
    pair.there(["flat"], ["kmeans"], "0-1")
    pair.ready(["flat"], ["kmeans"], "0")
    before = files(pair.results)
    for path in (pair.away / "records").rglob("*.json"):
        record = json.loads(path.read_text())
        record["dataset"]["content_hash"] = "0" * 64
        path.write_text(json.dumps(record))
    assert merge(pair, pair.away) == 2
    text = capsys.readouterr().err
    assert "flat (only) has content 0000" in text and "different data" in text
    assert files(pair.results) == before


@pytest.mark.parametrize("name", ["nowhere", "results"])
def test_a_wrong_folder_is_refused(box, capsys, name):
    box.ready(["flat"], ["kmeans"])
    assert merge(box, box.root / name) == 2
    assert "needs a results folder" in (text := capsys.readouterr().err) or "itself" in text


def test_an_interrupted_merge_leaves_no_half_record(pair, monkeypatch):
    """Stopped before each of the eight files that four records are."""
    pair.there(["flat"], ["kmeans"], "0-3")
    link = recording.write_new
    for at in range(8):
        target, calls = pair.root / f"target{at}", []

        def failing(path, payload, at=at, calls=calls):
            calls.append(path)
            if len(calls) > at:
                raise KeyboardInterrupt
            return link(path, payload)

        monkeypatch.setattr(recording, "write_new", failing)
        with pytest.raises(KeyboardInterrupt):
            merging.merge(Store(target), [pair.away])
        monkeypatch.setattr(recording, "write_new", link)
        store = Store(target)
        assert len(store.all()) == at // 2 and all(map(store.intact, store.all()))
        assert store.problems == {}
        merged = merging.merge(Store(target), [pair.away])
        assert (merged.added, merged.known) == (4 - at // 2, at // 2)
        assert sorted(map(said, Store(target).all())) == sorted(map(said, Store(pair.away).all()))
        assert len(list((target / "records").rglob("*.npz"))) == 4
        assert not list(target.rglob(".tmp-*"))
