"""What there is, as data: methods, datasets, suites and the paper's figures, read from TOML.

Nothing here imports an estimator, so listing is instant and needs neither torch nor the data.
``MIXNET_REGISTRY`` names another folder with the same layout (tests use it).
"""

from __future__ import annotations

import difflib
import json
import math
from functools import lru_cache

from benchmarks import kinds
from benchmarks.stanzas import (
    MOST_FACTORS,
    RegistryError,
    copied,
    datasets,
    fillings,
    folder,
    read,
    stanzas,
    version,
)

SPACES = ("raw", "code")
DATASET_FIELDS = (
    "structure", "conv_structure", "code_dim", "n_clusters", "validation_size", "min_updates", "t1",
    "t2", "batch_size", "test",
)  # fmt: skip
#: Types of the fields of a method, and of a suite.
OF_METHOD = {
    **dict.fromkeys(("label", "kind", "estimator", "like"), str),
    **dict.fromkeys(("params", "defaults", "needs", "fast"), dict),
}
OF_SUITE = {
    "title": str,
    "table": str,
    "raw_up_to": int,
    **dict.fromkeys(("against", "keeps", "factors", "printed"), dict),
}
LISTS_OF_SUITE = ("datasets", "methods", "evaluations", "columns", "paired", "full_only")
MOST_SEEDS = 10_000  # of a range: more is a slip of the hand, and would fill the memory
REFERENCES = {f"@{name}": name for name in DATASET_FIELDS}


class UnknownName(LookupError):
    """A name that is not registered; the message lists the nearest ones."""

    def __init__(self, what: str, name: str, known):
        known = sorted(known)
        plain = {one.lstrip("-"): one for one in known}  # options are not alike for their dashes
        close = difflib.get_close_matches(name.lstrip("-"), plain, n=3, cutoff=0.5)
        near = [plain[one] for one in close]
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
        super().__init__(f"unknown {what} {name!r}; {hint}")


def _check(where: str, stanza: dict, types: dict[str, type], lists: tuple[str, ...] = ()) -> None:
    """Raise RegistryError unless fields have their types, those of `lists` being lists of names."""
    for name, wanted in types.items():
        if not isinstance(stanza.get(name, wanted()), wanted):
            raise RegistryError(
                f"{where}: {name} is {stanza[name]!r:.60}, needs a {wanted.__name__}"
            )
    for name in lists:
        value = stanza.get(name, [])
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise RegistryError(f"{where}: {name} is {value!r:.60}, needs a list of names")


def methods() -> dict[str, dict]:
    """Stanzas of methods.toml by name, checked as they are read; label and spaces have defaults.

    Those of the rows of a suite's design follow, with its name as ``design``.

    Raises
    ------
    RegistryError
        On an unknown kind or space, a missing estimator, a parameter or default without source, or
        one that is both, needs that do not fit the kind, or a stanza like one that is not there.
    """
    files = [folder() / "methods.toml", *sorted((folder() / "suites").glob("*.toml"))]
    return copied(_methods(*((path, *version(path)) for path in files)))


@lru_cache(maxsize=8)
def _methods(*files: tuple) -> dict[str, dict]:
    """The same, read and checked once while the files stay as they are."""
    found = stanzas(files[0][0])
    for name, stanza in found.items():
        _check(f"methods.toml [{name}]", stanza, OF_METHOD, ("spaces", "without"))
    for suite in suites().values():
        if "rows" in suite:
            found |= _design(suite, found)
    found = {name: _inherit(name, found) for name in found}
    for name, stanza in found.items():
        where = f"methods.toml [{name}]"
        try:
            kinds.get(stanza.get("kind")).check(where, stanza)
        except ValueError as error:
            said = "" if str(error).startswith(where) else f"{where}: "
            raise RegistryError(f"{said}{error}") from error
        if ":" not in stanza.get("estimator", ""):
            raise RegistryError(f"{where}: estimator needs the form 'package.module:Class'")
        stanza.setdefault("label", name)
        limit = stanza.get("timeout_s", 1)
        known = isinstance(limit, int | float) and not isinstance(limit, bool)
        if not known or not 0 < limit < math.inf:
            raise RegistryError(f"{where}: timeout_s is {limit!r:.60}, needs seconds above 0")
        if bad := set(stanza.setdefault("spaces", ["raw"])) - set(SPACES):
            raise RegistryError(f"{where}: spaces has {sorted(bad)}, allowed are {SPACES}")
        for group in ("params", "defaults"):
            for parameter, entry in stanza.get(group, {}).items():
                if not isinstance(entry, dict) or "value" not in entry or "source" not in entry:
                    raise RegistryError(f"{where}.{group}.{parameter}: needs `value` and `source`")
                _plain(f"{where}.{group}.{parameter}", entry["value"])
        for parameter, value in stanza.get("fast", {}).items():
            _plain(f"{where}.fast.{parameter}", value)
        if twice := set(stanza.get("params", {})) & set(stanza.get("defaults", {})):
            raise RegistryError(f"{where}: {sorted(twice)} stand in params, so no default counts")
    return found


