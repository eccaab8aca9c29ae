"""Which code a cell runs: this checkout's, whatever lies in the working directory or in paths."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from benchmarks.records import provenance
from benchmarks.records.store import Store
from benchmarks.run import child, start

ROOT = provenance.ROOT
LYING_METRICS = "def all_metrics(y, labels):\n    return dict.fromkeys(('purity', 'acc'), 99.9)\n"


def folder(path: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return path


def ran_from(box, place: Path, monkeypatch):
    monkeypatch.chdir(place)
    box.suite(["flat"], ["kmeans"])
    assert box.run().complete
    (record,) = box.store.all()
    return record


@pytest.mark.parametrize(
    "files",
    [
        {
            "benchmarks/__init__.py": "",
            "benchmarks/metrics.py": LYING_METRICS,
            "benchmarks/records/__init__.py": "",
            "benchmarks/records/metrics.py": LYING_METRICS,
        },
        {
            "random.py": "raise RuntimeError",
            "select.py": "raise RuntimeError",
            "numpy.py": "raise RuntimeError",
        },
        {
            "mixnet_core/__init__.py": "raise RuntimeError",
            "baselines.py": "raise RuntimeError",
            "fakepkg/__init__.py": "raise RuntimeError",
        },
    ],
)
def test_nothing_is_imported_from_the_working_directory(box, tmp_path, monkeypatch, files):
    record = ran_from(box, folder(tmp_path / "here", files), monkeypatch)
    assert record["status"] == "done" and record["metrics"]["purity"] == 100.0


def test_an_empty_entry_of_pythonpath_is_not_the_working_directory(box, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", os.environ["PYTHONPATH"], ""]))
    here = folder(tmp_path / "here", {"random.py": "raise RuntimeError"})
    assert ran_from(box, here, monkeypatch)["status"] == "done"


def test_a_project_of_the_same_name_in_pythonpath_is_not_looked_into(box, tmp_path, monkeypatch):
    other = folder(
        tmp_path / "other",
        {
            "benchmarks/__init__.py": "raise RuntimeError",
            "baselines/__init__.py": "raise RuntimeError",
        },
    )
    monkeypatch.setenv("PYTHONPATH", f"{other}{os.pathsep}{os.environ['PYTHONPATH']}")
    record = ran_from(box, tmp_path, monkeypatch)
    assert record["status"] == "done"
    assert set(provenance.changed_modules(record)) == set()


def clone(tmp_path: Path) -> Path:
    """A second checkout whose kinds say other labels; no repository."""
    for name in ("mixnet_core", "baselines", "benchmarks"):
        shutil.copytree(
            ROOT / name, tmp_path / "clone" / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    path = tmp_path / "clone" / "benchmarks" / "kinds" / "clustering.py"
    path.write_text(path.read_text().replace("estimator.labels_,", "estimator.labels_ * 0,"))
    return tmp_path / "clone"


def test_from_within_a_second_clone_the_first_ones_code_runs(box, tmp_path, monkeypatch):
    record = ran_from(box, clone(tmp_path), monkeypatch)
    assert record["metrics"]["purity"] == 100.0 and not provenance.changed_modules(record)
    assert record["provenance"]["commit"] == provenance.commit()["commit"]


def test_a_second_clones_own_command_runs_and_records_its_own_code(box, tmp_path):
    other = clone(tmp_path)
    box.suite(["flat"], ["kmeans"])
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "run", "small"],
        cwd=other,
        capture_output=True,
        text=True,
    )
    (record,) = box.store.all()
    assert record["metrics"]["purity"] == 50.0, done.stderr
    assert "benchmarks.kinds.clustering" in provenance.changed_modules(record)
    assert record["provenance"]["commit"] is None
    assert record["provenance"]["no_commit"] == "no repository of its own"


def test_installed_beside_a_folder_of_the_same_name(box, tmp_path):
    """As a wheel leaves it: in a folder of libraries, and run from where `benchmarks/` is."""
    place = tmp_path / "lib" / "site-packages"
    shutil.copytree(clone(tmp_path), place)
    here = folder(tmp_path / "here", {"benchmarks/mine.txt": "no package"})
    box.suite(["flat"], ["kmeans"])
    words = "import sys; from benchmarks.cli.main import main; sys.exit(main(['run', 'small']))"
    env = {**os.environ, "PYTHONPATH": f"{place}{os.pathsep}{box.package.parent}"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", words], cwd=here, env=env, capture_output=True, text=True
    )
    (record,) = box.store.all()
    assert record["status"] == "done" and record["metrics"]["purity"] == 50.0, done.stderr
    assert "benchmarks.kinds.clustering" in record["provenance"]["modules"]


def test_a_folder_of_libraries_does_not_come_before_the_standard_library(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "")
    assert child.import_paths()["PYTHONPATH"] == str(ROOT)
    monkeypatch.setattr(provenance, "ROOT", Path("/opt/lib/python3.11/site-packages"))
    assert child.import_paths() == {"PYTHONPATH": "", "PYTHONSAFEPATH": "1"}


def test_a_worker_of_another_checkout_is_refused(box, monkeypatch):
    box.suite(["flat"], ["kmeans"])
    copy = clone(box.root) / "benchmarks" / "run" / "start.py"
    monkeypatch.setattr(start, "__file__", str(copy))
    (outcome,) = box.run().outcomes.values()
    assert outcome.status == "killed" and "its harness's in" in outcome.reason
    monkeypatch.undo()


def test_a_module_of_the_project_from_elsewhere_is_refused(box, tmp_path):
    """An estimator that loads one by its path."""
    box.suite(["flat"], ["kmeans"])
    other = folder(tmp_path / "other", {"graph.py": "x = 1"}) / "graph.py"
    box.edit(
        "cluster",
        "note(self.mode, self.seed)",
        "import importlib.util, sys; "
        f"spec = importlib.util.spec_from_file_location('baselines.graph', {str(other)!r}); "
        "sys.modules['baselines.graph'] = module = importlib.util.module_from_spec(spec); "
        "spec.loader.exec_module(module)",
    )
    (outcome,) = box.run().outcomes.values()
    assert outcome.status == "killed" and "baselines.graph was imported from" in outcome.reason


def test_helpers_outside_the_estimators_package_count(box):
    folder(
        box.package.parent,
        {
            "myhelp/__init__.py": "",
            "myhelp/add.py": "ZERO = 0\n",
            "plain.py": "ONE = 1\n",
            "unused.py": "",
        },
    )
    box.edit(
        "cluster",
        "from fakepkg.helper import note, shift",
        "import plain\nfrom fakepkg.helper import note, shift\nfrom myhelp import add",
    )
    box.edit("cluster", ".astype(int)", ".astype(int) * plain.ONE + add.ZERO")
    box.suite(["flat"], ["kmeans"])
    assert box.run().complete
    (record,) = box.store.all()
    seen = record["provenance"]["modules"]
    assert {"myhelp", "myhelp.add", "plain"} <= set(seen) and "unused" not in seen
    (box.package.parent / "myhelp" / "add.py").write_text("ZERO = 0 + 0\n")
    assert provenance.changed_modules(record) == ["myhelp.add"]
    box.clear()
    assert box.run().complete and box.ran() == ["good 0"]


def test_the_fingerprint_is_of_what_ran_and_not_of_what_lies_there_since(box):
    """The estimator's file is edited while its cell runs."""
    before = provenance.module_hash("fakepkg.cluster")
    box.suite(["flat"], ["kmeans"])
    box.edit(
        "cluster",
        "note(self.mode, self.seed)",
        "note(self.mode, self.seed); open(__file__, 'a').write('late = 1\\n')",
    )
    during = provenance.module_hash("fakepkg.cluster")
    box.run()
    (record,) = box.store.all()
    assert record["provenance"]["modules"]["fakepkg.cluster"] == during != before
    assert provenance.changed_modules(record) == ["fakepkg.cluster"]


