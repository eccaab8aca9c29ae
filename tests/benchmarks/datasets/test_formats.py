"""Parsers on small files written here, and on damaged ones: one clear error, no traceback."""

import bz2
import gzip
import os
import shutil
import struct
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat
from scipy.sparse import csr_matrix

from benchmarks.datasets import DatasetError, formats, lyrl2004, mat5, rawfile

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (5, 3, 4), dtype=np.uint8)
IDX = struct.pack(">BBBBIII", 0, 0, 8, 3, 5, 3, 4) + IMAGES.tobytes()
LIBSVM = b"1 1:-1 3:0.5\n10 2:1\n"
CSV = b"-0.5, 1.0000, 0, 1.\n0.25, 0, -1, 26.\n"


def write(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, bytes], ids=["gz", "bz2", "plain"])
def test_idx_whatever_its_compression(tmp_path, pack):
    assert np.array_equal(formats.idx(write(tmp_path / "a.gz", pack(IDX))), IMAGES)


def test_libsvm(tmp_path):
    X, y = formats.libsvm(write(tmp_path / "a.bz2", bz2.compress(LIBSVM)), 3)
    assert np.array_equal(X, [[-1, 0, 0.5], [0, 1, 0]]) and np.array_equal(y, [1, 10])


def test_csv(tmp_path):
    X, y = formats.csv(write(tmp_path / "a.gz", gzip.compress(CSV)))
    assert np.array_equal(X, [[-0.5, 1, 0], [0.25, 0, -1]]) and np.array_equal(y, [1, 26])


@pytest.mark.parametrize(
    "text, how, y",
    [
        (b"0\t16\t3\n1\t2\t4\n", {"delimiter": ""}, [3, 4]),
        (b"3 0 16 \n4 1 2 \n", {"delimiter": "", "label_first": True}, [3, 4]),
        (
            b'"","d1","d2","class"\n"1",0,16,"T"\n"2",1,2,"I"\n',
            {"skip_rows": 1, "skip_columns": 1, "classes": ["I", "T"]},
            [1, 0],
        ),
        (b"T,0,16\nI,1,2\n", {"label_first": True, "classes": ["I", "T"]}, [1, 0]),
    ],
    ids=["tabs", "label first", "a table with names", "names first"],
)
def test_text_in_the_forms_that_publishers_chose(tmp_path, text, how, y):
    X, found = formats.csv(write(tmp_path / "a", text), **how)
    assert np.array_equal(X, [[0, 16], [1, 2]]) and np.array_equal(found, y)


def test_a_class_that_is_not_among_the_names(tmp_path):
    path = write(tmp_path / "letters", b"T,0,16\nJ,1,2\n")
    with pytest.raises(DatasetError, match="letters"):
        formats.csv(path, label_first=True, classes=["I", "T"])


def test_mat_whose_variables_have_other_names(tmp_path):
    savemat(tmp_path / "a.mat", {"X": IMAGES.reshape(5, 12), "Y": np.arange(5)[:, None] + 1})
    X, y = formats.mat(tmp_path / "a.mat", "X", "Y")
    assert np.array_equal(X, IMAGES.reshape(5, 12)) and np.array_equal(y, [1, 2, 3, 4, 5])
    with pytest.raises(DatasetError, match="no numeric matrix 'fea'"):
        formats.mat(tmp_path / "a.mat")


def test_mat(tmp_path):
    savemat(tmp_path / "a.mat", {"fea": IMAGES.reshape(5, 12), "gnd": np.arange(5)[:, None] + 1})
    X, y = formats.mat(tmp_path / "a.mat")
    assert X.dtype == np.uint8 and np.array_equal(X, IMAGES.reshape(5, 12))
    assert np.array_equal(y, [1, 2, 3, 4, 5])


def sparse_parts():
    X = csr_matrix(np.array([[0, 0.5, 0], [1, 0, 0.25]], dtype=np.float32))
    return dict(
        data=X.data,
        indices=X.indices,
        indptr=X.indptr,
        shape=np.array(X.shape),
        labels=np.array([0, 1], np.uint8),
    )


def test_csr_npz(tmp_path):
    np.savez(tmp_path / "a.npz", **sparse_parts())
    X, y = formats.csr_npz(tmp_path / "a.npz")
    assert np.array_equal(X, [[0, 0.5, 0], [1, 0, 0.25]]) and np.array_equal(y, [0, 1])


