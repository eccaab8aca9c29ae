"""A small registry with torch-free estimators, for tests of the harness: fixture `box`."""

import itertools
import json
import math
import os
import shutil
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

import benchmarks
from benchmarks.records.files import file_lock, short_hash
from benchmarks.records.store import Store
from benchmarks.run.child import Child
from benchmarks.run.dispatch import Dispatcher, Settings
from benchmarks.run.plan import Plan, suite_plan

ROOT = Path(benchmarks.__file__).parent.parent

METHODS = """
[autoencoder]
kind = "embedding"
estimator = "fakepkg.embed:Embed"
spaces = ["raw"]
[autoencoder.params.code_dim]
value = "@code_dim"
source = "paper"
[autoencoder.params.power]
value = 1
source = "ours"
[autoencoder.fast]
power = 2

[kmeans]
label = "k-means"
kind = "clustering"
estimator = "fakepkg.cluster:Cluster"
spaces = ["raw", "code"]
timeout_s = 60
[kmeans10]
label = "k-means 10"
kind = "clustering"
estimator = "fakepkg.cluster:Cluster"
spaces = ["code"]
[spectral]
label = "Spectral"
kind = "clustering"
estimator = "fakepkg.spectral:Spectral"
spaces = ["raw"]
[mixnet]
label = "Mixture"
kind = "mixture"
estimator = "fakepkg.mix:Mix"
spaces = ["code"]
[mixnet.needs]
start = "kmeans10/code"
[pick]
label = "Pick"
kind = "selection"
estimator = "fakepkg.pick:Pick"
spaces = ["code"]
[pick.needs]
c1 = "kmeans/code"
c0 = "kmeans/raw"
["mixnet+"]
label = "Mixture+"
kind = "mixture"
estimator = "fakepkg.mix:Mix"
spaces = ["code"]
["mixnet+".needs]
start = "pick/code"
""" + "".join(
    f"""
[{mode}]
label = "{mode}"
kind = "clustering"
estimator = "fakepkg.cluster:Cluster"
spaces = ["raw"]
timeout_s = {2.5 if mode == "hang" else 600}
[{mode}.params.mode]
value = "{mode}"
source = "ours"
"""
    for mode in ("crash", "fail", "diverge", "hang", "slow", "exit")
)

DATASETS = """
[blobs]
title = "Blobs"
n = 40
d = 3
n_classes = 2
n_clusters = 2
code_dim = 2
structure = "2-4-2"
content_hash = "b10b5"
embedding = "autoencoder"
loader = "fakepkg.data:load"
[flat]
title = "Flat"
n = 40
d = 3
n_classes = 2
n_clusters = 2
structure = "2-4-2"
content_hash = "f1a7"
embedding = "none"
loader = "fakepkg.data:load"
[absent]
title = "Absent"
n = 40
d = 3
n_classes = 2
n_clusters = 2
content_hash = "abc"
embedding = "none"
loader = "fakepkg.data:load"
"""

SUITE = """
title = "small"
table = "small"
datasets = ["blobs", "flat"]
methods = ["kmeans", "mixnet"]
seeds = "0-1"
"""


class Patient(Child):
    """A cell that has its seconds from the line on that its estimator writes to `log`."""

    def __init__(self, log: Path, job, timeout):
        super().__init__(job, timeout)
        self._log, self._timeout, self.deadline = log, timeout, math.inf

    def ended(self) -> bool:
        if self.deadline == math.inf and f" {self.process.pid}\n" in self._log.read_text():
            self.started = time.monotonic()
            self.deadline = self.started + self._timeout
        return super().ended()


VARIABLES = {
    "MIXNET_REGISTRY": "registry",
    "MIXNET_RESULTS": "results",
    "MIXNET_ARTIFACTS": "artifacts",
    "FAKE_LOG": "log",
}


