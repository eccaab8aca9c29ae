"""Clocks, the machine's own rate of matrix products, and what is kept of a run.

A rate is that of the arithmetic which a task cannot do without, its matrix products: 2 operations
for a multiplication and addition. A ratio compares times of one process, taken in turns, so that
what else runs on the machine disturbs both sides alike.
"""

from __future__ import annotations

import json
import re
import threading
import time
from pathlib import Path

import psutil
import torch

from benchmarks.records import provenance
from benchmarks.report.words import replace

RESULTS = provenance.ROOT / "results" / "perf"
SQUARE = 2048  # rows of the matrices whose product is the yardstick


def synchronise(device: str) -> None:
    """Wait until the device has done what it was asked; the CPU has."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def seconds(call, device: str = "cpu") -> float:
    """Seconds of the clock that `call()` takes, the device's own work included."""
    synchronise(device)
    start = time.perf_counter()
    call()
    synchronise(device)
    return time.perf_counter() - start


class Memory:
    """Resident memory of this process while a block runs, looked at every hundredth of a second.

    Attributes
    ----------
    peak_mb : float
        The largest seen, in MiB, with what the process held before.
    """

    def __enter__(self):
        self._process, self._over = psutil.Process(), threading.Event()
        self.peak_mb = 0.0
        self._look()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _look(self) -> None:
        self.peak_mb = max(self.peak_mb, round(self._process.memory_info().rss / 2**20, 1))

    def _watch(self) -> None:
        while not self._over.wait(0.01):
            self._look()

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()
        self._look()


class Sgemm:
    """The rate, in 10^9 operations a second, of a square float32 product with these threads."""

    def __init__(self, device: str = "cpu", size: int = SQUARE):
        generator = torch.Generator().manual_seed(0)
        self.device, self.size = device, size
        self.a, self.b = (torch.rand(size, size, generator=generator).to(device) for _ in "ab")
        self.out = torch.empty_like(self.a)
        self.best = float("inf")
        for _ in range(2):  # the first call of a library sets it up
            self._product()

    def _product(self):
        torch.mm(self.a, self.b, out=self.out)

    def measure(self) -> None:
        """One product more; the fastest of all counts."""
        self.best = min(self.best, seconds(self._product, self.device))

    @property
    def gflops(self) -> float:
        return 2 * self.size**3 / self.best / 1e9


def machine(device: str) -> dict:
    """What ran, without names of hosts or users; of a GPU its name, memory and precision."""
    found = provenance.machine(device, torch.get_num_threads()) | provenance.commit()
    if torch.device(device).type == "cuda":
        card = torch.cuda.get_device_properties(device)
        found |= {
            "gpu": card.name,
            "gpu_memory_gib": round(card.total_memory / 2**30, 1),
            "float32_matmul_precision": torch.get_float32_matmul_precision(),
        }
    return found


def slug(found: dict) -> str:
    """A file name for a machine, such as ``amd-epyc-2-threads``."""
    name = f"{found.get('gpu') or found['cpu']} {found['threads']} threads"
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def keep(kind: str, size: str, rows: list[dict], device: str, folder: Path = RESULTS) -> Path:
    """Write `rows` with their machine to ``<folder>/<kind>-<size>-<machine>.json``.

    Rows of tasks that were measured again take the place of an earlier run's of the same kind, size
    and machine; its others stay. Each row says of which commit it is.
    """
    found = machine(device)
    rows = [{**row, **{name: found[name] for name in ("commit", "dirty")}} for row in rows]
    path = Path(folder) / f"{kind}-{size}-{slug(found)}.json"
    if path.exists():
        again = {(row["task"], row.get("axis")) for row in rows}
        earlier = json.loads(path.read_text(encoding="utf-8"))["rows"]
        rows = [row for row in earlier if (row["task"], row.get("axis")) not in again] + rows
    text = json.dumps({"kind": kind, "size": size, "machine": found, "rows": rows}, indent=1)
    return replace(path, f"{text}\n")