def test_pickles_are_never_read(tmp_path):
    parts = sparse_parts() | {"labels": np.array([{}, {}], dtype=object)}
    np.savez(tmp_path / "a.npz", **parts)
    with pytest.raises(DatasetError, match="a.npz"):
        formats.csr_npz(tmp_path / "a.npz")


@pytest.mark.parametrize(
    "change",
    [
        {"indices": np.array([1, 0, 7])},
        {"indptr": np.array([0, 1])},
        {"labels": np.zeros(3)},
        {"shape": np.array([2])},
        {"labels": None},
        {"indptr": np.array([0, 1 << 28, 0])},
    ],
    ids=["column", "indptr", "labels", "shape", "absent", "ends at none"],
)
def test_inconsistent_csr(tmp_path, change):
    parts = {k: v for k, v in (sparse_parts() | change).items() if v is not None}
    np.savez(tmp_path / "a.npz", **parts)
    with pytest.raises(DatasetError, match="a.npz"):
        formats.csr_npz(tmp_path / "a.npz")


def _mat_bytes(tmp_path, **arrays):
    savemat(tmp_path / "x.mat", arrays)
    return (tmp_path / "x.mat").read_bytes()


PARSERS = {
    "idx": (formats.idx, lambda t: IDX),
    "libsvm": (lambda p: formats.libsvm(p, 3), lambda t: LIBSVM),
    "csv": (formats.csv, lambda t: CSV),
    "mat": (formats.mat, lambda t: _mat_bytes(t, fea=np.ones((4, 3)), gnd=np.ones((4, 1)))),
}


