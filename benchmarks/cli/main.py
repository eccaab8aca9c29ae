"""The command ``mixnet``: run suites, see how they stand, write tables."""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import sys
from collections import Counter, defaultdict
from pathlib import Path

from benchmarks import registry
from benchmarks.records import files as cache
from benchmarks.records import folders, provenance, whole
from benchmarks.records.store import Store
from benchmarks.run import output
from benchmarks.run.plan import NEVER, Plan, Standing, suite_plan

SAYS_ONLY = ("list", "status", "doctor", "data")  # commands that leave nothing but what they say

DATA_ADD = "data add"  # a command of two words
CLAIMS = "claims"  # stands where a suite does, in `mixnet table`


def parser() -> argparse.ArgumentParser:
    """The command line of ``mixnet``."""
    top = argparse.ArgumentParser(prog="mixnet", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name, function, text, suite=None, selects=False, runs=False):
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(function=function)
        if suite:
            sub.add_argument(
                "suite",
                nargs=None if suite == "one" else "?",
                metavar="SUITE",
                help="see mixnet list suites" + ("" if suite == "one" else " (default: all)"),
            )
        if name == "quickstart":
            sub.set_defaults(
                suite=name,
                datasets=None,
                methods=None,
                seeds=None,
                fast=False,
                data_source=None,
                dry_run=False,
                retry_failed=False,
                remake=False,
            )
        if selects:
            names = "names, separated by commas"
            sub.add_argument("--datasets", metavar="A,B", type=_names, help=names)
            sub.add_argument("--methods", metavar="X,Y", type=_names, help=names)
            sub.add_argument("--seeds", metavar="0-9", type=_seeds, help="such as 0-9 or 0,3")
            sub.add_argument("--fast", action="store_true", help="shortened schedules")
        if runs:
            sub.add_argument(
                "--jobs",
                type=_positive,
                metavar="N",
                help="cells at a time (default: what the cores, or the cluster, take; "
                "with cuda one a GPU)",
            )
            sub.add_argument(
                "--threads",
                type=_positive,
                default=1,
                metavar="T",
                help="threads of each cell (default: 1)",
            )
            sub.add_argument(
                "--memory-limit",
                metavar="GB",
                type=_gigabytes,
                help="memory of each cell (default: 90%% of the machine's, divided by "
                "the cells at a time)",
            )
            sub.add_argument(
                "--device", type=_device, default="cpu", help="cpu (default), cuda, cuda:1, …"
            )
            sub.add_argument(
                "--scheduler",
                metavar="ADDRESS",
                help="run the cells on the workers of this dask scheduler",
            )
        if suite or name in ("data", "doctor", "gate"):
            sub.add_argument(
                "--data-source",
                metavar="DIR",
                default=os.environ.get("MIXNET_DATA"),
                help="folder of raw files (default: $MIXNET_DATA, else download)",
            )
        if suite or name in ("quickstart", "report", "readme", "runs", "merge", "retire", "gate"):
            sub.add_argument(
                "--results",
                metavar="DIR",
                type=folders.given,
                help="results folder (default: $MIXNET_RESULTS or results/)",
            )
        return sub

    run = command(
        "run", _run, "run what is missing of a suite, then write its tables", "one", True, True
    )
    run.add_argument(
        "--dry-run", action="store_true", help="list what would run, why, and the time expected"
    )
    run.add_argument(
        "--retry-failed",
        action="store_true",
        help="also repeat errors, divergences and timeouts of unchanged code",
    )
    run.add_argument(
        "--remake",
        action="store_true",
        help="also run what is done but has no model or samples on this machine",
    )
    quickstart = command(
        "quickstart",
        _quickstart,
        "run all methods on small data here and now, in a folder of its own",
        runs=True,
    )
    quickstart.add_argument(
        "--fresh",
        action="store_true",
        help="start over (default: go on where a call before was stopped)",
    )
    command("status", _status, "what is done, stale (and why), failed, missing", "any", True)
    verify = command(
        "verify",
        _verify,
        "re-run one seed of each stale group, note in the ledger where identical",
        "any",
        True,
        True,
    )
    verify.add_argument(
        "--by",
        choices=("dataset", "method"),
        default="dataset",
        help="method: one cell, --fast ones too, stands for all datasets; for "
        "changes that no data can tell apart (default: dataset)",
    )
    command(
        "table",
        _table,
        "write a suite's tables, or those of the claims (claims), from the records",
        "any",
        True,
    )
    rescore = command(
        "rescore",
        _rescore,
        "compute metrics from the labels on record; tables then "
        "show them, and nothing is run again or stale",
        "any",
        True,
    )
    rescore.add_argument(
        "--metric",
        metavar="M,N",
        type=_names,
        help="names, or package.module:function of (y, labels) (default: those of the tables)",
    )
    merge = command("merge", _merge, "join the records of other results folders to these")
    merge.add_argument(
        "folders",
        nargs="+",
        type=folders.given,
        metavar="DIR",
        help="a results folder, as another machine left it",
    )
    retire = command(
        "retire",
        _retire,
        "list the attempts that no table and no suite needs any "
        "more: superseded, replaced, unasked",
    )
    retire.add_argument(
        "--delete",
        action="store_true",
        help="delete them; a line of retired.csv says for each where git has it",
    )
    gate = command("gate", _gate, "run a small grid and compare it with the tracked reference")
    gate.add_argument(
        "--update",
        action="store_true",
        help="replace the reference by a new run; prints before and after",
    )
    gate.add_argument(
        "--study",
        action="store_true",
        help="run nothing: the gate's power and false alarms, from what is stored",
    )
    gate.add_argument("--datasets", metavar="A,B", type=_names, help="of the grid's")
    gate.add_argument(
        "--jobs",
        type=_positive,
        default=provenance.n_cores(),
        metavar="N",
        help="cells at a time (default: one a core)",
    )
    gate.add_argument(
        "--reference",
        metavar="FILE",
        type=folders.given,
        help="default: gate/reference.csv in the results folder",
    )
    gate.add_argument(
        "--keep", metavar="DIR", type=folders.given, help="empty folder in which records are kept"
    )
    report = command("report", _report, "write one page of everything, from the records alone")
    report.add_argument(
        "--output",
        metavar="FILE",
        type=folders.given,
        help="default: report.html in the results folder",
    )
    runs = command("runs", _runs, "write every attempt on record into one table, a row each")
    runs.add_argument(
        "--output",
        metavar="FILE",
        type=folders.given,
        help="default: runs.csv in the results folder",
    )
    compare = command(
        "compare",
        _compare,
        "two result sets side by side, cell by cell, paired by "
        "seed: what a change, or another machine, did to the numbers",
    )
    compare.add_argument(
        "a",
        metavar="A",
        help="a results folder, or a revision of the checkout "
        "(v0.1.0, HEAD~3), whose results/ is meant",
    )
    compare.add_argument(
        "b", metavar="B", nargs="?", help="the same (default: $MIXNET_RESULTS or results/)"
    )
    compare.add_argument(
        "--measures",
        metavar="M,N",
        type=_names,
        help="columns of `mixnet runs` (default: purity and both log-likelihoods)",
    )
    compare.add_argument(
        "--csv",
        "--output",
        metavar="FILE",
        dest="output",
        type=folders.given,
        help="write every row there, unchanged ones too, as the name ends: .csv, "
        ".md, .tex, .html or .txt",
    )
    readme = command(
        "readme",
        _readme,
        "write verdict, figure and headline table into README.md, from the records",
    )
    readme.add_argument(
        "--output",
        metavar="FILE",
        help="a README with the two markers (default: beside the results folder)",
    )
    listing = command("list", _list, "what there is")
    listing.add_argument("what", choices=("methods", "datasets", "suites"))
    command("doctor", _doctor, "what a record would say of this machine; is the data here?")
    data = command("data", _data, "whether the data are here and right, and how to get them")
    data.add_argument("name", nargs="?")
    data.add_argument(
        "--fetch",
        action="store_true",
        help="download what is missing, or was downloaded and is not right",
    )
    add = command(DATA_ADD, _data_add, "make a dataset of your own file, for every suite")
    add.add_argument("name", metavar="NAME", help="what it is to be called")
    add.add_argument(
        "file", metavar="FILE", help="dense points: .csv, .tsv, .txt, .parquet, .npy, .npz or .mat"
    )
    add.add_argument(
        "--labels",
        metavar="FILE|COLUMN",
        help="the classes: a file, or a column or array of FILE (default: what is "
        "called label, class, target, y, …, else a last column of text)",
    )
    add.add_argument(
        "--features",
        metavar="ARRAY",
        help="the points' array in a .npz or .mat (default: the only one)",
    )
    add.add_argument(
        "--drop",
        metavar="A,B",
        type=_names,
        default=[],
        help="columns that are no features, such as row numbers",
    )
    add.add_argument(
        "--header",
        choices=("auto", "yes", "no"),
        default="auto",
        help="whether the first line names the columns (default: as it looks)",
    )
    add.add_argument(
        "--scaling",
        metavar="HOW",
        help="none (default), min-max, tf-idf, or a range: '0..255 to 0..1'",
    )
    add.add_argument(
        "--embedding",
        choices=("autoencoder", "none"),
        help="codes beside the features (default: from 33 features on)",
    )
    add.add_argument(
        "--clusters",
        metavar="K",
        type=_positive,
        help="clusters to look for (default: the number of classes)",
    )
    add.add_argument("--title", help="name in tables (default: NAME)")
    add.add_argument("--replace", action="store_true", help="in place of your dataset NAME")
    return top


