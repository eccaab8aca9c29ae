"""The purity gate: its rule against other software, its reference, its study, the whole of it."""

import json
import shutil

import numpy as np
import pytest
from scipy import stats

from benchmarks import registry
from benchmarks.cli.main import main as cli
from benchmarks.gate import grid, reference, study
from benchmarks.gate.rule import judge, moderated_t, together

GATE = {
    "alpha": 0.01,
    "exact": ["ncut"],
    "moved_elsewhere": 3,
    "seeds": list(range(5)),
    "measures": {
        "purity": {"label": "purity", "unit": "points", "least": 0.1},
        "loglik": {"label": "likelihood", "unit": "nats", "least": 0.01},
    },
}
MADE = {
    "cpu": "one",
    "python": "3",
    "torch": "2",
    "numpy": "2",
    "scipy": "1",
    "scikit-learn": "1",
    "commit": "c0ffee",
    "dirty": False,
    "key": "0",
}


def rows(values, dataset="digits", method="mixnet", seeds=None, loglik=None, **changes):
    """Rows of the reference, one a value."""
    seeds = range(len(values)) if seeds is None else seeds
    return [
        {
            "dataset": dataset,
            "method": method,
            "space": "code",
            "seed": seed,
            "status": "done",
            "n": 1000,
            "purity": value,
            "loglik": None if loglik is None else loglik[i],
            **MADE,
            **changes,
        }
        for i, (seed, value) in enumerate(zip(seeds, values, strict=True))
    ]


def red(old, new, gate=GATE):
    return [v for v in judge(old, new, gate, gate["seeds"]) if not v.passed]


SPREAD = [80.0, 81.5, 79.0, 80.5, 82.0, 78.5, 80.0, 81.0, 79.5, 80.0]


def test_t_without_prior_is_the_paired_t_test():
    rng = np.random.default_rng(0)
    old, new = rng.normal(80, 2, (2, 7, 5))
    t, error, df = moderated_t(new - old, 1.0, 0)
    other = stats.ttest_rel(new, old, axis=1)
    np.testing.assert_allclose(t, other.statistic)
    np.testing.assert_allclose(
        stats.t.cdf(t, df), stats.ttest_rel(new, old, axis=1, alternative="less").pvalue
    )
    np.testing.assert_allclose((new - old).mean(1) / error, t)


def test_t_with_certain_prior_is_the_z_test():
    differences = np.array([-1.0, -3.0, 0.5, -2.0, -1.5])
    t, _, _ = moderated_t(differences, 1.7, 10**9)
    assert t == pytest.approx(differences.mean() / (1.7 * np.sqrt(2 / 5)), rel=1e-6)


def test_variance_is_the_weighted_mean_of_both():
    differences = np.array([-1.0, -3.0, 0.5, -2.0, -1.5])
    _, error, df = moderated_t(differences, 1.7, 9)
    assert df == 13
    assert error**2 * 5 == pytest.approx((9 * 2 * 1.7**2 + 4 * differences.var(ddof=1)) / 13)


def test_sum_of_t_has_the_size_of_a_normal_variable():
    t = stats.t(13).rvs((100_000, 4), random_state=1)
    assert together(t, 13).std() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(("differences", "sigma"), [([1.0], 1.0), ([1.0, 2.0], 0.0)])
def test_t_refuses_what_has_no_variance(differences, sigma):
    with pytest.raises(ValueError, match="differences need|sigma must"):
        moderated_t(differences, sigma, 9)


def test_equal_values_pass_with_and_without_variance():
    for values in (SPREAD, [100.0] * 10):
        verdicts = judge(rows(values), rows(values[:5]), GATE, GATE["seeds"])
        assert [(v.passed, v.mean, v.why) for v in verdicts] == [(True, 0.0, "identical")]


def test_constant_drop_fails_and_a_rise_does_not():
    constant = [100.0] * 10
    assert red(rows(constant), rows([99.0] * 5)), "no variance, but a drop in every seed"
    assert not red(rows(constant), rows([99.98] * 5)), "a rounding"
    assert not red(rows(SPREAD), rows([v + 15 for v in SPREAD[:5]]))
    assert red(rows(SPREAD), rows([v - 15 for v in SPREAD[:5]]))


