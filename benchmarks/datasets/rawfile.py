"""Finding a raw file in a folder, and its bytes whatever it is compressed with.

Publishers, mirrors and users recompress: the compression is told by the first bytes, never by the
name, and a file ``usps.bz2`` may lie in the folder as ``usps``, ``usps.gz`` or ``usps.Z``.
"""

import bz2
import gzip
import hashlib
import io
import zlib
from pathlib import Path

from benchmarks.datasets.errors import DatasetError

SUFFIXES = (".gz", ".bz2", ".Z")
#: Hashes of a file as it is, and of what is in it, since mirrors and users recompress.
OF_FILE, OF_CONTENT = ("sha256", "md5"), ("content_sha256", "content_md5")
LIMIT = 1 << 31  # bytes that a raw file may have when it is decompressed
BLOCK = 1 << 20
TABLE_LIMIT = 1 << 27  # bytes of the table of a .Z file; that of Isolet has less than one MiB


def find(folder, name):
    """Path of file `name` in `folder` under any accepted compression suffix, or None."""
    stem = name
    for suffix in SUFFIXES:
        stem = stem.removesuffix(suffix)
    for candidate in (
        name,
        *(stem + s for s in (*SUFFIXES, "")),
    ):
        path = Path(folder) / candidate
        if path.is_file():
            return path
    return None


def read(path):
    """Decompressed content of a raw file.

    Parameters
    ----------
    path : path-like
        Plain, gzip, bzip2 or Unix ``compress`` (.Z) file.

    Returns
    -------
    bytes

    Raises
    ------
    DatasetError
        Unreadable, empty, truncated or corrupt file.
    """
    return decompressed(path, content_of(path))


def content_of(path):
    """Bytes of a file as it lies there.

    Raises
    ------
    DatasetError
        Unreadable or empty file.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not data:
        raise DatasetError(f"{path}: the file is empty")
    return data


def decompressed(path, data):
    """What is behind the bytes of a file; `path` is named where they are damaged."""
    try:
        return decompress(data)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise DatasetError(
            f"{path}: truncated or corrupt compressed file ({error}); delete it and get it again"
        ) from error


def digest(kind, data):
    """Hexadecimal digest; `kind` is a key of `OF_FILE` or `OF_CONTENT`."""
    return hashlib.new(kind.removeprefix("content_"), data, usedforsecurity=False).hexdigest()


def mismatch(path, file):
    """Why a file is not the one that its stanza pins; "" where a hash agrees or none is known.

    Parameters
    ----------
    path : path-like
    file : dict
        A stanza of ``files``. One hash that agrees is enough.

    Raises
    ------
    DatasetError
        If it cannot be read or decompressed.
    """
    known = [kind for kind in (*OF_FILE, *OF_CONTENT) if kind in file]
    data = content_of(path)
    if any(digest(kind, data) == file[kind] for kind in OF_FILE if kind in file):
        return ""
    content = decompressed(path, data)
    if not known or any(digest(k, content) == file[k] for k in OF_CONTENT if k in file):
        return ""
    kind = next((kind for kind in known if kind in OF_CONTENT), known[0])
    got = digest(kind, content if kind in OF_CONTENT else data)
    return f"{kind} is {got}, expected {file[kind]}"


def decompress(data):
    """Bytes behind gzip, bzip2 or .Z compression, by their magic numbers; else `data` itself.

    Raises
    ------
    OSError, EOFError, zlib.error, ValueError
        Damaged data, or more than `LIMIT` bytes behind them.
    """
    if data[:2] == b"\x1f\x8b":
        return _whole(gzip.GzipFile(fileobj=io.BytesIO(data)))
    if data[:3] == b"BZh":
        return _whole(bz2.BZ2File(io.BytesIO(data)))
    if data[:2] == b"\x1f\x9d":
        return unlzw(data)
    return data


def _whole(stream):
    blocks, size = [], 0
    with stream:
        while block := stream.read(BLOCK):
            size += len(block)
            if size > LIMIT:
                raise ValueError(f"more than {LIMIT} bytes when decompressed")
            blocks.append(block)
    return b"".join(blocks)


def unlzw(data):
    """Decode the Unix ``compress`` format (LZW), the form in which UCI publishes Isolet.

    Codes of 9 to 16 bits, least significant bit first; whenever the width changes, the stream
    continues at the next multiple of eight codes counted from the last change. The format has no
    checksum and no length: that the text is whole is asserted by the parser.

    Raises
    ------
    ValueError
        Bad header, or a code that cannot occur. Files limited to 9 bits are refused: encoders and
        decoders in use disagree on them.
    """
    if len(data) < 3 or data[:2] != b"\x1f\x9d" or data[2] & 0x60 or not 10 <= data[2] & 31 <= 16:
        raise ValueError("not a .Z file")
    widest, block_mode = data[2] & 31, bool(data[2] & 0x80)
    fresh = [bytes([i]) for i in range(256)] + ([b""] if block_mode else [])
    table, previous, out = list(fresh), b"", []
    width, written, kept = 9, 0, 0
    position = start = 24  # in bits; `start` is where the present width began
    end = 8 * len(data)
    while True:
        if len(table) >= 1 << width and width < widest:
            position = start = _next_group(position, start, width)
            width += 1
        if position + width > end:
            return b"".join(out)
        byte = position >> 3
        code = int.from_bytes(data[byte : byte + 3], "little") >> (position & 7) & (
            (1 << width) - 1
        )
        position += width
        if block_mode and code == 256:  # the encoder emptied its table
            position = start = _next_group(position, start, width)
            table, previous, width, kept = list(fresh), b"", 9, 0
            continue
        if code < len(table):
            entry = table[code]
        elif code == len(table) and previous:
            entry = previous + previous[:1]
        else:
            raise ValueError("impossible code in .Z file")
        if previous and len(table) < 1 << widest:
            table.append(previous + entry[:1])
            kept += len(previous) + 1
        out.append(entry)
        written += len(entry)
        if written > LIMIT or kept > TABLE_LIMIT:
            raise ValueError("a .Z file that grows without end")
        previous = entry


def _next_group(position, start, width):
    """Bit position of the next group of eight codes, counted from `start`."""
    group = 8 * width
    return start + -(-(position - start) // group) * group
