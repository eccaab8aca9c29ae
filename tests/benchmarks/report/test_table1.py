"""Table 1 from synthetic records: means, missing and stale cells, the paper's figures, files."""

import csv
import re
import statistics
import tomllib
from pathlib import Path

import pytest
from matplotlib.image import imread

from benchmarks.report import comparisons, notes, summary, table1

PAPER = tomllib.loads(
    (Path(summary.__file__).parents[1] / "paper.toml").read_text(encoding="utf-8")
)
FIRST = (
    "dataset,method,space,n,purity_mean,purity_std,acc_mean,acc_std,nmi_mean,ari_mean,"
    "seconds_mean,paper_mean,paper_std,verdict"
)


def method(label, kind="clustering", spaces=("raw", "code"), **params):
    return {
        "label": label,
        "kind": kind,
        "spaces": list(spaces),
        "params": {k: {"value": v, "source": "ours", "why": "a reason"} for k, v in params.items()},
    }


METHODS = {
    "autoencoder": method("Autoencoder", "embedding", ["raw"], epochs=20),
    "kmeans": method("k-means", n_init=1),
    "kmeans10": method("k-means, best of 10", n_init=10),
    "ldmgi": method("LDMGI", n_neighbors=5),
    "mixnet": method("Mix. of Nets", "mixture", ["code"], optimiser="sgd", lr=0.3),
    "mixnet+": method("Mix. of Nets+", "mixture", ["code"], optimiser="adam", lr=0.3),
}
DATASETS = {
    "usps": {
        "title": "USPS",
        "n": 9298,
        "d": 256,
        "n_classes": 10,
        "code_dim": 32,
        "structure": "10-16-256-256-512-32",
        "embedding": "autoencoder",
    },
    "reuters10k": {
        "title": "Reuters-10K",
        "n": 10000,
        "d": 2000,
        "n_classes": 4,
        "code_dim": 128,
        "structure": "12-64-256-512-512-128",
        "embedding": "autoencoder",
        "variants": ["dec", "lyrl2004-subset"],
    },
    "two-moon": {
        "title": "two-moon & co",
        "n": 4000,
        "d": 2,
        "n_classes": 2,
        "structure": "2-32-128-32-2",
        "embedding": "none",
    },
}
SUITE = {
    "title": "A suite of three",
    "datasets": list(DATASETS),
    "methods": ["autoencoder", "kmeans", "kmeans10", "ldmgi", "mixnet", "mixnet+"],
    "seeds": [0, 1, 2],
}
STANZAS = {"methods": METHODS, "datasets": DATASETS, "paper": PAPER}


def record(dataset, name, space, seed, purity, status="done", stale=False, **extra):
    return {
        "cell": {
            "dataset": dataset,
            "method": name,
            "seed": seed,
            "content_hash": dataset,
            "params": {"space": space, "n_neighbors": 5},
        },
        "status": status,
        "stale": stale,
        "seconds": 2.0 + seed,
        "metrics": {"purity": purity, "acc": purity - 5, "nmi": 60.0, "ari": 50.0 + seed},
        "values": {},
        "provenance": {},
    } | extra


def failed(dataset, name, space, seed, status):
    return record(dataset, name, space, seed, 0.0, status, metrics={}, seconds=None)


@pytest.fixture
def records():
    def many(dataset, name, space, *purities, **extra):
        return [record(dataset, name, space, seed, p, **extra) for seed, p in enumerate(purities)]

    return [
        *many("usps", "kmeans", "raw", 69.0, 70.0, 72.0),
        *many("usps", "kmeans", "code", 71.0, 74.0, 72.0, stale=True),
        *many("usps", "ldmgi", "raw", 87.9, 87.9, 88.0),
        *many("usps", "mixnet", "code", 83.0, 84.5),
        failed("usps", "mixnet", "code", 2, "diverged"),
        record("usps", "mixnet+", "code", 1, 99.0),
        *many("reuters10k", "kmeans", "raw", 80.0, 70.0, 60.0, variant="lyrl2004-subset"),
        *(failed("reuters10k", "ldmgi", "raw", seed, "no data") for seed in range(3)),
        *many("two-moon", "mixnet", "raw", 100.0, 100.0, 100.0),
        record("usps", "kmeans", "raw", 7, 1.0),  # a seed that the suite does not ask for
        record("digits", "kmeans", "raw", 0, 1.0),  # nor this dataset
    ]


def rows_of(records, suite=SUITE):
    return {
        (r["dataset"], r["method"], r["space"]): r
        for r in summary.summarise(records, suite, METHODS, DATASETS, PAPER)
    }


