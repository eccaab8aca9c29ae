"""What the commands of ``mixnet`` share: what was selected, how to run it, what is refused."""

from __future__ import annotations

import contextlib
import os
import sys

from benchmarks import registry
from benchmarks.records import files as cache
from benchmarks.records import provenance, whole
from benchmarks.records.store import Store
from benchmarks.run.plan import Plan, suite_plan


class Refused(Exception):
    """A request that cannot be met, and why: said by `main`, which ends with status 2."""


def plan_of(args, suite: str, store: Store, recorded=False, **other) -> Plan:
    """Cells of a suite that the command line selects, but for what is `other`."""
    chosen = {name: getattr(args, name) for name in ("datasets", "methods", "seeds", "fast")}
    return suite_plan(
        suite, source=args.data_source, store=store, recorded=recorded, **{**chosen, **other}
    )


def is_partial(args) -> bool:
    """Whether a part of a suite is asked for, whose tables are written elsewhere."""
    return args.fast or any(
        chosen is not None for chosen in (args.datasets, args.methods, args.seeds)
    )


def warn(store: Store) -> None:
    """Say which records could not be read."""
    for path, problem in store.problems.items():
        print(f"warning: record {path} left out: {problem}", file=sys.stderr)


def check_device(args, top) -> None:
    """Leave unless the device is here: a wrong one would fail cell by cell, and stay failed."""
    if getattr(args, "device", "cpu") != "cpu" and not args.scheduler:
        n = n_gpus()
        if int(args.device.partition(":")[2] or 0) >= n:
            top.error(f"--device: got {args.device!r}, this machine has {n} CUDA devices")


def n_gpus() -> int:
    """CUDA devices of this machine."""
    import torch

    return torch.cuda.device_count()


@contextlib.contextmanager
def settings_of(args, store: Store):
    """How to run, here or, with ``--scheduler``, on a cluster that is left at the end.

    Raises
    ------
    Refused
        When the cluster cannot run cells, or is lost.
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

            n = n_gpus()
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
        raise Refused(error) from error


def need_folders(store: Store) -> None:
    """Refuse, before any work, where the records or the files of cells have no place to go."""
    for name, folder in (
        ("--results (MIXNET_RESULTS)", store.root),
        ("MIXNET_ARTIFACTS", cache.artifacts_root()),
    ):
        try:
            whole.try_folder(folder)
        except OSError as error:
            raise Refused(
                f"{name} needs a folder that can be written; got {near(folder)}: {error.strerror}"
            ) from error


def need_results(store: Store) -> None:
    """Refuse to write what is made of records where there is no folder of them."""
    if not store.results.is_dir():
        raise Refused(
            f"--results (MIXNET_RESULTS) is {near(store.results)}, needs a results folder: "
            "there is none"
        )


def unwritable(option: str, path, error: OSError) -> Refused:
    """What to raise where the file of an option cannot be written."""
    return Refused(f"{option} is {path}, needs a file that can be written: {error.strerror}")


def near(path) -> str:
    """A path from the current folder where it lies there, else in full."""
    try:
        return os.path.abspath(path).removeprefix(os.getcwd() + os.sep)
    except FileNotFoundError:  # the current folder was deleted
        return str(path)


def chosen_suites(args) -> list[str]:
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
