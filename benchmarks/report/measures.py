"""Tables of a suite that compares chosen measures of each method: CSV, Markdown and text."""

from __future__ import annotations

from pathlib import Path

from benchmarks import kinds, registry
from benchmarks.report import notes, stats, words
from benchmarks.report.summary import METRICS
from benchmarks.report.table import Table

PAIRED = (
    " Differences are to the method that is named, paired by seed: mean [95% interval of "
    "Student's t]."
)


def summarise(records, suite, methods, datasets) -> list[dict]:
    """One row for each dataset, method and space, in the order of the suite.

    Parameters
    ----------
    records : iterable of dict
        At most one `done` attempt of a cell, marked `stale` by the caller; others count as missing.
    suite : dict
        As in `benchmarks.report.summary`, with ``columns``: names of metrics (percent), of entries
        of a record's ``values``, or ``seconds``. ``against`` (method -> another of the suite) and
        ``paired`` (columns) ask for differences, ``keeps`` (method -> one of them) for a verdict.

    Returns
    -------
    list of dict
        ``dataset, method, space, n, n_asked``, ``<column>_mean`` and ``<column>_std`` (ddof = 1;
        None where nothing was measured), ``stale`` and ``missing``. With ``against`` also that
        method, and of each paired column ``<column>_gain``, the mean difference to it over
        ``<column>_pairs`` seeds that both have, with its 95% interval ``_gain_low``, ``_gain_high``
        (Student's; None below two pairs). With ``keeps``, ``kept``: of its methods "yes" where that
        column is on average no worse, else "no".
    """
    seeds, found = registry.parse_seeds(suite["seeds"]), {}
    for record in records:
        cell = record["cell"]
        if cell["seed"] in seeds:
            where = cell["dataset"], cell["method"], cell["params"].get("space")
            found.setdefault(where, {})[cell["seed"]] = record
    rows = []
    for dataset in suite["datasets"]:
        for method in (m for m in suite["methods"] if kinds.of(methods[m]).row):
            for space in registry.asked_spaces(
                suite, method, methods[method], dataset, datasets[dataset]
            ):
                mine = found.get((dataset, method, space), {})
                row = _row(dataset, method, space, mine, seeds, suite["columns"])
                if "against" in suite:
                    row["against"] = other = suite["against"].get(method, "")
                    row |= _compared(mine, found.get((dataset, other, space), {}), row, suite)
                rows.append(row)
    return rows


def measure(record: dict, column: str) -> float | None:
    """A metric, a value or the seconds of one record; None where it has none."""
    if column == "seconds":
        return record.get("seconds")
    return record["metrics" if column in METRICS else "values"].get(column)


def _done(records) -> dict:
    return {seed: r for seed, r in records.items() if r.get("status", "done") == "done"}


def _compared(mine, theirs, row, suite) -> dict:
    """Paired differences, by seed, of a row's records to those of the method it is against."""
    mine, theirs, made = _done(mine), _done(theirs), {}
    for column in suite["paired"]:
        pairs = [
            (measure(mine[seed], column), measure(theirs[seed], column))
            for seed in sorted(set(mine) & set(theirs))
        ]
        gains = [a - b for a, b in pairs if a is not None and b is not None]
        low, high = stats.paired(gains).interval if len(gains) > 1 else (None, None)
        made |= {
            f"{column}_gain": stats.known(stats.mean, gains),
            f"{column}_gain_low": low,
            f"{column}_gain_high": high,
            f"{column}_pairs": len(gains),
        }
    if "keeps" in suite:
        column = suite["keeps"].get(row["method"])
        gain = made[f"{column}_gain"] if column else None
        made["kept"] = "" if gain is None else "yes" if gain >= 0 else "no"
    return made


def _row(dataset, method, space, records, seeds, columns):
    done = _done(records)
    row = {
        "dataset": dataset,
        "method": method,
        "space": space,
        "n": len(done),
        "n_asked": len(seeds),
    }
    for column in columns:
        found = [measure(done[seed], column) for seed in sorted(done)]
        row[f"{column}_mean"] = stats.known(stats.mean, found)
        row[f"{column}_std"] = stats.known(stats.std, found)
    row["stale"] = sum(bool(r.get("stale")) for r in done.values())
    row["missing"] = words.tally(
        records[s]["status"] if s in records else "not run" for s in seeds if s not in done
    )
    return row


