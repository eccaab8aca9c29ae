"""One damaged file after another into a parser; what is wrong is told with the file kept.

``python -m tests.security.fuzzing`` reads lines ``[target, folder, seed, n]`` and answers each with
a list of what is wrong: a process of its own, which a parser in C may crash.
"""

from __future__ import annotations

import io
import json
import logging
import random
import resource
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np

from tests.security.guard import Watch
from tests.security.mutation import mutate, mutate_json, mutate_member

#: Bytes of address space of the process: what asks for more is told so, and the machine lives on.
SPACE = 16 * 2**30


def damaged(target, folder, rng) -> bytes:
    """A damaged file of a target."""
    good, draw = target.good(folder), rng.random()
    if target.fields and draw < 0.5:
        return _field(good, rng.choice(target.fields), rng)
    if target.members and draw < 0.75:
        return mutate_member(good, rng)
    form = rng.choice(target.forms)
    # before it is packed, where only the parser can see it, or after
    return form(mutate(good, rng)) if rng.random() < 0.5 else mutate(form(good), rng)


def _field(good, member, rng):
    """Damage to a field of JSON, the file being whole otherwise."""
    if not member:
        return json.dumps(mutate_json(json.loads(good), rng)).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == f"{member}.npy":
                content = _array_of_json(np.load(io.BytesIO(content)), rng)
            new.writestr(name, content)
    return out.getvalue()


def _array_of_json(array, rng):
    text = array.tobytes() if array.dtype == np.uint8 else str(array).encode()
    changed = json.dumps(mutate_json(json.loads(text), rng))
    out = io.BytesIO()
    np.save(
        out,
        np.frombuffer(changed.encode(), np.uint8)
        if array.dtype == np.uint8
        else np.array(changed.encode("ascii").decode()),
    )
    return out.getvalue()


def fuzz(target, folder, seed: int, n: int, make=damaged) -> list[str]:
    """Feed `n` damaged files to a target.

    Parameters
    ----------
    target : Target
    folder : Path
        For scratch; the files that were trouble stay in it.
    seed, n : int
    make : callable
        (target, folder, rng) -> bytes.

    Returns
    -------
    list of str
        What is wrong, with the file that showed it, each kind once.
    """
    (folder / "made").mkdir(parents=True, exist_ok=True)
    found = {}
    undamaged = folder / "undamaged"
    undamaged.mkdir()
    (undamaged / target.file).write_bytes(target.good(folder / "made"))
    target.parse(undamaged / target.file)  # also imports what it needs, untraced
    with Watch() as watch:
        for i in range(n):
            rng = random.Random(f"{target.name} {seed} {i}")
            data = make(target, folder / "made", rng)
            place = folder / "case"
            place.mkdir()
            (place / target.file).write_bytes(data)
            if said := watch.trouble(
                lambda path=place / target.file: target.parse(path), target.allowed
            ):
                kept = folder / f"trouble-{seed}-{i}"
                kept.write_bytes(data)
                found.setdefault(said[:25], f"{said} ({kept})")
            shutil.rmtree(place)
    return list(found.values())


def main() -> None:
    """Answer requests until there are no more."""
    from tests.security.targets import TARGETS

    logging.disable(logging.CRITICAL)  # each damaged file would be a warning
    resource.setrlimit(resource.RLIMIT_AS, (SPACE, SPACE))
    for line in sys.stdin:
        name, folder, seed, n = json.loads(line)
        print(json.dumps(fuzz(TARGETS[name], Path(folder), seed, n)), flush=True)


if __name__ == "__main__":
    main()
