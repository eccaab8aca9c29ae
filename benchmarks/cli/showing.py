"""Commands of ``mixnet`` that write or say what is made of the records."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections import Counter, defaultdict
from pathlib import Path

from benchmarks import registry, stanzas
from benchmarks.cli.common import (
    Refused,
    chosen_suites,
    is_partial,
    near,
    need_results,
    plan_of,
    unwritable,
    warn,
)
from benchmarks.records.store import Store
from benchmarks.run.plan import NEVER, Plan, Standing

CLAIMS = "claims"  # stands where a suite does, in `mixnet table`


def tables_of(args, plan: Plan, store: Store, told=None) -> bool:
    """Write a suite's tables and print the text, or say why there are none: False."""
    from benchmarks.report import tables

    own, before = registry.suites()[args.suite]["methods"], []
    new = [name for name in args.methods or () if name not in own]
    if new:  # a method of somebody's own: beside those of the suite
        whole = plan_of(args, args.suite, store, recorded=True, methods=own)
        there = {node.cell["method"] for node in whole.nodes.values() if store.attempts(node.cell)}
        before = [name for name in own if name in there and name not in args.methods]
        beside = [*filter(there.__contains__, own), *args.methods]
        plan = plan_of(args, args.suite, store, recorded=True, methods=beside)
    good = _written(
        args.suite,
        store,
        lambda: tables.write(args.suite, plan, store, is_partial(args), before),
        told and (lambda: told(plan)),
    )
    if good and new:
        names = ", ".join(f'"{name}"' for name in new)
        print(
            f"for good: add {names} to methods in {near(stanzas.folder())}/suites/"
            f"{args.suite}.toml, then `mixnet run {args.suite} --methods {','.join(new)}` and "
            f"`mixnet table {args.suite}`"
        )
    return good


def _written(name: str, store: Store, write, told=None) -> bool:
    """Print what `write` gives, text and files (or what is `told`); False, and why, for none."""
    try:
        text, files = write()
    except registry.RegistryError:
        raise
    except ValueError as error:
        print(f"mixnet: no tables of {name}: {error}", file=sys.stderr)
        return False
    except OSError as error:
        raise Refused(
            f"the tables of {name} cannot be written to {near(store.results)}: {error.strerror}; "
            f"the records are whole, and `mixnet table {name}` makes tables of them"
        ) from error
    print("\n".join(told()) if told else text)
    for path in files:
        print(f"wrote {near(path)}")
    return True


def write_tables(args) -> int:
    """`mixnet table`: tables of a suite, of all that were run, or the claims."""
    store, good = Store(args.results), True
    claims = args.suite == CLAIMS
    if claims and is_partial(args):
        raise Refused(f"{CLAIMS} are judged by all records, needs no part of them")
    suites = [] if claims else chosen_suites(args)
    need_results(store)
    for suite in suites:
        plan = plan_of(args, suite, store, recorded=True)
        if args.suite or any(
            store.attempts(node.cell) for node in plan.nodes.values() if node.requested
        ):  # of all, those that were ever run
            good &= tables_of(argparse.Namespace(**{**vars(args), "suite": suite}), plan, store)
    if claims or not (args.suite or is_partial(args)):
        from benchmarks.report.claims import judge  # it reads what no single suite needs

        if claims or judge.read():
            good &= _written(CLAIMS, store, lambda: judge.report(store))
    warn(store)
    return 0 if good else 1


def write_report(args) -> int:
    """`mixnet report`: the page."""
    from benchmarks.report import page

    store = Store(args.results)
    need_results(store)
    output = Path(args.output or store.results / "report.html")
    try:
        if output.is_dir():  # known before the page is built
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        page.write(store, output)
    except OSError as error:
        raise unwritable("--output", output, error) from error
    warn(store)
    if not store.all():
        print(
            f"no record under {store.root}: `mixnet run quickstart` makes some, see "
            "`mixnet list suites` for the rest",
            file=sys.stderr,
        )
    print(f"wrote {near(output)} ({output.stat().st_size / 1e6:.1f} MB)")
    return 0


def write_runs(args) -> int:
    """`mixnet runs`: every attempt as a row."""
    from benchmarks import results

    store = Store(args.results)
    need_results(store)
    found, path = results.rows(store), args.output or store.results / "runs.csv"
    try:
        results.write(found, path)
    except OSError as error:
        raise unwritable("--output", path, error) from error
    warn(store)
    print(f"wrote {near(path)} ({len(found)} attempts)")
    return 0


