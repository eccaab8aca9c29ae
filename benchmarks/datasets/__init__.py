"""Datasets by name: ``load("usps")`` gives checked, scaled arrays; ``status()`` says what is there.

A dataset is one stanza of ``benchmarks/datasets.toml``; a new raw format is one parser in
`formats` and one line in `core.PARSERS`. Nothing here imports torch.
"""

from benchmarks.datasets.cache import content_hash
from benchmarks.datasets.core import Dataset, load, names, stanza, status
from benchmarks.datasets.errors import DatasetError, DatasetMissing, DownloadError

__all__ = ["Dataset", "DatasetError", "DatasetMissing", "DownloadError", "content_hash", "load",
           "names", "stanza", "status"]