def _design(suite: dict, known: dict) -> dict[str, dict]:
    """Stanzas of a design's rows but the first, a method that is there: as it, but for levels."""
    base, *_ = suite["methods"]
    if base not in known:
        raise RegistryError(f"suites/{suite['name']}.toml: there is no method {base!r}")
    allowed, made = _inherit(base, known).get("params", {}), {}
    for name, row in suite["rows"].items():
        params, needs, of = {}, {}, ""
        for factor, level in row.items():
            sets = dict(suite["factors"][factor][level])
            of += sets.pop("of", "")
            needs |= sets.pop("needs", {})
            sets.pop("not_on", None)
            why = f"{factor}: {level}"
            params |= {p: {"value": v, "source": "ours", "why": why} for p, v in sets.items()}
        if unknown := set(params) - set(allowed):
            raise RegistryError(
                f"suites/{suite['name']}.toml: factors set {sorted(unknown)}, which {base} has not"
            )
        made[name] = {
            "like": base,
            "label": name.capitalize().replace("-", " "),
            "design": suite["name"],
            "params": params,
            "needs": {role: need.replace("{of}", of) for role, need in needs.items()},
        }
    del made[base]
    return made


def _plain(where: str, value) -> None:
    """Raise RegistryError unless a record, which is JSON, can hold a parameter's value."""
    if isinstance(value, str | int):  # most are, and all are checked by every command
        return
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise RegistryError(
            f"{where} is {value!r:.60}, needs a text, a finite number, a truth "
            "value or a list of such"
        ) from error


def _inherit(name: str, stanzas: dict[str, dict], below: tuple[str, ...] = ()) -> dict:
    """A stanza with what it takes over from the one that it is ``like``, a name it keeps."""
    own = stanzas[name]
    if "like" not in own:
        return own
    if own["like"] not in stanzas or own["like"] in (name, *below):
        raise RegistryError(
            f"methods.toml [{name}]: like is {own['like']!r}, needs a method that "
            "is not itself like this one"
        )
    other = _inherit(own["like"], stanzas, (name, *below))
    params = other.get("params", {})
    if unknown := set(own.get("without", ())) - set(params):
        raise RegistryError(
            f"methods.toml [{name}]: without names {sorted(unknown)}, which {own['like']} has not"
        )
    kept = {p: entry for p, entry in params.items() if p not in own.get("without", ())}
    return {
        **other,
        **{k: v for k, v in own.items() if k != "without"},
        "params": {**kept, **own.get("params", {})},
    }


def suites() -> dict[str, dict]:
    """Stanzas of suites/*.toml by file name, with ``name`` and ``seeds`` as a list of ints."""
    found = {path.stem: read(path) for path in sorted((folder() / "suites").glob("*.toml"))}
    return {name: _suite(name, stanza) for name, stanza in found.items()}


def _suite(name: str, stanza: dict) -> dict:
    where = f"suites/{name}.toml"
    _check(where, stanza, OF_SUITE, LISTS_OF_SUITE)
    against, keeps = stanza.get("against", {}), stanza.get("keeps", {})
    asked = {*against, *against.values()} - set(stanza.get("methods", ()))
    if asked:
        raise RegistryError(f"{where}: against has {sorted(asked)}, needs some of its methods")
    paired = set(stanza.get("paired", ()))
    if unknown := paired - set(stanza.get("columns", ())):
        raise RegistryError(f"{where}: paired has {sorted(unknown)}, needs some of columns")
    if bad := {m: c for m, c in keeps.items() if m not in against or c not in paired}:
        raise RegistryError(
            f"{where}: keeps is {bad}, needs methods of against and a column of paired"
        )
    if against and not stanza.get("paired"):
        raise RegistryError(f"{where}: paired is missing, the columns whose differences are wanted")
    try:
        seeds = parse_seeds(stanza.get("seeds", "0-9"))
    except (ValueError, TypeError) as error:
        raise RegistryError(f"{where}: {error}") from error
    stanza = {**stanza, "name": name, "seeds": seeds}
    return _with_rows(where, stanza) if "factors" in stanza else stanza


