"""The page shows hostile words as words, and stands on records of any shape that is accepted."""

import csv
import json
import random
import tomllib
from urllib.parse import urlsplit

import pytest

from benchmarks.report import page, tables
from benchmarks.run.plan import suite_plan
from tests.benchmarks.report.test_page import Page
from tests.security.mutation import mutate_json

PAYLOADS = (
    "<script>pwned()</script>",
    "</script><script>pwned()</script>",
    "<!--<script>",
    "]]>",
    '"><img src=x onerror=pwned()>',
    "' onmouseover='pwned()",
    "<svg/onload=pwned()>",
    "{{ 7919 * 7927 }}{% include '/etc/passwd' %}",
    "`<b>code</b>`",
    "javascript:pwned()",
    "\u2028\u2029</style><style>*{display:none}",
    "&lt;script&gt;",
    "a\x00b\x1b[31m",
)
#: A table takes a second or two: the rest at night.
SHORT = [
    words if i % 4 == 0 else pytest.param(words, marks=pytest.mark.slow)
    for i, words in enumerate(PAYLOADS)
]


def everywhere(value, words):
    """Copy of a JSON value with words at the end of every string."""
    if isinstance(value, dict):
        return {name: everywhere(part, words) for name, part in value.items()}
    if isinstance(value, list):
        return [everywhere(part, words) for part in value]
    return value + words if isinstance(value, str) else value


def rewrite(shelf, change):
    """Every record's file anew, as another machine might have written it."""
    for path in sorted((shelf.results / "records").glob("*/*/*.json")):
        path.write_text(json.dumps(change(json.loads(path.read_text()))), encoding="utf-8")


def hostile(words):
    def change(record):
        changed = {
            name: everywhere(record[name], words)
            for name in ("error", "values", "variant", "provenance")
        }
        changed["values"] |= {words: 1.0, f"x{words}": words}
        changed["provenance"]["versions"] = {words: words}
        if record["status"] == "error":
            changed["error"] = {"reason": words, "traceback": f"Traceback\n  {words}\n"}
        for name in ("started", "modules"):  # or the failure would count as stale
            changed["provenance"][name] = record["provenance"][name]
        return {**record, **changed}

    return change


@pytest.mark.parametrize("words", PAYLOADS)
def test_hostile_words_stay_words(shelf, words):
    rewrite(shelf, hostile(words))
    with (shelf.results / "attempts.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["date", "suite", "what", words], [words] * 4])
    for name in ("datasets.toml", "methods.toml"):
        text = (shelf.registry / name).read_text(encoding="utf-8")
        for field in ("title", "label", "why"):
            text = text.replace(f'{field} = "', f"{field} = {json.dumps(words)[:-1]} ")
        tomllib.loads(text)
        (shelf.registry / name).write_text(text, encoding="utf-8")
    (shelf.results / "records" / "usps" / "kmeans" / "0123456789abcdef-1.json").write_text(words)
    shelf.picture(shelf.results / "figures" / f"{words.replace('/', '').replace(chr(0), '')}.png")
    text = page.page(shelf.store)
    made = Page(text)
    kinds = [(tag, attributes.get("type")) for tag, attributes, _ in made.contents]
    assert kinds == [("style", None), ("script", "application/json"), ("script", None)]
    assert all(image["src"].startswith("data:image/webp;base64,") for image in made.images)
    assert not [name for name in made.attributes if name.startswith("on") or name == "style"]
    for link in made.links:
        scheme = urlsplit(link["href"]).scheme
        assert not scheme or link["href"] in ("data:,", "https://arxiv.org/abs/1702.03307"), link
    body = text[text.index("<body") :]
    for sign in ("<script>pwned", "<img src=x", "<svg/", "<b>", "<!--", str(7919 * 7927)):
        assert sign not in body
    (cell,) = [c for c in made.digest["cells"] if c["state"] == "failed"]
    assert words in cell["why"] and words in cell["values"] | {words: 0}
    shown = " ".join(words.split()) if words.isprintable() else ""
    assert shown in " ".join(made.text.replace("`", "").split()) or "`" in words


@pytest.mark.parametrize("words", SHORT)
def test_tables_take_hostile_words(shelf, words):
    rewrite(shelf, hostile(words))
    tables.write("table1", suite_plan("table1", store=shelf.store), shelf.store, False)
    rows = list(csv.DictReader((shelf.results / "table1.csv").open(encoding="utf-8")))
    assert len(rows) == 8 and all(float(row["purity_mean"] or 0) >= 0 for row in rows)


def assert_the_page_stands(shelf, seed):
    """One record with one field that something else stands in: left out and said, or shown."""
    rng = random.Random(seed)
    path = rng.choice(sorted((shelf.results / "records").glob("*/*/*.json")))
    good = path.read_bytes()
    path.write_text(json.dumps(mutate_json(json.loads(good), rng)), encoding="utf-8")
    try:
        store = shelf.store
        Page(page.page(store))
        tables.write("table1", suite_plan("table1", store=store), store, False)
    except Exception as error:
        error.add_note(f"seed {seed}, {path.name}: {path.read_text()[:3000]}")
        raise
    finally:
        path.write_bytes(good)


def test_the_page_stands_on_damaged_records(shelf):
    for seed in range(2):
        assert_the_page_stands(shelf, seed)


@pytest.mark.slow
def test_the_page_stands_on_many_damaged_records(shelf):
    for seed in range(1000, 1150):
        assert_the_page_stands(shelf, seed)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"\xff\xfe\x00",
        b'a,b\n"open',
        b"a\n" + b"x" * 200_000,
        b"a,a\n1,2,3,4\n",
        b"\x00,\x00\n\x00\n",
    ],
    ids=["empty", "blank", "bytes", "quote", "long", "wide", "nul"],
)
def test_any_attempts_file(shelf, content):
    (shelf.results / "attempts.csv").write_bytes(content)
    text = Page(page.page(shelf.store)).text
    assert ("line 2: field larger than" in text) == (len(content) > 100_000)
    assert ("4 fields under 2 names" in text) == content.startswith(b"a,a")
