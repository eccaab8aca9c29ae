"""A newcomer's walk: from a clone, by README and guide as they stand, to results of one's own.

Of the slow lane: it installs the project and takes about half an hour. Each step is printed with
its time (``pytest -s``).
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MINE = """
import numpy as np

class Mine:
    def __init__(self, n_clusters, random_state, n_neighbors):
        self.n_clusters, self.n_neighbors = n_clusters, n_neighbors

    def fit(self, X):
        order = np.argsort(X[:, 0])
        self.labels_ = np.empty(len(X), int)
        self.labels_[order] = np.arange(len(X)) * self.n_clusters // len(X)
        return self
"""


class Walk:
    """Commands in a clone, by a shell that knows of no checkout, and what each took."""

    def __init__(self, clone: Path):
        self.clone, self.times = clone, []
        self.path = os.environ["PATH"]

    def step(self, name: str, command: str) -> str:
        """Run a command; its name and seconds are kept, its words returned."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MIXNET_", "TOX_"))}
        for left in ("PYTHONPATH", "VIRTUAL_ENV"):
            kept.pop(left, None)
        kept |= {"PATH": self.path, "MIXNET_CACHE": str(self.clone.parent / "cache")}
        began = time.monotonic()
        done = subprocess.run(
            ["bash", "-e", "-c", command],
            cwd=self.clone if self.clone.exists() else self.clone.parent,
            env=kept,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.times.append((name, time.monotonic() - began))
        print(f"{name:<32} {self.times[-1][1]:7.0f} s", flush=True)
        assert done.returncode == 0, f"{name}: {command}\n{done.stdout[-4000:]}"
        return done.stdout

    def use(self, environment: Path) -> None:
        """From now on the commands of an environment come first."""
        self.path = f"{environment / 'bin'}{os.pathsep}{self.path}"


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, language: str = "") -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)
    return [block for its, block in found if its == language]


def section(text: str, head: str) -> str:
    return re.search(rf"^## {head}\n(.*?)(?=^## |\Z)", text, re.M | re.S)[1]


@pytest.mark.slow
@pytest.mark.timeout(3 * 3600)
def test_a_newcomer_comes_from_a_clone_to_results_of_their_own(tmp_path):
    walk = Walk(tmp_path / "clone")
    walk.step("clone", f"git clone -q {ROOT} clone")
    walk.step("environment for tox", f"{sys.executable} -m venv ../tox")
    walk.use(tmp_path / "tox")

    quickstart, tests, *_ = blocks(section(page("README.md"), "Set-up"))
    assert "rows were run now" in walk.step("first command: quickstart", quickstart)
    # public CI runs all of them; here, that the command as it stands installs and runs some
    said = walk.step("second command: tests, a part", tests.strip() + " -- tests/test_docs.py")
    assert re.search(r"\d+ passed", said)
    walk.use(walk.clone / ".tox" / "shared")  # what the guide has one install: the same packages

    tour = page("docs/tour.md")
    (look,) = blocks(section(tour, "Look at what is on record"))
    assert "wrote results/report.html" in walk.step("what is on record, a report", look)
    (part,) = blocks(section(tour, "Run a part of a table"))
    walk.step("a part of a table", part.replace("--seeds 0-1", "--seeds 0 --fast"))

    own = section(tour, "Your own data")
    (make,) = blocks(own, "python")
    add, again = blocks(own)
    (walk.clone / "make.py").write_text(make, encoding="utf-8")
    walk.step("a file of one's own", "python make.py")
    said = walk.step("own data, as it comes", add)
    assert said.startswith(*blocks(own, "text"))
    table = "mixnet run table1 --datasets wines"
    assert table in again
    said = walk.step(
        "own data, scaled, all methods", again.replace(table, table + " --fast --seeds 0")
    )
    assert all(f"wines    {method}" in said for method in ("kmeans ", "ncut", "mixnet+"))

    stanza = blocks(section(page("docs/benchmark.md"), "A method of your own"), "toml")[0]
    (walk.clone / "baselines" / "clustering" / "mine.py").write_text(MINE, encoding="utf-8")
    with (walk.clone / "benchmarks" / "methods.toml").open("a", encoding="utf-8") as methods:
        methods.write("\n" + stanza)
    said = walk.step(
        "own method, beside the others",
        "mixnet run table1 --methods mine --datasets wines --fast --seeds 0",
    )
    assert re.search(r"^wines +mine +raw", said, re.M) and "° on record" in said
    assert re.search(r"^wines +kmeans ° +raw", said, re.M) and 'add "mine" to methods' in said

    (code,) = blocks(section(tour, "The model as a library"), "python")
    (walk.clone / "library.py").write_text(code, encoding="utf-8")
    walk.step("the library", "python library.py")
    walk.step("a notebook", "python -m benchmarks.report.notebooks table2")
    print(f"{'in all':<32} {sum(seconds for _, seconds in walk.times):7.0f} s")
