"""What the page says of each suite: its tables, from the rows that its own report has."""

from __future__ import annotations

from functools import partial

from benchmarks import kinds, registry
from benchmarks.report import comparisons, layout, measures, notes, summary, table2, vae, words
from benchmarks.report.page.cells import STATES, Cells
from benchmarks.report.page.parts import (
    Column,
    Entry,
    Section,
    Table,
    beside,
    count,
    difference,
    for_claim,
    number,
    state,
    table,
)
from benchmarks.report.summary import METRICS

#: How the page calls what is measured; any other name is shown with its underscores as spaces.
NAMES = {
    "purity": "Purity",
    "acc": "ACC",
    "nmi": "NMI",
    "ari": "ARI",
    "seconds": "Seconds",
    "ll": "Log-likelihood",
    "se": "SE",
    "sigma": "σ",
    "train_seconds+autoencoder_seconds": "Seconds of training, autoencoder included",
    "accuracy_unlabelled": "Accuracy, unlabelled",
    "mmd2": "MMD²",
    "heldout_log_likelihood": "Held-out log-likelihood",
    "nn_accuracy": "NN accuracy",
    "nn_accuracy_samples": "NN accuracy, samples",
    "nn_accuracy_test": "NN accuracy, test",
}
#: How the marks beside verdicts read.
CLAIMS = (
    "▲ speaks for the paper's claim, ▼ against it: of the mixture, ours above or below its figure; "
    "of what it is compared with, below or above. ◆ level."
)
BY_METHOD = [Column("Dataset", "aside"), Column("Method", "head"), Column("Features", "aside")]
BY_MODEL = [Column("Model", "head"), Column("Features", "aside")]
LEFT = Column("Missing or stale", "text")


def called(measure: str) -> str:
    """Name of a measure in words."""
    return NAMES.get(measure) or measure.replace("_", " ").capitalize()


def section(name: str, cells: Cells) -> Section:
    """Tables and notes of one suite, or why there are none."""
    suite, records = cells.suites[name], cells.records[name]
    made = Section(
        name,
        suite.get("title", name),
        suite.get("text", "").strip(),
        f"mixnet run {name}",
        empty=not records,
        groups=cells.groups[name],
        tally=tally(name, cells),
    )
    if records:
        try:
            _builder(suite)(made, suite, records, cells)
        except ValueError as error:  # a summary refuses to average what does not belong together
            made.problem = str(error)
        except KeyError as error:
            made.problem = f"One of its records has no {error}."
    return made


def grid(name: str, cells: Cells) -> dict:
    """How the cells of a suite stand, as methods by datasets (and evaluations).

    Returns ``columns`` (titles) and ``rows`` (label, features, a group or None for each column).
    """
    groups = cells.groups[name].values()
    columns = list(dict.fromkeys((group.dataset, group.evaluation) for group in groups))
    rows: dict[tuple, dict] = {}
    for group in groups:
        rows.setdefault((group.method, group.space), {})[group.dataset, group.evaluation] = group
    return {
        "columns": [
            cells.methods[evaluation]["label"] if evaluation else cells.called(dataset)
            for dataset, evaluation in columns
        ],
        "rows": [
            (cells.methods[method]["label"], space, [row.get(column) for column in columns])
            for (method, space), row in rows.items()
        ],
    }


def tally(name: str, cells: Cells) -> list[tuple[str, int]]:
    """How many cells of a suite are in which state; states without a cell are left out."""
    counts = cells.tally(name)
    return [(state, counts[state]) for state in STATES if counts[state]]


def older(section: Section) -> str:
    """What is said under a picture of a suite whose runs are not all of the present code."""
    counts = dict(section.tally)
    stale, done = counts.get("stale", 0), counts.get("done", 0)
    if stale:
        return f"{stale} of its {done + stale} runs are of older code."
    return "" if done else "None of its runs is on record: it was drawn by older code."


