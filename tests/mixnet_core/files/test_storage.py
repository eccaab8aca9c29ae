"""Files of models: read back exactly, refused when damaged, foreign or of a later version."""

import json
import os
import pickle

import numpy as np
import pytest
import torch

from mixnet_core.files import storage
from mixnet_core.files.storage import load_model, save_model

ARRAYS = {"a": np.arange(6.0).reshape(2, 3), "b": np.array([], dtype=np.int16)}


@pytest.fixture
def path(tmp_path):
    save_model(tmp_path / "new" / "model", "thing", 3, {"x": [1, 2.5, None]}, ARRAYS)
    return tmp_path / "new" / "model"


def test_round_trip(path):
    header, arrays = load_model(path, "thing", 3)
    assert header == {"kind": "thing", "version": 3, "x": [1, 2.5, None]}
    assert list(arrays) == ["a", "b"] and arrays["b"].dtype == np.int16
    assert np.array_equal(arrays["a"], ARRAYS["a"])
    assert os.listdir(path.parent) == ["model"]


def test_any_changed_byte_is_noticed(path, rng):
    whole = path.read_bytes()
    refused = 0
    for at in rng.choice(len(whole), 60, replace=False):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            header, arrays = load_model(path, "thing", 3)
        except ValueError:
            refused += 1
        else:  # a byte of the zip's own bookkeeping that nothing depends on
            assert header["x"] == [1, 2.5, None] and np.array_equal(arrays["a"], ARRAYS["a"])
    assert refused > 30


@pytest.mark.parametrize("length", [0, 1, 100, -1])
def test_a_cut_file_is_refused(path, length):
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match="is not a thing that mixnet saved, or it is damaged"):
        load_model(path, "thing", 3)


def test_foreign_files_are_refused(path):
    with pytest.raises(ValueError, match="holds a thing; needed a gadget"):
        load_model(path, "gadget", 3)
    with pytest.raises(
        ValueError, match="version 3, made by a later mixnet; this one reads up to 2"
    ):
        load_model(path, "thing", 2)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_model(path.with_name("other"), "thing", 3)
    np.savez(path.with_name("x.npz"), a=1)
    torch.save({"kind": "thing"}, path.with_name("t"))
    path.with_name("text").write_text(json.dumps({"kind": "thing"}))
    for name in ("x.npz", "t", "text"):
        with pytest.raises(ValueError, match="is not a thing"):
            load_model(path.with_name(name), "thing", 3)


def test_pickles_are_not_run(path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ValueError, match="is not a thing"):
        load_model(path, "thing", 3)
    with pytest.raises(ValueError):
        save_model(path, "thing", 3, {}, {"a": np.array([Trap()], dtype=object)})


def test_a_failed_write_leaves_the_old_file(path, monkeypatch):
    whole = path.read_bytes()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save_model(path, "thing", 3, {}, ARRAYS)
    assert path.read_bytes() == whole and os.listdir(path.parent) == ["model"]


@pytest.mark.parametrize("name", ["m" * 250, "é" * 120])
def test_a_name_as_long_as_the_file_system_allows_is_written(name, tmp_path):
    save_model(tmp_path / name, "test", 1, {}, {"a": np.ones(2)})
    assert load_model(tmp_path / name, "test", 1)[1]["a"].tolist() == [1, 1]
    assert [path.name for path in tmp_path.iterdir()] == [name]
