"""Runs the cells of a plan: each in its own process, needs first, several at a time.

Whatever happens to one cell becomes its record; the others go on. A lock a cell keeps two harnesses
from computing the same one.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.kinds.base import FITTED
from benchmarks.records import provenance, whole
from benchmarks.records.files import file_lock
from benchmarks.records.store import Store, blank
from benchmarks.run.child import Child, signals_to
from benchmarks.run.plan import (
    Node,
    Plan,
    Standing,
    State,
    artefact,
    cell_state,
    input_of,
    lost,
    timeout_of,
)
from benchmarks.run.progress import Display, History, duration
from benchmarks.run.worker import worker_lock

TRIAL = 2**18  # bytes that must fit where a record did not: more than most take, arrays and all


@dataclass
class Settings:
    """How to run: processes, threads of each, device, folder of raw data, what to repeat.

    ``remake``: also what is done but has lost its model, codes or samples; see `plan.lost`.
    """

    jobs: int = 1
    threads: int = 1
    device: str = "cpu"
    source: str | None = None
    retry_failed: bool = False
    remake: bool = False
    grace_s: float = 5.0  # between the polite signal and the kill when a run is stopped
    launch: Callable[[dict, float], Child] = Child  # starts a cell, here or on a cluster
    memory_gb: float | None = None  # of each cell with its processes; None: see `child.Child`


@dataclass
class Outcome:
    """How a cell stands after the run: its status, the reason, and whether it ran now."""

    status: str
    reason: str = ""
    ran: bool = False


@dataclass
class Summary:
    """Outcomes by key; ``failures`` holds full reasons (paths and all) for the screen."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    stopped: bool = False
    asked: int = 0  # cells of the plan

    @property
    def complete(self) -> bool:
        """Whether every cell is done and fresh."""
        return (
            not self.stopped
            and len(self.outcomes) >= self.asked
            and all(o.status == "done" for o in self.outcomes.values())
        )


def forecast(
    plan: Plan, store: Store, retry_failed=False, remake=False
) -> dict[str, tuple[State, str]]:
    """Cells that a run would compute: key -> (state, why). Nothing is run.

    A fresh cell joins them where its output, needed by one of them, is not on this machine; with
    `remake` also where it is asked for itself.
    """
    standing = Standing(store)
    states = {key: standing.state(node) for key, node in plan.nodes.items()}
    chosen = {
        key: (state, state.why) for key, state in states.items() if state.to_run(retry_failed)
    }
    for key, node in plan.nodes.items() if remake else ():
        done = node.requested and states[key].name == "done"
        if done and lost(node, standing.input_of(node), store):
            chosen[key] = (states[key], "what it made is not on this machine")
    for key, node in reversed(plan.nodes.items()):
        for role, need in node.needs.items():
            state = states[need.key]
            if (
                key in chosen
                and need.key not in chosen
                and state.name == "done"
                and artefact(need, standing.input_of(need), store, role) is None
            ):
                what = "model is" if role in FITTED else f"{need.output} are"
                chosen[need.key] = (state, f"its {what} not on this machine")
    return {key: chosen[key] for key in plan.nodes if key in chosen}


