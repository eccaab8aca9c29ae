"""The command ``mixnet``: run suites, see how they stand, write tables."""

from __future__ import annotations

import argparse
import errno
import os
import sys

from benchmarks import registry
from benchmarks.cli.arguments import arguments
from benchmarks.cli.common import Refused, check_device
from benchmarks.records import folders
from benchmarks.run import output

#: Of a disk, a folder or its permissions: nothing that the code could have done otherwise.
OF_THE_SYSTEM = (
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO,
    errno.ESTALE, errno.ENOLCK, errno.EMFILE, errno.ENFILE, errno.ENAMETOOLONG,
)  # fmt: skip
SAYS_ONLY = ("list", "status", "doctor", "data")  # commands that leave nothing but what they say


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 if all went well, 1 if something is not done, 2 for a wrong request."""
    with output.quiet_streams() as (shown, _):
        status, command = _main(argv)
        shown.flush()
        if command in SAYS_ONLY and (why := output.lost(shown)):
            print(f"mixnet: what {command} says could not be written: {why}", file=sys.stderr)
            return status or 1
        return status


def _main(argv) -> tuple[int, str]:
    """Exit status, and the command."""
    args = argparse.Namespace(command="")
    try:
        folders.need_cache()
        top, args = arguments(argv)
        check_device(args, top)
        if getattr(args, "data_source", None):
            args.data_source = os.path.abspath(os.path.expanduser(args.data_source))
        return args.function(args), args.command
    except (registry.UnknownName, registry.RegistryError, Refused) as error:
        print(f"mixnet: {error}", file=sys.stderr)
        return 2, args.command
    except OSError as error:
        if error.errno not in OF_THE_SYSTEM:
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(
            f"mixnet: {args.command} stopped: {where}{error.strerror}; no file is half written, "
            "the same command goes on",
            file=sys.stderr,
        )
        return 1, args.command
    except KeyboardInterrupt:  # outside a run of cells, which ends by itself
        return 130, args.command
