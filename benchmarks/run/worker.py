"""One cell in one process, started by `benchmarks.run.start` with a job file, ``cell.json``.

The job file holds the cell, its stanzas and where its inputs lie. The record is written here, so
what a cell found is safe before the harness hears of it. Lines to the harness (progress, the
fingerprint, a failure in full) start with `MARK` on stderr.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

import numpy as np

from benchmarks.records import provenance
from benchmarks.records.files import file_lock
from benchmarks.records.store import Store, blank, jsonable, small_int
from benchmarks.records.whole import share, write_atomic
from benchmarks.run import guard

MARK = "\x1emixnet "
PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """End this process when `parent` ends, however it ends."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch():
        while os.getppid() == parent:
            time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGKILL)

    if os.getppid() != parent:  # it died before the request above
        os._exit(1)
    threading.Thread(target=watch, daemon=True).start()


def start_guard() -> None:
    """Have this process's group, which it leads, ended with it; see `benchmarks.run.guard`."""
    subprocess.Popen(
        [sys.executable, "-I", "-S", guard.__file__, str(os.getpid())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def tell(**message) -> None:
    """One line to the harness; where an estimator closed ``stderr``, none, and nothing is lost."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(MARK + json.dumps(message), file=sys.stderr, flush=True)


class Progress:
    """Callable for estimators; passes on at most two lines a second and keeps the time spent.

    The time lies beside the checkpoint, so that a resumed training reports all of its seconds.
    """

    def __init__(self, checkpoint: Path):
        self.sidecar = checkpoint.with_suffix(".seconds")
        self.before = 0.0
        self.resumed = checkpoint.exists()
        if self.resumed:
            try:
                self.before = float(self.sidecar.read_text())
            except (OSError, ValueError):
                pass
        self.start = self.told = self.kept = time.perf_counter()

    def __call__(self, done, total, text="") -> None:
        now = time.perf_counter()
        if now - self.told > 0.5:
            tell(progress=[int(done), int(total), str(text)])
            self.told = now
        if now - self.kept > 5:
            text = f"{self.before + now - self.start:.3f}".encode()
            write_atomic(self.sidecar, lambda handle: handle.write(text))
            self.kept = now


def short_of(error: BaseException) -> str:
    """What the machine had too little of, ``memory`` or ``disk``; empty for other exceptions."""
    if (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "DefaultCPUAllocator" in str(error)
    ):  # numpy's and Python's; torch's, CUDA and CPU
        return "memory"
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return "disk" if full or "PytorchStreamWriter failed writing" in str(error) else ""


def worker_lock(artifacts: Path) -> Path:
    """File that a worker holds locked as long as it lives."""
    return artifacts / "worker.lock"


def status_of(error: BaseException) -> str:
    """Status that an exception stands for."""
    if short_of(error):  # with more of it the same code would go on
        return "killed"
    # No fault of the cell's own code.
    if isinstance(error, (provenance.ForeignCode, NotScored, Unreadable)):
        return "killed"
    names = [cls.__name__ for cls in type(error).__mro__]
    if "DatasetError" in names:  # missing, or damaged: no cell of the dataset can run
        return "no data"
    if isinstance(error, FloatingPointError) or any(name.startswith("Diverge") for name in names):
        return "diverged"
    return "error"


class NotScored(RuntimeError):
    """The metrics of labels could not be computed; they are no part of a cell's code."""


class Unreadable(RuntimeError):
    """What another cell left on this machine is not what its record names; it is made again."""


def check_models(models: dict[str, dict]) -> None:
    """Set aside the files of fitted models, by role, that cannot be loaded.

    Raises
    ------
    Unreadable
        If there was one. Too little memory, a package that is not here or an unreadable disk are
        no damage, and leave the files as they are.
    """
    from benchmarks.kinds import base

    for role, model in models.items():
        try:
            base.load_fitted(model)
        except (ImportError, OSError):
            continue
        except Exception as error:
            if short_of(error):
                continue
            path = Path(model["path"])
            path.replace(path.with_name(f"{path.name}.damaged"))
            why = str(error) or type(error).__name__
            raise Unreadable(
                f"the file of the {role} that it needs is damaged ({why}); the same command makes "
                "it again"
            ) from error


def reason_of(error: BaseException) -> str:
    """What the record says of an exception."""
    reason = str(error) or type(error).__name__
    if isinstance(error, ModuleNotFoundError):
        reason += (
            " (looked for in PYTHONPATH and where packages are installed, not in the "
            "working directory)"
        )
    if short := short_of(error):
        return f"{short}: {type(error).__name__}: {reason}"
    return f"{type(error).__name__}: {reason}" if status_of(error) == "error" else reason


def fingerprint(job: dict, error: BaseException | None = None) -> dict[str, str]:
    """Hashes of the code that this process imported for a job's cell; see `provenance`.

    Of a cell that failed, also the modules that were not found: there, it may run.
    """
    loader = job["data"].get("loader", "")
    own = [dotted.partition(":")[0] for dotted in (job["method"]["estimator"], loader) if dotted]
    found = provenance.imported_modules(*own, pinned=provenance.is_pinned(job["cell"]))
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name:
            found.setdefault(error.name, provenance.MISSING)
        error = error.__cause__ or error.__context__
    return found


def _read_input(role: str, path: str, expected: str) -> np.ndarray:
    from benchmarks.kinds import base

    try:
        return base.read_input(role, path, expected)
    except RuntimeError as error:  # the harness saw another file there
        raise Unreadable(str(error)) from error


def compute(job: dict, record: dict) -> dict:
    """Run the job's cell; fills `record` and returns the arrays to keep beside it."""
    from benchmarks import kinds
    from benchmarks.kinds import base
    from benchmarks.records.files import array_hash, canonical_json, save_array, short_hash

    cell, method, stanza = job["cell"], job["method"], job["data"]
    kind = kinds.of(method)
    record["provenance"] |= provenance.gpu(job["device"])
    start = time.perf_counter()
    dataset = base.load_dataset(
        cell["dataset"], stanza, cell["content_hash"], job["source"], job["variant"]
    )
    record["variant"] = dataset.variant
    record["dataset"] = {
        "content_hash": dataset.content_hash,
        "source": dataset.source,
        "n": len(dataset.X),
        "d": int(dataset.X.shape[1]),
        "n_classes": int(dataset.n_classes),
    }
    inputs = {
        role: {**job["models"][role], "path": job["paths"][role]}
        if role in job.get("models", ())
        else _read_input(role, job["paths"][role], used["hash"])
        for role, used in record["inputs"].items()
    }
    if "test" in cell["params"]:  # another dataset, of which the content is asserted as well
        load = base.resolve(stanza.get("loader", "benchmarks.datasets:load"))
        test = load(cell["params"]["test"], source=job["source"])
        inputs["test"], record["dataset"]["test"] = test.X, test.content_hash
    loading = time.perf_counter() - start
    base.resolve(method["estimator"])
    modules = fingerprint(job)
    tell(modules=modules)

    artifacts = Path(job["artifacts"])
    # A checkpoint of other code, inputs or software must not be taken up.
    tag = short_hash(
        {
            "modules": modules,
            "inputs": record["inputs"],
            "data": record["dataset"],
            "threads": job["threads"],
            "software": provenance.software(job["device"]),
        },
        12,
    )
    checkpoint = artifacts / f"checkpoint-{tag}.pt"
    progress = Progress(checkpoint)
    device = job["device"]
    try:
        result = kind.run(cell, method, dataset, inputs, artifacts, checkpoint, device, progress)
    except Exception:
        check_models({role: inputs[role] for role in job.get("models", ())})
        raise
    share(artifacts)  # models of `baselines/generative` are left to their owner alone
    # Once more, for what was imported late; before the scores, which are no part of it.
    record["provenance"]["modules"] = fingerprint(job)
    record["phases"] = {"load": loading, **result.phases}
    if progress.resumed:
        record["phases"]["before_resume"] = progress.before
    record["seconds"] = sum(s for name, s in record["phases"].items() if name != "load")
    record["values"] = jsonable(result.values)
    arrays = {}
    for name in ("codes", "samples", "labels"):
        if (array := getattr(result, name)) is not None:
            save_array(artifacts / f"{name}.npy", array)
            record["outputs"][name] = array_hash(array)
    if result.labels is not None:
        arrays["labels"] = small_int(result.labels)
        found, sizes = scores(dataset.y, result.labels)
        record["metrics"], record["values"] = jsonable(found), record["values"] | jsonable(sizes)
    if result.log_likelihood is not None:
        record["outputs"]["log_likelihood"] = array_hash(result.log_likelihood)
        arrays["log_likelihood"] = rounded(result.log_likelihood)
    for name, array in result.arrays.items():
        record["outputs"][name], arrays[name] = array_hash(array), array
    if not record["outputs"]:  # what verifying compares where there are no arrays
        record["outputs"]["values"] = short_hash(record["values"])
    if result.history:
        text = canonical_json(jsonable(result.history)).encode()
        write_atomic(artifacts / "history.json", lambda handle: handle.write(text))
    return arrays


def rounded(log_likelihood) -> np.ndarray:
    """Log-likelihoods (n,) as a record keeps them: to 1/256 nat, float32.

    Files are more than a quarter smaller by it, and seeds or machines differ by far more.
    The hash in the record is that of all bits, so that verifying compares those.
    """
    values = np.asarray(log_likelihood, dtype=np.float32)
    coarse = np.abs(values) < 2**15  # beyond, float32 has no finer steps anyway
    out = values.copy()
    out[coarse] = np.rint(values[coarse] * np.float32(256)) / np.float32(256)
    return out


def scores(y, labels) -> tuple[dict[str, float], dict[str, float]]:
    """Metrics of labels, a convenience: `benchmarks.records.scores` computes them at any time.

    And the sizes of classes and clusters.
    """
    try:
        from benchmarks.records.metrics import all_metrics
        from benchmarks.records.sizes import sizes

        return all_metrics(y, labels), sizes(y, labels)
    except Exception as error:
        raise NotScored(f"the metrics: {type(error).__name__}: {error}") from error


def main(argv: list[str] | None = None) -> int:
    """Run the job file given on the command line; 0 when its record is written."""
    job = json.loads(Path((argv or sys.argv[1:])[0]).read_text())
    if job["root"] != str(provenance.ROOT):
        tell(lost=f"this worker's code lies in {provenance.ROOT}, its harness's in {job['root']}")
        return 1
    die_with(job["parent"])
    start_guard()
    # While this is held a next harness does not take the cell as unfinished: the last write of a
    # worker that is being killed may still reach the disk.
    try:
        with file_lock(worker_lock(Path(job["artifacts"]))):
            run(job)
    except OSError as error:
        tell(lost=f"disk: no record could be written: {error.strerror or type(error).__name__}")
        return 1
    return 0


def run(job: dict) -> None:
    """Compute a job's cell and write its record; OSError where the disk does not take it."""
    start = time.perf_counter()
    made = {**provenance.machine(job["device"], job["threads"]), **provenance.commit()}
    record = blank(job["cell"], job["method"], job["timeout_s"], job["inputs"])
    record["provenance"] = {**made, "modules": {}, "started": provenance.now()}
    arrays = {}
    try:
        arrays = compute(job, record)
    except Exception as error:
        arrays = {}
        reason = reason_of(error)
        tell(failure=reason)
        if not isinstance(error, provenance.ForeignCode):
            record["provenance"]["modules"] = fingerprint(job, error)
        trace = provenance.clean(traceback.format_exc())[-8000:]
        said = {"reason": provenance.clean(reason)[:2000], "traceback": trace}
        record.update(status=status_of(error), outputs={}, metrics={}, error=said)
    record["provenance"]["blas"] = provenance.blas()
    record["provenance"]["wall_s"] = round(time.perf_counter() - start, 3)
    record["provenance"]["cpu_s"] = round(time.process_time(), 3)
    record["provenance"]["peak_rss_mb"] = provenance.peak_rss_mb()
    Store(job["results"]).write(record, arrays)
    if record["status"] == "done":
        for left in Path(job["artifacts"]).glob("checkpoint-*"):
            left.unlink(missing_ok=True)
