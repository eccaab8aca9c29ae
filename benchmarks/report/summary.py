"""Records of cells -> one row for each dataset, method and feature space."""

from __future__ import annotations

from collections import Counter, defaultdict

from benchmarks import kinds, registry
from benchmarks.records import sizes
from benchmarks.report import comparisons, layout, stats, words

#: Columns of table1.csv. Those up to `verdict` are a promise to its readers, the rest may grow.
COLUMNS = (
    "dataset", "method", "space", "n", "purity_mean", "purity_std", "acc_mean", "acc_std",
    "nmi_mean", "ari_mean", "seconds_mean", "paper_mean", "paper_std", "verdict", "variant",
    "n_asked", "d", "n_points", "p", "L", "structure", "stale", "missing", "chosen", "heldout_mean",
    "heldout_std", "trivial", "largest_cluster", "collapsed", "alike", "codes_seconds_mean",
    *comparisons.TESTED, "acc_verdict", *(f"acc_{name}" for name in comparisons.TESTED), "features",
)  # fmt: skip
METRICS = ("purity", "acc", "nmi", "ari")


def of_mixture(method: str) -> bool:
    """Whether a method is the paper's own; any other is what the paper compares it with."""
    return method.startswith("mixnet")


def summarise(records, suite, methods, datasets, paper) -> list[dict]:
    """Rows in the order of the suite: dataset, then method, then space.

    Parameters
    ----------
    records : iterable of dict
        At most one `done` attempt of a cell, with `cell`, `metrics` (percent), `seconds` and the
        `stale` mark of the caller. Attempts that did not end `done` are counted under `missing`
        and never averaged; cells outside the suite are left out.
    suite : dict
        `datasets`, `methods`, `seeds` (a list, or "0-9"), and optionally `spaces` as
        {method: [space, ...]}.
    methods, datasets, paper : dict
        Contents of methods.toml, datasets.toml and paper.toml.

    Returns
    -------
    list of dict
        The keys of `COLUMNS`; a missing measurement or figure is None, `stale` counts the
        averaged attempts that other code made, `missing` names what became of the cells asked for
        and not done, such as "7 no data, 3 not run". `alike` counts the runs of a row whose seeds
        all gave the same partition (by all scores): it is one run, without a deviation, and `n` is
        1. `codes_seconds_mean` is of the autoencoder whose codes were taken. `chosen` says how
        often a selection took which of its candidates, such as "ldmgi/code 7, ncut/raw 3";
        `trivial` is the purity of one cluster of all points and `largest_cluster` the mean share
        of the largest, in percent; `collapsed` counts the averaged partitions that are
        (`benchmarks.records.sizes`); `features` are what the method was given, which `space`
        does not tell where the codes are not the dataset's (`benchmarks.report.layout`), `p` is
        the size of its codes and `structure` of its networks; for the
        rest see `benchmarks.report.comparisons`. Beside the columns ``runs``, seed -> ``purity``,
        ``acc`` and ``stale``, and ``paper_runs``.

    Raises
    ------
    ValueError
        Two `done` attempts of one seed in a row, or attempts on different data.
    """
    seeds = registry.parse_seeds(suite["seeds"])
    cells = defaultdict(list)
    for record in records:
        cell = record["cell"]
        cells[cell["dataset"], cell["method"], cell["params"].get("space")].append(record)
    rows = []
    for dataset in suite["datasets"]:
        for method in (m for m in suite["methods"] if kinds.of(methods[m]).row):
            stanza, data = methods[method], datasets[dataset]
            for space in registry.asked_spaces(suite, method, stanza, dataset, data):
                mine = cells[dataset, method, space]
                row = _row(dataset, method, space, mine, seeds, data, paper, stanza)
                of = row["features"] = layout.features(method, space, methods)
                row["p"] = layout.code_dim(method, of, methods, data)
                row["structure"] = layout.value(method, "structure", methods, data)
                rows.append(row)
    comparisons.judge(rows, paper)
    return rows


