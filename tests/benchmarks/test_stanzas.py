"""A stanza of a dataset is whole and right, or refused by one error that names its key."""

import pytest

from benchmarks import registry
from benchmarks.cli.main import main
from benchmarks.registry import RegistryError
from benchmarks.stanzas import dataset_stanza, merge, scaling_range

GOOD = {
    "name": "mine",
    "title": "Mine",
    "n": 4,
    "d": 6,
    "n_classes": 2,
    "n_clusters": 3,
    "content_hash": "",
    "format": "csv",
    "scaling": "none",
    "variants": ["v"],
    "files": [{"name": "mine.csv"}],
}


def without(*keys):
    return {key: value for key, value in GOOD.items() if key not in keys}


def test_a_good_stanza_is_taken_as_it_is():
    found = dataset_stanza("mine", GOOD)
    assert {key: found[key] for key in GOOD} == GOOD and found["embedding"] == "none"


def test_what_can_be_computed_has_a_default():
    found = dataset_stanza("mine", without("name", "title", "variants"))
    assert (found["name"], found["title"], found["variants"]) == ("mine", "mine", ["only"])
    variant = {"b": {"scaling": "min-max"}, "a": {}}
    found = dataset_stanza("mine", {**without("variants"), "variant": variant})
    assert found["variants"] == ["b", "a"] and merge(found, "b")["scaling"] == "min-max"
    assert merge(found, "a")["scaling"] == "none" and merge(found, "a")["chosen"] == "a"


@pytest.mark.parametrize(
    "key", ["n", "d", "n_classes", "n_clusters", "content_hash", "format", "scaling", "files"]
)
def test_what_is_missing_is_named(key):
    with pytest.raises(RegistryError, match=rf"datasets\.toml \[mine\]: {key} "):
        dataset_stanza("mine", without(key))


@pytest.mark.parametrize(
    "change, words",
    [
        ({"name": "other"}, "name is 'other', needs 'mine'"),
        ({"scaling": "x / 255"}, "scaling is 'x / 255', needs a published range"),
        ({"scaling": "1..0 to 0..1"}, "scaling is"),
        ({"scaling": 255}, "scaling is 255"),
        ({"sclaing": "none"}, "no key 'sclaing'; did you mean 'scaling'"),
        ({"n": "4"}, "n is '4'"),
        ({"n": 0}, "n is 0"),
        ({"n": True}, "n is True"),
        ({"t1": 2.5}, "t1 is 2.5"),
        ({"variants": []}, "variants is empty"),
        ({"variants": "v"}, "variants is 'v', needs a list"),
        ({"variant": {"w": {}}}, r"variants lacks \['w'\]"),
        ({"variant": {"v": 3}}, r"variant\.v is 3"),
        ({"variant": {"v": {"d": -1}}}, r"variant\.v: d is -1"),
        ({"embedding": "umap"}, "embedding is 'umap'"),
        ({"format": "hdf5"}, "format is 'hdf5'"),
        ({"format": "idx"}, "files has 1 stanzas, the format 'idx' needs 2"),
        ({"format": "toy"}, "files of the format 'toy', which has none"),
        ({"format": "made", "files": []}, "made is missing"),
        ({"files": []}, "files has 0"),
        ({"files": [{}]}, "needs a name"),
        ({"files": [{"name": "../x"}]}, "inside the folder"),
        ({"files": [{"name": "/x"}]}, "inside the folder"),
        ({"files": [{"name": "x", "rows": "2"}]}, "rows is '2', needs a int"),
        ({"files": [{"name": "x", "sha": "0"}]}, "sha is '0', needs one of"),
        ({"files": [{"name": "x", "urls": [1]}]}, "urls is"),
        ({"image": {"height": 2, "width": 2, "order": "C"}}, "image is"),
        ({"image_transposed": True}, "image is missing"),
        ({"row_order": "random"}, "row_order is"),
        ({"validation_size": 1.5}, "validation_size is 1.5"),
        ({"label_first": 1}, "label_first is 1"),
        ({"decimals": -1}, "decimals is -1"),
        ({"classes": [1]}, "classes is"),
        ({"content_hash": 5}, "content_hash is 5"),
    ],
)
def test_what_is_wrong_is_named(change, words):
    with pytest.raises(RegistryError, match=words):
        dataset_stanza("mine", {**GOOD, **change})


def test_a_loader_of_ones_own_needs_neither_format_nor_files():
    dataset_stanza("mine", {**without("format", "scaling", "files"), "loader": "mine:load"})


@pytest.mark.parametrize("key", ["variants", "content_hash", "n_clusters", "name", "scaling"])
@pytest.mark.parametrize(
    "words",
    [
        ("list", "datasets"),
        ("data", "mine"),
        ("status", "s"),
        ("run", "s", "--dry-run"),
        ("table", "s"),
    ],
)
def test_no_command_takes_an_incomplete_stanza_or_shows_a_traceback(
    key, words, tmp_path, monkeypatch, capsys
):
    """Either the key has a default, or the command ends with status 2 and names it."""
    lines = {
        "n": "4",
        "d": "2",
        "n_classes": "2",
        "n_clusters": "2",
        "content_hash": '"ab"',
        "name": '"mine"',
        "variants": '["v"]',
        "format": '"csv"',
        "scaling": '"none"',
        "files": '[{ name = "mine.csv" }]',
    }
    del lines[key]
    (tmp_path / "datasets.toml").write_text(
        "[mine]\n" + "".join(f"{name} = {value}\n" for name, value in lines.items())
    )
    (tmp_path / "methods.toml").write_text("")
    (tmp_path / "suites").mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "suites" / "s.toml").write_text('datasets = ["mine"]\nmethods = []\n')
    monkeypatch.setenv("MIXNET_REGISTRY", str(tmp_path))
    monkeypatch.setenv("MIXNET_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("MIXNET_DATA", str(tmp_path))
    if key in ("variants", "name"):
        if words[0] in ("list", "data"):
            assert main(list(words)) == (words[0] == "data")  # its file is missing
            assert "mine" in capsys.readouterr().out
    else:
        assert main(list(words)) == 2
        assert f"mixnet: datasets.toml [mine]: {key} is missing" in capsys.readouterr().err


def test_every_registered_stanza_is_good():
    assert len(registry.datasets()) >= 30


@pytest.mark.parametrize(
    "text, bounds",
    [
        ("-1..1 to 0..1", (-1, 1)),
        ("0..255 to 0..1", (0, 255)),
        ("-0.5..2.25 to 0..1", (-0.5, 2.25)),
        ("none", None),
        ("0..1", None),
        ("a..b to 0..1", None),
    ],
)
def test_a_range_is_read_from_its_words(text, bounds):
    assert scaling_range(text) == bounds
