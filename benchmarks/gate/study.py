"""What the gate finds and how often it is wrong, from the reference and the stored records.

``power.csv``, ``.md``, ``.png``: the drops that each test finds, by simulation. A run of as many
seeds as the gate has is drawn beside a reference, lowered by a drop, and judged by the rule.
``false_alarms.csv``: the rule on stored records, ten seeds of a row split at random into two runs
of one and the same code. Nothing is run. The same inputs give the same files.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from benchmarks import registry
from benchmarks.gate.rule import moderated_t, together
from benchmarks.records.files import canonical_json
from benchmarks.report.plot import COLOURS, canvas, save
from benchmarks.report.table import Table
from benchmarks.report.words import replace

REPEATS = 20_000  # simulated runs: the standard error of a power of 80% is 0.3%
SPLITS = 2_000  # random splits of the stored seeds of one row
POWERS = (0.5, 0.8, 0.95)
TIES = (0.0, 0.5)  # correlations of a seed's two runs; 0: they share nothing but the data
SEED = 20
#: Columns of power.csv that the table shows, and what it calls them.
DROPS = {
    "drop_50": "50%",
    "drop_80": "80%",
    "drop_95": "95%",
    "drop_80_resampled": "80%, resampled",
    "drop_80_tied_0.5": "80%, tied",
}
LOOSE = (0.01, 0.05)  # levels at which a rate can be seen: the rule's own is met too seldom


NAMES = ("dataset", "method", "space", "measure")  # of a test


@dataclass(frozen=True)
class Test:
    """One test of the gate: values (n_reference,) of a row's measure in the reference."""

    dataset: str
    method: str
    space: str
    measure: str
    values: np.ndarray

    @property
    def name(self) -> tuple[str, str, str, str]:
        return self.dataset, self.method, self.space, self.measure

    @property
    def sd(self) -> float:
        return float(self.values.std(ddof=1))


def tests(reference: list[dict], gate: dict) -> list[Test]:
    """The single tests that the rule makes of a reference; exact rows have none."""
    rows = defaultdict(list)
    for row in reference:
        if row["method"] not in gate["exact"]:
            for measure in gate["measures"]:
                if row[measure] is not None:
                    rows[row["dataset"], row["method"], row["space"], measure].append(row[measure])
    return [Test(*name, np.array(values)) for name, values in rows.items() if len(values) > 2]


def joint(made: list[Test]) -> dict[tuple[str, str], list[int]]:
    """Positions of the tests that are also taken together, by method and measure."""
    groups = defaultdict(list)
    for i, test in enumerate(made):
        groups[test.method, test.measure].append(i)
    return {name: places for name, places in groups.items() if len(places) > 1}


class Simulation:
    """Runs drawn beside references, by deviations as large as those between the seeds.

    Parameters
    ----------
    made : list of Test
        All with the same number of values.
    gate : dict
    tie : float
        Correlation of the two runs of a seed (normal draws only).
    resample : bool
        Draw from the measured values (around their mean, widened by √(n/(n-1)) to their variance)
        instead of a normal distribution; the measures of a row are drawn together.
    """

    def __init__(self, made: list[Test], gate: dict, tie: float = 0.0, resample: bool = False):
        self.tests, self.groups = made, joint(made)
        self.level = gate["alpha"] / (len(made) + len(self.groups))
        n, total = len(gate["seeds"]), len(made[0].values)
        rng = np.random.default_rng(SEED)
        picks: dict[tuple, np.ndarray] = {}
        self.t, self.unit, thresholds = [], [], []
        for test in made:
            if resample:
                *row, _ = test.name
                if tuple(row) not in picks:
                    picks[tuple(row)] = rng.integers(total, size=(REPEATS, total + n))
                around = (test.values - test.values.mean()) * np.sqrt(total / (total - 1))
                drawn = around[picks[tuple(row)]]
            else:
                drawn = test.sd * rng.standard_normal((REPEATS, total + n))
            old, new = drawn[:, :total], drawn[:, total:]
            new = tie * old[:, :n] + np.sqrt(1 - tie**2) * new
            least = gate["measures"][test.measure]["least"]
            sigma = np.maximum(old.std(axis=1, ddof=1), least)
            t, error, df = moderated_t(new - old[:, :n], sigma, total - 1)
            self.t.append(t)
            self.unit.append(max(test.sd, least) / error)
            # A drop moves nothing but the mean: the smallest one that this run would show.
            thresholds.append(t * error - student.ppf(self.level, df) * error)
        self.df, self.thresholds = df, np.array(thresholds)
        self.common = {}
        for name, places in self.groups.items():
            spread = np.sqrt(len(places) * df / (df - 2))
            z = together(np.stack([self.t[i] for i in places], axis=-1), df)
            slope = sum(self.unit[i] for i in places) / spread
            self.common[name] = (z - norm.ppf(self.level)) / slope

    def false_alarms(self) -> float:
        """Share of runs without any drop in which any of the tests fails."""
        single = (self.thresholds < 0).any(axis=0)
        return float(np.any([single, *(c < 0 for c in self.common.values())], axis=0).mean())


