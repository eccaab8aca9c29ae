"""Where a method stands in the layout of Table 1: its column, and the row of its features.

A method on codes of an embedding of its own (``needs.codes``) is the method that it is `like`, on
other features: it stands in that one's column, in a row of these features. All is read off the
stanzas of methods.toml.
"""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks import kinds

#: What was made of two kinds of features, and of more.
JOINT = BOTH, SEVERAL = "both", "several"
WORDS = {"raw": "raw features", "code": "codes", BOTH: "both kinds of features"}


def features(name: str, space: str, methods: dict) -> str:
    """What a method in a space is of: ``raw``, ``code``, or other codes, such as ``graph code``.

    Those are called after the embedding that makes them, `autoencoder-graph`. A selection is of
    what its candidates are of, `BOTH` or `SEVERAL` where that is not one; where it is on raw
    features, so are candidates without codes of their own.
    """
    needs = methods.get(name, {}).get("needs", {})
    if "codes" in needs:
        return f"{needs['codes'].partition('/')[0].removeprefix('autoencoder-')} code"
    if not needs or not kinds.of(methods[name]).chooses:
        return space
    places = (need.partition("/")[::2] for need in candidates(name, methods))
    found = {features(other, "raw" if space == "raw" else its, methods) for other, its in places}
    return found.pop() if len(found) == 1 else BOTH if len(found) == 2 else SEVERAL


def in_words(of: str) -> str:
    """Features as a sentence has them."""
    return WORDS.get(of, f"{of}s" if of.endswith(" code") else of)


def candidates(name: str, methods: dict) -> list[str]:
    """What a selection chooses from; its reference, which it holds them against, is none."""
    return [need for role, need in methods[name]["needs"].items() if role != "reference"]


def column(name: str, methods: dict) -> str:
    """The method that a method on codes of its own is like, with the same start; else itself.

    Of `mixnet+graph-consensus`, which is like `mixnet+graph`, that is `mixnet+consensus`: like
    `mixnet+`, as that is, and from the same start.
    """
    stanza = methods.get(name, {})
    base = stanza
    while "codes" in base.get("needs", {}) and "like" in base:
        root, base = base["like"], methods[base["like"]]
    if base is stanza or "codes" in base.get("needs", {}):
        return name
    wanted = {role: _as(need, methods) for role, need in stanza["needs"].items() if role != "codes"}
    like = (other for other, its in methods.items() if its.get("like") == root)
    for other in (root, *like):
        if methods[other].get("needs", {}) == wanted and _params(other, root, methods):
            return other
    return root


def _as(need: str, methods: dict) -> str:
    name, slash, space = need.partition("/")
    return column(name, methods) + slash + space


def _params(name: str, other: str, methods: dict) -> bool:
    """Whether two methods have the same parameters."""
    return methods[name].get("params", {}) == methods[other].get("params", {})


def columns(names: Iterable[str], methods: dict) -> dict[str, str]:
    """Method -> its column, in the order of `names`; no two of the same features share one."""
    names = list(names)
    place = {name: (column(name, methods), features(name, "code", methods)) for name in names}
    taken = {place[name] for name in names if place[name][0] == name}
    found = {}
    for name in names:
        shared = place[name][0] != name and place[name] in taken
        taken.add(place[name])
        found[name] = name if shared else place[name][0]
    return found


def order(rows: Iterable[dict]) -> list[str]:
    """Features of rows, raw ones first, then the dataset's codes, then others as they come."""
    found = {row["features"] for row in rows}
    usual = [of for of in ("raw", "code") if of in found]
    return list(dict.fromkeys([*usual, *(row["features"] for row in rows)]))


def code_dim(name: str, of: str, methods: dict, data: dict) -> int | None:
    """Size of the codes that a method on features `of` takes; the dataset's if it takes none.

    None where it takes several kinds, or the size is not known.
    """
    if of in JOINT:
        return None
    codes = methods[name].get("needs", {}).get("codes", "").partition("/")[0]
    return value(codes, "code_dim", methods, data) if codes else data.get("code_dim")


def value(name: str, parameter: str, methods: dict, data: dict):
    """A parameter of a method for a dataset, ``@field`` resolved; None where it has none."""
    stanza = methods.get(name, {})
    known = stanza.get("defaults", {}) | stanza.get("params", {})
    found = known.get(parameter, {}).get("value")
    return data.get(found[1:]) if isinstance(found, str) and found.startswith("@") else found
