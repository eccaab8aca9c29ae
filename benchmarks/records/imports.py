"""Where a process's modules come from: a finder that keeps what was compiled of each.

Nothing but the standard library is imported here: a worker starts with it.
"""

from __future__ import annotations

import importlib.machinery
import sys
import sysconfig
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import CodeType, ModuleType

PROJECT = ("mixnet_core", "baselines", "benchmarks")


@cache
def installed(path: str) -> bool:
    """Whether a file is of the standard library or of an installed package."""
    parts = Path(path).parts
    return (
        "site-packages" in parts
        or "dist-packages" in parts
        or any(
            Path(path).is_relative_to(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")
        )
    )


class Imports:
    """A finder before all others: the project's packages come from one folder, `root`.

    Not from the working directory, not from ``PYTHONPATH``: a folder `benchmarks` there is never
    looked into. What is not of a library is compiled from its source, never taken from a cache of
    compiled code, and those bytes are kept: a fingerprint of them is of what ran, whatever became
    of the files since.

    Attributes
    ----------
    sources : dict of str -> tuple of (str, bytes)
        Module -> its file and what was compiled, also where that, or running it, failed.
    """

    def __init__(self, root: str):
        self.root = root
        self.sources: dict[str, tuple[str, bytes]] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Spec of a module or None, as of every finder."""
        if path is None and name in PROJECT:
            spec = importlib.machinery.PathFinder.find_spec(name, [self.root], target)
        else:
            others = (
                finder.find_spec(name, path, target)
                for finder in sys.meta_path
                if finder is not self
            )
            spec = next((found for found in others if found is not None), None)
        if spec is not None and type(spec.loader) is importlib.machinery.SourceFileLoader:
            if name.partition(".")[0] in PROJECT or not installed(spec.loader.path):
                spec.loader = _FromSource(spec.loader.name, spec.loader.path, self.sources)
        return spec

    def invalidate_caches(self) -> None:
        """Nothing is kept that could be old."""


class _FromSource(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, sources: dict[str, tuple[str, bytes]]) -> None:
        super().__init__(name, path)
        self._sources = sources

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        data = self.get_data(path)
        self._sources[fullname] = path, data
        return self.source_to_code(data, path)