def test_limit_is_where_a_shift_begins_to_fail():
    (verdict,) = judge(rows(SPREAD), rows([v - 1 for v in SPREAD[:5]]), GATE, GATE["seeds"])
    for share, passed in ((0.999, True), (1.001, False)):
        moved = [v + share * verdict.limit for v in SPREAD[:5]]
        assert judge(rows(SPREAD), rows(moved), GATE, GATE["seeds"])[0].passed == passed


def test_other_seeds_of_the_reference_only_give_the_deviation():
    assert not red(rows(SPREAD), rows(SPREAD[:5]))
    calm, wild = [[*SPREAD[:5], *rest] for rest in (SPREAD[5:], [40.0, 99.0, 60.0, 90.0, 50.0])]
    lower = rows([v - 8 for v in SPREAD[:5]])
    assert red(rows(calm), lower) and not red(rows(wild), lower)


def test_likelihood_is_a_test_of_its_own():
    old = rows(SPREAD, loglik=SPREAD)
    new = rows(SPREAD[:5], loglik=[v - 15 for v in SPREAD[:5]])
    assert [(v.measure, v.passed) for v in judge(old, new, GATE, GATE["seeds"])] == [
        ("purity", True),
        ("loglik", False),
    ]


def test_drop_shared_by_datasets_is_found_together():
    drop, names = 1.6, ("a", "b", "c", "d", "e")
    old = [row for name in names for row in rows(SPREAD, name)]
    new = [row for name in names for row in rows([v - drop for v in SPREAD[:5]], name)]
    assert [v.row for v in red(old, new)] == [("all", "mixnet", "any")]


@pytest.mark.parametrize("status", ["timeout", "killed", "diverged", "error", "skipped", "no data"])
def test_cell_that_is_not_done_fails(status):
    new = rows(SPREAD[:5])
    new[3].update(status=status, purity=None, n=None, reason="because")
    (verdict,) = red(rows(SPREAD), new)
    assert verdict.why == f"seed 3 of the run is {status} (because)"
    old = rows(SPREAD)
    old[7]["status"] = status
    assert f"seed 7 of the reference is {status}" in red(old, rows(SPREAD[:5]))[0].why


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (rows(SPREAD), rows(SPREAD[:4]), "not in the run: seed 4"),
        (rows(SPREAD), [], "not in the run: the row"),
        ([], rows(SPREAD[:5]), "not in the reference: the row"),
        (rows(SPREAD[:3]), rows(SPREAD[:5]), "not in the reference: seed 3, 4"),
        (rows(SPREAD), rows(SPREAD[:5], loglik=SPREAD), "not measured in both"),
    ],
)
def test_what_is_missing_fails(old, new, why):
    verdicts = red(old, new)
    assert any(why in v.why for v in verdicts), verdicts


@pytest.mark.parametrize(
    ("points", "machine", "passed"),
    [(0, "one", True), (1, "one", False), (-1, "one", False), (3, "two", True), (4, "two", False)],
)
def test_exact_rows(points, machine, passed):
    old = rows([88.0] * 5, method="ncut")
    new = rows([88.0 - points / 10], method="ncut", cpu=machine)
    assert (not red(old, new)) == passed
    new[0]["n"] = 1001
    assert red(old, new), "another number of points is another dataset"


def test_level_holds_for_unrelated_runs_and_is_split_among_the_tests():
    rng, alarms, repeats = np.random.default_rng(3), 0, 400
    gate = {**GATE, "alpha": 0.2}
    for _ in range(repeats):
        old = [row for name in "abc" for row in rows(list(rng.normal(80, 3, 10)), name)]
        new = [row for name in "abc" for row in rows(list(rng.normal(80, 3, 5)), name)]
        alarms += bool(red(old, new, gate))
    assert 0.08 < alarms / repeats < 0.26  # binomial: 0.2 ± 0.06 at three standard errors


# the reference's file