def text(rows, suite, methods) -> str:
    """The rows for a terminal."""
    return Table(
        ("dataset", "method", "space", "n", *suite["columns"], *_heads(suite), ""),
        [(row["dataset"], *_cells(row, suite, methods), words.trouble(row)) for row in rows],
    ).text()


def to_csv(rows) -> str:
    """The rows with four decimals, empty where nothing was measured."""
    return Table(list(rows[0]), rows).csv()


def to_markdown(rows, suite, methods, datasets, remarks=()) -> str:
    """The rows as a table, what the suite says of itself above it, remarks below."""
    heads = _heads(suite)
    table = Table(
        ("Dataset", "Method", "Features", "n", *suite["columns"], *heads, "Missing", "Stale"),
        [
            (
                datasets[row["dataset"]].get("title", row["dataset"]),
                *_cells(row, suite, methods),
                row["missing"],
                row["stale"] or "",
            )
            for row in rows
        ],
    )
    lines = [
        *words.opening(suite),
        "Mean ± standard deviation over seeds (ddof = 1); n = runs averaged/asked for. Purity "
        "and accuracies in percent, likelihoods in nats a point." + (PAIRED * bool(heads)),
        "",
        table.markdown(),
        *(line for remark in remarks for line in ("", remark)),
    ]
    return "\n".join(lines) + "\n"


def report(records, suite, out_dir, stem) -> tuple[str, dict[str, Path]]:
    """Write `stem`.csv and `stem`.md into `out_dir`, each replaced whole; the table as text.

    With differences also `stem`.png and .pdf, as soon as there is one.
    """
    methods, datasets = registry.methods(), registry.datasets()
    rows = summarise(records, suite, methods, datasets)
    remarks = notes.machines(records) if "seconds" in suite["columns"] else []
    texts = {"csv": to_csv(rows), "md": to_markdown(rows, suite, methods, datasets, remarks)}
    paths = {
        kind: words.replace(Path(out_dir) / f"{stem}.{kind}", content)
        for kind, content in texts.items()
    }
    compared = [row for row in rows for column in suite.get("paired", ()) if row[f"{column}_pairs"]]
    if compared:
        from benchmarks.report import plot  # matplotlib only where it is wanted
        from benchmarks.report.figures import differences

        paths |= plot.column(
            Path(out_dir) / stem, differences.draw, compared, suite["paired"], methods
        )
    return "\n".join([text(rows, suite, methods), *remarks]), paths


def _cells(row, suite, methods) -> tuple[str, ...]:
    """Method, features, n, means and differences of a row."""
    return (
        methods[row["method"]]["label"],
        row["space"],
        f"{row['n']}/{row['n_asked']}",
        *(_pm(row, column) for column in suite["columns"]),
        *_differences(row, suite, methods),
    )


def _pm(row, column) -> str:
    mean, std = row[f"{column}_mean"], row[f"{column}_std"]
    if mean is None:
        return ""
    return f"{mean:.2f}" + ("" if std is None else f" ± {std:.2f}")


def _heads(suite) -> list[str]:
    """Heads of the differences that a suite asks for."""
    if "against" not in suite:
        return []
    kept = ["kept"] if "keeps" in suite else []
    return ["against", *(f"{column} difference" for column in suite["paired"]), *kept]


def _differences(row, suite, methods) -> list[str]:
    """The fields under `_heads`."""
    if "against" not in suite:
        return []
    gains = [_gain(row, column) for column in suite["paired"]]
    other = methods[row["against"]]["label"] if row["against"] else ""
    return [other, *gains, *([row["kept"]] if "keeps" in suite else [])]


def _gain(row, column) -> str:
    gain, low, high = (row[f"{column}_gain{end}"] for end in ("", "_low", "_high"))
    if gain is None:
        return ""
    return f"{gain:+.2f}" + ("" if low is None else f" [{low:+.2f}, {high:+.2f}]")
