"""Models to take away: samples and weights of chosen cells in one file, with a card; and back.

A file of `write` is a zip archive: ``README.md`` is the card, ``manifest.json`` says the same for
programs, and ``artifacts/<dataset>/<method>/<key>/`` has the files of each cell, as on the machine
that made them. Data and codes are not in it, and nothing in it is ever executed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from benchmarks.kinds.base import FITTED
from benchmarks.records import folders, provenance
from benchmarks.records.files import artifacts_root
from benchmarks.records.store import Store
from benchmarks.records.whole import write_atomic
from benchmarks.report.table import Table
from benchmarks.run.current import standing
from benchmarks.run.plan import Node, Plan, Standing, artefact

MODELS, SAMPLES = ("model.pt", "model.npz"), "samples.npy"
CARD, MANIFEST, INSIDE = "README.md", "manifest.json", "artifacts"
WHEN = (1980, 1, 1, 0, 0, 0)  # of every member: the same files make the same archive
FORMAT = 1
#: What reading a file raises that is no archive, or not one of ours.
NOT_OURS = (
    OSError, KeyError, TypeError, RuntimeError, NotImplementedError, zipfile.BadZipFile,
    zlib.error, json.JSONDecodeError,
)  # fmt: skip

CARD_HEAD = """\
# {title}

Trained models and samples of *Generative Mixture of Networks* (arXiv:1702.03307) and of what it is
compared with, exported by mixnet {version}{commit} from the suite `{suite}`.

"""
CARD_TAIL = """
## How to use them

`mixnet_core` reads the mixtures and the autoencoders (`model.pt`). A mixture that was trained on
codes generates codes; the autoencoder beside it makes points of the dataset of them:

```python
{example}
```

`samples.npy` holds samples as they were scored: points of the dataset, a row each, from 0 to 1. The
notebook `explore_a_run` of the repository shows a mixture of this file, given its path as
`exported`.

## What they are for, and what not

The numbers of the benchmark stand on them: they are for looking at and for measuring again. They
are small models of small data sets; samples resemble the images that they were trained on, and may
be near copies of some. Nothing here was made for use on persons.

## Data and licence

Code and weights: BSD-3-Clause. No data are part of this file. Trained on:

