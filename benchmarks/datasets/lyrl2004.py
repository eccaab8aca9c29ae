"""Reuters-10K exactly as DEC made it, from the LYRL2004 token files of RCV1-v2.

Recipe (Xie, Girshick, Farhadi, ICML 2016, and their published preparation): keep the documents with
exactly one of the four root topics; count the 2000 most frequent stems *of all kept documents*;
tf-idf with sublinear tf and rows of norm 1, the idf also from all kept documents; permute all rows
with the legacy generator seeded 1234; take the first 10,000. The documents come in the order test
part 0-3, then train. DEC's factor sqrt(2000) is not applied: rows keep norm 1.
"""

import numpy as np

from benchmarks.datasets.errors import DatasetError
from benchmarks.datasets.rawfile import read

ROOTS = ("CCAT", "GCAT", "MCAT", "ECAT")
DIGITS = 18  # of a document's number at most: theirs have six


def single_root(qrels_path):
    """Documents with exactly one root topic.

    Parameters
    ----------
    qrels_path : path-like
        Lines ``topic document 1``.

    Returns
    -------
    dict
        Document id (int) -> label 0..3, in the order of `ROOTS`.
    """
    label = {root: i for i, root in enumerate(ROOTS)}
    topics = {}
    for number, line in enumerate(_text(qrels_path).splitlines(), 1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) != 3 or not _is_number(fields[1]):
            raise DatasetError(
                f"{qrels_path}: line {number} is not 'topic document 1': {line[:40]!r}"
            )
        if fields[0] in label:
            topics.setdefault(int(fields[1]), set()).add(label[fields[0]])
    return {document: min(found) for document, found in topics.items() if len(found) == 1}


def documents(path):
    """Documents of one token file, in its order.

    Yields
    ------
    (int, str)
        Document id, its stems separated by white space. Format: a line ``.I id``, a line ``.W``,
        lines of stems, an empty line.
    """
    identifier, words, body = None, [], False
    for number, line in enumerate(_text(path).splitlines(), 1):
        if line.startswith(".I"):
            if identifier is not None:
                yield identifier, _joined(path, identifier, words)
            fields = line.split()
            if len(fields) != 2 or not _is_number(fields[1]):
                raise DatasetError(f"{path}: line {number} is not '.I document': {line[:40]!r}")
            identifier, words, body = int(fields[1]), [], False
        elif line.startswith(".W"):
            if identifier is None or body:
                raise DatasetError(f"{path}: line {number}: '.W' without its '.I'")
            body = True
        elif body:
            words.append(line)
        elif line.strip():
            raise DatasetError(f"{path}: line {number}: text outside a document: {line[:40]!r}")
    if identifier is None:
        raise DatasetError(f"{path}: holds no documents")
    yield identifier, _joined(path, identifier, words)


def dec_subset(token_paths, qrels_path, n=10000, n_features=2000, seed=1234, n_kept=None):
    """The rows and labels of DEC's REUTERS-10k.

    Parameters
    ----------
    token_paths : list of path-like
        Test parts 0, 1, 2, 3, then train: the order decides which documents are drawn.
    qrels_path : path-like
        Topic assignments.
    n, n_features : int
        Documents drawn and stems kept.
    seed : int
        Of the legacy ``numpy.random.RandomState`` that DEC used.
    n_kept : int, optional
        Expected number of documents with one root topic (685,071).

    Returns
    -------
    X : ndarray of float32, (n, n_features), rows of norm 1 (a row without any kept stem is zero)
    y : ndarray of int64, (n,), 0..3

    Raises
    ------
    DatasetError
        Malformed or truncated files, or too few documents.
    """
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

    root = single_root(qrels_path)
    labels, seen = [], set()

    def kept():
        for path in token_paths:
            for document, words in documents(path):
                if document in root:
                    if document in seen:
                        raise DatasetError(f"{path}: document {document} occurs twice")
                    seen.add(document)
                    labels.append(root[document])
                    yield words

    vectorizer = CountVectorizer(dtype=np.float64, max_features=n_features)
    try:
        counts = vectorizer.fit_transform(kept())
    except ValueError as error:  # "empty vocabulary"
        raise DatasetError(f"{qrels_path}: no usable single-topic documents ({error})") from error
    expected = len(root) if n_kept is None else n_kept
    if not len(root) == len(labels) == expected:
        raise DatasetError(
            f"{qrels_path} names {len(root)} documents with one root topic, the token files hold "
            f"{len(labels)} of them, expected {expected}: a file is truncated"
        )
    if len(labels) < n or counts.shape[1] < n_features:
        raise DatasetError(
            f"{len(labels)} documents and {counts.shape[1]} stems, need {n} and {n_features}"
        )
    weights = TfidfTransformer(norm="l2", sublinear_tf=True).fit(counts)
    order = np.random.RandomState(seed).permutation(len(labels))[:n]
    X = weights.transform(counts[order]).toarray().astype(np.float32)
    return X, np.asarray(labels, dtype=np.int64)[order]


def _is_number(word):
    return word.isdecimal() and len(word) <= DIGITS


def _text(path):
    try:
        return read(path).decode("ascii")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: not ASCII text ({error})") from error


def _joined(path, identifier, words):
    text = "\n".join(words)
    if not text.strip():
        raise DatasetError(f"{path}: document {identifier} has no text: the file is truncated")
    return text
