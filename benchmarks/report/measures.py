"""Tables of a suite that compares chosen measures of each method: CSV, Markdown and text."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path

from benchmarks import kinds, registry
from benchmarks.records.whole import write_atomic
from benchmarks.report import notes, stats
from benchmarks.report.summary import METRICS, spaces


def summarise(records, suite, methods, datasets) -> list[dict]:
    """One row for each dataset, method and space, in the order of the suite.

    Parameters
    ----------
    records : iterable of dict
        At most one `done` attempt of a cell, marked `stale` by the caller; others count as missing.
    suite : dict
        As in `benchmarks.report.summary`, with ``columns``: names of metrics (percent), of entries
        of a record's ``values``, or ``seconds``.

    Returns
    -------
    list of dict
        ``dataset, method, space, n, n_asked``, ``<column>_mean`` and ``<column>_std`` (ddof = 1;
        None where nothing was measured), ``stale`` and ``missing``.
    """
    seeds = registry.parse_seeds(suite["seeds"])
    rows = []
    for dataset in suite["datasets"]:
        for method in (m for m in suite["methods"] if kinds.of(methods[m]).row):
            for space in spaces(suite, methods[method], method, datasets[dataset]):
                mine = {r["cell"]["seed"]: r for r in records
                        if (r["cell"]["dataset"], r["cell"]["method"],
                            r["cell"]["params"].get("space")) == (dataset, method, space)
                        and r["cell"]["seed"] in seeds}
                rows.append(_row(dataset, method, space, mine, seeds, suite["columns"]))
    return rows


def measure(record: dict, column: str) -> float | None:
    """A metric, a value or the seconds of one record; None where it has none."""
    if column == "seconds":
        return record["seconds"]
    return record["metrics" if column in METRICS else "values"].get(column)


def _row(dataset, method, space, records, seeds, columns):
    done = {seed: r for seed, r in records.items() if r.get("status", "done") == "done"}
    row = {"dataset": dataset, "method": method, "space": space, "n": len(done),
           "n_asked": len(seeds)}
    for column in columns:
        found = [measure(done[seed], column) for seed in sorted(done)]
        found = [value for value in found if value is not None]
        row[f"{column}_mean"] = stats.mean(found) if found else None
        row[f"{column}_std"] = stats.std(found) if len(found) > 1 else None
    missing = Counter(records[s]["status"] if s in records else "not run"
                      for s in seeds if s not in done)
    row["stale"] = sum(bool(r.get("stale")) for r in done.values())
    row["missing"] = ", ".join(f"{count} {status}" for status, count in missing.most_common())
    return row


def text(rows, suite, methods) -> str:
    """The rows for a terminal."""
    lines = [("dataset", "method", "space", "n", *suite["columns"], "")]
    for row in rows:
        trouble = ", ".join(filter(None, [f"{row['stale']} stale" if row["stale"] else "",
                                          row["missing"]]))
        lines.append((row["dataset"], methods[row["method"]]["label"], row["space"],
                      f"{row['n']}/{row['n_asked']}",
                      *(_pm(row, column) for column in suite["columns"]), trouble))
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip()
                     for line in lines)


def to_csv(rows) -> str:
    """The rows with four decimals, empty where nothing was measured."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: f"{v:.4f}" if isinstance(v, float) else "" if v is None else v
                         for k, v in row.items()})
    return out.getvalue()


def to_markdown(rows, suite, methods, datasets, remarks=()) -> str:
    """The rows as a table, what the suite says of itself above it, remarks below."""
    head = ["Dataset", "Method", "Features", "n", *suite["columns"], "Missing", "Stale"]
    lines = [f"# {suite['title']}", "", suite.get("text", "").strip(), "",
             "Mean ± standard deviation over seeds (ddof = 1); n = runs averaged/asked for. Purity "
             "and accuracies in percent, likelihoods in nats a point.", "",
             "| " + " | ".join(head) + " |", "| " + " | ".join(["---"] * len(head)) + " |"]
    for row in rows:
        cells = [datasets[row["dataset"]].get("title", row["dataset"]),
                 methods[row["method"]]["label"], row["space"], f"{row['n']}/{row['n_asked']}",
                 *(_pm(row, column) for column in suite["columns"]), row["missing"],
                 str(row["stale"] or "")]
        lines.append("| " + " | ".join(cells) + " |")
    lines += [line for remark in remarks for line in ("", remark)]
    return "\n".join(lines) + "\n"


def report(records, suite, out_dir, stem) -> tuple[str, dict[str, Path]]:
    """Write `stem`.csv and `stem`.md into `out_dir`, each replaced whole; the table as text."""
    methods, datasets = registry.methods(), registry.datasets()
    rows = summarise(records, suite, methods, datasets)
    remarks = notes.machines(records) if "seconds" in suite["columns"] else []
    texts = {"csv": to_csv(rows), "md": to_markdown(rows, suite, methods, datasets, remarks)}
    paths = {}
    for kind, words in texts.items():
        paths[kind] = Path(out_dir) / f"{stem}.{kind}"
        write_atomic(paths[kind], lambda handle, words=words: handle.write(words.encode()))
    return "\n".join([text(rows, suite, methods), *remarks]), paths


def _pm(row, column) -> str:
    mean, std = row[f"{column}_mean"], row[f"{column}_std"]
    if mean is None:
        return ""
    return f"{mean:.2f}" + ("" if std is None else f" ± {std:.2f}")
