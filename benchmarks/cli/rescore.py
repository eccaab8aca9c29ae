"""``mixnet rescore``: metrics of the labels on record, without running anything again."""

from __future__ import annotations

import sys
from collections import defaultdict

from benchmarks.cli.common import Refused
from benchmarks.datasets import DatasetError
from benchmarks.kinds.base import load_dataset
from benchmarks.records import metrics
from benchmarks.records.scores import Scores, scorable, scorer
from benchmarks.report import stats
from benchmarks.run.current import current


def rescore(plans: list, store, names: list[str] | None, source: str | None) -> int:
    """Score what the cells of some plans stand on; print means, and what differs from the records.

    Returns 0, or 1 where data that are needed are not here, or scores cannot be kept; `Refused` for
    an unknown metric.
    """
    names = names or list(metrics.METRICS)
    try:
        for name in names:
            scorer(name)
    except ValueError as error:
        raise Refused(error) from error
    nodes = {key: node for plan in plans for key, node in plan.nodes.items()}
    records = {
        record["key"]: record
        for plan in plans
        for record in current(plan, store)
        if scorable(record) and store.intact(record)
    }
    of_dataset, scores, missing = defaultdict(list), Scores(store), []
    for record in records.values():
        of_dataset[
            record["cell"]["dataset"], record.get("variant"), record["dataset"]["content_hash"]
        ].append(record)
    for (name, variant, content), group in sorted(of_dataset.items(), key=str):
        node = nodes[group[0]["key"]]
        try:
            data = load_dataset(
                name, node.data, content, source, variant if "loader" not in node.data else None
            )
        except (DatasetError, ValueError) as error:
            missing.append(f"not scored: {name}: {error}")
            continue
        rows = defaultdict(list)
        for record in group:
            found = scores.compute(record, data.y, names)
            cell = record["cell"]
            rows[cell["method"], cell["params"]["space"]].append((found, record["metrics"]))
        for (method, space), pairs in rows.items():
            words = []
            for metric in names:
                values = [found[metric] for found, _ in pairs]
                other = sum(
                    metric in then and abs(then[metric] - found[metric]) > 1e-9
                    for found, then in pairs
                )
                words.append(
                    f"{metric} {stats.mean(values):.2f}"
                    + (f" ± {stats.std(values):.2f}" if len(values) > 1 else "")
                    + (f" ({other} differ from the records)" if other else "")
                )
            print(f"{name:<12} {method:<12} {space:<5} n {len(pairs):<3} {', '.join(words)}")
    try:
        scores.save()
    except OSError as error:  # all of it is shown, but reports will not have it
        missing.append(f"the scores could not be kept in {scores.path}: {error.strerror}")
    for words in missing:
        print(words, file=sys.stderr)
    return 1 if missing else 0
