"""Table 2 of the paper from records: each generative model under one Parzen window.

A second table has the measures that a naive sampler cannot win so easily, of the same samples.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

from benchmarks import kinds, registry
from benchmarks.report import notes, orders, stats, words
from benchmarks.report.table import Table

#: Columns of table2.csv. Those up to `verdict` are a promise to its readers, the rest may grow.
COLUMNS = (
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
    "space",
    "n_asked",
    "protocol",
    "updates",
    "stopped_by",
    "stale",
    "missing",
)
#: Nats that are taken to matter, by the rule of `benchmarks.report.comparisons.MARGIN`: the median
#: of the printed deviations is 2.
MARGIN = 3.0
#: Evaluations beside the Parzen window, and the methods that are their rows of real test images.
REFERENCES = {"test-images": "measures", "test-images-features": "feature-measures"}
IN_FEATURES = ("precision", "recall", "frechet", "pixel_precision", "pixel_recall")
#: Decimals of a measure that machines agree on; of others three digits are shown.
DECIMALS = {"classifier_accuracy": 2}


def summarise(records, suite, methods, paper) -> tuple[list[dict], list[dict]]:
    """Rows of the two tables, in the order of the suite.

    Parameters
    ----------
    records : iterable of dict
        At most one `done` attempt of a cell, marked `stale` by the caller: generative cells and
        their evaluations. An evaluation counts where its samples' cell is among them.
    suite, methods, paper : dict
        As in `benchmarks.report.summary`.

    Returns
    -------
    scores : list of dict
        The keys of `COLUMNS` and ``method``; what was not measured is None. ``ll_std`` is over
        runs (ddof = 1), ``ll_se`` the mean standard error over test points.
    measures : list of dict
        ``method, model, space, n, n_asked, stale`` and the mean and deviation of every value; those
        in features have their own ``n_features`` and ``stale_features``.
    """
    seeds = registry.parse_seeds(suite["seeds"])
    records = list(records)
    evaluations = {name for name, stanza in methods.items() if kinds.of(stanza).scores}
    made = {record["key"]: record for record in records if kinds.of(record).output == "samples"}
    samples = {_row_of(record["cell"]): record for record in made.values()}
    scored = defaultdict(dict)
    for record in (r for r in records if r["cell"]["method"] in evaluations):
        cell = record["cell"]
        inputs = cell["params"].get("inputs")
        if not inputs:  # real test images
            row = ("test-images", *_row_of(cell)[1:])
            scored[REFERENCES[cell["method"]]][row] = record
        elif (key := inputs["samples"].partition("/")[2]) in made:
            scored[cell["method"]][_row_of(made[key]["cell"])] = record
    scores, measures = [], []
    for method in _rows(suite, methods):
        for space in suite.get("spaces", {}).get(method, methods[method]["spaces"]):
            rows = [(method, space, seed) for seed in seeds]
            found = [scored["measures"][row] for row in rows if row in scored["measures"]]
            row = _measured(method, space, found, len(seeds))
            found = [scored["feature-measures"][r] for r in rows if r in scored["feature-measures"]]
            measures.append(row | _in_features(_measured(method, space, found, len(seeds))))
            if method in evaluations:
                continue
            made = [samples[row] for row in rows if row in samples]
            done = {row: scored["parzen"][row] for row in rows if row in scored["parzen"]}
            scores.append(_score(method, space, rows, made, done, paper))
    return scores, measures


def _rows(suite, methods) -> list[str]:
    """Methods that are rows: models and anchors, real test images once."""
    left = {*suite.get("evaluations", ()), *REFERENCES} - {"test-images"}
    return [
        method
        for method in suite["methods"]
        if method not in left
        and (kinds.of(methods[method]).scores or kinds.of(methods[method]).output == "samples")
    ]


def _in_features(row) -> dict:
    """What a row of measures in features adds to that of the others."""
    if not row["n"]:
        return {}
    values = {name: value for name, value in row.items() if name.endswith(("_mean", "_std"))}
    return {**values, "n_features": row["n"], "stale_features": row["stale"]}


def _row_of(cell) -> tuple[str, str, int]:
    return cell["method"], cell["params"]["space"], cell["seed"]


def _score(method, space, rows, made, scored, paper) -> dict:
    done = [r for r in scored.values() if r["status"] == "done"]
    values = [r["values"] for r in done]
    model = _model(method)
    printed = paper["table2"]["models"].get(model.removesuffix("-printed"), {})
    trained = [r["values"] for r in made if r["status"] == "done"]
    return {
        "method": method,
        "model": model,
        "space": space,
        "n": len(done),
        "n_asked": len(rows),
        "ll_mean": _mean(v["ll"] for v in values),
        "ll_se": _mean(v["se"] for v in values),
        "ll_std": stats.known(stats.std, [v["ll"] for v in values]),
        "sigma": _mean(v["sigma"] for v in values),
        "seconds_mean": _mean(_training_seconds(r) for r in made if r["status"] == "done"),
        "paper_mean": printed.get("mean"),
        "paper_pm": printed.get("pm"),
        "verdict": _verdict([v["ll"] for v in values], printed),
        "protocol": "/".join(sorted({v["protocol"] for v in values})),
        "updates": _mean(v["updates"] for v in trained if "updates" in v),
        "stopped_by": ", ".join(
            f"{why} {n}"
            for why, n in Counter(
                v["stopped_by"] for v in trained if "stopped_by" in v
            ).most_common()
        ),
        "stale": sum(bool(r.get("stale")) for r in done),
        "missing": words.tally(
            scored[row]["status"] if row in scored else "not run"
            for row in rows
            if row not in scored or scored[row]["status"] != "done"
        ),
    }


def _verdict(values, printed) -> str:
    """`above`, `level` or `below` the printed figure; empty where that is not shown."""
    if len(values) < 2 or not printed:
        return ""
    ours = stats.mean(values), stats.std(values), len(values)
    found = stats.welch(*ours, printed["mean"], printed["pm"], stats.PAPER_RUNS, margin=MARGIN)
    word = stats.judged(found)
    return "" if word == "unclear" else word


def _training_seconds(record) -> float:
    """Of the model and its autoencoder, what went before a training was stopped and resumed too."""
    values = record["values"]
    return (
        values["train_seconds"]
        + values.get("autoencoder_seconds", 0)
        + record.get("phases", {}).get("before_resume", 0)
    )


def _model(method) -> str:
    """What a row is called and printed under: samples, and any training, by the model's name."""
    return method.removesuffix("-samples").removesuffix("-full")


