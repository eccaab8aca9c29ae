"""The package as a whole: what importing it costs, and how long its heart is."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import mixnet_core

TOP = Path(mixnet_core.__file__).parent


def loaded_by(code: str) -> set[str]:
    words = f"import sys; {code}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_importing_the_package_imports_no_torch():
    found = loaded_by("import mixnet_core; mixnet_core.__version__")
    assert not {"torch", "sklearn", "numpy"} & found


def test_extras_are_imported_when_they_are_asked_for():
    """An edit of an extra makes stale only what uses it."""
    found = loaded_by("from mixnet_core import MixtureOfNetworks, Autoencoder")
    extras = {name for name in found if name.startswith("mixnet_core.")}
    for part in (
        "networks.framed",
        "networks.convolutional",
        "networks.modules",
        "choosing",
        "files",
        "objectives.likelihood",
        "objectives.smoothed",
        "objectives.sliced",
        "objectives.adversarial",
        "objectives.kernels",
        "objectives.registry",
    ):
        assert not [name for name in extras if name.startswith(f"mixnet_core.{part}")], part


def test_the_top_is_the_paper_and_short():
    """Everything else is in a sub-package; what is at the top is read in one sitting."""
    lengths = {
        path.stem: len(path.read_text(encoding="utf-8").splitlines()) for path in TOP.glob("*.py")
    }
    assert set(lengths) == {
        "__init__",
        "mixture",
        "em",
        "bank",
        "memberships",
        "likelihood",
        "mmd",
        "optimizers",
        "widths",
        "autoencoder",
    }
    assert sum(lengths.values()) < 1800
    longest = max(TOP.rglob("*.py"), key=lambda path: len(path.read_text("utf-8").splitlines()))
    assert len(longest.read_text("utf-8").splitlines()) < 450, longest


def test_names_of_the_package():
    assert mixnet_core.MixtureOfNetworks.__module__ == "mixnet_core.mixture"
    assert {"Autoencoder", "MixtureOfNetworks", "__version__"} <= set(dir(mixnet_core))
    with pytest.raises(AttributeError, match="no attribute 'Mixture'"):
        mixnet_core.Mixture  # noqa: B018
    assert mixnet_core.__version__ == version("mixnet")
