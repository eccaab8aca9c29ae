"""What produced a record: the code that ran, the software, the machine, the cost.

The code is identified by a fingerprint of every module that the worker had imported from outside
the standard library and installed packages: the sha256 of its syntax tree without docstrings, so
comments, layout and docstrings change nothing. The harness's own plumbing is left out; it cannot
change an estimator's output.
"""

from __future__ import annotations

import ast
import contextlib
import datetime
import hashlib
import importlib.machinery
import math
import os
import platform
import re
import resource
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from benchmarks.records.git import git
from benchmarks.records.imports import PROJECT, installed

ROOT = Path(__file__).resolve().parents[2]
CGROUPS, SELF_CGROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
#: They move numbers around and make none. Metrics are computed from stored labels, at any time.
PLUMBING = (
    "benchmarks.records", "benchmarks.run", "benchmarks.report", "benchmarks.cli",
    "benchmarks.registry", "benchmarks.stanzas", "benchmarks.metrics",
)  # fmt: skip
COUNTED = ("benchmarks.records.purity",)  # part of what exhibits compute
# They only look up other modules by name, which are listed if a cell used them: another kind in the
# list changes no cell.
LOOKUPS = ("benchmarks.kinds",)
# What turns files into arrays, which loading compares with the content hash that names the cell:
# where there is one, another reader cannot change what a cell gets. What compares is trusted.
READERS, TRUSTED = "benchmarks.datasets.", ("benchmarks.datasets.core", "benchmarks.datasets.cache")
PACKAGES = ("torch", "numpy", "scipy", "scikit-learn")
FIRST_VERSION = "0.1.0"  # that of the records made before versions were left out
MISSING = "missing"  # stands for the hash of a module that is nowhere
_SUFFIXES = importlib.machinery.all_suffixes()


def _canonical(node: Any, out: list[str]) -> None:
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
                if (
                    value
                    and isinstance(value[0], ast.Expr)
                    and isinstance(value[0].value, ast.Constant)
                    and isinstance(value[0].value.value, str)
                ):
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


def _forget_version(tree: ast.Module) -> None:
    """Have a module's number of its release be the first: another makes no result stale."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__version__")], value=ast.Constant()):
                node.value = ast.Constant(FIRST_VERSION)


def source_hash(text: str | bytes) -> str:
    """First 16 hex of the sha256 of Python source; comments, docstrings, ``__version__`` aside.

    Of source that does not parse, and of a compiled module, the hash of the bytes.
    """
    out: list[str] = []
    try:
        tree = ast.parse(text)
        _forget_version(tree)
        _canonical(tree, out)
        data = "".join(out).encode()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        data = text.encode() if isinstance(text, str) else text
    return hashlib.sha256(data).hexdigest()[:16]


@cache
def _file_hash(path: str, mtime_ns: int, size: int) -> str:
    data = Path(path).read_bytes()
    return source_hash(data) if path.endswith(".py") else hashlib.sha256(data).hexdigest()[:16]


def _hash_of(path: str) -> str:
    try:
        stat = os.stat(path)
        return _file_hash(path, stat.st_mtime_ns, stat.st_size)
    except OSError:
        return MISSING


def python_path() -> list[str]:
    """Folders of ``PYTHONPATH``, absolute; an empty entry, the working directory, is none."""
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [os.path.abspath(path) for path in given if path]


def _search_path() -> list[str]:
    """Folders that a worker looks for modules in, in its order (see `benchmarks.run.start`)."""
    rest = [path for path in sys.path if path]
    # In the harness the first may be a script's folder or the working directory: last.
    return [*python_path(), *filter(installed, rest), *rest]


def locate(name: str) -> str | None:
    """File of a module as a worker would find it now; None where there is none.

    Nothing is imported: a package's ``__init__`` may pull in torch. A name with ``/`` is that of a
    file that was imported by its path.
    """
    parts = name.split(".")
    bases = [str(ROOT)] if parts[0] in PROJECT else [str(ROOT), *_search_path()]
    if "/" in name:
        return next((path for base in bases if os.path.isfile(path := f"{base}/{name}")), None)
    found = None
    for part in parts:
        found, inside = None, []
        for base in bases:
            stem = os.path.join(base, part)
            files = [
                *(f"{stem}/__init__{end}" for end in _SUFFIXES),
                *(stem + end for end in _SUFFIXES),
            ]
            found = next(filter(os.path.isfile, files), None)
            if found:
                inside = [stem]
                break
            if os.path.isdir(stem):  # perhaps a part of a package without __init__
                inside.append(stem)
        if found is None and not inside:
            return _editable(name)
        bases = inside
    return found


def _editable(name: str) -> str | None:
    """File of a module that only an installed finder knows, as editable installs have one."""
    top, _, rest = name.partition(".")
    for finder in sys.meta_path:
        if "editable" not in f"{getattr(finder, '__module__', '')}{type(finder).__module__}":
            continue
        spec = finder.find_spec(top, None)
        if spec is not None and not rest:
            return spec.origin
        for folder in (spec and spec.submodule_search_locations) or ():
            stem = os.path.join(folder, *rest.split("."))
            for path in (f"{stem}/__init__.py", f"{stem}.py"):
                if os.path.isfile(path):
                    return path
    return None


def module_hash(name: str) -> str | None:
    """Hash of a module's source as it stands on disk now; None where there is none."""
    path = locate(name)
    return None if path is None else _hash_of(path)


