"""Loading by name: places, cache, assertions, messages, on a small made-up dataset."""

import bz2
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from benchmarks.datasets import (
    DatasetError,
    DatasetMissing,
    DownloadError,
    content_hash,
    core,
    load,
    names,
    stanza,
    status,
)
from benchmarks.datasets import fetch as fetching

ROOT = Path(__file__).resolve().parents[3]
TEXT = [b"1 1:-1 2:0.5\n2 1:1\n", b"2 1:0.25 2:1\n"]
X = np.array([[-1, 0.5], [0.25, 1], [1, 0]])  # both halves, in the order of their values
Y = np.array([0, 1, 1])


def digest():
    return content_hash(((X + 1) / 2).astype(np.float32), Y)


def write_stanza(path, **change):
    fields = {
        "name": "small", "title": "Small", "n": 3, "d": 2, "n_classes": 2, "n_clusters": 2,
        "content_hash": digest(), "first_label": 1, "scaling": "x", "format": "libsvm",
        "variants": ["v"], **change,
    }
    text = "[small]\n" + "".join(f"{k} = {v!r}\n" for k, v in fields.items())
    for name, rows in (("small.bz2", 2), ("small.t.bz2", 1)):
        text += f'[[small.files]]\nname = "{name}"\nrows = {rows}\nurls = ["http://a.invalid/{name}"]\n'
    path.write_text(text)


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A registered dataset with its files in an offline folder; returns a way to change it."""
    def register(**change):
        write_stanza(tmp_path / "datasets.toml", **change)
        core._catalogue.cache_clear()

    monkeypatch.setattr(core, "STANZAS", tmp_path / "datasets.toml")
    monkeypatch.setenv("MIXNET_DATA", str(tmp_path / "raw"))
    monkeypatch.setenv("MIXNET_CACHE", str(tmp_path / "cache"))
    (tmp_path / "raw").mkdir()
    for name, text in zip(("small.bz2", "small.t.bz2"), TEXT, strict=True):
        (tmp_path / "raw" / name).write_bytes(bz2.compress(text))
    register()
    register.folder, register.cache = tmp_path / "raw", tmp_path / "cache"
    yield register
    core._catalogue.cache_clear()


def cached(small):
    return list((small.cache / "parsed").iterdir())


def test_load(small):
    ds = load("small")
    assert np.allclose(ds.X, (X + 1) / 2) and ds.X.dtype == np.float32
    assert ds.X.flags.c_contiguous and ds.y.dtype == np.int64 and np.array_equal(ds.y, Y)
    assert ds.source == "offline folder" and ds.content_hash == digest() and ds.image is None


def test_content_does_not_depend_on_the_order_of_rows(small):
    swapped = b"".join(reversed(TEXT[0].splitlines(keepends=True)))
    (small.folder / "small.bz2").write_bytes(bz2.compress(swapped))
    assert load("small").content_hash == digest()


def test_content_hash_tells_shape_order_and_labels():
    base = content_hash(X, Y)
    assert base == content_hash(np.asfortranarray(X.astype(np.float32)), Y.astype(np.uint8))
    others = [content_hash(X.reshape(2, 3), Y), content_hash(X[::-1], Y), content_hash(X, 1 - Y),
              content_hash(X + np.float32(1e-6), Y)]
    assert len({base, *others}) == 5


@pytest.mark.parametrize("change, message", [
    ({"content_hash": "0" * 64}, "content is not that of small"),
    ({"n": 4}, r"\(4, 2\)"), ({"n_classes": 3}, "3 consecutive classes"),
    ({"first_label": 0}, "consecutive classes"), ({"format": "csv"}, "truncated|numbers"),
])
def test_assertions(small, change, message):
    small(**change)
    with pytest.raises(DatasetError, match=message):
        load("small")
    assert not (small.cache / "parsed").exists()  # nothing wrong is ever cached


def test_row_counts_name_the_file(small):
    (small.folder / "small.t.bz2").write_bytes(bz2.compress(TEXT[0]))
    with pytest.raises(DatasetError, match=r"small\.t\.bz2: 2 rows .* must be 1"):
        load("small")


def test_cache_serves_the_second_load(small, monkeypatch):
    first = load("small")
    path, = cached(small)
    monkeypatch.setattr(core, "PARSERS", {})  # parsing again would fail
    assert np.array_equal(load("small").X, first.X) and cached(small) == [path]


@pytest.mark.parametrize("damage", [
    lambda data: data[:50], lambda data: b"", lambda data: b"rubbish",
    lambda data: data.replace(np.float32(0.75).tobytes(), np.float32(0.5).tobytes()),
], ids=["cut", "empty", "rubbish", "changed"])
def test_corrupt_cache_is_rebuilt(small, damage):
    good = load("small")
    path, = cached(small)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    again = load("small")
    assert np.array_equal(again.X, good.X) and again.content_hash == good.content_hash
    assert cached(small) == [path] and len(path.read_bytes()) == len(whole)


def test_cache_with_other_valid_content_is_not_believed(small):
    load("small")
    path, = cached(small)
    other = X.astype(np.float32)
    np.savez(path, X=other, y=Y, content_hash=np.array(content_hash(other, Y)))
    assert np.allclose(load("small").X, (X + 1) / 2)


def test_unpinned_content_follows_the_raw_files(small):
    small(content_hash="")
    load("small")
    (small.folder / "small.t.bz2").write_bytes(bz2.compress(b"2 1:0.5 2:0.125\n"))
    assert 0.75 in load("small").X and len(cached(small)) == 2


def test_cache_folder_that_cannot_be_written(small, caplog):
    small.cache.write_text("a file in its place")
    assert load("small").content_hash == digest() and "not cached" in caplog.text


def test_concurrent_loads(small):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: load("small").content_hash, range(24)))
    assert set(found) == {digest()} and len(cached(small)) == 1


def test_missing_says_what_and_how_and_offline_never_downloads(small, monkeypatch):
    monkeypatch.setattr(fetching, "fetch", lambda *a, **k: pytest.fail("went to the network"))
    load("small")
    (small.folder / "small.t.bz2").unlink()
    with pytest.raises(DatasetMissing) as caught:
        load("small")
    text = str(caught.value)
    assert caught.value.files == ["small.t.bz2"] and caught.value.name == "small"
    for part in ("small.t.bz2", "--data-source", "MIXNET_DATA", "a.invalid", str(small.folder)):
        assert part in text
    row, = status("small")
    assert row["state"] == "missing" and row["todo"] == text and row["n"] == 3
    with pytest.raises(DatasetMissing, match="no such folder"):
        load("small", source=small.folder / "nowhere")


def test_status_when_present(small):
    row, = status()
    assert (row["state"], row["source"], row["variant"]) == ("present", "offline folder", "v")
    assert row["folder"] == str(small.folder) and row["content_hash"] == digest()


def test_download_without_a_folder(small, monkeypatch):
    monkeypatch.delenv("MIXNET_DATA")
    raw = small.cache / "raw"

    def deliver(entry, folder):
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / entry["name"]
        target.write_bytes((small.folder / entry["name"]).read_bytes())
        return target

    with pytest.raises(DatasetMissing, match="downloaded from a.invalid"):
        load("small", download=False)
    monkeypatch.setattr(fetching, "fetch", deliver)
    assert load("small").source == "download" and len(list(raw.iterdir())) == 2
    monkeypatch.setattr(fetching, "fetch", lambda *a: pytest.fail("downloaded twice"))
    assert load("small").source == "download"


def test_failed_download_is_missing_data(small, monkeypatch):
    monkeypatch.delenv("MIXNET_DATA")

    def fail(entry, folder):
        raise DownloadError("no mirror", files=[entry["name"]])

    monkeypatch.setattr(fetching, "fetch", fail)
    with pytest.raises(DatasetMissing, match="Small: no mirror") as caught:
        load("small")
    assert caught.value.name == "small"


def test_variant_unknown(small):
    with pytest.raises(DatasetError, match="did you mean 'v'"):
        load("small", variant="vv")


# --- the registered stanzas ----------------------------------------------------------------------

def test_stanzas_are_complete():
    assert len(names()) == 13
    for name in names():
        for variant in stanza(name)["variants"]:
            entry = stanza(name, variant)
            for key in ("title", "n", "d", "n_classes", "n_clusters", "scaling", "code_dim",
                        "structure", "embedding", "format", "files", "licence", "citation"):
                assert key in entry, (name, key)
            assert entry["name"] == name
            assert len(entry["content_hash"]) == (0 if variant == "dec" else 64)
            assert entry["structure"].split("-")[-1] == str(entry["code_dim"])
            assert entry["embedding"] == ("none" if entry["format"] == "toy" else "autoencoder")
            for file in entry["files"]:
                assert all(u.startswith(("http://", "https://")) for u in file["urls"])
    assert (stanza("yaleb")["n_classes"], stanza("yaleb")["n_clusters"]) == (38, 4)


def test_reuters_variants(tmp_path):
    for entry in map(lambda v: stanza("reuters10k", v), ("dec", "lyrl2004-subset")):
        assert (entry["n"], entry["d"], entry["n_classes"]) == (10000, 2000, 4)
    row, = status("reuters10k", source=tmp_path)
    assert "'dec'" in row["todo"] and "'lyrl2004-subset'" in row["todo"]
    (tmp_path / "reuters10k-lyrl2004-subset.npz").write_bytes(b"x")
    row, = status("reuters10k", source=tmp_path)
    assert row["variant"] == "lyrl2004-subset"
    with pytest.raises(DatasetMissing, match="lyrl2004_tokens_train"):
        load("reuters10k", source=tmp_path, variant="dec")
    for file in stanza("reuters10k", "dec")["files"]:
        (tmp_path / file["name"]).write_bytes(b"x")
    assert status("reuters10k", source=tmp_path)[0]["variant"] == "dec"


def test_importing_and_listing_needs_no_torch():
    code = ("import sys, benchmarks.datasets as d; d.status(source='.');"
            "sys.exit(any(m in sys.modules for m in ('torch', 'sklearn', 'scipy')))")
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