def _measured(method, space, records, n_asked) -> dict:
    ended = [r for r in records if r["status"] == "done"]
    done = [r["values"] for r in ended]
    row = {
        "method": method,
        "model": _model(method),
        "space": space,
        "n": len(done),
        "n_asked": n_asked,
        "stale": sum(bool(r.get("stale")) for r in ended),
    }
    for name in done[0] if done else ():
        if name not in ("n_samples", "n_test"):
            found = [values[name] for values in done]
            row[f"{name}_mean"] = _mean(found)
            row[f"{name}_std"] = stats.known(stats.std, found)
    return row


def label(row, methods) -> str:
    """Name of a row; training images in code space are what the autoencoder makes of them."""
    name = methods[row["method"]]["label"]
    twice = row["space"] == "code" and len(methods[row["method"]]["spaces"]) > 1
    return f"{name}, reconstructed" if twice else name


def report(records, suite, out_dir, stem) -> tuple[str, dict[str, Path]]:
    """Write `stem`.csv, .md, .tex, .png, .pdf and `stem`-measures.csv; the first table as text."""
    methods, datasets, paper = registry.methods(), registry.datasets(), registry.paper()
    scores, measures = summarise(records, suite, methods, paper)
    records = list(records)
    remarks = [*_classifiers(records)]
    remarks += notes.machines(r for r in records if kinds.of(r).output == "samples")
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    contents = {
        f"{stem}.csv": Table(COLUMNS, scores).csv(),
        f"{stem}-measures.csv": Table(_columns(measures), measures).csv(),
        f"{stem}.md": to_markdown(scores, measures, suite, methods, datasets, paper, remarks),
        f"{stem}.tex": to_latex(scores, methods),
    }
    paths = {name: words.replace(out / name, text) for name, text in contents.items()}
    if any(row["n"] for row in (*scores, *measures)):
        from benchmarks.report import plot  # matplotlib only where it is wanted
        from benchmarks.report.figures import models

        labels = {(row["method"], row["space"]): label(row, methods) for row in measures}
        paths |= plot.column(out / stem, models.draw, scores, measures, labels)
    return "\n".join([text(scores, methods), *remarks]), paths


def text(rows, methods) -> str:
    """The table for a terminal."""
    return Table(
        (
            "model",
            "n",
            "log-likelihood",
            "se",
            "sigma",
            "seconds",
            "paper",
            "verdict",
            "stopped by",
            "",
        ),
        [
            (
                *_scored(row, methods),
                words.fixed(row["ll_se"]),
                _sigma(row),
                words.fixed(row["seconds_mean"]),
                _paper(row),
                row["verdict"],
                row["stopped_by"],
                words.trouble(row),
            )
            for row in rows
        ],
    ).text()