{data}
"""


class NothingThere(LookupError):
    """No cell that was asked for is on this machine; the message says which, and what to do."""


def write(suite: str, plan: Plan, store: Store, output: Path) -> tuple[list[Node], dict[str, str]]:
    """Pack samples and weights of the cells that a plan asks for, with what reading them needs.

    Parameters
    ----------
    suite : str
        Its name, for the card.
    plan : benchmarks.run.plan.Plan
        Requested cells without weights or samples (partitions, evaluations) are passed over.
    store : benchmarks.records.store.Store
    output : path
        The archive; what was there is replaced.

    Returns
    -------
    packed : list of Node
    left : dict of str -> str
        Cells that were asked for and are not in the file, and why.

    Raises
    ------
    NothingThere
        Where not one of the cells can be packed.
    OSError
        When the file cannot be written.
    """
    now, packed, left, files = Standing(store), [], {}, {}
    for node in plan.nodes.values():
        if not (node.requested and node.kind.kept):
            continue
        found, why = _files(node, now, store)
        if why:
            left[str(node)] = why
        else:
            packed.append(node)
            files |= found
    if not packed:
        reasons = "; ".join(f"{name}: {why}" for name, why in left.items())
        raise NothingThere(reasons or "none of its cells keeps samples or a model")
    entries = _entries(files)
    rows = [_row(node, plan, now, entries) for node in packed]
    manifest = {"format": FORMAT, "suite": suite, "cells": rows, "files": list(entries.values())}
    text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"

    def archive(handle) -> None:
        with zipfile.ZipFile(handle, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as into:
            for name, words in ((CARD, card(suite, packed, rows)), (MANIFEST, text)):
                into.writestr(zipfile.ZipInfo(name, WHEN), words)
            for name, path in files.items():
                member = zipfile.ZipInfo(name, WHEN)
                member.compress_type = zipfile.ZIP_DEFLATED
                with open(path, "rb") as source, into.open(member, "w", force_zip64=True) as target:
                    shutil.copyfileobj(source, target, 1 << 20)

    write_atomic(output, archive)
    return packed, left


def _files(node: Node, now: Standing, store: Store) -> tuple[dict[str, Path], str]:
    """Files of a cell by their names in the archive; or why it cannot be packed."""
    record = standing(now.state(node))
    if record is None or record["status"] != "done":
        return {}, "not run" if record is None else record["status"]
    found = {}
    if node.output == "samples":
        if artefact(node, record, store) is None:
            return {}, "its samples are not on this machine"
        found[_inside(node, SAMPLES)] = node.artifacts / SAMPLES
    for one in (node, *_below(node)):
        for name in MODELS:
            if (one.artifacts / name).is_file():
                found[_inside(one, name)] = one.artifacts / name
        if set(FITTED) & set(one.kind.kept) and not any(
            _inside(one, name) in found for name in MODELS
        ):
            return {}, f"the model of {one} is not on this machine"
    if all(name.endswith(SAMPLES) for name in found):  # images themselves, or a model that is lost
        return {}, "it has no model on this machine"
    return found, ""


def _below(node: Node) -> Iterator[Node]:
    """Cells whose models it takes to use that of a cell: embeddings, and one taken over."""
    for role, need in node.needs.items():
        if role == "codes" or role in FITTED:
            yield need
            yield from _below(need)


def _inside(node: Node, name: str) -> str:
    return f"{INSIDE}/{node.artifacts.relative_to(artifacts_root()).as_posix()}/{name}"


def _entries(files: dict[str, Path]) -> dict[str, dict]:
    def entry(name, path):
        with open(path, "rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
        return {"name": name, "bytes": path.stat().st_size, "sha256": digest}

    return {name: entry(name, path) for name, path in files.items()}


def _row(node: Node, plan: Plan, now: Standing, entries: dict[str, dict]) -> dict:
    """What the card says of a cell."""
    record = standing(now.state(node))
    scores = {"purity": record["metrics"].get("purity")}
    for other in plan.nodes.values():
        if other.needs.get("samples") is node:
            of = standing(now.state(other))
            if of is not None and of["status"] == "done" and "ll" in of["values"]:
                scores["nats of test images"] = of["values"]["ll"]
    return {
        "dataset": node.cell["dataset"],
        "method": node.cell["method"],
        "space": node.cell["params"]["space"],
        "seed": node.cell["seed"],
        "key": node.key,
        "attempt": record["attempt"],
        "of present code": not record["stale"],
        "scores": {name: value for name, value in scores.items() if value is not None},
        "files": [name for name in entries if f"/{node.key}/" in name],
    }


def card(suite: str, nodes: list[Node], rows: list[dict]) -> str:
    """The card in Markdown: what is in the file, how to read it, what it was trained on."""
    from mixnet_core import __version__

    commit = provenance.commit().get("commit")
    shown = Table(
        ("Dataset", "Method", "Seed", "Scores", "Code", "Folder"),
        [
            (
                node.data["title"],
                f"{node.method['label']}, {row['space']}",
                row["seed"],
                ", ".join(f"{name} {value:.1f}" for name, value in row["scores"].items()) or "–",
                "present" if row["of present code"] else "has changed since",
                f"`{_inside(node, '')}`",
            )
            for node, row in zip(nodes, rows, strict=True)
        ],
    )
    trained_on = {node.cell["dataset"]: node.data for node in nodes}.values()
    data = [
        f"* {data['title']}: {data.get('citation', 'no citation')}. "
        f"Licence of the data: {data.get('licence', 'not stated')}."
        for data in trained_on
    ]
    head = CARD_HEAD.format(
        title=f"mixnet: models of {suite}",
        version=__version__,
        commit=f" (commit {commit[:12]})" if commit else "",
        suite=suite,
    )
    tail = CARD_TAIL.format(example=_example(nodes), data="\n".join(data))
    return head + shown.markdown() + "\n" + tail


def _example(nodes: list[Node]) -> str:
    """Lines that read the first mixture of the file, or say where the arrays are."""
    for node in nodes:
        one = node.needs.get("model", node)
        if (one.artifacts / MODELS[0]).is_file() and "model" in one.kind.kept and one.kind.row:
            imports = ["from mixnet_core import MixtureOfNetworks"]
            lines = [
                f'model = MixtureOfNetworks.load("{_inside(one, MODELS[0])}")',
                "points, components = model.sample(20, random_state=0)",
            ]
            while (one := one.needs.get("codes")) is not None:
                module, _, name = one.method["estimator"].partition(":")
                imports.append(f"from {module} import {name}")
                lines += [
                    f'decoder = {name}.load("{_inside(one, MODELS[0])}")',
                    "points = decoder.inverse_transform(points)",
                ]
            return "\n".join([*imports, "", *lines])
    node = nodes[0]
    return f'import numpy as np\nsamples = np.load("{_inside(node, SAMPLES)}")'


# -- and back ---------------------------------------------------------------------------------


@contextlib.contextmanager
def opened(archive: Path, nodes: list[Node]) -> Iterator[None]:
    """Have the models of `nodes` come from a file of `write`, as long as the context lasts.

    Raises
    ------
    ValueError
        For a file that is no such archive, is damaged, or has no model of the first of them.
    """
    with tempfile.TemporaryDirectory() as place:
        try:
            _unpack(archive, nodes, Path(place))
        except NOT_OURS as error:
            raise ValueError(
                f"{archive} is damaged, or no file of `mixnet export`: {error}"
            ) from error
        with folders.artifacts_in(Path(place)):
            yield


def _unpack(archive: Path, nodes: list[Node], place: Path) -> None:
    with zipfile.ZipFile(archive) as source:
        manifest = json.loads(source.read(MANIFEST))
        hashes = {entry["name"]: entry["sha256"] for entry in manifest["files"]}
        names = [_inside(node, file) for node in nodes for file in MODELS]
        if not set(names[: len(MODELS)]) & set(hashes):
            cells = {f"{c['dataset']} {c['method']} seed {c['seed']}" for c in manifest["cells"]}
            raise ValueError(
                f"{archive} has no model of {nodes[0]} with the settings of now; it has "
                + ", ".join(sorted(cells))
            )
        for name in names:  # of ours alone: no name in the archive leads anywhere else
            if name not in hashes:
                continue
            path = place / Path(name).relative_to(INSIDE)
            path.parent.mkdir(parents=True, exist_ok=True)
            with source.open(name) as packed, open(path, "wb") as target:
                shutil.copyfileobj(packed, target, 1 << 20)
            with open(path, "rb") as handle:
                if hashlib.file_digest(handle, "sha256").hexdigest() != hashes[name]:
                    raise ValueError(f"{archive}: {name} is damaged")
