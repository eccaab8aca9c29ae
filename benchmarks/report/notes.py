"""What a reader of the table must know: doubts, variants, departures, and every free choice."""

from __future__ import annotations


def footnotes(rows, methods, datasets, paper) -> list[tuple[str, str]]:
    """(mark, text) of the notes that hold for some of the rows; `marks_of_*` say which."""
    notes = [(note["mark"], note["text"]) for note in paper["table1"]["notes"]
             if any(_holds(note, row) for row in rows)]
    for name in _ordered(row["dataset"] for row in rows):
        used = _ordered(row["variant"] for row in rows if row["dataset"] == name)
        if len(datasets[name].get("variants", [])) > 1:
            notes += [("", f"{datasets[name].get('title', name)}: the variant of the data used is "
                           f"`{variant}`.") for variant in used if variant]
    for name in _ordered(row["method"] for row in rows):
        differences = departures(name, methods)
        if differences:
            notes.append(("", f"{methods[name]['label']} departs from the paper's recipe: "
                              f"{'; '.join(differences)}."))
        elif name not in paper["table1"]["space"]:
            notes.append(("", f"{methods[name]['label']} is not a row of the paper's table."))
    return notes


def marks_of_figure(row, paper) -> str:
    """Letters of the notes on the paper's figure that stands in a row, such as "a,b"."""
    return ",".join(note["mark"] for note in paper["table1"]["notes"]
                    if "methods" in note and _holds(note, row))


def marks_of_dataset(rows, paper) -> str:
    """Letters of the notes on the dataset of these rows."""
    return ",".join(note["mark"] for note in paper["table1"]["notes"]
                    if "methods" not in note and any(_holds(note, row) for row in rows))


def departures(name, methods) -> list[str]:
    """How a method differs from the paper's recipe: as its stanza says, and `m+` against `m`."""
    stanza = methods[name]
    found = list(stanza.get("departures", []))
    base = methods.get(name.removesuffix("+"), stanza)
    if base is not stanza:
        for group in ("params", "needs"):
            ours, theirs = _values(stanza.get(group, {})), _values(base.get(group, {}))
            for key in _ordered([*ours, *theirs]):
                a, b = ours.get(key, "unset"), theirs.get(key, "unset")
                if a != b:
                    found.append(f"{key} = {a} instead of {b}")
    return found


def choices(rows, methods) -> list[tuple[str, str, str, str, str]]:
    """(method, parameter, value, source, why) of all that a row of the table had to decide."""
    shown = _ordered(row["method"] for row in rows)
    if any(row["space"] == "code" for row in rows):
        shown = [name for name, m in methods.items() if m["kind"] == "embedding"] + shown
    return [(methods[name]["label"], parameter, str(entry["value"]), entry.get("source", ""),
             entry.get("why", ""))
            for name in shown for parameter, entry in methods[name].get("params", {}).items()]


def _holds(note, row):
    if row["dataset"] not in note["datasets"] or note.get("variant") not in (None, row["variant"]):
        return False
    return "methods" not in note or (row["method"] in note["methods"]
                                     and row["paper_mean"] is not None)


def _values(entries):
    return {key: entry["value"] if isinstance(entry, dict) else entry
            for key, entry in entries.items()}


def _ordered(items):
    return list(dict.fromkeys(items))
