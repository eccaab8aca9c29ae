"""What a reader of the table must know: doubts, variants, departures, and every free choice."""

from __future__ import annotations

from collections import Counter

from benchmarks import kinds
from benchmarks.report import layout
from benchmarks.report.table import Table


def footnotes(rows, methods, datasets, paper) -> list[tuple[str, str]]:
    """(mark, text) of the notes that hold for some of the rows; `marks_of_*` say which."""
    notes = [
        (note["mark"], note["text"])
        for note in paper["table1"]["notes"]
        if any(_holds(note, row) for row in rows)
    ]
    for name in _ordered(row["dataset"] for row in rows):
        used = _ordered(row["variant"] for row in rows if row["dataset"] == name)
        if len(datasets[name].get("variants", [])) > 1:
            said = f"{datasets[name].get('title', name)}: the variant of the data used is"
            notes += [("", f"{said} `{variant}`.") for variant in used if variant]
    shown, others = _ordered(row["method"] for row in rows), []
    for name in _ordered([*shown, *(start for m in shown for start in _starts(m, methods))]):
        who, differences = f"{methods[name]['label']} (`{name}`)", departures(name, methods)
        if differences:
            base = name.removesuffix("+")
            rest = f" All else is as in `{base}`." if base != name and base in methods else ""
            said = f"{who} departs from the paper's recipe: {'; '.join(differences)}.{rest}"
            notes.append(("", said))
        elif kinds.of(methods[name]).chooses:
            reference = methods[name]["needs"].get("reference")
            how = "found without labels"
            if reference:
                how = f"chosen without labels, by agreement with {_where(reference, methods)},"
            said = (
                f"{who} is ours, not a row of the paper's table: {how} from the partitions of "
                f"{_candidates(name, methods)}."
            )
            notes.append(("", said))
            for row in (row for row in rows if row["method"] == name and row["chosen"]):
                where = f"{methods[name]['label']} on {datasets[row['dataset']]['title']}"
                notes.append(("", f"{where} is {_chosen(row['chosen'], methods)}."))
        elif name not in paper["table1"]["space"] and layout.column(name, methods) == name:
            others.append(who)
    codes = [of for of in layout.order(rows) if of not in layout.WORDS and of != layout.SEVERAL]
    others += [f"all on {layout.in_words(of)}" for of in codes]
    if others:
        notes.append(("", f"Not rows of the paper's table: {', '.join(others)}."))
    return notes


def machines(records) -> list[str]:
    """A line where averaged runs come from several machines, whose seconds do not compare; or none.

    Parameters
    ----------
    records : iterable of dict
        Those that a table stands on; what is not `done` or not a row of a table (embeddings) is
        left out.
    """
    found = {}
    for record in records:
        if record["status"] == "done" and "codes" not in record.get("outputs", ()):
            cell, made = record["cell"], record.get("provenance", {})
            named = cell.get("dataset"), cell["method"], cell["params"].get("space")
            row = " ".join(filter(None, named))
            found.setdefault(_machine(made), Counter())[row] += 1
    if len(found) < 2:
        return []
    most, *others = sorted(found, key=lambda name: (-found[name].total(), name))
    parts = [f"{most}: {found[most].total()} runs, all that are not named here"]
    for name in others:
        rows = ", ".join(f"{row} ×{n}" for row, n in sorted(found[name].items()))
        parts.append(f"{name}: {found[name].total()} runs ({rows})")
    return [
        f"Rows come from different machines, so their seconds do not compare. {'; '.join(parts)}."
    ]


def _machine(made) -> str:
    """Processor, cores, system and, but for the CPU, the GPU or kind of device, in words."""
    cores = f"{made['cores']} cores" if made.get("cores") else ""
    device = (made.get("device") or "cpu").partition(":")[0]
    card = made.get("gpu") or (device if device != "cpu" else "")
    parts = made.get("cpu"), cores, made.get("system"), card
    return ", ".join(filter(None, parts)) or "unknown machine"


def marks_of_figure(row, paper) -> str:
    """Letters of the notes on the paper's figure that stands in a row, such as "a,b"."""
    return ",".join(
        note["mark"] for note in paper["table1"]["notes"] if "methods" in note and _holds(note, row)
    )


def marks_of_dataset(rows, paper) -> str:
    """Letters of the notes on the dataset of these rows."""
    return ",".join(
        note["mark"]
        for note in paper["table1"]["notes"]
        if "methods" not in note and any(_holds(note, row) for row in rows)
    )


def holding(row, paper) -> list[dict]:
    """Stanzas of the notes that hold for a row."""
    return [note for note in paper["table1"]["notes"] if _holds(note, row)]


def departures(name, methods) -> list[str]:
    """How a method differs from the paper's recipe: as its stanza says, and `m+` against `m`."""
    stanza = methods[name]
    found = list(stanza.get("departures", []))
    base = methods.get(name.removesuffix("+"), stanza)
    if base is not stanza:
        for group in ("params", "needs"):
            ours, theirs = (_values(m.get(group, {}), methods) for m in (stanza, base))
            for key in _ordered([*ours, *theirs]):
                a, b = ours.get(key, "unset"), theirs.get(key, "unset")
                if a != b:
                    found.append(f"{key} = {a} instead of {b}")
    return found


