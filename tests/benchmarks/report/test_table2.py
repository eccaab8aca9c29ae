"""Table 2 from records, against the same means by pandas; what it says and what it leaves empty."""

import pandas as pd
import pytest

from benchmarks import registry
from benchmarks.report import table2

SUITE = {
    "title": "Table 2",
    "evaluations": ["parzen", "measures"],
    "seeds": [0, 1, 2],
    "methods": ["gan", "mixnet-samples", "training-images", "test-images", "parzen"],
    "datasets": ["mnist"],
}


def generated(method, space, seed, status="done", before=None, **values):
    phases = {"fit": values.get("train_seconds")} | ({"before_resume": before} if before else {})
    return {
        "kind": "generative",
        "status": status,
        "values": values,
        "phases": phases,
        "key": f"{method}-{space}-{seed}",
        "cell": {"method": method, "seed": seed, "params": {"space": space}},
    }


def evaluated(by, method, space, seed, status="done", stale=False, key=None, **values):
    return {
        "kind": "evaluation",
        "status": status,
        "values": values,
        "stale": stale,
        "cell": {
            "method": by,
            "seed": seed,
            "params": {
                "space": space,
                "inputs": {"samples": f"{method}/{key or f'{method}-{space}-{seed}'}"},
            },
        },
    }


def parzen(method, space, seed, ll, **more):
    values = {"ll": ll, "se": 2.0, "sigma": 0.2, "protocol": "goodfellow"}
    return evaluated("parzen", method, space, seed, **values, **more)


RECORDS = [
    generated("gan", "raw", 0, train_seconds=100.0, updates=75, stopped_by="budget"),
    generated("gan", "raw", 1, train_seconds=30.0, before=80.0, updates=75, stopped_by="budget"),
    generated("gan", "raw", 2, status="timeout"),
    parzen("gan", "raw", 0, 220.0),
    parzen("gan", "raw", 1, 231.0, stale=True),
    evaluated("parzen", "gan", "raw", 2, status="skipped"),
    evaluated("measures", "gan", "raw", 0, mmd2=0.01, n_samples=9, n_test=9),
    evaluated("measures", "gan", "raw", 1, mmd2=0.03, n_samples=9, n_test=9),
    generated("mixnet-samples", "code", 0, train_seconds=500.0, autoencoder_seconds=60.0),
    parzen("mixnet-samples", "code", 0, 310.0),
    generated("training-images", "raw", 0, train_seconds=0.0),
    generated("training-images", "code", 0, train_seconds=0.0),
    {
        "kind": "evaluation",
        "status": "done",
        "values": {"mmd2": 0.001},
        "cell": {"method": "test-images", "seed": 0, "params": {"space": "raw"}},
    },
    parzen("training-images", "raw", 0, 244.0),
    parzen("training-images", "code", 0, 305.0),
]


@pytest.fixture
def rows():
    scores, measures = table2.summarise(RECORDS, SUITE, registry.methods(), registry.paper())
    return {(r["model"], r["space"]): r for r in scores}, measures


def test_means_deviations_and_what_is_missing(rows):
    gan = rows[0]["gan", "raw"]
    column = pd.Series([220.0, 231.0])
    assert (gan["n"], gan["n_asked"], gan["missing"], gan["stale"]) == (2, 3, "1 skipped", 1)
    assert gan["ll_mean"] == column.mean() and gan["ll_std"] == pytest.approx(column.std())
    assert gan["seconds_mean"] == 105 and gan["stopped_by"] == "budget 2"
    assert (gan["paper_mean"], gan["paper_pm"], gan["verdict"]) == (
        225,
        2,
        "",
    )  # 220 and 231: not clear


def test_the_mixture_stands_beside_the_papers_figure_and_counts_its_autoencoder(rows):
    mixture = rows[0]["mixnet", "code"]
    assert (mixture["paper_mean"], mixture["seconds_mean"]) == (308, 560)
    assert mixture["ll_std"] is None and mixture["verdict"] == ""
    assert mixture["missing"] == "2 not run"


def test_a_training_at_its_published_length_is_the_same_model():
    suite = SUITE | {"methods": ["gan-full"]}
    records = [
        generated("gan-full", "raw", 0, train_seconds=9.0),
        parzen("gan-full", "raw", 0, 230.0),
    ]
    (row,), _ = table2.summarise(records, suite, registry.methods(), registry.paper())
    assert (row["model"], row["n"], row["ll_mean"], row["paper_mean"]) == ("gan", 1, 230, 225)


def test_scores_of_samples_that_are_not_asked_for_do_not_count(rows):
    others = [
        parzen("gan", "raw", 0, 34.2, key="of-other-settings"),
        evaluated("measures", "gan", "raw", 1, key="of-other-settings", mmd2=9.0),
    ]
    scores, measures = table2.summarise(
        [*others, *RECORDS, *others], SUITE, registry.methods(), registry.paper()
    )
    assert {(r["model"], r["space"]): r for r in scores} == rows[0] and measures == rows[1]
    alone, _ = table2.summarise(
        [parzen("gan", "raw", 0, 220.0)], SUITE, registry.methods(), registry.paper()
    )
    assert alone[0]["n"] == 0 and alone[0]["missing"] == "3 not run"


