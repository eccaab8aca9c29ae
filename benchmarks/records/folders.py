"""Folders that users name, and where results and artefacts go where nobody named one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from benchmarks.records.imports import installed

ROOT = Path(__file__).resolve().parents[2]


def given(text: str | os.PathLike) -> Path:
    """A folder or file that a user named, in words of a shell: ``~`` and ``~name`` are homes."""
    return Path(os.path.expanduser(text))


def default(name: str) -> Path:
    """Folder `name` of this checkout; of the working directory where the package is installed.

    What a run leaves among installed packages would leave with them.
    """
    return (Path.cwd() if installed(str(ROOT) + os.sep) else ROOT) / name


def results() -> Path:
    """Results folder: ``MIXNET_RESULTS``, else see `default`."""
    named = os.environ.get("MIXNET_RESULTS")
    return given(named) if named else default("results")


def artifacts() -> Path:
    """Folder of the ignored artefacts: ``MIXNET_ARTIFACTS``, else see `default`."""
    named = os.environ.get("MIXNET_ARTIFACTS")
    return given(named) if named else default("artifacts")


@contextlib.contextmanager
def artifacts_in(folder: Path) -> Iterator[None]:
    """Artefacts of this process, and of those that it starts meanwhile, go to a folder."""
    before = os.environ.get("MIXNET_ARTIFACTS")
    os.environ["MIXNET_ARTIFACTS"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["MIXNET_ARTIFACTS"]
        else:
            os.environ["MIXNET_ARTIFACTS"] = before


def need_cache() -> None:
    """Where no home folder is known, have parsed data kept among the artefacts.

    A user without an entry in the system's list, as containers have, and without ``HOME`` has
    none. Processes started from here inherit it.
    """
    if not os.environ.get("MIXNET_CACHE") and os.path.expanduser("~") == "~":
        os.environ["MIXNET_CACHE"] = str(artifacts().absolute() / "datasets")
