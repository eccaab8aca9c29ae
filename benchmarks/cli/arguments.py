"""The arguments of ``mixnet``: every command, and what its words must be."""

from __future__ import annotations

import argparse
import os
import sys

from benchmarks import registry
from benchmarks.cli.running import (
    merge_results,
    rescore_records,
    retire_attempts,
    run_gate,
    run_quickstart,
    run_suite,
    verify_cells,
)
from benchmarks.cli.showing import (
    add_data,
    compare_results,
    show_data,
    show_doctor,
    show_list,
    show_status,
    write_readme,
    write_report,
    write_runs,
    write_tables,
)
from benchmarks.records import folders, provenance

ABOUT = "The command ``mixnet``: run suites, see how they stand, write tables."
DATA_ADD = "data add"  # a command of two words


def parser() -> argparse.ArgumentParser:
    """The command line of ``mixnet``."""
    top = argparse.ArgumentParser(prog="mixnet", description=ABOUT)
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
        "run", run_suite, "run what is missing of a suite, then write its tables", "one", True, True
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
        run_quickstart,
        "run all methods on small data here and now, in a folder of its own",
        runs=True,
    )
    quickstart.add_argument(
        "--fresh",
        action="store_true",
        help="start over (default: go on where a call before was stopped)",
    )
    command("status", show_status, "what is done, stale (and why), failed, missing", "any", True)
    verify = command(
        "verify",
        verify_cells,
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
        write_tables,
        "write a suite's tables, or those of the claims (claims), from the records",
        "any",
        True,
    )
    rescore = command(
        "rescore",
        rescore_records,
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
    merge = command("merge", merge_results, "join the records of other results folders to these")
    merge.add_argument(
        "folders",
        nargs="+",
        type=folders.given,
        metavar="DIR",
        help="a results folder, as another machine left it",
    )
    retire = command(
        "retire",
        retire_attempts,
        "list the attempts that no table and no suite needs any "
        "more: superseded, replaced, unasked",
    )
    retire.add_argument(
        "--former",
        metavar="X,Y",
        type=_names,
        default=[],
        help="of these methods also attempts with settings of before that no table shows, though "
        "those of now are not done",
    )
    retire.add_argument(
        "--delete",
        action="store_true",
        help="delete them; a line of retired.csv says for each where git has it",
    )
    gate = command("gate", run_gate, "run a small grid and compare it with the tracked reference")
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
    report = command("report", write_report, "write one page of everything, from the records alone")
    report.add_argument(
        "--output",
        metavar="FILE",
        type=folders.given,
        help="default: report.html in the results folder",
    )
    runs = command("runs", write_runs, "write every attempt on record into one table, a row each")
    runs.add_argument(
        "--output",
        metavar="FILE",
        type=folders.given,
        help="default: runs.csv in the results folder",
    )
    compare = command(
        "compare",
        compare_results,
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
        write_readme,
        "write verdict, figure and headline table into README.md, from the records",
    )
    readme.add_argument(
        "--output",
        metavar="FILE",
        help="a README with the two markers (default: beside the results folder)",
    )
    listing = command("list", show_list, "what there is")
    listing.add_argument("what", choices=("methods", "datasets", "suites"))
    command("doctor", show_doctor, "what a record would say of this machine; is the data here?")
    data = command("data", show_data, "whether the data are here and right, and how to get them")
    data.add_argument("name", nargs="?")
    data.add_argument(
        "--fetch",
        action="store_true",
        help="download what is missing, or was downloaded and is not right",
    )
    add = command(DATA_ADD, add_data, "make a dataset of your own file, for every suite")
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
