"""Regressions planted in a copy of the package turn the gate red; the copy as it is stays green.

What is compared with is the tracked reference, so the green run is also a check of it.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import benchmarks

ROOT = Path(benchmarks.__file__).parent.parent
# name -> (file, text there, text in its stead)
PLANTS = {
    "wrong sign of the MMD": (
        "mixnet_core/mmd.py",
        "return torch.bmm(total, u).sub_(total.sum(2, keepdim=True) * y)",
        "return -torch.bmm(total, u).sub_(total.sum(2, keepdim=True) * y)",
    ),
    "width not in units of the clusters": (
        "mixnet_core/mmd.py",
        "return [((m * scale) ** 2, (m * scale) ** 2, 1.0) for m in self.widths]",
        "return [(m**2, m**2, 1.0) for m in self.widths]",
    ),
    "memberships ignored": (
        "mixnet_core/em.py",
        "m = batch_memberships(log_lik, priors, batches.to(log_lik.device)).cpu()",
        "m = torch.ones(n_batches, trainer.bank.n_components)",
    ),
}


def copy(folder: Path) -> Path:
    for package in ("benchmarks", "mixnet_core", "baselines"):
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    return folder


def plant(folder: Path, name: str) -> None:
    file, old, new = PLANTS[name]
    text = (folder / file).read_text()
    assert text.count(old) == 1, f"the plant {name!r} does not fit {file} any more"
    (folder / file).write_text(text.replace(old, new))


def gate(folder: Path, datasets: str):
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "MIXNET_RESULTS": str(folder / "results"),
    }
    environment.pop("MIXNET_REGISTRY", None)
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks",
            "gate",
            "--datasets",
            datasets,
            "--jobs",
            "2",
            "--reference",
            str(ROOT / "results" / "gate" / "reference.csv"),
        ],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def failed(words: str) -> list[str]:
    return [line for line in words.splitlines() if line.startswith("FAIL")]


@pytest.mark.slow  # by day ``mixnet gate`` itself stands for it, on all of its grid
@pytest.mark.timeout(1200)
def test_gate_is_green_on_the_code_as_it_is(tmp_path):
    done = gate(copy(tmp_path), "moon-circle")
    assert done.returncode == 0 and "gate: green" in done.stdout, done.stdout + done.stderr
    assert "moon-circle" in done.stdout and "held-out log-likelihood" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", PLANTS)
def test_planted_regression_turns_the_gate_red(tmp_path, name):
    plant(copy(tmp_path), name)
    done = gate(tmp_path, "moon-circle")
    assert done.returncode == 1 and "gate: RED" in done.stdout, done.stdout + done.stderr
    found = failed(done.stdout)
    assert found and all("mixnet" in line for line in found), "k-means has not changed"
    assert not any("not in the" in line or "is error" in line for line in found)