def paper_figure(paper, dataset, method, space):
    """Printed (mean, std, runs) of Table 1 or of §4.2.1 (MNIST), or (None, None, None)."""
    table = paper["table1"]
    figures, where = table["datasets"].get(dataset, {}), table["space"]
    if dataset == "mnist":
        table = figures = paper["mnist"]
        where = table["space"]
    if where.get(method) != space or method not in figures:
        return None, None, None
    return figures[method]["mean"], figures[method]["std"], table["runs"]


def _row(dataset, method, space, records, seeds, stanza, paper, method_stanza):
    done, failed = {}, {}
    for record in records:
        seed = record["cell"]["seed"]
        if seed not in seeds:
            continue
        if record.get("status", "done") != "done":
            failed[seed] = record["status"]
        elif seed in done:
            raise ValueError(
                f"two done attempts of {dataset}/{method}/{space} seed {seed}: pass "
                "the newest attempt of the cells that the suite asks for, only"
            )
        else:
            done[seed] = record
    runs = [done[seed] for seed in sorted(done)]
    data = {run["cell"].get("content_hash") for run in runs}
    if len(data) > 1:
        raise ValueError(
            f"{dataset}/{method}/{space} mixes runs on {len(data)} different data: "
            "pass the runs on one of them, only"
        )

    mean, std, paper_runs = paper_figure(paper, dataset, method, space)
    columns = {m: [run["metrics"].get(m) for run in runs] for m in METRICS}
    alike, missing = _alike(columns), [seed for seed in seeds if seed not in done]
    row = {"dataset": dataset, "method": method, "space": space, "n": 1 if alike else len(runs)}
    row |= {f"{m}_mean": stats.known(stats.mean, columns[m]) for m in METRICS}
    row |= {
        f"{m}_std": None if alike else stats.known(stats.std, columns[m]) for m in ("purity", "acc")
    }
    row |= {"alike": alike, "paper_mean": mean, "paper_std": std, "paper_runs": paper_runs}
    for seconds in ("seconds", "codes_seconds"):
        row[f"{seconds}_mean"] = stats.known(stats.mean, [run.get(seconds) for run in runs])

    # Of densities: log-likelihood of held-out points, in nats and the units of the features.
    heldout = _values(runs, "heldout_log_likelihood")

    row |= {
        "variant": "/".join(sorted({run.get("variant") or "" for run in records} - {""})),
        "n_asked": 1 if alike and not missing else len(seeds),
        "d": stanza["d"],
        "n_points": stanza["n"],
        "L": stanza["n_classes"],
        "stale": sum(bool(run.get("stale")) for run in runs),
        "missing": words.tally(failed.get(seed, "not run") for seed in missing),
        "chosen": _chosen(runs, method_stanza),
        "heldout_mean": stats.known(stats.mean, heldout),
        "heldout_std": stats.known(stats.std, heldout),
        "trivial": stats.known(stats.mean, _values(runs, "largest_class")),
        "largest_cluster": stats.known(stats.mean, _values(runs, "largest_cluster")),
        "collapsed": sum(bool(sizes.collapsed(run)) for run in runs),
    }
    row["runs"] = {
        seed: {m: run["metrics"].get(m) for m in ("purity", "acc")}
        | {"stale": bool(run.get("stale"))}
        for seed, run in done.items()
    }
    return row


def _alike(columns) -> int:
    """Number of runs if there are several whose scores are all the same, but for the last bits."""
    scores = [
        tuple(None if value is None else round(value, 9) for value in run)
        for run in zip(*columns.values(), strict=True)
    ]
    return len(scores) if len(scores) > 1 and len({*scores}) == 1 and None not in scores[0] else 0


def _chosen(runs, stanza):
    if not kinds.of(stanza).chooses:
        return ""
    roles = sorted(stanza["needs"])  # the order in which `kinds.selection` hands them over
    counts = Counter(
        stanza["needs"][roles[run["values"]["chosen"]]] for run in runs if "chosen" in run["values"]
    )
    return ", ".join(f"{need} {count}" for need, count in counts.most_common())


def _values(runs, name):
    return [run.get("values", {}).get(name) for run in runs]
