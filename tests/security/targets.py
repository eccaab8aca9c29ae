"""Every parser of this project with a small good file, and the errors that it documents.

A target's ``forms`` are ways to store the good content; ``members`` and ``fields`` say that damage
is also done inside a zip, its sums made good, and to single fields of its JSON.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import os
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import registry
from benchmarks.datasets import (
    DatasetError,
    cache,
    fetch,
    formats,
    lyrl2004,
    own,
    prepare,
    rawfile,
)
from benchmarks.datasets.check import finished
from benchmarks.records.files import load_array
from benchmarks.records.store import Store
from benchmarks.report.page import facts

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 4, 4), dtype=np.uint8)
LABELS = np.arange(12) % 3
CELL = {
    "dataset": "blobs",
    "content_hash": "c0ffee",
    "method": "kmeans",
    "params": {"space": "raw", "n_clusters": 2, "inputs": {}},
    "seed": 0,
}


@dataclass
class Target:
    """One parser.

    Attributes
    ----------
    name : str
    good : callable
        Folder -> bytes of a good file.
    parse : callable
        Path -> anything.
    allowed : tuple of exception types
    file : str
        Name that the parser finds the file by.
    forms : tuple of callables
        bytes -> bytes, such as compressions.
    members : bool
        Whether the file is a zip whose members are damaged too.
    fields : tuple of str
        Members of the zip (or "" for the whole file) that hold JSON.
    n : int
        Damaged files in an ordinary run of the tests: a parser takes from 1 ms to 0.1 s.
    """

    name: str
    good: Callable
    parse: Callable
    allowed: tuple = ()
    file: str = "raw"
    forms: tuple = (bytes,)
    members: bool = False
    fields: tuple = ()
    n: int = 50


PACKINGS = (bytes, gzip.compress, bz2.compress)


def pack_z(data: bytes) -> bytes:
    """The .Z form of `data` without any compression: 9-bit codes, table emptied before it grows."""
    bits, n, out = 0, 0, bytearray(b"\x1f\x9d\x90")
    codes = [code for i in range(0, len(data), 240) for code in (256, *data[i : i + 240])][1:]
    group = 0
    for code in codes:
        bits, n, group = bits | code << n, n + 9, group + 1
        if code == 256:  # what follows starts at the next group of eight codes
            n, group = n + 9 * (-group % 8), 0
        while n >= 8:
            out.append(bits & 255)
            bits, n = bits >> 8, n - 8
    return bytes(out) + (bytes([bits]) if n else b"")


def idx_bytes(array):
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return head + array.tobytes()


def _libsvm(_=None):
    rows = (
        f"{label + 1} " + " ".join(f"{j + 1}:{v / 255:.3f}" for j, v in enumerate(row))
        for label, row in zip(LABELS, IMAGES.reshape(12, 16), strict=True)
    )
    return ("\n".join(rows) + "\n").encode()


def _csv(_=None):
    rows = (
        ", ".join(f"{v / 255:.4f}" for v in row) + f", {label + 1}."
        for label, row in zip(LABELS, IMAGES.reshape(12, 16), strict=True)
    )
    return ("\n".join(rows) + "\n").encode()


def _named_csv(_=None):
    """With a head, row numbers and quoted classes."""
    rows = (
        f'"{i}",' + ",".join(map(str, row)) + f',"{"ABC"[label]}"'
        for i, (label, row) in enumerate(zip(LABELS, IMAGES.reshape(12, 16), strict=True))
    )
    return ("\n".join(['"","a","class"', *rows]) + "\n").encode()


def _read_named_csv(path):
    return formats.csv(path, skip_rows=1, skip_columns=1, classes=["A", "B", "C"])


def _mat(compressed):
    def good(folder):
        from scipy.io import savemat

        out = io.BytesIO()
        savemat(
            out,
            {"fea": IMAGES.reshape(12, 16), "gnd": LABELS[:, None] + 1.0},
            do_compression=compressed,
        )
        return out.getvalue()

    return good


def _npz(**arrays):
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def _csr(_=None):
    from scipy.sparse import csr_matrix

    X = csr_matrix(IMAGES.reshape(12, 16).astype(np.float32) / 255)
    return _npz(
        data=X.data,
        indices=X.indices,
        indptr=X.indptr,
        shape=np.array(X.shape),
        labels=LABELS.astype(np.uint8),
    )


def _tokens(_=None):
    words = ("alpha beta", "beta gamma gamma", "delta alpha", "gamma", "beta delta alpha", "alpha")
    return "".join(f".I {i + 1}\n.W\n{words[i % 6]}\n\n" for i in range(12)).encode()


def _topics(_=None):
    return "".join(f"{lyrl2004.ROOTS[i % 4]} {i + 1} 1\n" for i in range(12)).encode()


def _dec(which):
    """The whole recipe, one of its two files damaged."""

    def parse(path):
        other = path.with_name("other")
        other.write_bytes(_topics() if which == "tokens" else _tokens())
        tokens, topics = (path, other) if which == "tokens" else (other, path)
        lyrl2004.dec_subset([tokens], topics, n=8, n_features=3, n_kept=12)

    return parse


def _dataset(form, n=12):
    """From the raw file to checked arrays, as `benchmarks.datasets.load` goes."""
    entry = {
        "name": "small",
        "format": form,
        "n": n,
        "d": 16,
        "n_classes": 3,
        "first_label": 1,
        "content_hash": "",
        "files": [{"name": "raw", "rows": n}],
        "scaling": "0..255 to 0..1" if form in ("idx", "mat") else "0..1 to 0..1",
    }

    def parse(path):
        paths = [path]
        if form == "idx":
            paths.append(path.with_name("labels"))
            paths[1].write_bytes(idx_bytes(LABELS.astype(np.uint8)))
        entry["first_label"] = 0 if form in ("idx", "csr_npz") else 1
        finished(entry, *prepare.read(entry, paths), paths)

    return parse


def _download(path):
    fetch.verify(path, {"name": "raw"})


def _archive_member(path):
    fetch._unpack(path, "inner/small.data")


def _zip(_=None):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner/small.data", _csv())
        archive.writestr("notes.txt", "of a test\n" * 20)
    return out.getvalue()


def _parsed_cache(_=None):
    X, y = IMAGES.reshape(12, 16).astype(np.float32) / 255, LABELS
    return _npz(X=X, y=y, content_hash=np.array(cache.content_hash(X, y)))


def _array(_=None):
    out = io.BytesIO()
    np.save(out, IMAGES)
    return out.getvalue()


def _record(folder):
    store = Store(folder / "made")
    written = store.write(
        {
            "cell": CELL,
            "status": "done",
            "error": None,
            "kind": "clustering",
            "estimator": "fakepkg.cluster:Cluster",
            "inputs": {},
            "outputs": {"labels": "0" * 32},
            "variant": None,
            "metrics": {"purity": 81.5},
            "values": {"negative": -1.5},
            "phases": {"fit": 0.5},
            "seconds": 0.5,
            "timeout_s": 60.0,
            "provenance": {
                "versions": {"python": "3.11.7"},
                "device": "cpu",
                "threads": 1,
                "modules": {"nowhere": "0"},
                "commit": None,
                "dirty": None,
                "started": "2026-11-22T12:00:00+00:00",
            },
        },
        {"labels": LABELS},
    )
    return (store.folder(CELL) / f"{written['key']}-1.json").read_bytes()


def _shelve(path):
    """Read one record's file by every way that there is; it is reported or whole."""
    from benchmarks.records.store import cell_key

    store = Store(path.parent)
    folder = store.folder(CELL)
    folder.mkdir(parents=True, exist_ok=True)
    path.replace(folder / f"{cell_key(CELL)}-1.json")
    found = [*store.all(), *store.attempts(CELL), *store.of_dataset("blobs")]
    if bool(found) == bool(store.problems):
        raise AssertionError(f"{len(found)} records and problems {store.problems}")
    for record in found:
        store.intact(record)


