"""The fingerprint sees code and nothing else; records hold no paths and no names of hosts."""

import getpass
import json
import os
import platform
import subprocess
import sys
import types
from pathlib import Path

import pytest

from benchmarks.records import provenance

ROOT = Path(provenance.ROOT)

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


@pytest.mark.parametrize(
    "old, new",
    [
        ("# a comment", "# another one entirely"),
        ('"""Module."""', ""),
        ('"""Area."""', '"""A."""'),
        ('    """Doc."""\n', ""),
        ("import math\n", "import math\n\n\n\n"),
        ("scale * math.pi * r ** 2", "(scale * math.pi\n            * r**2)"),
        ('"thing"', "'thing'"),
        ("# a comment\n", "\n"),
    ],
)
def test_comments_docstrings_and_layout_change_nothing(old, new):
    assert old in BASE
    assert provenance.source_hash(BASE.replace(old, new)) == provenance.source_hash(BASE)


@pytest.mark.parametrize(
    "old, new",
    [
        ("2.0", "2.5"),
        ("2.0", "2"),
        ("r ** 2", "r ** 3"),
        ("*, scale", "scale"),
        ("thing", "thong"),
        ("import math", "import cmath as math"),
        ("return scale", "return -scale"),
        ('name = "thing"', 'name = b"thing"'),
        ("r: float, ", "r, q, "),
    ],
)
def test_code_changes_it(old, new):
    assert old in BASE
    assert provenance.source_hash(BASE.replace(old, new)) != provenance.source_hash(BASE)


def test_the_number_of_a_release_makes_nothing_stale():
    one, two = (f'__version__ = "{number}"\nx = 1\n' for number in ("0.1.0", "0.2.0"))
    assert provenance.source_hash(one) == provenance.source_hash(two)
    assert provenance.source_hash(one) != provenance.source_hash(two.replace("x = 1", "x = 2"))
    for other in ('version = "{}"', 'def f():\n    __version__ = "{}"', '__version__ = f("{}")'):
        hashes = {provenance.source_hash(other.format(number)) for number in ("0.1.0", "0.2.0")}
        assert len(hashes) == 2, other


def test_a_string_that_is_no_docstring_counts():
    assert provenance.source_hash('x = """a"""') != provenance.source_hash('x = """b"""')


def test_modules_are_found_without_importing_them(box):
    (box.package / "__init__.py").write_text("raise RuntimeError('imported')")
    assert provenance.module_hash("fakepkg.helper") == provenance.source_hash(
        (box.package / "helper.py").read_text()
    )
    assert provenance.module_hash("fakepkg.nowhere") is None
    assert provenance.module_hash("fakepkg") is not None


def test_changed_modules_names_them(box):
    recorded = {
        "cell": {"content_hash": "00ff"},
        "provenance": {
            "modules": {
                f"fakepkg.{name}": provenance.module_hash(f"fakepkg.{name}")
                for name in ("helper", "cluster", "embed")
            }
        },
    }
    assert provenance.changed_modules(recorded) == []
    box.edit("helper", "x + 0.0", "x + 0.0  # same")
    assert provenance.changed_modules(recorded) == []
    box.edit("helper", "x + 0.0", "x + 1.0")
    (box.package / "embed.py").unlink()
    (box.package / "cluster.py").write_text("def (")
    assert provenance.changed_modules(recorded) == [
        "fakepkg.cluster",
        "fakepkg.embed",
        "fakepkg.helper",
    ]


def test_readers_count_only_where_no_content_hash_pins_what_they_read():
    names = ("formats", "mat5", "rawfile", "prepare", "fetch", "cache", "core")
    modules = {f"benchmarks.datasets.{name}": "other" for name in names}
    record = {"cell": {"content_hash": "00ff"}, "provenance": {"modules": modules}}
    # the cache and what compares the hash must be trusted, so their code counts always
    assert provenance.changed_modules(record) == [
        "benchmarks.datasets.cache",
        "benchmarks.datasets.core",
    ]
    record["cell"]["content_hash"] = "variant:dec"
    assert provenance.changed_modules(record) == sorted(modules)


