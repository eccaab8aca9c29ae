"""What the README says of results is what the records give, and the rest of it is true."""

import configparser
import csv
import re
from pathlib import Path

import numpy as np
import pytest

import benchmarks
from benchmarks.cli.arguments import arguments
from benchmarks.cli.main import main
from benchmarks.records.store import Store
from benchmarks.report import comparisons, readme
from benchmarks.report.claims import judge

ROOT = Path(benchmarks.__file__).parents[1]
README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")
UNRUN = ("mixnet+chosen",)


@pytest.fixture(scope="module")
def tracked():
    return readme.Results(Store(ROOT / "results"))


@pytest.fixture
def filled(tracked):
    """The tracked results, with rows and gains of both mixtures that are made up."""
    one = object.__new__(readme.Results)
    one.__dict__ |= vars(tracked)
    made = {"mixnet": (60.0, "below", -3.0), "mixnet+": (99.0, "", 4.0)}
    one.rows = [
        row
        | {
            "n": 10,
            "stale": 0,
            "purity_mean": made[row["method"]][0],
            "purity_std": 1.0,
            "verdict": made[row["method"]][1],
        }
        if row["method"] in made and row["space"] == "code"
        else row
        for row in tracked.rows
    ]
    one.rows = [
        row | {"n": 0, "purity_mean": None} if row["method"] in UNRUN else row for row in one.rows
    ]
    one.gains = [gain for gain in tracked.gains if gain["what"] == "paper"]
    one.gains += [
        dict(
            zip(
                comparisons.GAINS,
                (gain["dataset"], what, 10, middle, middle - 1, middle + 1),
                strict=True,
            )
        )
        for gain in list(one.gains)
        for what, (_, _, middle) in made.items()
    ]
    return one