def _stored_arrays(path):
    """The arrays beside a good record: whole, or known to be damaged."""
    store = Store(path.parent / "results")
    record = store.write({"cell": CELL, "status": "done"}, {"labels": LABELS})
    (store.folder(CELL) / record["arrays"]["file"]).write_bytes(path.read_bytes())
    if Store(store.results).intact(record):
        store.arrays(record)


def _toml(name):
    def parse(path):
        import os

        before = os.environ.get("MIXNET_REGISTRY")
        os.environ["MIXNET_REGISTRY"] = str(path.parent)
        (path.parent / "suites").mkdir(exist_ok=True)
        if name == "suites/small.toml":
            path.replace(path.parent / name)
        try:
            registry.methods(), registry.datasets(), registry.suites(), registry.paper()
        finally:
            if before is None:
                del os.environ["MIXNET_REGISTRY"]
            else:
                os.environ["MIXNET_REGISTRY"] = before

    return parse


def _own_toml(name):
    return lambda _: (Path(registry.__file__).parent / name).read_bytes()


METHODS = b"""
[kmeans]
label = "k-means"
kind = "clustering"
estimator = "fakepkg.cluster:Cluster"
spaces = ["raw", "code"]
timeout_s = 60
[kmeans.params.n_init]
value = 10
source = "ours"
why = "of a test"
[mixnet]
kind = "mixture"
estimator = "fakepkg.mix:Mix"
[mixnet.needs]
start = "kmeans/code"
[again]
like = "kmeans"
without = ["n_init"]
"""

