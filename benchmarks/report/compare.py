"""Two result sets side by side: what a change, or another machine, did to the numbers.

Cells stand opposite each other where dataset, method, features, seed and scored model are the same.
Where a side has them with several settings, each of B goes with the settings of A nearest to it,
and what differs is named, that of the cells it took codes, starts or samples from too. Of several
attempts at a cell the one that tables stand on counts: the newest done one, a fresh one if any.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from benchmarks.records import provenance
from benchmarks.records.files import canonical_json
from benchmarks.records.store import Store
from benchmarks.report import stats
from benchmarks.report.table import Table
from benchmarks.report.words import span, tally
from benchmarks.results import row as plain
from benchmarks.run.retire import place_of

#: What is compared where nobody says what, and its unit.
MEASURES = {
    "purity": "percent",
    "heldout_log_likelihood": "nats a point",
    "parzen_log_likelihood": "nats",
}
COLUMNS = (
    "measure", "dataset", "method", "of", "space", "n", "a_mean", "b_mean", "difference", "low",
    "high", "alike", "a_seeds", "b_seeds", "changed",
)  # fmt: skip
HEAD = ("dataset", "method", "space", "n", "A", "B", "difference")
UNKNOWN = "unknown"
MOST = 6  # settings that the text names of a row; a table that is written has all of them


@dataclass
class Group:
    """Cells of one side that differ in their seeds only."""

    settings: dict[str, str]
    runs: dict[int, dict] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)

    @property
    def newest(self) -> str:
        """When the last of its runs started."""
        return max(map(started, self.runs.values()), default="")


class Side:
    """The cells of one result set: place without its seed -> groups."""

    def __init__(self, store: Store):
        self.records = store.all()
        self._cells = {record["key"]: record["cell"] for record in self.records}
        attempts, known = defaultdict(list), {}
        for record in self.records:
            attempts[record["key"]].append(record)
        found: dict[tuple, dict[str, Group]] = defaultdict(dict)
        for tried in attempts.values():
            cell = tried[-1]["cell"]
            dataset, method, space, seed, of = place_of(cell)
            settings = self._settings(cell)
            group = found[dataset, method, of, space or ""].setdefault(
                canonical_json(settings), Group(settings)
            )
            good = [r for r in tried if r["status"] == "done" and store.intact(r)]
            if good:
                fresh = [r for r in good if len(good) > 1 and not store.changed(r, known)]
                one = (fresh or good)[-1]
                before = group.runs.get(seed)  # with other settings of inputs that are gone
                if before is None or started(before) < started(one):
                    group.runs[seed] = one
            else:
                status = tried[-1]["status"]
                group.failed[seed] = "damaged" if status == "done" else status
        self.places = {place: list(groups.values()) for place, groups in found.items()}

    def _settings(self, cell: dict, prefix: str = "") -> dict[str, str]:
        """Parameters by name, those of the cells that inputs came from under ``role.name``."""
        found = {
            prefix + name: canonical_json(value)
            for name, value in cell["params"].items()
            if name not in ("space", "inputs")
        }
        if not prefix:
            found["data"] = cell["content_hash"].partition(":")[2] or cell["content_hash"][:8]
        for role, reference in (cell["params"].get("inputs") or {}).items():
            method, _, key = str(reference).partition("/")
            found[prefix + role] = method
            other = self._cells.get(key)
            found |= (
                {f"{prefix}{role}.": UNKNOWN}
                if other is None
                else self._settings(other, f"{prefix}{role}.")
            )
        return found


def started(record: dict) -> str:
    """When a run started, UTC, empty where the record does not say."""
    return record["provenance"]["started"]


def differing(a: dict[str, str], b: dict[str, str]) -> dict[str, tuple[str | None, str | None]]:
    """Settings that differ, name -> (of A, of B); None where a side has no such setting.

    Those of cells that a side has no record of are unknown, and differ from nothing.
    """
    unknown = tuple(name for side in (a, b) for name, value in side.items() if value is UNKNOWN)
    return {
        name: (a.get(name), b.get(name))
        for name in sorted(a.keys() | b.keys())
        if a.get(name) != b.get(name) and not (unknown and name.startswith(unknown))
    }


def compare(a: Side, b: Side, measures=tuple(MEASURES)) -> list[dict]:
    """Rows of `COLUMNS`, those of a measure together, largest differences first.

    Parameters
    ----------
    a, b : Side
    measures : sequence of str
        Columns of `benchmarks.results`, numbers.

    Returns
    -------
    list of dict
        Means and ``difference`` (B minus A) are over the ``n`` seeds that both sides have, with
        its 95% interval (Student's t of the paired differences; None below two pairs); ``alike``
        counts those pairs that are equal to the last bit. Where no seed is on both sides ``n`` is
        0 and the mean that of the side that has any. ``a_seeds`` and ``b_seeds`` are what only
        that side has, with what failed there; ``changed`` names settings that differ.
    """
    found = []
    for place in sorted(a.places.keys() | b.places.keys()):
        names = dict(zip(("dataset", "method", "of", "space"), place, strict=True))
        for one, other in _opposite(a.places.get(place, []), b.places.get(place, [])):
            rows = ((measure, _row(one, other, measure)) for measure in measures)
            found += [{"measure": measure, **names, **row} for measure, row in rows if row]

    def order(row):
        return measures.index(row["measure"]), row["n"] == 0, -abs(row["difference"] or 0.0)

    return sorted(found, key=order)


def _opposite(ours: list[Group], theirs: list[Group]) -> list[tuple[Group | None, Group | None]]:
    """Each group of B beside the nearest of A, of equally near ones the newest; then the rest."""
    pairs, met = [], set()
    for other in theirs:
        near = min(
            ours,
            default=None,
            key=lambda one: (len(differing(one.settings, other.settings)), _reversed(one.newest)),
        )
        pairs.append((near, other))
        met.add(id(near))
    return pairs + [(one, None) for one in ours if id(one) not in met]


def _reversed(text: str) -> tuple[int, ...]:
    """A key by which later texts come first."""
    return tuple(-ord(letter) for letter in text)


def _row(one: Group | None, other: Group | None, measure: str) -> dict | None:
    a, b = ({} if group is None else _values(group, measure) for group in (one, other))
    if not a and not b:
        return None
    both = sorted(a.keys() & b.keys())
    gains = [b[seed] - a[seed] for seed in both]
    low, high = stats.paired(gains).interval if len(gains) > 1 else (None, None)
    changed = differing(one.settings, other.settings) if one and other else {}
    return {
        "n": len(both),
        "a_mean": _mean(a, both or a),
        "b_mean": _mean(b, both or b),
        "difference": stats.mean(gains) if gains else None,
        "low": low,
        "high": high,
        "alike": sum(a[seed] == b[seed] for seed in both),
        "a_seeds": _alone(one, a.keys() - b.keys()),
        "b_seeds": _alone(other, b.keys() - a.keys()),
        "changed": "; ".join(
            f"{name} {_said(was)} → {_said(now)}" for name, (was, now) in changed.items()
        ),
    }


def _values(group: Group, measure: str) -> dict[int, float]:
    found = {seed: plain(record)[measure] for seed, record in group.runs.items()}
    return {
        seed: float(value)
        for seed, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _mean(values: dict[int, float], seeds) -> float | None:
    return stats.mean([values[seed] for seed in seeds]) if values else None


def _alone(group: Group | None, seeds) -> str:
    """Seeds that only one side has, and how the failures there ended."""
    failed = tally(group.failed.values() if group else ())
    return ", ".join(filter(None, [f"seeds {span(seeds)}" if seeds else "", failed]))


def _said(value: str | None) -> str:
    """A setting as JSON has it, texts without their quotation marks."""
    if value is None:
        return "none"
    return json.loads(value) if value.startswith('"') else value


def table(rows: list[dict]) -> Table:
    """All rows, those that did not change too."""
    return Table(COLUMNS, rows)


def text(rows: list[dict], a: Side, b: Side) -> str:
    """What differs, a table a measure; what is the same and what is only on one side in a line."""
    said = []
    for measure in dict.fromkeys(row["measure"] for row in rows):
        mine = [row for row in rows if row["measure"] == measure]
        paired = [row for row in mine if row["n"]]
        moved = [row for row in paired if row["alike"] < row["n"] or row["changed"]]
        said += [
            f"{measure.replace('_', ' ')}{_unit(measure)}: {len(moved)} of {len(paired)} rows "
            "differ, B − A, mean [95% interval]"
        ]
        if moved:
            said.append(Table((*HEAD, "", ""), map(_line, moved)).text())
            sure = [row for row in moved if row["low"] is not None]
            if sure:
                said.append(
                    f"* {sum(map(_sure, sure))} of {len(sure)} intervals leave out 0; by chance "
                    f"alone about {len(sure) / 20:.1f} would"
                )
        for side, mean in (("A", "a_mean"), ("B", "b_mean")):
            alone = Counter(_method(row) for row in mine if not row["n"] and row[mean] is not None)
            methods = ", ".join(f"{method} ×{n}" for method, n in sorted(alone.items()))
            said += [f"only in {side}: {methods}"] if methods else []
        said.append("")
    said += causes(a, b)
    return "\n".join(said).rstrip()


def _sure(row: dict) -> bool:
    """Whether an interval leaves out 0."""
    return row["low"] > 0 or row["high"] < 0


def _unit(measure: str) -> str:
    return f" ({MEASURES[measure]})" if measure in MEASURES else ""


def _method(row: dict) -> str:
    return f"{row['method']} of {row['of']}" if row["of"] else row["method"]


def _line(row: dict) -> tuple[str, ...]:
    interval, mark = "", ""
    if row["low"] is not None:
        interval = f" [{row['low']:+.2f}, {row['high']:+.2f}]"
        mark = "*" * _sure(row)
    alone = [
        f"only {side}: {row[key]}" for side, key in (("A", "a_seeds"), ("B", "b_seeds")) if row[key]
    ]
    settings = row["changed"].split("; ") if row["changed"] else []
    more = [f"and {len(settings) - MOST} more settings"] if len(settings) > MOST else []
    means = f"{row['a_mean']:.2f}", f"{row['b_mean']:.2f}", f"{row['difference']:+.2f}{interval}"
    said = "; ".join([*alone, *settings[:MOST], *more])
    return row["dataset"], _method(row), row["space"], str(row["n"]), *means, mark, said


def causes(a: Side, b: Side) -> list[str]:
    """Lines on what is not the same of runs opposite each other: code, software, machine."""
    pairs, modules, software, machines = 0, Counter(), Counter(), Counter()
    for place in a.places.keys() & b.places.keys():
        for one, other in _opposite(a.places[place], b.places[place]):
            if one is None or other is None:
                continue
            for seed in one.runs.keys() & other.runs.keys():
                was, now = (group.runs[seed]["provenance"] for group in (one, other))
                pairs += 1
                pinned = provenance.is_pinned(one.runs[seed]["cell"])
                for name in _unlike(was.get("modules") or {}, now.get("modules") or {}):
                    modules[name] += provenance.counts(name, pinned)
                unlike = _unlike(was.get("versions") or {}, now.get("versions") or {})
                for name, (old, new) in unlike.items():
                    software[f"{name} {old} → {new}"] += 1
                if _machine(was) != _machine(now):
                    machines[f"{_machine(was)} → {_machine(now)}"] += 1
    said = [f"{pairs} runs stand opposite each other"]
    for what, counts in (("code", modules), ("software", software), ("machine", machines)):
        found = [f"{name} ×{n}" for name, n in counts.most_common() if n]
        more = f" and {len(found) - 12} more" if len(found) > 12 else ""
        said.append(f"  other {what}: {', '.join(found[:12]) or 'none'}{more}")
    return said


def _machine(made: dict) -> str:
    return ", ".join(
        str(made[part]) for part in ("cpu", "cores", "system", "gpu") if made.get(part)
    )


def _unlike(was: dict, now: dict) -> dict[str, tuple]:
    return {
        name: (was.get(name), now.get(name))
        for name in sorted(was.keys() | now.keys())
        if was.get(name) != now.get(name)
    }