@pytest.mark.parametrize("kind", PARSERS)
@pytest.mark.parametrize(
    "damage",
    [
        lambda b: b"",
        lambda b: b"<html>not found</html>",
        lambda b: b"\x00" * 40,
        lambda b: gzip.compress(b)[:-3],
        lambda b: bz2.compress(b)[:-3],
        lambda b: b"\x1f\x9d\x90" + b"\xff" * 30,
        lambda b: b"\x1f\x8b" + b,
        lambda b: b[: len(b) * 2 // 3].rstrip(b"\n. ,"),
    ],
    ids=["empty", "page", "zeros", "short gz", "short bz2", "bad Z", "false gz", "cut"],
)
def test_damaged_files_give_one_clear_error(tmp_path, kind, damage):
    parse, good = PARSERS[kind]
    path = write(tmp_path / "raw", damage(good(tmp_path)))
    if kind == "libsvm" and path.read_bytes() in LIBSVM:
        return  # a cut line may be a valid shorter one: the number of rows is asserted on load
    with pytest.raises(DatasetError, match="raw"):
        parse(path)


@pytest.mark.parametrize("kind", PARSERS)
def test_missing_file(tmp_path, kind):
    with pytest.raises(DatasetError, match="cannot be read"):
        PARSERS[kind][0](tmp_path / "absent")


def test_mat_without_its_variables(tmp_path):
    write(tmp_path / "a.mat", _mat_bytes(tmp_path, fea=np.ones((4, 3))))
    with pytest.raises(DatasetError, match="gnd"):
        formats.mat(tmp_path / "a.mat")
    write(tmp_path / "a.mat", _mat_bytes(tmp_path, fea=np.ones((4, 3)), gnd=np.ones((3, 1))))
    with pytest.raises(DatasetError, match="4 rows"):
        formats.mat(tmp_path / "a.mat")


# --- the .Z format, by an encoder written from its description -----------------------------------


def compress_z(data, widest=12):
    table = {bytes([i]): i for i in range(256)}
    out = bytearray([0x1F, 0x9D, 0x80 | widest])
    following, width, bits, filled = 257, 9, 0, 0
    in_group = 0

    def put(code):
        nonlocal bits, filled, in_group
        bits |= code << filled
        filled += width
        in_group = (in_group + 1) % 8
        while filled >= 8:
            out.append(bits & 255)
            bits >>= 8
            filled -= 8

    word = b""
    for i in range(len(data)):
        longer = word + data[i : i + 1]
        if longer in table:
            word = longer
            continue
        put(table[word])
        if following < 1 << widest:
            table[longer] = following
            following += 1
            if following > 1 << width and width < widest:
                while in_group:  # pad to a whole group of eight codes
                    put(0)
                width += 1
        word = data[i : i + 1]
    if word:
        put(table[word])
    if filled:
        out.append(bits & 255)
    return bytes(out)


@pytest.mark.parametrize("widest", [10, 12, 16])
@pytest.mark.parametrize(
    "text",
    [
        b"a",
        b"abababababab" * 90,
        b"aaaaaaaaaaaaaa",
        bytes(RNG.integers(0, 20, 30000, dtype=np.uint8)),
    ],
)
def test_unlzw(tmp_path, text, widest):
    packed = compress_z(text, widest)
    if shutil.which("gzip"):  # an independent decoder agrees that the encoder above is right
        assert subprocess.run(["gzip", "-dc"], input=packed, capture_output=True).stdout == text
    assert rawfile.unlzw(packed) == text
    assert rawfile.read(write(tmp_path / "a", packed)) == text


def test_find_under_any_suffix(tmp_path):
    for present, asked in (
        ("usps", "usps.bz2"),
        ("isolet5.data.Z", "isolet5.data"),
        ("t.gz", "t.gz"),
    ):
        write(tmp_path / present, b"x")
        assert rawfile.find(tmp_path, asked) == tmp_path / present
    assert rawfile.find(tmp_path, "usps.t.bz2") is None


# --- LYRL2004 -----------------------------------------------------------------------------------

STEMS = [f"stem{c}" for c in "abcdefghijkl"]


def corpus(folder, n=60, seed=3):
    """Token files and topic assignments; returns the single-root documents in file order."""
    rng = np.random.default_rng(seed)
    kept, qrels, parts = [], [], [[] for _ in range(3)]
    for i in range(n):
        words = list(rng.choice(STEMS, rng.integers(3, 30)))
        roots = list(rng.choice(lyrl2004.ROOTS, rng.choice([0, 1, 1, 1, 2]), replace=False))
        qrels += [f"{topic} {100 + i} 1" for topic in [*roots, "C15"]]
        lines = " ".join(words[:5]), " ".join(words[5:])
        parts[i * 3 // n].append(f".I {100 + i}\n.W\n{lines[0]}\n{lines[1]}\n")
        if len(roots) == 1:
            kept.append((words, lyrl2004.ROOTS.index(roots[0])))
    paths = [
        write(folder / f"tokens{k}.dat.gz", gzip.compress("\n".join(part).encode()))
        for k, part in enumerate(parts)
    ]
    topics = write(folder / "topics.qrels", ("\n".join(qrels) + "\n").encode())
    return paths, topics, kept


def slow_tfidf(kept, n_features):
    """Sublinear tf, smoothed idf and L2 norm written out, over the most frequent stems."""
    total = Counter(w for words, _ in kept for w in words)
    vocabulary = sorted(sorted(total, key=lambda w: -total[w])[:n_features])
    idf = {
        w: np.log((1 + len(kept)) / (1 + sum(w in words for words, _ in kept))) + 1
        for w in vocabulary
    }
    rows = []
    for words, _ in kept:
        count = Counter(words)
        row = np.array([(1 + np.log(count[w])) * idf[w] if count[w] else 0 for w in vocabulary])
        rows.append(row / (np.linalg.norm(row) or 1))
    return np.array(rows)


def test_dec_recipe(tmp_path):
    paths, topics, kept = corpus(tmp_path)
    X, y = lyrl2004.dec_subset(paths, topics, n=20, n_features=8, n_kept=len(kept))
    np.random.seed(1234)  # the recipe's own words: seed 1234, permute all, take the first
    order = np.random.permutation(len(kept))[:20]
    assert np.allclose(X, slow_tfidf(kept, 8)[order], atol=1e-6) and X.dtype == np.float32
    assert np.array_equal(y, np.array([label for _, label in kept])[order])


def test_dec_needs_whole_files(tmp_path):
    paths, topics, _ = corpus(tmp_path)
    with pytest.raises(DatasetError, match="truncated"):
        lyrl2004.dec_subset(paths[:2], topics, n=20, n_features=8)
    with pytest.raises(DatasetError, match="expected 685071"):
        lyrl2004.dec_subset(paths, topics, n=20, n_features=8, n_kept=685071)
    with pytest.raises(DatasetError, match="need 1000"):
        lyrl2004.dec_subset(paths, topics, n=1000, n_features=8)
    with pytest.raises(DatasetError, match="occurs twice"):
        lyrl2004.dec_subset([*paths, paths[0]], topics, n=20, n_features=8)


@pytest.mark.parametrize(
    "text",
    [
        "words first\n.I 1\n.W\na b\n",
        ".I one\n.W\na\n",
        ".I 1\n.W\n",
        ".I 1\n.W\na\n\n.I 2\n",
        ".W\na\n",
        "",
        "caf\xe9",
    ],
)
def test_malformed_tokens(tmp_path, text):
    path = write(tmp_path / "tokens", text.encode("latin-1"))
    with pytest.raises(DatasetError, match="tokens"):
        list(lyrl2004.documents(path))


def test_malformed_topics(tmp_path):
    with pytest.raises(DatasetError, match="line 2"):
        lyrl2004.single_root(write(tmp_path / "q", b"CCAT 1 1\nCCAT\n"))


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
def test_mat_as_scipy_reads_it(tmp_path, compressed, dtype):
    arrays = {
        "fea": np.arange(12).reshape(4, 3).astype(dtype),
        "gnd": np.ones((4, 1)),
        "words": "other",
        "cell": np.array([[1, "a"]], dtype=object),
        "z": np.ones(2) * 1j,
    }
    savemat(tmp_path / "a.mat", arrays, do_compression=compressed)
    found = mat5.matrices((tmp_path / "a.mat").read_bytes(), ("fea", "gnd", "words", "cell", "z"))
    wanted = loadmat(tmp_path / "a.mat")
    assert set(found) == {"fea", "gnd"}
    for name, array in found.items():
        assert array.dtype == wanted[name].dtype and np.array_equal(array, wanted[name])


@pytest.mark.data
@pytest.mark.parametrize("name", ["COIL20.mat", "YaleB_32x32.mat"])
def test_published_mat_as_scipy_reads_it(name):
    data_folder = Path(
        os.environ.get("MIXNET_DATA") or Path(__file__).resolve().parents[4] / "shared/data"
    )
    if not (data_folder / name).is_file():
        pytest.skip(f"needs {name} in the folder of raw files, MIXNET_DATA")
    found = mat5.matrices((data_folder / name).read_bytes(), ("fea", "gnd"))
    for key, array in found.items():
        wanted = loadmat(data_folder / name)[key]
        assert array.dtype == wanted.dtype and np.array_equal(array, wanted)
    assert set(found) == {"fea", "gnd"}


def test_mat_dimensions_that_overflow(tmp_path):
    """This file ends the process in scipy 1.17.1: 2**31 - 1 columns for 96 bytes."""
    data = bytearray(_mat_bytes(tmp_path, fea=np.ones((4, 3)), gnd=np.ones((4, 1))))
    at = data.index(struct.pack("<ii", 4, 3))
    for shape in ((2**31 - 1, 2**31 - 1), (-1, -12), (0, 0), (2**30, 4)):
        data[at : at + 8] = struct.pack("<ii", *shape)
        with pytest.raises(DatasetError, match="fea"):
            formats.mat(write(tmp_path / "a.mat", bytes(data)))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress], ids=["gz", "bz2"])