def stored_claims():
    """Of claims.csv, which a test of its own holds against the records."""
    with (ROOT / "results" / "claims.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_the_block_is_what_the_records_give(tracked):
    block = readme.block(tracked, stored_claims())
    assert readme.unmarked(readme.between(TEXT)) == readme.unmarked(block), (
        "`mixnet readme` writes the README's block anew"
    )


def test_the_verdict_is_that_of_the_claims(tracked):
    claims = stored_claims()
    lines = judge.verdict_lines(claims)
    assert len(lines) == 5 and all(f"* {line}\n" in readme.between(TEXT) for line in lines)
    for row in claims:
        row["verdict"] = "confirmed"
    block = readme.block(tracked, claims)
    assert block.count("** Confirmed: ") == 5
    assert f"claims, {len({row['claim'] for row in claims})} confirmed: " in block


def test_the_figure_was_drawn_from_the_same(tracked):
    from benchmarks.report.table import Table

    stored = (ROOT / "results" / "gain.csv").read_text(encoding="utf-8")
    assert stored == Table(comparisons.GAINS, tracked.gains).csv()


def test_the_table_has_a_line_for_each_dataset_and_every_figure(filled):
    table = readme.headline(filled)
    assert [row[0] for row in table.rows] == ["COIL-20", "Reuters-10K", "USPS", "Isolet", "MNIST"]
    assert table.rows[0][3:] == (
        "77.6 ± 3.1",
        "60.0 ± 1.0, below",
        "99.0 ± 1.0",
        "not run",
    )


def test_the_best_other_clustering_is_no_mixture_of_networks_and_has_all_its_runs(tracked):
    one = object.__new__(readme.Results)
    one.__dict__ |= vars(tracked)
    kmeans = next(row for row in tracked.rows if row["method"] == "kmeans10")
    one.rows = [
        kmeans | {"method": method, "n": n, "n_asked": 10, "purity_mean": purity}
        for method, n, purity in (
            ("kmeans", 10, 60.0),
            ("ncut", 10, 70.0),
            ("llc", 9, 80.0),
            ("mixnet", 10, 90.0),
            ("mixnet+", 10, 95.0),
        )
    ]
    assert one.best_other(kmeans["dataset"])["method"] == "ncut"
    assert one.better_so_far(kmeans["dataset"])["method"] == "llc", "said beside it"
    one.rows[2]["stale"] = 1
    assert one.better_so_far(kmeans["dataset"]) is None, "nothing is said of older code's"
    one.rows[2] |= {"stale": 0, "purity_mean": 65.0}
    assert one.better_so_far(kmeans["dataset"]) is None, "it lies below"
    one.rows[2] |= {"n": 1, "alike": 10, "purity_mean": 80.0}
    assert one.best_other(kmeans["dataset"])["method"] == "llc", "ten runs that were alike"


def test_a_row_by_older_code_or_without_all_runs_is_marked():
    row = {"n": 3, "n_asked": 10, "purity_mean": 50.0, "purity_std": None, "stale": 1}
    assert readme._cell(row) == r"50.0 (3/10)\*" and readme.unmarked(r"50.0\*") == "50.0"
    assert readme._cell(row | {"n": 0}) == readme._cell(None) == "not run"


def test_the_figure_is_drawn_with_all_and_with_no_runs_of_ours(filled, tracked, tmp_path):
    from PIL import Image

    for name, found in (("all", filled), ("few", tracked)):
        files = readme.draw(found, tmp_path / name)
        assert np.asarray(Image.open(files["png"]).convert("L")).min() < 50


def test_only_what_is_between_the_markers_is_written(tmp_path, capsys):
    other = tmp_path / "README.md"
    other.write_text(f"before\n{readme.BEGIN}\nold\n{readme.END}\nafter\n")
    (tmp_path / "results").mkdir()
    assert main(["readme", "--results", str(tmp_path / "results")]) == 0
    text = other.read_text(encoding="utf-8")
    assert text.startswith("before\n") and text.endswith("after\n") and "\nold\n" not in text
    assert "not run" in readme.between(text)
    assert all((tmp_path / "results" / name).is_file() for name in ("gain.png", "claims.csv"))


@pytest.mark.parametrize(
    "text", ["nothing", readme.BEGIN, f"{readme.BEGIN}{readme.END}{readme.BEGIN}{readme.END}"]
)
def test_a_readme_without_its_markers_stays_as_it_is(text, tmp_path, capsys):
    other = tmp_path / "other.md"
    other.write_text(text)
    assert main(["readme", "--results", str(ROOT / "results"), "--output", str(other)]) == 2
    assert "once" in capsys.readouterr().err and other.read_text() == text


def test_it_is_read_in_one_sitting():
    assert len(TEXT.split()) <= 1000


def test_links_lead_to_files():
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", TEXT)
    assert len(targets) > 8
    for target in targets:
        assert target.startswith("https://") or (ROOT / target).is_file(), target


def test_commands_are_commands():
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "tox.ini", encoding="utf-8")
    environments = re.findall(r"tox -e ([\w-]+)", TEXT)
    assert {"quickstart", "tests"} <= set(environments)
    assert all(f"testenv:{name}" in config for name in environments)
    called = re.findall(r"^mixnet (.*)$", TEXT, re.M)
    assert called
    for words in called:
        arguments(words.split())


def test_its_example_is_python_that_the_library_has():
    import mixnet_core

    (code,) = re.findall(r"^```python\n(.*?)^```", TEXT, re.M | re.S)
    compile(code, "README.md", "exec")
    assert mixnet_core.MixtureOfNetworks and "from mixnet_core import MixtureOfNetworks" in code


def test_a_dataset_of_two_suites_stands_once_and_one_without_printed_figures_not_at_all(tracked):
    lines = readme.headline(tracked).rows
    assert [line[0] for line in lines] == ["COIL-20", "Reuters-10K", "USPS", "Isolet", "MNIST"]
    keys = [(row["dataset"], row["method"], row["space"]) for row in tracked.rows]
    assert len(keys) == len(set(keys)) and ("mnist", "ncut", "raw") in keys
    gains = [(gain["dataset"], gain["what"]) for gain in tracked.gains]
    assert len(gains) == len(set(gains)) and ("mnist", "paper") in gains
