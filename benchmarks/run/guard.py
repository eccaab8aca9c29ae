"""Ends what a worker leaves running: ``python -I -S guard.py PID``, started by that worker.

When the harness is killed the system ends the worker, and nobody is left to end the worker's own
processes. This one is in their group and outlives the worker just long enough to do it. It imports
next to nothing, since every cell has one.
"""

import os
import signal
import sys
import time

POLL_S = 0.2


def main(worker: int) -> None:
    """Wait until this is no longer a child of `worker`, then kill the group that it led."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # meant for the worker
        signal.signal(number, signal.SIG_IGN)
    while os.getppid() == worker:
        time.sleep(POLL_S)
    os.killpg(worker, signal.SIGKILL)  # itself too


if __name__ == "__main__":
    main(int(sys.argv[1]))
