"""``mixnet gate``: run the grid, judge it, or replace the reference."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import registry
from benchmarks.gate import grid, reference
from benchmarks.gate.reference import cell_of
from benchmarks.gate.rule import judge
from benchmarks.records import whole
from benchmarks.records.store import Store
from benchmarks.report import stats
from benchmarks.report.table import Table
from benchmarks.run.progress import Display, duration


def main(args) -> int:
    """Exit status: 0 where nothing is worse, 1 where something is or is not done, 2 for misuse."""
    gate = grid.load()
    path = (
        Path(args.reference) if args.reference else reference.path_in(Store(args.results).results)
    )
    try:
        old = reference.read(path, gate["measures"])
        if args.study:
            from benchmarks.gate import study

            return study.main(gate, old, Store(args.results), path.parent)
        chosen, absent = grid.choose(gate, args.data_source, args.datasets)
        return _run(args, gate, path, old, chosen, absent)
    except ValueError as error:
        if isinstance(error, registry.RegistryError):
            raise
        print(f"mixnet gate: {error}", file=sys.stderr)
        return 2


def _run(args, gate, path, old, chosen, absent) -> int:
    if args.update and (absent or args.datasets):
        raise ValueError(
            "--update needs all datasets of the grid, "
            + (f"{', '.join(absent)} not here: see `mixnet data`" if absent else "not a selection")
        )
    if absent:
        print(
            f"no data on this machine for {', '.join(absent)}: the gate runs on "
            f"{', '.join(chosen) or 'nothing'} only"
        )
    if not chosen:
        raise ValueError("none of the datasets asked for is on this machine; see `mixnet data`")
    if not old and not args.update:
        raise ValueError(f"there is no reference {path}: `mixnet gate --update` makes it")
    if args.update:
        _try("--reference", path.parent)
    if args.keep:
        _try("--keep", args.keep)
    seeds = gate["reference_seeds" if args.update else "seeds"]
    start, display = time.monotonic(), Display()
    with contextlib.ExitStack() as stack:
        folder = args.keep or stack.enter_context(tempfile.TemporaryDirectory(prefix="mixnet-"))
        rows, stopped = grid.run(gate, chosen, seeds, folder, args.data_source, args.jobs, display)
    if stopped:
        print("stopped: nothing is judged, nothing is changed", file=sys.stderr)
        return 130
    print(f"{len(rows)} cells in {duration(time.monotonic() - start)}")
    if args.update:
        return _update(path, old, rows, gate)
    return _judge([row for row in old if row["dataset"] in chosen], rows, gate)


def _try(option, folder) -> None:
    """Refuse, before minutes of work, what cannot be written in the end."""
    try:
        whole.try_folder(Path(folder))
    except OSError as error:
        raise ValueError(
            f"{option} needs a folder that can be written; got {folder}: {error.strerror}"
        ) from error


def _judge(old, rows, gate) -> int:
    verdicts = judge(old, rows, gate, gate["seeds"])
    head = ("", "dataset", "method", "features", "measure", "change", "fails below", "p", "")
    print(Table(head, [_line(v, gate) for v in verdicts]).text())
    _differences(old, rows)
    bad = [v for v in verdicts if not v.passed]
    print(f"gate: {'RED' if bad else 'green'}, {len(bad)} of {len(verdicts)} comparisons failed")
    if bad:
        print(
            "a change for the better, or meant: `mixnet gate --update`, and say why in the commit",
            file=sys.stderr,
        )
    return 1 if bad else 0


def _line(verdict, gate) -> tuple[str, ...]:
    stanza = gate["measures"].get(verdict.measure, {})
    unit = f" {stanza['unit']}" if stanza else ""

    def number(value):
        return "" if value is None else f"{value:+.3f}{unit}"

    return (
        "ok" if verdict.passed else "FAIL",
        *verdict.row,
        stanza.get("label", ""),
        number(verdict.mean),
        number(verdict.limit),
        "" if verdict.p is None else f"{verdict.p:.2g}",
        verdict.why,
    )


def _differences(old, rows) -> None:
    """Say where the run is not the reference's: another machine, other parameters."""
    now, was = reference.machines(rows), reference.machines(old)
    if set(now) != set(was):
        print(f"reference made with: {'; '.join(was)}\nthis run with:       {'; '.join(now)}")
    keys = {cell_of(row): row["key"] for row in old}
    other = {
        f"{row['dataset']} {row['method']}"
        for row in rows
        if keys.get(cell_of(row), row["key"]) != row["key"]
    }
    if other:
        print(f"parameters or inputs are not those of the reference: {', '.join(sorted(other))}")


def _update(path, old, rows, gate) -> int:
    if failed := [row for row in rows if row["status"] != "done"]:
        for row in failed:
            print(
                f"{' '.join(map(str, cell_of(row)))}: {row['status']} {row['reason']}".rstrip(),
                file=sys.stderr,
            )
        print("not every cell is done: the reference stays as it was", file=sys.stderr)
        return 1
    lines = []
    for name in dict.fromkeys(cell_of(row)[:3] for row in [*old, *rows]):
        for measure, stanza in gate["measures"].items():
            before, after = (_values(table, name, measure) for table in (old, rows))
            if before or after:
                lines.append(
                    (*name, stanza["label"], _mean(before), _mean(after), _moved(before, after))
                )
    head = ("dataset", "method", "features", "measure", "before", "after", "change")
    print(Table(head, lines).text())
    reference.write(path, rows, gate["measures"])
    print(f"wrote {path}")
    if any(row["dirty"] for row in rows):
        print(
            "warning: the checkout differs from its commit; the reference says so", file=sys.stderr
        )
    return 0


def _values(rows, name, measure) -> dict[int, float]:
    return {
        row["seed"]: row[measure]
        for row in rows
        if cell_of(row)[:3] == name and row[measure] is not None
    }


def _mean(values: dict) -> str:
    if not values:
        return "none"
    numbers = list(values.values())
    spread = f" ± {stats.std(numbers):.3f}" if len(numbers) > 1 else ""
    return f"{stats.mean(numbers):.3f}{spread} (n = {len(numbers)})"


def _moved(before: dict, after: dict) -> str:
    both = sorted(set(before) & set(after))
    return f"{stats.mean([after[s] - before[s] for s in both]):+.3f}" if both else ""
