"""What a run says while it works, and how long it will still take."""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import time
from collections import defaultdict

from benchmarks.records.files import canonical_json
from benchmarks.run.output import quiet

LEAST_SHARE = 0.02  # of a cell's steps, before they say how long it takes
PLAIN_EVERY = 300.0  # seconds between the lines that stand for a status line off a terminal


def duration(seconds: float) -> str:
    """Seconds in words: ``41 s``, ``3 min 20 s``, ``1 h 12 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


class History:
    """Expected wall seconds of a cell: median over records alike, else the mean of this run.

    Alike means the same dataset, method and parameters; failing that other parameters (shortened
    schedules, perhaps), then other datasets: see `certain`.

    Parameters
    ----------
    records : iterable of dict
    fast : bool
        Whether the cells to come have shortened schedules: then no record with other parameters
        counts, since a full schedule says nothing of their time.
    """

    def __init__(self, records=(), fast: bool = False):
        self._seen = defaultdict(list)
        self._now: list[float] = []
        for record in records:
            if record["status"] == "done" and not record.get("restamped_from"):
                self._put(record, 1 if fast else None)

    def _put(self, record, n_tags: int | None = None) -> None:
        wall = record["provenance"].get("wall_s")
        if wall is not None:
            for tag in self._tags(record["cell"])[:n_tags]:
                self._seen[tag].append(wall)

    @staticmethod
    def _tags(cell):
        space, method = cell["params"].get("space"), cell["method"]
        same = canonical_json({k: v for k, v in cell["params"].items() if k != "inputs"})
        return (
            (cell["dataset"], method, same),
            (cell["dataset"], method, space),
            (method, space),
            (method,),
        )

    def certain(self, cells) -> bool:
        """Whether each cell has been seen before, but for its seed; else times are a guess."""
        return all(self._seen.get(self._tags(cell)[0]) for cell in cells)

    def learn(self, record) -> None:
        """Take in a cell that has just finished."""
        if record["status"] == "done":
            self._put(record)
            self._now.append(record["provenance"].get("wall_s") or 0.0)

    def expect(self, cell) -> float | None:
        """Expected seconds of a cell, None while nothing is known."""
        for tag in self._tags(cell):
            if seen := self._seen.get(tag):
                return statistics.median(seen)
        return statistics.mean(self._now) if self._now else None

    def left(self, waiting, running, jobs: int) -> float | None:
        """Expected seconds until all is done; `running` holds (cell, seconds so far, share done).

        A cell never seen is judged by its own progress, once it has made some.
        """
        longest = total = 0.0
        for cell, elapsed, share in [*((cell, 0.0, 0.0) for cell in waiting), *running]:
            expected = self.expect(cell)
            if share > LEAST_SHARE and not self.certain([cell]):
                expected = elapsed / share
            if expected is None:
                return None
            rest = max(expected - elapsed, 0.1 * elapsed)  # overdue: not over yet
            total, longest = total + rest, max(longest, rest)
        return max(total / max(jobs, 1), longest)

    def words(self, waiting, running, jobs: int) -> str:
        """`left` in words, "roughly" where it is a guess; empty while nothing is known."""
        left = self.left(waiting, running, jobs)
        if left is None:
            return ""
        certain = self.certain([*waiting, *(cell for cell, *_ in running)])
        return ("" if certain else "roughly ") + duration(left)


class Display:
    """Plain lines, and on a terminal one status line that moves."""

    def __init__(self, stream=None):
        if stream is None:  # tox paints all that comes by stderr red
            stream = sys.stdout if "TOX_ENV_NAME" in os.environ else sys.stderr
        self.stream = quiet(stream)
        self.tty = self.stream.isatty()
        self._shown, self._last = "", time.monotonic() if not self.tty else 0.0

    def line(self, text: str) -> None:
        """Print a line that stays."""
        self._clear()
        print(text, file=self.stream, flush=True)

    def due(self) -> bool:
        """Whether it is time for a status: five times a second, off a terminal every 5 minutes."""
        return time.monotonic() - self._last >= (0.2 if self.tty else PLAIN_EVERY)

    def status(self, text: str) -> None:
        """Show text on the status line if it is due; off a terminal it becomes a line."""
        if text == self._shown or not self.due():
            return
        self._last = time.monotonic()
        if not self.tty:
            self.line(text)
            return
        width = shutil.get_terminal_size().columns
        self.stream.write("\r\x1b[2K" + text[: width - 1])
        self.stream.flush()
        self._shown = text

    def _clear(self) -> None:
        if self._shown:
            self.stream.write("\r\x1b[2K")
            self._shown = ""
