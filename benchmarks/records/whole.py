"""Files that appear whole or not at all, however the process that writes them ends.

The one place where the harness does so: the bytes go to a temporary file in the same folder, are
synced, and take their final name in one step. Lines are added to a ledger all or none. Standard
library only.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

#: What `os.link` says where a file cannot have two names (vfat, exFAT, SMB, some FUSE).
NO_LINKS = (
    errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK,
    errno.EINVAL,
)  # fmt: skip
#: What `os.fsync` says where a file system syncs no folders (SMB, some FUSE) or shows them to none.
NO_SYNC = (
    errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EISDIR,
    errno.EACCES, errno.EPERM,
)  # fmt: skip


class Draft:
    """A temporary file on its way to a final name.

    Attributes
    ----------
    path : pathlib.Path
        Where the bytes are meanwhile.
    handle : binary file
        Open for writing; `place` and `create` close it.
    """

    def __init__(self, folder: Path):
        self.path = Path(folder) / f".tmp-{secrets.token_hex(8)}"
        # Permissions as of any new file: those that the user's umask leaves.
        self.handle = open(self.path, "xb")

    def finish(self) -> None:
        """Have the disk take what was written; the file can be looked at, and not added to."""
        if not self.handle.closed:
            self.handle.flush()
            os.fsync(self.handle.fileno())
            self.handle.close()

    def replace(self, path: Path) -> None:
        """Take the final name, in place of a file that has it."""
        self.finish()
        os.replace(self.path, path)

    def create(self, path: Path) -> None:
        """Take the final name; FileExistsError if a file has it, which stays as it is.

        Where the file system knows no second name of a file, the name is taken by an empty file
        first, which nobody else can do then, and a process that dies there leaves it empty.
        """
        self.finish()
        try:
            os.link(self.path, path)
        except FileExistsError:
            # NFS says so of its own link, too, where the first answer was lost and it asked again.
            if not os.path.samefile(self.path, path):
                raise
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
            try:
                os.replace(self.path, path)
            except OSError:
                path.unlink(missing_ok=True)  # the empty file is ours
                raise
        sync_folder(path.parent)


@contextlib.contextmanager
def draft(folder: Path) -> Iterator[Draft]:
    """A new `Draft` in a folder that is there; its temporary file is gone in the end."""
    one = Draft(folder)
    try:
        yield one
    finally:
        with contextlib.suppress(OSError):  # a full disk refuses at closing what it did not take
            one.handle.close()
        one.path.unlink(missing_ok=True)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors of writing, which Python leaves without a name, are those of a file."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise


def write_atomic(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file by ``write(binary_handle)``, in place of one that has its name.

    Links are followed: they stay, and the file that they name is replaced. A device or a pipe, such
    as ``/dev/stdout``, is written to, and never replaced.

    Raises
    ------
    OSError
        When the disk does not take it; what was there is as it was.
    """
    with _naming(path):
        if _is_stream(path):
            with open(path, "wb") as handle:
                write(handle)
            return
        path = Path(os.path.realpath(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft(path.parent) as new:
            write(new.handle)
            new.replace(path)


def _is_stream(path: Path) -> bool:
    """Whether there is something of that name which is neither a file nor a folder."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def write_new(path: Path, payload: bytes) -> bool:
    """Create a file with `payload` in a folder that is there; False if the name is taken."""
    with _naming(path), draft(path.parent) as new:
        new.handle.write(payload)
        try:
            new.create(path)
        except FileExistsError:
            return False
    return True


def try_folder(folder: Path, size: int = 8) -> None:
    """Write a file of `size` bytes as records are written, lock it, and take it away again.

    Raises
    ------
    OSError
        Where the folder, made if it is missing, does not take it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trial = folder / f".tmp-{secrets.token_hex(8)}"
    try:
        write_new(trial, b"a trial\n" * (size // 8))
        with open(trial, "ab") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
    finally:
        trial.unlink(missing_ok=True)


def append_whole(path: Path, payload: bytes) -> None:
    """Add lines to a file, all or none of them, after those that any process has added.

    Raises
    ------
    OSError
        When the disk does not take them; the file is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _naming(path), open(path, "a+b", buffering=0) as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        size = handle.seek(0, os.SEEK_END)
        if size:
            handle.seek(size - 1)
            if handle.read(1) != b"\n":  # what a process left that died while it wrote
                payload = b"\n" + payload
        try:
            while payload:
                payload = payload[handle.write(payload) :]
            os.fsync(handle.fileno())
        except OSError:
            handle.truncate(size)
            raise
    sync_folder(path.parent)


def read_appended(path: Path) -> bytes:
    """What `append_whole` has written so far, no line of it half."""
    with open(path, "rb") as handle:
        with contextlib.suppress(OSError):  # no locks there: a line being written reads damaged
            fcntl.flock(handle, fcntl.LOCK_SH)
        return handle.read()


def sync_folder(folder: Path) -> None:
    """Have the disk take the names in a folder, where the file system knows that."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise


def share(folder: Path) -> None:
    """Give the files of a folder that only their owner may read the permissions of new files.

    `tempfile` makes files for its process alone, and libraries that write by it leave them so.
    Where no file can be made to see what those are, nothing is done.
    """
    try:
        with draft(folder) as probe:
            usual = stat.S_IMODE(os.fstat(probe.handle.fileno()).st_mode)
    except OSError:
        return
    for path in Path(folder).iterdir():
        with contextlib.suppress(OSError):  # another process's, or gone
            found = path.lstat()
            if stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o600 != usual:
                path.chmod(usual)
