"""The ledger of verifications: which code was seen to give the same bits as which before it.

``<results>/verified.jsonl``, a line a verified group, to which lines are only ever added:

==================  ================================================================================
dataset, method     what the cells of the group have in common; ``by`` says how wide it is
space, by
old                 module -> hash of what changed, as the verified records have it
new                 module -> hash of what it became; null: gone
witness             key and attempt of the record that the new code made, bit-identical to one of
                    the old
keys                cells that it speaks for, the witness's own apart
commit, dirty       of the checkout that verified, and when
date
copies              of lines made from records that were copies: key -> [attempt that was copied,
                    number of the copy], a number that is never given again
id                  hash of the rest
==================  ================================================================================

A record is fresh if its fingerprint, or one that lines lead to from it, is that of the code now.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.records.files import canonical_json, short_hash
from benchmarks.records.whole import append_whole, read_appended

NAME = "verified.jsonl"


def line(**said: Any) -> dict:
    """A line with its ``id``."""
    return {**said, "id": short_hash(said)}


def flaw(one: Any) -> str | None:
    """What is wrong with a line; None where nothing is."""

    def hashes(value: Any, none: bool) -> bool:
        return isinstance(value, dict) and all(
            isinstance(v, str) or (none and v is None) for v in value.values()
        )

    if not isinstance(one, dict):
        return "not a line of the ledger"
    witness = one.get("witness")
    checks = {
        "id": one.get("id") == short_hash({k: v for k, v in one.items() if k != "id"}),
        "old": hashes(one.get("old"), False),
        "new": hashes(one.get("new"), True),
        "witness": isinstance(witness, dict)
        and isinstance(witness.get("key"), str)
        and isinstance(witness.get("attempt"), int),
        "keys": isinstance(one.get("keys"), list) and all(isinstance(k, str) for k in one["keys"]),
        "copies": isinstance(one.get("copies", {}), dict)
        and all(
            isinstance(pair, list) and [type(n) for n in pair] == [int, int]
            for pair in one.get("copies", {}).values()
        ),
    }
    wrong = [name for name, good in checks.items() if not good]
    return f"damaged: {', '.join(wrong)}" if wrong else None


class Ledger:
    """The lines of one results folder.

    Attributes
    ----------
    problems : dict of str -> str
        Lines that cannot be believed ("verified.jsonl line 3" -> what is wrong).
    """

    def __init__(self, results: Path):
        self.path = Path(results) / NAME
        self.problems: dict[str, str] = {}
        self._seen: tuple[int, int, int] | None = None
        self._lines: list[dict] = []
        self._of: dict[str, list[dict]] = {}

    def lines(self) -> list[dict]:
        """Every line that can be believed, in the order in which they were added."""
        try:
            stat = os.stat(self.path)
        except OSError:
            self._seen, self._lines, self._of = None, [], {}
            return []
        seen = stat.st_mtime_ns, stat.st_size, stat.st_ino
        if seen != self._seen:
            self.problems, self._lines, self._of = {}, [], defaultdict(list)
            for number, text in enumerate(read_appended(self.path).split(b"\n"), 1):
                if not text.strip():
                    continue
                try:
                    one = json.loads(text.decode("utf-8"))
                    problem = flaw(one)
                except (ValueError, RecursionError):
                    problem = "damaged: no JSON"
                if problem:
                    self.problems[f"{NAME} line {number}"] = problem
                    continue
                self._lines.append(one)
                for key in one["keys"]:
                    self._of[key].append(one)
            self._seen = seen
        return self._lines

    def append(self, lines: list[dict]) -> None:
        """Add lines, all or none of them, after those that any process has added.

        Raises
        ------
        OSError
            When the disk does not take them; the ledger is as it was.
        """
        append_whole(self.path, "".join(canonical_json(one) + "\n" for one in lines).encode())

    def reached(self, key: str, modules: dict[str, str]) -> Iterator[dict[str, str]]:
        """Fingerprints whose code gives the same bits for a cell: its own first, then onwards."""
        return (modules for modules, _ in self._steps(key, modules))

    def verified(self, key: str, modules: dict[str, str]) -> str | None:
        """Commit at which a record of this fingerprint was verified last; None: it never was."""
        *_, (_, last) = self._steps(key, modules)
        return None if last is None else last.get("commit")

    def _steps(
        self, key: str, modules: dict[str, str]
    ) -> Iterator[tuple[dict[str, str], dict | None]]:
        """Fingerprints, each with the line that led to it."""
        self.lines()
        known = {canonical_json(modules)}
        waiting: list[tuple[dict[str, str], dict | None]] = [(modules, None)]
        while waiting:
            modules, by = waiting.pop(0)
            yield modules, by
            for one in self._of.get(key, ()):
                if not _applies(one, modules):
                    continue
                after = {
                    name: value
                    for name, value in {**modules, **one["new"]}.items()
                    if value is not None
                }
                if (tag := canonical_json(after)) not in known:
                    known.add(tag)
                    waiting.append((after, one))

    def copies(self, key: str) -> dict[int, int]:
        """Numbers of a cell's copies, which lines replaced -> the attempts that were copied."""
        self.lines()
        return {
            copy: source
            for one in self._of.get(key, ())
            for source, copy in [one.get("copies", {}).get(key, (0, 0))]
            if copy
        }


def _applies(one: dict, modules: dict[str, str]) -> bool:
    """Whether a line speaks of a fingerprint: what it changes stands there as it was before."""
    return all(modules.get(name) == value for name, value in one["old"].items()) and all(
        modules.get(name) in (None, value)
        for name, value in one["new"].items()
        if name not in one["old"]
    )
