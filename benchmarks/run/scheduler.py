"""Cells on a dask cluster: a task launches the same worker process that a local run does.

Records, artefacts and raw data are on a file system that all machines see under the same paths. A
task may be lost at any moment without harm: the record is written by the worker process, and a task
that is tried again first looks whether the one before it has left a record.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections import Counter, deque
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

from benchmarks.records import provenance
from benchmarks.records.files import artifacts_root, file_lock, short_hash
from benchmarks.records.imports import PROJECT
from benchmarks.records.store import Store
from benchmarks.run.child import Child, import_paths
from benchmarks.run.worker import MARK

POLL_S = 0.1  # of a task, between looks at its process
GRACE_S = 5.0  # between the polite signal and the kill of a process that is no longer wanted
SETTLE_S = 90.0  # until what another machine wrote must be seen here: NFS keeps listings for 60 s
DOOR_S = 30.0  # until a scheduler answers and has a worker


class SchedulerError(RuntimeError):
    """The cluster cannot run cells, or is lost; the message is for the user."""


@functools.cache
def code_hash(token: str = "") -> str:
    """Hash of the code and tables that workers started here import, read once for each `token`."""
    files = sorted(
        path
        for package in PROJECT
        for end in ("*.py", "*.toml")
        for path in (provenance.ROOT / package).rglob(end)
    )
    return short_hash(
        {
            path.relative_to(provenance.ROOT).as_posix(): hashlib.sha256(
                path.read_bytes()
            ).hexdigest()
            for path in files
        }
    )


def _loaded() -> dict[str, str]:
    """Modules of the project that this process holds -> hash of their files now."""
    return {
        name: provenance.module_hash(name)
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in PROJECT and getattr(module, "__file__", None)
    }


_AT_START = _loaded()  # a dask worker lives long: its files may be edited meanwhile


def outdated() -> list[str]:
    """Modules that this process has in another form than they have on disk now."""
    return sorted(
        name for name, value in _AT_START.items() if provenance.module_hash(name) != value
    )


def look(door: dict, dask_worker=None) -> dict:
    """What a dask worker sees of the shared folders, and what it is; `Cluster` judges it."""
    unseen, unwritten, unlocked = [], [], False
    for path in map(Path, door["folders"]):
        token = path / f".{door['token']}.tmp"
        try:
            seen = token.read_text() == door["token"]
        except OSError:
            seen = False
        if not seen:
            unseen.append(str(path))
            continue
        try:
            mine = path / f".{door['token']}-{uuid.uuid4().hex}.tmp"
            mine.touch(exist_ok=False)
            mine.unlink()
            with file_lock(token, wait=False) as held:
                unlocked |= held  # the harness holds it: here it must be taken
        except OSError:
            unwritten.append(str(path))
    if door["source"] and not Path(door["source"]).is_dir():
        unseen.append(door["source"])
    slots = int(dask_worker.state.total_resources.get("GPU", 0))
    return {
        "unseen": unseen,
        "unwritten": unwritten,
        "unlocked": unlocked,
        "code": code_hash(door["token"]),
        "outdated": outdated(),
        "versions": provenance.versions(),
        "cores": provenance.n_cores(),
        "threads": dask_worker.state.nthreads,
        "gpus": slots,
        "devices": _cuda_devices() if door["cuda"] and slots else None,
    }


def _host(address: str) -> str:
    """Machine of a dask worker, of which it may have several."""
    return urlsplit(address).hostname or address


def _cuda_devices() -> int:
    words = "import torch; print(torch.cuda.device_count())"
    done = subprocess.run(
        [sys.executable, "-P", "-c", words],
        capture_output=True,
        text=True,
        env={**os.environ, **import_paths()},
    )
    return int(done.stdout) if done.returncode == 0 else 0


class _Told(Child):
    """The process of a cell on a worker's machine; what it says to its harness is passed on."""

    def __init__(self, job: dict, timeout: float, tell):
        self._tell = tell
        super().__init__(job, timeout)

    def _take(self, line: str) -> None:
        super()._take(line)
        if line.startswith(MARK):
            self._tell(line=line)


