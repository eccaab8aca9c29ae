"""A worker process as its harness sees it: start, what it says, how it ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path

import psutil

from benchmarks.records import imports, provenance
from benchmarks.run import start
from benchmarks.run.worker import MARK

THREADS = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS",
)  # fmt: skip
GB = 1e9  # bytes
MEMORY_SHARE = 0.9  # of the machine's, for all cells together; the rest is the system's
MEMORY_POLL_S = 0.5


def group_rss(group: int) -> int:
    """Resident bytes of a process group; pages that its processes share count for each."""
    total = 0
    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error, OSError):  # it may end meanwhile
            if os.getpgid(pid) == group:
                total += psutil.Process(pid).memory_info().rss
    return total


def import_paths() -> dict[str, str]:
    """Environment by which a worker and its processes import what they should.

    The working directory is no place of modules, this checkout is, and ``PYTHONPATH`` is as given.
    Folders of libraries stay behind the standard library.
    """
    root = str(provenance.ROOT)
    first = [] if imports.installed(root + os.sep) else [root]
    return {
        "PYTHONPATH": os.pathsep.join([*first, *provenance.python_path()]),
        "PYTHONSAFEPATH": "1",
    }


@contextlib.contextmanager
def signals_to(handler):
    """SIGINT and SIGTERM go to `handler` meanwhile (only the main thread may set that)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


class OnGpus:
    """Starts cells here, each on the GPU that has the fewest of them (``--device cuda``).

    Parameters
    ----------
    n : int
        GPUs that this process sees, by ``CUDA_VISIBLE_DEVICES`` where that is set.
    """

    def __init__(self, n: int):
        given = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
        self.names = (given or [str(i) for i in range(n)])[:n]
        self.running: list[tuple[str, Child]] = []

    def __call__(self, job: dict, timeout: float) -> Child:
        self.running = [
            (name, child) for name, child in self.running if child.process.poll() is None
        ]
        busy = [name for name, _ in self.running]
        name = min(self.names, key=busy.count)
        child = Child({**job, "environment": {"CUDA_VISIBLE_DEVICES": name}}, timeout)
        self.running.append((name, child))
        return child


class Child:
    """One running cell.

    Parameters
    ----------
    job : dict
        What `benchmarks.run.worker` reads; written to ``cell.json`` in the cell's artefacts. Its
        ``memory_gb`` limits the resident memory of the process group (10^9 bytes); None stands
        for `MEMORY_SHARE` of this machine's, divided by the ``at_once`` cells that share it.
    timeout : float
        Seconds after which the whole process group is killed.
    """

    machine: dict = {}  # what differs from the harness's own; see `run.scheduler`

    def __init__(self, job: dict, timeout: float):
        folder = Path(job["artifacts"])
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "cell.json"
        path.write_text(json.dumps({**job, "root": str(provenance.ROOT)}))
        env = {
            **os.environ,
            **job.get("environment", {}),
            **{name: str(job["threads"]) for name in THREADS},
            # How many threads is fixed here, on which cores is the system's choice: processes
            # that bind themselves all take the first ones, and other harnesses' cells too.
            "OMP_PROC_BIND": "false",
            "PYTHONHASHSEED": "0",
            "PYTHONUNBUFFERED": "1",
            **import_paths(),
        }
        self.started = time.monotonic()
        self.deadline = self.started + timeout
        self.timed_out = self.hung_up = False
        self.memory_gb = job.get("memory_gb") or MEMORY_SHARE * provenance.memory_gb() / job.get(
            "at_once", 1
        )
        self.memory_found = 0.0  # GB, of a group that was over the limit
        self._memory_at = 0.0
        # A session of its own: Ctrl-C reaches only the harness, and one kill reaches the group.
        self.process = subprocess.Popen(
            [sys.executable, "-P", start.__file__, str(path)],
            env=env,
            bufsize=0,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        os.set_blocking(self.process.stdout.fileno(), False)
        self.modules: dict[str, str] = {}
        self.failure = ""  # the reason in full, paths and all: for the screen, not for records
        self.lost = ""  # why the worker could not write its record
        self.progress = ""
        self.share = 0.0  # of its steps that are done, as it says
        self.tail: deque[str] = deque(maxlen=40)
        self._rest = b""

    @property
    def seconds(self) -> float:
        """Wall seconds since the start."""
        return time.monotonic() - self.started

    def read(self) -> None:
        """Take in what the worker has said so far; never waits."""
        while True:
            try:
                chunk = os.read(self.process.stdout.fileno(), 1 << 16)
            except (BlockingIOError, ValueError, OSError):
                return
            if not chunk:
                self.hung_up = True
                return
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                self._take(line.decode("utf-8", "replace"))

    def _take(self, line: str) -> None:
        if not line.startswith(MARK):
            self.tail.append(line)
            return
        try:
            message = json.loads(line[len(MARK) :])
            if "progress" in message:
                done, total, text = message["progress"]
                self.share = done / total if total > 0 else 0.0
                self.progress = f"{done}/{total} {text}".strip()
            self.modules = message.get("modules", self.modules)
            self.failure = message.get("failure", self.failure)
            self.lost = message.get("lost", self.lost)
        except (ValueError, TypeError, AttributeError):  # cut off, or not of the worker
            return

    def ended(self) -> bool:
        """Whether the process is over; past its deadline or its memory it is killed."""
        if self.process.poll() is None:
            self.timed_out = time.monotonic() > self.deadline
            if self.timed_out or self._over_memory():
                self.signal(signal.SIGKILL)
                self.process.wait()
        return self.process.poll() is not None

    def _over_memory(self) -> bool:
        now = time.monotonic()
        if now < self._memory_at:
            return False
        self._memory_at = now + MEMORY_POLL_S
        found = group_rss(self.process.pid) / GB
        self.memory_found = found if found > self.memory_gb else 0.0
        return self.memory_found > 0

    def signal(self, number: int) -> None:
        """Send a signal to the whole process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def close(self) -> None:
        """Read the last words and end whatever the worker left running."""
        self.read()
        if self._rest:
            self._take(self._rest.decode("utf-8", "replace"))
        self.signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def verdict(self, stopping: bool) -> tuple[str, str]:
        """(status, reason) of a worker that left no record."""
        code = self.process.returncode
        if stopping:
            return "interrupted", "the run was stopped"
        if self.timed_out:
            return "timeout", f"longer than {self.deadline - self.started:g} s"
        if self.memory_found:
            return "killed", f"memory: {self.memory_found:.2f} GB of {self.memory_gb:.2f} GB"
        if self.lost:
            return "killed", self.lost
        if code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = f"signal {-code}"
            hint = " (by the system, perhaps for memory)" if name == "SIGKILL" else ""
            return "killed", f"{name}{hint}"
        return "error", f"the worker left with exit status {code} and no record"
