"""Git, asked about one folder only: not what variables such as ``GIT_DIR`` name."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any


def git(
    folder: Path, *words: str, given: str | None = None, seconds: float = 600, own: bool = False
) -> bytes:
    """What a git command says, run in a folder for some seconds at most.

    `given` is what it reads from its standard input; with `own` only a repository whose top
    `folder` is counts, not one that it lies in.

    Raises
    ------
    OSError
        With git's words: no repository, no git, a failure, too long.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    if own:
        if not (Path(folder) / ".git").exists():
            raise OSError("no repository of its own")
        env["GIT_CEILING_DIRECTORIES"] = str(Path(folder).parent)
    how: dict[str, Any] = (
        {"stdin": subprocess.DEVNULL} if given is None else {"input": given.encode()}
    )
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True,
            timeout=seconds,
            env=env,
            check=False,
            **how,
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(f"git: no answer in {seconds:g} s") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise OSError(f"git: {said.removeprefix('fatal: ') or f'exit status {done.returncode}'}")
    return done.stdout
