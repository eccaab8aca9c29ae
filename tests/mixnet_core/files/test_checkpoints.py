"""Files: whole or not at all, no pickle, damage counts as absence."""

import os
import pickle

import pytest
import torch

from mixnet_core.files import checkpoints
from mixnet_core.files.checkpoints import load_checkpoint, save_checkpoint

STATE = {
    "tensors": [torch.arange(3), torch.eye(2, dtype=torch.float64)],
    "numbers": {"a": 1, "b": 0.1, 10: None},
    "flag": True,
    "text": "Müller",
}


def assert_same(a, b):
    if isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype and torch.equal(a, b)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            assert_same(one, other)
    else:
        assert type(a) is type(b) and a == b


def test_round_trip_makes_folders(tmp_path):
    path = tmp_path / "a" / "b" / "state.pt"
    save_checkpoint(path, STATE)
    assert_same(STATE, load_checkpoint(path))
    save_checkpoint(str(path), {"later": 1})
    assert load_checkpoint(str(path)) == {"later": 1}
    assert os.listdir(path.parent) == ["state.pt"]  # no temporary file stays


def test_generator_states_survive(tmp_path):
    g = torch.Generator().manual_seed(5)
    torch.rand(7, generator=g)
    save_checkpoint(tmp_path / "g", {"g": g.get_state()})
    expected = torch.rand(5, generator=g)
    other = torch.Generator()
    other.set_state(load_checkpoint(tmp_path / "g")["g"])
    assert torch.equal(torch.rand(5, generator=other), expected)


def test_no_path_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_checkpoint(None, STATE)
    assert load_checkpoint(None) is None
    assert load_checkpoint(tmp_path / "absent") is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("where", ["save", "fsync", "replace"])
def test_an_interrupted_save_leaves_the_old_file(where, tmp_path, monkeypatch):
    path = tmp_path / "state.pt"
    save_checkpoint(path, STATE)

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    target = checkpoints.torch if where == "save" else os
    monkeypatch.setattr(target, where, interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, {"new": 1})
    monkeypatch.undo()
    assert_same(STATE, load_checkpoint(path))
    assert os.listdir(tmp_path) == ["state.pt"]


def test_a_damaged_file_counts_as_none(tmp_path):
    path = tmp_path / "state.pt"
    save_checkpoint(path, STATE)
    whole = path.read_bytes()
    for damaged in (b"", b"nonsense", whole[: len(whole) // 2], whole[:-1]):
        path.write_bytes(damaged)
        assert load_checkpoint(path) is None


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_reading_never_runs_code(tmp_path):
    planted = str(tmp_path / "planted")
    (tmp_path / "pickle").write_bytes(pickle.dumps(Evil(planted)))
    torch.save({"x": Evil(planted)}, tmp_path / "torch")
    for name in ("pickle", "torch"):
        assert load_checkpoint(tmp_path / name) is None
    assert not os.path.exists(planted)


def test_new_files_have_the_permissions_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        save_checkpoint(tmp_path / "state.pt", STATE)
    finally:
        os.umask(before)
    assert (tmp_path / "state.pt").stat().st_mode & 0o777 == 0o640
