"""TOML files of the registry, and what a stanza of datasets.toml must say.

It is asserted whenever it is read, so in every command. Which fields there are, and what each
means, stands at the top of ``benchmarks/datasets.toml``.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from functools import lru_cache
from itertools import product
from pathlib import Path, PurePosixPath

#: Names of datasets and methods: parts of paths, of the command line and of links.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*")
LONGEST = 200  # characters of one; file systems take 255 bytes
MOST_FACTORS = 21  # of a suite's design
RANGE = re.compile(r"(-?\d+(?:\.\d+)?)\.\.(-?\d+(?:\.\d+)?) to 0\.\.1")
SCALINGS = ("none", "min-max", "tf-idf")  # and what `RANGE` matches
FORMATS = ("idx", "libsvm", "mat", "csv", "lyrl2004", "csr_npz", "digits", "toy", "made")
MADE = {"toy": "generated", "made": "generated", "digits": "scikit-learn"}  # without raw files
CODE_DIM = 32  # p of three of the four datasets of Table 1
REQUIRED = ("n", "d", "n_classes", "n_clusters", "content_hash")
TEXTS = (
    "name", "title", "content_hash", "structure", "conv_structure", "embedding", "format",
    "scaling", "test", "licence", "citation", "loader", "delimiter", "row_order", "made",
)  # fmt: skip
COUNTS = ("n", "d", "n_classes", "n_clusters", "code_dim", "t1", "t2", "batch_size")
WHOLE = (
    *COUNTS, "first_label", "min_updates", "n_kept", "decimals", "skip_rows", "skip_columns",
    "rows_used",
)  # fmt: skip
OTHERS = (
    "validation_size", "image", "image_transposed", "label_first", "classes", "variables",
    "variants", "variant", "files", "params",
)  # fmt: skip
KNOWN = {*TEXTS, *WHOLE, *OTHERS}
FILE_KEYS = {
    "name": str,
    "rows": int,
    "urls": list,
    "copy": bool,
    "sha256": str,
    "md5": str,
    "content_md5": str,
    "content_sha256": str,
}


class RegistryError(ValueError):
    """A stanza that breaks the rules of the registry, named with file and key."""


def folder() -> Path:
    """Folder of the TOML files: ``MIXNET_REGISTRY`` or this package's own."""
    return Path(os.path.expanduser(os.environ.get("MIXNET_REGISTRY") or Path(__file__).parent))


def read(path: Path) -> dict:
    """Content of a file, {} where there is none; a copy for each caller.

    It is parsed once while the file stays as it is.
    """
    return copied(_parse(path, *version(path)))


