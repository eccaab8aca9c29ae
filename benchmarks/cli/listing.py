"""What there is, what is here, and what this machine is: ``mixnet list``, ``data``, ``doctor``."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

from benchmarks import registry
from benchmarks.cli.common import Refused
from benchmarks.records import provenance


def _method(name: str, stanza: dict) -> str:
    return f"{name:<12} {stanza['kind']:<11} {'/'.join(stanza['spaces']):<9} {stanza['label']}"


def _dataset(name: str, stanza: dict) -> str:
    return (
        f"{name:<16} n {stanza['n']:>6}  d {stanza['d']:>5}  "
        f"classes {stanza['n_classes']:>3}  {stanza['title']}"
    )


def _suite(name: str, suite: dict) -> str:
    datasets, methods, seeds = (len(suite[key]) for key in ("datasets", "methods", "seeds"))
    said = f"{datasets} datasets, {methods} methods, {seeds} seeds: {suite.get('title', '')}"
    return f"{name:<12} {said}"


SHOWN = {
    "methods": (registry.methods, _method),
    "datasets": (registry.datasets, _dataset),
    "suites": (registry.suites, _suite),
}


def show(what: str) -> int:
    """Print what of `SHOWN` is registered (no estimator is imported)."""
    read, line = SHOWN[what]
    for name, stanza in read().items():
        if "design" not in stanza:  # of a row of a suite, see there
            print(line(name, stanza))
    return 0


def data(name: str | None, source: str | None, fetch: bool, verbose: bool = False) -> int:
    """Print how the files of datasets stand, verified, and what to do; 1 unless all are right.

    Of all datasets, what to do is said once, below them; of one, or with `verbose`, of each in
    full. With `fetch`, what is missing is downloaded, and what was downloaded and is not right
    replaced; a folder of one's own is never touched.
    """
    wrong = []
    for row in _rows(name, source, fetch):
        print(_line(row, in_full=bool(name or fetch or verbose)))
        if row["state"] != "present":
            wrong.append(row["name"])
    if wrong and not (name or fetch or verbose):
        print(
            f"{len(wrong)} are not here or not right: `mixnet data --fetch` downloads what can be, "
            f"`mixnet data {wrong[0]}` says more of one, `mixnet data -v` of all"
        )
    return 1 if wrong else 0


def _line(row: dict, in_full: bool) -> str:
    """How a dataset stands, `in_full` with what to do about it."""
    said = (
        f"{row['name']:<16} {row['state']:<8} {row['source']:<15} n {row['n']:>6}  "
        f"d {row['d']:>5}  classes {row['n_classes']:>3}  {row['variant']:<15} "
        f"scaling {row['scaling'] or '-'}"
    )
    return f"{said}\n    {row['todo']}" if row["todo"] and in_full else said


def _rows(name: str | None, source: str | None, fetch: bool) -> Iterator[dict]:
    """How each dataset, or the one named, stands."""
    if name is not None:
        registry.get(registry.datasets(), name, "dataset")
    from benchmarks.datasets import DatasetError, load, own, status
    from benchmarks.datasets.core import renew

    stanzas = registry.datasets()
    for key in stanzas if name is None else [name]:
        (row,) = status(key, source=source, verify=True)
        if stanzas[key].get("loader") == own.LOADER:
            row |= own.state(key)
        elif row["state"] != "present" and fetch:
            print(f"{key}: fetching …", flush=True)
            try:
                if row["state"] == "missing" or renew(key):
                    loaded = load(key, source=source)
                    row = {
                        **row,
                        "state": "present",
                        "source": loaded.source,
                        "todo": "",
                        "variant": loaded.variant,
                    }
            except DatasetError as error:
                row = {**row, "todo": str(error)}
        yield row


def add(args) -> int:
    """Make a dataset of a user's file and say what was found and done."""
    from benchmarks.datasets import DatasetError, own

    given = ("labels", "features", "drop", "header", "scaling", "title", "embedding", "replace")
    chosen = {name: getattr(args, name) for name in given}
    try:
        _, said = own.add(args.name, args.file, n_clusters=args.clusters, **chosen)
    except DatasetError as error:
        raise Refused(error) from error
    except OSError as error:
        raise Refused(
            f"{own.folder()} (MIXNET_OWN) needs to be a folder that can be written: "
            f"{error.strerror}"
        ) from error
    print("\n".join(said))
    print(f"then: mixnet run table1 --datasets {args.name}")
    return 0


def sgemm_rate(size: int = 1024, seconds: float = 0.5) -> float:
    """Arithmetic rate of a float32 matrix product with numpy on this machine, GFLOP/s."""
    import numpy as np

    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((size, size), dtype=np.float32) for _ in range(2))
    a @ b  # the first call sets up threads and buffers
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9


def doctor(source: str | None, verbose: bool = False) -> int:
    """Print what a record made here would say, and what stands in the way; 1 if something does.

    Of the data their number and the names of those that are not right; with `verbose` each.
    """
    trouble = []
    here = {**provenance.machine(threads=1), **provenance.commit()}
    for name, version in here.pop("versions").items():
        print(f"{name:<14} {version or 'missing'}")
        if version is None:
            trouble.append(f"{name} is not installed")
    for name, value in here.items():
        print(f"{name:<14} {value}")
    print(f"{'sgemm':<14} {sgemm_rate():.0f} GFLOP/s float32 (numpy)")
    if not sys.platform.startswith(("linux", "darwin")):
        trouble.append("locks and process groups need Linux or macOS")
    rows = list(_rows(None, source, False))
    wrong = [row["name"] for row in rows if row["state"] != "present"]
    print(f"{'data':<14} {len(rows) - len(wrong)} of {len(rows)} datasets are here and right")
    if verbose:
        print("", *(_line(row, in_full=True) for row in rows), sep="\n")
    if wrong:
        trouble.append(
            "some datasets are missing or altered: their cells read `no data`, the rest runs; "
            "`mixnet data` says which, and what to do"
        )
    for problem in trouble:
        print(f"note: {problem}")
    return 1 if trouble else 0
