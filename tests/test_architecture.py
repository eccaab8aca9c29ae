"""The house keeps its one direction, its stanzas resolve, and its packages are all listed."""

import ast
import csv
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from benchmarks import registry
from benchmarks.cli.arguments import parser

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("mixnet_core", "baselines", "benchmarks")
ALLOWED = {"mixnet_core": set(), "baselines": set(), "benchmarks": {"mixnet_core", "baselines"}}
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def toml(path):
    return tomllib.loads((ROOT / path).read_text(encoding="utf-8"))


def imports(path):
    """Full dotted names that a file imports, wherever in it the statement stands."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def name(path):
    return path.relative_to(ROOT).as_posix()


def test_all_rooms_are_walked():
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == set(ROOMS)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_imports_go_one_way(path):
    room = path.relative_to(ROOT).parts[0]
    forbidden = set(ROOMS) - {room} - ALLOWED[room]
    wrong = [module for module in imports(path) if module.split(".")[0] in forbidden | {"tests"}]
    assert not wrong, f"{name(path)} imports {wrong}"


# The harness from the ground up: a package imports from those before it and from itself.
FLOORS = (
    "stanzas",
    "records",
    "datasets",
    "kinds",
    "registry",
    "exhibits",
    "run",
    "results",
    "report",
    "gate",
    "perf",
    "cli",
)


@pytest.mark.parametrize("path", [path for path in FILES if "benchmarks" in path.parts], ids=name)
def test_no_import_runs_back_up(path):
    parts = path.relative_to(ROOT / "benchmarks").with_suffix("").parts
    if parts[0] not in FLOORS:
        assert parts in {("__init__",), ("__main__",)}, f"{name(path)} lies in no room"
        return
    above = FLOORS[FLOORS.index(parts[0]) + 1 :]
    wrong = [m for m in imports(path) if m.startswith("benchmarks.") and m.split(".")[1] in above]
    assert not wrong, f"{name(path)} imports {wrong}"


def test_kinds_are_asked_and_not_named_elsewhere():
    """A kind of cell is one object in one file: nothing else compares the word."""
    compared = re.compile(r"""["']kind["']\]?\)?\s*(==|!=|\bin\b|\bnot in\b)""")
    found = [
        name(path)
        for path in (ROOT / "benchmarks").rglob("*.py")
        if path.parent.name != "kinds" and compared.search(path.read_text(encoding="utf-8"))
    ]
    assert not found


def test_one_module_writes_files_whole():
    """Temporary files that take their final name in one step: `records/whole.py` alone has them."""
    calls = re.compile(r"mkstemp|NamedTemporaryFile|os\.(replace|rename|link)\(|\.rename\(")
    found = [
        name(path)
        for path in FILES
        if path.is_relative_to(ROOT / "benchmarks")
        and calls.search(path.read_text(encoding="utf-8"))
    ]
    assert found == ["benchmarks/records/whole.py"]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "baselines" / "clustering").rglob("*.py")), ids=name
)
def test_clustering_baselines_do_not_import_torch(path):
    assert not [m for m in imports(path) if m.split(".")[0] == "torch"]


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_global_random_state(path):
    """np.random.seed and torch.manual_seed reach every other user of the process."""
    words = path.read_text(encoding="utf-8")
    for call in ("np.random.seed(", "numpy.random.seed(", "torch.manual_seed(", "random.seed("):
        assert call not in words, f"{name(path)} calls {call[:-1]}"


