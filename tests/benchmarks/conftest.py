"""A small registry with torch-free estimators, for tests of the harness: fixture `box`."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import benchmarks
from benchmarks.dispatch import Dispatcher, Settings
from benchmarks.plan import Plan, suite_plan
from benchmarks.record import Store

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
""" + "".join(f"""
[{mode}]
label = "{mode}"
kind = "clustering"
estimator = "fakepkg.cluster:Cluster"
spaces = ["raw"]
timeout_s = {2.5 if mode == "hang" else 60}
[{mode}.params.mode]
value = "{mode}"
source = "ours"
""" for mode in ("crash", "fail", "diverge", "hang", "slow", "exit"))

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


class Box:
    """A checkout in small: registry, package of estimators, results and artefacts of its own."""

    def __init__(self, root: Path, monkeypatch):
        self.root, self.results = root, root / "results"
        self.registry, self.package = root / "registry", root / "src" / "fakepkg"
        (self.registry / "suites").mkdir(parents=True)
        (self.registry / "methods.toml").write_text(METHODS)
        (self.registry / "datasets.toml").write_text(DATASETS)
        (self.registry / "suites" / "small.toml").write_text(SUITE)
        shutil.copy(ROOT / "benchmarks" / "paper.toml", self.registry / "paper.toml")
        shutil.copytree(Path(__file__).parent / "fakepkg", self.package,
                        ignore=shutil.ignore_patterns("__pycache__"))
        self.log = root / "log"
        self.log.touch()
        paths = os.pathsep.join([str(self.package.parent), str(ROOT)])
        for name, value in {"MIXNET_REGISTRY": self.registry, "MIXNET_RESULTS": self.results,
                            "MIXNET_ARTIFACTS": root / "artifacts", "FAKE_LOG": self.log,
                            "PYTHONPATH": paths, "OMP_NUM_THREADS": 1,
                            "PYTHONDONTWRITEBYTECODE": 1}.items():
            monkeypatch.setenv(name, str(value))
        monkeypatch.syspath_prepend(str(self.package.parent))

    def edit(self, module: str, old: str, new: str) -> None:
        path = self.package / f"{module}.py"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def suite(self, datasets, methods, seeds="0", name="small") -> None:
        (self.registry / "suites" / f"{name}.toml").write_text(
            f'table = "{name}"\ndatasets = {json.dumps(datasets)}\n'
            f'methods = {json.dumps(methods)}\nseeds = "{seeds}"\n')

    def plan(self, fast=False) -> Plan:
        return suite_plan("small", fast=fast)

    @property
    def store(self) -> Store:
        return Store(self.results)

    def run(self, jobs=2, fast=False, **settings):
        return Dispatcher(self.plan(fast), self.store, Settings(jobs=jobs, **settings)).run()

    def spawn(self, *words) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-m", "benchmarks", *words], cwd=self.root,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def ran(self) -> list[str]:
        """What estimators did so far: "name seed", sorted."""
        return sorted(line.rsplit(" ", 1)[0] for line in self.log.read_text().splitlines())

    def clear(self) -> None:
        self.log.write_text("")

    def wait_for(self, condition, seconds=40):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := condition():
                return found
            time.sleep(0.05)
        raise AssertionError("it did not happen in time")

    def worker_pids(self) -> list[int]:
        return [int(line.split()[-1]) for line in self.log.read_text().splitlines()]


@pytest.fixture
def box(tmp_path, monkeypatch):
    return Box(tmp_path, monkeypatch)
