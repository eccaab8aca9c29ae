"""Running a parser on one file with its time and memory watched."""

from __future__ import annotations

import signal
import time
import tracemalloc
import warnings

#: Of a parser on a file of some kilobytes: seconds of processor time, bytes.
SECONDS, BYTES = 5.0, 64 * 2**20


class Hang(BaseException):
    """Not an Exception: no parser's own handler may take it for a damaged file."""


class Watch:
    """Watches calls while it is entered.

    Time is the processor's own, so a busy machine is no hang, and the clock is not the one of
    pytest-timeout. Memory is what Python and numpy ask for, touched or not.
    """

    def __enter__(self):
        self.before = signal.signal(signal.SIGVTALRM, self._over)
        self.traced = tracemalloc.is_tracing()
        tracemalloc.start()
        return self

    def __exit__(self, *_):
        if not self.traced:
            tracemalloc.stop()
        signal.signal(signal.SIGVTALRM, self.before)

    @staticmethod
    def _over(*_):
        raise Hang

    def trouble(self, parse, allowed: tuple[type[Exception], ...]) -> str:
        """What is wrong with how ``parse()`` ended; empty if it gave a result or a clear error.

        Parameters
        ----------
        parse : callable
        allowed : tuple of exception types
            The documented errors. Each must be said in words.
        """
        tracemalloc.reset_peak()
        base = tracemalloc.get_traced_memory()[0]
        start = time.process_time()
        signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
        said = ""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                parse()
        except allowed as error:
            if not str(error).strip():
                said = f"{type(error).__name__} without words"
        except Hang:
            return f"more than {SECONDS} s"
        except Exception as error:
            said = f"{type(error).__name__}: {str(error)[:200]}"
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        peak = tracemalloc.get_traced_memory()[1] - base
        if peak > BYTES:
            said += f" asked for {peak / 2**20:.0f} MiB"
        if time.process_time() - start > SECONDS:
            said += f" took {time.process_time() - start:.1f} s"
        return said.strip()
