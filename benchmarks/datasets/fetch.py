"""Downloading one raw file: mirrors, retries, hashes, an atomic move. Standard library only.

The file appears in its folder whole and verified, or not at all, however the connection, the
process or a second process doing the same behaves.
"""

import http.client
import io
import logging
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

from benchmarks.datasets.errors import DatasetError, DownloadError
from benchmarks.datasets.rawfile import OF_CONTENT, OF_FILE, SUFFIXES, find, mismatch, read
from benchmarks.records.whole import draft

log = logging.getLogger(__name__)
BLOCK = 1 << 16
#: Bytes of a download, and of what is taken from an archive: far more than the largest file, a part
#: of the Reuters tokens, has. A server that never stops, or a bomb, would fill the disk.
LIMIT = 1 << 31


class _Refused(Exception):
    """This mirror will not do; try the next one."""


class _Interrupted(Exception):
    """This attempt failed in a way that a later one may not."""


def fetch(entry, folder, *, tries=3, wait=1.0, timeout=30.0, sleep=time.sleep):
    """Path of a verified copy of one raw file, downloaded if `folder` does not hold it.

    Parameters
    ----------
    entry : dict
        ``name``; ``urls``, tried in order (``archive.zip#member`` takes one member of an archive);
        any of ``md5``, ``sha256`` (of the file as published), ``content_md5`` and
        ``content_sha256`` (decompressed): one that agrees is enough, because mirrors recompress.
        Where none is known, or they are of a ``copy`` and not of the publisher's bytes, the file
        must decompress whole and not be a web page; the content hash of the dataset judges it.
    folder : path-like
        Created if need be. The temporary file lies in it, so that the move is atomic.
    tries : int
        Attempts at each mirror.
    wait : float
        Seconds before the second attempt; doubled before each further one.
    timeout : float
        Seconds without a byte after which an attempt is given up.
    sleep : callable
        Replaced in tests.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    DownloadError
        Every mirror failed: lists each and why.
    DatasetError
        The folder cannot be written.
    """
    folder, wanted = Path(folder), Path(folder) / entry["name"]
    present = find(folder, entry["name"])
    if present is not None:
        return present
    failures = []
    try:
        wanted.parent.mkdir(parents=True, exist_ok=True)
        for url in entry.get("urls", ()):
            log.info("downloading %s from %s", entry["name"], url)
            try:
                return _from_mirror(url, entry, wanted, tries, wait, timeout, sleep)
            except _Refused as reason:
                failures.append(f"  {url}: {reason}")
    except OSError as error:  # network errors were turned into _Refused: this is the local disk
        raise DatasetError(f"{folder}: cannot write {entry['name']} ({error})") from error
    tried = "\n".join(failures) or "  (no mirror is known)"
    raise DownloadError(
        f"{entry['name']} could not be downloaded. Mirrors tried:\n{tried}\nPut the file into a "
        "folder yourself and give the folder with --data-source or MIXNET_DATA.",
        files=[entry["name"]],
    )


def _from_mirror(url, entry, wanted, tries, wait, timeout, sleep):
    for attempt in range(1, tries + 1):
        try:
            with draft(wanted.parent) as new:
                _stream(url.partition("#")[0], new.handle, timeout)
                new.finish()
                member = url.partition("#")[2]
                if member:
                    _unpack(new.path, member)
                verify(new.path, entry)
                target = wanted.parent / _published_name(wanted.name, new.path)
                new.replace(target)
                return target
        except _Interrupted as reason:
            if attempt == tries:
                raise _Refused(f"{reason} ({tries} attempts)") from reason
            log.info("%s: %s; trying again", url, reason)
            sleep(wait * 2 ** (attempt - 1))


def _stream(url, stream, timeout):
    """Write the body of `url` to `stream`; raise unless it came whole."""
    if not url.startswith(("http://", "https://")):
        raise _Refused("not an http(s) address")
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "mixnet (dataset download)"})
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        kind = _Interrupted if error.code >= 500 or error.code in (408, 429) else _Refused
        raise kind(f"HTTP {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(str(error) or type(error).__name__) from error
    except ValueError as error:  # an address that no library can read
        raise _Refused(str(error)) from error
    received = 0
    with response:
        while True:
            try:
                block = response.read(BLOCK)
            except (OSError, http.client.HTTPException) as error:
                raise _Interrupted(
                    f"interrupted after {received} bytes ({error or type(error).__name__})"
                ) from error
            if not block:
                break
            received += len(block)
            if received > LIMIT:
                raise _Refused(f"more than {LIMIT} bytes")
            stream.write(block)
        promised = response.headers.get("Content-Length", "")
    # read(amount) returns quietly when the connection closes early: count for ourselves
    if promised.isdecimal() and received != int(promised):
        raise _Interrupted(f"truncated: {received} of {promised} bytes")
    if received == 0:
        raise _Interrupted("empty answer")


def _unpack(path, member):
    """Replace the archive at `path` by one of its members.

    Bytes are taken out, nothing is extracted: names in the archive, links and permissions reach no
    folder.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(Path(path).read_bytes())) as archive:
            if archive.getinfo(member).file_size > LIMIT:
                raise ValueError(f"more than {LIMIT} bytes when unpacked")
            content = archive.read(member)
    except Exception as error:  # zipfile, zlib and struct each raise their own
        raise _Refused(f"no member {member} in the archive ({error})") from error
    Path(path).write_bytes(content)


def verify(path, entry):
    """Raise unless the file at `path` is the one that `entry` describes (see `fetch`)."""
    try:
        why = mismatch(path, entry)
        content = read(path)
    except DatasetError as error:
        raise _Refused(f"wrong or damaged file ({error.__cause__ or error})") from error
    known = [kind for kind in (*OF_FILE, *OF_CONTENT) if kind in entry]
    if why and not entry.get("copy"):
        raise _Refused(f"wrong hash: {why}")
    if (why or not known) and content.lstrip()[:1] == b"<":
        raise _Refused("a web page instead of the file")


def _published_name(name, path):
    """`name` with the suffix of the compression that the bytes really have."""
    stem = name
    for suffix in SUFFIXES:
        stem = stem.removesuffix(suffix)
    with open(path, "rb") as stream:
        magic = stream.read(3)
    for start, suffix in ((b"\x1f\x8b", ".gz"), (b"BZh", ".bz2"), (b"\x1f\x9d", ".Z")):
        if magic.startswith(start):
            return stem + suffix
    return stem
