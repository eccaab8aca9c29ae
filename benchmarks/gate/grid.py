"""Running the gate's grid: ordinary cells, in a folder that holds nothing yet."""

from __future__ import annotations

from pathlib import Path

from benchmarks import registry
from benchmarks.gate.reference import DIGITS
from benchmarks.records import folders
from benchmarks.records.provenance import PACKAGES
from benchmarks.records.store import Store
from benchmarks.run.dispatch import Dispatcher, Settings
from benchmarks.run.plan import Plan, cell_state, check_names
from benchmarks.run.progress import Display

KEYS = (
    "seeds", "reference_seeds", "alpha", "measures", "exact", "moved_elsewhere", "timeout_s",
    "grid",
)  # fmt: skip


def load() -> dict:
    """gate.toml with ``seeds`` and ``reference_seeds`` as lists; what is missing is named.

    Raises
    ------
    RegistryError
        Where there is no gate.toml, or a key of it is not there.
    """
    gate = registry.gate()
    for key in KEYS:
        if key not in gate:
            raise registry.RegistryError(f"gate.toml: needs `{key}`")
    gate = {
        **gate,
        **{key: registry.parse_seeds(gate[key]) for key in ("seeds", "reference_seeds")},
    }
    listed = datasets(gate)
    twice = sorted({name for name in listed if listed.count(name) > 1})
    if twice:  # a schedule is the dataset's: one of two would be lost
        raise registry.RegistryError(f"gate.toml: {', '.join(twice)} stands in more than one grid")
    if not set(gate["seeds"]) <= set(gate["reference_seeds"]):
        raise registry.RegistryError("gate.toml: reference_seeds must hold all of seeds")
    return gate


def datasets(gate: dict) -> list[str]:
    """Datasets of the grid, in its order."""
    return [name for part in gate["grid"] for name in part["datasets"]]


def choose(gate: dict, source: str | None, wanted=None) -> tuple[list[str], list[str]]:
    """Datasets to run, and those left out since their raw files are not on this machine.

    The gate downloads nothing. `wanted` selects from the grid.

    Raises
    ------
    UnknownName
        For a dataset that the grid has not.
    """
    listed = datasets(gate)
    wanted = check_names(wanted, dict.fromkeys(listed), "dataset of the gate") or listed
    absent = [name for name in wanted if not _present(name, source)]
    return [name for name in wanted if name not in absent], absent


def _present(name: str, source: str | None) -> bool:
    from benchmarks.datasets import status

    if "loader" in registry.get(registry.datasets(), name, "dataset"):
        return True  # a loader of one's own knows itself where its data are
    return status(name, source=source)[0]["state"] == "present"


def plan(gate: dict, chosen: list[str], seeds, source: str | None, store: Store) -> Plan:
    """Cells of the chosen datasets, with the grid's schedules and time limit.

    Exact methods have no deviation to be measured: they run with the gate's first seed.
    """
    schedules = {
        name: part.get("schedule", {}) for part in gate["grid"] for name in part["datasets"]
    }
    made = Plan(source=source, store=store, schedules=schedules)
    for seed in seeds:
        for part in gate["grid"]:
            for dataset in (name for name in part["datasets"] if name in chosen):
                for method, space in part["methods"].items():
                    if seed == gate["seeds"][0] or method not in gate["exact"]:
                        made.add(dataset, method, space, seed)
    for node in made.nodes.values():
        node.method = {**node.method, "timeout_s": gate["timeout_s"]}
    return made


def run(
    gate: dict,
    chosen: list[str],
    seeds,
    folder: Path,
    source: str | None = None,
    jobs: int = 1,
    display: Display | None = None,
) -> tuple[list[dict], bool]:
    """Run the grid; rows as in the reference, each with a ``reason``, and whether it was stopped.

    Records and artefacts go under `folder`, so that none of another time can be taken for one of
    this: one thread a cell, on the CPU.

    Raises
    ------
    ValueError
        If `folder` holds anything.
    """
    folder = Path(folder)
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"folder is {folder}, needs to be empty: the gate reuses nothing")
    store = Store(folder / "results")
    with folders.artifacts_in(folder / "artifacts"):
        cells = plan(gate, chosen, seeds, source, store)
        settings = Settings(jobs=jobs, threads=1, source=source)
        summary = Dispatcher(cells, store, settings, display or Display()).run()
        rows = [
            _row(node, cell_state(node, store).last, gate)
            for node in cells.nodes.values()
            if node.requested
        ]
    return rows, summary.stopped


def _row(node, record: dict | None, gate: dict) -> dict:
    cell = node.cell
    row = {
        **{name: cell[name] for name in ("dataset", "method", "seed")},
        "space": cell["params"]["space"],
        "status": "not run",
        "reason": "",
        "n": None,
        "key": node.key,
        **dict.fromkeys(gate["measures"]),
    }
    if record is None:
        return row
    made, found = record["provenance"], {**record["values"], **record["metrics"]}
    return {
        **row,
        "status": record["status"],
        "reason": (record.get("error") or {}).get("reason", ""),
        "n": (record["dataset"] or {}).get("n"),
        **{
            name: found[name] if found.get(name) is None else round(found[name], DIGITS)
            for name in gate["measures"]
            if name in found
        },
        "commit": made["commit"],
        "dirty": made["dirty"],
        "cpu": made["cpu"],
        **{name: made["versions"][name] for name in ("python", *PACKAGES)},
    }