def test_rows_are_all_that_the_suite_asks_for(records):
    keys = list(rows_of(records))
    assert keys[:8] == [
        ("usps", "kmeans", "raw"),
        ("usps", "kmeans", "code"),
        ("usps", "kmeans10", "raw"),
        ("usps", "kmeans10", "code"),
        ("usps", "ldmgi", "raw"),
        ("usps", "ldmgi", "code"),
        ("usps", "mixnet", "code"),
        ("usps", "mixnet+", "code"),
    ]
    assert [k[1:] for k in keys if k[0] == "two-moon"] == [
        (m, "raw") for m in ("kmeans", "kmeans10", "ldmgi", "mixnet", "mixnet+")
    ]
    assert rows_of(records, SUITE | {"seeds": "0-2"}) == rows_of(records)
    only_raw = rows_of(records, SUITE | {"spaces": {"kmeans": ["raw"]}})
    assert ("usps", "kmeans", "code") not in only_raw


def test_means_and_deviations(records):
    row = rows_of(records)["usps", "kmeans", "raw"]
    values = [69.0, 70.0, 72.0]
    assert (row["n"], row["n_asked"], row["stale"], row["missing"]) == (3, 3, 0, "")
    assert row["purity_mean"] == pytest.approx(statistics.mean(values))
    assert row["purity_std"] == pytest.approx(statistics.stdev(values))
    assert row["acc_mean"] == pytest.approx(statistics.mean(values) - 5)
    assert (row["ari_mean"], row["seconds_mean"]) == (51.0, 3.0)
    assert (row["d"], row["n_points"], row["p"], row["L"]) == (256, 9298, 32, 10)


def test_failures_are_named_and_never_averaged(records):
    rows = rows_of(records)
    row = rows["usps", "mixnet", "code"]
    assert (row["n"], row["missing"]) == (2, "1 diverged")
    assert row["purity_mean"] == pytest.approx(83.75)
    row = rows["reuters10k", "ldmgi", "raw"]
    assert (row["n"], row["purity_mean"], row["verdict"], row["missing"]) == (
        0,
        None,
        "",
        "3 no data",
    )
    assert row["paper_mean"] == 43.2
    assert rows["usps", "kmeans10", "raw"]["missing"] == "3 not run"


def test_one_run_has_no_deviation_and_no_verdict(records):
    row = rows_of([r for r in records if r["cell"]["seed"] == 1])["usps", "mixnet", "code"]
    assert (row["n"], row["purity_std"], row["verdict"]) == (1, None, "")


def test_printed_figures_stand_on_their_rows_only(records):
    rows = rows_of(records)
    printed = {key for key, row in rows.items() if row["paper_mean"] is not None}
    assert printed == {
        (d, m, s)
        for d in ("usps", "reuters10k")
        for m, s in (("kmeans", "raw"), ("ldmgi", "raw"), ("mixnet", "code"))
    }
    assert rows["usps", "ldmgi", "raw"]["verdict"] == "above"
    assert rows["usps", "kmeans", "raw"]["verdict"] == "above"


def test_mnist_figures_are_those_of_the_text():
    assert summary.paper_figure(PAPER, "mnist", "kmeans", "code") == (59.2, 3.1, 10)
    assert summary.paper_figure(PAPER, "mnist", "mixnet", "code") == (80.3, 4.2, 10)
    assert summary.paper_figure(PAPER, "mnist", "kmeans", "raw") == (None, None, None)


def test_best_row_has_all_its_runs(records):
    rows = rows_of(records)
    assert comparisons.best(rows.values()) == {
        ("usps", "ldmgi", "raw"),
        ("reuters10k", "kmeans", "raw"),
        ("two-moon", "mixnet", "raw"),
    }


def test_two_attempts_of_a_seed_are_refused(records):
    twice = [*records, record("usps", "kmeans", "raw", 0, 50.0)]
    with pytest.raises(ValueError, match="two done attempts of usps/kmeans/raw seed 0"):
        rows_of(twice)


def test_runs_on_different_data_are_never_averaged(records):
    other = record("two-moon", "kmeans", "raw", 0, 50.0)
    mixed = [other, record("two-moon", "kmeans", "raw", 1, 60.0)]
    mixed[1]["cell"]["content_hash"] = "another"
    with pytest.raises(ValueError, match="two-moon/kmeans/raw mixes runs on 2 different data"):
        rows_of([*records, *mixed])


