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
    for part in ("networks.framed", "networks.convolutional", "networks.modules", "choosing",
                 "files", "objectives.likelihood", "objectives.smoothed", "objectives.sliced",
                 "objectives.adversarial", "objectives.kernels", "objectives.registry"):
        assert not [name for name in extras if name.startswith(f"mixnet_core.{part}")], part


def test_names_of_the_package():
    assert mixnet_core.MixtureOfNetworks.__module__ == "mixnet_core.mixture"
    assert {"Autoencoder", "MixtureOfNetworks", "__version__"} <= set(dir(mixnet_core))
    with pytest.raises(AttributeError, match="no attribute 'Mixture'"):
        mixnet_core.Mixture  # noqa: B018
    assert mixnet_core.__version__ == version("mixnet")