def choices(rows, methods, datasets, fast=False) -> list[tuple[str, str, str, str, str]]:
    """(method, parameter, value, source, why) of all that a row of the table had to decide.

    Of `m+` beside `m`, and of a method beside the one that it is `like`, only what differs; `fast`
    shows the values of shortened schedules.
    """
    found, shown = [], _ordered(row["method"] for row in rows)
    coded = {row["dataset"] for row in rows if row["space"] == "code"}
    if coded:
        taken = {methods[m].get("needs", {}).get("codes", "").partition("/")[0] for m in shown}
        taken |= {datasets[dataset].get("embedding") for dataset in coded}
        shown = [name for name in methods if name in taken] + shown
    for name in shown:
        stanza, base = methods[name], _base(name, shown, methods)
        same = _settings(methods[base]) if base else {}
        names = _ordered(
            row["dataset"]
            for row in rows
            if kinds.of(stanza).output != "codes" or row["dataset"] in coded
        )
        for parameter, entry in _settings(stanza).items():
            value, source = entry["value"], entry.get("source", "")
            if fast and parameter in stanza.get("fast", {}):
                value, source = stanza["fast"][parameter], "--fast"
            if entry != same.get(parameter):
                said = resolved(value, names, datasets), source, entry.get("why", "")
                found.append((stanza["label"], parameter, *said))
    return found


def _settings(stanza) -> dict:
    return stanza.get("params", {}) | stanza.get("defaults", {})


def _base(name, shown, methods) -> str:
    """The shown method that another is a variant of; empty where there is none."""
    if name.endswith("+") and name[:-1] in shown:
        return name[:-1]
    base = methods[name].get("like", "")
    while base and base not in shown:
        base = methods[base].get("like", "")
    return base


def choices_section(rows, methods, datasets, fast=False, text=()) -> list[str]:
    """Lines of Markdown with `choices`, under `text`; none where there is no choice."""
    chosen = choices(rows, methods, datasets, fast)
    table = Table(("Method", "Parameter", "Value", "Source", "Why"), chosen)
    shown = _ordered(row["method"] for row in rows)
    bases = {name: _base(name, shown, methods) for name in shown if "like" in methods[name]}
    named = [
        f"{methods[name]['label']} (else as {methods[base]['label']})"
        for name, base in bases.items()
        if base
    ]
    if named:
        text = (*text, f"Variants have only what differs: {'; '.join(named)}.", "")
    return ["", "## What had to be chosen", "", *text, table.markdown()] if chosen else []


def resolved(value, names, datasets) -> str:
    """A value in words; ``@field`` as what the stanzas of the datasets `names` say."""
    if not (isinstance(value, str) and value.startswith("@")):
        return str(value)
    found = {}
    for name in names:
        title = datasets[name].get("title", name)
        found.setdefault(str(datasets[name].get(value[1:], "unset")), []).append(title)
    if len(found) == 1:
        return next(iter(found))
    return "; ".join(f"{words} ({', '.join(titles)})" for words, titles in found.items())


def _starts(name, methods):
    """Selections that a method starts from: what they are belongs to the method's row."""
    needed = [need.partition("/")[0] for need in methods[name].get("needs", {}).values()]
    return [other for other in needed if other in methods and kinds.of(methods[other]).chooses]


def _candidates(name, methods):
    spaces = {}
    for need in layout.candidates(name, methods):
        label, where = _placed(need, methods)
        spaces.setdefault(where, []).append(label)
    return "; ".join(", ".join(labels) + where for where, labels in spaces.items())


def _chosen(counts, methods):
    """``"ldmgi/code 7, ncut/raw 3"`` of a row in words."""
    return ", ".join(
        f"{_where(need, methods)} ×{count}"
        for need, count in (part.split(" ") for part in counts.split(", "))
    )


def _where(need, methods):
    """``"kmeans10/code"`` in words."""
    return "".join(_placed(need, methods))


def _placed(need, methods) -> tuple[str, str]:
    """What stands in Table 1 where a cell does: a method, and what it is of."""
    name, _, space = need.partition("/")
    of, name = layout.features(name, space, methods), layout.column(name, methods)
    where = f" on {layout.in_words(of)}" if of and of not in layout.JOINT else ""
    return methods.get(name, {}).get("label", name), where


def _holds(note, row):
    if row["dataset"] not in note["datasets"] or note.get("variant") not in (None, row["variant"]):
        return False
    return "methods" not in note or (
        row["method"] in note["methods"] and row["paper_mean"] is not None
    )


def _values(entries, methods):
    return {
        key: entry["value"] if isinstance(entry, dict) else _where(entry, methods)
        for key, entry in entries.items()
    }


def _ordered(items):
    return list(dict.fromkeys(items))