_compiled_hash = cache(source_hash)  # a worker takes its fingerprint twice
_sources: dict[str, tuple[str, bytes]] = {}  # what was compiled here: module -> file, bytes


def use(sources: dict[str, tuple[str, bytes]]) -> None:
    """Have fingerprints of this process made from what was compiled (`Imports.sources`)."""
    global _sources
    _sources = sources


class ForeignCode(ImportError):
    """A module of the project that did not come from its checkout."""


def imported_modules(*also: str, pinned: bool = False) -> dict[str, str]:
    """Fingerprint of this process: module -> hash, for every module outside the libraries.

    Parameters
    ----------
    also : str
        Dotted names of estimator and loader modules; their top-level package counts wherever it is
        installed (a method that a user registers from a package of their own).
    pinned : bool
        Whether a content hash names the data, so that readers of files do not count.

    Raises
    ------
    ForeignCode
        If a module of the project was imported from another folder than `ROOT`.
    """
    own = {name.partition(".")[0] for name in also} | set(PROJECT)
    found = {}
    for name, (path, data) in list(_sources.items()):
        _check_home(name, path)
        if counts(name, pinned):
            found[name] = _compiled_hash(data)
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        spec = getattr(module, "__spec__", None)
        name = getattr(spec, "name", None) or name  # one module may stand under several
        if name in found or name in _sources or name == "__main__" or not isinstance(file, str):
            continue
        if spec is None and not os.path.exists(file):  # made while running: torch's "_classes.py"
            continue
        _check_home(name, file)
        if name.partition(".")[0] not in own and installed(file):
            continue
        place = _place(name, file)
        if place is not None and counts(place, pinned):
            found[place] = _hash_of(file)
    return dict(sorted(found.items()))


def counts(name: str, pinned: bool) -> bool:
    """Whether a module of a fingerprint can change a cell's numbers; `imported_modules`."""
    if name in COUNTED:
        return True
    if name in LOOKUPS:
        return False
    if pinned and name.startswith(READERS) and name not in TRUSTED:
        return False
    return not any(name == plumbing or name.startswith(plumbing + ".") for plumbing in PLUMBING)


def _check_home(name: str, path: str) -> None:
    top = name.partition(".")[0]
    if top in PROJECT and not Path(path).resolve().is_relative_to(ROOT / top):
        raise ForeignCode(f"module {name} was imported from {path}, needs {ROOT / top}", name=name)