class Dispatcher:
    """One run of a plan; see `run`."""

    def __init__(
        self, plan: Plan, store: Store, settings: Settings, display: Display | None = None
    ):
        self.plan, self.store, self.settings = plan, store, settings
        self.display = display or Display()
        self.history = History(store.all(), plan.fast)
        self.summary = Summary(asked=len(plan.nodes))
        self.expected = forecast(plan, store, settings.retry_failed, settings.remake)
        self.running: dict[str, tuple[Child, int, contextlib.ExitStack]] = {}
        self.missing: dict[str, str] = {}  # datasets found missing in this run
        self.stopping = False
        self._stop_at = 0.0
        self._unkept = False  # whether the last record could not be written
        self._counted = 0
        self._busy: dict[str, float] = {}  # locked elsewhere: when to look again
        self._ready: set[str] = set()
        self._commit = provenance.commit()

    def run(self) -> Summary:
        """Compute what is missing; returns when every cell is settled or the run was stopped."""
        waiting = list(self.plan.nodes.values())
        with signals_to(self._stop), selectors.DefaultSelector() as self._selector:
            try:
                while waiting or self.running:
                    if self.stopping:
                        waiting = []
                        self._escalate()
                    waiting = [node for node in waiting if not self._advance(node)]
                    self._pump(0.2 if self.running or waiting else 0)
                    self._status_line(waiting)
            finally:
                for child, _, stack in self.running.values():
                    child.close()
                    stack.close()
        self.summary.stopped = self.stopping
        return self.summary

    def _stop(self, number, frame) -> None:
        self._stop_at = 0.0 if self.stopping else time.monotonic() + self.settings.grace_s
        self.stopping = True
        for child, _, _ in self.running.values():
            child.signal(signal.SIGTERM)

    def _escalate(self) -> None:
        if time.monotonic() > self._stop_at:
            for child, _, _ in self.running.values():
                child.signal(signal.SIGKILL)

    def _advance(self, node: Node) -> bool:
        """Settle or start a cell if that can be done now; False leaves it waiting."""
        if node.key in self.running or node.key in self.summary.outcomes:
            return True
        if any(need.key not in self.summary.outcomes for need in node.needs.values()):
            return False
        if time.monotonic() < self._busy.get(node.key, 0):
            return False
        if node.key not in self._ready:
            if self._settled(node, cell_state(node, self.store)):
                return True
            self._ready.add(node.key)
        if self.stopping or len(self.running) >= self.settings.jobs:
            return False
        return self._start(node)

    def _settled(self, node: Node, state: State) -> bool:
        """Settle a cell that needs no process: fresh, or impossible."""
        if state.name == "done" and not self._must_remake(node, state):
            self.summary.outcomes[node.key] = Outcome("done")
            return True
        for need in node.needs.values():
            outcome = self.summary.outcomes[need.key]
            if outcome.status != "done":
                absent = outcome.status == "no data"
                reason = outcome.reason if absent else f"needs {need}: {outcome.status}"
                self._fail(node, state, "no data" if absent else "skipped", reason)
                return True
        if not state.to_run(self.settings.retry_failed) and state.name == "failed":
            self.summary.outcomes[node.key] = Outcome(state.last["status"], state.why)
            return True
        if node.cell["dataset"] in self.missing:
            self._fail(node, state, "no data", self.missing[node.cell["dataset"]])
            return True
        return False

    def _must_remake(self, node: Node, state: State) -> bool:
        """Whether a cell that will run, or the user, needs a file of this one which is not here."""
        if node.key not in self.expected:
            return False
        record = input_of(node, self.store)
        if self.settings.remake and node.requested and lost(node, record, self.store):
            return True
        return any(
            artefact(node, record, self.store, role) is None
            for other in self.plan.nodes.values()
            if other.key in self.expected
            for role, need in other.needs.items()
            if need is node
        )

    def _start(self, node: Node) -> bool:
        with contextlib.ExitStack() as stack:
            try:
                free = stack.enter_context(
                    file_lock(node.artifacts / "run.lock", wait=False)
                ) and _no_worker(node)
                if not free:  # another harness is at it: look again when it may have finished
                    self._busy[node.key] = time.monotonic() + 0.5
                    return False
                # Only now is it certain that nobody else is computing it: look again.
                state = cell_state(node, self.store)
                if self._settled(node, state):
                    return True
                if self._unkept:  # or it would be computed and lost, too
                    whole.try_folder(self.store.root, TRIAL)
                    self._unkept = False
                before = max((r["attempt"] for r in self.store.attempts(node.cell)), default=0)
                child = self._launch(node)
            except OSError as error:  # no disk, no process: that of this cell alone
                why = f"not started: {error.strerror or type(error).__name__}"
                self._fail(node, cell_state(node, self.store), "killed", why)
                return True
            self._selector.register(child.process.stdout, selectors.EVENT_READ)
            self.running[node.key] = (child, before, stack.pop_all())
        return True

    def _launch(self, node: Node) -> Child:
        inputs, paths, models = {}, {}, {}
        for role, need in node.needs.items():
            record = input_of(need, self.store)
            path = artefact(need, record, self.store, role, unpack=True)
            inputs[role] = {
                "method": need.cell["method"],
                "key": need.key,
                "attempt": record["attempt"],
                "hash": record["outputs"][need.output],
            }
            paths[role] = str(path or node.artifacts / "absent")
            if role in FITTED:
                models[role] = {
                    "estimator": need.method["estimator"],
                    "values": record["values"],
                    "seconds": record["seconds"],
                }
        job = {
            "cell": node.cell,
            "method": node.method,
            "data": node.data,
            "inputs": inputs,
            "paths": paths,
            "models": models,
            "artifacts": str(node.artifacts.resolve()),
            "results": str(self.store.results.resolve()),
            "source": self.settings.source,
            "variant": node.variant,
            "device": self.settings.device,
            "threads": self.settings.threads,
            "timeout_s": timeout_of(node),
            "parent": os.getpid(),
            "memory_gb": self.settings.memory_gb,
            "at_once": self.settings.jobs,
        }
        return self.settings.launch(job, timeout_of(node))

    def _pump(self, wait: float) -> None:
        """Listen to the workers for a moment and settle those that are over."""
        if self.running:
            self._selector.select(wait)
        elif wait:
            time.sleep(wait)
        for key, (child, before, stack) in list(self.running.items()):
            child.read()
            if not child.ended():
                if child.hung_up:  # or it would wake the selector for ever
                    with contextlib.suppress(KeyError):
                        self._selector.unregister(child.process.stdout)
                continue
            with contextlib.suppress(KeyError):
                self._selector.unregister(child.process.stdout)
            child.close()
            self._finish(self.plan.nodes[key], child, before)
            stack.close()
            del self.running[key]

    def _finish(self, node: Node, child: Child, before: int) -> None:
        fresh = [r for r in self.store.attempts(node.cell) if r["attempt"] > before]
        if fresh:
            record = fresh[-1]
        else:
            self._unkept |= bool(child.lost)
            status, reason = child.verdict(self.stopping)
            tail = provenance.clean("\n".join(child.tail))[-4000:]
            record = self._record(node, status, reason, tail, child)
        self.history.learn(record)
        reason = (record.get("error") or {}).get("reason", "")
        if record["status"] == "no data":
            self.missing[node.cell["dataset"]] = reason
            self.summary.failures[node.cell["dataset"]] = child.failure or reason
        self.summary.outcomes[node.key] = Outcome(record["status"], reason, True)
        self._report(node, record["status"], reason, child.seconds, record)

    def _fail(self, node: Node, state: State, status: str, reason: str) -> None:
        """A failure without a process; one that the newest record says already adds none."""
        last = state.last
        if last is None or last["status"] != status or last["error"]["reason"] != reason:
            self._record(node, status, reason)
        self.summary.outcomes[node.key] = Outcome(status, reason)
        if status == "no data":
            self._counted += 1  # said once, by the first cell of the dataset
        else:
            self._report(node, status, reason, None)

    def _record(self, node, status, reason, tail="", child: Child | None = None) -> dict:
        record = {
            **blank(node.cell, node.method, timeout_of(node), {}),
            "status": status,
            "error": {"reason": provenance.clean(reason), "traceback": tail},
            "provenance": {
                **provenance.machine(self.settings.device, self.settings.threads),
                **self._commit,
                **(child.machine if child else {}),
                "modules": child.modules if child else {},
                "started": provenance.now(),
                "wall_s": round(child.seconds, 3) if child else 0.0,
            },
        }
        try:
            return self.store.write(record)
        except OSError as error:
            self._unkept = True
            self.display.line(f"warning: no record of {node} ({status}): {error.strerror}")
            return record

    def _report(self, node, status, reason, seconds, record=None) -> None:
        self._counted += 1
        self.expected.setdefault(node.key, (None, ""))
        if self.stopping and status == "interrupted":
            return  # said once, of all that was running, when the run has ended
        purity = (record or {}).get("metrics", {}).get("purity")
        text = f"[{self._counted}/{len(self.expected)}] {node} {status}"
        text += f" {duration(seconds)}" if seconds is not None else ""
        text += f", purity {purity:.1f}" if purity is not None else ""
        if status != "done" and reason:
            text += f": {reason.splitlines()[0][:160]}"
        self.display.line(text + self._left())

    def _left(self) -> str:
        done = self.summary.outcomes
        idle = (key for key in self.expected if key not in done and key not in self.running)
        waiting = [self.plan.nodes[key].cell for key in idle]
        running = [
            (self.plan.nodes[key].cell, child.seconds, child.share)
            for key, (child, _, _) in self.running.items()
            if key not in done
        ]
        if self.stopping or not (waiting or running):
            return ""
        left = self.history.words(waiting, running, self.settings.jobs)
        return f" · {left} left" if left else ""

    def _status_line(self, waiting) -> None:
        if self.running and self.display.due():
            at = ((self.plan.nodes[key], child) for key, (child, *_) in self.running.items())
            words = "; ".join(f"{node} {child.progress}".strip() for node, child in at)
            self.display.status(f"[{self._counted}/{len(self.expected)}]{self._left()} | {words}")


def _no_worker(node: Node) -> bool:
    """Whether no worker of a harness that is gone still lives, if only to be killed."""
    with file_lock(worker_lock(node.artifacts), wait=False) as free:
        return free


def counts(summary: Summary) -> str:
    """How many cells ended how, in words."""
    tally = Counter(outcome.status for outcome in summary.outcomes.values())
    ran = sum(outcome.ran for outcome in summary.outcomes.values())
    return ", ".join(f"{n} {status}" for status, n in tally.most_common()) + f" ({ran} run now)"