def test_reference_survives_a_round_trip(tmp_path):
    made = rows(SPREAD, loglik=[-v for v in SPREAD], dirty=True) + rows([88.2] * 5, method="ncut")
    path = tmp_path / "gate" / "reference.csv"
    reference.write(path, made, GATE["measures"])
    assert reference.read(path, GATE["measures"]) == made
    assert reference.read(tmp_path / "none.csv", GATE["measures"]) == []
    assert reference.machines(made) == ["one, python 3, torch 2, numpy 2, scipy 1, scikit-learn 1"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("purity", "purety"), "has no column purity"),
        (lambda text: text + text.splitlines()[1] + "\n", "digits mixnet code 0 twice"),
        (lambda text: text.replace("80.000000", "eighty"), "line 2"),
    ],
)
def test_broken_reference_is_refused(tmp_path, change, message):
    path = tmp_path / "reference.csv"
    reference.write(path, rows(SPREAD), GATE["measures"])
    path.write_text(change(path.read_text()))
    with pytest.raises(reference.BadReference, match=message):
        reference.read(path, GATE["measures"])


# what the study says


def made(values=SPREAD, **changes):
    return study.tests(rows(values, **changes), GATE)


def test_study_simulates_the_tests_that_the_rule_makes():
    old = rows(SPREAD, loglik=SPREAD) + rows(SPREAD, "usps") + rows([88.0] * 5, method="ncut")
    new = [row for row in old if row["seed"] < 5]
    simulation = study.Simulation(study.tests(old, GATE), GATE)
    tests = [v for v in judge(old, new, GATE, GATE["seeds"]) if v.p is not None]
    assert len(tests) == len(simulation.tests) + len(simulation.groups) == 4
    assert simulation.level == pytest.approx(0.01 / 4)


def test_power_agrees_with_the_rule_on_drawn_runs():
    """The smallest drops of the study, against runs that are drawn and judged one by one."""
    (row, _) = study.power_rows(made(), GATE)
    rng, sd, n, found = np.random.default_rng(8), np.std(SPREAD, ddof=1), 400, 0
    for _ in range(n):
        old = rows(list(rng.normal(80, sd, 10)))
        found += bool(red(old, rows(list(rng.normal(80 - row["drop_80"], sd, 5)))))
    assert found / n == pytest.approx(0.8, abs=0.07)


def test_power_is_the_noncentral_t_of_the_textbook_where_the_deviation_is_certain():
    """Many seeds in the reference, none of them paired: a z-test, whose power has a formula."""
    values = np.random.default_rng(2).normal(80, 2, 500)
    gate = {**GATE, "measures": {"purity": GATE["measures"]["purity"]}}
    values = 80 + 2 * (values - values.mean()) / values.std(ddof=1)
    test = study.Test("digits", "mixnet", "code", "purity", values)
    (row, _) = study.power_rows([test], gate)
    wanted = (stats.norm.ppf(0.99) + stats.norm.ppf(0.8)) * 2 * np.sqrt(2 / 5)
    assert row["drop_80"] == pytest.approx(wanted, rel=0.03)
    assert row["false_alarms"] == pytest.approx(0.01, abs=0.004)
    assert row["drop_80_tied_0.5"] < row["drop_80"]


def test_false_alarms_of_split_seeds_keep_the_level():
    values = np.random.default_rng(4).normal(80, 2, 10)
    test = study.Test("digits", "mixnet", "code", "purity", values)
    (row,) = study.false_alarms([test], GATE, 0.001)
    assert row["alarms"] <= 0.003 and 0.005 < row["alarms_5%"] < 0.08


@pytest.mark.slow
def test_study_writes_the_same_files_twice(tmp_path, full_shelf, capsys):
    old = rows(SPREAD, loglik=SPREAD) + rows(SPREAD[::-1], "usps", loglik=SPREAD)
    for name in ("one", "two"):
        assert study.main(GATE, old, full_shelf.store, tmp_path / name) == 0
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["false_alarms.csv", "power.csv", "power.md", "power.pdf", "power.png"]
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    with pytest.raises(ValueError, match="no row of three seeds"):
        study.main(GATE, [], full_shelf.store, tmp_path)


