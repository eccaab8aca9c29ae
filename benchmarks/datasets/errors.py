"""What can go wrong with a dataset, each with one clear sentence."""


class DatasetError(RuntimeError):
    """A raw file, a download or a parsed dataset is not what it must be."""


class DatasetMissing(DatasetError):
    """The raw files of a dataset are not there; the message says which and what to do.

    Attributes
    ----------
    name : str
        The dataset.
    files : list of str
        Names of the missing files.
    """

    def __init__(self, message, name="", files=()):
        super().__init__(message)
        self.name = name
        self.files = list(files)


class DownloadError(DatasetMissing):
    """No mirror delivered a file; the message lists every mirror tried and why it failed."""
