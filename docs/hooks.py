"""What the site has that is not in docs/: tables made from the registry, files of the repository.

mkdocs calls `on_files`, `on_page_markdown` and `on_post_build`. In a page,
``<!-- insert: NAME -->`` stands for one of `INSERTS` or for a file of the repository; a link
``../PATH`` that GitHub follows leads to that file, which the site then has under the same path.
Standard library only, but for mkdocs itself, so that tests can import it.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import stanzas  # noqa: E402

INSERT = re.compile(r"^<!-- insert: (.+?) -->$", re.M)
LINK = re.compile(r"\]\((?:\.\./)([^)#\s]+)((?:#[^)]*)?)\)")
BLOCK = re.compile(r"<!-- results: begin .*?-->(.*?)<!-- results: end -->", re.S)
PAGES = {"README.md": "index.md", "mixnet_core/GUIDE.md": "library.md"}  # under another name
BESIDE = (
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "results/gain.png",
    "results/claims.csv",
)  # what inserted text leads to


def line(cells) -> str:
    """A line of a Markdown table."""
    words = (str(cell).replace("|", r"\|").replace("\n", " ") for cell in cells)
    return "| " + " | ".join(words) + " |"


def table(head, rows) -> str:
    """A Markdown table."""
    return "\n".join([line(head), line(["---"] * len(head)), *map(line, rows)])


def own(name: str) -> dict:
    """The benchmark's own file of stanzas of that name, whatever folder a variable names."""
    return tomllib.loads((ROOT / "benchmarks" / name).read_text(encoding="utf-8"))


def value(item) -> str:
    """A parameter's value as code."""
    return f"`{item}`" if isinstance(item, str) else f"`{json.dumps(item)}`"


def choices() -> str:
    """Every parameter whose source is ``ours``, with its reason: a table a method, one of variants.

    A variant is `like` another method; what it does not say itself is as there.
    """
    parts, variants = [], []
    for name, stanza in own("methods.toml").items():
        rows = [
            (f"`{parameter}`", value(entry["value"]), entry.get("why", ""))
            for group in ("params", "defaults")
            for parameter, entry in stanza.get(group, {}).items()
            if entry.get("source", "").startswith("ours")
        ]
        if "like" in stanza:
            variants += [(f"`{name}`", f"`{stanza['like']}`", *row) for row in rows]
        elif rows:
            parts.append(
                f"### {stanza.get('label', name)} (`{name}`)\n\n"
                + table(("Parameter", "Value", "Why"), rows)
            )
    parts.append(
        "### Variants of these\n\n"
        + table(("Method", "Else as", "Parameter", "Value", "Why"), variants)
    )
    return "\n\n".join(parts)


def datasets() -> str:
    """A table of all datasets, and a section with source and licence of each."""
    found = {
        name: stanzas.dataset_stanza(name, stanza) for name, stanza in own("datasets.toml").items()
    }
    used = {}
    for suite in sorted((ROOT / "benchmarks" / "suites").glob("*.toml")):
        for name in tomllib.loads(suite.read_text(encoding="utf-8")).get("datasets", ()):
            used.setdefault(name, []).append(f"`{suite.stem}`")
    head = ("Dataset", "Name", "Points", "Features", "Classes", "Licence")
    parts = [
        table(
            head,
            [
                (
                    f"[{s['title']}](#{name.replace('.', '')})",
                    f"`{name}`",
                    s["n"],
                    s["d"],
                    s["n_classes"],
                    s.get("licence", ""),
                )
                for name, s in found.items()
            ],
        )
    ]
    for name, stanza in found.items():
        parts.append(
            f"## {stanza['title']} {{ #{name.replace('.', '')} }}\n\n"
            + table(("", ""), _facts(name, stanza, used.get(name, [])))
        )
    return "\n\n".join(parts)


