"""Datasets by name: ``load("usps")`` gives checked, scaled arrays; ``status()`` says what is there.

A dataset is one stanza of ``benchmarks/datasets.toml``. A new raw format is one reader in
`formats`, one line in ``PARSERS`` of `prepare`, and its name in ``FORMATS`` of
`benchmarks.stanzas`; what is drawn and not read is a function of `made` or `toys`.

What turns files into arrays (`prepare`, `formats`, `lyrl2004`, `mat5`, `rawfile`, `fetch`,
`verify`) is imported when a dataset with files is asked for, so that it is no part of what a cell
on made points has run. Nothing here imports torch.
"""

from benchmarks.datasets.cache import content_hash
from benchmarks.datasets.core import Dataset, load, names, stanza, status
from benchmarks.datasets.errors import DatasetError, DatasetMissing, DownloadError

__all__ = [
    "Dataset",
    "DatasetError",
    "DatasetMissing",
    "DownloadError",
    "content_hash",
    "load",
    "names",
    "stanza",
    "status",
]