def _place(name: str, path: str) -> str | None:
    """Name under which `locate` finds a file: the module's own, else its path in the search path.

    None for what lies elsewhere: code that a library wrote into a temporary folder, and ran.
    """
    here = locate(name)
    if here is not None and os.path.exists(here) and os.path.samefile(here, path):
        return name
    path = os.path.abspath(path)
    inside = [
        os.path.relpath(path, base)
        for base in (str(ROOT), *_search_path())
        if path.startswith(base.rstrip(os.sep) + os.sep)
    ]
    return min(inside, key=len).replace(os.sep, "/") if inside else None


def changes(
    modules: dict[str, str], pinned: bool, known: dict[str, str | None] | None = None
) -> dict[str, str]:
    """Modules of a fingerprint whose code is another one now -> the hash that they had then.

    `known` holds hashes of modules that were found already, and is filled: for many records at one
    moment.
    """
    known = {} if known is None else known
    for name in modules.keys() - known.keys():
        known[name] = module_hash(name)
    return {
        name: value
        for name, value in sorted(modules.items())
        if (known[name] or MISSING) != value and counts(name, pinned)
    }


def changed_modules(record: dict) -> list[str]:
    """Modules whose code now differs from the fingerprint of a record, sorted.

    What a ledger of verifications says of them is asked of `Store.changed`.
    """
    return list(changes(record["provenance"].get("modules") or {}, is_pinned(record["cell"])))


def is_pinned(cell: dict) -> bool:
    """Whether a cell is named by the hash of its data, not by a variant's name."""
    return not cell["content_hash"].startswith("variant:")


def commit() -> dict:
    """Commit of this checkout and whether files of it differ; None outside git, and why.

    Only a repository of the checkout's own counts: not one that it happens to lie in, nor one that
    variables such as ``GIT_DIR`` name.

    Returns
    -------
    dict
        ``commit``, ``dirty`` and, where the commit is None, ``no_commit``: the reason.
    """

    def ask(*words: str) -> str:
        return git(ROOT, *words, seconds=20, own=True).decode()

    try:
        head = ask("rev-parse", "HEAD").strip()
        # Results change while a suite runs; only code and data tables make a checkout dirty.
        state = ask(
            "status", "--porcelain", "--untracked-files=all", "--", ".", ":(exclude)results"
        ).splitlines()
    except OSError as error:
        return {"commit": None, "dirty": None, "no_commit": clean(str(error))}
    rooms = tuple(f"?? {name}/" for name in PROJECT)
    return {
        "commit": head,
        "dirty": any(line.startswith(rooms) or not line.startswith("??") for line in state),
    }


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
    """Cores that this process may use: by its affinity, and by the time a container grants it."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        cores = os.cpu_count() or 1
    return max(1, math.ceil(min([cores, *_quotas()])))


def _quotas() -> list[float]:
    """Cores' worth of time that the control groups of this process allow, where they say so."""
    found = []
    for folder in _groups("cpu"):
        for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
            with contextlib.suppress(OSError, ValueError):  # none, "max", or an empty file
                quota, period = map(
                    int, " ".join((folder / name).read_text() for name in names).split()
                )
                if quota > 0 and period > 0:
                    found.append(quota / period)
    return found


def _groups(controller: str) -> list[Path]:
    """Folders of the control groups that limit this process: its own and those above.

    In a container its own stands at the top; elsewhere ``/proc/self/cgroup`` says where it is, in
    the one hierarchy of version 2 (``0::``) or in that of the controller of version 1.
    """
    found = [CGROUPS, CGROUPS / controller]
    with contextlib.suppress(OSError, ValueError):
        for line in SELF_CGROUP.read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            top = CGROUPS if number == "0" else CGROUPS / controller
            if number == "0" or controller in controllers.split(","):
                inside = top / path.lstrip("/")
                found += [
                    folder for folder in (inside, *inside.parents) if folder.is_relative_to(top)
                ]
    return list(dict.fromkeys(found))