def power_rows(made: list[Test], gate: dict) -> list[dict]:
    """A row a test: deviation between seeds, drops found with each power, rate of false alarms.

    ``drop_50`` and so on are in the measure's unit; of the tests of several datasets together (of
    dataset "all") in deviations between seeds of each dataset.
    """
    plain = {tie: Simulation(made, gate, tie) for tie in TIES}
    drawn = Simulation(made, gate, resample=True)

    def row(*named, pick):
        found = dict(zip((*NAMES, "sd"), named, strict=True))
        for tie, simulation in plain.items():
            name = f"_tied_{tie:g}" if tie else ""
            for power in POWERS:
                found[f"drop_{power * 100:g}{name}"] = float(np.quantile(pick(simulation), power))
        found["drop_80_resampled"] = float(np.quantile(pick(drawn), 0.8))
        found["false_alarms"] = float((pick(plain[0.0]) < 0).mean())
        found["false_alarms_resampled"] = float((pick(drawn) < 0).mean())
        return found

    rows = [row(*t.name, t.sd, pick=lambda s, i=i: s.thresholds[i]) for i, t in enumerate(made)]
    rows += [
        row("all", method, "any", measure, 1.0, pick=lambda s, g=(method, measure): s.common[g])
        for method, measure in plain[0.0].common
    ]
    everything = {
        "dataset": "any test",
        "false_alarms": plain[0.0].false_alarms(),
        "false_alarms_resampled": drawn.false_alarms(),
    }
    return [*rows, everything]


def stored(records: list[dict], gate: dict) -> list[Test]:
    """Rows of stored records with at least twice the gate's seeds: newest done attempt of each.

    Rows of one parameter set each; seeds beyond twice the gate's are left out.
    """
    rows: dict[tuple, dict[int, dict]] = defaultdict(dict)
    for record in records:  # sorted by attempt
        if record["status"] == "done":
            cell = record["cell"]
            params = {k: v for k, v in cell["params"].items() if k != "inputs"}
            rows[cell["dataset"], cell["method"], params["space"], canonical_json(params)][
                cell["seed"]
            ] = record
    made, n = [], 2 * len(gate["seeds"])
    for (dataset, method, space, _), seeds in sorted(rows.items()):
        for measure in gate["measures"]:
            values = [_measured(seeds[seed], measure) for seed in sorted(seeds)]
            values = [v for v in values if v is not None][:n]
            if len(values) == n:
                made.append(Test(dataset, method, space, measure, np.array(values)))
    return made


def _measured(record: dict, measure: str) -> float | None:
    return {**record["values"], **record["metrics"]}.get(measure)


def false_alarms(made: list[Test], gate: dict, level: float) -> list[dict]:
    """The rule on random splits of stored seeds into two runs of the same code, a row a test.

    One half is the reference, and gives the deviation between seeds; the other is judged. The
    shares are of `SPLITS`: ``alarms`` at the gate's own level, ``alarms_1%`` and so on at others,
    where a rate can be seen although the halves of ten seeds differ in 252 ways only.
    """
    rng, n, found = np.random.default_rng(SEED), len(gate["seeds"]), []
    for test in made:
        order = rng.permuted(np.tile(test.values, (SPLITS, 1)), axis=1)
        old, new = order[:, :n], order[:, n:]
        least = gate["measures"][test.measure]["least"]
        t, _, df = moderated_t(new - old, np.maximum(old.std(axis=1, ddof=1), least), n - 1)
        p = student.cdf(t, df)
        found.append(
            {
                **dict(zip(NAMES, test.name, strict=True)),
                "seeds": 2 * n,
                "sd": test.sd,
                "splits": SPLITS,
                "alarms": float((p < level).mean()),
                **{f"alarms_{loose:.0%}": float((p < loose).mean()) for loose in LOOSE},
            }
        )
    return found


def repeated(records: list[dict], gate: dict) -> tuple[int, int]:
    """Cells that were run again, by other code or on another day: (values, of them identical)."""
    cells, n, same = defaultdict(list), 0, 0
    for record in records:
        if record["status"] == "done" and not record.get("restamped_from"):
            cells[record["key"]].append(record)
    for attempts in cells.values():
        for old, new in zip(attempts, attempts[1:], strict=False):
            for measure in gate["measures"]:
                was, now = _measured(old, measure), _measured(new, measure)
                if was is not None and now is not None:
                    n, same = n + 1, same + (was == now)
    return n, same


def main(gate: dict, reference: list[dict], store, folder: Path) -> int:
    """Write the study beside the reference; 0.

    Raises
    ------
    ValueError
        If the reference has no row that a test could stand on.
    """
    made = tests(reference, gate)
    if not made:
        raise ValueError(
            "the reference has no row of three seeds or more that is not exact: "
            "`mixnet gate --update` makes one"
        )
    rows = power_rows(made, gate)
    simulation = Simulation(made, gate)
    records = store.all()
    alarms = false_alarms(stored(records, gate), gate, simulation.level)
    words = _words(rows, alarms, repeated(records, gate), simulation, gate)
    for name, found in (("power", rows), ("false_alarms", alarms)):
        table = Table(list(found[0]) if found else ["dataset"], found)
        replace(folder / f"{name}.csv", table.csv(".5g"))
    replace(folder / "power.md", words)
    _plot(simulation, gate, folder / "power")
    print(words)
    return 0