class Box:
    """A checkout in small: registry, package of estimators, results and artefacts of its own.

    `shared_cells` is a folder of cells that were run for any test of this session; see `ready`.
    """

    def __init__(self, root: Path, monkeypatch, shared_cells: Path):
        self.root, self.results, self.shared_cells = root, root / "results", shared_cells
        self.registry, self.package = root / "registry", root / "src" / "fakepkg"
        (self.registry / "suites").mkdir(parents=True)
        (self.registry / "methods.toml").write_text(METHODS)
        (self.registry / "datasets.toml").write_text(DATASETS)
        (self.registry / "suites" / "small.toml").write_text(SUITE)
        shutil.copy(ROOT / "benchmarks" / "paper.toml", self.registry / "paper.toml")
        shutil.copytree(
            Path(__file__).parent / "fakepkg",
            self.package,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        self.log = root / "log"
        self.log.touch()
        paths = os.pathsep.join([str(self.package.parent), str(ROOT)])
        for name, value in {
            **{variable: root / folder for variable, folder in VARIABLES.items()},
            "PYTHONPATH": paths,
            "OMP_NUM_THREADS": 1,
            "PYTHONDONTWRITEBYTECODE": 1,
        }.items():
            monkeypatch.setenv(name, str(value))
        monkeypatch.delenv("TOX_ENV_NAME", raising=False)  # there progress goes to stdout
        monkeypatch.syspath_prepend(str(self.package.parent))

    def edit(self, module: str, old: str, new: str) -> None:
        path = self.package / f"{module}.py"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def suite(self, datasets, methods, seeds="0", name="small") -> None:
        (self.registry / "suites" / f"{name}.toml").write_text(
            f'table = "{name}"\ndatasets = {json.dumps(datasets)}\n'
            f'methods = {json.dumps(methods)}\nseeds = "{seeds}"\n'
        )

    def ready(self, datasets, methods, seeds="0", name="small") -> None:
        """As `suite`, with every cell done as if `run` had been here; the log says nothing of it.

        The cells are those of the code and the registry as they are now, edits included. The first
        test of the session that asks for one computes it, in a folder that the processes of
        pytest-xdist share; the others have copies of its record and of what it made.
        """
        self.suite(datasets, methods, seeds, name)
        copy = self.shared_cells / self._state()
        with file_lock(copy.with_suffix(".lock")), pytest.MonkeyPatch.context() as there:
            if not copy.exists():
                shutil.copytree(self.package.parent, copy / "src")
            shutil.copytree(self.registry, copy / "registry", dirs_exist_ok=True)
            for variable, folder in VARIABLES.items():
                there.setenv(variable, str(copy / folder))
            there.setenv("PYTHONPATH", os.pathsep.join([str(copy / "src"), str(ROOT)]))
            there.chdir(copy)
            plan, store = suite_plan(name), Store(copy / "results")
            assert Dispatcher(plan, store, Settings(jobs=2)).run().complete
            made = {key: node.artifacts for key, node in plan.nodes.items()}
        for key, node in suite_plan(name).nodes.items():
            source, target = store.folder(node.cell), self.store.folder(node.cell)
            target.mkdir(parents=True, exist_ok=True)
            for path in source.glob(f"{key}-*"):
                assert not (target / path.name).exists()
                shutil.copy(path, target)
            shutil.copytree(made[key], node.artifacts, dirs_exist_ok=True)

    def _state(self) -> str:
        """Hash of all that decides what a cell makes, but for the code that all boxes share."""
        files = [*self.package.parent.rglob("*.py"), *self.registry.glob("*.toml")]
        content = {str(path.relative_to(self.root)): path.read_text() for path in files}
        knobs = {k: v for k, v in os.environ.items() if k.startswith("FAKE_") and k != "FAKE_LOG"}
        return short_hash([content, knobs])

    def plan(self, fast=False) -> Plan:
        return suite_plan("small", fast=fast)

    @property
    def store(self) -> Store:
        return Store(self.results)

    def run(self, jobs=2, fast=False, **settings):
        return Dispatcher(self.plan(fast), self.store, Settings(jobs=jobs, **settings)).run()

    def patient(self, job, timeout) -> Child:
        """A cell whose time begins as it computes, however long its start takes on this machine."""
        return Patient(self.log, job, timeout)

    def spawn(self, *words) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "benchmarks", *words],
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def ran(self) -> list[str]:
        """What estimators did so far: "name seed", sorted."""
        return sorted(line.rsplit(" ", 1)[0] for line in self.log.read_text().splitlines())

    def clear(self) -> None:
        self.log.write_text("")

    def wait_for(self, condition, seconds=300):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := condition():
                return found
            time.sleep(0.05)
        raise AssertionError("it did not happen in time")

    def worker_pids(self) -> list[int]:
        return [int(line.split()[-1]) for line in self.log.read_text().splitlines()]


