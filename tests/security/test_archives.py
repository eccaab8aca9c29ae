"""Archives and compressed files of ill will: nothing outside the folder, nothing too large."""

import hashlib
import io
import os
import stat
import tarfile
import zipfile

import numpy as np
import pytest

from benchmarks.datasets import DatasetError, fetch, formats, rawfile
from benchmarks.records import wellformed
from benchmarks.records.files import load_array, save_array

MARK = b"planted by an archive\n"


def packed(*members) -> bytes:
    """A zip of (name or ZipInfo, content)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


def link(name, target):
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info, target.encode()


@pytest.fixture
def folder(tmp_path):
    """A folder within one that must stay as it was."""
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"not to be read")
    return inner


def everything(folder):
    outer = folder.parents[1]
    return {path.relative_to(outer) for path in outer.rglob("*")}


@pytest.mark.parametrize(
    "name",
    [
        "../../escaped",
        "../escaped",
        "/tmp/mixnet-escaped",
        "a/../../b",
        "C:\\escaped",
        "..\\..\\escaped",
        ".",
        "inner/\x00x",
    ],
)
def test_names_in_an_archive_reach_no_folder(folder, name):
    path = folder / "a.zip"
    path.write_bytes(packed((name, MARK), ("wanted", b"1, 2\n")))
    before = everything(folder)
    fetch._unpack(path, "wanted")
    assert everything(folder) == before and path.read_bytes() == b"1, 2\n"
    # even asked for, it replaces the archive and nothing else
    path.write_bytes(packed((name, MARK)))
    try:
        fetch._unpack(path, name)
    except fetch._Refused:
        pass
    assert everything(folder) == before and not os.path.exists("/tmp/mixnet-escaped")


def test_links_in_an_archive_are_text(folder):
    path = folder / "a.zip"
    path.write_bytes(packed(link("wanted", "../../secret")))
    fetch._unpack(path, "wanted")
    assert not path.is_symlink() and path.read_bytes() == b"../../secret"


def test_a_tar_is_no_dataset(folder):
    """Devices, links and names that lead out are never looked at: no tar is unpacked at all."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, kind in (
            ("../escaped", tarfile.REGTYPE),
            ("device", tarfile.CHRTYPE),
            ("link", tarfile.SYMTYPE),
            ("fifo", tarfile.FIFOTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    path = folder / "data"
    path.write_bytes(out.getvalue())
    before = everything(folder)
    for parse in (formats.idx, formats.csv, lambda p: formats.libsvm(p, 3)):
        with pytest.raises(DatasetError, match="data"):
            parse(path)
    with pytest.raises(fetch._Refused):
        fetch._unpack(path, "../escaped")
    assert everything(folder) == before


@pytest.mark.parametrize("honest", [True, False])
def test_a_bomb_of_an_archive_is_refused(folder, monkeypatch, honest):
    monkeypatch.setattr(fetch, "LIMIT", 1 << 16)
    bomb = bytearray(packed(("wanted", bytes(1 << 20))))
    if not honest:  # the directory says that it is small
        at = bomb.index(b"PK\x01\x02") + 24
        bomb[at : at + 4] = (100).to_bytes(4, "little")
    path = folder / "a.zip"
    path.write_bytes(bomb)
    with pytest.raises(fetch._Refused, match="more than 65536" if honest else "wanted"):
        fetch._unpack(path, "wanted")
    assert path.read_bytes() == bomb


def test_a_download_that_never_ends_is_ended(folder, monkeypatch):
    class Endless(io.RawIOBase):
        headers, served = {}, 0

        def read(self, n=-1):
            Endless.served += n
            return bytes(n)

    monkeypatch.setattr(fetch, "LIMIT", 1 << 20)
    monkeypatch.setattr(fetch.urllib.request, "urlopen", lambda *_, **__: Endless())
    with pytest.raises(fetch.DownloadError, match="more than 1048576 bytes"):
        fetch.fetch({"name": "a", "urls": ["http://localhost/a"]}, folder)
    assert Endless.served <= (1 << 20) + fetch.BLOCK and list(folder.iterdir()) == []


def test_a_wrong_content_hash_alone_is_said(folder):
    (folder / "a").write_bytes(b"1, 2\n")
    got = hashlib.md5(b"1, 2\n").hexdigest()
    with pytest.raises(fetch._Refused, match=f"wrong hash: content_md5 is {got}"):
        fetch.verify(folder / "a", {"name": "a", "content_md5": "0" * 32})


def test_every_download_is_hashed_or_judged_by_its_content():
    """No dataset that is downloaded goes by its file's name alone."""
    from benchmarks import registry

    for name, stanza in registry.datasets().items():
        variants = stanza.get("variant", {"": {}}).values()
        for entry in ({**stanza, **variant} for variant in variants):
            for file in entry.get("files", ()):
                known = {"md5", "sha256", "content_md5"} & set(file)
                assert known or entry["content_hash"] or entry.get("n_kept"), (name, file["name"])


def npy(header: str, data=b"", version=1) -> bytes:
    text = header.encode() + b"\n"
    size = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + data


HEAD = "{{'descr': '{}', 'fortran_order': False, 'shape': {}}}"


@pytest.mark.parametrize(
    "content",
    [
        npy(HEAD.format("<f8", (10**14,)), bytes(80)),
        npy(HEAD.format("|u1", (2**31, 2**31))),
        npy(HEAD.format("<f8", (-1,)), bytes(8)),
        npy(HEAD.format("<f8", (3,)), bytes(16)),
        npy(HEAD.format("<f8", (3,)), bytes(32)),
        npy(HEAD.format("|O", (3,)), bytes(24)),
        npy(HEAD.format("<f8", (3,)), bytes(24), version=9),
        npy("{'descr'", bytes(24)),
        npy("__import__('os').system('false')"),
        b"",
        b"\x93NUMPY",
    ],
    ids=[
        "huge",
        "product",
        "negative",
        "short",
        "long",
        "objects",
        "version",
        "open",
        "code",
        "empty",
        "magic",
    ],
)
def test_sizes_are_checked_before_memory_is_asked_for(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    assert load_array(tmp_path / "a.npy") is None
    with pytest.raises(ValueError, match="a.npy"):
        wellformed.load_array(tmp_path / "a.npy")
    (tmp_path / "a.npz").write_bytes(packed(("x.npy", content)))
    with pytest.raises(ValueError, match="a.npz"):
        wellformed.load_arrays(tmp_path / "a.npz")


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(0),
        np.zeros((3, 0, 2), np.uint8),
        np.float32(2),
        np.arange(6.0).reshape(2, 3).T,
        np.array(["a", "bcd"]),
        np.array([1 + 2j]),
        np.array([(1, 2.5)], dtype="i4,f8"),
    ],
    ids=lambda a: f"{a.dtype} {a.shape}",
)
def test_any_whole_array_comes_back(tmp_path, array):
    save_array(tmp_path / "a.npy", array)
    found = load_array(tmp_path / "a.npy")
    assert found.dtype == array.dtype and np.array_equal(found, array)
    np.savez_compressed(tmp_path / "a.npz", x=array, y=array)
    assert np.array_equal(wellformed.load_arrays(tmp_path / "a.npz")["y"], array)


def test_a_bomb_of_arrays_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(wellformed, "LIMIT", 1 << 16)
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros(1 << 17, np.uint8))
    with pytest.raises(ValueError, match="more than 65536 bytes when unpacked"):
        wellformed.load_arrays(tmp_path / "a.npz")


def test_an_absent_file_is_told_from_a_damaged_one(tmp_path):
    for load in (wellformed.load_array, wellformed.load_arrays):
        with pytest.raises(FileNotFoundError):
            load(tmp_path / "absent")
    assert load_array(tmp_path / "absent") is None


def test_raw_files_are_told_by_their_bytes_and_never_unpacked_to_disk(folder):
    (folder / "usps").write_bytes(packed(("../x", MARK)))
    before = everything(folder)
    assert rawfile.read(folder / "usps").startswith(b"PK")
    assert everything(folder) == before