def to_markdown(scores, measures, suite, methods, datasets, paper, remarks=()) -> str:
    """Both tables, the notes, with further remarks, and the choices made."""
    lines = [
        f"# {suite.get('title', 'Table 2')}",
        "",
        "Mean log-likelihood of the MNIST test images in nats under a Gaussian Parzen window on "
        "the samples of a model: mean ± standard deviation over runs (ddof = 1); SE: standard "
        "error over test images; n = runs averaged/asked for; σ: width chosen on validation "
        "images, mean over runs. Paper: as printed, for the first five copied there from other "
        "papers. Verdict: level where two one-sided tests show a difference of less than "
        f"{MARGIN:g} nats, above or below where Welch's test shows one, at 5%. Seconds: "
        "training of one run, that of the autoencoder included. " + words.SHARED,
        "",
        Table(
            (
                "Model",
                "n",
                "Log-likelihood",
                "SE",
                "σ",
                "Protocol",
                "Seconds",
                "Updates",
                "Stopped by",
                "Paper",
                "Verdict",
                "Stale",
                "Missing",
            ),
            [
                (
                    *_scored(row, methods),
                    words.fixed(row["ll_se"]),
                    _sigma(row),
                    row["protocol"],
                    words.fixed(row["seconds_mean"]),
                    "" if row["updates"] is None else f"{row['updates']:.0f}",
                    row["stopped_by"],
                    _paper(row),
                    row["verdict"],
                    row["stale"] or "",
                    row["missing"],
                )
                for row in scores
            ],
        ).markdown(),
        "",
        "## Other measures of the same samples",
        "",
        *(f"* {note}" for note in paper["table2"].get("measures", ())),
        "",
    ]
    shown = [
        name.removesuffix("_mean") for name in _columns(measures)[3:] if name.endswith("_mean")
    ]
    listed = [
        {"method": row["method"], "space": row["space"], "dataset": "mnist"} for row in scores
    ]
    # What is measured with is chosen too.
    listed += [
        {"method": name, "space": "raw", "dataset": "mnist"}
        for name in ("feature-measures", "digit-classifier")
        if name in {*suite["methods"], *suite.get("evaluations", ())}
    ]
    labels = {(row["method"], row["space"]): label(row, methods) for row in measures}
    lines += [
        _of_measures(measures, [n for n in shown if n not in IN_FEATURES], "n", methods).markdown(),
        *_of_features(measures, [n for n in shown if n in IN_FEATURES], paper, methods),
        *orders.lines(orders.agreement(scores, measures, shown), labels),
        "",
        "## Notes",
        "",
        *(f"* {note}" for note in paper["table2"]["notes"]),
        *(f"* {remark}" for remark in remarks),
        *notes.choices_section(listed, methods, datasets, suite.get("fast", False)),
    ]
    return "\n".join(lines) + "\n"


def _classifiers(records):
    """How good the classifier is whose features samples are compared in."""
    for record in records:
        if record["cell"]["method"] == "digit-classifier" and record["status"] == "done":
            values = record["values"]
            yield (
                f"The classifier of digits, for measuring only, is right on "
                f"{values['accuracy']:.1f}% of the {values['n_held_out']:,} training images that "
                "it was not trained on."
            )


def _of_measures(measures, shown, n, methods) -> Table:
    """Rows of measures; `n` is the key of how many runs each is the mean of."""
    return Table(
        ("Model", "n", *shown),
        [
            (
                label(row, methods),
                row.get(n, 0),
                *(_short(name, row.get(f"{name}_mean"), row.get(f"{name}_std")) for name in shown),
            )
            for row in measures
        ],
    )


def _of_features(measures, shown, paper, methods) -> list[str]:
    """Lines of the second table of measures; [] where nothing was measured."""
    if not shown:
        return []
    said = [f"* {note}" for note in paper["table2"].get("features", ())]
    table = _of_measures(measures, shown, "n_features", methods)
    return ["", "## In the features of a classifier", "", *said, "", table.markdown()]


def to_latex(rows, methods) -> str:
    r"""The table for booktabs."""
    table = Table(
        ("Model", "$n$", "Log-likelihood", r"$\sigma$", "Paper"),
        [
            (*map(words.tex, _scored(row, methods)), _sigma(row), words.tex(_paper(row)))
            for row in rows
        ],
    )
    return (
        "\n".join(
            [
                r"% needs \usepackage{booktabs}",
                r"\begin{table}",
                r"\centering",
                r"\caption{Log-likelihood of the MNIST test images by a Gaussian Parzen window: "
                r"mean$\pm$standard deviation over $n$ runs, and the figure of the paper.}",
                table.latex("lrrrr"),
                r"\end{table}",
            ]
        )
        + "\n"
    )


def _scored(row, methods) -> tuple[str, str, str]:
    """Model, n and log-likelihood of a row."""
    return (
        label(row, methods),
        f"{row['n']}/{row['n_asked']}",
        words.pm(row["ll_mean"], row["ll_std"]),
    )


def _paper(row) -> str:
    return words.pm(row["paper_mean"], row["paper_pm"])


def _columns(measures) -> list[str]:
    names = ["model", "space", "n"]
    for row in measures:
        left = (*names, "method", "n_asked", "stale", "stale_features")
        names += [name for name in row if name not in left]
    return names


def _mean(values):
    return stats.known(stats.mean, values)


def _sigma(row) -> str:
    return "" if row["sigma"] is None else f"{row['sigma']:.3f}"


def _short(name, mean, std) -> str:
    """Mean and deviation of a measure, with no more digits than machines agree on."""
    if mean is None:
        return ""
    if name in DECIMALS:
        mean = f"{mean:.{DECIMALS[name]}f}"
    else:
        mean = f"{mean:.3g}"
    return mean if std is None else f"{mean} ± {std:.1g}"
