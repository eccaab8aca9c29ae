"""Records: whole or not at all, never changed, damaged ones reported and left out."""

import io
import json
import multiprocessing

import numpy as np
import pytest

from benchmarks.records import store as module
from benchmarks.records.store import Store, cell_key, jsonable, small_int

CELL = {
    "dataset": "blobs",
    "content_hash": "c0ffee",
    "method": "kmeans",
    "params": {"space": "raw", "n_clusters": 2},
    "seed": 0,
}


def attempt(**changes):
    return {"cell": CELL, "status": "done", "error": None, "provenance": {}, **changes}


def test_key_names_what_was_asked_and_nothing_else():
    assert cell_key(CELL) == cell_key({**CELL, "note": 1}) and len(cell_key(CELL)) == 16
    assert cell_key(CELL) == cell_key({**CELL, "params": {"n_clusters": 2, "space": "raw"}})
    for name, value in {
        "dataset": "x",
        "content_hash": "x",
        "method": "x",
        "params": {},
        "seed": 1,
    }.items():
        assert cell_key({**CELL, name: value}) != cell_key(CELL)


def test_attempts_stand_beside_each_other(tmp_path):
    store, labels = Store(tmp_path), np.array([0, 1, 1])
    first = store.write(attempt(), {"labels": small_int(labels)})
    path = store.folder(CELL) / f"{first['key']}-1.json"
    before = path.read_bytes()
    second = store.write(attempt(status="error"))
    assert (first["attempt"], second["attempt"]) == (1, 2)
    assert path.read_bytes() == before
    found = Store(tmp_path).attempts(CELL)
    assert [r["status"] for r in found] == ["done", "error"]
    assert store.arrays(found[0])["labels"].tolist() == [0, 1, 1]
    assert store.arrays(found[1]) == {}
    assert not list(tmp_path.rglob(".tmp-*"))


def test_arrays_are_packed_so_that_numpy_reads_them_and_alike_each_time():
    rng = np.random.default_rng(0)
    arrays = {
        "labels": rng.integers(0, 9, 5000).astype(np.uint8),
        "none": np.zeros((0, 3)),
        "log_likelihood": np.rint(rng.normal(0, 20, 5000) * 256).astype(np.float32) / 256,
    }
    data = module.packed(arrays)
    with np.load(io.BytesIO(data), allow_pickle=False) as found:
        assert set(found.files) == set(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype == array.dtype
    plain = io.BytesIO()
    np.savez_compressed(plain, **arrays)
    assert data == module.packed(arrays) and len(data) < len(plain.getvalue())
    with pytest.raises(ValueError, match="Object arrays"):
        module.packed({"bad": np.array([None])})


def test_nothing_is_overwritten(tmp_path):
    path = tmp_path / "a.json"
    assert module.write_new(path, b"one")
    assert not module.write_new(path, b"two")
    assert path.read_bytes() == b"one"


def test_left_over_arrays_of_a_killed_writer_are_not_taken_over(tmp_path):
    store = Store(tmp_path)
    store.folder(CELL).mkdir(parents=True)
    (store.folder(CELL) / f"{cell_key(CELL)}-1.npz").write_bytes(b"half a life")
    assert store.write(attempt())["attempt"] == 2


def _write_many(results):
    store = Store(results)
    for _ in range(20):
        store.write(attempt(), {"labels": np.zeros(3, np.uint8)})


def test_writers_at_once_lose_nothing(tmp_path):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_many, args=(tmp_path,)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    store = Store(tmp_path)
    found = store.attempts(CELL)
    assert len(found) == 60 and len({r["attempt"] for r in found}) == 60
    assert all(store.intact(r) for r in found) and not store.problems


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: text.replace('"seed": 0', '"seed": 1'),
        lambda text: text.replace('"status": "done"', '"status": "fine"'),
        lambda text: text.replace('"schema": 1', '"schema": 99'),
        lambda text: "\x00" * len(text),
    ],
)
def test_a_damaged_record_is_reported_and_left_out(tmp_path, damage):
    good = Store(tmp_path).write(attempt())
    Store(tmp_path).write(attempt())
    path = Store(tmp_path).folder(CELL) / f"{good['key']}-1.json"
    path.write_text(damage(path.read_text()))
    store = Store(tmp_path)
    assert [r["attempt"] for r in store.attempts(CELL)] == [2]
    assert list(store.problems) == [f"blobs/kmeans/{path.name}"]


def test_damaged_arrays_are_noticed(tmp_path):
    store = Store(tmp_path)
    record = store.write(attempt(), {"labels": np.arange(9)})
    assert store.intact(record)
    path = store.folder(CELL) / record["arrays"]["file"]
    path.write_bytes(path.read_bytes()[:-1])
    assert not Store(tmp_path).intact(record)


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        Store(tmp_path).write(attempt(), {"labels": np.arange(3)})
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_an_unknown_status_is_refused(tmp_path):
    with pytest.raises(ValueError, match="status is 'ok'"):
        Store(tmp_path).write(attempt(status="ok"))


def test_numbers_become_plain_and_no_nan_passes_for_one():
    value = jsonable(
        {
            "a": np.float32(0.5),
            "b": np.int64(2),
            "c": float("nan"),
            "d": np.bool_(1),
            "e": (np.inf, np.arange(2)),
            1: None,
        }
    )
    assert json.loads(json.dumps(value, allow_nan=False)) == {
        "a": 0.5,
        "b": 2,
        "c": None,
        "d": True,
        "e": [None, [0, 1]],
        "1": None,
    }


@pytest.mark.parametrize("top, dtype", [(9, "uint8"), (300, "uint16"), (70000, "uint32")])
def test_labels_take_the_smallest_type(top, dtype):
    assert small_int(np.array([0, top])).dtype == dtype
    assert small_int(np.array([0, top])).tolist() == [0, top]