def launch(job: dict, timeout: float, before: int, topic: str, token: str, code: str) -> dict:
    """The task: run one cell in a process of its own and say how it ended.

    Parameters
    ----------
    job, timeout
        As `benchmarks.run.child.Child` takes them.
    before : int
        Number of the newest attempt when the cell was submitted: a later one is what another try
        of this task has left, and nothing is run again.
    topic, token : str
        Where, and under which name, the harness listens.
    code : str
        `code_hash` of the harness.

    Returns
    -------
    dict
        ``attempts`` made since; ``verdict`` (status, reason) where there is none; ``tail``,
        ``modules``, ``failure``, ``seconds`` and ``machine`` of the process if there was one.
    """
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def tell(**message):
        worker.log_event(topic, {"token": token, **message})

    def unwanted() -> bool:
        # The harness cancelled the task, or is gone: then the scheduler forgets its tasks.
        task = worker.state.tasks.get(key)
        return task is None or task.state == "cancelled"

    tell(begun=worker.address)
    folder = Path(job["artifacts"])
    for path in (folder / "cell.json", Path(job["results"])):
        if not path.exists():
            return {"verdict": ("killed", f"dask worker {worker.address} does not see {path}")}
    if code_hash(topic) != code:
        return {"verdict": ("killed", f"dask worker {worker.address} has other code")}
    with contextlib.ExitStack() as stack:
        # A worker that the scheduler only thinks dead may still be at it.
        while not stack.enter_context(file_lock(folder / "task.lock", wait=False)):
            if unwanted():
                return {}
            time.sleep(POLL_S)
        if made := _attempts(job, before):
            return {"attempts": made}
        slots = (
            worker.state.total_resources.get("GPU", 1)
            if job["device"] == "cuda"
            else worker.state.nthreads
        )
        slots = max(slots, job["slots_of"].get(_host(worker.address), 0))  # it may have joined late
        child = _Told({**job, "parent": os.getpid(), "at_once": slots}, timeout, tell)
        try:
            while not child.ended() and not unwanted():
                child.read()
                time.sleep(POLL_S)
            if not child.ended():
                child.signal(signal.SIGTERM)
                end = time.monotonic() + GRACE_S
                while not child.ended() and time.monotonic() < end:
                    time.sleep(POLL_S)
        finally:
            child.close()
        tell(over=True)
        return {
            "attempts": _attempts(job, before),
            "verdict": child.verdict(False),
            "tail": list(child.tail),
            "modules": child.modules,
            "failure": child.failure,
            "seconds": child.seconds,
            "machine": {**provenance.machine(job["device"], job["threads"]), **provenance.commit()},
        }


def _attempts(job: dict, before: int) -> list[int]:
    found = Store(job["results"]).attempts(job["cell"])
    return [record["attempt"] for record in found if record["attempt"] > before]


def _client(make, address: str):
    """Dask's client of a scheduler; tried again once where dask's own thread came too late.

    Dask asserts that the thread of its event loop runs within ten seconds, which is no error of
    anybody's where the machine is busy.

    Parameters
    ----------
    make : callable
        ``distributed.Client``.
    address : str
        Of the scheduler.

    Raises
    ------
    SchedulerError
        The assertion failed twice.
    OSError, ValueError
        No scheduler there; not an address.
    """
    for last in (False, True):
        try:
            return make(address, timeout=DOOR_S, set_as_default=False)
        except AssertionError as error:
            if last:
                raise SchedulerError(
                    "dask's client has not started here in two attempts (it gives its thread ten "
                    "seconds each time): this machine is too busy; the same command tries again"
                    + (f" ({error})" if str(error) else "")
                ) from error


