"""Notebooks run where everything is there and where nothing is, and write nothing."""

import hashlib
import re
import shutil
import sys
from pathlib import Path

import jupytext
import nbformat
import pandas as pd
import pytest
from nbclient.exceptions import CellExecutionError
from sklearn.datasets import load_digits

from benchmarks.cli.main import main
from benchmarks.records.store import Store
from benchmarks.report import notebooks, plot, reading

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "results" / "notebooks"
NAMES = ("table1", "table2", "figures", "explore_a_run")
WHICH = 'dataset, method, seed, fast, cluster = "digits", "mixnet", 0, False, 3'
ROWS = "rows = [points[i : i + columns]"  # of a sheet
FEW = ("coil20", "digits", "mnist")  # datasets whose records the notebooks are tried on by day
LIMIT = 600_000  # bytes of a stored notebook


def words(notebook) -> str:
    """What the cells of a notebook printed and displayed."""
    return "\n".join(
        output.get("text") or output.data["text/plain"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
    )


def pictures(notebook) -> int:
    return sum(
        "image/png" in output.get("data", ())
        for cell in notebook.cells
        for output in cell.get("outputs", ())
    )


def trouble(notebook) -> list:
    """Outputs that are errors or went to stderr, warnings among them."""
    return [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output.output_type == "error" or output.get("name") == "stderr"
    ]


def content(folder: Path) -> dict:
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


class Place:
    """Results and artefacts of a test, and notebooks executed on them."""

    def __init__(self, root: Path):
        self.results, self.artifacts = root / "results", root / "artifacts"
        self.variables = {
            "MIXNET_RESULTS": self.results,
            "MIXNET_ARTIFACTS": self.artifacts,
            "MIXNET_DATA": root / "nowhere",
            "MIXNET_CACHE": root / "cache",
            "OMP_NUM_THREADS": 1,
        }
        self.variables = {name: str(value) for name, value in self.variables.items()}

    def command(self, *words) -> None:
        """`mixnet` with `words`, on this place; its tables are written without their plots."""
        with pytest.MonkeyPatch.context() as changed:
            for name, value in self.variables.items():
                changed.setenv(name, value)
            changed.setattr(plot, "purity_dots", lambda *_: {})
            assert main([*words]) == 0

    def execute(self, name: str, *changes: tuple[str, str]):
        notebook = notebooks.read(FOLDER / f"{name}.py")
        for old, new in changes:
            assert sum(old in cell.source for cell in notebook.cells) == 1
            for cell in notebook.cells:
                cell.source = cell.source.replace(old, new)
        notebooks.execute(notebook, self.results.parent, self.variables)
        assert trouble(notebook) == []
        return notebook


def copied(root: Path, few=()) -> Place:
    """A place with the results, its table just written; of `few` datasets' records if given."""

    def left_out(folder, names):
        if Path(folder).name == "records" and few:
            return set(names) - set(few)
        return {"notebooks"} & set(names)

    place = Place(root)
    shutil.copytree(ROOT / "results", place.results, ignore=left_out)
    place.command("table", "table1")
    return place


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """All that is on record."""
    return copied(tmp_path_factory.mktemp("everything"))


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """Few records, and a digits model of a shortened run."""
    place = copied(tmp_path_factory.mktemp("full"), FEW)
    place.command(
        "run",
        "quickstart",
        "--datasets",
        "digits",
        "--methods",
        "mixnet",
        "--fast",
        "--jobs",
        "1",
        "--remake",
    )
    return place


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """No result, no model, no data."""
    place = Place(tmp_path_factory.mktemp("empty"))
    place.results.mkdir()
    return place


@pytest.fixture(scope="module")
def explored(full):
    """A notebook on the model of the shortened run, as executed, and the files before it.

    Its sheets have two rows: they are drawn a picture at a time.
    """
    before = content(full.results)
    shortened = (WHICH, WHICH.replace("False", "True"))
    return full.execute(
        "explore_a_run", shortened, (ROWS, f"points = points[: 2 * columns]\n    {ROWS}")
    ), before


def test_all_notebooks_are_here():
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(NAMES)
    assert {path.stem for path in FOLDER.glob("*.py")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_pair_agrees(name):
    stored = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    source = jupytext.read(FOLDER / f"{name}.py")
    assert [(cell.cell_type, cell.source) for cell in stored.cells] == [
        (cell.cell_type, cell.source) for cell in source.cells
    ]


@pytest.mark.parametrize("name", NAMES)
def test_it_opens_with_a_question_and_imports_what_a_user_would(name):
    notebook = jupytext.read(FOLDER / f"{name}.py")
    title = notebook.cells[0].source.splitlines()[0]
    assert title.startswith("# ") and "?" in title
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    ours = set(re.findall(r"^(?:from|import) (?:benchmarks|mixnet_core|baselines).*", code, re.M))
    assert ours <= {"from benchmarks import results", "from benchmarks.report import reading"}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_stored_has_outputs_and_nothing_of_the_machine(name):
    path = FOLDER / f"{name}.ipynb"
    stored = nbformat.read(path, as_version=4)
    nbformat.validate(stored)
    assert path.stat().st_size < LIMIT
    assert trouble(stored) == [] and pictures(stored) > 0
    counts = [cell.execution_count for cell in stored.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert not re.search(r"/(tmp|home|root|Users)/", words(stored))
    cleaned = notebooks.clean(nbformat.read(path, as_version=4), name)
    assert nbformat.writes(cleaned) == nbformat.writes(stored)


def test_the_notebook_of_table_2_has_its_numbers():
    """Else ``tox -e notebooks`` was forgotten."""
    stored = words(nbformat.read(FOLDER / "table2.ipynb", as_version=4))
    for row in pd.read_csv(FOLDER.parent / "table2.csv").itertuples():
        score = f"{row.ll_mean:.1f} " if row.n else ""
        assert re.search(rf"{row.n}/{row.n_asked} +\d+ +{score}", stored), row.model


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("table1", "full"),
        ("table2", "full"),
        pytest.param("table1", "everything", marks=pytest.mark.slow),
        pytest.param("figures", "everything", marks=pytest.mark.slow),
    ],
)
def test_it_reads_results_and_writes_none(name, where, request):
    place = request.getfixturevalue(where)
    before, tracked = content(place.results), content(ROOT / "results")
    executed = place.execute(name)
    assert pictures(executed) > 0
    if name == "table1":
        table = pd.read_csv(place.results / "table1.csv")
        rows = len(table)
        assert table["n"].max() > 1
        assert f"{rows} rows of table1.csv, {rows} of them as computed here" in words(executed)
    assert content(place.results) == before and content(ROOT / "results") == tracked


def test_a_run_is_explored_as_it_was_recorded(explored, full):
    executed, before = explored
    store = Store(full.results)
    (record,) = [
        r
        for r in store.of_dataset("digits")
        if r["kind"] == "mixture"
        and r["cell"]["method"] == "mixnet"
        and r["cell"]["params"]["t1"] == 2
    ]
    said = words(executed)
    assert f"purity {record['metrics']['purity']:.2f}%\n" in said  # of the loaded model
    assert "100.00% of its labels as here" in said
    assert pictures(executed) == 8
    assert content(full.results) == before


@pytest.mark.slow
def test_a_number_that_is_not_of_the_runs_is_found(full, tmp_path):
    place = Place(tmp_path)
    place.results.mkdir()
    (place.results / "records").symlink_to(full.results / "records")
    table = pd.read_csv(full.results / "table1.csv")
    table.loc[table["acc_mean"].last_valid_index(), "acc_mean"] += 0.0002  # of a row that was run
    table.to_csv(place.results / "table1.csv", index=False)
    said = words(place.execute("table1"))
    assert f"{len(table)} rows of table1.csv, {len(table) - 1} of them as computed here" in said
    assert "mixnet table table1" in said


@pytest.mark.parametrize(
    ("name", "commands"),
    [
        ("table1", ["mixnet run table1"]),
        pytest.param("table2", ["mixnet run table2"], marks=pytest.mark.slow),
        pytest.param(
            "figures", ["mixnet run curves", "mixnet run sensitivity"], marks=pytest.mark.slow
        ),
        ("explore_a_run", ["mixnet run quickstart --datasets digits --methods mixnet"]),
    ],
)
def test_what_is_missing_is_said_with_its_command(name, commands, empty):
    said = words(empty.execute(name))
    assert [command for command in commands if command not in said] == []
    assert content(empty.results) == {}


def test_the_command_for_a_model_makes_it(full, capsys, monkeypatch, tmp_path):
    """Also where its record is there and fresh, as in a clone."""
    for name, value in (full.variables | {"MIXNET_ARTIFACTS": str(tmp_path)}).items():
        monkeypatch.setenv(name, value)
    assert reading.saved_run(full.results, "digits", fast=True) is None
    said = capsys.readouterr().out
    command = re.search("^mixnet (run .*)$", said, re.MULTILINE)[1]
    assert main([*command.split(), "--dry-run"]) == 0
    assert "digits mixnet code seed 0: done, what it made is not on this machine" in (
        capsys.readouterr().out
    )


def test_a_model_that_is_not_of_its_record_is_said(full, capsys, monkeypatch, tmp_path):
    for name, value in (full.variables | {"MIXNET_ARTIFACTS": str(tmp_path)}).items():
        monkeypatch.setenv(name, value)
    shutil.copytree(full.artifacts, tmp_path, dirs_exist_ok=True)
    run = reading.saved_run(full.results, "digits", fast=True)
    assert run.autoencoder is not None and capsys.readouterr().out == ""
    run.model.values_["heldout_log_likelihood"] += 1
    run.model.save(run.node.artifacts / "model.pt")
    assert reading.saved_run(full.results, "digits", fast=True) is not None
    assert "not that of the newest record" in capsys.readouterr().out
    (run.node.artifacts / "model.pt").write_bytes(b"damaged")
    assert reading.saved_run(full.results, "digits", fast=True) is None
    assert "delete it" in capsys.readouterr().out


def test_a_model_that_was_exported_is_the_same_elsewhere(full, capsys, monkeypatch, tmp_path):
    path = tmp_path / "models.zip"
    chosen = ("--datasets", "digits", "--methods", "mixnet", "--fast")
    full.command("export", "quickstart", *chosen, "--output", str(path))
    for name, value in full.variables.items():
        monkeypatch.setenv(name, value)
    here = reading.saved_run(full.results, "digits", fast=True)
    monkeypatch.setenv("MIXNET_ARTIFACTS", str(tmp_path))
    capsys.readouterr()
    there = reading.saved_run(full.results, "digits", fast=True, exported=path)
    assert capsys.readouterr().out == ""
    codes = there.autoencoder.transform(load_digits().data.astype("float32") / 16)
    assert (there.model.predict(codes) == here.model.predict(codes)).all()
    assert reading.saved_run(full.results, "digits", seed=7, fast=True, exported=path) is None
    assert "it has digits mixnet seed 0" in capsys.readouterr().out


SOURCE = """# %%
import sys

import matplotlib.pyplot as plt

print(sys.executable)
plt.plot([1, 2])
plt.show()
"""


def test_building_is_reproducible_and_uses_this_interpreter(tmp_path, monkeypatch):
    kernel = tmp_path / "jupyter" / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text('{"argv": ["false"], "display_name": "of another", "language": "python"}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    source = tmp_path / "small.py"
    source.write_text(SOURCE)
    path = notebooks.build(source)
    built = nbformat.read(path, as_version=4)
    assert sys.executable in words(built) and pictures(built) == 1
    first = path.read_bytes()
    assert notebooks.build(source).read_bytes() == first
    source.write_text("# %%\nraise ValueError('broken')\n")
    with pytest.raises(CellExecutionError, match="broken"):
        notebooks.build(source)
    assert path.read_bytes() == first  # what there was stays
