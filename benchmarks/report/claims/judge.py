"""The table of claims: claims.toml judged by its rules, results/claims.csv and results/claims.md.

`mixnet table claims` writes them. No verdict stands anywhere but in what a rule returns; that
something cannot be tested at all is the one thing that claims.toml says itself.
"""

from __future__ import annotations

import inspect
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from benchmarks import stanzas
from benchmarks.records.store import Store
from benchmarks.report import words
from benchmarks.report.claims import rules
from benchmarks.report.claims.evidence import Evidence
from benchmarks.report.claims.rules import Part
from benchmarks.report.table import Table
from benchmarks.stanzas import RegistryError

NAME = "claims"
COLUMNS = (
    "claim", "group", "short", "says", "where", "verdict", "part", "part_verdict", "said",
    "value", "low", "high", "n", "n_asked", "stale", "command",
)  # fmt: skip
NAMED = 3  # parts that do not hold and are named in a sentence
SHOWN = 6  # parts that a cell of the table lists; of more it counts the verdicts
TEXT = """# Claims of the paper

What the paper says, where, what was measured here, and whether that bears it out. A rule named in
`benchmarks/claims.toml` gives every verdict from the records; none is written by hand.

{table}

Intervals are at 95%, n = runs that count/asked for. Only runs that the code as it stands would
repeat count; “older” ones are left out. A claim of several parts holds if all do.

* **Confirmed**: a printed figure is reached (level or above by the tests of Tables 1 and 2, or one
  of both), a difference has the sign that is claimed, most runs do what is claimed.
* **Not confirmed**: the contrary, or a difference too small to matter. **Partly**: some parts hold,
  others do not.
* **Undecided**: the interval has room for both, or parts are missing that decide; more runs would
  tell.
* **Not comparable**: our data are others than the paper's. **Not testable**: no record can say.
* **Not run**: fewer than two runs by the present code.

Every part with its numbers: [claims.csv](claims.csv).
"""
KEYS = {"group", "short", "claim", "where", "untestable", "test"}


class Claim(NamedTuple):
    """A stanza of claims.toml, judged."""

    name: str
    stanza: dict
    parts: list[Part]
    verdict: str
    command: str


def read() -> dict[str, dict]:
    """Stanzas of claims.toml by name, checked; {} where the registry has none.

    Raises
    ------
    RegistryError
        For a missing or unknown key, a rule that is not there or keys that it does not take, or
        tests where nothing can be tested.
    """
    found = stanzas.stanzas(stanzas.folder() / "claims.toml")
    for name, stanza in found.items():
        where = f"claims.toml [{name}]"
        for key in ("group", "short", "claim", "where"):
            if not isinstance(stanza.get(key), str):
                raise RegistryError(f"{where}: {key} is {stanza.get(key)!r:.60}, needs a text")
        if unknown := stanza.keys() - KEYS:
            raise RegistryError(f"{where}: there is no key {sorted(unknown)[0]!r}")
        if ("untestable" in stanza) == bool(stanza.get("test")):
            raise RegistryError(f"{where}: needs either tests or untestable, a reason")
        for test in stanza.get("test", ()):
            _check(where, test)
    return found


def _check(where: str, test: dict) -> None:
    rule = rules.RULES.get(test.get("rule", ""))
    if rule is None:
        raise RegistryError(
            f"{where}: rule is {test.get('rule')!r:.60}, needs one of {', '.join(rules.RULES)}"
        )
    try:
        inspect.signature(rule).bind(None, **_keys(test))
    except TypeError as error:
        raise RegistryError(f"{where}: rule {test['rule']}: {error}") from error


def _keys(test: dict) -> dict:
    return {key: value for key, value in test.items() if key not in ("rule", "name")}


def _parts(test: dict, evidence: Evidence) -> list[Part]:
    """What a rule gives, under the test's name where it has one."""
    parts = rules.RULES[test["rule"]](evidence, **_keys(test))
    if "name" not in test:
        return parts
    alone = len(parts) == 1
    return [
        part._replace(what=test["name"] if alone else f"{test['name']}, {part.what}")
        for part in parts
    ]


def judge(evidence: Evidence) -> list[Claim]:
    """All claims, in the order of claims.toml.

    Raises
    ------
    RegistryError
        As of `read`, or for a row that no suite asks for.
    ValueError
        For records that cannot be judged: a value is not in one, or its arrays are damaged.
    """
    claims = []
    for name, stanza in read().items():
        try:
            parts = [part for test in stanza.get("test", ()) for part in _parts(test, evidence)]
        except KeyError as error:
            raise ValueError(f"{name}: one of its records has no {error}") from error
        if "untestable" in stanza:
            parts = [Part("", rules.UNTESTABLE, stanza["untestable"])]
        verdict = rules.together(part.verdict for part in parts)
        claims.append(Claim(name, stanza, parts, verdict, _command(stanza, evidence)))
    return claims


def _command(stanza: dict, evidence: Evidence) -> str:
    """What runs the cells of the tests; the other datasets of a suite are left out."""
    asked: dict[str, list[str]] = {}
    for test in stanza.get("test", ()):
        names = asked.setdefault(test["suite"], [])
        names += test.get("datasets", [test.get("dataset")])
        if other := test.get("against_suite"):
            asked.setdefault(other, []).extend(test["datasets"])
    calls = []
    for suite, names in asked.items():
        known = evidence.suite(suite)[0]["datasets"]
        some = [name for name in known if name in names]
        calls.append(
            f"mixnet run {suite}" + (f" --datasets {','.join(some)}" if some != known else "")
        )
    return "; ".join(calls)


