"""Verdicts, ties, pairs and gains of made-up rows against scipy's tests and sums by hand."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from benchmarks.report import comparisons, stats, summary, table1, words

PAPER = {
    "mnist": {},
    "table1": {
        "runs": 10,
        "space": {"kmeans": "raw", "ncut": "raw", "mixnet": "code"},
        "datasets": {
            name: {
                "kmeans": {"mean": 60.0, "std": 3.0},
                "ncut": {"mean": 70.0, "std": 5.0},
                "mixnet": {"mean": 75.0, "std": 4.0},
            }
            for name in ("one", "two")
        },
        "notes": [
            {"mark": "a", "datasets": ["one"], "methods": ["ncut"], "accuracy": True, "text": ""},
            {"mark": "d", "datasets": ["two"], "variant": "b", "comparable": False, "text": ""},
        ],
    },
}
METHODS = {
    "kmeans": {"label": "k-means", "kind": "clustering", "spaces": ["raw", "code"]},
    "ncut": {"label": "NCut", "kind": "clustering", "spaces": ["raw", "code"]},
    "mixnet": {
        "label": "Mixture",
        "kind": "mixture",
        "spaces": ["code"],
        "needs": {"start": "kmeans/code"},
    },
}
DATASETS = {
    name: {"title": name, "d": 2, "n": 9, "n_classes": 3, "embedding": "autoencoder"}
    for name in ("one", "two")
}
SUITE = {"datasets": ["one"], "methods": list(METHODS), "seeds": "0-4"}


def records(dataset, method, space, purities, *, acc=None, stale=(), chance=True, **more):
    return [
        {
            "cell": {
                "dataset": dataset,
                "method": method,
                "seed": seed,
                "params": {"space": space},
            },
            "status": "done",
            "stale": seed in stale,
            "seconds": 1.0,
            "metrics": {
                "purity": value,
                "acc": value - 10 if acc is None else acc[seed],
                "nmi": 50.0 + chance * seed,
                "ari": 40.0,
            },
            "values": {},
        }
        | more
        for seed, value in enumerate(purities)
    ]


def rows(*found, **suite):
    made = summary.summarise(
        [run for runs in found for run in runs], SUITE | suite, METHODS, DATASETS, PAPER
    )
    return {comparisons.key(row): row for row in made}


KMEANS = [61.0, 59.0, 60.5, 60.0, 59.5]
CUT = [82.0, 81.0, 83.5, 82.5, 80.0]
MIXTURE = [71.0, 74.0, 70.0, 79.0, 66.0]
CODES = [60.0, 63.5, 61.0, 64.0, 62.0]


def test_every_test_of_the_table_is_one_of_holms_family():
    """Six tests, from scipy and adjusted by hand: two of k-means, four of NCut."""
    accuracy = [71.0, 70.0, 69.5, 70.5, 69.0]
    found = rows(
        records("one", "kmeans", "raw", KMEANS), records("one", "ncut", "raw", CUT, acc=accuracy)
    )
    raw = []
    for values, mean, std in ((KMEANS, 60.0, 3.0), (CUT, 70.0, 5.0), (accuracy, 70.0, 5.0)):
        ours = np.mean(values), np.std(values, ddof=1), 5
        raw.append(scipy_stats.ttest_ind_from_stats(*ours, mean, std, 10, equal_var=False).pvalue)
        raw.append(
            max(
                scipy_stats.ttest_ind_from_stats(
                    ours[0] + shift, *ours[1:], mean, std, 10, equal_var=False, alternative=side
                ).pvalue
                for shift, side in ((comparisons.MARGIN, "greater"), (-comparisons.MARGIN, "less"))
            )
        )
    order = sorted(range(6), key=raw.__getitem__)
    adjusted, largest = {}, 0.0
    for rank, i in enumerate(order):
        largest = max(largest, raw[i] * (6 - rank))
        adjusted[i] = min(1.0, largest)
    kmeans, cut = found["one", "kmeans", "raw"], found["one", "ncut", "raw"]
    got = [
        *(kmeans["p_different"], kmeans["p_level"], cut["p_different"], cut["p_level"]),
        *(cut["acc_p_different"], cut["acc_p_level"]),
    ]
    assert got == pytest.approx([adjusted[i] for i in range(6)])
    assert (kmeans["verdict"], cut["verdict"], cut["acc_verdict"]) == ("level", "above", "level")
    assert comparisons.verdicts(cut) == "above, as accuracy level"
    assert cut["less_paper"] == pytest.approx(np.mean(CUT) - 70.0)
    assert kmeans["acc_p_level"] is None and kmeans["acc_verdict"] == ""
    assert found["one", "ncut", "code"]["p_level"] is None


def test_what_the_tests_do_not_show_is_unclear_and_no_verdict():
    (row,) = rows(records("one", "mixnet", "code", [71.0, 82.0]), methods=["mixnet"]).values()
    assert (row["verdict"], comparisons.said(row)) == ("", "unclear")
    (row,) = rows(records("one", "mixnet", "code", [71.0]), methods=["mixnet"]).values()
    assert (row["verdict"], comparisons.said(row), row["less_paper"]) == ("", "", None)


def test_there_is_no_verdict_on_other_data():
    other, same = (
        rows(records("two", "kmeans", "raw", CUT, variant=variant), datasets=["two"])
        for variant in ("b", "a")
    )
    assert comparisons.said(other["two", "kmeans", "raw"]) == ""
    assert comparisons.said(same["two", "kmeans", "raw"]) == "above"


def test_nothing_is_concluded_from_stale_runs():
    few = rows(records("one", "kmeans", "raw", CUT, stale=(0, 1, 2, 3)))["one", "kmeans", "raw"]
    assert (few["n"], few["stale"], comparisons.said(few)) == (5, 4, "")
    some = rows(records("one", "kmeans", "raw", CUT, stale=(0, 1)))
    row = some["one", "kmeans", "raw"]
    assert row["purity_mean"] == pytest.approx(np.mean(CUT))
    assert row["less_paper"] == pytest.approx(np.mean(CUT[2:]) - 60.0)
    assert comparisons.best(some.values()) == set() and comparisons.pairs(some.values()) == []


def test_a_row_without_chance_is_one_run():
    """Its partition is a constant: the printed sample is tested against it."""
    same = [82.0, 82.0, 82.0 + 1e-13, 82.0, 82.0]
    row = rows(records("one", "ncut", "raw", same, chance=False))["one", "ncut", "raw"]
    assert (row["n"], row["n_asked"], row["alike"], row["purity_std"]) == (1, 1, 5, None)
    assert words.runs(row) == "5/5 alike" and words.pm(row["purity_mean"], None) == "82.0"
    half = scipy_stats.t.ppf(0.975, 9) * 5.0 / math.sqrt(10)
    assert (row["less_paper_low"], row["less_paper_high"]) == pytest.approx((12 - half, 12 + half))
    varied = rows(records("one", "ncut", "raw", same))["one", "ncut", "raw"]  # by another score
    assert (varied["n"], varied["alike"]) == (5, 0)
    few = rows(records("one", "ncut", "raw", same[:2], chance=False))["one", "ncut", "raw"]
    assert words.runs(few) == "2/5 alike" and few["missing"] == "3 not run"
    alone = rows(records("one", "ncut", "raw", same[:1], chance=False))["one", "ncut", "raw"]
    assert (alone["n"], alone["alike"], words.runs(alone)) == (1, 0, "1/5")


def test_ties_with_the_best_are_paired_by_seed():
    """A mean well below may tie where it differs from seed to seed, one nearer by may not."""
    near = [value - gap for value, gap in zip(CUT, (-4.0, 3.0, 5.0, -3.0, 2.0), strict=True)]
    steady = [value - 0.5 - 0.01 * i for i, value in enumerate(CUT)]
    found = rows(
        records("one", "ncut", "raw", CUT),
        records("one", "ncut", "code", steady),
        records("one", "kmeans", "raw", near),
        records("one", "kmeans", "code", [99.0, 99.0]),  # not all of its runs
    )
    assert np.mean(near) < np.mean(steady) < np.mean(CUT)
    assert comparisons.best(found.values()) == {("one", "ncut", "raw"), ("one", "kmeans", "raw")}


def test_pairs_are_scipys_and_adjusted_a_dataset():
    found = rows(
        records("one", "kmeans", "code", CODES),
        records("one", "ncut", "code", CUT),
        records("one", "mixnet", "code", MIXTURE[:4]),
    )
    pairs = comparisons.pairs(found.values())
    by = {(pair["a"], pair["b"]): pair for pair in pairs}
    assert list(by) == [("kmeans", "ncut"), ("kmeans", "mixnet"), ("ncut", "mixnet")]
    tests = [
        scipy_stats.ttest_rel(CODES, CUT),
        scipy_stats.ttest_rel(CODES[:4], MIXTURE[:4]),
        scipy_stats.ttest_rel(CUT[:4], MIXTURE[:4]),
    ]
    for pair, test in zip(pairs, tests, strict=True):
        interval = test.confidence_interval()
        assert [pair[name] for name in ("low", "high", "p")] == pytest.approx(
            [interval.low, interval.high, test.pvalue]
        )
    assert [pair["n"] for pair in pairs] == [5, 4, 4]
    adjusted = stats.holm([test.pvalue for test in tests])
    assert [pair["p_holm"] for pair in pairs] == pytest.approx(adjusted)
    lines = "\n".join(comparisons.matrices(pairs, DATASETS, 5)).splitlines()
    assert lines[1] == "### one, code" and lines[3] == "|  | kmeans | ncut |"
    assert lines[5].startswith("| ncut | **+19.7 [+") and lines[5].endswith("]** |  |")
    mean = np.mean(np.subtract(MIXTURE[:4], CODES[:4]))
    assert lines[6].startswith(f"| mixnet | **+{mean:.1f} [") and lines[6].endswith("(4) |")


def test_two_rows_without_chance_differ_exactly():
    found = rows(
        records("one", "ncut", "raw", [82.0] * 5, chance=False),
        records("one", "kmeans", "raw", [80.0] * 5, chance=False),
    )
    (pair,) = comparisons.pairs(found.values())
    assert [pair[name] for name in ("difference", "low", "high", "p")] == [-2.0, -2.0, -2.0, 0.0]
    assert "| ncut | **+2.0** |" in comparisons.matrices([pair], DATASETS, 5)[-1]


def test_gains_are_over_the_start_of_the_method_paired_by_seed():
    found = rows(
        records("one", "kmeans", "code", CODES, stale=(4,)),
        records("one", "kmeans", "raw", CUT),
        records("one", "mixnet", "code", MIXTURE),
    )
    paper, ours = comparisons.gains(found.values(), METHODS, PAPER)
    test = scipy_stats.ttest_rel(MIXTURE, CODES)
    assert (paper["what"], paper["gain"], paper["n"]) == ("paper", 15.0, 10)
    printed = scipy_stats.ttest_ind_from_stats(75.0, 4.0, 10, 60.0, 3.0, 10, equal_var=False)
    error = 15.0 / printed.statistic  # of the printed means, by Welch: 9 (16 + 9)² / (16² + 9²)
    assert paper["high"] == pytest.approx(15.0 + error * scipy_stats.t.ppf(0.975, 5625 / 337))
    assert (ours["what"], ours["n"], ours["stale"]) == ("mixnet", 5, 1)
    assert (ours["low"], ours["high"]) == pytest.approx(tuple(test.confidence_interval()))
    table = comparisons.gain_table([paper, ours], METHODS, DATASETS)
    assert table.head == ("Dataset", "Paper", "Mixture")
    assert table.rows[0][1].startswith("+15.0 [+") and "(5), *1 stale*" in table.rows[0][2]
    shown = table1.to_markdown(list(found.values()), SUITE, METHODS, DATASETS, PAPER)
    assert shown.index("## Gain over the start") < shown.index("## Purity")


def test_seconds_of_the_autoencoder_stand_beside_those_of_the_method():
    found = rows(
        records("one", "kmeans", "code", CODES, codes_seconds=40.0),
        records("one", "kmeans", "raw", CUT),
    )
    shown = table1.to_markdown(list(found.values()), SUITE, METHODS, DATASETS, PAPER)
    assert "| 1.0 + 40.0 |" in shown and shown.count("+ 40.0") == 1


def test_four_in_five_pairs_of_equals_are_shown_to_be_level_by_the_margin():
    """Ten runs each of the deviation 3.7, drawn 4000 times."""
    drawn = np.random.default_rng(0).normal(70.0, 3.7, size=(2, 10, 4000))
    tests = [
        scipy_stats.ttest_ind(drawn[0] + shift, drawn[1], equal_var=False, alternative=side).pvalue
        for shift, side in ((comparisons.MARGIN, "greater"), (-comparisons.MARGIN, "less"))
    ]
    assert np.mean(np.maximum(*tests) <= comparisons.ALPHA) == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((1.06, -5.5, 7.7), "+1.1 [−5.5, +7.7]"),
        ((-0.04, -0.5, 0.04), "+0.0 [−0.5, +0.0]"),
        ((6.3, 6.3, 6.3), "+6.3"),
        ((6.3, 6.29, 6.31), "+6.3 [+6.3, +6.3]"),
    ],
)
def test_a_difference_has_its_sign_and_interval(numbers, text):
    assert words.interval(*numbers) == text
