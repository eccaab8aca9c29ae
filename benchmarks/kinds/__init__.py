"""The kinds of cell: one object in one file each.

``get("mixture")`` imports ``kinds/mixture.py`` and returns its ``KIND``. Nothing else is imported:
a cell of one kind is not made stale by the file of another.
"""

from __future__ import annotations

import importlib

from benchmarks.kinds.base import Kind

NAMES = (
    "embedding",
    "clustering",
    "selection",
    "mixture",
    "labelled",
    "counting",
    "generative",
    "evaluation",
    "exhibit",
)


def get(name: str) -> Kind:
    """The kind of a name in `NAMES`; ValueError for another."""
    if name not in NAMES:
        raise ValueError(f"kind is {name!r}, needs one of {NAMES}")
    return importlib.import_module(f"benchmarks.kinds.{name}").KIND


def of(stanza: dict) -> Kind:
    """The kind of a method's stanza, or of a record."""
    return get(stanza["kind"])