def test_a_bomb_is_refused(tmp_path, monkeypatch, pack):
    monkeypatch.setattr(rawfile, "LIMIT", 1000)
    assert rawfile.read(write(tmp_path / "a", pack(bytes(1000)))) == bytes(1000)
    with pytest.raises(DatasetError, match="more than 1000 bytes"):
        rawfile.read(write(tmp_path / "a", pack(bytes(1001))))


def test_a_bomb_of_lzw_is_refused(tmp_path, monkeypatch):
    """Code n stands for n times the first byte: the table alone grows with the square."""
    codes = [65, *range(257, 510)]
    bits = sum(code << 9 * i for i, code in enumerate(codes))
    bomb = b"\x1f\x9d\x90" + bits.to_bytes(9 * len(codes) // 8 + 1, "little")
    path = write(tmp_path / "a", bomb)
    assert set(rawfile.read(path)) == {65} and len(rawfile.read(path)) > 30_000
    for name in ("LIMIT", "TABLE_LIMIT"):
        with monkeypatch.context() as changed:
            changed.setattr(rawfile, name, 10_000)
            with pytest.raises(DatasetError, match="grows without end"):
                rawfile.read(path)


def test_sparse_rows_that_would_fill_the_memory(tmp_path):
    parts = sparse_parts() | {"shape": np.array([2, 2**40])}
    np.savez(tmp_path / "a.npz", **parts)
    with pytest.raises(DatasetError, match="needs at most"):
        formats.csr_npz(tmp_path / "a.npz")