def version(path: Path) -> tuple[int, ...]:
    """What changes when a file does; empty where there is none."""
    if not path.is_file():
        return ()
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def copied(value):
    """A copy of TOML's containers all the way down."""
    if isinstance(value, dict):
        return {name: copied(item) for name, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


@lru_cache(maxsize=64)
def _parse(path: Path, *versions: int) -> dict:
    if not versions:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # not TOML, not UTF-8, or a number of thousands of digits
        raise RegistryError(f"{path.name}: {error}") from error
    except RecursionError as error:
        raise RegistryError(f"{path.name}: nested too deeply") from error


def stanzas(path: Path) -> dict[str, dict]:
    """A file of stanzas, and nothing else at its top."""
    found = read(path)
    for name, stanza in found.items():
        if not isinstance(stanza, dict):
            raise RegistryError(f"{path.name}: {name} is {stanza!r:.60}, needs a stanza [{name}]")
        if not NAME.fullmatch(name) or len(name) > LONGEST:
            raise RegistryError(
                f"{path.name}: the name {name!r:.60} needs letters of a-z, digits "
                f"and +._- after the first, at most {LONGEST} of them"
            )
    return found


def fillings(suite: dict) -> dict[str, dict[str, str]]:
    """Rows of the design of a suite's ``factors``: method -> factor -> name of its level.

    The linear orthogonal array of 64 rows over GF(4), whose columns are the 21 points of the plane
    over it (Hedayat, Sloane and Stufken, "Orthogonal Arrays", 1999, theorem 3.20): in any two
    columns every pair of symbols stands four times. A factor of fewer than four levels takes the
    symbol modulo their number. The first row, of zeros, is the first method of the suite; the
    others are called after the suite.
    """
    triples = list(
        product(range(4), repeat=3)
    )  # 1, 2 and 3 stand for powers 0, 1 and 2 of one element
    points = [t for t in triples if next(filter(None, t), 0) == 1]  # first symbol that is not 0: 1

    def times(a: int, b: int) -> int:
        return (a + b - 2) % 3 + 1 if a and b else 0

    rows = {}
    for i, (a, b, c) in enumerate(triples):
        name = f"{suite['name']}-{i:02}" if i else suite["methods"][0]
        rows[name] = {
            factor: list(levels)[(times(a, x) ^ times(b, y) ^ times(c, z)) % len(levels)]
            for (factor, levels), (x, y, z) in zip(suite["factors"].items(), points, strict=False)
        }
    return rows


def own_folder() -> Path | None:
    """Folder of a user's own datasets: ``MIXNET_OWN``, else ``own/`` of the checkout.

    Of the working directory where the package is installed; None where that variable is empty, or
    where ``MIXNET_REGISTRY`` alone is given.
    """
    given = os.environ.get("MIXNET_OWN")
    if given is None and not os.environ.get("MIXNET_REGISTRY"):
        root = Path(__file__).resolve().parents[1]
        return (root if (root / "pyproject.toml").is_file() else Path.cwd()) / "own"
    return Path(given).expanduser() if given else None


def datasets() -> dict[str, dict]:
    """Stanzas of datasets.toml and of a user's own files by name, checked (no data is read).

    Raises
    ------
    RegistryError
        On an incomplete stanza or a wrong value, naming the key: see `dataset_stanza`. On a name
        that two files have.
    """
    path = folder() / "datasets.toml"
    found, own = copied(_datasets(path, "", *version(path))), own_folder()
    for path in sorted(own.glob("*.toml")) if own else ():
        mine = copied(_datasets(path, str(path), *version(path)))
        if twice := found.keys() & mine.keys():
            raise RegistryError(
                f"{path}: {sorted(twice)} stand in another file of stanzas too, "
                "needs names of its own"
            )
        found |= mine
    return found


@lru_cache(maxsize=64)
def _datasets(path: Path, own: str, *versions: int) -> dict[str, dict]:
    """Checked stanzas of a file; those of `own`, a user's, have defaults for what follows."""
    if not own:
        return {name: dataset_stanza(name, stanza) for name, stanza in stanzas(path).items()}
    return {
        name: dataset_stanza(name, {**computed(stanza), **stanza}, own)
        for name, stanza in stanzas(path).items()
    }


def computed(given: dict) -> dict:
    """Fields that follow from the number of features and classes, for data that are no one's yet.

    The networks and schedules are those of the datasets that the paper does not have: codes of 32
    features where there are more, and the features themselves where there are not.
    """
    found = {"validation_size": 0.1, "min_updates": 1000, "t1": 30, "t2": 100, "batch_size": 100}
    if _whole(given.get("n_classes")):
        found["n_clusters"] = given["n_classes"]
    if _whole(given.get("d")):
        found["embedding"] = "autoencoder" if given["d"] > CODE_DIM else "none"
        own = given.get("embedding", found["embedding"]) == "none"
        found["code_dim"] = given["d"] if own else CODE_DIM
        found["structure"] = f"10-16-256-256-512-{given.get('code_dim', found['code_dim'])}"
    return found


def scaling_range(scaling: str) -> tuple[float, float] | None:
    """(low, high) of a scaling ``"LOW..HIGH to 0..1"``, None for one of `SCALINGS`."""
    found = RANGE.fullmatch(scaling)
    return (float(found[1]), float(found[2])) if found else None


def dataset_stanza(name: str, given: dict, file: str = "datasets.toml") -> dict:
    """A stanza with its defaults: name, title, variants and embedding may be left out.

    Parameters
    ----------
    name : str
        The stanza's key.
    given : dict
        As it stands in the file.
    file : str
        Named in errors.

    Raises
    ------
    RegistryError
        For a missing or unknown key, or a value of another type or form than the key has.
    """
    where = f"{file} [{name}]"
    if not isinstance(given.get("variant", {}), dict):
        raise RegistryError(f"{where}: variant is {given['variant']!r:.60}, needs stanzas")
    for variant, own in given.get("variant", {}).items():
        _known(f"{where}.variant.{variant}", own)
    stanza = {
        "name": name,
        "title": name,
        "embedding": "none",
        "variants": list(given.get("variant", {})) or ["only"],
        **given,
    }
    _known(where, stanza)
    for key in REQUIRED:
        if key not in stanza:
            hint = '; "" leaves it open' if key == "content_hash" else ""
            raise RegistryError(f"{where}: {key} is missing{hint}")
    if stanza["name"] != name:
        raise RegistryError(f"{where}: name is {stanza['name']!r:.60}, needs {name!r}")
    _names(where, stanza, "variants")
    if not stanza["variants"]:
        raise RegistryError(f"{where}: variants is empty, needs at least one name")
    if unknown := set(stanza.get("variant", {})) - set(stanza["variants"]):
        raise RegistryError(f"{where}: variants lacks {sorted(unknown)}, which have stanzas")
    for variant in stanza["variants"]:
        merged = merge(stanza, variant)
        label = f"{where}.variant.{variant}" if variant in stanza.get("variant", {}) else where
        _values(label, merged)
        if "loader" not in merged:
            _source(label, merged)
    return stanza


def merge(stanza: dict, variant: str) -> dict:
    """A checked stanza with the fields of one variant in place of its own; ``chosen`` names it."""
    merged = {**stanza, **stanza.get("variant", {}).get(variant, {}), "chosen": variant}
    merged.pop("variant", None)
    return merged


def _known(where: str, stanza) -> None:
    if not isinstance(stanza, dict):
        raise RegistryError(f"{where} is {stanza!r:.60}, needs a stanza")
    for key in stanza:
        if key not in KNOWN:
            near = difflib.get_close_matches(key, KNOWN, n=1, cutoff=0.6)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise RegistryError(f"{where}: there is no key {key!r:.60}{hint}")


def _names(where: str, stanza: dict, key: str) -> None:
    value = stanza.get(key, [])
    if not isinstance(value, list) or not all(isinstance(word, str) and word for word in value):
        raise RegistryError(f"{where}: {key} is {value!r:.60}, needs a list of names")


def _whole(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _values(where: str, stanza: dict) -> None:
    """Types and forms of single fields."""
    for key in TEXTS:
        if not isinstance(stanza.get(key, ""), str):
            raise RegistryError(f"{where}: {key} is {stanza[key]!r:.60}, needs a text")
    for key in WHOLE:
        lowest = 1 if key in COUNTS else 0
        if not _whole(stanza.get(key, 1)) or (key != "first_label" and stanza.get(key, 1) < lowest):
            raise RegistryError(
                f"{where}: {key} is {stanza[key]!r:.60}, needs a whole number from {lowest}"
            )
    for key in ("image_transposed", "label_first"):
        if not isinstance(stanza.get(key, False), bool):
            raise RegistryError(f"{where}: {key} is {stanza[key]!r:.60}, needs true or false")
    for key in ("classes", "variables"):
        _names(where, stanza, key)
    if stanza["embedding"] not in ("autoencoder", "none"):
        raise RegistryError(
            f"{where}: embedding is {stanza['embedding']!r:.60}, needs 'autoencoder' or 'none'"
        )
    if stanza.get("row_order", "sorted") != "sorted":
        raise RegistryError(
            f"{where}: row_order is {stanza['row_order']!r:.60}, needs 'sorted' "
            "(by value), or is left out: the order of the file"
        )
    share = stanza.get("validation_size", 1)
    if not _whole(share) and not (isinstance(share, float) and 0 <= share < 1):
        raise RegistryError(
            f"{where}: validation_size is {share!r:.60}, needs a share or a number of points"
        )
    if "image" in stanza:
        _image(where, stanza)


def _image(where: str, stanza: dict) -> None:
    image = stanza["image"]
    if (
        not isinstance(image, dict)
        or set(image) != {"height", "width", "order"}
        or not _whole(image["height"])
        or not _whole(image["width"])
        or image["order"] not in ("C", "F")
        or image["height"] * image["width"] != stanza["d"]
    ):
        raise RegistryError(
            f"{where}: image is {image!r:.80}, needs height, width (whose product "
            "is d) and order, 'C' or 'F'"
        )


def _source(where: str, stanza: dict) -> None:
    """Where the project's own loader takes the arrays from."""
    for key in ("format", "scaling"):
        if key not in stanza:
            raise RegistryError(f"{where}: {key} is missing")
    form, scaling = stanza["format"], stanza["scaling"]
    if form not in FORMATS:
        raise RegistryError(f"{where}: format is {form!r:.60}, needs one of {', '.join(FORMATS)}")
    bounds = scaling_range(scaling)
    if scaling not in SCALINGS and (bounds is None or bounds[0] >= bounds[1]):
        raise RegistryError(
            f"{where}: scaling is {scaling!r:.60}, needs a published range in the "
            f"form '-1..1 to 0..1', or one of {', '.join(SCALINGS)}"
        )
    if "image_transposed" in stanza and "image" not in stanza:
        raise RegistryError(f"{where}: image is missing, which image_transposed needs")
    files = stanza.get("files", [])
    if not isinstance(files, list):
        raise RegistryError(f"{where}: files is {files!r:.60}, needs a list of stanzas")
    if form in MADE:
        if files:
            raise RegistryError(f"{where}: files of the format {form!r}, which has none")
        if form == "made" and "made" not in stanza:
            raise RegistryError(f"{where}: made is missing, the generator's name")
        return
    wanted = {"idx": 2, "mat": 1, "csr_npz": 1}.get(form)
    if not files or (wanted is not None and len(files) != wanted):
        raise RegistryError(
            f"{where}: files has {len(files)} stanzas, the format {form!r} needs "
            f"{wanted or 'at least one'}"
        )
    for file in files:
        _file(where, file)


def _file(where: str, file) -> None:
    if not isinstance(file, dict) or not isinstance(file.get("name"), str) or not file["name"]:
        raise RegistryError(f"{where}: a stanza of files is {file!r:.60}, needs a name")
    path = PurePosixPath(file["name"])
    if path.is_absolute() or ".." in path.parts or "\\" in file["name"] or "\0" in file["name"]:
        raise RegistryError(
            f"{where}: a file's name is {file['name']!r:.60}, needs a path inside "
            "the folder of raw files"
        )
    for key, value in file.items():
        kind = FILE_KEYS.get(key)
        if kind is None or not isinstance(value, kind) or (kind is int and not _whole(value)):
            raise RegistryError(
                f"{where}: {file['name']}: {key} is {value!r:.60}, needs "
                + (f"a {kind.__name__}" if kind else f"one of {list(FILE_KEYS)}")
            )
    _names(where, file, "urls")
