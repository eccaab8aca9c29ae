"""What rules ask of records: fresh runs of a row of a suite, and what each measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from benchmarks import kinds, registry
from benchmarks.records.store import Store
from benchmarks.report import comparisons, measures, summary, tables
from benchmarks.report.figures import figure3
from benchmarks.run.plan import Standing

NEAREST = 0.01  # of held-out points: as near to a training point as these is a copy


class Runs(NamedTuple):
    """Runs of one dataset, method and space.

    Attributes
    ----------
    values : dict of int -> float
        What the fresh ones measured, by seed.
    n_asked, stale : int
        Seeds of the suite; runs of it that only older code has done, which count for nothing.
    """

    values: dict[int, float]
    n_asked: int
    stale: int


class Evidence:
    """Records of suites, as `benchmarks.report.tables.of_suite` gives them.

    Parameters
    ----------
    load : callable(name) -> (suite, records)
        Called once a suite; records are marked ``stale`` and, where they have arrays, have a
        function ``load`` that reads them.
    methods, datasets, paper : dict, optional
        Default: the contents of the TOML files.
    """

    def __init__(self, load: Callable, methods=None, datasets=None, paper=None):
        self._load, self._suites, self._tables = load, {}, {}
        self.methods = registry.methods() if methods is None else methods
        self.datasets = registry.datasets() if datasets is None else datasets
        self.paper = registry.paper() if paper is None else paper

    @classmethod
    def of(cls, store: Store) -> Evidence:
        """The records of a results folder."""
        now = Standing(store)
        return cls(lambda name: tables.of_suite(name, store, now))

    def suite(self, name: str) -> tuple[dict, list[dict]]:
        """Stanza and records of a suite, stale ones and failures too."""
        if name not in self._suites:
            self._suites[name] = self._load(name)
        return self._suites[name]

    def title(self, dataset: str) -> str:
        """A dataset's name in sentences."""
        return self.datasets[dataset]["title"].partition(" (")[0].partition(",")[0]

    def fresh(self, suite: str) -> list[dict]:
        """Done records of a suite that the code as it is would make again."""
        return [r for r in self.suite(suite)[1] if r["status"] == "done" and not r["stale"]]

    def runs(self, suite: str, dataset: str, method: str, column: str, space="") -> Runs:
        """Fresh runs of a row.

        Parameters
        ----------
        suite, dataset, method : str
        column : str
            A metric, an entry of ``values`` or ``seconds``; one of `DERIVED`; or, of a method that
            puts out samples, what an evaluation of them measured.
        space : str, optional
            Needed where the suite asks for several.

        Raises
        ------
        RegistryError
            Where the suite does not ask for such a row, or for several.
        """
        stanza, _ = self.suite(suite)
        space = self.space(suite, dataset, method, space)
        row = dataset, method, space
        there = [r for r in self.suite(suite)[1] if _row(r) == row and r["status"] == "done"]
        fresh = [r for r in there if not r["stale"]]
        if kinds.of(self.methods[method]).output == "samples":
            made = {f"{method}/{r['key']}": r["cell"]["seed"] for r in fresh}
            found = {
                made[of]: r["values"][column]
                for r in self.fresh(suite)
                if (of := r["cell"]["params"].get("inputs", {}).get("samples")) in made
                and column in r["values"]
            }
        else:
            found = {r["cell"]["seed"]: measured(r, column) for r in fresh}
        asked = stanza.get("only_seeds", {}).get(method, stanza["seeds"])
        return Runs(
            {seed: value for seed, value in sorted(found.items()) if value is not None},
            len(registry.parse_seeds(asked)),
            len(there) - len(fresh),
        )

    def row(self, suite: str, dataset: str, method: str, space="") -> dict:
        """The row of a table of clusterings (`benchmarks.report.summary`); see `runs`."""
        if suite not in self._tables:
            stanza, records = self.suite(suite)
            self._tables[suite] = summary.summarise(
                records, stanza, self.methods, self.datasets, self.paper
            )
        where = dataset, method, self.space(suite, dataset, method, space)
        (row,) = (r for r in self._tables[suite] if comparisons.key(r) == where)
        return row

    def spaces(self, suite: str, dataset: str, method: str, space="") -> list[str]:
        """Spaces in which a suite asks for a row, or only `space`; see `runs` for errors."""
        stanza, _ = self.suite(suite)
        found = []
        if dataset in stanza["datasets"] and method in stanza["methods"]:
            data = self.datasets[dataset]
            found = registry.asked_spaces(stanza, method, self.methods[method], dataset, data)
            if space and data.get("embedding", "none") != "none":
                found = [one for one in found if one == space]
        if not found:
            raise registry.RegistryError(
                f"claims.toml: suite {suite} asks for no {method} on {dataset} {space}".rstrip()
            )
        return found

    def space(self, suite: str, dataset: str, method: str, space="") -> str:
        """The one space of `spaces`; see `runs` for errors."""
        space, *more = self.spaces(suite, dataset, method, space)
        if more:
            raise registry.RegistryError(
                f"claims.toml: suite {suite} asks for {method} on {dataset} in several spaces, "
                f"{[space, *more]}, needs one of them"
            )
        return space


def _row(record) -> tuple:
    cell = record["cell"]
    return cell["dataset"], cell["method"], cell["params"].get("space")


def measured(record: dict, column: str) -> float | None:
    """A column of a record; None where it has none."""
    return DERIVED[column](record) if column in DERIVED else measures.measure(record, column)


def _kinds_of_light(record) -> int:
    """How many of the four kinds of lighting the clusters of faces have."""
    found = figure3.lighting_words(record["load"](), record["values"]["quantities"])
    return len({*figure3.KINDS} & {*found})


def _chance_of_light(record) -> float:
    """Largest permutation p of the brightness of the whole and of its sides' difference."""
    names = record["values"]["quantities"]
    p = record["load"]()["p"]
    return float(max(p[names.index("left - right")], p[names.index("whole")]))


def _copied(record) -> float:
    """Share of samples as near to a training point as the `NEAREST` of held-out points are."""
    arrays = record["load"]()
    return float(
        (arrays["nearest_samples"] <= np.quantile(arrays["nearest_held_out"], NEAREST)).mean()
    )


#: Columns that are no number of a record: made from its arrays, or that it is there.
DERIVED = {
    "done": lambda record: 1.0,
    "lighting_kinds": _kinds_of_light,
    "lighting_p": _chance_of_light,
    "copied": _copied,
}