def _claim(row):
    return for_claim(row["verdict"], summary.of_mixture(row["method"]))


def _builder(suite):
    kind = suite.get("report", "")
    if "columns" in suite:
        return _measured
    if kind.startswith("figure") or kind == "multiverse":
        return lambda *_: None  # pictures are all
    return {"knee": _knee, "table2": _table2, "vae": _vae}.get(kind, _table1)


def _lead(row, cells):
    """Dataset, method and features of a row, as entries."""
    dataset = cells.called(row["dataset"])
    of = layout.features(row["method"], row["space"], cells.methods)
    return [
        Entry(dataset),
        Entry(cells.methods[row["method"]]["label"], where=f"{dataset}, {of}"),
        Entry(of),
    ]


def _model(row, cells):
    """Model and features of a row of Table 2, as entries."""
    return [Entry(table2.label(row, cells.methods), where=row["space"]), Entry(row["space"])]


def _group(made, row, *more):
    return "/".join((made.name, row["dataset"], row["method"], row["space"], *more))


def _table1(made, suite, records, cells):
    paper = registry.paper()
    rows = summary.summarise(records, suite, cells.methods, cells.datasets, paper)
    made.tables = _purities(made, rows, cells, paper)
    printed = [
        {
            "lead": _lead(row, cells),
            "ours": _purity(made, row),
            "difference": tuple(row[name] for name in comparisons.TESTED[:3]),
            "paper_mean": row["paper_mean"],
            "paper_std": row["paper_std"],
            "verdict": row["verdict"],
            "claim": _claim(row),
            "said": comparisons.verdicts(row),
            "marks": _marks(notes.marks_of_figure(row, paper)),
        }
        for row in rows
        if row["paper_mean"] is not None
    ]
    if printed:
        made.tables.append(
            beside(
                f"{made.name}-beside",
                "Ours beside the paper: purity, the difference of the means "
                "and its 95% Welch interval, of runs that are not stale. Verdicts are tested and "
                "adjusted (Holm); level: a difference of less than "
                f"{comparisons.MARGIN:g} points.",
                BY_METHOD,
                printed,
                "%",
            )
        )
    made.tables.append(_all_measures(made, rows, cells))
    made.notes = [*notes.footnotes(rows, cells.methods, cells.datasets, paper), *_machines(records)]


def _purity(made, row, **more):
    return number(
        row["purity_mean"], row["purity_std"], group=_group(made, row), measure="purity", **more
    )


def _purities(made, rows, cells, paper):
    """Purity, a table of each kind of features: methods, as the columns of Table 1, down."""
    found = []
    column = layout.columns(dict.fromkeys(row["method"] for row in rows), cells.methods)
    for of in layout.order(rows):
        mine = [row for row in rows if row["features"] == of]
        datasets = list(dict.fromkeys(row["dataset"] for row in mine))
        lines = {}
        for row in mine:
            entry = _in_layout(made, row, rows, paper)
            lines.setdefault(column[row["method"]], {})[row["dataset"]] = entry
        heads = [Column("Method", "head")]
        for name in datasets:
            noted = notes.marks_of_dataset([row for row in mine if row["dataset"] == name], paper)
            heads.append(Column(cells.called(name), marks=_marks(noted)))
        body = [
            [Entry(cells.methods[method]["label"]), *(line.get(name, Entry()) for name in datasets)]
            for method, line in lines.items()
        ]
        caption = f"Purity on {layout.in_words(of)}, in percent."
        found.append(Table(f"{made.name}-purity-{of.replace(' ', '-')}", caption, heads, body))
    found[0].caption += (
        " Mean ± standard deviation over seeds (ddof = 1), bold where it is the best of a dataset "
        "among rows with all runs, none stale, or ties with it. Alike: every seed gave the same "
        "partition. In brackets the paper's figure. " + CLAIMS
    )
    return found