def arguments(words: list[str] | None = None) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    """The parser, and what it makes of the words of a command line (default: this process's)."""
    words = list(sys.argv[1:] if words is None else words)
    if words[:2] == DATA_ADD.split():
        words[:2] = [DATA_ADD]
    top = parser()
    return top, top.parse_args(words)


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:  # an unset shell variable must not read as "all"
        raise argparse.ArgumentTypeError(f"got {text!r}, needs names separated by commas")
    return names


def _seeds(text: str) -> list[int]:
    try:
        return registry.parse_seeds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}, needs a whole number from 1")
    return int(text)


def _gigabytes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"got {text!r}, needs a number of GB above 0")
    return value


def _device(text: str) -> str:
    kind, colon, index = text.partition(":")
    if text != "cpu" and (kind != "cuda" or (colon and not index.isdecimal())):
        raise argparse.ArgumentTypeError(f"got {text!r}, needs cpu, cuda or cuda:N")
    return text


def _check_device(args, top) -> None:
    """Leave unless the device is here: a wrong one would fail cell by cell, and stay failed."""
    if getattr(args, "device", "cpu") != "cpu" and not args.scheduler:
        n = _n_gpus()
        if int(args.device.partition(":")[2] or 0) >= n:
            top.error(f"--device: got {args.device!r}, this machine has {n} CUDA devices")