def test_another_kind_in_the_list_makes_no_record_stale_and_another_kind_of_its_own_does():
    """The list of kinds only looks up a file by name; the file is listed where a cell used it."""
    names = ("kinds", "kinds.base", "kinds.clustering")
    record = {
        "cell": {"content_hash": "00ff"},
        "provenance": {"modules": {f"benchmarks.{name}": "other" for name in names}},
    }
    assert provenance.changed_modules(record) == [
        "benchmarks.kinds.base",
        "benchmarks.kinds.clustering",
    ]
    code = (
        "import json\nfrom benchmarks import kinds\nfrom benchmarks.records import provenance\n"
        "kinds.get('counting')\nprint(json.dumps(provenance.imported_modules()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    found = {name for name in json.loads(done.stdout) if name.startswith("benchmarks.kinds")}
    assert found == {"benchmarks.kinds.base", "benchmarks.kinds.counting"}


def test_modules_that_are_no_files_are_left_out(monkeypatch, tmp_path):
    """torch makes modules while running whose ``__file__``, such as "_ops.py", is nowhere."""
    monkeypatch.chdir(ROOT)  # where such a name would be taken for a file of the checkout
    made, real = types.ModuleType("made.up"), types.ModuleType("helper_of_mine")
    made.__file__ = "_ops.py"
    (tmp_path / "helper_of_mine.py").write_text("x = 1")
    real.__file__ = str(tmp_path / "helper_of_mine.py")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "made.up", made)
    monkeypatch.setitem(sys.modules, "helper_of_mine", real)
    found = provenance.imported_modules()
    assert "helper_of_mine" in found and "_ops.py" not in found and "made.up" not in found
    torch = pytest.importorskip("torch")
    assert not os.path.exists(torch.ops.__file__)  # else this test has nothing to show
    assert provenance.MISSING not in found.values()


def test_plumbing_and_metrics_do_not_count_and_the_purity_of_exhibits_does():
    names = (
        "metrics",
        "records.metrics",
        "records.store",
        "run.worker",
        "registry",
        "kinds.base",
        "records.purity",
    )
    record = {
        "cell": {"content_hash": "00ff"},
        "metrics": {"purity": 1.0},
        "provenance": {"modules": {f"benchmarks.{name}": "other" for name in names}},
    }
    assert provenance.changed_modules(record) == [
        "benchmarks.kinds.base",
        "benchmarks.records.purity",
    ]


def test_only_modules_really_imported_count(box):
    code = (
        "import json, fakepkg.cluster\nfrom benchmarks.records import provenance, store\n"
        "print(json.dumps(provenance.imported_modules('fakepkg.cluster')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert set(json.loads(done.stdout)) == {
        "benchmarks",
        "fakepkg",
        "fakepkg.cluster",
        "fakepkg.helper",
        "fakepkg.moments",
    }


@pytest.mark.parametrize(
    "source",
    [
        b"x = (",
        b"x = 1\0",
        b"# -*- coding: latin-1 -*-\nx = '\xe9'",
        b"\xef\xbb\xbfx = 1",
        b"x = '\xe9'",
    ],
)
def test_every_file_has_a_hash_and_a_change_of_it_shows(box, source):
    path = box.package / "odd.py"
    path.write_bytes(source)
    first = provenance.module_hash("fakepkg.odd")
    path.write_bytes(source + b"\ny = 2")
    assert len(first) == 16 and provenance.module_hash("fakepkg.odd") not in (None, first)