def test_compiled_code_that_is_older_than_its_source_does_not_run(box):
    """Edited within the second, to the same length: Python's own cache would not notice."""
    import py_compile

    path = box.package / "cluster.py"
    stat = path.stat()
    py_compile.compile(str(path))
    path.write_text(path.read_text().replace(" > np.median", " < np.median"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    box.suite(["flat"], ["kmeans"])
    assert box.run().complete
    (record,) = box.store.all()
    assert box.store.arrays(record)["labels"].tolist() == [1] * 20 + [0] * 20
    assert not provenance.changed_modules(record)


@pytest.mark.parametrize("broken", ["def (", "\0", "import nowhere_to_be_found\n", "1 / 0\n"])
def test_a_module_that_failed_to_import_is_on_record_and_its_repair_runs(box, broken):
    box.suite(["flat"], ["kmeans"])
    good = (box.package / "cluster.py").read_text()
    (box.package / "cluster.py").write_text(broken)
    (outcome,) = box.run().outcomes.values()
    assert outcome.status == "error"
    assert "fakepkg.cluster" in box.store.all()[0]["provenance"]["modules"]
    assert not box.run().outcomes.popitem()[1].ran  # unchanged: not again
    (box.package / "cluster.py").write_text(good)
    assert box.run().complete and box.ran() == ["good 0"]


def test_a_module_that_was_missing_runs_once_it_is_there(box):
    box.suite(["flat"], ["kmeans"])
    (box.package / "cluster.py").rename(box.root / "kept.py")
    (outcome,) = box.run().outcomes.values()
    assert outcome.status == "error" and "not in the working directory" in outcome.reason
    assert not box.run().outcomes.popitem()[1].ran
    (box.root / "kept.py").rename(box.package / "cluster.py")
    assert box.run().complete


def test_what_a_library_writes_into_a_temporary_folder_is_no_code_of_ours(box, tmp_path):
    made = folder(tmp_path / "made", {"generated.py": "x = 1"}) / "generated.py"
    box.edit(
        "cluster",
        "note(self.mode, self.seed)",
        "note(self.mode, self.seed); import importlib.util, sys; "
        f"spec = importlib.util.spec_from_file_location('generated', {str(made)!r}); "
        "sys.modules['generated'] = module = importlib.util.module_from_spec(spec); "
        "spec.loader.exec_module(module)",
    )
    box.suite(["flat"], ["kmeans"])
    assert box.run().complete
    (record,) = box.store.all()
    assert not provenance.changed_modules(record)


def test_a_package_in_a_zip_is_found_by_nobody_and_stops_nothing(box):
    with zipfile.ZipFile(box.root / "packed.zip", "w") as archive:
        archive.writestr("packed.py", "ONE = 1\n")
    box.edit(
        "cluster",
        "import os\n",
        "import os\nimport sys\n"
        f"sys.path.append({str(box.root / 'packed.zip')!r})\nimport packed\n",
    )
    box.suite(["flat"], ["kmeans"])
    assert box.run().complete


def test_records_name_the_kernels_of_linear_algebra(box):
    box.suite(["flat"], ["kmeans"])
    assert box.run().complete
    (record,) = Store(box.results).all()
    for one in record["provenance"]["blas"]:
        assert set(one) == {"library", "version", "kernel", "threads"} and one["threads"] == 1
    assert "openblas" in json.dumps(record["provenance"]["blas"]) or "mkl" in json.dumps(
        record["provenance"]["blas"]
    )


def test_on_gpus_each_cell_takes_the_one_with_the_fewest(monkeypatch):
    started = []

    class Fake:
        def __init__(self, job, timeout):
            started.append(job["environment"]["CUDA_VISIBLE_DEVICES"])
            self.over = None
            self.process = self

        def poll(self):
            return self.over

    monkeypatch.setattr(child, "Child", Fake)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    launch = child.OnGpus(2)
    cells = [launch({}, 60) for _ in range(3)]
    cells[1].over = 0
    launch({}, 60)
    assert started == ["2", "5", "2", "5"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert child.OnGpus(3).names == ["0", "1", "2"]


@pytest.mark.parametrize(
    "words, jobs",
    [
        (["--device", "cuda"], 2),
        (["--device", "cuda", "--jobs", "3"], 3),
        (["--device", "cuda:1"], 1),
        (["--threads", "2"], 4),
        (["--jobs", "5"], 5),
    ],
)
def test_cells_at_a_time(box, monkeypatch, capsys, words, jobs):
    """Of a machine with eight cores and two GPUs."""
    from benchmarks.cli import common
    from benchmarks.cli import main as cli
    from benchmarks.run import dispatch

    seen = []
    monkeypatch.setattr(common, "n_gpus", lambda: 2)
    monkeypatch.setattr(provenance, "n_cores", lambda: 8)
    monkeypatch.setattr(
        dispatch.Dispatcher,
        "run",
        lambda self: seen.append(self.settings.jobs) or dispatch.Summary(stopped=True),
    )
    cli.main(["run", "small", *words])
    assert seen == [jobs]