def _facts(name, stanza, suites):
    coded = stanza["embedding"] != "none"
    yield "Name", f"`{name}`"
    yield (
        "Size",
        (
            f"{stanza['n']} points, {stanza['d']} features, {stanza['n_classes']} classes, "
            f"{stanza['n_clusters']} clusters"
        ),
    )
    yield "Licence", stanza.get("licence", "")
    yield "Citation", stanza.get("citation", "")
    for variant in stanza["variants"]:
        entry = stanzas.merge(stanza, variant)
        label = f", variant `{variant}`" if len(stanza["variants"]) > 1 else ""
        if entry["format"] in stanzas.MADE:
            yield f"Source{label}", stanzas.MADE[entry["format"]]
        for file in entry.get("files", ()):
            urls = [f"<{url}>" for url in file.get("urls", ())]
            yield (
                f"Source{label}",
                f"`{file['name']}`: "
                + (", ".join(urls) or "no address is known; from a folder only"),
            )
        pinned = entry["content_hash"]
        yield f"Content hash{label}", f"`{pinned[:16]}…`" if pinned else "not pinned"
    yield "Scaling", f"`{stanza.get('scaling', 'none')}`"
    yield "Codes", f"autoencoder, {stanza['code_dim']} features" if coded else "none"
    yield "Networks", f"`{stanza['structure']}`"
    yield "Suites", ", ".join(suites) or "none: for development"


def suites() -> str:
    """A line for each suite: what it runs on what, and where its table is."""
    rows = []
    for path in sorted((ROOT / "benchmarks" / "suites").glob("*.toml")):
        suite = tomllib.loads(path.read_text(encoding="utf-8"))
        file = f"results/{suite.get('table', path.stem)}.md"
        design = stanzas.fillings({**suite, "name": path.stem}) if "factors" in suite else ()
        rows.append(
            (
                f"`{path.stem}`",
                suite.get("title", ""),
                len(suite["datasets"]),
                len(design or suite["methods"]),
                suite.get("seeds", "0-9"),
                f"[table]({file})" if (ROOT / file).is_file() else "",
            )
        )
    return table(("Suite", "What it is", "Datasets", "Methods", "Seeds", "Result"), rows)


def readme() -> str:
    """The block of the README that is made from records."""
    return BLOCK.search((ROOT / "README.md").read_text(encoding="utf-8"))[1].strip()


def claims() -> str:
    """The table of claims without its title; its links are those of results/."""
    text = (ROOT / "results" / "claims.md").read_text(encoding="utf-8")
    return text.partition("\n")[2].strip().replace("](claims.csv)", "](results/claims.csv)")


INSERTS = {
    "choices": choices,
    "claims": claims,
    "datasets": datasets,
    "suites": suites,
    "readme": readme,
}


def filled(text: str) -> str:
    """A page's text with what is inserted, and links as the site has them."""

    def insert(found):
        name = found[1]
        if name in INSERTS:
            return INSERTS[name]()
        return (ROOT / name).read_text(encoding="utf-8").strip().replace("](docs/", "](")

    return LINK.sub(lambda m: f"]({PAGES.get(m[1], m[1])}{m[2]})", INSERT.sub(insert, text))


def linked() -> list[str]:
    """Files of the repository that pages link to or show, which the site has too."""
    found = set(BESIDE)
    for page in (ROOT / "docs").glob("*.md"):
        found |= {m[1] for m in LINK.finditer(page.read_text(encoding="utf-8"))}
    found |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "results").glob("*.md")}
    return sorted(found - PAGES.keys())


def on_files(files, config):
    """Add the files that are linked."""
    from mkdocs.structure.files import File

    for path in linked():
        if (ROOT / path).is_file():
            files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Fill in the pages of docs/; those of the repository are as they are."""
    return filled(markdown) if page.file.src_uri not in linked() else _titled(markdown)


def _titled(markdown):
    """Links of a file of the repository's root lead to where the site has their targets."""
    return markdown.replace("(mixnet_core/GUIDE.md)", "(library.md)").replace(
        "(README.md)", "(index.md)"
    )


def on_post_build(config):
    """The page of all results beside the site, where it was made."""
    report = ROOT / "results" / "report.html"
    if report.is_file():
        shutil.copy(report, Path(config["site_dir"]) / "report.html")
