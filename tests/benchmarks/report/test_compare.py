"""Two result sets side by side against differences worked out by hand and SciPy's paired t."""

import csv
import json

import numpy as np
import pytest
from scipy import stats

from benchmarks.cli.main import main
from benchmarks.records import folders
from benchmarks.records.store import Store, cell_key
from benchmarks.report.compare import COLUMNS, Side, compare, differing, text


def add(
    store,
    seed,
    purity=None,
    method="kmeans",
    params=None,
    status="done",
    space="raw",
    started="2026-01-01",
    nats=None,
    modules=None,
    dataset="toy",
    **made,
):
    """One attempt; its cell."""
    cell = {
        "dataset": dataset,
        "content_hash": "c0ffee",
        "method": method,
        "seed": seed,
        "params": {"space": space, **(params or {})},
    }
    values = {} if nats is None else {"heldout_log_likelihood": nats}
    store.write(
        {
            "cell": cell,
            "status": status,
            "values": values,
            "seconds": 1.0,
            "metrics": {} if purity is None else {"purity": purity},
            "provenance": {"started": started, "modules": modules or {}, **made},
        }
    )
    return cell


@pytest.fixture
def stores(tmp_path):
    return Store(tmp_path / "a"), Store(tmp_path / "b")


def rows(stores, **how):
    return compare(*map(Side, stores), **how)


def test_differences_are_paired_by_seed_with_students_interval(stores):
    a, b = {0: 70.0, 1: 80.0, 2: 75.0, 3: 60.0, 7: 10.0}, {3: 61.5, 0: 71.0, 1: 84.0, 2: 75.0}
    for store, values in zip(stores, (a, b), strict=True):
        for seed, value in values.items():
            add(store, seed, value)
    (row,) = rows(stores)
    reference = stats.ttest_rel([71.0, 84.0, 75.0, 61.5], [70.0, 80.0, 75.0, 60.0])
    interval = reference.confidence_interval(0.95)
    assert row["n"] == 4 and row["alike"] == 1
    assert row["difference"] == pytest.approx((1 + 4 + 0 + 1.5) / 4)
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
    assert row["a_mean"] == pytest.approx(285 / 4)  # over the pairs: seed 7 is of A alone
    assert row["b_mean"] - row["a_mean"] == pytest.approx(row["difference"])
    assert (row["a_seeds"], row["b_seeds"], row["changed"]) == ("seeds 7", "", "")


def test_one_pair_has_no_interval_and_equal_ones_an_interval_of_nothing(stores):
    for store, value in zip(stores, (50.0, 52.0), strict=True):
        add(store, 0, value)
        add(store, 0, 30.0, "llc")
        add(store, 1, 40.0, "llc")
    found = {row["method"]: row for row in rows(stores)}
    assert (found["kmeans"]["difference"], found["kmeans"]["low"]) == (2.0, None)
    assert [found["llc"][name] for name in ("difference", "low", "high", "alike")] == [0, 0, 0, 2]


def test_the_largest_change_comes_first_within_its_measure(stores):
    for store, sign in zip(stores, (0, 1), strict=True):
        for method, gain in (("one", 1.0), ("two", -3.0), ("three", 2.0)):
            add(store, 0, 50 + sign * gain, method, nats=-9 + sign * 10 * gain)
    assert [(row["measure"], row["method"]) for row in rows(stores)] == [
        (measure, method)
        for measure in ("purity", "heldout_log_likelihood")
        for method in ("two", "three", "one")
    ]


def test_changed_parameters_are_named_and_the_nearest_settings_meet(stores):
    a, b = stores
    add(a, 0, 50.0, params={"lr": 0.1, "epochs": 5})
    add(a, 0, 90.0, params={"lr": 0.1, "epochs": 500}, started="2026-02-01")
    add(b, 0, 53.0, params={"lr": 0.2, "epochs": 5, "decay": True})
    first, second = rows(stores)
    assert first["difference"] == 3.0
    assert first["changed"] == "decay none → true; lr 0.1 → 0.2"
    assert (second["n"], second["a_mean"], second["b_mean"]) == (0, 90.0, None)