def _n_gpus() -> int:
    import torch

    return torch.cuda.device_count()


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 if all went well, 1 if something is not done, 2 for a wrong request."""
    with output.quiet_streams() as (shown, _):
        status, command = _main(argv)
        shown.flush()
        if command in SAYS_ONLY and (why := output.lost(shown)):
            print(f"mixnet: what {command} says could not be written: {why}", file=sys.stderr)
            return status or 1
        return status


def _main(argv) -> tuple[int, str]:
    """Exit status, and the command."""
    args = argparse.Namespace(command="")
    try:
        folders.need_cache()
        top, args = arguments(argv)
        _check_device(args, top)
        if getattr(args, "data_source", None):
            args.data_source = os.path.abspath(os.path.expanduser(args.data_source))
        return args.function(args), args.command
    except (registry.UnknownName, registry.RegistryError) as error:
        print(f"mixnet: {error}", file=sys.stderr)
        return 2, args.command
    except _Refused:
        return 2, args.command
    except KeyboardInterrupt:  # outside a run of cells, which ends by itself
        return 130, args.command


def _plan(args, suite: str, store: Store, recorded=False) -> Plan:
    return suite_plan(
        suite, args.datasets, args.methods, args.seeds, args.fast, args.data_source, store, recorded
    )


def _partial(args) -> bool:
    return args.fast or any(
        chosen is not None for chosen in (args.datasets, args.methods, args.seeds)
    )


def _warn(store: Store) -> None:
    for path, problem in store.problems.items():
        print(f"warning: record {path} left out: {problem}", file=sys.stderr)


@contextlib.contextmanager
def _settings(args, store: Store):
    """How to run, here or, with ``--scheduler``, on a cluster that is left at the end.

    Raises
    ------
    _Refused
        When the cluster cannot run cells, or is lost; the reason was printed.
    """
    from benchmarks.run.dispatch import Settings

    settings = Settings(
        args.jobs or 1,
        args.threads,
        args.device,
        args.data_source,
        getattr(args, "retry_failed", False),
        getattr(args, "remake", False),
        memory_gb=args.memory_limit,
    )
    if not args.scheduler:
        cores = provenance.n_cores()
        if args.device == "cpu":
            settings.jobs = args.jobs or max(1, cores // args.threads)
        elif args.device == "cuda":  # one a GPU, whatever the cores
            from benchmarks.run.child import OnGpus

            n = _n_gpus()
            settings.jobs, settings.launch = args.jobs or n, OnGpus(n)
        if settings.jobs * args.threads > cores:
            print(
                f"warning: {settings.jobs} cells of {args.threads} thread(s) at a time on "
                f"{cores} cores: they wait for each other, and their seconds grow",
                file=sys.stderr,
            )
        yield settings
        return
    from benchmarks.run.scheduler import Cluster, SchedulerError

    try:
        with Cluster(
            args.scheduler, store.results, args.data_source, args.device, args.threads
        ) as cluster:
            for warning in cluster.warnings:
                print(f"warning: dask worker {warning}", file=sys.stderr)
            settings.jobs, settings.launch = args.jobs or cluster.slots, cluster.launch
            yield settings
    except SchedulerError as error:
        print(f"mixnet: {error}", file=sys.stderr)
        raise _Refused from error


class _Refused(Exception):
    """The reason is said; what is left is to end with status 2."""


def _quickstart(args) -> int:
    from benchmarks.cli import quickstart

    place = quickstart.folder(Store(args.results).results)
    with contextlib.ExitStack() as stack:
        try:
            free = stack.enter_context(quickstart.own_folder(place, args.fresh))
        except OSError as error:
            print(
                f"mixnet: {_near(place)} needs to be a folder that can be written: "
                f"{error.strerror}",
                file=sys.stderr,
            )
            return 2
        if not free:
            print(f"mixnet: another quickstart runs in {_near(place)}", file=sys.stderr)
            return 2
        store = Store(place)
        before = quickstart.attempts(store)
        return _run(args, store, lambda plan: quickstart.lines(plan, store, before))


def _run(args, store: Store | None = None, told=None) -> int:
    """Run a suite and write its tables.

    `told` takes the plan and gives the lines that are printed in place of the table.
    """
    from benchmarks.run import dispatch
    from benchmarks.run.progress import Display

    store = store or Store(args.results)
    plan = _plan(args, args.suite, store)
    if args.data_source and not os.path.isdir(args.data_source):
        print(
            f"warning: --data-source (MIXNET_DATA) is {args.data_source}, which is no folder: "
            "only what was read before is there",
            file=sys.stderr,
        )
    if args.dry_run:
        from benchmarks.run import preview

        with _settings(args, store) as settings:
            print("\n".join(preview.lines(plan, store, settings)))
        return 0
    _need_folders(store)
    display = Display()
    with _settings(args, store) as settings:
        runner = dispatch.Dispatcher(plan, store, settings, display)
        display.line(
            f"{args.suite}: {len(plan.nodes)} cells, {len(runner.expected)} to run, "
            f"{settings.jobs} at a time, {args.threads} thread(s) each"
            + (f", on {args.scheduler}" if args.scheduler else "")
        )
        summary = runner.run()
    _warn(store)
    if summary.stopped:
        display.line("stopped; the same command goes on from here")
        return 130
    good = _tables(args, plan, store, told)
    display.line(dispatch.counts(summary))
    _explain(plan, summary)
    return 0 if summary.complete and good else 1


def _need_folders(store: Store) -> None:
    """Refuse, before any work, where the records or the files of cells have no place to go."""
    for name, folder in (
        ("--results (MIXNET_RESULTS)", store.root),
        ("MIXNET_ARTIFACTS", cache.artifacts_root()),
    ):
        try:
            whole.try_folder(folder)
        except OSError as error:
            print(
                f"mixnet: {name} needs a folder that can be written; got {_near(folder)}: "
                f"{error.strerror}",
                file=sys.stderr,
            )
            raise _Refused from error


def _need_results(store: Store) -> None:
    """Refuse to write what is made of records where there is no folder of them."""
    if not store.results.is_dir():
        print(
            f"mixnet: --results (MIXNET_RESULTS) is {_near(store.results)}, needs a results "
            "folder: there is none",
            file=sys.stderr,
        )
        raise _Refused


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


def _tables(args, plan: Plan, store: Store, told=None) -> bool:
    """Write a suite's tables and print the text, or say why there are none: False."""
    from benchmarks.report import tables

    own = registry.suites()[args.suite]["methods"]
    if set(args.methods or ()) - set(own):  # a method of somebody's own: beside those of the suite
        whole = suite_plan(
            args.suite,
            args.datasets,
            own,
            args.seeds,
            args.fast,
            args.data_source,
            store,
            recorded=True,
        )
        there = {node.cell["method"] for node in whole.nodes.values() if store.attempts(node.cell)}
        beside = [*filter(there.__contains__, own), *args.methods]
        plan = suite_plan(
            args.suite,
            args.datasets,
            beside,
            args.seeds,
            args.fast,
            args.data_source,
            store,
            recorded=True,
        )
    return _written(
        args.suite,
        store,
        lambda: tables.write(args.suite, plan, store, _partial(args)),
        told and (lambda: told(plan)),
    )


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
        print(
            f"mixnet: the tables of {name} cannot be written to {_near(store.results)}: "
            f"{error.strerror}; the records are whole, and `mixnet table {name}` makes "
            "tables of them",
            file=sys.stderr,
        )
        raise _Refused from error
    print("\n".join(told()) if told else text)
    for path in files:
        print(f"wrote {_near(path)}")
    return True