def test_csv(records, tmp_path):
    paths = table1.write(records, SUITE, tmp_path, plot=False, **STANZAS)
    assert set(paths) == {"csv", "md", "tex", "pairs"}
    lines = paths["csv"].read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith(FIRST + ",variant,")
    read = {(r["dataset"], r["method"], r["space"]): r for r in csv.DictReader(lines)}
    rows = rows_of(records)
    assert set(read) == set(rows)
    for key, row in rows.items():
        for column in summary.COLUMNS:
            expected = "" if row[column] is None else row[column]
            got = type(expected)(read[key][column])
            assert (
                got == pytest.approx(expected, abs=1e-4)
                if isinstance(expected, float)
                else got == expected
            )
    assert read["reuters10k", "kmeans", "raw"]["variant"] == "lyrl2004-subset"
    assert read["usps", "kmeans", "code"]["stale"] == "3"


def test_markdown(records, tmp_path):
    path = table1.write(records, SUITE, tmp_path, plot=False, **STANZAS)["md"]
    words = path.read_text(encoding="utf-8")
    assert words.startswith("# A suite of three\n")
    tables = re.findall(r"(?:^\|.*\|$\n?)+", words, re.MULTILINE)
    assert len(tables) == 4  # no gains without pairs of a mixture and its start
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1
    usps = next(line for line in words.splitlines() if line.startswith("| USPS | 256 | 9298 | 32"))
    assert "**87.9 ± 0.1** (3/3)<br>[80.5 ± 5.6]<sup>a</sup> ours above" in usps
    assert "no data (0/3)<br>[43.2 ± 3.7] |" in words.replace("<sup>c</sup>", "")
    assert "83.8 ± 1.1 (2/3)<br>[78.3 ± 3.7]" in words and "*3 stale*" in words
    assert "(a) The paper's figure is very probably not a purity" in words
    assert "| Reuters-10K<sup>d</sup> | 2000 |" in words
    assert "(d) Not the paper's documents" in words
    assert "Reuters-10K: the variant of the data used is `lyrl2004-subset`" in words
    assert "(`mixnet+`) departs from the paper's recipe: optimiser = adam instead of sgd." in words
    assert "| Mix. of Nets+ | optimiser | adam | ours |" in words
    assert "| Mix. of Nets+ | lr |" not in words  # as in the row without +
    assert "| Autoencoder | epochs | 20 | ours | a reason |" in words


def test_a_collapsed_partition_is_marked_beside_the_trivial_purity():
    def runs(name, effective, largest):
        made = [
            record(
                "usps",
                name,
                "raw",
                seed,
                41.0,
                values={
                    "effective_clusters": effective,
                    "largest_cluster": largest,
                    "largest_class": 16.7,
                },
            )
            for seed in range(3)
        ]
        for run in made:
            run["cell"]["params"]["n_clusters"] = 10
        return made

    found = [*runs("ldmgi", 5.4, 99.1), *runs("kmeans", 5.6, 20.0)]
    rows = rows_of(found)
    assert rows["usps", "ldmgi", "raw"]["collapsed"] == 3
    assert rows["usps", "kmeans", "raw"]["collapsed"] == 0
    assert rows["usps", "kmeans", "raw"]["trivial"] == pytest.approx(16.7)
    shown = [row for row in rows.values() if row["dataset"] == "usps"]
    mark = "3 collapsed (largest cluster 99.1%, trivial purity 16.7)"
    markdown = table1.to_markdown(shown, SUITE, METHODS, DATASETS, PAPER)
    assert markdown.count(f"*{mark}*") == 1 and "Collapsed: the partition has fewer" in markdown
    assert "| 16.7 | 99.1 | 3/3 |" in markdown and "| 16.7 | 20.0 |  |" in markdown
    assert mark.replace("%", r"\%") in table1.to_latex(shown, SUITE, METHODS, DATASETS, PAPER)
    (line,) = [line for line in table1.text(found, SUITE, **STANZAS).splitlines() if mark in line]
    assert line.startswith("usps")


def test_references_to_the_datasets_are_shown_as_what_they_stand_for():
    methods = {"m": method("M", "mixture", ["code"], structure="@structure", p="@code_dim", k=3)}
    rows = [{"dataset": name, "method": "m", "space": "code"} for name in ("usps", "reuters10k")]
    values = {
        parameter: value for _, parameter, value, *_ in notes.choices(rows, methods, DATASETS)
    }
    assert values == {
        "k": "3",
        "p": "32 (USPS); 128 (Reuters-10K)",
        "structure": "10-16-256-256-512-32 (USPS); 12-64-256-512-512-128 (Reuters-10K)",
    }
    assert notes.choices(rows[:1], methods, DATASETS)[1][2] == "32"


