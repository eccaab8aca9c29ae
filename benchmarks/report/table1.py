"""Table 1 of the paper from records: CSV, Markdown, LaTeX, plain text and a plot."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import itemgetter
from pathlib import Path

from benchmarks import registry
from benchmarks.records import sizes
from benchmarks.report import comparisons, layout, notes, words
from benchmarks.report.comparisons import best, key
from benchmarks.report.summary import COLUMNS, summarise
from benchmarks.report.table import Table

HEAD = ("Dataset", "d", "n", "p", "L", "Features")


def write(
    records, suite, out_dir, *, stem="table1", plot=True, methods=None, datasets=None, paper=None
) -> dict[str, Path]:
    """Write `stem`.csv, .md, .tex, `stem`-pairs.csv and, with `plot`, `stem`.png and .pdf.

    Returns their paths by kind. Each file is replaced whole; `records` and `suite` are as
    `benchmarks.report.summary.summarise` takes them, `methods`, `datasets` and `paper` by default
    the contents of the TOML files.
    """
    methods, datasets, paper = _stanzas(methods, datasets, paper)
    rows = summarise(records, suite, methods, datasets, paper)
    base, stanzas = Path(out_dir) / stem, (methods, datasets, paper)
    pairs = Table(comparisons.PAIRS, comparisons.pairs(rows)).csv()
    page = to_markdown(rows, suite, *stanzas, notes.machines(records))
    paths = {
        "csv": words.replace(Path(f"{base}.csv"), Table(COLUMNS, rows).csv()),
        "pairs": words.replace(Path(f"{base}-pairs.csv"), pairs),
        "md": words.replace(Path(f"{base}.md"), page),
        "tex": words.replace(Path(f"{base}.tex"), to_latex(rows, suite, *stanzas)),
    }
    if plot:
        from benchmarks.report.plot import purity_dots  # matplotlib only where it is wanted

        paths |= purity_dots(rows, methods, datasets, base)
    return paths


def report(records, suite, out_dir, stem) -> tuple[str, dict[str, Path]]:
    """The table as text, and the files of :func:`write`."""
    paths = write(records, suite, out_dir, stem=stem)
    return "\n".join([text(records, suite), *notes.machines(records)]), paths


def text(records, suite, *, methods=None, datasets=None, paper=None) -> str:
    """The table for a terminal, a line for each dataset, method and space.

    Methods that a suite names under ``on_record`` were there before the run that is shown: marked.
    """
    methods, datasets, paper = _stanzas(methods, datasets, paper)
    rows = summarise(records, suite, methods, datasets, paper)
    top = best(rows)
    before = suite.get("on_record", ())
    columns = {
        "dataset": itemgetter("dataset"),
        "method": lambda row: row["method"] + " °" * (row["method"] in before),
        "features": itemgetter("features"),
        "n": words.runs,
        "purity": lambda row: _pm("purity")(row) + (" *" if key(row) in top else ""),
        **{name: _mean(name) for name in ("acc", "nmi", "ari", "seconds")},
        "paper": _pm("paper"),
        "verdict": comparisons.verdicts,
        "": lambda row: words.trouble(row, _collapse(row) if row["collapsed"] else ""),
    }
    said = Table.of(columns, rows).text() + "\n* best of the dataset, and what ties with it"
    return said + ("\n° on record before this run" if before else "")


def to_markdown(rows, suite, methods, datasets, paper, remarks=()) -> str:
    """Gains over the start, purity in the paper's layout, all measures, notes, the choices made.

    `remarks`: more notes, of the machines.
    """
    top, where = best(rows), " of several (see the notes)" if remarks else ""
    stanzas, cell = (methods, datasets, paper), partial(_markdown_cell, top=top, paper=paper)
    grid = _layout(rows, suite, *stanzas, str, _sup, "–", cell)
    lines = [
        f"# {suite.get('title', 'Table 1')}",
        *_gains(rows, methods, datasets, paper),
        "",
        "## Purity",
        "",
        "Clustering purity (eq. 10) in percent: mean ± standard deviation over seeds (ddof = 1), "
        "(runs averaged/asked for), [the paper's figure] and whether ours lies above, level with "
        "or below it. Alike: every seed gave the same partition, which is one result and has no "
        "deviation. Bold: the best of the dataset among rows with all runs, none stale, and those "
        "whose difference to it, paired by seed, is not significant (Student's t at 5%, Holm over "
        "the dataset). Stale: made by code that has changed since; nothing is concluded from it. "
        "d = features, n = points, p = code dimension, L = classes; raw = the dataset's own "
        "features, code = the autoencoder's." + _about(suite),
        "",
        grid.markdown(),
        "",
        f"Verdicts: two tests a printed figure, {_tests(rows)} in this table, at 5% after Holm's "
        f"adjustment. Level: two one-sided tests show a difference of less than "
        f"{comparisons.MARGIN:g} points. Above, below: Welch's test shows a difference. Unclear: "
        "neither. The margin is what the printed deviations allow: of two methods alike in mean "
        "and of the paper's median deviation, ten runs each, four in five pairs are shown to be "
        "level, unadjusted.",
    ]
    lines += [
        "",
        "## All measures",
        "",
        f"Seconds: wall time of the method alone on one machine{where} + that of the autoencoder "
        "whose codes it takes, computed once for all methods; labels that it takes are rows of "
        "their own. Verdict: with our mean less the printed one and its 95% interval. "
        + words.SHARED
        + f" {sizes.RULE} Held-out nats: mean log density of points that were not fitted "
        "to, the same for all methods of a seed, in the units of the features.",
        "",
        Table.of(_measures(methods), rows).markdown(),
    ]
    lines += _pairs(rows, suite, datasets)
    lines += ["", "## Notes", ""]
    lines += [
        f"* {f'({mark}) ' if mark else ''}{note}"
        for mark, note in notes.footnotes(rows, methods, datasets, paper)
    ]
    lines += [f"* {remark}" for remark in remarks]
    lines += notes.choices_section(
        rows,
        methods,
        datasets,
        suite.get("fast", False),
        (
            "`ours`: the paper leaves it open. No rule reads a label. While the rules were made, "
            "labels were looked at on digits, the toy sets and Yale B; scored runs on the datasets "
            "of this table, and the rules changed after one, are in `attempts.csv`.",
            "",
        ),
    )
    return "\n".join(lines) + "\n"


def _measures(methods) -> dict:
    """The columns of all measures, and what stands there of a row."""
    return {
        "Dataset": itemgetter("dataset"),
        "Method": lambda row: methods[row["method"]]["label"],
        "Features": itemgetter("features"),
        "n": words.runs,
        "Purity": _pm("purity"),
        "ACC": _pm("acc"),
        "NMI": _mean("nmi"),
        "ARI": _mean("ari"),
        "Seconds": _seconds,
        "Held-out nats": _pm("heldout"),
        "Paper": _pm("paper"),
        "Verdict": _difference,
        "Trivial": lambda row: words.fixed(row["trivial"]),
        "Largest cluster": lambda row: words.fixed(row["largest_cluster"]),
        "Collapsed": _collapsed,
        "Stale": lambda row: row["stale"] or "",
        "Missing": itemgetter("missing"),
    }


def _pm(measure: str) -> Callable[[dict], str]:
    return lambda row: words.pm(row[f"{measure}_mean"], row[f"{measure}_std"])


def _mean(measure: str) -> Callable[[dict], str]:
    return lambda row: words.fixed(row[f"{measure}_mean"])


def _collapsed(row) -> str:
    return f"{row['collapsed']}/{row['alike'] or row['n']}" if row["collapsed"] else ""


def to_latex(rows, suite, methods, datasets, paper) -> str:
    r"""The paper's layout as a `table*` for booktabs and graphicx (for \resizebox)."""
    top = best(rows)
    stanzas, cell = (methods, datasets, paper), partial(_latex_cell, top=top, paper=paper)
    grid = _layout(rows, suite, *stanzas, words.tex, _tex_sup, "--", cell)
    across = "c" * (len(grid.head) - len(HEAD) - 1)
    lines = [
        r"% needs \usepackage{booktabs,graphicx}",
        r"\begin{table*}",
        r"\centering",
        r"\caption{Clustering purity (\%): mean$\pm$standard deviation over seeds, runs "
        r"averaged/asked for, and in brackets the figure of the paper. In bold the best of a "
        r"dataset and what does not differ from it significantly, paired by seed. "
        r"$d$ features, $n$ points, $p$ code dimension, $L$ classes."
        + words.tex(_about(suite))
        + "}",
        r"\resizebox{\textwidth}{!}{%",
        grid.latex(f"lrrrrl{across}l") + "}",
        r"\par\raggedright\scriptsize",
    ]
    lines += [
        _tex_sup(mark) + words.tex(note) + r"\par"
        for mark, note in notes.footnotes(rows, methods, datasets, paper)
    ]
    return "\n".join([*lines, r"\end{table*}"]) + "\n"


