"""Files written whole, on file systems and for users of every kind."""

import errno
import os
import stat
import tempfile

import pytest

from benchmarks.records import whole
from benchmarks.records.store import Store

CELL = {
    "dataset": "blobs",
    "content_hash": "b10b5",
    "method": "kmeans",
    "params": {"space": "raw"},
    "seed": 0,
}


def no_links(monkeypatch, number=errno.EPERM):
    """A file system such as vfat's: a file has one name."""

    def link(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", link)


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_without_hard_links_a_file_is_created_once_and_whole(tmp_path, monkeypatch, number):
    no_links(monkeypatch, number)
    assert whole.write_new(tmp_path / "a", b"first")
    assert not whole.write_new(tmp_path / "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["a"]


def test_a_link_that_was_made_and_called_taken_is_no_second_file(tmp_path, monkeypatch):
    """NFS, where the answer to the first request was lost and the client asked again."""
    link = os.link

    def asked_twice(one, other):
        link(one, other)
        link(one, other)

    monkeypatch.setattr(os, "link", asked_twice)
    assert whole.write_new(tmp_path / "a", b"first")
    assert not whole.write_new(tmp_path / "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"first" and os.listdir(tmp_path) == ["a"]


def test_without_hard_links_what_fails_leaves_no_empty_file(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    no_links(monkeypatch)
    with monkeypatch.context() as broken, pytest.raises(OSError, match="Input/output"):
        broken.setattr(os, "replace", refuse)
        whole.write_new(tmp_path / "a", b"first")
    assert os.listdir(tmp_path) == []
    assert whole.write_new(tmp_path / "a", b"first")


@pytest.mark.parametrize("number, refused", [(errno.EINVAL, False), (errno.EIO, True)])
def test_folders_that_cannot_be_synced_lose_no_file(tmp_path, monkeypatch, number, refused):
    """SMB and some FUSE know no such thing; a broken disk is another matter."""
    fsync = os.fsync

    def refuse(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    if refused:
        with pytest.raises(OSError, match="Input/output"):
            whole.write_new(tmp_path / "a", b"first")
        return
    whole.try_folder(tmp_path)
    assert whole.write_new(tmp_path / "a", b"first")
    whole.append_whole(tmp_path / "ledger", b"line\n")
    assert Store(tmp_path).write(
        {"cell": CELL, "status": "done", "estimator": "a:B", "kind": "clustering"}
    )


def test_an_error_that_is_not_of_links_is_not_taken_for_one(tmp_path, monkeypatch):
    no_links(monkeypatch, errno.ENOSPC)
    with pytest.raises(OSError, match="No space"):
        whole.write_new(tmp_path / "a", b"first")
    assert os.listdir(tmp_path) == []


def test_cells_are_kept_without_hard_links(quick, monkeypatch, capsys):
    """The harness writes a record of a failure itself, so in this process."""
    from benchmarks.cli.main import main

    no_links(monkeypatch)
    quick.suite(["flat"], ["crash"])
    assert main(["run", "small"]) == 1
    assert [record["status"] for record in quick.store.all()] == ["killed"]
    assert "warning" not in capsys.readouterr().err


def test_a_record_that_another_process_is_about_to_write_is_read_when_it_is_there(tmp_path):
    store, other = Store(tmp_path), Store(tmp_path)
    record = {
        "cell": CELL,
        "status": "error",
        "estimator": "a:B",
        "kind": "clustering",
        "error": {"reason": ""},
        "provenance": {"started": "2026-11-01T12:00:00"},
    }
    written = store.write(record)
    path = store.folder(CELL) / f"{written['key']}-1.json"
    text = path.read_bytes()
    path.write_bytes(b"")
    assert other.attempts(CELL) == [] and list(other.problems.values()) == ["empty"]
    path.write_bytes(text)
    assert len(other.attempts(CELL)) == 1


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_are_those_that_the_umask_leaves(tmp_path, mask):
    before = os.umask(mask)
    try:
        whole.write_new(tmp_path / "record", b"a")
        whole.write_atomic(tmp_path / "table", lambda handle: handle.write(b"a"))
        whole.append_whole(tmp_path / "ledger", b"a\n")
    finally:
        os.umask(before)
    for name in ("record", "table", "ledger"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o666 & ~mask, name


def test_files_of_tempfile_get_the_permissions_of_others_and_no_file_else(tmp_path):
    before = os.umask(0o027)
    try:
        handle, made = tempfile.mkstemp(dir=tmp_path)
        os.close(handle)
        (tmp_path / "link").symlink_to(made)
        (tmp_path / "secret").touch(0o400)
        whole.share(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(made).st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o400
    assert len(list(tmp_path.iterdir())) == 3


def test_a_link_stays_and_the_file_that_it_names_is_replaced(tmp_path):
    (tmp_path / "large").mkdir()
    (tmp_path / "large" / "there").write_bytes(b"old")
    for name in ("there", "new"):  # of the second the file is not there yet
        link = tmp_path / f"{name}.csv"
        link.symlink_to(os.path.join("large", name))
        whole.write_atomic(link, lambda handle: handle.write(b"a"))
        assert link.is_symlink() and (tmp_path / "large" / name).read_bytes() == b"a"
    assert sorted(os.listdir(tmp_path / "large")) == ["new", "there"]


def test_a_pipe_is_written_to_and_never_replaced(tmp_path):
    """As `--output /dev/stdout`, of which root would else make a file for the whole machine."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        for path in (pipe, tmp_path / "link"):
            whole.write_atomic(path, lambda handle: handle.write(b"a"))
            assert os.read(reader, 8) == b"a"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe"]


def test_a_full_disk_is_said_of_the_file_that_it_refused(tmp_path, monkeypatch):
    def refuse(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    path = tmp_path / "a"
    for write in (
        lambda: whole.write_atomic(path, lambda handle: handle.write(b"a")),
        lambda: whole.write_new(path, b"a"),
        lambda: whole.append_whole(path, b"a"),
    ):
        with pytest.raises(OSError, match="No space") as caught:
            write()
        assert caught.value.filename == str(path)
    assert os.listdir(tmp_path) == ["a"] and not path.stat().st_size  # made by appending to it


def test_a_folder_is_tried_and_left_as_it_was(tmp_path):
    whole.try_folder(tmp_path / "new")
    assert os.listdir(tmp_path / "new") == []
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="exists|Not a directory"):
        whole.try_folder(tmp_path / "file")


def test_names_of_245_bytes_are_written(tmp_path):
    for name in ("n" * 245, "\u00e4" * 122):
        whole.write_atomic(tmp_path / name, lambda handle: handle.write(b"a"))
        assert (tmp_path / name).read_bytes() == b"a"


def test_a_record_that_may_not_be_read_is_called_that(tmp_path, monkeypatch):
    from pathlib import Path

    store = Store(tmp_path)
    store.folder(CELL).mkdir(parents=True)
    (store.folder(CELL) / "0123456789abcdef-1.json").touch()

    def refuse(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert store.all() == []
    assert list(store.problems.values()) == ["unreadable: Permission denied"]
