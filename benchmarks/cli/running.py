"""Commands of ``mixnet`` that compute cells, or change which records there are."""

from __future__ import annotations

import contextlib
import os
import sys
from collections import defaultdict

from benchmarks import registry
from benchmarks.cli.common import (
    Refused,
    chosen_suites,
    near,
    need_folders,
    need_results,
    plan_of,
    settings_of,
    warn,
)
from benchmarks.cli.showing import tables_of
from benchmarks.records.store import Store
from benchmarks.run.plan import Plan, check_names, suite_plan


def run_quickstart(args) -> int:
    """`mixnet quickstart`: its suite, here and now, in a folder of its own."""
    from benchmarks.cli import quickstart

    place = quickstart.folder(Store(args.results).results)
    with contextlib.ExitStack() as stack:
        try:
            free = stack.enter_context(quickstart.own_folder(place, args.fresh))
        except OSError as error:
            raise Refused(
                f"{near(place)} needs to be a folder that can be written: {error.strerror or error}"
            ) from error
        if not free:
            raise Refused(f"another quickstart runs in {near(place)}")
        store = Store(place)
        before = quickstart.attempts(store)
        return run_suite(args, store, lambda plan: quickstart.lines(plan, store, before))


def run_suite(args, store: Store | None = None, told=None) -> int:
    """Run a suite and write its tables.

    `told` takes the plan and gives the lines that are printed in place of the table.
    """
    from benchmarks.run import dispatch
    from benchmarks.run.progress import Display

    store = store or Store(args.results)
    plan = plan_of(args, args.suite, store)
    if args.data_source and not os.path.isdir(args.data_source):
        print(
            f"warning: --data-source (MIXNET_DATA) is {args.data_source}, which is no folder: "
            "only what was read before is there",
            file=sys.stderr,
        )
    if args.dry_run:
        from benchmarks.run import preview

        with settings_of(args, store) as settings:
            print("\n".join(preview.lines(plan, store, settings)))
        return 0
    need_folders(store)
    display = Display()
    with settings_of(args, store) as settings:
        runner = dispatch.Dispatcher(plan, store, settings, display)
        display.line(
            f"{args.suite}: {len(plan.nodes)} cells, {len(runner.expected)} to run, "
            f"{settings.jobs} at a time, {args.threads} thread(s) each"
            + (f", on {args.scheduler}" if args.scheduler else "")
        )
        summary = runner.run()
    warn(store)
    if summary.stopped:
        n = sum(outcome.status == "interrupted" for outcome in summary.outcomes.values())
        display.line(f"stopped, {n} cell(s) in the middle; the same command goes on from here")
        return 130
    good = tables_of(args, plan, store, told)
    display.line(dispatch.counts(summary))
    _explain(plan, summary)
    return 0 if summary.complete and good else 1


def _explain(plan: Plan, summary) -> None:
    """Say what is not done and what to do about it."""
    for dataset, reason in summary.failures.items():
        print(
            f"no data for {dataset}: {reason}\n  then: mixnet run with the same arguments "
            f"(`mixnet data {dataset}` shows what is here)",
            file=sys.stderr,
        )
    for key, outcome in summary.outcomes.items():
        if outcome.status not in ("done", "no data", "skipped"):
            print(
                f"not done: {plan.nodes[key]}: {outcome.status} {outcome.reason}".rstrip(),
                file=sys.stderr,
            )
    if any(
        not o.ran and o.status in ("error", "diverged", "timeout")
        for o in summary.outcomes.values()
    ):
        print("failures of unchanged code are repeated with --retry-failed", file=sys.stderr)


def verify_cells(args) -> int:
    """`mixnet verify`; see `benchmarks.run.verify`."""
    from benchmarks.run.progress import Display
    from benchmarks.run.verify import verify

    store = Store(args.results)
    need_folders(store)
    schedules = (False, True) if args.by == "method" else (args.fast,)
    plans = [
        plan_of(args, suite, store, fast=fast)
        for suite in chosen_suites(args)
        for fast in schedules
    ]
    with settings_of(args, store) as settings:
        good = verify(plans, store, settings, Display(), args.by)
    warn(store)
    print("nothing is stale" if good else "stale cells are left")
    return 0 if good else 1


def rescore_records(args) -> int:
    """`mixnet rescore`: metrics of stored labels, without a run."""
    from benchmarks.cli.rescore import rescore

    store = Store(args.results)
    need_results(store)
    plans = [plan_of(args, suite, store, recorded=True) for suite in chosen_suites(args)]
    status = rescore(plans, store, args.metric, args.data_source)
    warn(store)
    return status


def merge_results(args) -> int:
    """`mixnet merge`: records of another machine beside these."""
    from benchmarks.records.merge import Conflict, merge

    store = Store(args.results)
    try:
        merged = merge(store, args.folders)
    except Conflict as error:
        raise Refused(error) from error
    for path, problem in merged.left_out.items():
        print(f"warning: record {path} left out: {problem}", file=sys.stderr)
    warn(store)
    print(
        f"{merged.added} records joined, {merged.known} were here already, "
        f"{len(merged.left_out)} left out"
        + (f"; {merged.verified} verifications joined" if merged.verified else "")
    )
    return 1 if merged.left_out else 0


def retire_attempts(args) -> int:
    """`mixnet retire`: attempts that nothing needs any more."""
    from benchmarks.run import retire

    store = Store(args.results)
    need_results(store)
    former = check_names(args.former, registry.methods(), "method")
    # Which variant of a dataset is meant hangs on records or on the data here: both count.
    plans = [
        suite_plan(suite, fast=fast, store=store, recorded=recorded)
        for suite in registry.suites()
        for fast in (False, True)
        for recorded in (False, True)
    ]
    leaving = retire.choose(plans, store, former)
    groups = defaultdict(list)
    for one in leaving:
        cell = one.record["cell"]
        groups[one.why, cell["dataset"], cell["method"], cell["params"].get("space")].append(one)
    for (why, dataset, method, space), group in sorted(groups.items(), key=str):
        print(
            f"{why:<11} {dataset:<12} {method:<24} {space:<5} {len(group):>4} attempts "
            f"{sum(one.size for one in group) / 1e6:7.2f} MB"
        )
    size = sum(one.size for one in leaving)
    if args.delete:
        try:
            retire.retire(leaving, store)
        except retire.NotInHistory as error:
            raise Refused(error) from error
        except OSError as error:
            place = near(store.results)
            raise Refused(f"{place}: {error.strerror}; the same command goes on") from error
    warn(store)
    for place, problem in store.retired.problems.items():
        print(f"warning: {place}: {problem}", file=sys.stderr)
    done = f"deleted, and named in {near(store.retired.path)}"
    what = done if args.delete else "`mixnet retire --delete` deletes them"
    print(f"{len(leaving)} attempts, {size / 1e6:.1f} MB: {what}")
    return 0


def run_gate(args) -> int:
    """`mixnet gate`; see `benchmarks.gate.command`."""
    from benchmarks.gate import command

    return command.main(args)