def _with_rows(where: str, suite: dict) -> dict:
    """A suite with the ``rows`` of its design, which join its methods."""
    factors, base = suite["factors"], suite.get("methods", ())
    if len(base) != 1:
        raise RegistryError(f"{where}: methods is {base!r:.60}, needs the one that factors vary")
    if not 1 <= len(factors) <= MOST_FACTORS:
        raise RegistryError(f"{where}: factors has {len(factors)}, needs 1 to {MOST_FACTORS}")
    for factor, levels in factors.items():
        if not isinstance(levels, dict) or not 1 < len(levels) <= 4:
            raise RegistryError(f"{where}: {factor} is {levels!r:.60}, needs 2 to 4 levels")
        for name, level in levels.items():
            if not isinstance(level, dict):
                raise RegistryError(f"{where}: {factor}.{name} is {level!r:.60}, needs a table")
            _check(f"{where}: {factor}.{name}", level, {"of": str, "needs": dict}, ("not_on",))
            needs = level.get("needs", {})
            _check(f"{where}: {factor}.{name}", needs, dict.fromkeys(needs, str))
    rows = fillings(suite)
    left = {
        method: [d for f, level in row.items() for d in factors[f][level].get("not_on", ())]
        for method, row in rows.items()
    }
    return {**suite, "methods": list(rows), "rows": rows, "not_on": left}


def asked_spaces(suite: dict, method: str, stanza: dict, dataset: str, data: dict) -> list[str]:
    """Feature spaces in which a suite asks for a method on a dataset; [] where it does not.

    Without an embedding there is only ``raw``, but for methods on codes of their own. With
    ``raw_up_to`` of the suite data of at most so many features are taken raw, and others as codes,
    by methods that have both; else ``spaces`` names them by method, and where it does not, all are
    asked for that the method has.
    """
    if dataset not in suite.get("only_datasets", {}).get(method, [dataset]):
        return []
    if dataset in suite.get("not_on", {}).get(method, ()):
        return []
    if data.get("embedding", "none") == "none":
        return ["code" if "codes" in stanza.get("needs", {}) else "raw"]
    if "raw_up_to" in suite and {*SPACES} <= {*stanza["spaces"]}:
        return ["raw" if data["d"] <= suite["raw_up_to"] else "code"]
    return list(suite.get("spaces", {}).get(method, stanza["spaces"]))


def gate() -> dict:
    """The grid and the rule of the purity gate (gate.toml)."""
    return read(folder() / "gate.toml")


def paper() -> dict:
    """The figures as the paper prints them (paper.toml)."""
    return read(folder() / "paper.toml")


def get(table: dict, name: str, what: str) -> dict:
    """``table[name]``, or `UnknownName` with the nearest names."""
    if name not in table:
        raise UnknownName(what, name, table)
    return table[name]


def parse_seeds(text) -> list[int]:
    """Seeds of ``"0-9"``, ``"0,3"``, ``"0-2,7"``, an int or a list of ints, in order, once each.

    Raises
    ------
    ValueError
        For other words, a range that runs backwards, or one of more than `MOST_SEEDS` seeds.
    """
    if isinstance(text, int):
        return [text]
    if isinstance(text, (list, tuple)):
        return list(dict.fromkeys(int(seed) for seed in text))
    seeds: list[int] = []
    for part in str(text).split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f"seeds is {text!r}; needs the form 0-9 or 0,3 or 0-2,7")
        stop = int(last) if dash else int(first)
        if stop < int(first):
            raise ValueError(f"seeds is {text!r}; the range {part.strip()} runs backwards")
        if stop - int(first) >= MOST_SEEDS:
            raise ValueError(f"seeds is {text!r}; needs at most {MOST_SEEDS} in a range")
        seeds.extend(range(int(first), stop + 1))
    return list(dict.fromkeys(seeds))


def resolve_params(method: str, dataset: str, fast: bool = False, schedule=None) -> dict:
    """Parameters of a method on a dataset: values, with ``@name`` taken from the dataset's stanza.

    ``fast`` applies the overrides of ``[method.fast]`` (shortened schedules, nothing else), and
    `schedule` others, a dict of parameters that the method has.
    """
    stanza, data = get(methods(), method, "method"), get(datasets(), dataset, "dataset")
    return resolve(method, stanza, dataset, data, fast, schedule)


def resolve(
    method: str, stanza: dict, dataset: str, data: dict, fast: bool = False, schedule=None
) -> dict:
    """As `resolve_params`, of stanzas at hand."""
    params = {name: entry["value"] for name, entry in stanza.get("params", {}).items()}
    if fast:
        params.update(stanza.get("fast", {}))
    if unknown := set(schedule or ()) - set(params):
        raise RegistryError(
            f"schedule of {method} on {dataset} has {sorted(unknown)}, which "
            f"are no parameters of {method}"
        )
    params.update(schedule or {})
    for name, value in params.items():
        if isinstance(value, str) and value.startswith("@"):
            if value not in REFERENCES:
                raise RegistryError(
                    f"methods.toml [{method}.params.{name}]: {value!r} is none of "
                    f"{sorted(REFERENCES)}"
                )
            if REFERENCES[value] not in data:
                raise RegistryError(
                    f"datasets.toml [{dataset}]: no {REFERENCES[value]!r}, which "
                    f"{method}'s parameter {name} takes from there"
                )
            params[name] = data[REFERENCES[value]]
    return params
