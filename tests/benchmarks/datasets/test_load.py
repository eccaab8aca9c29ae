"""Loading by name: places, cache, assertions, messages, on a small made-up dataset."""

import bz2
import gzip
import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from benchmarks.cli import listing
from benchmarks.datasets import (
    DatasetError,
    DatasetMissing,
    DownloadError,
    content_hash,
    load,
    names,
    prepare,
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
        "name": "small",
        "title": "Small",
        "n": 3,
        "d": 2,
        "n_classes": 2,
        "n_clusters": 2,
        "content_hash": digest(),
        "first_label": 1,
        "scaling": "-1..1 to 0..1",
        "format": "libsvm",
        "row_order": "sorted",
        "decimals": 3,
        "variants": ["v"],
        **change,
    }
    text = "[small]\n" + "".join(
        f"{k} = {json.dumps(v)}\n" for k, v in fields.items() if v is not None
    )
    for name, rows in (("small.bz2", 2), ("small.t.bz2", 1)):
        text += (
            f'[[small.files]]\nname = "{name}"\nrows = {rows}\nurls = ["http://a.invalid/{name}"]\n'
        )
    path.write_text(text)


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A registered dataset with its files in an offline folder; returns a way to change it."""

    def register(**change):
        write_stanza(tmp_path / "datasets.toml", **change)

    monkeypatch.setenv("MIXNET_REGISTRY", str(tmp_path))
    monkeypatch.setenv("MIXNET_DATA", str(tmp_path / "raw"))
    monkeypatch.setenv("MIXNET_CACHE", str(tmp_path / "cache"))
    (tmp_path / "raw").mkdir()
    for name, text in zip(("small.bz2", "small.t.bz2"), TEXT, strict=True):
        (tmp_path / "raw" / name).write_bytes(bz2.compress(text))
    register()
    register.folder, register.cache = tmp_path / "raw", tmp_path / "cache"
    return register


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
    others = [
        content_hash(X.reshape(2, 3), Y),
        content_hash(X[::-1], Y),
        content_hash(X, 1 - Y),
        content_hash(X + np.float32(1e-6), Y),
    ]
    assert len({base, *others}) == 5


@pytest.mark.parametrize(
    "change, message",
    [
        ({"content_hash": "0" * 64}, "content is not that of small"),
        ({"n": 4}, r"\(4, 2\)"),
        ({"n_classes": 3}, "3 consecutive classes"),
        ({"first_label": 0}, "consecutive classes"),
        ({"format": "csv"}, "truncated|numbers"),
        ({"scaling": "0..1 to 0..1"}, r"values from -1 to 1, must lie in \[0, 1\]"),
    ],
)
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
    (path,) = cached(small)
    monkeypatch.setattr(prepare, "PARSERS", {})  # parsing again would fail
    assert np.array_equal(load("small").X, first.X) and cached(small) == [path]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:50],
        lambda data: b"",
        lambda data: b"rubbish",
        lambda data: data.replace(np.float32(0.75).tobytes(), np.float32(0.5).tobytes()),
    ],
    ids=["cut", "empty", "rubbish", "changed"],
)
def test_corrupt_cache_is_rebuilt(small, damage):
    good = load("small")
    (path,) = cached(small)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    again = load("small")
    assert np.array_equal(again.X, good.X) and again.content_hash == good.content_hash
    assert cached(small) == [path] and len(path.read_bytes()) == len(whole)


def test_cache_with_other_valid_content_is_not_believed(small):
    load("small")
    (path,) = cached(small)
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
    (row,) = status("small")
    assert row["state"] == "missing" and row["todo"] == text and row["n"] == 3
    with pytest.raises(DatasetMissing, match="no such folder"):
        load("small", source=small.folder / "nowhere")


def test_status_when_present(small):
    (row,) = status()
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
    for name in names():
        for variant in stanza(name)["variants"]:
            entry = stanza(name, variant)
            for key in (
                "title",
                "n",
                "d",
                "n_classes",
                "n_clusters",
                "scaling",
                "code_dim",
                "structure",
                "embedding",
                "format",
                "licence",
                "citation",
            ):
                assert key in entry, (name, key)
            assert entry["name"] == name
            assert len(entry["content_hash"]) == (0 if variant == "dec" else 64)
            assert entry["structure"].split("-")[-1] == str(entry["code_dim"])
            coded = entry["d"] > 32  # fewer features are their own codes
            assert entry["embedding"] == ("autoencoder" if coded else "none")
            for file in entry.get("files", ()):
                assert all(u.startswith(("http://", "https://")) for u in file["urls"])
    assert (stanza("yaleb")["n_classes"], stanza("yaleb")["n_clusters"]) == (38, 4)


def test_reuters_variants(tmp_path):
    for entry in (stanza("reuters10k", v) for v in ("dec", "lyrl2004-subset")):
        assert (entry["n"], entry["d"], entry["n_classes"]) == (10000, 2000, 4)
    (row,) = status("reuters10k", source=tmp_path)
    assert "'dec'" in row["todo"] and "'lyrl2004-subset'" in row["todo"]
    (tmp_path / "reuters10k-lyrl2004-subset.npz").write_bytes(b"x")
    (row,) = status("reuters10k", source=tmp_path)
    assert row["variant"] == "lyrl2004-subset"
    with pytest.raises(DatasetMissing, match="lyrl2004_tokens_train"):
        load("reuters10k", source=tmp_path, variant="dec")
    for file in stanza("reuters10k", "dec")["files"]:
        (tmp_path / file["name"]).write_bytes(b"x")
    assert status("reuters10k", source=tmp_path)[0]["variant"] == "dec"


def test_importing_and_listing_needs_no_torch():
    code = (
        "import sys, benchmarks.datasets as d; d.status(source='.');"
        "sys.exit(any(m in sys.modules for m in ('torch', 'sklearn', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.parametrize("name", ["two-moon", "wine"])
def test_points_without_files_load_without_readers(name):
    """So that no reader of files is in the fingerprint of a cell on them."""
    readers = ("prepare", "formats", "lyrl2004", "mat5", "rawfile", "fetch", "verify")
    code = (
        f"import sys; from benchmarks.datasets import load; load({name!r});"
        f"print([m for m in {readers} if f'benchmarks.datasets.{{m}}' in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert found.stdout.strip() == "[]", found.stderr


# --- what the stanza says is done, and nothing else ----------------------------------------------


@pytest.mark.parametrize(
    "form, texts",
    [
        ("libsvm", (b"1 1:0.0 2:0.5\n2 1:1 2:0.123456\n", b"2 1:0.25 2:1\n")),
        ("csv", (b"0.0,0.5,1\n1,0.123456,2\n", b"0.25,1,2\n")),
    ],
)
@pytest.mark.parametrize(
    "scaling, expected",
    [
        ("0..1 to 0..1", [[0, 0.5], [1, 0.123456], [0.25, 1]]),
        ("none", [[0, 0.5], [1, 0.123456], [0.25, 1]]),
        ("0..4 to 0..1", [[0, 0.125], [0.25, 0.030864], [0.0625, 0.25]]),
        ("-1..1 to 0..1", [[0.5, 0.75], [1, 0.561728], [0.625, 1]]),
        ("min-max", [[0, (0.5 - 0.123456) / 0.876544], [1, 0], [0.25, 1]]),
    ],
)
def test_scaling_is_what_the_stanza_says_in_every_format(small, form, texts, scaling, expected):
    """Features in [0, 1] came as [0.5, 1] from these formats, rounded to 3 decimals and sorted."""
    for name, text in zip(("small.bz2", "small.t.bz2"), texts, strict=True):
        (small.folder / name).write_bytes(bz2.compress(text))
    small(format=form, scaling=scaling, content_hash="", row_order=None, decimals=None)
    ds = load("small")
    assert np.allclose(ds.X, expected, rtol=0, atol=1e-7) and np.array_equal(ds.y, [0, 1, 1])
    assert ds.scaling == scaling and status("small")[0]["scaling"] == scaling


def test_another_scaling_is_not_served_from_the_cache(small):
    small(content_hash="")
    assert load("small").X.max() == 1
    small(content_hash="", scaling="none")
    assert load("small").X.min() == -1


# --- files that are not what they should be ------------------------------------------------------


def alter(small):
    (small.folder / "small.t.bz2").write_bytes(bz2.compress(b"2 1:0.25 2:0.99\n"))


def test_an_altered_file_is_found_with_and_without_a_hash_of_it(small):
    assert status("small", verify=True)[0]["state"] == "present"
    alter(small)
    assert status("small")[0]["state"] == "present"  # a plan looks, and does not verify
    (row,) = status("small", verify=True)
    assert row["state"] == "altered" and "small.t.bz2" in row["files"]
    assert "Replace" in row["todo"] and "http://a.invalid/small.t.bz2" in row["todo"]
    with pytest.raises(DatasetError, match="`mixnet data small` says which file"):
        load("small")


def test_another_packing_of_the_same_content_is_no_alteration(small):
    text = (small.folder / "small.bz2").read_bytes()
    (small.folder / "small.bz2").write_bytes(gzip.compress(bz2.decompress(text)))
    assert status("small", verify=True)[0]["state"] == "present"


@pytest.mark.parametrize("key", ["sha256", "md5", "content_sha256", "content_md5"])
def test_a_hash_of_the_file_names_it_alone(small, tmp_path, key):
    packed, kind = (small.folder / "small.t.bz2").read_bytes(), key.removeprefix("content_")
    data = bz2.decompress(packed) if key != kind else packed
    path = tmp_path / "datasets.toml"
    path.write_text(path.read_text() + f'{key} = "{hashlib.new(kind, data).hexdigest()}"\n')
    assert status("small", verify=True)[0]["state"] == "present"
    alter(small)
    (row,) = status("small", verify=True)
    assert row["state"] == "altered" and row["files"] == ["small.t.bz2"]
    assert f"{key} is" in row["todo"]


def test_a_download_that_was_altered_is_fetched_again(small, monkeypatch, capsys):
    monkeypatch.delenv("MIXNET_DATA")
    good = {path.name: path.read_bytes() for path in small.folder.iterdir()}

    def deliver(entry, folder):
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / entry["name"]
        if not target.exists():
            target.write_bytes(good[entry["name"]])
        return target

    monkeypatch.setattr(fetching, "fetch", deliver)
    load("small")
    for path in (small.cache / "parsed").iterdir():
        path.unlink()
    (small.cache / "raw" / "small.t.bz2").write_bytes(bz2.compress(b"2 1:0.25 2:0.99\n"))
    assert listing.data("small", None, False) == 1
    assert "altered" in (said := capsys.readouterr().out) and "data small --fetch" in said
    assert listing.data("small", None, True) == 0
    assert load("small").content_hash == digest()


def test_the_command_fails_on_an_altered_file_and_leaves_it_alone(small, capsys):
    assert listing.data("small", None, False) == 0
    assert "present" in capsys.readouterr().out
    alter(small)
    before = (small.folder / "small.t.bz2").read_bytes()
    for fetch in (False, True):
        assert listing.data("small", None, fetch) == 1
        said = capsys.readouterr().out
        assert "altered" in said and "Replace" in said and "present" not in said
    assert (small.folder / "small.t.bz2").read_bytes() == before


@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are UTF-8")
def test_a_folder_whose_name_is_not_utf8(small, tmp_path):
    folder = os.fsencode(tmp_path) + b"/d\xffta"
    os.rename(small.folder, folder)
    environment = {**os.environb, b"MIXNET_DATA": folder, b"PYTHONPATH": os.fsencode(ROOT)}

    def command(*words):
        return subprocess.run(
            [sys.executable, "-m", "benchmarks", *words],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
        )

    done = command("data", "small")
    assert done.returncode == 0 and b"present" in done.stdout, done.stderr
    os.unlink(folder + b"/small.t.bz2")
    done = command("data", "small")
    assert done.returncode == 1 and rb"d\xffta" in done.stdout, done.stderr
    assert b"Traceback" not in done.stderr
