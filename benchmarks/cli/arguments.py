"""The arguments of ``mixnet``: every command, and what its words must be."""

from __future__ import annotations

import argparse
import os
import sys

from benchmarks import registry
from benchmarks.cli import completion, listing
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
    compare_results,
    export_models,
    show_status,
    write_readme,
    write_report,
    write_runs,
    write_tables,
)
from benchmarks.records import folders, provenance

ABOUT = "The command ``mixnet``: run suites, see how they stand, write tables."
DATA_ADD = "data add"  # a command of two words
COMPLETION = "completion"


def _value(name: str, metavar: str | None, text: str | None = None, kind=None, **more):
    """An option, or a positional argument, that takes a value: as `add_argument` takes it."""
    return name, {"metavar": metavar, "help": text, "type": kind, **more}


def _switch(name: str, text: str):
    return name, {"action": "store_true", "help": text}


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


SUITE = _value("suite", "SUITE", "see mixnet list suites")
ANY_SUITE = _value("suite", "SUITE", "see mixnet list suites (default: all)", nargs="?")
SELECTION = (
    _value("--datasets", "A,B", "names, separated by commas", _names),
    _value("--methods", "X,Y", "names, separated by commas", _names),
    _value("--seeds", "0-9", "such as 0-9 or 0,3", _seeds),
    _switch("--fast", "shortened schedules"),
)
JOBS = "cells at a time (default: what the cores, or the cluster, take; with cuda one a GPU)"
MEMORY = "memory of each cell (default: 90%% of the machine's, divided by the cells at a time)"
MACHINE = (
    _value("--jobs", "N", JOBS, _positive),
    _value("--threads", "T", "threads of each cell (default: 1)", _positive, default=1),
    _value("--memory-limit", "GB", MEMORY, _gigabytes),
    _value("--device", None, "cpu (default), cuda, cuda:1, …", _device, default="cpu"),
    _value("--scheduler", "ADDRESS", "run the cells on the workers of this dask scheduler"),
)
RESULTS = "results folder (default: $MIXNET_RESULTS or results/)"
OURS = _value("--results", "DIR", RESULTS, folders.given)


def _output(text: str, kind=folders.given):
    return _value("--output", "FILE", f"default: {text}", kind)