def export_models(args) -> int:
    """`mixnet export`: samples and weights of a suite's cells in one file."""
    from benchmarks.report import export

    store = Store(args.results)
    need_results(store)
    plan = plan_of(args, args.suite, store, recorded=True)
    output = args.output or Path(f"mixnet-{args.suite}.zip")
    try:
        packed, left = export.write(args.suite, plan, store, output)
    except export.NothingThere as error:
        raise Refused(
            f"nothing to export ({error}); `mixnet run {args.suite} --remake`, with the same "
            "selection, makes it"
        ) from error
    except OSError as error:
        raise unwritable("--output", output, error) from error
    warn(store)
    for name, why in left.items():
        print(f"left out: {name}: {why}", file=sys.stderr)
    size = output.stat().st_size / 1e6
    print(f"wrote {near(output)} ({len(packed)} models, {size:.1f} MB); its README.md is the card")
    return 1 if left else 0


def compare_results(args) -> int:
    """`mixnet compare`: two result sets, cell by cell."""
    from benchmarks import results
    from benchmarks.report import compare
    from benchmarks.report.table import FORMS

    measures = args.measures or list(compare.MEASURES)
    if args.output and args.output.suffix not in FORMS:
        raise Refused(
            f"--csv is {args.output}, needs a name that ends in one of {', '.join(FORMS)}"
        )
    if unknown := [name for name in measures if name not in results.NUMBERS]:
        known = ", ".join(results.NUMBERS)
        raise Refused(f"--measures has {unknown[0]!r}, needs names of {known}")
    try:
        with results.opened(args.a) as a, results.opened(args.b) as b:
            sides = compare.Side(a), compare.Side(b)
            for name, place, store, side in zip(
                "AB", (args.a, args.b or b.results), (a, b), sides, strict=True
            ):
                warn(store)
                if not side.records:
                    raise results.NoResults(f"{place} has no record")
                print(
                    f"{name}: {near(place) if os.path.isdir(place) else place}, "
                    f"{len(side.records)} attempts, the last of "
                    f"{max(map(compare.started, side.records))[:16]}"
                )
    except results.NoResults as error:
        raise Refused(error) from error
    rows = compare.compare(*sides, measures)
    if args.output:
        try:
            compare.table(rows).write(args.output)
        except OSError as error:
            raise unwritable("--csv", args.output, error) from error
    print(compare.text(rows, *sides))
    if args.output:
        print(f"wrote {near(args.output)} ({len(rows)} rows)")
    return 0


def write_readme(args) -> int:
    """`mixnet readme`: what the README says of the results."""
    from benchmarks.report import readme

    store = Store(args.results)
    need_results(store)
    path = Path(args.output or store.results.absolute().parent / "README.md")
    try:
        files = readme.write(store, path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise Refused(f"--output is {path}: {why}") from error
    warn(store)
    for file in files:
        print(f"wrote {near(file)}")
    return 0


def show_status(args) -> int:
    """`mixnet status`: how the cells of suites stand."""
    store, fresh, asked = Store(args.results), True, set()
    standing = Standing(store)
    for suite in chosen_suites(args):
        plan = plan_of(args, suite, store)
        groups = defaultdict(list)
        for node in plan.nodes.values():
            cell, method = node.cell, node.method.get("design", node.cell["method"])
            groups[cell["dataset"], method, cell["params"]["space"]].append(standing.state(node))
        print(f"{suite}: {len(plan.nodes)} cells")
        for (dataset, method, space), states in groups.items():
            tally = Counter(
                state.last["status"] if state.name == "failed" else state.name for state in states
            )
            fresh &= set(tally) == {"done"}
            print(
                f"  {dataset:<12} {method:<12} {space:<5} "
                + ", ".join(f"{n} {name}" for name, n in tally.most_common())
            )
            for why, n in Counter(
                s.why
                for s in states
                if s.name in ("stale", "failed") or (s.name == "missing" and s.why != NEVER)
            ).items():
                print(f"      {n} × {why}")
        asked |= plan.nodes.keys()
    if not (args.suite or is_partial(args)):
        _others(store, asked)
    warn(store)
    return 0 if fresh else 1


def _others(store: Store, asked: set[str]) -> None:
    """Say how many recorded cells no suite asks for: `mixnet runs` shows them, no table does."""
    newest = {record["key"]: record for record in store.all() if record["key"] not in asked}
    if newest:
        known: dict[str, str | None] = {}
        old = sum(bool(store.changed(record, known)) for record in newest.values())
        print(
            f"of no suite (settings of before, shortened schedules): {len(newest)} "
            f"cells, {old} of them by other code"
        )
