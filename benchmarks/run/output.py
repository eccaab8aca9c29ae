"""Output that cannot be written silences the display, and nothing else.

A closed pipe (``| head``), a terminal that is gone, a full disk: what a command does goes on, and
its exit status says how that went.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys

#: Nobody is there to read: no loss. Other errors lose what somebody wanted to keep.
GONE = (errno.EPIPE, errno.EIO, errno.EBADF)


class Quiet:
    """A text stream that falls silent when it cannot be written, and escapes what it cannot encode.

    Parameters
    ----------
    stream : text stream or None
        None is what Python has for a closed ``stdout`` or ``stderr``.

    Attributes
    ----------
    error : OSError or ValueError or None
        What silenced it.
    """

    def __init__(self, stream):
        self.stream, self.error = stream, None

    def write(self, text: str) -> int:
        """Write text if that is possible; returns its length either way."""
        if self.stream is not None and self.error is None:
            try:
                try:
                    self.stream.write(text)
                except UnicodeEncodeError:
                    code = self.stream.encoding or "ascii"
                    self.stream.write(text.encode(code, "backslashreplace").decode(code))
            except (OSError, ValueError) as error:
                self._silence(error)
        return len(text)

    def flush(self) -> None:
        """Hand on what was written, if that is possible."""
        if self.stream is not None and self.error is None:
            try:
                self.stream.flush()
            except (OSError, ValueError) as error:  # ValueError: the stream was closed
                self._silence(error)

    def isatty(self) -> bool:
        """Whether it is a terminal that still listens."""
        ask = getattr(self.stream, "isatty", None)
        return bool(
            ask and self.error is None and not getattr(self.stream, "closed", False) and ask()
        )

    def _silence(self, error: Exception) -> None:
        self.error = error
        # What the stream still holds would be tried again, and fail, when Python ends.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            null = os.open(os.devnull, os.O_WRONLY)
            try:
                os.dup2(null, self.stream.fileno())
            finally:
                os.close(null)

    def __getattr__(self, name):
        return getattr(self.__dict__.get("stream"), name)


def quiet(stream) -> Quiet:
    """A stream as `Quiet`, once."""
    return stream if isinstance(stream, Quiet) else Quiet(stream)


@contextlib.contextmanager
def quiet_streams():
    """``sys.stdout`` and ``sys.stderr`` are `Quiet` meanwhile, and flushed in the end.

    Yields
    ------
    (Quiet, Quiet)
    """
    for number in range(3):  # a closed one would be given to the next file that is opened
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(quiet, before)
    now = sys.stdout, sys.stderr
    try:
        yield now
    finally:
        for stream in now:
            stream.flush()
        for name, old, new in zip(("stdout", "stderr"), before, now, strict=True):
            if getattr(sys, name) is new:
                setattr(sys, name, old)


def lost(stream) -> str:
    """Why what somebody wanted to keep of a stream is lost; empty where nothing is."""
    error = getattr(stream, "error", None)
    if isinstance(error, OSError) and error.errno not in GONE:
        return error.strerror or type(error).__name__
    return ""
