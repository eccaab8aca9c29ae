"""One self-contained page of all that the records say: ``results/report.html``.

A function of records, the TOML files, attempts.csv and the figure files: the same ones give the
same bytes. The page loads nothing: figures are data URIs, and its own policy forbids the network.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from pathlib import Path
from urllib.parse import quote

from benchmarks.records.store import Store
from benchmarks.report import words
from benchmarks.report.page import facts, suites
from benchmarks.report.page.cells import FIRST, STATES, Cells
from benchmarks.report.page.figures import collect

HERE = Path(__file__).parent


def write(store: Store, output) -> Path:
    """Write the page of a store's results to a file, replaced whole; returns its path."""
    output = Path(output)
    linked = output.resolve().parent == store.results.resolve()
    return words.replace(output, page(store, linked))


def page(store: Store, linked: bool = True) -> str:
    """The page as HTML; `linked` where it will lie among the results, which it can then link to."""
    cells = Cells(store)
    sections = {name: suites.section(name, cells) for name in cells.suites}
    figures, absent = collect(store.results, cells.suites, cells.datasets)
    for name, section in sections.items():
        section.figures = figures.get(name, [])
        for figure in section.figures:
            figure.older = suites.older(section)
    main = [sections.pop(name) for name in FIRST if name in sections]
    for section in main:  # one Table 2: what varies it stands in it
        variants = [name for name in sections if name.startswith(f"{section.name}-")]
        section.more = [sections.pop(name) for name in variants]
        for variant in section.more:
            title = variant.title.removeprefix(section.title).strip(" ,:")
            variant.title = title[:1].upper() + title[1:]
    drawn = [sections.pop(name) for name in list(sections) if name.startswith("figure")]
    claims = facts.claims(store.results)
    records, tally = store.all(), cells.tally()
    style, script = (
        (HERE / name).read_text(encoding="utf-8") for name in ("style.css", "script.js")
    )
    return (
        _environment()
        .get_template("template.html")
        .render(
            style=style,
            script=script,
            policy=_policy(style, script),
            linked=linked,
            main=main,
            drawn=drawn,
            further=list(sections.values()),
            grids=[
                (suite.get("title", name), suites.grid(name, cells), suites.tally(name, cells))
                for name, suite in cells.suites.items()
            ],
            claims=claims,
            verdicts=Counter(claim["verdict"] for found in claims.values() for claim in found),
            states=STATES,
            tally=[(state, tally[state]) for state in STATES if tally[state]],
            n_cells=sum(tally.values()),
            n_records=len(records),
            newest=max((r["provenance"].get("started") or "" for r in records), default=""),
            loose=figures.get("", []),
            absent=absent,
            attempts=facts.attempts(store.results),
            data=facts.data(cells),
            choices=facts.choices(cells),
            unsaid=facts.open_points(),
            commits=facts.commits(records),
            environments=facts.environments(records),
            problems=sorted(store.problems.items()),
            digest={**cells.embedded(), "names": suites.NAMES, "linked": linked},
        )
    )


def _environment():
    import jinja2
    from markupsafe import Markup, escape

    def code(text):
        """Text with `words` between backticks as code."""
        return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))

    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FileSystemLoader(HERE),
        keep_trailing_newline=True,
    )
    environment.filters.update(
        code=code, path=quote, tally=lambda found: Counter(found).most_common()
    )
    return environment


def _policy(style: str, script: str) -> str:
    """Content security policy: this style, this script and embedded pictures, nothing else."""

    def source(text):
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src {source(style)}; script-src {source(script)}"
    )