def _words(rows, alarms, again, simulation, gate) -> str:
    titles = registry.datasets()
    n, total = len(gate["seeds"]), len(simulation.tests[0].values)
    lines = [
        "# The purity gate: what it finds",
        "",
        f"{len(simulation.tests)} tests of one row and {len(simulation.groups)} of several "
        f"datasets together share a level of {gate['alpha']:.0%}, {simulation.level:.2g} each. "
        f"{n} seeds are paired, deviations are those between {total}. Drops are found with the "
        f"power named ({REPEATS:,} simulated runs); the two runs of a seed are taken as unrelated, "
        "the worst case, and in the last column as correlated by a half.",
        "",
        Table(
            ("Dataset", "Method", "Measure", "Deviation", *DROPS.values()),
            [_drops(row, gate["measures"], titles) for row in rows[:-1]],
        ).markdown(),
        "",
        "Rows of the exact methods find a drop, or rise, of one data point always on the "
        "reference's machine; on another, of more than "
        f"{gate['moved_elsewhere']} of a seed.",
        "",
        "Any alarm without a drop, simulated: "
        f"{rows[-1]['false_alarms']:.2%} of runs by normal deviations, "
        f"{rows[-1]['false_alarms_resampled']:.2%} by resampled ones.",
        "",
    ]
    if alarms:
        rate = np.mean([row["alarms"] for row in alarms])
        loose = [
            f"{np.mean([row[f'alarms_{at:.0%}'] for row in alarms]):.2%} at {at:.0%}"
            for at in LOOSE
        ]
        lines += [
            f"Stored records, {len(alarms)} rows of {2 * n} seeds, each split {SPLITS:,} "
            "times into a reference and a run of the same code: "
            f"{rate:.2%} of the tests alarm at the gate's level of {simulation.level:.2%}, "
            f"{' and '.join(loose)}. At the first of these rates "
            f"{1 - (1 - rate) ** (len(simulation.tests) + len(simulation.groups)):.2%} of "
            "harmless changes would turn the gate red, were its tests independent.",
            "",
        ]
    if again[0]:
        lines += [
            f"Stored records that were made twice: {again[0]} values, {again[1]} of them "
            "identical.",
            "",
        ]
    return "\n".join(lines)


def _drops(row, measures, titles) -> list[str]:
    """A row of `power_rows` in words, under the columns of the table."""
    measure, several = measures[row["measure"]], row["dataset"] == "all"
    return [
        titles.get(row["dataset"], {}).get("title", row["dataset"]),
        row["method"],
        f"{measure['label']}, {'deviations' if several else measure['unit']}",
        "" if several else f"{row['sd']:.2f}",
        *(f"{row[name]:.2f}" for name in DROPS),
    ]


def _plot(simulation, gate, base) -> None:
    datasets, methods = registry.datasets(), registry.methods()
    figure = canvas(9.5, 4.0)
    axes = figure.subplots(1, len(gate["measures"]), sharey=True, squeeze=False)[0]
    names = list(dict.fromkeys(t.dataset for t in simulation.tests))
    shown = dict.fromkeys(t.method for t in simulation.tests)
    dashes = dict(zip(shown, itertools.cycle(("--", "-", ":", "-."))))
    share = (np.arange(REPEATS) + 0.5) / REPEATS
    handles = {}
    for axis, (measure, stanza) in zip(axes, gate["measures"].items(), strict=True):
        largest = 2 * stanza["least"]
        for test, drops in zip(simulation.tests, simulation.thresholds, strict=True):
            if test.measure == measure:
                title = datasets.get(test.dataset, {}).get("title", test.dataset)
                label = methods.get(test.method, {}).get("label", test.method)
                colour = COLOURS[names.index(test.dataset) % len(COLOURS)]
                look = {"linestyle": dashes[test.method], "linewidth": 1.5, "color": colour}
                (line,) = axis.plot(np.sort(drops)[::20], share[::20], **look)
                handles[f"{title}: {label}"] = line
                largest = max(largest, drops.max())
        axis.axhline(0.8, color="0.6", linewidth=0.8, zorder=0)
        axis.set(xscale="log", xlim=(stanza["least"], 1.2 * largest), ylim=(0, 1))
        axis.set_xlabel(f"drop of mean {stanza['label']}, {stanza['unit']}")
        axis.xaxis.set_major_formatter("{x:g}")
    axes[0].set_ylabel("share of such drops that are found")
    figure.legend(
        handles.values(), handles.keys(), loc="outside right center", frameon=False, fontsize=8
    )
    save(figure, base)