@pytest.fixture(scope="session")
def shared_cells(tmp_path_factory):
    """A folder of this session, the same in all its processes (`Box.ready`)."""
    folder = tmp_path_factory.getbasetemp()
    return (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "cells"


@pytest.fixture
def box(tmp_path, monkeypatch, shared_cells):
    return Box(tmp_path, monkeypatch, shared_cells)


@pytest.fixture
def quick(box, monkeypatch):
    """`box` with the report replaced by one CSV: the tables have tests of their own."""
    from benchmarks.report import table1

    def write(records, suite, out_dir, stem="table1", **_):
        out_dir.mkdir(parents=True, exist_ok=True)
        path = out_dir / f"{stem}.csv"
        path.write_text(
            "\n".join(
                f"{r['cell']['method']},{r['cell']['seed']},{r['status']},{r['stale']}"
                for r in records
            )
        )
        return {"csv": path}

    monkeypatch.setattr(table1, "write", write)
    monkeypatch.setattr(table1, "text", lambda *_, **__: "TABLE")
    return box


EVIL = '<script>window.pwned = 1</script><img src=x onerror="window.pwned = 1">'
SHELF_METHODS = {
    "autoencoder": ("Autoencoder", "embedding", ["raw"]),
    "kmeans": ("k-means", "clustering", ["raw", "code"]),
    "ldmgi": (EVIL, "clustering", ["raw"]),
    "mixnet": ("Mixture", "mixture", ["code"]),
    "dbn": ("DBN", "generative", ["raw"]),
    "parzen": ("Parzen window", "evaluation", ["raw"]),
    "measures": ("Other measures", "evaluation", ["raw"]),
    "knee": ("Graph", "counting", ["raw"]),
    "shown": ("Shown", "exhibit", ["raw"]),
}
SHELF_SUITES = {
    "table1": {
        "title": "Table 1: of a test",
        "datasets": ["coil20", "usps"],
        "methods": ["kmeans", "ldmgi", "mixnet"],
        "seeds": "0-2",
    },
    "table2": {
        "title": "Table 2: of a test",
        "report": "table2",
        "datasets": ["mnist"],
        "methods": ["dbn"],
        "evaluations": ["parzen", "measures"],
        "seeds": "0-1",
    },
    "components": {
        "title": "How many",
        "report": "knee",
        "datasets": ["usps"],
        "methods": ["knee"],
        "seeds": "0-1",
    },
    "chosen": {
        "title": "Chosen measures",
        "text": f"`code` and {EVIL}",
        "datasets": ["usps"],
        "columns": ["purity", "negative", "seconds"],
        "methods": ["kmeans"],
        "seeds": "0-3",
    },
    "figure9": {
        "title": "Figure 9",
        "report": "figure9",
        "datasets": ["usps"],
        "methods": ["shown"],
        "seeds": "0",
    },
}


class Shelf:
    """Results as runs leave them, without any run: registry and records for the page."""

    def __init__(self, root: Path):
        self.registry, self.results = root / "registry", root / "results"
        (self.registry / "suites").mkdir(parents=True)
        self.results.mkdir()
        shutil.copy(ROOT / "benchmarks" / "paper.toml", self.registry)
        sections = []
        for name, (label, kind, spaces) in SHELF_METHODS.items():
            sections.append(
                f"[{name}]\nlabel = {json.dumps(label)}\nkind = {json.dumps(kind)}\n"
                f'estimator = "nowhere:{name}"\nspaces = {json.dumps(spaces)}\n'
                f'params.width = {{ value = 3, source = "ours", why = "of a test" }}\n'
            )
        sections.append('[mixnet.needs]\nstart = "kmeans/code"\n')
        (self.registry / "methods.toml").write_text("\n".join(sections))
        (self.registry / "datasets.toml").write_text(
            "\n".join(
                f'[{name}]\ntitle = "{title}"\nn = {n}\nd = 256\nn_classes = 10\nn_clusters = 10\n'
                f'code_dim = 32\nstructure = "10-16-32"\ncontent_hash = "{name}"\n'
                f'loader = "nowhere:load"\n'
                f'embedding = "autoencoder"\ntest = "{name}-test"\n'
                for name, title, n in (
                    ("coil20", "COIL-20", 1440),
                    ("usps", "USPS & co", 9298),
                    ("mnist", "MNIST (training)", 60000),
                )
            )
        )
        for name, suite in SHELF_SUITES.items():
            (self.registry / "suites" / f"{name}.toml").write_text(
                "\n".join(f"{key} = {json.dumps(value)}" for key, value in suite.items())
            )

    def use(self, monkeypatch):
        monkeypatch.setenv("MIXNET_REGISTRY", str(self.registry))
        monkeypatch.setenv("MIXNET_RESULTS", str(self.results))
        return self

    @property
    def store(self) -> Store:
        return Store(self.results)

    def fill(self):
        """A record for every cell but one; of `ldmgi` on COIL-20 one fails and one is stale."""
        rng, store, day = np.random.default_rng(5), self.store, itertools.count(1)
        for suite in SHELF_SUITES:
            for node in suite_plan(suite, store=store).nodes.values():
                cell, kind = node.cell, node.method["kind"]
                of = cell["method"], cell["dataset"], cell["seed"]
                if store.attempts(cell) or of == ("ldmgi", "coil20", 2):
                    continue
                failed, stale = of == ("ldmgi", "coil20", 0), of == ("ldmgi", "coil20", 1)
                store.write(
                    {
                        "cell": cell,
                        "kind": kind,
                        "estimator": node.method["estimator"],
                        "status": "error" if failed else "done",
                        "seconds": float(10 ** rng.uniform(-1, 3)),
                        "error": {"reason": f"ValueError: {EVIL}"} if failed else None,
                        "inputs": {},
                        "outputs": {},
                        "variant": None,
                        "metrics": {}
                        if failed
                        else {
                            name: float(rng.uniform(5, 95))
                            for name in ("purity", "acc", "nmi", "ari")
                        },
                        "values": self._values(kind, cell["method"], rng),
                        "provenance": {
                            "versions": {"python": "3.11.7", "torch": "2.13.0"},
                            "device": "cpu",
                            "threads": 2 if suite == "chosen" else 1,
                            "cpu": EVIL,
                            "cores": 2,
                            "system": "Linux",
                            "modules": {"nowhere": "0"} if stale else {},
                            "commit": "c0ffee",
                            "dirty": False,
                            "started": f"2026-11-{next(day) % 22 + 1:02d}T12:00:00",
                        },
                    }
                )
        self.picture(self.results / "table1.png")
        (self.results / "attempts.csv").write_text(
            f'date,suite,what,why\n2026-11-01,table1,"{EVIL.replace(chr(34), "")}",because\n'
        )
        return self

    @staticmethod
    def _values(kind, method, rng):
        if kind == "generative":
            return {"train_seconds": 12.5, "updates": 100, "stopped_by": "budget"}
        if method == "parzen":
            return {
                "ll": float(rng.normal(140, 2)),
                "se": 1.5,
                "sigma": 0.2,
                "protocol": "goodfellow",
            }
        if method == "measures":
            return {"mmd2": float(rng.uniform(0, 1e-3)), "density": 0.9}
        if kind == "counting":
            k = np.arange(2, 31)
            return {
                "k": k.tolist(),
                "graph": (
                    np.maximum(60 - 9 * k, 10 - k / 4) + rng.normal(0, 0.01, len(k))
                ).tolist(),
            }
        return {"negative": float(-rng.uniform(1, 200))}

    @staticmethod
    def picture(path: Path, width=8, height=4):
        """A white PNG."""

        def chunk(kind, data):
            return (
                struct.pack(">I", len(data))
                + kind
                + data
                + struct.pack(">I", zlib.crc32(kind + data))
            )

        path.parent.mkdir(exist_ok=True)
        path.write_bytes(
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress((b"\0" + b"\xff" * width) * height))
            + chunk(b"IEND", b"")
        )


@pytest.fixture
def empty_shelf(tmp_path, monkeypatch):
    return Shelf(tmp_path).use(monkeypatch)


@pytest.fixture(scope="session")
def full_shelf(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        return Shelf(tmp_path_factory.mktemp("shelf")).use(monkeypatch).fill()


@pytest.fixture
def shelf(empty_shelf, full_shelf):
    """A copy of the full one, to be changed at will."""
    shutil.copytree(full_shelf.results, empty_shelf.results, dirs_exist_ok=True)
    return empty_shelf