def test_notes_of_absent_datasets_are_left_out(records):
    rows = list(rows_of(records, SUITE | {"datasets": ["two-moon"]}).values())
    assert not any(mark for mark, _ in notes.footnotes(rows, METHODS, DATASETS, PAPER))


def test_latex_is_balanced_and_rectangular(records, tmp_path):
    words = table1.write(records, SUITE, tmp_path, plot=False, **STANZAS)["tex"].read_text("utf-8")
    plain = re.sub(r"\\[{}&%$#_]", "", words.replace(r"\\", "\n"))
    depth = 0
    for character in plain:
        depth += (character == "{") - (character == "}")
        assert depth >= 0
    assert depth == 0 and plain.count("$") % 2 == 0
    body = [re.sub(r"\\&", "", line) for line in words.splitlines() if line.endswith(r"\\")]
    assert len({line.count("&") for line in body}) == 1 and len(body) == 6
    assert r"\textbf{87.9$\pm$0.1}" in words and r"two-moon \& co" in words
    assert not re.search("[±§–]", words)


def test_rows_that_were_on_record_before_are_marked_in_the_text(records):
    plain = table1.text(records, SUITE, **STANZAS)
    assert "°" not in plain
    lines = table1.text(records, SUITE | {"on_record": ("kmeans",)}, **STANZAS).splitlines()
    marked = [line for line in lines if " kmeans °" in line]
    assert len(marked) == len([line for line in lines if " kmeans " in line]) > 1
    assert lines[-1] == "° on record before this run"
    assert len([line for line in lines if "°" in line]) == len(marked) + 1


def test_text(records):
    lines = table1.text(records, SUITE, **STANZAS).splitlines()
    assert any(re.match(r"usps +ldmgi +raw +3/3 +87.9 ± 0.1 \* ", line) for line in lines)
    assert any(line.startswith("reuters10k") and line.endswith("3 no data") for line in lines)


def test_no_records_at_all_still_make_a_table(tmp_path):
    paths = table1.write([], SUITE, tmp_path / "deep" / "er", stem="mnist", **STANZAS)
    assert paths["csv"].name == "mnist.csv"
    assert "not run (0/3)" in paths["md"].read_text(encoding="utf-8")
    assert paths["png"].exists()


def test_plot_and_files_are_the_same_each_time(records, tmp_path):
    first = table1.write(records, SUITE, tmp_path / "a", **STANZAS)
    again = table1.write(list(reversed(records)), SUITE, tmp_path / "b", **STANZAS)
    assert set(first) == {"csv", "md", "tex", "png", "pdf", "pairs"}
    for kind, path in first.items():
        assert path.read_bytes() == again[kind].read_bytes(), kind
    assert first["png"].read_bytes().startswith(b"\x89PNG")
    assert {p.name for p in (tmp_path / "a").iterdir()} == {
        "table1-pairs.csv" if kind == "pairs" else f"table1.{kind}" for kind in first
    }


@pytest.mark.parametrize("datasets", [["usps"], list(DATASETS)])
def test_nothing_is_cut_off_at_the_edges_of_the_plot(records, tmp_path, datasets):
    suite = SUITE | {"datasets": datasets, "spaces": {m: ["code"] for m in METHODS}}
    image = imread(table1.write(records, suite, tmp_path, **STANZAS)["png"])[..., :3]
    assert image.min() < 0.5  # something is drawn
    for edge in (image[:, :2], image[:, -2:], image[:2], image[-2:]):
        assert (edge == 1).all()


def test_paper_file_holds_the_printed_table():
    """Sums of the columns as printed, worked out by hand, against slips of the pen."""
    table = PAPER["table1"]["datasets"]
    assert list(table) == ["coil20", "reuters10k", "usps", "isolet"]
    sums = {
        m: tuple(round(sum(t[m][part] for t in table.values()), 1) for part in ("mean", "std"))
        for m in PAPER["table1"]["space"]
    }
    assert sums == {
        "kmeans": (244.0, 12.3),
        "ncut": (266.8, 19.2),
        "llc": (264.0, 15.6),
        "ldmgi": (267.8, 17.8),
        "mixnet": (290.3, 14.0),
    }
    assert [m["mean"] for m in PAPER["table2"]["models"].values()] == [138, 121, 214, 225, 282, 308]
