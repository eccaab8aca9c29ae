"""Starts a worker whose project is this checkout: ``python -P start.py cell.json``.

A file and not ``-m benchmarks.run.worker``, which would be looked for by name.
"""

import os
import sys
from pathlib import Path

ROOT = str(Path(__file__).resolve().parents[2])


def main() -> int:
    """Run the worker on the job file of the command line; see `benchmarks.run.worker`."""
    sys.path.insert(0, ROOT)
    from benchmarks.records.imports import Imports

    sys.path.remove(ROOT)
    imports = Imports(ROOT)
    sys.meta_path.insert(0, imports)
    from benchmarks.records import provenance
    from benchmarks.run import worker

    provenance.use(imports.sources)
    return worker.main()


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # the record is written; a library's clean-up at exit could still hang
