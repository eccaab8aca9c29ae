"""Damage done to files, from a seed: as a bad disk does it, and as someone of ill will."""

from __future__ import annotations

import io
import random
import re
import struct
import zipfile

#: Numbers that break sums: ends of the integer types, and what only looks like a size.
SIZES = (
    0,
    1,
    2**7,
    2**8 - 1,
    2**15,
    2**16 - 1,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**40,
    2**63 - 1,
    2**64 - 1,
)
WORDS = (
    b"nan",
    b"inf",
    b"-inf",
    b"1e999",
    b"-1",
    b"1_0",
    b"0x10",
    b"",
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\r",
    b"\n",
    b"\n\n",
    b",",
    b":",
    b'"',
    b"'",
    b"[",
    b"{",
    b"99999999999",
    b"9" * 5000,
    b" ",
    b"\t",
    b"\x1f\x8b",
    b"BZh9",
    b"\x1f\x9d\x90",
    b"PK\x05\x06",
    b"#",
    b"%",
)


def _flip(data, rng):
    for _ in range(rng.choice((1, 1, 2, 8))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _truncate(data, rng):
    del data[rng.randrange(len(data)) :]


def _insert(data, rng):
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.randbytes(rng.choice((1, 4, 64)))


def _delete(data, rng):
    at = rng.randrange(len(data))
    del data[at : at + rng.choice((1, 4, 64))]


def _repeat(data, rng):
    at, size = rng.randrange(len(data)), rng.choice((1, 16, 256))
    data[at:at] = data[at : at + size] * rng.choice((1, 2, 50))


def _swap(data, rng):
    size = rng.randrange(1, max(2, len(data) // 3))
    a, b = sorted(rng.randrange(len(data)) for _ in range(2))
    if a + size <= b:
        data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]


def _size(data, rng):
    """A binary number somewhere, mostly near the start, where headers are."""
    form = rng.choice("<>") + rng.choice("BHIQ")
    width = struct.calcsize(form)
    at = rng.randrange(min(len(data), rng.choice((16, 256, len(data)))))
    data[at : at + width] = struct.pack(form, rng.choice(SIZES) % 256**width)


def _number(data, rng):
    """A written number replaced by another."""
    if found := list(re.finditer(rb"\d+", bytes(data))):
        match = rng.choice(found)
        data[match.start() : match.end()] = str(rng.choice((*SIZES, -1, 10**30))).encode()


def _word(data, rng):
    at = rng.randrange(len(data) + 1)
    data[at : at + rng.choice((0, 1, 8))] = rng.choice(WORDS)


OPERATIONS = (_flip, _truncate, _insert, _delete, _repeat, _swap, _size, _number, _word)


def mutate(data: bytes, rng: random.Random, operations=None) -> bytes:
    """Damaged copy of `data`.

    Parameters
    ----------
    data : bytes
    rng : random.Random
    operations : sequence of callables, optional
        Of `OPERATIONS`, in order; default: one to three drawn from `rng`.
    """
    damaged = bytearray(data)
    for operation in operations or rng.choices(OPERATIONS, k=rng.choice((1, 1, 2, 3))):
        if damaged:
            operation(damaged, rng)
    return bytes(damaged)


def mutate_member(data: bytes, rng: random.Random) -> bytes:
    """A zip archive, sums and directory in order, one of whose members is damaged or left out."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    chosen = rng.choice(sorted(members))
    if rng.random() < 0.1:
        del members[chosen]
    else:
        members[chosen] = mutate(members[chosen], rng)
    packed = io.BytesIO()
    method = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(packed, "w", method) as out:
        for name, content in members.items():
            out.writestr(name, content)
    return packed.getvalue()


#: What stands in a JSON document where something else is expected.
VALUES = (
    None,
    True,
    -1,
    0,
    1.5,
    1e308,
    2**63,
    10**40,
    "",
    "x",
    "<script>alert(1)</script>",
    "../../../x",
    "\x00",
    "\ud800",
    "9" * 2000,
    [],
    [[]],
    [1, "a", None],
    {},
    {"a": {"b": []}},
)


def mutate_json(value, rng: random.Random):
    """Copy of a JSON value with one part of it replaced, left out or added."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        name = rng.choice(list(value))
        rest = {k: v for k, v in value.items() if k != name}
        draw = rng.random()
        if draw < 0.1:
            return rest
        if draw < 0.15:
            return {**value, rng.choice(("x", "", "__class__", name + " ")): rng.choice(VALUES)}
        return {**value, name: mutate_json(value[name], rng)}
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = rng.randrange(len(value))
        return [*value[:at], mutate_json(value[at], rng), *value[at + 1 :]]
    return rng.choice(VALUES)