def _table(args) -> int:
    from benchmarks.report.claims import judge

    store, good = Store(args.results), True
    claims = args.suite == CLAIMS
    if claims and _partial(args):
        print(f"mixnet: {CLAIMS} are judged by all records, needs no part of them", file=sys.stderr)
        return 2
    suites = [] if claims else _chosen_suites(args)
    _need_results(store)
    for suite in suites:
        plan = _plan(args, suite, store, recorded=True)
        if args.suite or any(
            store.attempts(node.cell) for node in plan.nodes.values() if node.requested
        ):  # of all, those that were ever run
            good &= _tables(argparse.Namespace(**{**vars(args), "suite": suite}), plan, store)
    if claims or (not (args.suite or _partial(args)) and judge.read()):
        good &= _written(CLAIMS, store, lambda: judge.report(store))
    _warn(store)
    return 0 if good else 1


def _rescore(args) -> int:
    from benchmarks.cli.rescore import rescore

    store = Store(args.results)
    _need_results(store)
    plans = [_plan(args, suite, store, recorded=True) for suite in _chosen_suites(args)]
    status = rescore(plans, store, args.metric, args.data_source)
    _warn(store)
    return status


def _merge(args) -> int:
    from benchmarks.records.merge import Conflict, merge

    store = Store(args.results)
    try:
        merged = merge(store, args.folders)
    except Conflict as error:
        print(f"mixnet: {error}", file=sys.stderr)
        return 2
    for path, problem in merged.left_out.items():
        print(f"warning: record {path} left out: {problem}", file=sys.stderr)
    _warn(store)
    print(
        f"{merged.added} records joined, {merged.known} were here already, "
        f"{len(merged.left_out)} left out"
        + (f"; {merged.verified} verifications joined" if merged.verified else "")
    )
    return 1 if merged.left_out else 0


