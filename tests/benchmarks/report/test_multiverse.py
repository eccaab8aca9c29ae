"""The design of the multiverse, and its table and figure from made-up records."""

from collections import Counter
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from benchmarks import registry
from benchmarks.report import multiverse
from benchmarks.run.plan import suite_plan

SUITE, METHODS, PAPER = registry.suites()["multiverse"], registry.methods(), registry.paper()
ROWS = SUITE["rows"]
BASE = "mixnet-printed"


def level(row, factor):
    return SUITE["factors"][factor][row[factor]]


def record(dataset, method, purity, **more):
    cell = {"dataset": dataset, "method": method, "params": {"space": "code"}, "seed": 0}
    made = {"cell": cell, "status": "done", "seconds": 2.0, "metrics": {"purity": purity}}
    return made | {"values": {"heldout_log_likelihood": -purity}} | more


def records(datasets=SUITE["datasets"], seed=0):
    draw = np.random.default_rng(seed)
    return [
        record(dataset, method, float(draw.uniform(30, 90)))
        for dataset in datasets
        for method in SUITE["methods"]
        if dataset not in SUITE["not_on"][method]
    ]


def test_every_level_stands_in_a_quarter_of_the_rows_at_least():
    assert len(ROWS) == 64 and len({tuple(row.values()) for row in ROWS.values()}) == 64
    for factor, levels in SUITE["factors"].items():
        found = Counter(row[factor] for row in ROWS.values())
        assert set(found) == set(levels) and min(found.values()) >= 16


def test_any_two_factors_are_independent():
    for f, g in combinations(SUITE["factors"], 2):
        both = Counter((row[f], row[g]) for row in ROWS.values())
        for a, b in both:
            one = sum(row[f] == a for row in ROWS.values())
            other = sum(row[g] == b for row in ROWS.values())
            assert both[a, b] == one * other / 64
        assert len(both) == len(SUITE["factors"][f]) * len(SUITE["factors"][g])


def test_the_first_row_is_ours_and_first_levels_set_what_ours_has():
    assert next(iter(ROWS)) == SUITE["methods"][0] == BASE
    ours = METHODS[BASE]["needs"] | {"codes": "autoencoder/raw"}
    for factor, levels in SUITE["factors"].items():
        name, first = next(iter(levels.items()))
        assert ROWS[BASE][factor] == name
        for role, need in first.get("needs", {}).items():
            assert need.replace("{of}", "") == ours[role]
        assert first.get("of", "") == "" and not set(first) - {"of", "needs", "not_on"}


def test_a_row_is_ours_but_for_its_levels():
    data = registry.datasets()["usps"]
    base = registry.resolve_params(BASE, "usps")
    for name, row in ROWS.items():
        wanted = dict(base)
        for factor in SUITE["factors"]:
            set_here = set(level(row, factor)) - {"of", "needs", "not_on"}
            wanted |= {parameter: level(row, factor)[parameter] for parameter in set_here}
        assert registry.resolve(name, METHODS[name], "usps", data) == wanted
        assert wanted["t2"] <= 200  # the budget


def test_no_level_repeats_what_ours_has():
    base = registry.resolve_params(BASE, "usps")
    for levels in SUITE["factors"].values():
        for sets in levels.values():
            changed = set(sets) - {"of", "needs", "not_on"}
            assert not changed or any(sets[p] != base[p] for p in changed)


def test_a_start_on_codes_stands_on_the_codes_of_its_row():
    plan = suite_plan("multiverse", datasets=["coil20"])
    nodes = [node for node in plan.nodes.values() if node.requested]
    assert len(nodes) == 64
    seen = Counter()
    for node in nodes:
        row, start = ROWS[node.cell["method"]], node.needs["start"]
        codes = {"ours": "autoencoder", "GMMN's": "autoencoder-gmmn", "DEC's": "autoencoder-dec"}
        assert node.needs["codes"].cell["method"] == codes[row["autoencoder"]]
        restarts, where = row["k-means start"].split(", ")
        assert start.cell["params"]["n_init"] == int(restarts)
        assert (start.cell["params"]["space"] == "code") == (where == "codes")
        if where == "codes":
            assert start.needs["codes"] is node.needs["codes"]
        seen[row["autoencoder"], row["k-means start"]] += 1
    assert len(seen) == 12


