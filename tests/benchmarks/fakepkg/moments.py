"""Steps of a run, numbered over all its processes; at chosen numbers something breaks.

``worker``: the process that does the step is killed; ``cell``: so it is, if no harness; ``parent``:
its harness is; ``both``; ``full``: the disk is full.
"""

import contextlib
import json
import os
import signal
import sys
from pathlib import Path

WIDTH = 64  # of a line, so that where a line ends tells its number
BREAK = json.loads(os.environ.get("FAKE_MOMENTS", "{}"))  # number -> what


def watch(who, parent=None):
    """From now on what this process does to files counts as steps too."""
    def counted(name, act):
        def counting(*args, **named):
            step(f"{who} {name}", parent)
            return act(*args, **named)
        return counting

    for name in ("fsync", "link", "replace", "unlink"):
        setattr(os, name, counted(name, getattr(os, name)))


def step(text, parent):
    handle = os.open(os.environ["FAKE_STEPS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, text.ljust(WIDTH - 1).encode() + b"\n")
    number = os.lseek(handle, 0, os.SEEK_CUR) // WIDTH
    os.close(handle)
    what = BREAK.get(str(number))
    if what == "full" or number >= BREAK.get("full from", number + 1):
        raise OSError(28, "No space left on device")
    if what in ("parent", "both") and parent == os.getppid():
        with contextlib.suppress(ProcessLookupError):
            os.kill(parent, signal.SIGKILL)
    if what == "cell" and parent is None:  # the harness lives on
        return
    if what in ("worker", "both", "cell") or (what and parent is None):
        os.kill(os.getpid(), signal.SIGKILL)


if "FAKE_STEPS" in os.environ and sys.argv[-1].endswith("cell.json"):
    JOB = Path(sys.argv[-1])
    KEY, PARENT = JOB.parent.name, json.loads(JOB.read_text())["parent"]
    watch(KEY, PARENT)


def run():
    if "FAKE_STEPS" in os.environ:
        step(f"{KEY} run", PARENT)