def now() -> str:
    """The time in UTC, to seconds, as records have it."""
    return datetime.datetime.now(datetime.UTC).isoformat("T", "seconds")


def memory_gb() -> float:
    """Memory of this machine, or of the container that this process is in, in 10^9 bytes."""
    total = psutil.virtual_memory().total
    for folder in _groups("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):  # cgroups, version 2 and 1
            with contextlib.suppress(OSError, ValueError):  # none, or "max"
                total = min(total, int((folder / name).read_text()))
    return total / 1e9


def peak_rss_mb() -> float:
    """Largest resident memory of this process so far, in MiB.

    Linux's own figure where it is: `ru_maxrss` there begins at what the process had that started
    this one.
    """
    with contextlib.suppress(OSError, IndexError):
        status = Path("/proc/self/status").read_text()
        return round(int(status.split("VmHWM:")[1].split()[0]) / 2**10, 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def machine(device: str = "cpu", threads: int = 1) -> dict:
    """Software and hardware of this process: no host name, no user, no path."""
    return {
        "versions": versions(),
        "device": device,
        "threads": threads,
        "cpu": cpu_model(),
        "cores": n_cores(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def blas() -> list[dict]:
    """Kernels of linear algebra that this process has loaded: what its last bits depend on.

    Returns
    -------
    list of dict
        ``library``, ``version``, ``kernel`` (the processor that it was tuned for, or None) and
        ``threads``; torch, whose own is not to be seen from outside, with its vector width.
    """
    from threadpoolctl import threadpool_info

    found = [
        {
            "library": f"{info['internal_api']} ({info['prefix']})",
            "version": info["version"],
            "kernel": info.get("architecture"),
            "threads": info["num_threads"],
        }
        for info in threadpool_info()
        if info["user_api"] == "blas"
    ]
    if "torch" in sys.modules:
        import torch

        line = re.search(r"Math Kernel Library Version (\S+)", torch.__config__.show())
        found.append(
            {
                "library": "torch, MKL" if line else "torch",
                "version": line.group(1) if line else None,
                "kernel": torch.backends.cpu.get_cpu_capability(),
                "threads": torch.get_num_threads(),
            }
        )
    return sorted(found, key=lambda one: (one["library"], one["version"] or ""))


def gpu(device: str) -> dict:
    """The GPU that a CUDA device is: model, memory in 10^9 bytes, driver; nothing for the CPU.

    None stands for a GPU that torch does not see.
    """
    if device == "cpu":
        return {}
    import torch

    if not torch.cuda.is_available():
        return {"gpu": None}
    properties = torch.cuda.get_device_properties(device)
    return {
        "gpu": properties.name,
        "gpu_memory_gb": round(properties.total_memory / 1e9, 1),
        "gpu_driver": _driver(),
        "cuda": torch.version.cuda,
    }


@cache
def _driver() -> str | None:
    """Version of the NVIDIA driver, from the kernel or from its own tool; None where unknown."""
    try:
        words = Path("/proc/driver/nvidia/version").read_text()
    except OSError:
        try:
            words = subprocess.run(
                ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],
                capture_output=True,
                text=True,
                timeout=20,
                stdin=subprocess.DEVNULL,
            ).stdout
        except (OSError, subprocess.TimeoutExpired):
            return None
    found = re.search(r"\b\d{3,}\.\d+(\.\d+)?\b", words)
    return found.group() if found else None


def software(device: str = "cpu") -> dict:
    """All beside code and data that may change the bits of a result: part of every cache's key."""
    return {"versions": versions(), "blas": blas(), "device": device, **gpu(device)}


_PATH = re.compile(r"(?<![\w./:~…>])/(?:[^\s/'\":,;()]+/)+([^\s/'\":,;()]*)")


def clean(text: str) -> str:
    """Text of an error without absolute paths: project files relative, others by their name."""
    text = text.replace(str(ROOT) + os.sep, "")
    return _PATH.sub(r"…/\1", text)
