"""The documentation names what there is: pages, files, commands, code, and every stanza."""

import importlib
import importlib.util
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

from benchmarks import registry
from benchmarks.cli.arguments import arguments, parser
from benchmarks.stanzas import merge

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


NAMES = set(next(action.choices for action in parser()._actions if action.dest == "command"))


def module(name):
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


hooks = module("hooks")
FILLED = {path.name: hooks.filled(path.read_text(encoding="utf-8")) for path in PAGES}


def named(nav):
    """Files of a navigation, however deep."""
    for entry in nav:
        value = next(iter(entry.values())) if isinstance(entry, dict) else entry
        yield from named(value) if isinstance(value, list) else [value]


def fenced(text, language):
    """Blocks of a language with the line that each starts at."""
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S):
        if found[1] == language:
            yield text[: found.start(2)].count("\n"), found[2]


def test_every_page_of_the_navigation_is_there_and_every_page_is_in_it():
    nav, own = list(named(SITE["nav"])), {path.name for path in PAGES}
    assert len(nav) == len(set(nav)) and own <= set(nav)
    for page in set(nav) - own:
        assert page in hooks.linked() and (ROOT / page).is_file(), page
    tables = {path.relative_to(ROOT).as_posix() for path in (ROOT / "results").glob("*.md")}
    assert tables <= set(nav)
    for path in (ROOT / hook for hook in SITE["hooks"]):
        assert path.is_file()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        goal = (path.parent / file).resolve() if file else path
        assert goal.is_file(), target
        if anchor:
            heads = re.findall(r"^#+ (.*)$", goal.read_text(encoding="utf-8"), re.M)
            assert anchor in [
                re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads
            ], target


def test_nothing_is_left_to_be_inserted():
    for name, text in FILLED.items():
        assert not re.search("<!-- insert", text), name
    with pytest.raises(FileNotFoundError):
        hooks.filled("<!-- insert: nothing -->")


@pytest.mark.parametrize("name", [name for name in FILLED if name != "library.md"])
def test_python_in_pages_compiles(name):
    """That of library.md, the guide, is run by a test of its own."""
    for line, code in fenced(FILLED[name], "python"):
        compile("\n" * line + code, name, "exec")


def test_python_of_the_tour_names_what_the_library_has():
    for _, code in fenced(FILLED["tour.md"], "python"):
        for package, words in re.findall(r"^from (mixnet_core[\w.]*) import (.*)$", code, re.M):
            found = importlib.import_module(package)
            assert all(hasattr(found, word.strip()) for word in words.split(","))


def commands(text):
    """Commands of `mixnet` in blocks and in running text; forms with brackets are no calls."""
    for _, block in fenced(text, ""):
        yield from (line for line in block.splitlines() if line.startswith("mixnet "))
    yield from (word for word in re.findall(r"`(mixnet [^`]+)`", text) if "[" not in word)


@pytest.mark.parametrize("name", FILLED)
def test_commands_of_pages_are_taken_by_the_command_line(name):
    for words in commands(FILLED[name]):
        name, *rest = shlex.split(words, comments=True)[1:]
        if f"{name} {' '.join(rest)}" in NAMES or (not rest and name in NAMES):
            continue  # a command that is named, and not called
        _, args = arguments([name, *rest])
        if getattr(args, "suite", None) and args.suite.islower():
            table_of_claims = (args.command, args.suite) == ("table", "claims")
            assert table_of_claims or args.suite in registry.suites(), words
        for method in getattr(args, "methods", None) or ():
            assert method == "mine" or method in registry.methods(), words


def test_pages_have_commands_to_be_checked():
    assert sum(len(list(commands(text))) for text in FILLED.values()) > 30


@pytest.mark.parametrize("name", FILLED)
def test_environments_of_pages_exist(name):
    text = (ROOT / "tox.ini").read_text(encoding="utf-8")
    for environment in re.findall(r"tox -e ([\w-]+)", FILLED[name]):
        assert f"[testenv:{environment}]" in text, environment


def test_options_that_stand_alone_are_options():
    text = (ROOT / "benchmarks" / "cli" / "arguments.py").read_text(encoding="utf-8")
    known = set(re.findall(r'"(--[a-z-]+)"', text)) | {"--perf-device", "--full", "--keep"}
    for name in ("tour.md", "benchmark.md"):
        found = re.findall(r"`(--[a-z-]+)", FILLED[name])
        assert found and not set(found) - known - {"--nworkers", "--nthreads", "--resources"}


def test_every_dataset_has_its_licence_and_where_it_comes_from():
    for name, stanza in registry.datasets().items():
        start = FILLED["datasets.md"].index(f"## {stanza['title']} {{")
        section = FILLED["datasets.md"][start:].split("\n## ")[0]
        assert f"`{name}`" in section and stanza["licence"] in section
        assert stanza["citation"] in section
        for variant in stanza["variants"]:
            for file in merge(stanza, variant).get("files", ()):
                assert f"`{file['name']}`" in section
                assert all(f"<{url}>" in section for url in file.get("urls", ()))


def test_every_choice_of_ours_is_on_its_page_with_its_reason():
    found = tomllib.loads((ROOT / "benchmarks" / "methods.toml").read_text(encoding="utf-8"))
    chosen = [
        (name, parameter, entry)
        for name, stanza in found.items()
        for group in ("params", "defaults")
        for parameter, entry in stanza.get(group, {}).items()
        if entry["source"].startswith("ours")
    ]
    assert len(chosen) > 50
    for _, parameter, entry in chosen:
        assert re.search(
            rf"\| `{re.escape(parameter)}` \| .*"
            + re.escape(entry.get("why", "").replace("|", r"\|")),
            FILLED["choices.md"],
        ), (parameter, entry)


def test_every_suite_is_on_the_page_of_the_benchmark():
    for name, suite in registry.suites().items():
        assert re.search(
            rf"^\| `{name}` \| .*\| {len(suite['datasets'])} \| "
            rf"{len(suite['methods'])} \|",
            FILLED["benchmark.md"],
            re.M,
        ), name


def test_claims_are_those_of_the_readme():
    block, table = hooks.readme(), hooks.claims()
    assert block in FILLED["claims.md"] and "Are the printed purities reached?" in block
    assert table in FILLED["claims.md"]
    stanzas = tomllib.loads((ROOT / "benchmarks" / "claims.toml").read_text(encoding="utf-8"))
    assert stanzas and all(f"| {stanza['claim']} |" in table for stanza in stanzas.values())


def test_links_of_pages_are_those_of_the_site():
    for ours, the_sites in (
        ("../results/table1.md", "results/table1.md"),
        ("x.md", "x.md"),
        ("../README.md", "index.md"),
        ("../mixnet_core/GUIDE.md#codes", "library.md#codes"),
    ):
        assert hooks.filled(f"[a]({ours})") == f"[a]({the_sites})"


def test_names_of_the_api_page_exist():
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    names = re.findall(r"^::: (\S+)$", text, re.M)
    assert len(names) > 10
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            package, _, attribute = name.rpartition(".")
            assert getattr(importlib.import_module(package), attribute).__doc__, name
