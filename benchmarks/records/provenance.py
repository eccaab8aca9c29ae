"""What produced a record: the code that ran, the software, the machine, the cost.

The code is identified by a fingerprint of every project module that the worker had imported: the
sha256 of its syntax tree without docstrings, so comments, layout and docstrings change nothing.
The harness's own plumbing is left out; it cannot change an estimator's output.
"""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import re
import resource
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
PROJECT = (
    "mixnet_core", "baselines", "benchmarks.datasets", "benchmarks.kinds", "benchmarks.exhibits",
    "benchmarks.records.metrics",
)
# What made the metrics of records from before it was part of the fingerprint.
FIRST_METRICS = {"benchmarks.records.metrics": "6aedb908b7964c1a"}
# They turn files into arrays, which loading compares with the content hash that names the cell:
# where there is one, another reader cannot change what a cell gets.
READERS = tuple(f"benchmarks.datasets.{name}" for name in
                ("formats", "lyrl2004", "mat5", "rawfile"))
PACKAGES = ("torch", "numpy", "scipy", "scikit-learn")


def _canonical(node, out: list[str]) -> None:
    """Write a syntax tree without positions and docstrings, alike on every Python version.

    `ast.dump` differs between versions (fields that are empty come and go), so empty fields are
    left out here.
    """
    if isinstance(node, ast.AST):
        out.append(type(node).__name__)
        out.append("(")
        for name, value in ast.iter_fields(node):
            if isinstance(node, ast.Constant):
                if name == "value":
                    out.append(f"{type(value).__name__}:{value!r}")
                continue
            if name == "body" and isinstance(
                node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
            ):
                if value and isinstance(value[0], ast.Expr) and isinstance(
                    value[0].value, ast.Constant
                ) and isinstance(value[0].value.value, str):
                    value = value[1:]
            if value is None or value == [] or name in ("type_comment", "type_ignores"):
                continue
            out.append(f"{name}=")
            _canonical(value, out)
            out.append(",")
        out.append(")")
    elif isinstance(node, list):
        out.append("[")
        for item in node:
            _canonical(item, out)
            out.append(",")
        out.append("]")
    else:
        out.append(repr(node))


def source_hash(text: str) -> str:
    """First 16 hex of the sha256 of Python source, comments and docstrings aside."""
    out: list[str] = []
    _canonical(ast.parse(text), out)
    return hashlib.sha256("".join(out).encode()).hexdigest()[:16]


@cache
def _file_hash(path: str, mtime_ns: int, size: int) -> str:
    return source_hash(Path(path).read_text(encoding="utf-8"))


def module_hash(name: str) -> str | None:
    """Hash of a module's source as it stands on disk now; None where there is none.

    The file is looked for without importing anything: a package's ``__init__`` may pull in torch.
    """
    parts = name.split(".")
    for base in (str(ROOT), *sys.path):
        stem = Path(base or ".").joinpath(*parts)
        for path in (stem.with_suffix(".py"), stem / "__init__.py"):
            if path.is_file():
                stat = path.stat()
                try:
                    return _file_hash(str(path), stat.st_mtime_ns, stat.st_size)
                except SyntaxError:
                    return "does not parse"
    return None


def imported_modules(*also: str) -> dict[str, str]:
    """Fingerprint of this process: module name -> hash, for every project module imported.

    Parameters
    ----------
    also : str
        Dotted names of estimator and loader modules; their top-level package counts as project
        code too (a method that a user registers from a package of their own).
    """
    prefixes = set(PROJECT)
    prefixes.update(name.partition(".")[0] for name in also if not name.startswith("benchmarks."))
    chosen = [
        name for name in sorted(sys.modules)
        if any(name == p or name.startswith(p + ".") for p in prefixes)
    ]
    hashes = {name: module_hash(name) for name in chosen}
    return {name: value for name, value in hashes.items() if value is not None}


def changed_modules(record: dict, known: dict[str, str | None] | None = None) -> list[str]:
    """Modules whose code now differs from the fingerprint of a record, sorted.

    Readers of data do not count where the cell is named by the hash of its data. `known` holds
    hashes of modules that were found already, and is filled: for many records at one moment.
    """
    known = {} if known is None else known
    recorded = record["provenance"].get("modules", {})
    if record.get("metrics"):
        recorded = FIRST_METRICS | recorded
    pinned = () if record["cell"]["content_hash"].startswith("variant:") else READERS
    for name in recorded.keys() - known.keys():
        known[name] = module_hash(name)
    return sorted(name for name, value in recorded.items()
                  if name not in pinned and known[name] != value)


def commit() -> dict:
    """Commit of the checkout and whether tracked files differ from it; both None outside git."""
    def git(*args):
        done = subprocess.run(["git", "-C", str(ROOT), *args], capture_output=True, text=True,
                              timeout=20)
        return done.stdout.strip() if done.returncode == 0 else None
    try:
        head = git("rev-parse", "HEAD")
        # Results change while a suite runs; only code and data tables make a checkout dirty.
        state = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)results")
    except (OSError, subprocess.TimeoutExpired):
        head = state = None
    return {"commit": head, "dirty": None if head is None or state is None else bool(state)}


def versions() -> dict[str, str | None]:
    """Versions of Python and of the packages that the numbers depend on (nothing is imported)."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


@cache
def cpu_model() -> str:
    """Name of the processor as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.lower().startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def n_cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def memory_gb() -> float:
    """Memory of this machine, or of the container that this process is in, in 10^9 bytes."""
    total = psutil.virtual_memory().total
    for name in ("memory.max", "memory/memory.limit_in_bytes"):  # cgroups, version 2 and 1
        try:
            total = min(total, int((Path("/sys/fs/cgroup") / name).read_text()))
        except (OSError, ValueError):  # none, or "max"
            continue
    return total / 1e9


def peak_rss_mb() -> float:
    """Largest resident memory of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def machine(device: str = "cpu", threads: int = 1) -> dict:
    """Software and hardware of this process: no host name, no user, no path."""
    return {"versions": versions(), "device": device, "threads": threads, "cpu": cpu_model(),
            "cores": n_cores(), "system": f"{platform.system()} {platform.machine()}"}


def gpu(device: str) -> dict:
    """Name of the GPU that a CUDA device is, under ``gpu``; nothing for the CPU."""
    if device == "cpu":
        return {}
    import torch

    return {"gpu": torch.cuda.get_device_name(device)}


_PATH = re.compile(r"(?<![\w./:~…>])/(?:[^\s/'\":,;()]+/)+([^\s/'\":,;()]*)")


def clean(text: str) -> str:
    """Text of an error without absolute paths: project files relative, others by their name."""
    text = text.replace(str(ROOT) + os.sep, "")
    return _PATH.sub(r"…/\1", text)