def test_of_equally_near_settings_the_newest_counts(stores):
    a, b = stores
    add(a, 0, 50.0, params={"lr": 0.1}, started="2026-03-01")
    add(a, 0, 90.0, params={"lr": 0.3}, started="2026-02-01")
    add(b, 0, 53.0, params={"lr": 0.2})
    assert rows(stores)[0]["difference"] == 3.0


@pytest.mark.parametrize("known", [True, False])
def test_settings_of_the_inputs_count_as_ones_own_where_both_sides_know_them(stores, known):
    for store, epochs in zip(stores, (5, 9), strict=True):
        for seed in (0, 1):
            params = {"epochs": epochs}
            made = {
                "dataset": "toy",
                "content_hash": "c0ffee",
                "method": "autoencoder",
                "seed": seed,
                "params": {"space": "raw", **params},
            }
            if known:
                assert add(store, seed, method="autoencoder", params=params) == made
            add(
                store,
                seed,
                10.0 * epochs + seed,
                space="code",
                params={"inputs": {"codes": f"autoencoder/{cell_key(made)}"}},
            )
    (row,) = rows(stores)
    assert (row["n"], row["difference"]) == (2, 40.0)
    assert row["changed"] == ("codes.epochs 5 → 9" if known else "")


def test_unknown_settings_differ_from_nothing_but_known_ones_of_other_inputs_do():
    a = {"lr": "1", "codes": "autoencoder", "codes.": "unknown"}
    b = {"lr": "1", "codes": "autoencoder", "codes.epochs": "5", "start": "kmeans"}
    assert differing(a, b) == {"start": (None, "kmeans")}
    assert differing({**a, "lr": "2"}, a) == {"lr": ("2", "1")}


def test_evaluations_meet_by_the_model_that_they_score(stores):
    for store, gain in zip(stores, (0.0, 5.0), strict=True):
        for model, nats in (("gan", 100.0), ("vae", 200.0)):
            cell = {
                "dataset": "toy",
                "content_hash": "c0ffee",
                "method": "parzen",
                "seed": 0,
                "params": {"space": "raw", "inputs": {"samples": f"{model}/{'0' * 16}"}},
            }
            store.write(
                {
                    "cell": cell,
                    "status": "done",
                    "seconds": 1.0,
                    "values": {"ll": nats + gain * (model == "gan")},
                    "provenance": {},
                }
            )
    assert [(row["of"], row["difference"]) for row in rows(stores)] == [("gan", 5.0), ("vae", 0.0)]


def test_failures_are_no_numbers_and_are_said(stores):
    a, b = stores
    for seed in (0, 1, 2):
        add(a, seed, 50.0)
    add(b, 0, 51.0)
    add(b, 1, status="error")
    add(b, 2, status="timeout")
    (row,) = rows(stores)
    assert (row["n"], row["a_seeds"], row["b_seeds"]) == (1, "seeds 1-2", "1 error, 1 timeout")


def test_of_several_attempts_the_newest_done_one_counts_and_a_fresh_one_before_it(stores):
    a, b = stores
    add(a, 0, 50.0)
    for purity, modules in ((60.0, {}), (70.0, {"nowhere_at_all": "0" * 16})):
        add(b, 0, purity, modules=modules)  # the second by code that is not what stands here
    add(b, 0, status="error")
    assert rows(stores)[0]["difference"] == 10.0


def test_damaged_labels_are_no_run(stores):
    a, b = stores
    for store in stores:
        cell = {"dataset": "toy", "content_hash": "c", "method": "m", "seed": 0, "params": {}}
        store.write(
            {"cell": cell, "status": "done", "metrics": {"purity": 5.0}, "seconds": 1.0},
            {"labels": np.zeros(3, dtype=np.uint8)},
        )
    next(b.root.rglob("*.npz")).write_bytes(b"")
    (row,) = rows((a, Store(b.results)))
    assert (row["n"], row["a_seeds"], row["b_seeds"]) == (0, "seeds 0", "1 damaged")