def test_listing_imports_no_torch():
    """What there is, is data: methods, datasets and suites are listed in an instant."""
    code = (
        "import sys; from benchmarks import registry; "
        "registry.methods(), registry.datasets(), registry.suites(), registry.paper(); "
        "import benchmarks.cli.main, benchmarks.report.table1; "
        "print([m for m in ('torch', 'sklearn', 'matplotlib') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (found.returncode, found.stdout.strip()) == (0, "[]"), found.stderr


METHODS, DATASETS = registry.methods(), toml("benchmarks/datasets.toml")
SUITES = sorted((ROOT / "benchmarks" / "suites").glob("*.toml"))


@pytest.mark.parametrize("method", METHODS)
def test_method_stanza_resolves(method):
    stanza = METHODS[method]
    module, _, attribute = stanza["estimator"].partition(":")
    assert callable(getattr(importlib.import_module(module), attribute))
    for role, needed in stanza.get("needs", {}).items():
        other, _, space = needed.partition("/")
        assert other in METHODS, f"{role} = {needed}"
        assert not space or space in METHODS[other]["spaces"], f"{role} = {needed}"


@pytest.mark.parametrize("dataset", DATASETS)
def test_dataset_stanza_is_complete(dataset):
    stanza = DATASETS[dataset]
    assert stanza["name"] == dataset
    assert {"title", "n", "d", "n_classes", "n_clusters", "scaling", "structure"} <= set(stanza)
    assert stanza["embedding"] in ("autoencoder", "none")
    widths = [int(width) for width in stanza["structure"].split("-")]
    if stanza["embedding"] == "none":
        assert widths[-1] == stanza["d"]
    else:
        assert widths[-1] == stanza["code_dim"]


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_suite_names_what_there_is(path):
    suite = toml(path.relative_to(ROOT))
    assert set(suite["datasets"]) <= set(DATASETS)
    assert set(suite["methods"]) <= set(METHODS)


def test_suites_of_the_readme_exist():
    assert {"quickstart", "table1", "mnist"} <= {path.stem for path in SUITES}


def test_paper_figures_agree_with_the_dataset_stanzas():
    """What Table 1 prints of a dataset is what ours has, but for the swap that the paper has."""
    for dataset, printed in toml("benchmarks/paper.toml")["table1"]["datasets"].items():
        ours = DATASETS[dataset]
        assert {ours["d"], ours["n"]} == {printed["d"], printed["n"]}
        assert (ours["code_dim"], ours["n_classes"], ours["structure"]) == (
            printed["p"],
            printed["L"],
            printed["structure"],
        )


def test_packages_and_data_files_are_all_listed():
    setuptools = toml("pyproject.toml")["tool"]["setuptools"]
    folders = {".".join(path.relative_to(ROOT).parent.parts) for path in FILES}
    assert setuptools["packages"]["find"]["include"] == [f"{room}*" for room in ROOMS]
    assert all((ROOT / folder.replace(".", "/") / "__init__.py").is_file() for folder in folders)
    listed = {
        path
        for pattern in setuptools["package-data"]["benchmarks"]
        for path in (ROOT / "benchmarks").glob(pattern)
    }
    files = {path for path in (ROOT / "benchmarks").rglob("*") if path.is_file()}
    assert listed == {path for path in files if path.suffix not in (".py", ".pyc")}


def test_one_version_stands_everywhere():
    """The newest of the changelog is that of the package, the library and the citation."""
    listed = re.findall(
        r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$",
        (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    library = re.search(
        r'__version__ = "(.+)"', (ROOT / "mixnet_core" / "__init__.py").read_text(encoding="utf-8")
    )
    cited = re.search(
        r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert {library[1], cited[1], listed[0][0]} == {toml("pyproject.toml")["project"]["version"]}


def test_commands_of_the_guides_are_there():
    """What CONTRIBUTING and SECURITY ask for exists: commands, environments, files."""
    words = "".join(
        (ROOT / name).read_text(encoding="utf-8") for name in ("CONTRIBUTING.md", "SECURITY.md")
    )
    asked = set(re.findall(r"mixnet ([a-z]+)", words)) - {"mixnet"}
    assert len(asked) > 5
    (commands,) = (action for action in parser()._actions if action.dest == "command")
    assert asked <= set(commands.choices)
    environments = set(
        re.findall(r"^\[testenv:(.+)\]$", (ROOT / "tox.ini").read_text(), re.MULTILINE)
    )
    named = {
        one for found in re.findall(r"tox -e ([a-z0-9,-]+)", words) for one in found.split(",")
    }
    assert named and named <= environments
    files = re.findall(r"`((?:benchmarks|tests|results|kinds|run)/[\w./]+\.\w+)`", words)
    assert len(files) > 4
    for file in files:
        assert (ROOT / file).exists() or (ROOT / "benchmarks" / file).exists(), file


def test_constraints_pin_every_requirement():
    project = toml("pyproject.toml")["project"]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0].lower() for line in lines if "==" in line}
    extras = project["optional-dependencies"].values()
    wanted = {w.partition(">")[0].lower() for group in extras for w in group}
    wanted |= {w.partition(">")[0].lower() for w in project["dependencies"]}
    wanted = {name for name in wanted if not name.startswith("mixnet[")}
    wanted |= {"ruff", "mypy", "types-psutil"}
    assert wanted <= pinned


def test_attempts_have_a_field_for_each_name():
    with (ROOT / "results/attempts.csv").open(encoding="utf-8", newline="") as lines:
        assert {len(row) for row in csv.reader(lines)} == {7}