def parser() -> argparse.ArgumentParser:
    """The command line of ``mixnet``."""
    top = argparse.ArgumentParser(prog="mixnet", description=ABOUT)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    files = "folder of raw files (default: $MIXNET_DATA, else download)"
    source = _value("--data-source", "DIR", files, default=os.environ.get("MIXNET_DATA"))
    places = (source, OURS)

    def command(name, function, text, *arguments):
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(function=function)
        for argument, settings in arguments:
            sub.add_argument(argument, **settings)
        return sub

    command(
        "run",
        run_suite,
        "run what is missing of a suite, then write its tables",
        *(SUITE, *SELECTION, *MACHINE, *places),
        _switch("--dry-run", "list what would run, why, and the time expected"),
        _switch("--retry-failed", "also repeat errors, divergences and timeouts of unchanged code"),
        _switch("--remake", "also run what is done but has no model or samples on this machine"),
    )
    command(
        "quickstart",
        run_quickstart,
        "run all methods on small data here and now, in a folder of its own",
        *(*MACHINE, OURS),
        _switch("--fresh", "start over (default: go on where a call before was stopped)"),
    ).set_defaults(
        **dict.fromkeys(("datasets", "methods", "seeds", "data_source")),
        **dict.fromkeys(("fast", "dry_run", "retry_failed", "remake"), False),
        suite="quickstart",
    )
    command(
        "status",
        show_status,
        "what is done, stale (and why), failed, missing",
        *(ANY_SUITE, *SELECTION, *places),
    )
    command(
        "verify",
        verify_cells,
        "re-run one seed of each stale group, note in the ledger where identical",
        *(ANY_SUITE, *SELECTION, *MACHINE, *places),
        _value(
            "--by",
            None,
            "method: one cell, --fast ones too, stands for all datasets; for changes that no data "
            "can tell apart (default: dataset)",
            choices=("dataset", "method"),
            default="dataset",
        ),
    )
    command(
        "table",
        write_tables,
        "write a suite's tables, or those of the claims (claims), from the records",
        *(ANY_SUITE, *SELECTION, *places),
    )
    command(
        "rescore",
        rescore_records,
        "compute metrics from the labels on record; tables then show them, and nothing is run "
        "again or stale",
        *(ANY_SUITE, *SELECTION, *places),
        _value(
            "--metric",
            "M,N",
            "names, or package.module:function of (y, labels) (default: those of the tables)",
            _names,
        ),
    )
    given = _value(
        "folders", "DIR", "a results folder, as another machine left it", folders.given, nargs="+"
    )
    command(
        "merge", merge_results, "join the records of other results folders to these", OURS, given
    )
    command(
        "retire",
        retire_attempts,
        "list the attempts that no table and no suite needs any more: superseded, replaced, "
        "unasked",
        OURS,
        _value(
            "--former",
            "X,Y",
            "of these methods also attempts with settings of before that no table shows, though "
            "those of now are not done",
            _names,
            default=[],
        ),
        _switch("--delete", "delete them; a line of retired.csv says for each where git has it"),
    )
    cores = provenance.n_cores()
    command(
        "gate",
        run_gate,
        "run a small grid and compare it with the tracked reference",
        *places,
        _switch("--update", "replace the reference by a new run; prints before and after"),
        _switch(
            "--study",
            "run nothing: the gate's power and false alarms, from what is stored",
        ),
        _value("--datasets", "A,B", "of the grid's", _names),
        _value("--jobs", "N", "cells at a time (default: one a core)", _positive, default=cores),
        _value(
            "--reference",
            "FILE",
            "default: gate/reference.csv in the results folder",
            folders.given,
        ),
        _value("--keep", "DIR", "empty folder in which records are kept", folders.given),
    )
    command(
        "report",
        write_report,
        "write one page of everything, from the records alone",
        OURS,
        _output("report.html in the results folder"),
    )
    command(
        "runs",
        write_runs,
        "write every attempt on record into one table, a row each",
        OURS,
        _output("runs.csv in the results folder"),
    )
    command(
        "export",
        export_models,
        "pack samples and weights of chosen cells into one file, with a card: to publish or to "
        "take elsewhere",
        *(SUITE, *SELECTION, *places),
        _output("mixnet-SUITE.zip in the working directory"),
    )
    written = (
        "write every row there, unchanged ones too, as the name ends: .csv, .md, .tex, .html or "
        ".txt"
    )
    command(
        "compare",
        compare_results,
        "two result sets side by side, cell by cell, paired by seed: what a change, or another "
        "machine, did to the numbers",
        _value(
            "a",
            "A",
            "a results folder, or a revision of the checkout (v0.1.0, HEAD~3), whose results/ is "
            "meant",
        ),
        _value("b", "B", "the same (default: $MIXNET_RESULTS or results/)", nargs="?"),
        _value(
            "--measures",
            "M,N",
            "columns of `mixnet runs` (default: purity and both log-likelihoods)",
            _names,
        ),
    ).add_argument(
        "--csv", "--output", metavar="FILE", dest="output", type=folders.given, help=written
    )
    command(
        "readme",
        write_readme,
        "write verdict, figure and headline table into README.md, from the records",
        OURS,
        _value(
            "--output", "FILE", "a README with the two markers (default: beside the results folder)"
        ),
    )
    verbose = ("-v", {"action": "store_true", "dest": "verbose", "help": "all there is to say"})
    kinds = _value("what", None, choices=tuple(listing.SHOWN))
    command("list", lambda args: listing.show(args.what), "what there is", kinds)
    command(
        "doctor",
        lambda args: listing.doctor(args.data_source, args.verbose),
        "what a record would say of this machine; is the data here?",
        source,
        verbose,
    )
    command(
        "data",
        lambda args: listing.data(args.name, args.data_source, args.fetch, args.verbose),
        "whether the data are here and right, and how to get them",
        source,
        verbose,
        _value("name", None, nargs="?"),
        _switch("--fetch", "download what is missing, or was downloaded and is not right"),
    )
    command(
        DATA_ADD,
        listing.add,
        "make a dataset of your own file, for every suite",
        _value("name", "NAME", "what it is to be called"),
        _value("file", "FILE", "dense points: .csv, .tsv, .txt, .parquet, .npy, .npz or .mat"),
        _value(
            "--labels",
            "FILE|COLUMN",
            "the classes: a file, or a column or array of FILE (default: what is called label, "
            "class, target, y, …, else a last column of text)",
        ),
        _value(
            "--features",
            "ARRAY",
            "the points' array in a .npz or .mat (default: the only one)",
        ),
        _value(
            "--drop", "A,B", "columns that are no features, such as row numbers", _names, default=[]
        ),
        _value(
            "--header",
            None,
            "whether the first line names the columns (default: as it looks)",
            choices=("auto", "yes", "no"),
            default="auto",
        ),
        _value("--scaling", "HOW", "none (default), min-max, tf-idf, or a range: '0..255 to 0..1'"),
        _value(
            "--embedding",
            None,
            "codes beside the features (default: from 33 features on)",
            choices=("autoencoder", "none"),
        ),
        _value(
            "--clusters", "K", "clusters to look for (default: the number of classes)", _positive
        ),
        _value("--title", None, "name in tables (default: NAME)"),
        _switch("--replace", "in place of your dataset NAME"),
    )
    command(
        COMPLETION,
        lambda args: completion.show(args, top),
        'what makes a shell complete the words of mixnet: eval "$(mixnet completion bash)"',
        _value("shell", None, choices=(*completion.SCRIPTS, "words")),
        ("words", {"nargs": argparse.REMAINDER, "help": argparse.SUPPRESS}),
    )
    return top


def arguments(words: list[str] | None = None) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    """The parser, and what it makes of the words of a command line (default: this process's).

    Raises
    ------
    registry.UnknownName
        For a command or an option that there is not, with the nearest ones that there are.
    """
    words = list(sys.argv[1:] if words is None else words)
    if words[:2] == DATA_ADD.split():
        words[:2] = [DATA_ADD]
    top = parser()
    _check_names(top, words)
    return top, top.parse_args(words)


def _check_names(top: argparse.ArgumentParser, words: list[str]) -> None:
    if not words:
        top.print_help(sys.stderr)
        top.exit(2)
    commands, (name, *rest) = completion.commands_of(top), words
    if name.startswith("-") or name == COMPLETION:
        return
    if name not in commands:
        raise registry.UnknownName("command", name, commands)
    options = completion.options_of(commands[name])
    for word in rest:
        option = word.partition("=")[0]
        if word == "--":
            return
        if option.startswith("--") and not any(known.startswith(option) for known in options):
            raise registry.UnknownName("option", option, options)