ATTEMPTS = (
    b'date,suite,what,why\n2026-11-01,table1,"seen, once",because\n'
    b'2026-11-02,table1,again,"two\nlines"\n'
)


def _own_csv(_=None):
    """Named columns and classes in words."""
    rows = (
        ",".join(map(str, row)) + f',"kind {label}"'
        for label, row in zip(LABELS, IMAGES.reshape(12, 16), strict=True)
    )
    return ("\n".join([",".join(f"f{j}" for j in range(16)) + ",class", *rows]) + "\n").encode()


def _own(path):
    """A user's file into a dataset of theirs, and what was written read again."""
    os.environ["MIXNET_OWN"] = str(path.parent / "own")
    try:
        own.add("mine", path, replace=True)
        own.load("mine")
    finally:
        os.environ["MIXNET_OWN"] = ""


FILES = [
    Target("idx", lambda _: idx_bytes(IMAGES), formats.idx, (DatasetError,), forms=PACKINGS),
    Target("libsvm", _libsvm, lambda p: formats.libsvm(p, 16), (DatasetError,), forms=PACKINGS),
    Target("csv", _csv, formats.csv, (DatasetError,), forms=(*PACKINGS, pack_z)),
    Target("csv with names", _named_csv, _read_named_csv, (DatasetError,), forms=PACKINGS),
    Target("mat", _mat(False), formats.mat, (DatasetError,), forms=PACKINGS),
    Target("mat, compressed", _mat(True), formats.mat, (DatasetError,)),
    Target("csr_npz", _csr, formats.csr_npz, (DatasetError,), members=True),
    Target(
        "lyrl tokens",
        _tokens,
        lambda p: list(lyrl2004.documents(p)),
        (DatasetError,),
        forms=PACKINGS,
    ),
    Target("lyrl topics", _topics, lyrl2004.single_root, (DatasetError,), forms=PACKINGS),
    Target("dec tokens", _tokens, _dec("tokens"), (DatasetError,)),
    Target("dec topics", _topics, _dec("topics"), (DatasetError,)),
    Target("dataset idx", lambda _: idx_bytes(IMAGES), _dataset("idx"), (DatasetError,)),
    Target("dataset libsvm", _libsvm, _dataset("libsvm"), (DatasetError,)),
    Target("dataset csv", _csv, _dataset("csv"), (DatasetError,)),
    Target("dataset mat", _mat(False), _dataset("mat"), (DatasetError,)),
    Target("dataset csr_npz", _csr, _dataset("csr_npz"), (DatasetError,), members=True),
    Target(
        "raw file",
        lambda _: b"some text that is longer\n" * 20,
        rawfile.read,
        (DatasetError,),
        forms=(*PACKINGS, pack_z),
    ),
    Target("own csv", _own_csv, _own, (DatasetError,), "raw.csv", forms=PACKINGS, n=30),
    Target(
        "own npz",
        lambda _: _npz(X=IMAGES, y=LABELS),
        _own,
        (DatasetError,),
        "raw.npz",
        members=True,
        n=30,
    ),
    Target("own mat", _mat(False), _own, (DatasetError,), "raw.mat", n=30),
    Target("parsed cache", _parsed_cache, cache.load, members=True),
    Target("download", _csv, _download, (fetch._Refused,), forms=(*PACKINGS, pack_z)),
    Target("archive member", _zip, _archive_member, (fetch._Refused,), members=True),
    Target("array", _array, load_array),
    Target("record", _record, _shelve, fields=("",), n=30),
    Target("arrays of a record", lambda _: _npz(labels=LABELS), _stored_arrays, members=True, n=20),
    Target(
        "methods.toml",
        lambda _: METHODS,
        _toml("methods.toml"),
        (registry.RegistryError,),
        "methods.toml",
    ),
    Target(
        "datasets.toml",
        _own_toml("datasets.toml"),
        _toml("datasets.toml"),
        (registry.RegistryError,),
        "datasets.toml",
        n=6,
    ),
    Target(
        "suite",
        _own_toml("suites/table1.toml"),
        _toml("suites/small.toml"),
        (registry.RegistryError,),
        "small.toml",
    ),
    Target(
        "paper.toml",
        _own_toml("paper.toml"),
        _toml("paper.toml"),
        (registry.RegistryError,),
        "paper.toml",
        n=10,
    ),
    Target(
        "attempts.csv", lambda _: ATTEMPTS, lambda p: facts.attempts(p.parent), (), "attempts.csv"
    ),
]