def test_no_figure_of_the_paper_stands_in_a_measured_column(rows):
    empty = table2.summarise([], SUITE, registry.methods(), registry.paper())[0]
    for row in empty:
        assert (
            row["n"] == 0 and row["paper_mean"] == rows[0][row["model"], row["space"]]["paper_mean"]
        )
        assert all(row[c] is None for c in ("ll_mean", "ll_std", "ll_se", "sigma", "seconds_mean"))


def test_files(tmp_path, monkeypatch):
    text, paths = table2.report(RECORDS, SUITE, tmp_path, "table2")
    table = pd.read_csv(paths["table2.csv"])
    assert list(table)[:10] == [
        "model",
        "n",
        "ll_mean",
        "ll_std",
        "ll_se",
        "sigma",
        "seconds_mean",
        "paper_mean",
        "paper_pm",
        "verdict",
    ]
    assert table.ll_mean.tolist() == [225.5, 310, 244, 305]
    other = pd.read_csv(paths["table2-measures.csv"])
    assert other.mmd2_mean[0] == 0.02 and other.n.tolist() == [2, 0, 0, 0, 1]
    markdown = paths["table2.md"].read_text()
    assert "| Real training images, reconstructed | 1/3 | 305.0 |" in markdown
    assert "| GAN | 2 | 0.02 ± 0.01 |" in markdown
    assert "| Real test images | 1 | 0.001 |" in markdown and "| Parzen window |" not in markdown
    assert r"225.5 $\pm$ 7.8" in paths["table2.tex"].read_text()
    assert "budget 2" in text and "1 stale, 1 skipped" in text


def test_measures_in_features_stand_in_a_table_of_their_own(tmp_path):
    suite = SUITE | {
        "evaluations": ["parzen", "measures", "feature-measures"],
        "methods": [*SUITE["methods"], "test-images-features", "digit-classifier"],
    }
    features = {
        "kind": "evaluation",
        "status": "done",
        "values": {"precision": 0.875, "n_test": 9},
        "cell": {"method": "test-images-features", "seed": 1, "params": {"space": "raw"}},
    }
    classifier = {
        "kind": "exhibit",
        "status": "done",
        "values": {"accuracy": 97.25, "n_held_out": 10_000},
        "cell": {"method": "digit-classifier", "seed": 0, "params": {"space": "raw"}},
    }
    own = evaluated("feature-measures", "gan", "raw", 1, precision=0.5, frechet=12.345, n_test=9)
    records = [*RECORDS, features, classifier, own]
    _, measures = table2.summarise(records, suite, registry.methods(), registry.paper())
    assert [row["method"] for row in measures] == SUITE["methods"][:2] + [
        "training-images",
        "training-images",
        "test-images",
    ]
    assert (measures[0]["n"], measures[0]["n_features"]) == (2, 1)
    assert (measures[-1]["mmd2_mean"], measures[-1]["precision_mean"]) == (0.001, 0.875)
    _, paths = table2.report(records, suite, tmp_path, "table2")
    markdown = paths["table2.md"].read_text(encoding="utf-8")
    assert "| GAN | 1 | 0.5 | 12.3 |" in markdown and "| GAN | 2 | 0.02 ± 0.01 |" in markdown
    assert "| Real test images | 1 | 0.875 |" in markdown
    assert "right on 97.2% of the 10,000 training images" in markdown
    assert "| Measures in features | k | 3 | published: Kynkäänniemi" in markdown


def test_the_accuracy_of_a_classifier_has_the_digits_that_machines_agree_on():
    assert table2._short("classifier_accuracy", 0.5134, None) == "0.51"
    assert table2._short("mmd2", 0.001944, 0.00013) == "0.00194 ± 0.0001"


def test_the_printed_figure_stands_beside_both_lengths_of_the_mixture():
    names = ("mixnet-samples", "mixnet-printed-samples")
    scores, _ = table2.summarise(
        [], SUITE | {"methods": list(names)}, registry.methods(), registry.paper()
    )
    assert [(r["model"], r["paper_mean"], r["n"]) for r in scores] == [
        ("mixnet", 308, 0),
        ("mixnet-printed", 308, 0),
    ]


@pytest.mark.parametrize(
    ("values", "word"),
    [([307.6, 308.0, 308.4], "level"), ([314.0, 315.0], "above"), ([300.0], ""), ([304, 311], "")],
)
def test_a_verdict_is_shown_by_a_test_of_difference_or_of_equivalence(values, word):
    assert table2._verdict(values, {"mean": 308, "pm": 2.8}) == word
    assert table2._verdict(values, {}) == ""
