"""Numeric matrices of a MATLAB 5 file, read here because scipy's reader trusts what a file says.

A damaged file ends the process in `scipy.io.loadmat` (a product of dimensions that overflows), or
makes it ask for any amount of memory. Here every length is compared with the bytes that are there.
"""

import math
import struct
import zlib

import numpy as np

LIMIT = 1 << 31  # bytes of one variable, unpacked
MATRIX, COMPRESSED = 14, 15
NUMBERS = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
NUMERIC_CLASSES = range(6, 16)  # double, single, int8 … uint64
COMPLEX = 0x0800


def matrices(data, names=None):
    """Real numeric matrices of a file by name; other variables are passed over.

    Parameters
    ----------
    data : bytes
        The whole file.
    names : collection of str, optional
        Default: all.

    Returns
    -------
    dict of str -> ndarray
        In the type that the numbers are stored in, which may be smaller than MATLAB's own, and in
        this machine's order of bytes.

    Raises
    ------
    ValueError
        Not a MATLAB 5 file, or lengths in it that do not fit together.
    """
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None or struct.unpack(order + "H", data[124:126])[0] != 0x0100:
        raise ValueError("no header of a MATLAB 5 file")
    found, at = {}, 128
    while at < len(data):
        kind, body, at = _element(data, at, order)
        if kind == COMPRESSED:
            kind, body, _ = _element(_inflated(body), 0, order)
        if kind == MATRIX:
            name, array = _matrix(body, order, names)
            if array is not None:
                found[name] = array
    return found


def _element(data, at, order):
    """(type, content, start of the next) of the element that starts at a byte."""
    if at + 8 > len(data):
        raise ValueError("an element is cut off")
    kind, size = struct.unpack_from(order + "II", data, at)
    if kind >> 16:  # a short one: both numbers in one word, the content in the next
        kind, size, start, end = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        if size > 4:
            raise ValueError(f"a short element of {size} bytes")
    else:
        start = at + 8
        end = start + size + (0 if kind == COMPRESSED else -size % 8)
    if start + size > len(data):
        raise ValueError(f"an element of {size} bytes, {len(data) - start} are there")
    return kind, data[start : start + size], end


def _inflated(body):
    stream = zlib.decompressobj()
    content = stream.decompress(body, LIMIT)
    if not stream.eof:
        raise ValueError(f"a compressed element is cut off or larger than {LIMIT} bytes")
    return content


def _matrix(body, order, names):
    """Name and array of a variable; None for the array where it is not a wanted matrix."""
    kind, flags, at = _element(body, 0, order)
    if kind != 6 or len(flags) != 8:
        raise ValueError("a variable without its flags")
    flags = struct.unpack(order + "II", flags)[0]
    kind, shape, at = _element(body, at, order)
    if kind != 5 or len(shape) % 4:
        raise ValueError("a variable without its dimensions")
    shape = struct.unpack(f"{order}{len(shape) // 4}i", shape)
    kind, name, at = _element(body, at, order)
    if kind != 1:
        raise ValueError("a variable without its name")
    name = name.decode("ascii")
    wanted = names is None or name in names
    if not wanted or flags & 0xFF not in NUMERIC_CLASSES or flags & COMPLEX:
        return name, None
    kind, numbers, _ = _element(body, at, order)
    if kind not in NUMBERS:
        raise ValueError(f"{name}: numbers of type {kind}")
    dtype = np.dtype(order + NUMBERS[kind])
    if len(shape) != 2 or min(shape) < 0 or math.prod(shape) * dtype.itemsize != len(numbers):
        raise ValueError(f"{name}: {len(numbers)} bytes of {dtype} for dimensions {shape}")
    array = np.frombuffer(numbers, dtype).reshape(shape, order="F")
    return name, array.astype(dtype.newbyteorder("="))
