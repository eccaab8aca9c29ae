"""Table 1 with codes of a second embedding: what stands where, from made-up stanzas and records."""

import csv
import re

import pytest
from scipy import stats as scipy_stats

from benchmarks import kinds, registry
from benchmarks.report import comparisons, layout, notes, plot, readme, summary, table1

PAPER = {
    "mnist": {},
    "table1": {
        "runs": 10,
        "space": {"kmeans": "raw", "mixnet": "code"},
        "datasets": {},
        "notes": [],
    },
}
OURS = {"source": "ours", "why": "a reason"}
NETWORKS = {"value": "@structure", **OURS}


def stanza(label, kind="clustering", spaces=("code",), params=None, **needs):
    return {
        "label": label,
        "kind": kind,
        "spaces": list(spaces),
        "params": {"n": {"value": 1, **OURS}} | (params or {}),
        "needs": needs,
    }


def like(name, label, **needs):
    """A method like another, with other needs, on graph codes if it says so."""
    params = METHODS[name]["params"]
    if "codes" in needs and "structure" in params:
        params = params | {"structure": {"value": "2-4-10", **OURS}}
    METHODS[f"{name}:{label}"] = METHODS[name] | {
        "label": label, "like": name, "needs": needs, "spaces": ["code"], "params": params,
    }  # fmt: skip


GRAPH = "autoencoder-graph/code"
METHODS = {
    "autoencoder": stanza("Autoencoder", "embedding", ["raw"]),
    "autoencoder-graph": stanza("Keeper", "embedding", params={"code_dim": {"value": 10, **OURS}}),
    "autoencoder-other": stanza("Not asked for", "embedding"),
    "kmeans": stanza("k-means", spaces=["raw", "code"]),
    "ncut": stanza("NCut", spaces=["raw", "code"]),
    "mixnet": stanza("Mixture", "mixture", params={"structure": NETWORKS}, start="kmeans/code"),
}
like("kmeans", "kg", codes=GRAPH)
like("ncut", "ng", codes=GRAPH)
like("mixnet", "mg", codes=GRAPH, start="kmeans:kg/code")
METHODS["agreed"] = stanza(
    "Agreed", "selection", a="kmeans/code", b="ncut/code", c="kmeans:kg/code", d="ncut:ng/code"
)
like("mixnet", "ma", start="agreed/code")
like("mixnet:mg", "mga", codes=GRAPH, start="agreed/code")
METHODS["mixnet-best"] = stanza(
    "Best", "selection", a="mixnet:mg:mga/code", b="mixnet:ma/code", reference="agreed/code"
)
DATASETS = {
    name: {
        "title": name.capitalize(), "d": 20, "n": 9, "n_classes": 3, "code_dim": 5,
        "structure": "2-4-8-5", "embedding": "autoencoder",
    }
    for name in ("one", "two")
}  # fmt: skip
NAMES = [name for name in METHODS if not name.startswith("autoencoder")]
SUITE = {"datasets": ["one"], "methods": NAMES, "seeds": "0-2", "text": "What graph codes are."}
STANZAS = METHODS, DATASETS, PAPER
PURITY = {name: 50.0 + 2 * i for i, name in enumerate(NAMES)}


def record(dataset, method, space, seed, **more):
    cell = {"dataset": dataset, "method": method, "seed": seed, "params": {"space": space}}
    purity = PURITY[method] + (seed - 1) * (1 + 0.1 * NAMES.index(method)) - 5 * (space == "raw")
    metrics = {"purity": purity, "acc": purity - 9, "nmi": 40.0, "ari": 30.0}
    usual = {"status": "done", "stale": False, "seconds": 1.0, "values": {}, "provenance": {}}
    return {"cell": cell, "metrics": metrics, **usual, **more}


@pytest.fixture
def records():
    return [
        record("one", name, space, seed, values={"chosen": seed % 2})
        for name in NAMES
        for space in METHODS[name]["spaces"]
        for seed in range(3)
    ]


@pytest.fixture
def rows(records):
    return summary.summarise(records, SUITE, *STANZAS)


def purity_table(words):
    """Lines of the table of purities, cells by head."""
    section = words[words.index("## Purity") : words.index("## All measures")]
    head, _, *lines = (line.strip("| ").split(" | ") for line in section.split("\n") if "|" in line)
    return [dict(zip(head, line, strict=True)) for line in lines]


def test_methods_on_other_codes_are_a_line_in_the_column_of_what_they_are_like(rows):
    lines = purity_table(table1.to_markdown(rows, SUITE, *STANZAS))
    assert [line["Features"] for line in lines] == ["raw", "code", "graph code", "both"]
    labels = ["k-means", "NCut", "Mixture", "Agreed", "ma", "Best"]
    assert list(lines[0])[6:] == [*labels, "Networks structure"]
    shown = {
        (line["Features"], label): float(found[0])
        for line in lines
        for label in labels
        if (found := re.findall(r"\d+\.\d", line[label]))
    }
    assert shown == {
        ("raw", "k-means"): 45.0,
        ("raw", "NCut"): 47.0,
        ("code", "k-means"): 50.0,
        ("code", "NCut"): 52.0,
        ("code", "Mixture"): 54.0,
        ("code", "ma"): PURITY["mixnet:ma"],
        ("graph code", "k-means"): PURITY["kmeans:kg"],
        ("graph code", "NCut"): PURITY["ncut:ng"],
        ("graph code", "Mixture"): PURITY["mixnet:mg"],
        ("graph code", "ma"): PURITY["mixnet:mg:mga"],
        ("both", "Agreed"): PURITY["agreed"],
        ("both", "Best"): PURITY["mixnet-best"],
    }


