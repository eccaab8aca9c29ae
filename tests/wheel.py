"""A built wheel and source archive: what is in them, and the wheel at work in an empty folder.

``tox -e wheel`` builds both, installs the wheel and runs this, which no checkout helps.
"""

import argparse
import os
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("mixnet_core", "baselines", "benchmarks")
FIT = """
import sys, mixnet_core
assert "torch" not in sys.modules, "importing the library imports torch"
assert "site-packages" in mixnet_core.__file__, mixnet_core.__file__
import numpy as np
X = np.concatenate([np.random.default_rng(k).normal(k, 0.1, (60, 2)) for k in (0, 1)])
model = mixnet_core.MixtureOfNetworks(n_components=2, t1=2, t2=2, random_state=0).fit(X)
assert set(model.labels_) == {0, 1} and model.sample(5)[0].shape == (5, 2)
"""


def tracked() -> set[str]:
    """Files of the packages that git has: what a wheel must have."""
    words = ["git", "-C", str(ROOT), "ls-files", *PACKAGES]
    listed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return set(listed.splitlines())


def check_content(folder: Path) -> None:
    """Assert that both archives have the packages whole and nothing beside them."""
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        meta = [name for name in archive.namelist() if ".dist-info/" in name]
    assert names == tracked(), f"differs in {sorted(names ^ tracked())}"
    assert any(name.endswith("/LICENSE") for name in meta)
    with tarfile.open(source) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert tracked() | {"pyproject.toml", "README.md", "LICENSE"} <= inside
    extra = {name for name in inside if name.startswith(("results/", "shared/", "artifacts/"))}
    assert not extra, sorted(extra)[:3]
    print(f"{wheel.name}: {len(names)} files; {source.name}: {len(inside)}")


def install(folder: Path) -> None:
    """Install the wheel into this environment, in place of one that is there."""
    (wheel,) = folder.glob("*.whl")
    pins = ROOT / "constraints.txt"
    words = ["install", "--no-compile", "--force-reinstall", "-c", str(pins), str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True)


def check_work(quickstart: bool) -> None:
    """Assert that what is installed works where nothing else is."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MIXNET_")}
    kept.pop("PYTHONPATH", None)
    command = str(Path(sysconfig.get_path("scripts"), "mixnet"))
    with tempfile.TemporaryDirectory() as place:
        for words in (
            [sys.executable, "-c", FIT],
            [command, "list", "suites"],
            [command, "data", "digits"],
            *([[command, "quickstart"]] if quickstart else []),
        ):
            subprocess.run(words, cwd=place, env=kept, check=True)
        if quickstart:
            assert (Path(place) / "results" / "partial" / "quickstart").is_dir()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="of the wheel and the source archive")
    parser.add_argument(
        "--install", action="store_true", help="the wheel, here, before it is tried"
    )
    parser.add_argument("--no-quickstart", action="store_true", help="leave out its two minutes")
    options = parser.parse_args()
    check_content(options.folder)
    if options.install:
        install(options.folder)
    check_work(not options.no_quickstart)