def _retire(args) -> int:
    from benchmarks.run import retire

    store = Store(args.results)
    _need_results(store)
    # Which variant of a dataset is meant hangs on records or on the data here: both count.
    plans = [
        suite_plan(suite, fast=fast, store=store, recorded=recorded)
        for suite in registry.suites()
        for fast in (False, True)
        for recorded in (False, True)
    ]
    leaving = retire.choose(plans, store)
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
            print(f"mixnet: {error}", file=sys.stderr)
            return 2
        except OSError as error:
            print(
                f"mixnet: {_near(store.results)}: {error.strerror}; the same command goes on",
                file=sys.stderr,
            )
            return 2
    _warn(store)
    for place, problem in store.retired.problems.items():
        print(f"warning: {place}: {problem}", file=sys.stderr)
    print(
        f"{len(leaving)} attempts, {size / 1e6:.1f} MB: "
        + (
            f"deleted, and named in {_near(store.retired.path)}"
            if args.delete
            else "`mixnet retire --delete` deletes them"
        )
    )
    return 0


def _gate(args) -> int:
    from benchmarks.gate import command

    return command.main(args)


def _report(args) -> int:
    from benchmarks.report import page

    store = Store(args.results)
    _need_results(store)
    output = Path(args.output or store.results / "report.html")
    try:
        if output.is_dir():  # known before the page is built
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        page.write(store, output)
    except OSError as error:
        print(
            f"mixnet: --output is {output}, needs a file that can be written: {error.strerror}",
            file=sys.stderr,
        )
        return 2
    _warn(store)
    if not store.all():
        print(
            f"no record under {store.root}: `mixnet run quickstart` makes some, see "
            "`mixnet list suites` for the rest",
            file=sys.stderr,
        )
    print(f"wrote {_near(output)} ({output.stat().st_size / 1e6:.1f} MB)")
    return 0