def test_a_line_has_the_size_of_its_codes_and_the_structure_of_its_networks(rows):
    lines = purity_table(table1.to_markdown(rows, SUITE, *STANZAS))
    assert [line["p"] for line in lines] == ["5", "5", "10", "–"]
    structures = ["–", "2-4-8-5", "2-4-10", "–"]
    assert [line["Networks structure"] for line in lines] == structures


def test_latex_text_csv_and_plot_say_the_same_of_features(records, rows, tmp_path):
    stanzas = dict(zip(("methods", "datasets", "paper"), STANZAS, strict=True))
    paths = table1.write(records, SUITE, tmp_path, **stanzas)
    latex = paths["tex"].read_text("utf-8")
    assert re.findall(r"& (raw|code|graph code|both) &", latex) == [
        "raw",
        "code",
        "graph code",
        "both",
    ]
    assert "What graph codes are." in latex
    text = table1.text(records, SUITE, **stanzas)
    assert re.search(r"one +mixnet:mg +graph code +3/3", text)
    read = list(csv.DictReader(paths["csv"].read_text("utf-8").splitlines()))
    graph = next(row for row in read if row["method"] == "mixnet:mg")
    assert [graph[name] for name in ("space", "features", "p", "structure")] == [
        *("code", "graph code", "10", "2-4-10")
    ]
    with plot.column_style():
        figure = plot.purity_figure(rows, METHODS, DATASETS)
    (axis,) = figure.axes
    found = [label.get_text() for label in axis.get_yticklabels()]
    assert found == ["k-means", "NCut", "Mixture", "Agreed", "ma", "Best"]
    means = [line for line in axis.lines if line.get_marker() not in ("|", "None")]
    at = [(line.get_ydata()[0], line.get_xdata()[0]) for line in means]
    assert len(at) == len(rows) and len({y for y, _ in at}) == len(rows)  # none covers another
    assert {x for y, x in at if abs(y - found.index("k-means")) < 0.5} == {45.0, 50.0, 56.0}
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert set(words) == {"raw", "codes", "graph codes", "both"}


def test_two_methods_never_share_a_place(rows):
    twin = METHODS | {"kmeans:again": METHODS["kmeans:kg"] | {"label": "Again"}}
    found = layout.columns(["kmeans:kg", "kmeans:again"], twin)
    assert found == {"kmeans:kg": "kmeans", "kmeans:again": "kmeans:again"}
    assert layout.columns(["kmeans", "kmeans:kg"], METHODS) == {
        "kmeans": "kmeans",
        "kmeans:kg": "kmeans",
    }


def test_gains_are_over_the_consensus_where_a_mixture_started_there(rows):
    by = {row["method"]: comparisons.fresh(row) for row in rows if row["space"] == "code"}
    gains = {gain["what"]: gain for gain in comparisons.gains(rows, METHODS, PAPER)}
    starts = {
        "mixnet": "kmeans",
        "mixnet:mg": "kmeans:kg",
        **dict.fromkeys(("mixnet:ma", "mixnet:mg:mga", "mixnet-best"), "agreed"),
    }
    assert gains.keys() == starts.keys()
    for name, start in starts.items():
        test = scipy_stats.ttest_rel([*by[name].values()], [*by[start].values()])
        ends = test.confidence_interval()
        assert gains[name]["gain"] == pytest.approx(PURITY[name] - PURITY[start])
        assert (gains[name]["low"], gains[name]["high"]) == pytest.approx((ends.low, ends.high))


def test_on_data_without_codes_the_features_themselves_take_their_place():
    """Gains and triangles too: what needs a partition of codes has there one of the features."""
    plain = {"plain": DATASETS["one"] | {"embedding": "none", "code_dim": 20}}
    suite = SUITE | {"datasets": ["plain"]}
    found = [
        record("plain", name, "code" if "codes" in METHODS[name]["needs"] else "raw", seed)
        for name in NAMES
        for seed in range(3)
    ]
    rows = summary.summarise(found, suite, METHODS, plain, PAPER)
    assert layout.order(rows) == ["raw", "graph code", "both"]
    joint = [row["method"] for row in rows if row["features"] == "both"]
    assert joint == ["agreed", "mixnet-best"]
    gains = {gain["what"]: gain["gain"] for gain in comparisons.gains(rows, METHODS, PAPER)}
    assert gains["mixnet"] == pytest.approx(PURITY["mixnet"] - PURITY["kmeans"])
    assert gains["mixnet:mg"] == pytest.approx(PURITY["mixnet:mg"] - PURITY["kmeans:kg"])
    assert gains["mixnet:mg:mga"] == pytest.approx(PURITY["mixnet:mg:mga"] - PURITY["agreed"] + 5)
    triangles = "\n".join(comparisons.matrices(comparisons.pairs(rows), plain, 3))
    assert "### One, raw" in triangles and triangles.count("| mixnet-best | ") == 2