def _in_layout(made, row, rows, paper):
    """What the layout of purities has of a row: mean, the paper's figure, what is amiss."""
    entry = _purity(made, row, best=comparisons.key(row) in comparisons.best(rows))
    if not row["n"]:
        entry = count(row, group=_group(made, row))
    some = f"n {words.runs(row)}" if 0 < row["n"] < row["n_asked"] else row["missing"]
    stale = f"{row['stale']} stale" if row["stale"] else ""
    entry.aside = ", ".join(filter(None, ["alike" if row["alike"] else some, stale]))
    if row["paper_mean"] is not None:
        entry.paper, entry.verdict = f"{row['paper_mean']} ± {row['paper_std']}", row["verdict"]
        entry.claim, entry.marks = _claim(row), _marks(notes.marks_of_figure(row, paper))
    return entry


def _measures(made, rows, cells, caption, forms, title=""):
    """A table of measures; `forms` has those shown, and how a number of each is written."""
    lines = []
    for row in rows:
        group = _group(made, row)
        numbers = [
            number(row[f"{m}_mean"], row.get(f"{m}_std"), form, group=group, measure=m)
            for m, form in forms.items()
        ]
        lines.append([*_lead(row, cells), count(row, group=group), *numbers, state(row)])
    columns = [*BY_METHOD, Column("n"), *(Column(called(m)) for m in forms), LEFT]
    return Table(f"{made.name}-measures", caption, columns, lines, title)


def _all_measures(made, rows, cells):
    return _measures(
        made,
        rows,
        cells,
        "All measures, in percent. Seconds: wall time of the "
        "method alone, without the codes and labels that it takes from other cells.",
        {**dict.fromkeys(METRICS, "{:.1f}"), "seconds": "{:.2f}"},
        "All measures",
    )


def _measured(made, suite, records, cells):
    rows = measures.summarise(records, suite, cells.methods, cells.datasets)
    caption = (
        "Mean ± standard deviation over seeds (ddof = 1). Purity and "
        "accuracies in percent, likelihoods in nats a point."
    )
    forms = dict.fromkeys(suite["columns"], "{:.2f}")
    made.tables = [_measures(made, rows, cells, caption, forms)]
    if "seconds" in suite["columns"]:
        made.notes = _machines(records)


def _machines(records):
    return [("", note) for note in notes.machines(records)]


def _knee(made, suite, records, cells):
    from benchmarks.report import knee  # scikit-learn and pandas: only where it is wanted

    rows = [knee.judge(records, suite, dataset)[1] for dataset in suite["datasets"]]
    own = {g.dataset: {"group": g.id} for g in reversed(made.groups.values()) if g.requested}
    for row in rows:
        row["where"] = own.get(row["dataset"], {})

    def found(name, form):
        label = name.capitalize() if name != "suggested" else "Components"
        return lambda row: number(row[name], form=form, label=label, **row["where"])

    made.tables = [
        table(
            f"{made.name}-knees",
            "The number of components at the knee of the k-means curve, and how "
            "often each was found over restarts and cutoffs.",
            [
                (Column("Dataset", "head"), lambda row: Entry(cells.called(row["dataset"]))),
                (Column("n"), lambda row: count(row, **row["where"])),
                (Column("Components"), found("suggested", "{}")),
                (Column("Stability"), found("stability", "{:.2f}")),
                (Column("Knees found (k: times)", "text"), lambda row: Entry(row["found"])),
                (Column("Paper"), lambda row: number(row["paper"], form="{}")),
                (LEFT, state),
            ],
            rows,
        )
    ]