def test_the_text_says_what_moved_what_is_alone_and_what_may_be_why(stores):
    for store, gain in zip(stores, (0, 2), strict=True):
        for seed in range(3):
            add(
                store,
                seed,
                50.0 + gain + 0.1 * seed * gain,
                modules={"mine": "a" * 16} if not gain else {"mine": "b" * 16},
                cpu="Ours" if gain else "Theirs",
            )
            add(store, seed, 40.0, "same")
    add(stores[1], 0, 30.0, "new")
    sides = [Side(store) for store in stores]
    said = text(compare(*sides), *sides).splitlines()
    assert said[0] == "purity (percent): 1 of 2 rows differ, B − A, mean [95% interval]"
    assert said[2].split() == [
        "toy",
        "kmeans",
        "raw",
        "3",
        "50.00",
        "52.20",
        "+2.20",
        "[+1.70,",
        "+2.70]",
        "*",
    ]
    assert said[3].startswith("* 1 of 1 intervals leave out 0")
    assert said[4] == "only in B: new ×1"
    assert said[-4:] == [
        "6 runs stand opposite each other",
        "  other code: mine ×3",
        "  other software: none",
        "  other machine: Theirs → Ours ×3",
    ]


def test_the_command_writes_every_row_and_says_what_it_compared(
    stores, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for store, value in zip(stores, (50.0, 52.0), strict=True):
        add(store, 0, value)
        add(store, 0, 40.0, "same")
    assert main(["compare", "a", "b", "--csv", "c.csv"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("A: a, 2 attempts, the last of 2026-01-01\nB: b, 2 attempts")
    assert "1 of 2 rows differ" in out and "wrote c.csv (2 rows)" in out
    with open("c.csv", newline="") as lines:
        first, second = csv.DictReader(lines)
    assert list(first) == list(COLUMNS)
    assert (first["method"], first["difference"], first["low"]) == ("kmeans", "2.0000", "")
    assert (second["method"], second["difference"], second["alike"]) == ("same", "0.0000", "1")
    assert main(["compare", "a", "b", "--output", "c.html"]) == 0
    assert (tmp_path / "c.html").read_text().count("<tr>") == 3
    monkeypatch.setenv("MIXNET_RESULTS", "b")
    assert main(["compare", "a", "--measures", "seconds"]) == 0
    assert "seconds: 0 of 2 rows differ" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, said",
    [
        (["nowhere"], "nowhere is no folder and no revision"),
        (["a", "b"], "b has no record"),
        (["a", "file"], "file is a file"),
        (["a", "plain"], "plain has no records, needs a results folder"),
        (["a", "a", "--measures", "puritty"], "--measures has 'puritty', needs names of purity,"),
        (["a", "a", "--csv", "c.xlsx"], "--csv is c.xlsx, needs a name that ends in one of .csv"),
        (
            ["a", "a", "--csv", "file/c.csv"],
            "--csv is file/c.csv, needs a file that can be written",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(stores, capsys, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(folders, "ROOT", tmp_path)
    add(stores[0], 0, 50.0)
    (tmp_path / "b" / "records").mkdir(parents=True)
    (tmp_path / "plain").mkdir()
    (tmp_path / "file").touch()
    assert main(["compare", *words]) == 2
    assert said in capsys.readouterr().err


def test_a_record_that_cannot_be_read_is_warned_of(stores, capsys):
    for store in stores:
        add(store, 0, 50.0)
        add(store, 1, 50.0)
    path = next(stores[1].root.rglob("*.json"))
    path.write_text(json.dumps({"schema": 1}))
    assert main(["compare", *(str(store.results) for store in stores)]) == 0
    assert f"{path.name} left out: not a record" in capsys.readouterr().err