# the command, on cells without torch

TOML = """
seeds = "0-1"
reference_seeds = "0-3"
alpha = 0.01
exact = ["spectral"]
moved_elsewhere = 0
timeout_s = 60
[measures.purity]
label = "purity"
unit = "points"
least = 0.1
[measures.held_out]
label = "held out"
unit = "nats"
least = 0.01
[[grid]]
datasets = ["blobs"]
methods = { spectral = "raw", kmeans10 = "code", mixnet = "code" }
schedule.autoencoder = { power = 3 }
"""


@pytest.fixture
def small(box, capsys):
    (box.registry / "gate.toml").write_text(TOML)

    def gate(*words):
        status = cli(["gate", "--jobs", "2", *words])
        out = capsys.readouterr()
        return status, out.out, out.err

    box.gate = gate
    return box


@pytest.fixture(scope="module")
def kept_reference(tmp_path_factory):
    return tmp_path_factory.mktemp("reference") / "reference.csv"


@pytest.fixture
def referred(small, kept_reference):
    """`small` with its reference, which is computed for the first test only."""
    path = small.results / "gate" / "reference.csv"
    if kept_reference.exists():
        path.parent.mkdir(parents=True)
        shutil.copy(kept_reference, path)
    else:
        assert small.gate("--update")[0] == 0
        shutil.copy(path, kept_reference)
    return small


@pytest.mark.slow
def test_gate_from_nothing_to_red(small):
    assert small.gate()[0] == 2, "no reference"
    status, out, _ = small.gate("--update")
    path = small.results / "gate" / "reference.csv"
    assert status == 0 and path.is_file() and "none" in out
    before = path.read_bytes()

    small.clear()
    status, out, _ = small.gate()
    assert status == 0 and "green" in out and out.count("identical") == 3
    assert small.ran() == sorted(
        ["eigen 0", *(f"{name} {seed}" for seed in (0, 1) for name in ("embed", "good", "mix"))]
    )
    assert not (small.results / "records").exists() and not (small.root / "artifacts").exists()

    small.edit("mix", '"held_out": -1.5', '"held_out": -2.5')
    status, out, err = small.gate()
    assert status == 1 and "RED, 1 of 4" in out and "--update" in err
    assert path.read_bytes() == before, "only --update changes it"

    status, out, _ = small.gate("--update")
    line = next(line for line in out.splitlines() if "mixnet" in line and "held out" in line)
    assert status == 0 and "-1.500" in line and "-2.500" in line and "-1.000" in line
    assert path.read_bytes() != before and small.gate()[0] == 0


@pytest.mark.slow
def test_gate_takes_a_broken_cell_for_a_failure_and_no_reference(referred):
    path = referred.results / "gate" / "reference.csv"
    before = path.read_bytes()
    referred.edit("mix", "assert init_labels", 'raise ValueError("broken")\n        assert labels')
    status, out, _ = referred.gate()
    assert status == 1 and "seed 0 of the run is error (ValueError: broken)" in out
    status, _, err = referred.gate("--update")
    assert status == 1 and "stays as it was" in err and path.read_bytes() == before


@pytest.mark.slow
def test_gate_names_what_the_grid_and_the_reference_do_not_share(referred):
    toml = referred.registry / "gate.toml"
    toml.write_text(TOML.replace("kmeans10 = ", "kmeans = "))
    status, out, _ = referred.gate()
    assert status == 1
    assert "not in the reference: the row" in out and "not in the run: the row" in out
    toml.write_text(TOML.replace("power = 3", "power = 2"))
    assert "parameters or inputs are not those of the reference: blobs" in referred.gate()[1]


@pytest.mark.slow
def test_gate_keeps_records_in_an_empty_folder_only(referred, tmp_path):
    kept = tmp_path / "kept"
    assert referred.gate("--keep", str(kept))[0] == 0
    found = [json.loads(p.read_text()) for p in kept.glob("results/records/*/*/*.json")]
    assert len(found) == 4 + 3 and all(r["timeout_s"] == 60 for r in found)
    assert {r["cell"]["params"]["power"] for r in found if r["kind"] == "embedding"} == {3}
    assert all(r["provenance"]["threads"] == 1 for r in found)
    status, _, err = referred.gate("--keep", str(kept))
    assert status == 2 and "needs to be empty" in err