class Cluster:
    """The workers of a dask scheduler; a context that checks them at the door.

    Parameters
    ----------
    address : str
        Of the scheduler, such as ``tcp://host:8786``.
    results : path
        Results folder; it, the artefacts and `source` must be what the workers see there too.
    source : str, optional
        Folder of raw data.
    device : str
        ``cpu``, or ``cuda``: then each cell takes one of the workers' ``GPU`` resources.
    threads : int
        Threads of each cell, to warn of machines with too few cores.

    Attributes
    ----------
    slots : int
        Cells that the workers take at a time: their threads, or their GPUs.
    slots_of : dict of str -> int
        Those of all workers of a machine, which share its memory.
    warnings : list of str
        What is odd but does not keep cells from running.

    Raises
    ------
    SchedulerError
        On entering: no scheduler or worker there, dask does not start here, or a worker that does
        not see the folders, has other code or no GPU. Of `launch` and its cells: the scheduler is
        lost.
    """

    def __init__(
        self,
        address: str,
        results,
        source: str | None = None,
        device: str = "cpu",
        threads: int = 1,
    ):
        self.address, self.results, self.source = address, Path(results).resolve(), source
        self.device, self.threads = device, threads
        self.topic = f"mixnet-{uuid.uuid4().hex}"
        self.slots, self.slots_of, self.warnings = 0, Counter(), []
        self._cells: dict[str, Remote] = {}

    def __enter__(self) -> Cluster:
        if self.device not in ("cpu", "cuda"):
            raise SchedulerError(
                f"--device is {self.device!r}, needs cpu or cuda with "
                "--scheduler: which GPU a cell gets is up to its dask worker"
            )
        try:
            from distributed import Client
        except ImportError as error:
            raise SchedulerError(
                f"--scheduler needs dask.distributed: pip install 'mixnet[dask]' ({error})"
            ) from error
        try:
            self.client = _client(Client, self.address)
        except (OSError, ValueError) as error:
            raise SchedulerError(
                f"--scheduler is {self.address!r}, needs the address of a dask scheduler: {error}"
            ) from error
        try:
            self._check()
            self.client.subscribe_topic(self.topic, self._hear)
        except BaseException:
            self.client.close()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.client.close()

    def launch(self, job: dict, timeout: float) -> Remote:
        """Start a cell on some worker; the arguments are those of `Child`."""
        if self.client.status != "running":
            raise self.lost()
        return Remote(self, {**job, "slots_of": dict(self.slots_of)}, timeout)

    def lost(self) -> SchedulerError:
        """The error that stands for a scheduler that is gone."""
        return SchedulerError(
            f"the scheduler at {self.address} is lost, or has dropped the cells; "
            "the same command goes on from here"
        )

    def _hear(self, event) -> None:
        _, message = event
        if (cell := self._cells.get(message["token"])) is not None:
            cell.hear(message)

    def _check(self) -> None:
        try:
            self.client.wait_for_workers(1, timeout=DOOR_S)
        except TimeoutError as error:
            raise SchedulerError(
                f"no worker at {self.address} within {DOOR_S:g} s: start some "
                f"with `dask worker {self.address}`"
            ) from error
        door = {
            "token": uuid.uuid4().hex,
            "source": self.source,
            "cuda": self.device == "cuda",
            "folders": [str(self.results), str(artifacts_root().resolve())],
        }
        with contextlib.ExitStack() as stack:
            for path in door["folders"]:
                token = Path(path) / f".{door['token']}.tmp"
                stack.callback(_sweep, Path(path), door["token"])
                stack.enter_context(file_lock(token))
                token.write_text(door["token"])
            found = self.client.run(look, door, on_error="return")
            problems = [
                f"{worker} {words}"
                for worker, seen in found.items()
                for words in self._problems(seen, door)
            ]
        if problems:
            raise SchedulerError("\n  ".join(["these dask workers cannot run cells:", *problems]))
        for worker, seen in found.items():
            self.slots_of[_host(worker)] += seen["gpus"] if door["cuda"] else seen["threads"]
        self.slots = self.slots_of.total()
        if not self.slots:
            raise SchedulerError(
                "--device is cuda, needs dask workers with a GPU resource: start "
                f"one for each GPU with `dask worker {self.address} --nthreads 1 "
                '--resources "GPU=1"`'
            )
        self._warn(found)

    def _problems(self, seen, door) -> list[str]:
        if isinstance(seen, BaseException):
            return [f"fails: {type(seen).__name__}: {seen} (is this checkout installed there?)"]
        words = [
            f"does not see {path}, or sees another folder there: results, artefacts and raw "
            "data need a file system that all machines share"
            for path in seen["unseen"]
        ]
        words += [f"cannot write to {path}" for path in seen["unwritten"]]
        if seen["code"] != code_hash(door["token"]):
            words.append("has other code than this checkout: bring both to the same commit")
        if seen["outdated"]:
            words.append(f"has {', '.join(seen['outdated'])} as before the last edit: restart it")
        if seen["devices"] is not None and seen["devices"] < 1:
            words.append(f"offers GPU={seen['gpus']} but its torch sees no CUDA device")
        return words

    def _warn(self, found: dict) -> None:
        ours = provenance.versions()
        for worker, seen in found.items():
            other = [
                f"{name} {version} (here {ours[name]})"
                for name, version in seen["versions"].items()
                if version != ours[name]
            ]
            if other:
                self.warnings.append(f"{worker} has {', '.join(other)}")
            if seen["unlocked"]:
                self.warnings.append(
                    f"{worker} does not see file locks of this machine: let no "
                    "second run use these folders"
                )
        for host, seen in {_host(worker): seen for worker, seen in found.items()}.items():
            if self.slots_of[host] * self.threads > seen["cores"]:
                self.warnings.append(
                    f"{host}: its workers take {self.slots_of[host]} cells of "
                    f"{self.threads} thread(s) at a time on {seen['cores']} cores"
                )


def _sweep(folder: Path, token: str) -> None:
    for path in folder.glob(f".{token}*.tmp"):
        path.unlink(missing_ok=True)