def _runs(args) -> int:
    from benchmarks import results

    store = Store(args.results)
    _need_results(store)
    found, path = results.rows(store), args.output or store.results / "runs.csv"
    try:
        results.write(found, path)
    except OSError as error:
        print(
            f"mixnet: --output is {path}, needs a file that can be written: {error.strerror}",
            file=sys.stderr,
        )
        return 2
    _warn(store)
    print(f"wrote {_near(path)} ({len(found)} attempts)")
    return 0


def _compare(args) -> int:
    from benchmarks import results
    from benchmarks.report import compare
    from benchmarks.report.table import FORMS

    measures = args.measures or list(compare.MEASURES)
    if args.output and args.output.suffix not in FORMS:
        print(
            f"mixnet: --csv is {args.output}, needs a name that ends in one of {', '.join(FORMS)}",
            file=sys.stderr,
        )
        return 2
    if unknown := [name for name in measures if name not in results.NUMBERS]:
        print(
            f"mixnet: --measures has {unknown[0]!r}, needs names of {', '.join(results.NUMBERS)}",
            file=sys.stderr,
        )
        return 2
    try:
        with results.opened(args.a) as a, results.opened(args.b) as b:
            sides = compare.Side(a), compare.Side(b)
            for name, place, store, side in zip(
                "AB", (args.a, args.b or b.results), (a, b), sides, strict=True
            ):
                _warn(store)
                if not side.records:
                    raise results.NoResults(f"{place} has no record")
                print(
                    f"{name}: {_near(place) if os.path.isdir(place) else place}, "
                    f"{len(side.records)} attempts, the last of "
                    f"{max(map(compare.started, side.records))[:16]}"
                )
    except results.NoResults as error:
        print(f"mixnet: {error}", file=sys.stderr)
        return 2
    rows = compare.compare(*sides, measures)
    if args.output:
        try:
            compare.table(rows).write(args.output)
        except OSError as error:
            print(
                f"mixnet: --csv is {args.output}, needs a file that can be written: "
                f"{error.strerror}",
                file=sys.stderr,
            )
            return 2
    print(compare.text(rows, *sides))
    if args.output:
        print(f"wrote {_near(args.output)} ({len(rows)} rows)")
    return 0


def _readme(args) -> int:
    from benchmarks.report import readme

    store = Store(args.results)
    _need_results(store)
    path = Path(args.output or store.results.absolute().parent / "README.md")
    try:
        files = readme.write(store, path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        print(f"mixnet: --output is {path}: {why}", file=sys.stderr)
        return 2
    _warn(store)
    for file in files:
        print(f"wrote {_near(file)}")
    return 0


def _near(path) -> str:
    """A path from the current folder where it lies there, else in full."""
    return os.path.abspath(path).removeprefix(os.getcwd() + os.sep)


def _chosen_suites(args) -> list[str]:
    """The suite asked for, else those that hold all names asked for, else all."""
    if args.suite:
        registry.get(registry.suites(), args.suite, "suite")
        return [args.suite]
    known = registry.suites()
    fits = [
        name
        for name, suite in known.items()
        if set(args.datasets or ()) <= set(suite["datasets"])
        and set(args.methods or ()) <= set(suite["methods"])
    ]
    return fits or list(known)


def _status(args) -> int:
    store, fresh, asked = Store(args.results), True, set()
    standing = Standing(store)
    for suite in _chosen_suites(args):
        plan = _plan(args, suite, store)
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
    if not (args.suite or _partial(args)):
        _others(store, asked)
    _warn(store)
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


def _verify(args) -> int:
    from benchmarks.run.progress import Display
    from benchmarks.run.verify import verify

    store = Store(args.results)
    _need_folders(store)
    schedules = (False, True) if args.by == "method" else (args.fast,)
    plans = [
        suite_plan(suite, args.datasets, args.methods, args.seeds, fast, args.data_source, store)
        for suite in _chosen_suites(args)
        for fast in schedules
    ]
    with _settings(args, store) as settings:
        good = verify(plans, store, settings, Display(), args.by)
    _warn(store)
    print("nothing is stale" if good else "stale cells are left")
    return 0 if good else 1


def _list(args) -> int:
    from benchmarks.cli import listing

    return listing.show(args.what)


def _doctor(args) -> int:
    from benchmarks.cli import listing

    return listing.doctor(args.data_source)


def _data(args) -> int:
    from benchmarks.cli import listing

    return listing.data(args.name, args.data_source, args.fetch)


def _data_add(args) -> int:
    from benchmarks.cli import listing

    return listing.add(args)


if __name__ == "__main__":
    sys.exit(main())