def test_a_version_of_the_data_is_taken_by_half_of_the_rows():
    asked = [node.cell for node in suite_plan("multiverse").nodes.values() if node.requested]
    count = Counter(cell["dataset"] for cell in asked)
    assert count == {d: 32 if d.startswith("isolet") else 64 for d in SUITE["datasets"]}
    both = [c["method"] for c in asked if c["dataset"].startswith("isolet")]
    assert sorted(both) == sorted(ROWS)
    assert {n.cell["method"] for n in suite_plan("multiverse", ["digits"]).nodes.values()} >= {
        *ROWS
    }


def test_rows_of_the_table_stand_beside_their_printed_figure():
    rows = pd.DataFrame(multiverse.summarise(records(), SUITE, PAPER))
    assert rows.groupby("panel").size().to_dict() == dict.fromkeys(
        ["coil20", "reuters10k", "usps", "isolet", "mnist"], 64
    )
    printed = rows.groupby("panel").printed_mean.unique().map(list).to_dict()
    assert printed["mnist"] == [80.3] and printed["isolet"] == [71.3]
    assert rows[rows.ours == 1].filling.unique().tolist() == [BASE]
    assert set(rows[rows.panel == "isolet"].version) == {"all", "Isolet 1"}
    assert set(rows[rows.panel != "isolet"].version) == {""}


def test_the_answers_are_those_of_the_records(tmp_path):
    made = records(["coil20"])
    # The printed figure is 77.6 ± 3.1: one above, one within, ours above two others.
    for i, one in enumerate(made):
        one["metrics"]["purity"] = {0: 50.0, 1: 80.0, 2: 75.0, 3: 40.0, 4: 45.0}.get(i, 60.0)
    made[5] |= {"status": "diverged", "metrics": {}}
    made[6] |= {"stale": True}
    text, _ = multiverse.report(made, SUITE | {"datasets": ["coil20"]}, tmp_path, "m")
    line = text.splitlines()[1].split()
    assert line == [*"COIL-20 63/64, 1 stale 40.0 60.0 80.0 77.6 ± 3.1 1, 2 50.0 2/62".split()]
    saved = pd.read_csv(tmp_path / "m.csv", dtype={"S": str})
    assert saved.purity.isna().sum() == 1 and (saved.status == "diverged").sum() == 1
    by_level = saved.groupby("S").purity.mean()
    said = (tmp_path / "m.md").read_text(encoding="utf-8")
    for name in SUITE["factors"]["S"]:
        n = saved.purity[saved.S == name].count()
        assert f"| S | {name} | {by_level[name]:.1f} ({n}) |" in said


def test_the_curve_is_drawn_from_what_is_there(tmp_path):
    def orange(name):
        picture = imread(tmp_path / name / "m.png")[..., :3]
        return (np.abs(picture - np.array([0xD5, 0x5E, 0x00]) / 255).max(-1) < 0.02).sum()

    made, suite = records(["usps"])[:3], SUITE | {"datasets": ["usps"]}
    for name, some in (("with", made), ("without", made[1:])):
        multiverse.report(some, suite, tmp_path / name, "m")
    assert orange("with") > orange("without") > 0  # ours is marked; the legend has it anyway
    text, paths = multiverse.report([], SUITE, tmp_path / "none", "m")
    assert set(paths) == {"csv", "md"} and "0/64" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ('methods = ["kmeans", "spectral"]\n[factors.a]\nx = {}\ny = {}', "methods is"),
        ('methods = ["kmeans"]\n[factors]', "factors has 0"),
        ('methods = ["kmeans"]\n[factors.a]\nx = {}', "a is"),
        ('methods = ["kmeans"]\n[factors.a]\nx = {}\ny = 1', "a.y is 1"),
        ('methods = ["kmeans"]\n[factors.a]\nx = {}\ny = { of = 1 }', "of is 1"),
        ('methods = ["kmeans"]\n[factors.a]\nx = {}\ny = { needs.start = 1 }', "start is 1"),
        ('methods = ["kmeans"]\n[factors.a]\nx = {}\ny = { not_on = 1 }', "not_on is 1"),
        ('methods = ["kmeans"]\n[factors.a]\nx = {}\ny = { none = 1 }', "which kmeans has not"),
        ('methods = ["nobody"]\n[factors.a]\nx = {}\ny = {}', "no method 'nobody'"),
    ],
)
def test_a_bad_design_is_named(box, words, message):
    (box.registry / "suites" / "bad.toml").write_text(f'datasets = ["blobs"]\n{words}\n')
    with pytest.raises(registry.RegistryError, match=message):
        registry.methods()