def test_modules_are_located_as_python_finds_them(tmp_path, monkeypatch):
    """Against importlib itself, in packages with and without ``__init__`` over two folders."""
    for name in (
        "a/plain.py",
        "b/plain.py",
        "a/pack/__init__.py",
        "b/pack/lost.py",
        "a/pack.py",
        "a/space/one.py",
        "b/space/two.py",
        "b/both.py",
        "b/both/__init__.py",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(str(tmp_path / x) for x in "ab"))
    code = (
        "import importlib.util, json, sys\n"
        "def origin(n):\n"
        "    try: return importlib.util.find_spec(n).origin\n"
        "    except (ModuleNotFoundError, AttributeError): return None\n"
        "print(json.dumps({n: origin(n) for n in sys.argv[1:]}))"
    )
    names = ["plain", "pack", "pack.lost", "space.one", "space.two", "both", "nowhere", "space"]
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *names], capture_output=True, text=True
    )
    assert {name: provenance.locate(name) for name in names} == json.loads(done.stdout)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder that stands for this checkout, and git in it."""
    root = tmp_path / "outer" / "root"
    (root / "baselines").mkdir(parents=True)
    (root / "baselines" / "a.py").write_text("a = 1")
    (root / "notes.txt").write_text("")
    monkeypatch.setattr(provenance, "ROOT", root)

    def git(folder, *words):
        subprocess.run(
            ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *words],
            check=True,
            capture_output=True,
        )
        return subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True
        ).stdout.strip()

    def repository(folder):
        git(folder, "init", "-q")
        git(folder, "add", ".")
        return git(folder, "commit", "-q", "-m", "first")

    return root, git, repository


def test_the_commit_is_the_checkouts_own(checkout, monkeypatch):
    root, _, repository = checkout
    ours = repository(root)
    theirs = repository(root.parent)
    assert provenance.commit() == {"commit": ours, "dirty": False} and ours != theirs
    monkeypatch.setenv("GIT_DIR", str(root.parent / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(root.parent))
    assert provenance.commit() == {"commit": ours, "dirty": False}


def test_an_enclosing_repository_is_none(checkout):
    root, _, repository = checkout
    repository(root.parent)
    found = provenance.commit()
    assert found == {"commit": None, "dirty": None, "no_commit": "no repository of its own"}
    (root / ".git").mkdir()  # broken: git itself would look further up
    found = provenance.commit()
    assert found["commit"] is None and "not a git repository" in found["no_commit"]


def test_a_checkout_of_another_owner_has_no_commit_and_says_why(checkout, monkeypatch):
    root, _, repository = checkout
    repository(root)
    run = subprocess.run

    def foreign(words, **options):
        env = {**options.pop("env"), "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
        return run(words, env=env, **options)

    monkeypatch.setattr(provenance.subprocess, "run", foreign)
    found = provenance.commit()
    assert found["commit"] is None and "dubious ownership" in found["no_commit"]
    assert str(root) not in found["no_commit"]


@pytest.mark.parametrize(
    "change, dirty",
    [
        ("baselines/a.py", True),
        ("baselines/new.py", True),
        ("notes.txt", True),
        ("scribble.txt", False),
        ("results/records/a.json", False),
    ],
)
def test_what_makes_a_checkout_dirty(checkout, change, dirty):
    root, _, repository = checkout
    repository(root)
    (root / change).parent.mkdir(parents=True, exist_ok=True)
    (root / change).write_text("changed = 2")
    assert provenance.commit()["dirty"] is dirty


def test_no_git_is_said(checkout, monkeypatch):
    root, _, repository = checkout
    repository(root)
    monkeypatch.setenv("PATH", "/nowhere")
    assert "No such file" in provenance.commit()["no_commit"]


@pytest.mark.parametrize(
    "text, cleaned",
    [
        ("no /home/me/data/x.gz here", "no …/x.gz here"),
        ('File "/usr/lib/python3/site-packages/a/b.py", line 3', 'File "…/b.py", line 3'),
        ("see https://host.org/a/b.zip", "see https://host.org/a/b.zip"),
        ("ratio 3/4 and a/b", "ratio 3/4 and a/b"),
        (str(provenance.ROOT / "benchmarks" / "x.py"), "benchmarks/x.py"),
    ],
)
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
