"""Figure files under the results folder: to which suite each belongs, and which are not there."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from pathlib import Path

#: Captions of what belongs to no suite.
LOOSE = {"gain": "By how much the mixture improves the k-means partition that it starts from"}


@dataclass
class Figure:
    """A picture as a data URI, with its size in pixels and the files that lie beside it.

    ``older`` says how far it is of code that has changed.
    """

    id: str
    caption: str
    uri: str
    width: int
    height: int
    files: list[str] = field(default_factory=list)
    command: str = ""
    older: str = ""


def collect(results: Path, suites: dict, datasets: dict):
    """Pictures by suite, and what is not there.

    Returns
    -------
    found : dict of str -> list of Figure
        By suite; under ``""`` those that belong to none.
    missing : list of (str, str)
        A file that a suite draws and that is not there, or damaged, and the suite.
    """
    folders = {
        name: results / ("figures" if _draws(suite) else "") for name, suite in suites.items()
    }
    stems = {name: suite.get("table", name) for name, suite in suites.items()}
    found, missing, damaged = {}, [], []
    pictures = [*results.glob("*.png"), *(results / "figures").glob("*.png")]
    for path in sorted(pictures, key=lambda path: path.with_suffix("").parts):
        owner = max(
            (
                name
                for name in suites
                if path.parent == folders[name] and (path.stem + "-").startswith(stems[name] + "-")
            ),
            key=lambda name: len(stems[name]),
            default="",
        )
        figure = _figure(path, results, suites.get(owner, {}), stems.get(owner, ""), datasets)
        if figure is None:
            damaged.append((path.relative_to(results).as_posix() + " (damaged)", owner))
            continue
        figure.command = f"mixnet table {owner}" if owner else ""
        found.setdefault(owner, []).append(figure)
    for name, suite in suites.items():
        here = {path.name for path in folders[name].glob("*.png")}
        if _draws(suite):
            if name not in found:
                missing.append((f"figures/{stems[name]}.png", name))
        else:
            missing += [(file, name) for file in _expected(suite, stems[name]) if file not in here]
    return found, missing + damaged


def _draws(suite) -> bool:
    return suite.get("report", "").startswith("figure")


def _expected(suite, stem) -> list[str]:
    if suite.get("report") == "knee":
        return [f"{stem}-{dataset}.png" for dataset in suite["datasets"]]
    return [] if "columns" in suite or suite.get("report") else [f"{stem}.png"]


def _figure(path, results, suite, stem, datasets) -> Figure | None:
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as opened:
            picture = opened.convert("RGBA" if opened.has_transparency_data else "RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    smaller = io.BytesIO()  # every pixel as in the file, at less than half its size
    picture.save(smaller, "WEBP", lossless=True, method=6)
    part = path.stem.removeprefix(stem).strip("-")
    part = part if stem else LOOSE.get(part, part)
    title = datasets.get(part, {}).get("title") or part.replace("-", " ")
    caption = " · ".join(filter(None, [suite.get("title", ""), title])) or path.stem
    beside = [path.with_suffix(f".{kind}") for kind in ("png", "pdf", "csv")]
    return Figure(
        "figure-" + path.relative_to(results).with_suffix("").as_posix().replace("/", "-"),
        caption,
        "data:image/webp;base64," + base64.b64encode(smaller.getvalue()).decode(),
        *picture.size,
        [file.relative_to(results).as_posix() for file in beside if file.is_file()],
    )
