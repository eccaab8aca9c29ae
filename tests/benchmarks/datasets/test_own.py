"""A file of one's own becomes a dataset in one step, and what is not clear is asked for."""

import csv
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris, load_wine

from benchmarks import registry
from benchmarks.cli.main import main
from benchmarks.datasets import DatasetError, DatasetMissing, content_hash, own
from benchmarks.records.store import Store

IRIS, WINE = load_iris(), load_wine()
SPECIES = IRIS.target_names[IRIS.target]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("MIXNET_OWN", str(tmp_path / "own"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(path, head, *columns):
    with open(path, "w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerows(([head] if head else []) + list(zip(*columns, strict=True)))
    return str(path)


def iris_csv(
    path="iris.csv", head=("a", "b", "c", "d", "species"), columns=IRIS.data.T, labels=SPECIES
):
    return table(path, head, *columns, labels)


def assert_is_iris(name, X=IRIS.data):
    found = own.load(name)
    assert np.array_equal(found.X, X.astype(np.float32)) and np.array_equal(found.y, IRIS.target)
    stanza = registry.datasets()[name]
    assert (stanza["n"], stanza["d"], stanza["n_classes"], stanza["n_clusters"]) == (150, 4, 3, 3)
    assert stanza["content_hash"] == content_hash(found.X, found.y) == found.content_hash
    return stanza


def files():
    np.savez("iris.npz", X=IRIS.data, y=IRIS.target)
    np.savez("odd.npz", points=IRIS.data, classes_of=IRIS.target, weights=np.ones(7))
    np.save("iris.npy", IRIS.data)
    np.save("y.npy", IRIS.target)
    scipy.io.savemat("iris.mat", {"measurements": IRIS.data, "kind": IRIS.target[:, None]})
    iris_csv()
    iris_csv("bare.csv", None)
    table("semicolon.csv", ("species", "a", "b", "c", "d"), SPECIES, *IRIS.data.T)
    with open("semicolon.csv", encoding="utf-8") as handle:
        text = handle.read().replace(",", ";")
    with open("semicolon.csv", "w", encoding="utf-8") as handle:
        handle.write(text)
    table("numbered.csv", ("", "a", "b", "c", "d", "species"), range(150), *IRIS.data.T, SPECIES)
    np.savetxt("spaces.txt", np.column_stack([IRIS.target, IRIS.data]))
    np.savetxt("labels.txt", IRIS.target, fmt="%d")


@pytest.mark.parametrize(
    "file, options",
    [
        ("iris.csv", []),
        ("bare.csv", []),
        ("bare.csv", ["--labels", "-1"]),
        ("semicolon.csv", []),
        ("numbered.csv", ["--drop", "0"]),
        ("spaces.txt", ["--labels", "0"]),
        ("iris.npz", []),
        ("odd.npz", []),
        ("odd.npz", ["--labels", "y.npy"]),
        ("iris.mat", []),
        ("iris.mat", ["--features", "measurements", "--labels", "kind"]),
        ("iris.npy", ["--labels", "y.npy"]),
        ("iris.npy", ["--labels", "labels.txt"]),
        ("iris.npy", ["--labels", "iris.npz"]),
    ],
)
def test_every_form_of_a_file_gives_the_same_points(file, options, capsys):
    files()
    assert main(["data", "add", "flowers", file, *options]) == 0, capsys.readouterr().err
    assert_is_iris("flowers")
    said = capsys.readouterr().out
    assert "scaling: none was done" in said and "mixnet run table1 --datasets flowers" in said


def test_parquet_is_read_where_pandas_can(capsys, monkeypatch):
    import pandas

    frame = pandas.DataFrame(IRIS.data, columns=list("abcd")).assign(species=SPECIES)
    monkeypatch.setattr(pandas, "read_parquet", lambda path: frame)
    open("iris.parquet", "wb").close()
    assert main(["data", "add", "flowers", "iris.parquet"]) == 0
    assert_is_iris("flowers")

    def absent(path):
        raise ImportError("no pyarrow")

    monkeypatch.setattr(pandas, "read_parquet", absent)
    assert main(["data", "add", "other", "iris.parquet"]) == 2
    assert "pip install pyarrow" in capsys.readouterr().err


def test_nothing_is_scaled_unless_asked_and_what_was_done_is_said(capsys):
    file = table("wine.csv", (*WINE.feature_names, "target"), *WINE.data.T, WINE.target)
    assert main(["data", "add", "raw-wine", file]) == 0
    said = capsys.readouterr().out
    assert "scaling: none was done" in said and "'proline' has 99.8% of the variance" in said
    assert np.array_equal(own.load("raw-wine").X, WINE.data.astype(np.float32))
    assert main(["data", "add", "scaled-wine", file, "--scaling", "min-max"]) == 0
    said = capsys.readouterr().out
    assert "scaling: min-max, now from 0 to 1" in said and "variance" not in said
    low, high = WINE.data.min(0), WINE.data.max(0)
    assert np.allclose(own.load("scaled-wine").X, (WINE.data - low) / (high - low), atol=1e-6)
    assert registry.datasets()["scaled-wine"]["scaling"] == "min-max"


def test_what_the_documentation_shows_is_what_is_said(capsys, monkeypatch):
    """docs/tour.md, from the file to the command: its code, its commands, what it prints."""
    page = (Path(own.__file__).parents[2] / "docs" / "tour.md").read_text(encoding="utf-8")
    (code,) = [
        block
        for block in re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
        if "to_csv" in block
    ]
    exec(code, {})
    first, second = re.findall(r"^mixnet (data add wines .*)$", page, re.M)
    (shown,) = re.findall(r"^```text\n(wines: .*?)^```", page, re.M | re.S)
    assert main(first.split()) == 0 and capsys.readouterr().out.startswith(shown)
    assert main(second.split()) == 0
    X, y = own.load("wines").X, own.load("wines").y
    purity = [
        np.mean([np.bincount(y[labels == k]).max() for k in range(3)]) * 3 / len(y)
        for labels in (
            KMeans(3, n_init=10, random_state=0).fit_predict(data) for data in (WINE.data, X)
        )
    ]
    assert "from a purity of about 70% to about 95%" in page
    assert purity == pytest.approx([0.70, 0.95], abs=0.015)


def test_images_in_bytes_are_told_of_their_range(capsys):
    images = np.random.default_rng(0).integers(0, 256, (40, 3, 5), dtype=np.uint8)
    np.savez("images.npz", images=images, label=np.arange(40) % 4)
    assert main(["data", "add", "pictures", "images.npz"]) == 0
    assert "'0..255 to 0..1'" in capsys.readouterr().out
    assert (
        main(["data", "add", "pictures", "images.npz", "--scaling", "0..255 to 0..1", "--replace"])
        == 0
    )
    found = own.load("pictures")
    assert np.allclose(found.X, images.reshape(40, 15) / 255, atol=1e-7)
    assert found.image == {"height": 3, "width": 5, "order": "C"}


def test_the_table_is_run_on_it(place, monkeypatch, capsys):
    """The whole way: a csv, one command, the table, with the purity of scikit-learn's k-means."""
    monkeypatch.setenv("MIXNET_RESULTS", str(place / "results"))
    monkeypatch.setenv("MIXNET_ARTIFACTS", str(place / "artifacts"))
    assert main(["data", "add", "flowers", iris_csv(), "--title", "Fisher's irises"]) == 0
    assert main(["data", "flowers"]) == 0
    assert (
        main(
            [
                "run",
                "table1",
                "--datasets",
                "flowers",
                "--methods",
                "kmeans10,ncut",
                "--seeds",
                "0",
                "--jobs",
                "1",
            ]
        )
        == 0
    )
    assert "flowers" in capsys.readouterr().out
    (record,) = [r for r in Store().all() if r["cell"]["method"] == "kmeans10"]
    labels = KMeans(3, n_init=10, random_state=1).fit_predict(IRIS.data.astype(np.float32))
    purity = sum(np.bincount(IRIS.target[labels == k]).max() for k in range(3)) / 1.5
    assert record["metrics"]["purity"] == pytest.approx(purity)
    with (place / "results" / "partial" / "table1.csv").open(encoding="utf-8") as lines:
        assert {row["method"] for row in csv.DictReader(lines)} == {"kmeans10", "ncut"}
    assert "Fisher's irises" in (place / "results" / "partial" / "table1.md").read_text()


def test_more_features_get_codes_and_everything_of_the_stanza_can_be_left_out():
    rng = np.random.default_rng(0)
    np.savez("wide.npz", X=rng.normal(size=(30, 50)), y=np.arange(30) % 3)
    assert main(["data", "add", "wide", "wide.npz"]) == 0
    path = own.folder() / "wide.toml"
    whole, text = registry.datasets()["wide"], path.read_text()
    assert (whole["embedding"], whole["code_dim"]) == ("autoencoder", 32)
    assert whole["structure"].endswith("-32") and not registry.datasets().keys() - whole.keys() <= {
        "wide"
    }
    computed = (
        "n_clusters",
        "embedding",
        "code_dim",
        "structure",
        "validation_size",
        "min_updates",
        "t1",
        "t2",
        "batch_size",
        "title",
    )
    path.write_text(
        "".join(
            line + "\n" for line in text.splitlines() if line.partition(" =")[0] not in computed
        )
    )
    short = registry.datasets()["wide"]
    assert {key: short[key] for key in computed} == {key: whole[key] for key in computed}
    for method in ("kmeans", "autoencoder", "mixnet", "mixnet+", "start"):
        registry.resolve_params(method, "wide")


@pytest.mark.parametrize("key", ["n", "d", "n_classes", "content_hash"])
def test_what_is_missing_of_an_own_stanza_is_named_with_its_file(key, capsys):
    assert main(["data", "add", "flowers", iris_csv()]) == 0
    path = own.folder() / "flowers.toml"
    path.write_text(
        "".join(
            line + "\n" for line in path.read_text().splitlines() if line.partition(" =")[0] != key
        )
    )
    assert main(["list", "datasets"]) == 2
    said = capsys.readouterr().err
    assert f"{path} [flowers]: {key} is missing" in said


@pytest.mark.parametrize(
    "name, file, options, words",
    [
        ("wine", "iris.csv", [], ["NAME is 'wine'", "a dataset of the benchmark"]),
        ("Two Words", "iris.csv", [], ["NAME is 'Two Words'", "small letters"]),
        ("../up", "iris.csv", [], ["NAME is '../up'"]),
        ("f", "nowhere.csv", [], ["FILE is nowhere.csv", "no file", ".npz"]),
        ("f", "iris.xlsx", [], ["FILE is iris.xlsx", ".parquet"]),
        ("f", "iris.npy", [], ["--labels"]),
        ("f", "iris.csv", ["--labels", "kind"], ["--labels is 'kind'", "a, b, c, d, species"]),
        ("f", "bare.csv", ["--labels", "7"], ["--labels is '7'", "0 to 4"]),
        ("f", "iris.csv", ["--labels", "a"], ["'species' holds text ('setosa'", "--drop"]),
        ("f", "iris.csv", ["--drop", "nothing"], ["--drop is 'nothing'"]),
        ("f", "iris.csv", ["--labels", "y.npy", "--drop", "species"], []),
        ("f", "iris.csv", ["--labels", "short.txt", "--drop", "species"], ["(10,)", "needs 150"]),
        ("f", "iris.csv", ["--features", "X"], ["--features is 'X'", "a table"]),
        ("f", "iris.npz", ["--features", "Z"], ["--features is 'Z'", "X (150, 4)"]),
        ("f", "iris.npz", ["--labels", "gnd"], ["--labels is 'gnd'", "X (150, 4)"]),
        ("f", "two.npz", [], ["needs --features", "left (150, 2)", "right (150, 2)"]),
        ("f", "pickled.npz", [], ["cannot be read", "pickled"]),
        ("f", "holes.csv", [], ["1 features are missing", "row 3", "'b'"]),
        ("f", "regression.csv", [], ["150 different values", "from 2 to 75"]),
        ("f", "fractions.csv", [], ["--labels has 0.5", "whole numbers"]),
        ("f", "counted.csv", [], ["--header yes"]),
        ("f", "counted.csv", ["--header", "yes", "--labels", "4"], []),
        ("f", "ragged.csv", [], ["row 3 has 2 columns, the first 3"]),
        ("f", "iris.csv", ["--scaling", "log"], ["--scaling is 'log'", "min-max"]),
        ("f", "iris.csv", ["--scaling", "0..1 to 0..1"], ["values from 0.1 to 7.9"]),
        ("f", "damaged.mat", [], ["damaged.mat", "MATLAB 5"]),
    ],
)
def test_what_is_wrong_is_said_with_the_argument_and_what_it_needs(
    name, file, options, words, capsys
):
    files()
    np.savez("two.npz", left=IRIS.data[:, :2], right=IRIS.data[:, 2:], y=IRIS.target)
    np.savez("pickled.npz", X=np.array([{}, 1], dtype=object))
    np.savetxt("short.txt", IRIS.target[:10])
    holes = IRIS.data.astype(object).copy()
    holes[3, 1] = "NA"
    iris_csv("holes.csv", columns=holes.T)
    iris_csv("regression.csv", ("a", "b", "c", "d", "y"), labels=np.arange(150) * 2)
    iris_csv("fractions.csv", ("a", "b", "c", "d", "y"), labels=IRIS.target + 0.5)
    iris_csv("counted.csv", range(5), labels=IRIS.target)
    open("iris.xlsx", "wb").close()
    with open("ragged.csv", "w") as handle:
        handle.write("a,b,y\n1,2,0\n3,4\n")
    with open("damaged.mat", "wb") as handle, open("iris.mat", "rb") as whole:
        handle.write(whole.read()[:300])
    got = main(["data", "add", name, file, *options])
    said = capsys.readouterr().err
    assert got == (2 if words else 0), said
    assert all(word in said for word in words), said
    assert not words or not (own.folder() / f"{name}.toml").exists()


def test_a_name_is_replaced_only_when_asked(capsys):
    files()
    assert main(["data", "add", "flowers", "iris.csv"]) == 0
    assert main(["data", "add", "flowers", "iris.npz"]) == 2
    assert "--replace" in capsys.readouterr().err
    assert main(["data", "add", "flowers", "iris.npz", "--scaling", "min-max", "--replace"]) == 0
    low, high = IRIS.data.min(0), IRIS.data.max(0)
    X = (IRIS.data - low) / (high - low)
    assert assert_is_iris("flowers", X)["classes"] == ["0", "1", "2"]


def test_a_column_that_counts_rows_is_pointed_out(capsys):
    files()
    assert main(["data", "add", "flowers", "numbered.csv"]) == 0
    assert "counts the rows" in capsys.readouterr().out


def test_texts_of_any_kind_come_back_out_of_the_stanza():
    title = 'of "my" \\ own,\ttab, ünï \x7f ✓ 🌸'
    own.add("flowers", iris_csv(labels=np.char.add(SPECIES, ' "\\')), title=title)
    stanza = tomllib.loads((own.folder() / "flowers.toml").read_text(encoding="utf-8"))["flowers"]
    assert stanza["title"] == title and stanza["classes"][0] == 'setosa "\\'


def test_arrays_that_are_gone_or_altered_are_told_and_stop_no_other_dataset(capsys):
    own.add("flowers", iris_csv())
    path = own.folder() / "flowers.npz"
    np.savez(path, X=IRIS.data.astype(np.float32) + 1, y=IRIS.target)
    with pytest.raises(DatasetError, match="content"):
        own.load("flowers")
    path.write_bytes(b"PK")
    assert main(["data", "flowers"]) == 1
    assert "altered" in capsys.readouterr().out
    path.unlink()
    with pytest.raises(DatasetMissing, match="mixnet data add flowers FILE --replace"):
        own.load("flowers")
    assert main(["data", "flowers", "--fetch"]) == 1
    assert "missing" in capsys.readouterr().out and main(["data", "two-moon"]) == 0


def test_two_files_with_one_name_are_refused(capsys):
    own.add("flowers", iris_csv())
    (own.folder() / "more.toml").write_text((own.folder() / "flowers.toml").read_text())
    assert main(["list", "datasets"]) == 2
    assert "['flowers'] stand in another file" in capsys.readouterr().err


def test_without_a_folder_of_ones_own_there_is_none(monkeypatch, capsys):
    own.add("flowers", iris_csv())
    monkeypatch.setenv("MIXNET_OWN", "")
    assert "flowers" not in registry.datasets()
    assert main(["data", "add", "more", "iris.csv"]) == 2
    assert "MIXNET_OWN is empty" in capsys.readouterr().err