def _table2(made, suite, records, cells):
    paper = registry.paper()
    scores, measured = table2.summarise(records, suite, cells.methods, paper)
    for row in (*scores, *measured):
        row["dataset"] = suite["datasets"][0]
    made.tables = [_scores(made, scores, cells)]
    printed = [
        {
            "lead": _model(row, cells),
            "ours": _likelihood(made, row),
            "difference": difference(
                row["ll_mean"], row["ll_std"], row["n"], row["paper_mean"], row["paper_pm"]
            ),
            "paper_mean": row["paper_mean"],
            "paper_std": row["paper_pm"],
            "verdict": row["verdict"],
            "claim": _claim(row),
            "said": row["verdict"],
            "marks": (),
        }
        for row in scores
        if row["paper_mean"] is not None
    ]
    if printed:
        made.tables.append(
            beside(
                f"{made.name}-beside",
                "Ours beside the paper: log-likelihood, the difference of the "
                "means and its 95% Welch interval, the printed ± read as a deviation over ten "
                "runs.",
                BY_MODEL,
                printed,
                "nats",
            )
        )
    if any(row["n"] for row in measured):
        made.tables.append(_sample_measures(made, measured, cells))
    made.notes = [
        ("", note) for note in (*paper["table2"]["notes"], *paper["table2"].get("measures", ()))
    ]
    made.notes += _machines(r for r in records if kinds.of(r).output == "samples")


def _vae(made, suite, records, cells):
    models, _ = vae.summarise(records, suite, cells.methods, registry.paper())
    for row in models:
        row["dataset"] = suite["datasets"][0]
    made.tables = [_scores(made, models, cells)]
    made.notes = [("", suite["text"])]


def _likelihood(made, row):
    return number(row["ll_mean"], row["ll_std"], group=_group(made, row, "parzen"), measure="ll")


def _scores(made, rows, cells):
    def found(name, measure, *of, form="{:.1f}"):
        return lambda row: number(
            row[name], form=form, measure=measure, group=_group(made, row, *of)
        )

    seconds = "train_seconds+autoencoder_seconds"
    model, features = BY_MODEL
    return table(
        f"{made.name}-scores",
        "Mean log-likelihood of the MNIST test images in nats under a "
        "Gaussian Parzen window on a model's samples: mean ± standard deviation over runs "
        "(ddof = 1). SE: standard error over test images. σ: width chosen on validation images. "
        "Seconds: training of one run, that of the autoencoder included.",
        [
            (model, lambda row: _model(row, cells)[0]),
            (features, lambda row: _model(row, cells)[1]),
            (Column("n"), lambda row: count(row, group=_group(made, row, "parzen"))),
            (Column("Log-likelihood"), partial(_likelihood, made)),
            (Column("SE"), found("ll_se", "se", "parzen")),
            (Column("σ"), found("sigma", "sigma", "parzen", form="{:.3f}")),
            (Column("Seconds"), found("seconds_mean", seconds)),
            (Column("Updates"), found("updates", "updates", form="{:.0f}")),
            (Column("Stopped by", "text"), lambda row: Entry(row["stopped_by"])),
            (LEFT, state),
        ],
        rows,
    )


def _sample_measures(made, rows, cells):
    means = (key for row in rows for key in row if key.endswith("_mean"))
    names = list(dict.fromkeys(key.removesuffix("_mean") for key in means))
    lines = []
    for row in rows:
        group = _group(made, row, "measures")
        group = group if group in made.groups else _group(made, row)  # real images score themselves
        n = Entry(str(row["n"]), row["n"], group=group, label="Runs")
        found = ((row.get(f"{name}_mean"), row.get(f"{name}_std"), name) for name in names)
        numbers = [
            number(mean, std, "{:.4g}", "{:.2g}", group=group, measure=name)
            for mean, std, name in found
        ]
        lines.append([*_model(row, cells), n, *numbers])
    return Table(
        f"{made.name}-measures",
        "What a perfect model would get stands beside the real test images.",
        [*BY_MODEL, Column("n"), *(Column(called(name)) for name in names)],
        lines,
        "Other measures of the same samples",
    )


def _marks(words: str) -> tuple[str, ...]:
    return tuple(filter(None, words.split(",")))
