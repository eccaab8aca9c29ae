"""Models to take away: what is packed, what is left out, and that it can be read elsewhere."""

import json
import zipfile

import pytest

from benchmarks.cli.main import main
from benchmarks.report import export


def content(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def trained(box):
    """Two seeds of a mixture on codes, as run."""
    box.ready(["blobs"], ["mixnet"], "0-1")
    return box


@pytest.fixture
def archive(trained, tmp_path):
    path = tmp_path / "models.zip"
    assert main(["export", "small", "--output", str(path)]) == 0
    return path


def nodes(box, method="mixnet"):
    return [
        node
        for node in box.plan().nodes.values()
        if (node.cell["dataset"], node.cell["method"]) == ("blobs", method)
    ]


def test_a_mixture_goes_with_the_autoencoder_of_its_codes_and_nothing_else_does(trained, archive):
    """Neither partitions nor codes, which are made of data."""
    expected = {"README.md", "manifest.json"} | {
        f"artifacts/blobs/{method}/{node.key}/model.pt"
        for method in ("mixnet", "autoencoder")
        for node in nodes(trained, method)
    }
    assert set(content(archive)) == expected and len(expected) == 6


def test_the_card_says_what_each_cell_is_and_how_to_read_it(trained, archive):
    found = content(archive)
    card, manifest = found["README.md"].decode(), json.loads(found["manifest.json"])
    for node in nodes(trained):
        (row,) = [row for row in manifest["cells"] if row["key"] == node.key]
        purity = trained.store.attempts(node.cell)[-1]["metrics"]["purity"]
        assert row["scores"] == {"purity": purity} and row["seed"] == node.cell["seed"]
        assert f"| Blobs | Mixture, code | {node.cell['seed']} | purity {purity:.1f} |" in card
        assert f"artifacts/blobs/mixnet/{node.key}/" in card
    code = card.split("```python\n")[1].split("```")[0]
    compile(code, "card", "exec")
    assert all(name in found for name in code.split('"')[1::2])
    assert "Licence of the data" in card


def test_the_same_files_make_the_same_archive(archive):
    before = archive.read_bytes()
    assert main(["export", "small", "--output", str(archive)]) == 0
    assert archive.read_bytes() == before


@pytest.mark.parametrize("lost", ["mixnet", "autoencoder"])
def test_a_cell_that_cannot_be_read_elsewhere_is_left_out_and_said(trained, capsys, tmp_path, lost):
    (gone,) = [node for node in nodes(trained, lost) if node.cell["seed"] == 1]
    path = tmp_path / "models.zip"
    (gone.artifacts / "model.pt").unlink()
    assert main(["export", "small", "--output", str(path)]) == 1
    assert "left out: blobs mixnet code seed 1" in capsys.readouterr().err
    cells = json.loads(content(path)["manifest.json"])["cells"]
    assert [(cell["method"], cell["seed"]) for cell in cells] == [("mixnet", 0)]


def test_where_nothing_is_there_no_file_is_written(trained, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("MIXNET_ARTIFACTS", str(tmp_path / "elsewhere"))
    path = tmp_path / "models.zip"
    assert main(["export", "small", "--output", str(path)]) == 2
    said = capsys.readouterr().err
    assert "mixnet run small --remake" in said and "blobs mixnet code seed 0" in said
    assert not path.exists()


def test_models_come_from_the_archive_and_are_gone_after(trained, archive):
    node, _ = nodes(trained)
    before = (node.artifacts / "model.pt").read_bytes()
    with export.opened(archive, [node, node.needs["codes"]]):
        place = node.artifacts
        assert trained.root not in place.parents
        assert (place / "model.pt").read_bytes() == before
        assert (node.needs["codes"].artifacts / "model.pt").is_file()
    assert not place.exists() and trained.root in node.artifacts.parents


def test_a_file_that_is_none_damaged_or_of_other_cells_is_refused(trained, archive, tmp_path):
    one, two = nodes(trained)

    def refused(path, message, node=one):
        with pytest.raises(ValueError, match=message), export.opened(path, [node]):
            pass

    refused(tmp_path / "nowhere.zip", "damaged, or no file of `mixnet export`.*No such file")
    (tmp_path / "text.zip").write_text("words")
    refused(tmp_path / "text.zip", "damaged, or no file")
    parts = content(archive)
    name = f"artifacts/blobs/mixnet/{one.key}/model.pt"
    for changed, message in (
        ({name: b"other"}, "is damaged"),
        ({"manifest.json": b"{}"}, "or no file of"),
        ({"manifest.json": b"{"}, "damaged, or no file"),
    ):
        with zipfile.ZipFile(tmp_path / "changed.zip", "w") as into:
            for member, payload in {**parts, **changed}.items():
                into.writestr(member, payload)
        refused(tmp_path / "changed.zip", message)
    main(["export", "small", "--datasets", "blobs", "--seeds", "0", "--output", str(archive)])
    refused(archive, "has no model of blobs mixnet code seed 1.*blobs mixnet seed 0", two)
