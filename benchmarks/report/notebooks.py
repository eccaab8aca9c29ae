"""Notebooks with outputs from their sources: ``python -m benchmarks.report.notebooks [NAME ...]``.

The reviewed source of a notebook is the ``.py`` beside it, in jupytext's percent format. It is
executed by the interpreter that runs this, whatever kernels are installed, and written without
times, versions and random names: the same results give the same files.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from benchmarks.records.store import default_results
from benchmarks.report.words import replace
from benchmarks.run.output import quiet_streams

ROOT = Path(__file__).resolve().parents[2]
METADATA = {
    "jupytext": {"formats": "ipynb,py:percent"},
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def read(source: Path) -> nbformat.NotebookNode:
    """The notebook of a ``.py``, not executed."""
    return clean(jupytext.read(source), Path(source).stem)


def execute(notebook, folder: Path, environment: dict | None = None, timeout_s: int = 300):
    """Execute a notebook in place, in a fresh kernel that runs this interpreter.

    Parameters
    ----------
    notebook : NotebookNode
    folder : path
        Working directory of the kernel.
    environment : dict, optional
        Variables besides those of this process; the project is always on the kernel's path.
    timeout_s : int
        Limit of a cell in seconds.

    Returns
    -------
    NotebookNode
        The same notebook.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        Where a cell raises.
    """
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    with tempfile.TemporaryDirectory() as private:  # no settings, start-up files or history
        variables = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "IPYTHONDIR": private,
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            **(environment or {}),
        }
        variables.pop("MPLBACKEND", None)  # or pictures would not come back
        # Without folders of kernels there is only the one that runs this interpreter.
        manager = AsyncKernelManager(
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),
            transport="ipc",  # no ports, which others might take
            connection_file=str(Path(private) / "kernel.json"),
        )
        client = NotebookClient(
            notebook,
            km=manager,
            timeout=timeout_s,
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": str(folder)}},
        )
        client.execute(env=variables, cleanup_kc=True)  # a manager handed over is not ended
    return notebook


def clean(notebook, name: str):
    """Take out of a notebook, in place, what differs from one execution to the next."""
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for i, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"{name}-{i:02d}", nbformat.from_dict({})
        for output in cell.get("outputs", ()):
            if "metadata" in output:
                output.metadata = nbformat.from_dict({})
    return notebook


def build(source: Path, environment: dict | None = None) -> Path:
    """Execute a ``.py`` and write the ``.ipynb`` beside it; parameters and errors of `execute`."""
    source = Path(source)
    notebook = clean(execute(read(source), source.parent, environment), source.stem)
    return replace(source.with_suffix(".ipynb"), nbformat.writes(notebook))


def main(argv: list[str] | None = None) -> int:
    """Build the notebooks named, or all; 0 if every one was written."""
    with quiet_streams():
        return _main(argv)


def _main(argv) -> int:
    folder = default_results() / "notebooks"
    names = sorted(path.stem for path in folder.glob("*.py"))
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}")
    chosen = parser.parse_args(argv).names or names
    if unknown := set(chosen) - set(names):
        parser.error(f"NAME is {', '.join(sorted(unknown))}, needs some of {', '.join(names)}")
    failed = False
    for name in chosen:
        try:
            path = build(folder / f"{name}.py")
            print(f"wrote {path} ({path.stat().st_size / 1e3:.0f} kB)", flush=True)
        except CellExecutionError as error:
            failed = True
            print(f"{name}: {error}", file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