def test_gate_refuses_a_place_that_cannot_be_written_before_it_runs(small, tmp_path):
    (tmp_path / "file").touch()
    for words in (
        ("--update", "--reference", str(tmp_path / "file" / "reference.csv")),
        ("--update", "--keep", str(tmp_path / "file")),
    ):
        status, out, err = small.gate(*words)
        assert status == 2 and f"{words[-2]} needs a folder that can be written" in err
        assert small.ran() == [] and "cells in" not in out


@pytest.mark.slow
def test_gate_without_data_runs_on_the_rest_and_says_so(small, monkeypatch):
    toml = small.registry / "gate.toml"
    toml.write_text(
        TOML.replace('["blobs"]', '["blobs", "flat"]').replace('spectral = "raw", ', "")
    )
    assert small.gate("--update")[0] == 0
    monkeypatch.setattr(grid, "_present", lambda name, source: name != "flat")
    status, out, _ = small.gate()
    assert status == 0 and "no data on this machine for flat: the gate runs on blobs only" in out
    status, _, err = small.gate("--update")
    assert status == 2 and "needs all datasets of the grid, flat not here" in err
    status, _, err = small.gate("--update", "--datasets", "blobs")
    assert status == 2 and "not a selection" in err
    status, _, err = small.gate("--datasets", "flat")
    assert status == 2 and "none of the datasets" in err
    status, _, err = small.gate("--datasets", "blob")
    assert status == 2 and "did you mean blobs" in err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("alpha = 0.01", "", "needs `alpha`"),
        ('reference_seeds = "0-3"', 'reference_seeds = "1-3"', "must hold all of seeds"),
        ("{ power = 3 }", "{ powr = 3 }", "powr"),
        (
            "[[grid]]",
            '[[grid]]\ndatasets = ["blobs"]\nmethods = { kmeans = "raw" }\n[[grid]]',
            "blobs stands in more than one grid",
        ),
    ],
)
def test_grid_is_checked_at_the_door(small, old, new, message):
    (small.registry / "gate.toml").write_text(TOML.replace(old, new))
    status, _, err = small.gate("--update")
    assert status == 2 and message in err


# the grid of this project


def test_grid_has_what_it_must(monkeypatch, tmp_path):
    gate = grid.load()
    assert len(gate["seeds"]) == 5 and len(gate["reference_seeds"]) >= 10
    names = grid.datasets(gate)
    assert {"coil20", "usps-test", "digits"} <= set(names)
    assert grid.choose(gate, str(tmp_path))[1] == ["usps-test", "coil20"], "an empty data folder"
    methods = registry.methods()
    assert [part["datasets"] for part in gate["grid"] if "mixnet" not in part["methods"]] == [
        ["coil20"]
    ]
    for part in gate["grid"]:
        assert set(part["methods"]) <= set(methods)
        if "mixnet" not in part["methods"]:
            continue
        for recipe in ("mixnet", "mixnet+"):  # both, or neither
            assert set(part["schedule"][recipe]) <= {
                "t1",
                "t2",
                "min_updates",
                "updates",
                "n_samples",
                "n_final_samples",
            }, "schedules and no more"


def test_reference_fits_the_grid():
    """Every cell of the grid is in the tracked reference, done, and no other."""
    from benchmarks.records.store import default_results

    gate = grid.load()
    old = reference.read(reference.path_in(default_results()), gate["measures"])
    wanted = {
        (dataset, method, "raw" if "two" in dataset or "moon" in dataset else space, seed)
        for part in gate["grid"]
        for dataset in part["datasets"]
        for method, space in part["methods"].items()
        for seed in (gate["seeds"][:1] if method in gate["exact"] else gate["reference_seeds"])
    }
    assert {(r["dataset"], r["method"], r["space"], r["seed"]) for r in old} == wanted
    assert all(row["status"] == "done" and not row["dirty"] for row in old)