def _about(suite) -> str:
    """What the suite says of its rows, after another sentence."""
    return " " + suite["text"].strip() if suite.get("text") else ""


def _stanzas(methods, datasets, paper):
    return (
        registry.methods() if methods is None else methods,
        registry.datasets() if datasets is None else datasets,
        registry.paper() if paper is None else paper,
    )


def _layout(rows, suite, methods, datasets, paper, plain, sup, dash, cell) -> Table:
    """The paper's layout: datasets down, raw features before codes, methods across.

    `plain` and `sup` write words and marks, `cell` a row, `dash` stands where there is nothing.
    The structure is that of the networks that a line has; which methods share a column says
    `benchmarks.report.layout`.
    """
    shown = [m for m in suite["methods"] if any(row["method"] == m for row in rows)]
    column = layout.columns(shown, methods)
    names, lines = list(dict.fromkeys(column.values())), []
    for dataset in suite["datasets"]:
        own = [row for row in rows if row["dataset"] == dataset]
        title = plain(datasets[dataset].get("title", dataset))
        marked = title + sup(notes.marks_of_dataset(own, paper))
        for of in layout.order(rows):
            mine = [row for row in own if row["features"] == of]
            if mine:
                found = {column[row["method"]]: row for row in mine}
                counts = mine[0]["d"], mine[0]["n_points"], mine[0]["p"] or dash, mine[0]["L"]
                cells = (cell(found[name]) if name in found else "" for name in names)
                networks = filter(None, dict.fromkeys(row["structure"] for row in mine))
                lines.append((marked, *counts, of, *cells, ", ".join(networks) or dash))
    head = (plain(methods[name]["label"]) for name in names)
    return Table((*HEAD, *head, "Networks structure"), lines)