class Remote(Child):
    """A cell on a cluster, as its harness sees it: what a `Child` is for a process here."""

    def __init__(self, cluster: Cluster, job: dict, timeout: float):
        # No process here, so nothing of the parent's start; what it reads by is the same.
        self._cluster, self._token = cluster, uuid.uuid4().hex
        self._inbox: deque[dict] = deque()
        self._bell, self._ring = socket.socketpair()  # wakes the harness, which waits on files
        self._bell.setblocking(False)
        self._ring.setblocking(False)
        self.process = SimpleNamespace(stdout=self._bell)
        self.started = time.monotonic()
        self.hung_up = False
        self.modules, self.failure, self.lost, self.share = {}, "", "", 0.0
        self.progress = "waits for a dask worker"
        self.tail: deque[str] = deque(maxlen=40)
        self._where = ""  # the worker that has it
        self._stop = self._cancelled = self._kill = self._over = False
        self._result: dict | None = None
        self._settle_at = 0.0

        folder = Path(job["artifacts"])
        folder.mkdir(parents=True, exist_ok=True)
        Path(job["results"]).mkdir(parents=True, exist_ok=True)
        environment = {"MIXNET_ARTIFACTS": str(artifacts_root().resolve())}
        for name in ("MIXNET_CACHE", "MIXNET_OWN"):
            if given := os.environ.get(name):
                environment[name] = os.path.abspath(given)
        self._job = {**job, "environment": environment}
        (folder / "cell.json").write_text(json.dumps(self._job))
        before = max((r["attempt"] for r in Store(job["results"]).attempts(job["cell"])), default=0)
        self._before = before
        cluster._cells[self._token] = self
        self.future = cluster.client.submit(
            launch,
            self._job,
            timeout,
            before,
            cluster.topic,
            self._token,
            code_hash(cluster.topic),
            key=f"mixnet-{self._token}",
            pure=False,
            resources={"GPU": 1} if job["device"] == "cuda" else None,
        )

    @property
    def seconds(self) -> float:
        """Wall seconds since it began on a worker."""
        if self._result is not None and "seconds" in self._result:
            return self._result["seconds"]
        return time.monotonic() - self.started if self._where else 0.0

    @property
    def machine(self) -> dict:
        """Software and hardware of the machine that it ran on, as far as that is known."""
        known = (self._result or {}).get("machine")
        return known or {
            "versions": {},
            "cpu": None,
            "cores": None,
            "system": None,
            "commit": None,
            "dirty": None,
            "no_commit": "its machine was lost",
        }

    def hear(self, message: dict) -> None:
        """Take a message of the task, on whatever thread it comes."""
        self._inbox.append(message)
        with contextlib.suppress(OSError):  # full: it wakes anyhow; closed: nobody listens
            self._ring.send(b"!")

    def read(self) -> None:
        """Take in what the cell has said so far; never waits."""
        with contextlib.suppress(OSError):
            while self._bell.recv(1 << 12):
                pass
        while self._inbox:
            message = self._inbox.popleft()
            if "begun" in message:
                if self._where:
                    self.tail.append(
                        f"dask worker {self._where} was lost; tried again on {message['begun']}"
                    )
                self._where, self.started = message["begun"], time.monotonic()
                self.progress, self.share = "", 0.0
            self._over |= message.get("over", False)
            if "line" in message:
                self._take(message["line"])

    def ended(self) -> bool:
        """Whether the cell is over and its record is to be seen here.

        Raises
        ------
        SchedulerError
            When the scheduler has dropped it unasked.
        """
        if self._stop and not self._cancelled:
            self.future.cancel()
            self._cancelled = True
        status = self.future.status
        if self._cancelled:
            return self._over or self._kill or not self._where or status in ("finished", "error")
        if status in ("cancelled", "lost"):
            raise self._cluster.lost()
        if status == "finished" and self._result is None:
            try:
                self._result = self.future.result(timeout=5)
            except TimeoutError:  # its worker died with the answer: it is computed again
                return False
            self._settle_at = time.monotonic() + SETTLE_S
            self.tail.extend(self._result.get("tail", ()))
            self.modules = self._result.get("modules", self.modules)
            self.failure = self._result.get("failure", self.failure)
        elif status == "error" and self._result is None:
            error = self.future.exception()
            known = " ".join(str(error).split())[:300]
            self._result = {"verdict": ("killed", f"dask: {type(error).__name__}: {known}")}
        if self._result is None:
            return False
        return (
            set(self._result.get("attempts", ())) <= set(_attempts(self._job, self._before))
            or time.monotonic() > self._settle_at
        )

    def signal(self, number: int) -> None:
        """Ask for the end, on SIGKILL without waiting for it. Safe in a signal handler."""
        self._stop = True
        self._kill |= number == signal.SIGKILL

    def close(self) -> None:
        """Hear the last words and let go of the task, which ends its process if there is one."""
        self.read()
        self._cluster._cells.pop(self._token, None)
        if self._cluster.client.status == "running":
            self.future.cancel() if self.future.status == "pending" else self.future.release()
        self._bell.close()
        self._ring.close()

    def verdict(self, stopping: bool) -> tuple[str, str]:
        """(status, reason) of a cell that left no record."""
        if self._result is None:
            return "interrupted", "the run was stopped"
        return tuple(self._result.get("verdict", ("killed", "its record is not to be seen here")))
