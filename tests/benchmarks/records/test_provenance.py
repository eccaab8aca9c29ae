"""The fingerprint sees code and nothing else; records hold no paths and no names of hosts."""

import getpass
import json
import platform
import subprocess
import sys

import pytest

from benchmarks.records import provenance

BASE = '''
"""Module."""
import math


def area(r: float, *, scale=2.0):
    """Area."""
    # a comment
    return scale * math.pi * r ** 2


class Thing:
    """Doc."""
    name = "thing"
'''


@pytest.mark.parametrize("old, new", [
    ("# a comment", "# another one entirely"), ('"""Module."""', ""), ('"""Area."""', '"""A."""'),
    ('    """Doc."""\n', ""), ("import math\n", "import math\n\n\n\n"),
    ("scale * math.pi * r ** 2", "(scale * math.pi\n            * r**2)"),
    ('"thing"', "'thing'"), ("# a comment\n", "\n"),
])
def test_comments_docstrings_and_layout_change_nothing(old, new):
    assert old in BASE
    assert provenance.source_hash(BASE.replace(old, new)) == provenance.source_hash(BASE)


@pytest.mark.parametrize("old, new", [
    ("2.0", "2.5"), ("2.0", "2"), ("r ** 2", "r ** 3"), ("*, scale", "scale"), ("thing", "thong"),
    ("import math", "import cmath as math"), ("return scale", "return -scale"),
    ('name = "thing"', 'name = b"thing"'), ("r: float, ", "r, q, "),
])
def test_code_changes_it(old, new):
    assert old in BASE
    assert provenance.source_hash(BASE.replace(old, new)) != provenance.source_hash(BASE)


def test_a_string_that_is_no_docstring_counts():
    assert provenance.source_hash('x = """a"""') != provenance.source_hash('x = """b"""')


def test_modules_are_found_without_importing_them(box):
    (box.package / "__init__.py").write_text("raise RuntimeError('imported')")
    assert provenance.module_hash("fakepkg.helper") == provenance.source_hash(
        (box.package / "helper.py").read_text())
    assert provenance.module_hash("fakepkg.nowhere") is None
    assert provenance.module_hash("fakepkg") is not None


def test_changed_modules_names_them(box):
    recorded = {"cell": {"content_hash": "00ff"}, "provenance": {"modules": {
        f"fakepkg.{name}": provenance.module_hash(f"fakepkg.{name}")
        for name in ("helper", "cluster", "embed")}}}
    assert provenance.changed_modules(recorded) == []
    box.edit("helper", "x + 0.0", "x + 0.0  # same")
    assert provenance.changed_modules(recorded) == []
    box.edit("helper", "x + 0.0", "x + 1.0")
    (box.package / "embed.py").unlink()
    (box.package / "cluster.py").write_text("def (")
    assert provenance.changed_modules(recorded) == [
        "fakepkg.cluster", "fakepkg.embed", "fakepkg.helper"]


def test_readers_count_only_where_no_content_hash_pins_what_they_read():
    modules = {f"benchmarks.datasets.{name}": "other" for name in ("formats", "mat5", "cache")}
    record = {"cell": {"content_hash": "00ff"}, "provenance": {"modules": modules}}
    # the cache and what compares the hash must be trusted, so their code counts always
    assert provenance.changed_modules(record) == ["benchmarks.datasets.cache"]
    record["cell"]["content_hash"] = "variant:dec"
    assert provenance.changed_modules(record) == sorted(modules)


def test_only_modules_really_imported_count(box):
    code = ("import json, fakepkg.cluster\nfrom benchmarks.records import provenance, store\n"
            "print(json.dumps(provenance.imported_modules('fakepkg.cluster')))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert set(json.loads(done.stdout)) == {
        "fakepkg", "fakepkg.cluster", "fakepkg.helper", "fakepkg.moments"}


@pytest.mark.parametrize("text, cleaned", [
    ("no /home/me/data/x.gz here", "no …/x.gz here"),
    ('File "/usr/lib/python3/site-packages/a/b.py", line 3', 'File "…/b.py", line 3'),
    ("see https://host.org/a/b.zip", "see https://host.org/a/b.zip"),
    ("ratio 3/4 and a/b", "ratio 3/4 and a/b"),
    (str(provenance.ROOT / "benchmarks" / "x.py"), "benchmarks/x.py"),
])
def test_paths_are_cleaned(text, cleaned):
    assert provenance.clean(text) == cleaned


def test_machine_says_nothing_about_whose_it_is():
    text = json.dumps({**provenance.machine(threads=2), **provenance.commit()})
    node = platform.node()
    assert not node or node == "localhost" or f'"{node}"' not in text
    assert f'"{getpass.getuser()}"' not in text and '"/' not in text
    assert json.loads(text)["threads"] == 2
    assert set(json.loads(text)["versions"]) == {"python", *provenance.PACKAGES}
    assert provenance.peak_rss_mb() > 10