def rows(claims: list[Claim]) -> list[dict]:
    """A row of `COLUMNS` for each part of each claim."""
    return [
        {
            **part._asdict(),
            **{key: claim.stanza[key] for key in ("group", "short", "where")},
            "claim": claim.name,
            "says": claim.stanza["claim"],
            "verdict": claim.verdict,
            "part": part.what,
            "part_verdict": part.verdict,
            "command": claim.command,
        }
        for claim in claims
        for part in claim.parts
    ]


def table(claims: list[Claim]) -> Table:
    """A line for each claim, for readers."""
    columns = {
        "Claim": lambda claim: claim.stanza["claim"],
        "In the paper": lambda claim: claim.stanza["where"],
        "Measured": lambda claim: measured(claim.parts),
        "Verdict": lambda claim: f"**{claim.verdict}**",
        "Command": lambda claim: _as_code(claim.command),
    }
    return Table.of(columns, claims)


def _as_code(calls: str) -> str:
    return "; ".join(f"`{call}`" for call in calls.split("; ") if call)


def measured(parts: list[Part]) -> str:
    """What came out of the parts, in a cell: each by itself, or of many the verdicts' numbers."""
    known = [part for part in parts if part.said]
    said = [_said(part, alone=len(parts) == 1) for part in known]
    if len(parts) > SHOWN:
        said = [words.tally(part.verdict for part in parts)]
    elif rest := len(parts) - len(known):
        fresh, old = (sum(getattr(p, key) for p in parts if not p.said) for key in ("n", "stale"))
        asked = sum(part.n_asked for part in parts if not part.said)
        of = f"{rest} part{'s' * (rest > 1)}" if known else ""
        said.append(f"{of} not run".strip() + f" (n = {fresh}/{asked}{_older(old)})")
    return "; ".join(said)


def _said(part: Part, alone: bool) -> str:
    n = f" (n = {part.n}/{part.n_asked}{_older(part.stale)})" if part.n_asked else ""
    head = f"{part.what}: " if part.what else ""
    return f"{head}{part.said}{n}" + ("" if alone else f", {part.verdict}")


def _older(stale: int) -> str:
    return f", {stale} older" if stale else ""


def verdict_lines(found: list[dict]) -> list[str]:
    """A sentence for each group of claims, from `rows`, or from those of claims.csv."""
    groups: dict[str, dict[str, list[str]]] = {}
    for name in dict.fromkeys(row["claim"] for row in found):
        own = [row for row in found if row["claim"] == name]
        verdicts = groups.setdefault(own[0]["group"], {})
        verdicts.setdefault(own[0]["verdict"], []).append(own[0]["short"] + _known(own))
    said = {
        group: "; ".join(f"{word}: {', '.join(by[word])}" for word in rules.VERDICTS if word in by)
        for group, by in groups.items()
    }
    return [f"**{group}** {line[0].upper()}{line[1:]}." for group, line in said.items()]


def _known(own: list[dict]) -> str:
    """In brackets what is known of a claim: its one number, what does not hold, how many runs."""
    ran = [row for row in own if row["said"] and int(row["n_asked"])]
    said = [row["said"] for row in ran if len(own) == 1]
    if len(own) > 1:
        ran = [row for row in ran if row["part_verdict"] != rules.INCOMPARABLE]
    if fails := [row["part"] for row in own if row["part_verdict"] == rules.NOT and len(own) > 1]:
        names = len(fails) <= NAMED and len({*fails}) == len(fails)
        said.append(f"not {', '.join(fails) if names else f'{len(fails)} of {len(own)}'}")
    if few := [row for row in ran if int(row["n"]) < int(row["n_asked"])]:
        least = min(few, key=lambda row: int(row["n"]))
        said.append(f"{least['n']} of {least['n_asked']} runs")
    return f" ({'; '.join(said)})" if said else ""


def count(found: list[dict]) -> str:
    """How many claims have which verdict, such as "2 confirmed, 9 not run"."""
    counts = Counter({row["claim"]: row["verdict"] for row in found}.values())
    return ", ".join(f"{counts[word]} {word}" for word in rules.VERDICTS if word in counts)


def report(store: Store) -> tuple[str, list[Path]]:
    """The claims judged by the records of a folder: as text, and the files of `write`."""
    claims = judge(Evidence.of(store))
    return text(claims), write(claims, store.results)


def write(claims: list[Claim], folder: Path) -> list[Path]:
    """Write claims.csv and claims.md into a folder, each replaced whole; returns their paths."""
    return [
        words.replace(folder / f"{NAME}.csv", Table(COLUMNS, rows(claims)).csv()),
        words.replace(folder / f"{NAME}.md", TEXT.format(table=table(claims).markdown())),
    ]


def text(claims: list[Claim]) -> str:
    """A line for each claim, for a terminal."""
    body = [(claim.name, claim.verdict, measured(claim.parts)) for claim in claims]
    lines = Table(("claim", "verdict", "measured"), body).text()
    return f"{lines}\n{count(rows(claims))}"