def _checkpoint(_=None):
    import torch

    out = io.BytesIO()
    torch.save(
        {"signature": "s", "phases": {"a": {"w": torch.zeros(3, 4), "n": 3, "l": [1.5]}}}, out
    )
    return out.getvalue()


def _core_checkpoint(path):
    from mixnet_core.files.checkpoints import load_checkpoint

    found = load_checkpoint(path)
    assert found is None or isinstance(found, dict), type(found)


def _baseline_checkpoint(path):
    from baselines.generative.checkpoints import Checkpoint

    Checkpoint(path, "s").read("a")


def _saved(make):
    """Bytes of the file that a small fitted model saves."""
    kept = {}

    def good(folder):
        if make not in kept:
            model = make()
            model.save(folder / "saved")
            kept[make] = (folder / "saved").read_bytes()
        return kept[make]

    return good


def _points(d=4):
    return np.random.default_rng(1).random((40, d), dtype=np.float32)


def _mixture():
    from mixnet_core.mixture import MixtureOfNetworks

    return MixtureOfNetworks(
        n_components=2,
        structure="2-3-4",
        recipe="mixnet",
        t1=1,
        t2=1,
        batch_size=10,
        n_samples=20,
        n_final_samples=20,
        validation_size=0.2,
        random_state=0,
    ).fit(_points(), init_labels=np.arange(40) % 2)


def _vae():
    from baselines.generative.vae import VAE

    return VAE(latent_dim=2, hidden=(3,), updates=2, every=1, batch_size=5).fit(_points())


def _autoencoder():
    from mixnet_core.autoencoder import Autoencoder

    return Autoencoder(code_dim=2, hidden=(3,), epochs=1, min_updates=1).fit(_points())


def _loads(module, name):
    def parse(path):
        import importlib

        getattr(importlib.import_module(module), name).load(path)

    return parse


def _plain_model(_=None):
    header = {"kind": "of a test", "version": 1, "note": [1, 2.5, None]}
    return _npz(header=np.frombuffer(json.dumps(header).encode(), np.uint8), weights=IMAGES)


def _load_plain(path):
    from mixnet_core.files.storage import load_model

    load_model(path, "of a test", 1)


MODELS = [
    Target("storage", _plain_model, _load_plain, (ValueError,), fields=("header",)),
    Target("checkpoint of the library", _checkpoint, _core_checkpoint, members=True, n=30),
    Target("checkpoint of a baseline", _checkpoint, _baseline_checkpoint, members=True, n=30),
    Target(
        "mixture",
        _saved(_mixture),
        _loads("mixnet_core.mixture", "MixtureOfNetworks"),
        (ValueError,),
        fields=("header",),
        n=20,
    ),
    Target(
        "autoencoder",
        _saved(_autoencoder),
        _loads("mixnet_core.autoencoder", "Autoencoder"),
        (ValueError,),
        n=20,
    ),
    Target(
        "vae",
        _saved(_vae),
        _loads("baselines.generative.vae", "VAE"),
        (ValueError,),
        fields=("head",),
        n=20,
    ),
]

TARGETS = {target.name: target for target in (*FILES, *MODELS)}
