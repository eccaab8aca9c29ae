"""Results as a notebook reads them: what is missing is said, with the command that makes it.

Nothing here writes into the results folder, and nothing raises for what has not been run yet.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from benchmarks import kinds, registry
from benchmarks.datasets import Dataset, DatasetError, load
from benchmarks.kinds.base import resolve
from benchmarks.records.store import Store, default_results
from benchmarks.report import export
from benchmarks.run.current import standing
from benchmarks.run.plan import Node, Plan, artefact, cell_state


@dataclass
class Run:
    """A trained model with what the harness knows of it.

    Attributes
    ----------
    node : benchmarks.run.plan.Node
        The cell: ``cell`` with its parameters, ``data`` and ``method`` with their stanzas.
    model
        The fitted estimator.
    autoencoder : mixnet_core.autoencoder.Autoencoder or None
        The one whose codes the model was trained on; None where it learnt raw features.
    record : dict or None
        Its newest record; None where there is none.
    """

    node: Node
    model: object
    autoencoder: object | None
    record: dict | None


def results_folder(start: Path | None = None) -> Path:
    """Folder of the results: ``MIXNET_RESULTS``, else the one that a folder lies in or beside.

    `start`, where that is looked for, is by default the working directory, which for a notebook is
    its own folder. Where none is found: `results/` of the checkout.
    """
    if not os.environ.get("MIXNET_RESULTS"):
        start = Path(start or Path.cwd()).resolve()
        for folder in (start, *start.parents):
            for place in (folder, folder / "results"):
                if (place / "records").is_dir():
                    return place
    return default_results()


def saved_run(
    place: Path,
    dataset: str,
    method: str = "mixnet",
    seed: int = 0,
    fast: bool = False,
    exported: str | Path = "",
) -> Run | None:
    """The saved model of a run; None, and a message that names the command, where there is none.

    Parameters
    ----------
    place : path
        A results folder.
    dataset, method : str
        Names of the registry; the method puts out a model (``mixnet``, ``mixnet+``, …).
    seed : int
    fast : bool
        Of a run with ``--fast``.
    exported : path, optional
        A file of ``mixnet export`` from which models are read, rather than from the artefacts.
    """
    store = Store(place)
    try:
        stanza = registry.get(registry.methods(), method, "method")
        if "model" not in kinds.of(stanza).kept:
            raise registry.RegistryError(
                f"method is {method!r}, which saves no mixture; needs one "
                "of kind mixture, see `mixnet list methods`"
            )
        space = stanza["spaces"][0]
        node = Plan(fast, store=store, recorded=True).add(dataset, method, space, seed)
    except (registry.UnknownName, registry.RegistryError) as error:
        print(error)
        return None
    with contextlib.ExitStack() as stack:
        if exported:
            try:
                stack.enter_context(export.opened(Path(exported), [node, *_codes(node)]))
            except ValueError as error:
                print(error)
                return None
        return _read(node, store, f"--seeds {seed}{' --fast' if fast else ''}")


def _codes(node: Node) -> list[Node]:
    """The embeddings under a cell, the nearest first."""
    under = node.needs.get("codes")
    return [] if under is None else [under, *_codes(under)]


def _read(node: Node, store: Store, again: str) -> Run | None:
    record = standing(cell_state(node, store))
    fitted = {}
    for role, one in {"model": node, "codes": node.needs.get("codes")}.items():
        if one is None:
            continue
        path = artefact(one, record, store, "model")
        words = "is not on this machine"
        if path is not None:
            try:
                fitted[role] = resolve(one.method["estimator"]).load(path)
                continue
            except ValueError as error:
                words = f"cannot be read ({error}); delete it"
        print(
            f"The model of {one} {words}. The command that makes it:\n"
            f"mixnet run quickstart --datasets {node.cell['dataset']} "
            f"--methods {one.cell['method']} {again} --remake"
        )
        return None
    run = Run(node, fitted["model"], fitted.get("codes"), record)
    if record and any(
        record["values"].get(name) != value for name, value in run.model.values_.items()
    ):
        print(
            f"The saved model is not that of the newest record of {node}, which another machine "
            "or other code may have made: what follows is of the model."
        )
    return run


def dataset(name: str) -> Dataset | None:
    """The arrays of a dataset; None, and a message that says how to get it, where it is not here.

    Nothing is downloaded.
    """
    try:
        return load(name, download=False)
    except DatasetError as error:
        print(f"{error} What is here, and how to get it: mixnet data {name}")
        return None
