"""The ledger of verifications: what leads to what, and that no line is lost or half believed."""

import json
import multiprocessing

import pytest

from benchmarks.records import ledger, provenance
from benchmarks.records.ledger import Ledger, line
from benchmarks.records.store import Store

WITNESS = {"key": "f" * 16, "attempt": 1}


def step(old, new, keys=("k",), **more):
    return line(
        dataset="d",
        method="m",
        space="raw",
        by="dataset",
        old=old,
        new=new,
        witness=WITNESS,
        keys=list(keys),
        **{"commit": None, "date": "2026"} | more,
    )


def reached(tmp_path, modules, key="k"):
    return list(Ledger(tmp_path).reached(key, modules))


def test_a_chain_leads_from_the_first_code_to_the_last(tmp_path):
    Ledger(tmp_path).append(
        [
            step({"a": "2"}, {"a": "3", "b": "1"}, commit="c2"),
            step({"a": "1"}, {"a": "2"}, commit="c1"),
        ]
    )
    assert reached(tmp_path, {"a": "1"}) == [{"a": "1"}, {"a": "2"}, {"a": "3", "b": "1"}]
    assert reached(tmp_path, {"a": "2", "b": "1"})[-1] == {"a": "3", "b": "1"}
    assert reached(tmp_path, {"a": "2", "b": "other"}) == [{"a": "2", "b": "other"}]
    assert Ledger(tmp_path).verified("k", {"a": "1"}) == "c2"
    assert Ledger(tmp_path).verified("k", {"a": "0"}) is None
    assert reached(tmp_path, {"a": "0"}) == [{"a": "0"}]
    assert reached(tmp_path, {"a": "1"}, "another cell") == [{"a": "1"}]


def test_a_module_that_is_gone_is_dropped_and_a_circle_ends(tmp_path):
    Ledger(tmp_path).append(
        [step({"a": "1", "b": "1"}, {"a": "2", "b": None}), step({"a": "2"}, {"a": "1", "b": "1"})]
    )
    assert reached(tmp_path, {"a": "1", "b": "1"}) == [{"a": "1", "b": "1"}, {"a": "2"}]


def test_a_failure_is_not_made_fresh_by_it(box):
    """That old and new code give the same labels says nothing of why it failed."""
    now = provenance.module_hash("fakepkg.helper")
    record = {
        "cell": {"content_hash": "00"},
        "key": "k",
        "status": "error",
        "provenance": {"modules": {"fakepkg.helper": "1"}},
    }
    box.store.ledger.append([step({"fakepkg.helper": "1"}, {"fakepkg.helper": now})])
    assert box.store.changed(record) == {"fakepkg.helper": "1"}
    assert box.store.changed({**record, "status": "done"}) == {}


def test_what_changed_is_counted_from_the_nearest_code(box):
    now = {f"fakepkg.{name}": provenance.module_hash(f"fakepkg.{name}") for name in ("mix", "pick")}
    record = {
        "cell": {"content_hash": "00"},
        "key": "k",
        "status": "done",
        "provenance": {"modules": {"fakepkg.mix": "1", "fakepkg.pick": "1"}},
    }
    box.store.ledger.append([step({"fakepkg.mix": "1"}, {"fakepkg.mix": now["fakepkg.mix"]})])
    assert box.store.changed(record) == {"fakepkg.pick": "1"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-20],
        lambda text: text.replace('"old":{"a":"1"}', '"old":{"a":"0"}'),
        lambda text: text.replace('"k"', '"z"'),
        lambda text: "[1]",
        lambda text: "\x00" * 9,
        lambda text: json.dumps(line(old={}, new={}, keys=[], witness={"key": 1, "attempt": 1})),
    ],
)
def test_a_damaged_line_is_reported_and_left_out(tmp_path, damage):
    book = Ledger(tmp_path)
    book.append([step({"a": "1"}, {"a": "2"}), step({"a": "2"}, {"a": "3"})])
    first, second = book.path.read_text().splitlines()
    book.path.write_text(damage(first) + "\n" + second + "\n")
    assert book.lines() == [json.loads(second)] and list(book.problems) == ["verified.jsonl line 1"]
    store = Store(tmp_path)
    store.changed(
        {
            "cell": {"content_hash": "0"},
            "key": "k",
            "status": "done",
            "provenance": {"modules": {"nowhere": "1"}},
        }
    )
    assert list(store.problems) == ["verified.jsonl line 1"]


def test_what_a_dying_writer_left_does_not_spoil_the_next_line(tmp_path):
    book = Ledger(tmp_path)
    book.append([step({"a": "1"}, {"a": "2"})])
    whole = book.path.read_text()
    for cut in range(1, len(whole)):
        book.path.write_text(whole[:cut])
        Ledger(tmp_path).append([step({"a": "2"}, {"a": "3"})])
        found = Ledger(tmp_path).lines()
        assert found[-1]["old"] == {"a": "2"}
        assert len(found) == 1 + (cut == len(whole) - 1)  # but for its end the line was whole


def test_a_full_disk_leaves_the_ledger_as_it_was(tmp_path, monkeypatch):
    book = Ledger(tmp_path)
    book.append([step({"a": "1"}, {"a": "2"})])
    before = book.path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ledger.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        book.append([step({"a": "2"}, {"a": "3"})])
    assert book.path.read_bytes() == before


def _write_many(folder, name):
    for number in range(30):
        Ledger(folder).append([step({"a": f"{name}{number}"}, {"a": "x" * 5000})])
        Ledger(folder).lines()


def test_writers_at_once_lose_nothing(tmp_path):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_many, args=(tmp_path, name)) for name in "pqr"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    book = Ledger(tmp_path)
    assert len({one["id"] for one in book.lines()}) == 90 and book.problems == {}


def test_lines_that_another_process_added_are_seen(tmp_path):
    reader, writer = Ledger(tmp_path), Ledger(tmp_path)
    assert reader.lines() == []
    for number in range(3):
        writer.append([step({"a": str(number)}, {"a": "x"})])
        assert len(reader.lines()) == number + 1


def test_the_number_of_a_copy_is_never_given_again(tmp_path):
    cell = {"dataset": "d", "content_hash": "0", "method": "m", "params": {}, "seed": 0}
    store = Store(tmp_path)
    first = store.write({"cell": cell, "status": "done"})
    store.ledger.append([step({}, {}, [first["key"]], copies={first["key"]: [1, 4]})])
    assert store.ledger.copies(first["key"]) == {4: 1}
    assert store.write({"cell": cell, "status": "done"})["attempt"] == 5


def test_the_tracked_ledger_names_witnesses_and_cells_that_are_on_record_or_retired():
    store = Store(provenance.ROOT / "results")
    records = {(record["key"], record["attempt"]) for record in store.all()}
    gone = {(one["key"], int(one["attempt"])) for one in store.retired.lines()}
    assert store.retired.problems == {} and not gone & records
    records |= gone
    keys = {key for key, _ in records}
    lines = store.ledger.lines()
    assert lines and store.ledger.problems == {}
    for one in lines:
        assert (one["witness"]["key"], one["witness"]["attempt"]) in records
        assert set(one["keys"]) <= keys and one["witness"]["key"] not in one["keys"]
