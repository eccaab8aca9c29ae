"""Whether the raw files of a dataset are what they should be: by hash, else by what is in them."""

from benchmarks.datasets import cache, prepare
from benchmarks.datasets.check import finished
from benchmarks.datasets.errors import DatasetError
from benchmarks.datasets.rawfile import OF_CONTENT, OF_FILE, mismatch


def altered(entry, paths):
    """What is wrong with the raw files of a dataset.

    Files of which no pinned hash agrees are judged by their content, since publishers and mirrors
    repack: where the arrays have the stanza's content hash, nothing is wrong.

    Parameters
    ----------
    entry : dict
        Stanza of a variant, see `benchmarks.datasets.core.stanza`.
    paths : list of path-like
        One for each of its files.

    Returns
    -------
    dict of str -> str
        Name of a file in the stanza -> why it is not the right one; empty if all is well, or
        nothing is known to judge by.
    """
    doubts = {}
    for file, path in zip(entry["files"], paths, strict=True):
        try:
            why = mismatch(path, file)
        except DatasetError as error:
            return {file["name"]: str(error)}
        if why or not any(kind in file for kind in (*OF_FILE, *OF_CONTENT)):
            doubts[file["name"]] = why
    wrong = {name: f"{why} (file {name})" for name, why in doubts.items() if why}
    if not entry["content_hash"]:
        return wrong
    if doubts:
        try:
            X, y = finished(entry, *prepare.read(entry, paths), paths)
            cache.pinned(entry, X, y, paths)
        except DatasetError as error:
            return wrong or dict.fromkeys(doubts, str(error))
    return {}