def _collapse(row):
    """The mark of a partition that says nothing, with what its purity is to be held against."""
    return (
        f"{row['collapsed']} collapsed (largest cluster {row['largest_cluster']:.1f}%, trivial "
        f"purity {row['trivial']:.1f})"
    )


def _markdown_cell(row, top, paper):
    if row["n"]:
        value = words.pm(row["purity_mean"], row["purity_std"])
        value = f"**{value}**" if key(row) in top else value
        parts = [f"{value} ({words.runs(row)})"]
    else:
        parts = [f"{_why_empty(row)} (0/{row['n_asked']})"]
    if row["paper_mean"] is not None:
        mark = _sup(notes.marks_of_figure(row, paper))
        said = comparisons.verdicts(row).replace(", as accuracy", "<br>as accuracy")
        verdict = f" ours {said}" if said else ""
        parts.append(f"[{words.pm(row['paper_mean'], row['paper_std'])}]{mark}{verdict}")
    if row["collapsed"]:
        parts.append(f"*{_collapse(row)}*")
    if row["stale"]:
        parts.append(f"*{row['stale']} stale*")
    return "<br>".join(parts)


def _latex_cell(row, top, paper):
    value = _why_empty(row)
    if row["n"]:
        value = words.pm(row["purity_mean"], row["purity_std"]).replace(" ± ", r"$\pm$")
        value = rf"\textbf{{{value}}}" if key(row) in top else value
    parts = [rf"{value} {{\tiny {words.runs(row)}}}"]
    if row["paper_mean"] is not None:
        mark = _tex_sup(notes.marks_of_figure(row, paper))
        figure = words.pm(row["paper_mean"], row["paper_std"]).replace(" ± ", r"$\pm$")
        parts.append(rf"{{\scriptsize [{figure}]{mark}}}")
    if row["collapsed"]:
        parts.append(rf"{{\scriptsize\itshape {words.tex(_collapse(row))}}}")
    if row["stale"]:
        parts.append(rf"{{\scriptsize\itshape {row['stale']} stale}}")
    return parts[0] if len(parts) == 1 else r"\shortstack{" + r"\\".join(parts) + "}"


def _gains(rows, methods, datasets, paper) -> list[str]:
    """The first figure of merit: what a mixture adds to the partition that it starts from."""
    gains = comparisons.gains(rows, methods, paper)
    if not any(gain["what"] != "paper" for gain in gains):
        return []
    return [
        "",
        "## Gain over the start",
        "",
        "Purity of a mixture less that of the partition that it starts from, in points: mean over "
        "seeds, paired, [95% interval], (pairs). Paper: its mixture less its k-means, of the "
        "printed means [Welch]. The start is the best of ten k-means on the same codes, or the "
        "consensus where the name says so.",
        "",
        comparisons.gain_table(gains, methods, datasets).markdown(),
    ]


def _pairs(rows, suite, datasets) -> list[str]:
    """Each method against each other on the same features."""
    n = len(registry.parse_seeds(suite["seeds"]))
    found = comparisons.matrices(comparisons.pairs(rows), datasets, n)
    return found and [
        "",
        "## Method against method",
        "",
        "Purity of a row less that of a column, in points: mean over the seeds that both have "
        f"fresh runs of (their number in brackets where it is not {n}) and its 95% interval, "
        "Student's t of the differences paired by seed; none where they do not vary. Bold: "
        "significant at 5%, by Holm's method over all pairs of a dataset, those of unlike "
        "features, which are in the CSV file, too. What was made of both kinds stands with each.",
        *found,
    ]


def _tests(rows) -> int:
    return 2 * sum(row[name] is not None for row in rows for name in ("p_level", "acc_p_level"))


def _difference(row) -> str:
    """Verdicts with the differences that they are of."""
    parts = []
    for prefix, kind in (("", ""), ("acc_", "as accuracy ")):
        if word := comparisons.said(row, prefix):
            found = (row[f"{prefix}{name}"] for name in comparisons.TESTED[:3])
            parts.append(f"{kind}{word} ({words.interval(*found)})")
    return ", ".join(parts)


def _seconds(row) -> str:
    """Of the method, and of the autoencoder where it takes codes."""
    codes = words.fixed(row["codes_seconds_mean"])
    return words.fixed(row["seconds_mean"]) + (f" + {codes}" if codes else "")


def _why_empty(row):
    """`no data`, or the most frequent other reason that an empty row has."""
    return row["missing"].split(", ")[0].partition(" ")[2]


def _sup(mark):
    return f"<sup>{mark}</sup>" if mark else ""


def _tex_sup(mark):
    return rf"$^{{{mark}}}$" if mark else ""
