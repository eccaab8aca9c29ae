"""Tables that belong to no single suite: data, choices, attempts, environment."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

from benchmarks import registry
from benchmarks.report import notes
from benchmarks.report.page.cells import Cells
from benchmarks.report.page.parts import Column, Entry, Table, texts

#: Columns of claims.csv that the page shows, as `benchmarks.report.claims` writes them.
CLAIM = ("claim", "group", "says", "where", "verdict", "part", "part_verdict", "said", "command")


def data(cells: Cells) -> Table:
    """The datasets of all suites, as their stanzas have them."""
    names = dict.fromkeys(d for suite in cells.suites.values() for d in suite["datasets"])
    used = {
        (r["cell"]["dataset"], r["variant"])
        for records in cells.records.values()
        for r in records
        if r.get("variant")
    }
    rows = []
    for name in names:
        stanza = cells.datasets[name]
        variants = sorted(variant for dataset, variant in used if dataset == name)
        said = {"title": name, **stanza, "variants": ", ".join(variants)}
        counts = (said.get(key) for key in ("n", "d", "n_classes", "n_clusters", "code_dim"))
        words = ("structure", "variants", "scaling", "licence", "citation")
        rows.append(
            [
                Entry(said["title"]),
                *(Entry("" if count is None else str(count), count) for count in counts),
                *(Entry(said.get(key, "")) for key in words),
            ]
        )
    numbers = ("n", "d", "Classes", "Components", "p")
    words = texts("Structure", "Variant", "Scaling", "Licence", "Citation")
    return Table(
        "data-table",
        "n points of d features, codes of p; structure: the widths of a "
        "network as the paper prints them; variant: the one that the records used.",
        [Column("Dataset", "head"), *map(Column, numbers), *words],
        rows,
    )


def choices(cells: Cells) -> Table:
    """Every parameter of every method that a suite runs; methods that agree share a row."""
    shared: dict[tuple, tuple[dict, dict, object]] = {}
    for stage in cells.stages:
        stanza = cells.methods[stage["method"]]
        for parameter, entry in (stanza.get("params", {}) | stanza.get("defaults", {})).items():
            same = parameter, repr(entry["value"]), entry["source"], entry.get("why", "")
            users, datasets, _ = shared.setdefault(same, ({}, {}, entry["value"]))
            users[stanza["label"]] = datasets[stage["dataset"]] = None
    rows = []
    for (parameter, _, source, why), (users, datasets, value) in shared.items():
        first, *others = users
        said = parameter, notes.resolved(value, datasets, cells.datasets), source, why
        rows.append([*map(Entry, said), Entry(first, folded=tuple(others))])
    return Table(
        "choices-table",
        "Every parameter with its source. `ours`: the paper leaves it open. No rule reads a label.",
        [Column("Parameter", "head"), *texts("Value", "Source", "Why", "Methods")],
        rows,
    )


def open_points() -> list[str]:
    """What the paper leaves unsaid of its own figures."""
    paper = registry.paper()
    table1, unsaid = paper.get("table1", {}), []
    if "pm" in table1:
        unsaid.append(f"The ± of Table 1: {table1['pm']}.")
    if "space" in table1:
        unsaid.append(
            "Which features the baselines saw is not said; its figures stand beside ours "
            "on " + ", ".join(f"{name}: {space}" for name, space in table1["space"].items()) + "."
        )
    return unsaid + paper.get("table2", {}).get("notes", [])[:1]


def claims(results: Path) -> dict[str, list[dict]]:
    """The judged claims of the paper by the question that each belongs to, from claims.csv.

    A claim is ``says, where, verdict, command`` and ``parts``: (part, verdict, what is said). What
    cannot be read is no claim: {} without a file, or with another's columns.
    """
    try:
        with (results / "claims.csv").open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines, strict=True))
    except (OSError, ValueError, csv.Error):
        return {}
    found: dict[str, dict[str, dict]] = {}
    for row in rows:
        if any(row.get(name) is None for name in CLAIM):
            return {}
        claim = found.setdefault(row["group"], {}).setdefault(row["claim"], {**row, "parts": []})
        claim["parts"].append((row["part"], row["part_verdict"], row["said"]))
    return {group: list(judged.values()) for group, judged in found.items()}


def attempts(results: Path) -> list[dict[str, str]]:
    """Rows of attempts.csv, empty fields left out; what cannot be read is a row that says so."""
    path = results / "attempts.csv"
    if not path.is_file():
        return []
    rows = []
    with path.open(encoding="utf-8", errors="replace", newline="") as lines:
        reader = csv.reader(lines)
        try:
            rows.extend(reader)
        except csv.Error as error:
            return [{"damaged": f"attempts.csv, line {reader.line_num}: {error}"}]
    head, *rows = rows or [[]]
    kept = []
    for row in filter(any, rows):
        kept.append({name: words for name, words in zip(head, row, strict=False) if words})
        if len(row) > len(head):  # a comma that was not quoted: names and words no longer agree
            kept[-1]["damaged"] = f"{len(row)} fields under {len(head)} names"
    return kept


def commits(records) -> Table:
    """Commits whose code made the records, newest last."""
    found = (record["provenance"] for record in records)
    made = [(one.get("commit") or "not in git", one.get("started") or "") for one in found]
    first, last = {}, {}
    for commit, started in sorted(made, key=lambda pair: pair[1]):
        first.setdefault(commit, started[:10])
        last[commit] = started[:10]
    counts = Counter(commit for commit, _ in made)
    return Table(
        "commits-table",
        "Commits that records were made at; an attempt each.",
        [Column("Commit", "head"), Column("Records"), *texts("First", "Last")],
        [
            [Entry(commit), _times(counts[commit]), Entry(first[commit]), Entry(last[commit])]
            for commit in first
        ],
    )


def _times(n: int) -> Entry:
    return Entry(str(n), n)


def environments(records) -> Table:
    """Versions and machines of the records."""

    def words(made):
        versions = ", ".join(
            f"{name} {version}" for name, version in (made.get("versions") or {}).items()
        )
        cores = f"{made.get('cores')} cores" if made.get("cores") else ""
        machine = ", ".join(
            filter(None, [made.get("cpu"), cores, made.get("system"), made.get("gpu")])
        )
        return versions, machine, f"{made.get('device')}, {made.get('threads')}"

    counts = Counter(words(record["provenance"]) for record in records)
    return Table(
        "environments-table",
        "Software and machines that records were made with.",
        [Column("Versions", "head"), *texts("Machine", "Device, threads"), Column("Records")],
        [[*map(Entry, parts), _times(n)] for parts, n in sorted(counts.items())],
    )
