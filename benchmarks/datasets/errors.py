"""What can go wrong with a dataset, each with one clear sentence."""


def printable(text):
    r"""Text that any file and terminal takes: bytes of a path that are not UTF-8 as ``\xff``."""
    try:
        return str(text).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half of a pair that no path has
        return str(text).encode("utf-8", "backslashreplace").decode("utf-8")


class DatasetError(RuntimeError):
    """A raw file, a download or a parsed dataset is not what it must be.

    Its message can be printed and stored, whatever bytes the names of folders have.
    """

    def __init__(self, message):
        super().__init__(printable(message))


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