def test_pairs_on_the_same_codes_are_a_triangle_each_and_joint_rows_stand_in_both(rows):
    found = comparisons.matrices(comparisons.pairs(rows), DATASETS, 3)
    titles = [line.removeprefix("### One, ") for line in found if line.startswith("###")]
    assert titles == ["code", "graph code", "raw"]
    code, graph, raw = (
        re.findall(r"^\| (\w[\w:-]*) \|", table, re.M)
        for table in re.split(r"### One, .*\n", "\n".join(found))[1:]
    )
    assert code == ["ncut", "mixnet", "agreed", "mixnet:ma", "mixnet-best"]
    assert graph == ["ncut:ng", "mixnet:mg", "agreed", "mixnet:mg:mga", "mixnet-best"]
    assert raw == ["ncut"]


def test_notes_name_candidates_by_column_and_features_and_how_often_each_was_chosen(rows):
    said = "\n".join(note for _, note in notes.footnotes(rows, *STANZAS))
    assert (
        "Agreed (`agreed`) is ours, not a row of the paper's table: found without labels from the "
        "partitions of k-means, NCut on codes; k-means, NCut on graph codes." in said
    )
    assert (
        "Best (`mixnet-best`) is ours, not a row of the paper's table: chosen without labels, by "
        "agreement with Agreed, from the partitions of ma on graph codes; ma on codes." in said
    )
    assert "Best on One is ma on graph codes ×2, ma on codes ×1." in said
    assert (
        "Not rows of the paper's table: NCut (`ncut`), ma (`mixnet:ma`), all on graph codes."
        in said
    )


def test_choices_of_a_variant_are_what_differs_and_embeddings_those_that_are_used(rows):
    found = [(label, parameter) for label, parameter, *_ in notes.choices(rows, METHODS, DATASETS)]
    assert found == [
        *(("Autoencoder", "n"), ("Keeper", "n"), ("Keeper", "code_dim"), ("k-means", "n")),
        *(("NCut", "n"), ("Mixture", "n"), ("Mixture", "structure"), ("mg", "structure")),
        *(("Agreed", "n"), ("Best", "n")),
    ]
    said = "\n".join(notes.choices_section(rows, METHODS, DATASETS))
    pairs = ("kg", "k-means"), ("ng", "NCut"), ("mg", "Mixture"), ("ma", "Mixture"), ("mga", "mg")
    variants = "; ".join(f"{name} (else as {base})" for name, base in pairs)
    assert f"Variants have only what differs: {variants}." in said


def test_the_best_other_is_no_mixture_on_whatever_features_and_its_name_says_which(rows):
    found = object.__new__(readme.Results)
    more = {"purity_mean": 99.0}
    found.rows = [
        row | more if row["method"] in ("ncut:ng", "mixnet-best") else row for row in rows
    ]
    other = found.best_other("one")
    assert (other["method"], other["features"]) == ("ncut:ng", "graph code")
    found.rows = [row | {"n": 2} if row["method"] == "ncut:ng" else row for row in found.rows]
    assert found.best_other("one")["method"] == "agreed"  # all its runs, and of both codes


def test_every_method_of_table1_has_the_place_that_its_name_says():
    methods, suite = registry.methods(), registry.suites()["table1"]
    column = layout.columns(suite["methods"], methods)
    found = {name: (column[name], layout.features(name, "code", methods)) for name in column}
    for name, place in found.items():
        if kinds.of(methods[name]).chooses:
            assert place == (name, "both")
        elif "graph" in name:
            own = {"mixnet+graph": "mixnet+", "mixnet+graph-consensus": "mixnet+consensus"}
            assert place == (own.get(name, name.removesuffix("-graph")), "graph code")
        else:
            assert place == (name, "code")
    assert len({*found.values()}) == len(found)


def test_what_table1_says_of_its_rows_is_true_of_their_stanzas():
    """Ten features, ten partitions of five methods on two kinds of codes, two mixtures."""
    methods, text = registry.methods(), registry.suites()["table1"]["text"]
    assert methods["autoencoder-graph"]["params"]["code_dim"]["value"] == 10
    assert "of ten features" in text and "of ten partitions, those of five methods on each" in text
    needs = [need.partition("/")[::2] for need in layout.candidates("consensus", methods)]
    places = {(layout.column(n, methods), layout.features(n, s, methods)) for n, s in needs}
    assert len(needs) == len(places) == 10
    assert {of for _, of in places} == {"code", "graph code"} and len({m for m, _ in places}) == 5
    chosen = [need.partition("/")[0] for need in layout.candidates("mixnet+chosen", methods)]
    assert {methods[name]["needs"]["start"] for name in chosen} == {"consensus/code"}
    assert methods["mixnet+chosen"]["needs"]["reference"] == "consensus/code"
