"""Whatever is killed, full or damaged: nothing finished is lost, and nothing runs on alone."""

import contextlib
import errno
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys

import psutil
import pytest

from benchmarks.cli.main import main
from benchmarks.records import provenance
from benchmarks.records.store import Store
from benchmarks.run import child, worker
from benchmarks.run.plan import cell_state

NAP = 'time.sleep(float(os.environ.get("FAKE_SLEEP", "2")))'
HOG = "import time; kept = b'1' * 300_000_000; time.sleep(600)"


def outcomes(box, summary):
    return {
        box.plan().nodes[key].cell["method"]: outcome for key, outcome in summary.outcomes.items()
    }


@pytest.mark.parametrize(
    "act",
    [
        HOG,
        # the worker stays small, a process of its own does not
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOG!r}])",
    ],
    ids=["worker", "grandchild"],
)
def test_a_cell_over_its_memory_is_killed_with_all_its_processes(box, act):
    box.suite(["flat"], ["slow", "kmeans"])
    box.edit("cluster", NAP, act)
    found = outcomes(box, box.run(memory_gb=0.3))
    assert found["kmeans"].status == "done" and found["slow"].status == "killed"
    words = found["slow"].reason.split()
    assert words[0] == "memory:" and words[2:] == ["GB", "of", "0.30", "GB"]
    assert 0.3 <= float(words[1]) < 0.6  # to two decimals
    (record,) = [r for r in box.store.all() if r["status"] == "killed"]
    assert record["error"]["reason"] == found["slow"].reason
    (pid,) = [
        int(line.split()[-1])
        for line in box.log.read_text().splitlines()
        if line.startswith("slow")
    ]
    box.wait_for(lambda: not child.group_rss(pid))


def test_what_an_estimator_does_to_stderr_costs_neither_cell_nor_run(box):
    """What a worker tells its harness goes there; the words are of others, or cut off."""
    box.suite(["flat"], ["kmeans", "fail"])
    lines = ["5", "[1]", '{"progress": [1]}', '{"progress": ["a", "b", ""]}', '{"progr']
    said = "".join(f"\x1emixnet {line}\n" for line in lines)
    box.edit(
        "cluster",
        "        note(self.mode, self.seed)\n",
        "        import sys\n\n        note(self.mode, self.seed)\n"
        f"        print({said!r}, file=sys.stderr, flush=True)\n        sys.stderr.close()\n",
    )
    found = outcomes(box, box.run(jobs=1))
    assert found["kmeans"].status == "done"
    assert found["fail"].status == "error" and "X is unlucky" in found["fail"].reason


def test_memory_is_that_of_the_group_and_shared_by_the_cells_at_a_time(box):
    nap = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"]
    pair = "import subprocess, sys, time; kept = b'1' * 10**8; subprocess.run(sys.argv[1:])"
    with subprocess.Popen(
        [sys.executable, "-c", pair, *nap], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            process.stdout.readline()
            both = [psutil.Process(process.pid), *psutil.Process(process.pid).children()]
            assert len(both) == 2
            # equal once both have come to rest
            box.wait_for(
                lambda: child.group_rss(process.pid) == sum(p.memory_info().rss for p in both) > 1e8
            )
        finally:
            os.killpg(process.pid, 9)
    box.wait_for(lambda: not child.group_rss(process.pid))  # what was killed may take a moment
    assert 0 < provenance.memory_gb() <= psutil.virtual_memory().total / 1e9
    job = {"artifacts": str(box.root / "cell"), "threads": 1, "parent": os.getpid()}
    limits = []
    for more in ({"at_once": 4}, {"memory_gb": 1.5, "at_once": 4}):
        cell = child.Child({**job, **more}, 60)
        cell.close()
        limits.append(cell.memory_gb)
    assert limits == [pytest.approx(0.9 * provenance.memory_gb() / 4), 1.5]


class OutOfMemoryError(RuntimeError):
    """Named as torch names it on a GPU."""


@pytest.mark.parametrize(
    "error, reason",
    [
        (MemoryError(), "memory: MemoryError: MemoryError"),
        (MemoryError("Unable to allocate 9 TiB"), "memory: MemoryError: Unable to allocate 9 TiB"),
        (OutOfMemoryError("CUDA"), "memory: OutOfMemoryError: CUDA"),
        (
            RuntimeError("[enforce] DefaultCPUAllocator: can't"),
            "memory: RuntimeError: [enforce] DefaultCPUAllocator: can't",
        ),
        (RuntimeError("other"), "RuntimeError: other"),
        (FloatingPointError("nan"), "nan"),
    ],
)
def test_the_reason_says_when_it_was_memory(error, reason):
    assert worker.reason_of(error) == reason


def test_an_allocation_that_fails_takes_nothing_else_down(box):
    box.suite(["flat"], ["slow", "kmeans"])
    box.edit("cluster", NAP, "np.zeros(10**15)")
    found = outcomes(box, box.run())
    assert found["kmeans"].status == "done" and found["slow"].status == "killed"
    assert found["slow"].reason.startswith("memory: ") and "allocate" in found["slow"].reason


GRANDCHILDREN = """
            import multiprocessing, subprocess, sys

            def deaf():
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                note("deaf", self.seed)
                time.sleep(600)

            multiprocessing.get_context("fork").Process(target=deaf).start()
            sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            with open(os.environ["FAKE_LOG"], "a") as log:
                log.write(f"sleeper 0 {sleeper.pid}\\n")
            time.sleep(600)
"""


@pytest.mark.parametrize(
    "killed", ["harness", pytest.param("both", marks=pytest.mark.slow), "worker", "stopped"]
)
def test_no_orphan_outlives_its_harness(box, killed):
    box.suite(["flat"], ["slow"])
    box.edit("cluster", f"            {NAP}", GRANDCHILDREN.strip("\n"))
    process = box.spawn("run", "small")
    try:
        box.wait_for(lambda: len(started(box)) == 3)
        pids = started(box)
        group = os.getpgid(pids["slow"])
        assert {os.getpgid(pid) for pid in pids.values()} == {group} != {os.getpgid(process.pid)}
        assert child.group_rss(group) > 0
        if killed in ("both", "harness"):
            process.kill()
        if killed in ("both", "worker"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pids["slow"], signal.SIGKILL)
        if killed == "stopped":
            process.terminate()
        box.wait_for(lambda: not child.group_rss(group))
        process.communicate(timeout=300)
    finally:
        process.kill()
        with contextlib.suppress(OSError):
            os.killpg(started(box)["slow"], signal.SIGKILL)
    assert box.store.problems == {}
    assert [r["status"] for r in box.store.all()] == {
        "worker": ["killed"],
        "stopped": ["interrupted"],
    }.get(killed, [])


def started(box):
    lines = (line.split() for line in box.log.read_text().splitlines())
    return {name: int(pid) for name, _, pid in lines}


# Runs that are broken at numbered steps (`fakepkg.moments`): every write of a worker or a harness
# and the start of every computation is a step. Whatever breaks, afterwards `closing_checks` hold.

WIDTH = 64


def start_harness(box, largest_file=None):
    """One run in a process of its own, whose writes are steps too."""

    def act():
        from fakepkg import moments

        if largest_file is not None:
            sys.stderr = open(os.devnull, "w")  # a file of pytest's, else
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY))
        if "FAKE_STEPS" in os.environ:
            moments.watch("harness")
        os._exit(0 if box.run(jobs=2).complete else 1)

    process = multiprocessing.get_context("fork").Process(target=act)
    process.start()
    return process


def harness(box, **named):
    """As `start_harness`, to its end; its exit status."""
    process = start_harness(box, **named)
    process.join()
    return process.exitcode


def steps(box):
    path = box.root / "steps"
    text = path.read_text() if path.exists() else ""
    assert len(text) % WIDTH == 0
    return [line.split() for line in text.splitlines()]


def starts(box, since=0):
    """Keys of the cells whose computation began, from a step on."""
    return [line[0] for line in steps(box)[since:] if line[1:] == ["run"]]


def finished(box):
    store = box.store
    return {r["key"] for r in store.all() if r["status"] == "done" and store.intact(r)}


def break_at(box, monkeypatch, moments):
    monkeypatch.setenv("FAKE_STEPS", str(box.root / "steps"))
    monkeypatch.setenv("FAKE_MOMENTS", json.dumps(moments))


def comparable(box, name, wanted=True):
    """Bytes of every table, if `wanted`, and done record; timings, provenance are set alike.

    So is the commit: the checkout may be edited, or get another one, in the minutes of a test.
    """
    folder = box.root / name
    shutil.copytree(box.results / "records", folder / "records")
    records = {}
    for path in folder.rglob("*.json"):
        with contextlib.suppress(ValueError):
            record = json.loads(path.read_bytes())
            record.update(
                seconds=1.0 if record["seconds"] is not None else None,
                phases=dict.fromkeys(record["phases"], 0.5),
            )
            record["provenance"].update(
                started="2026-01-01T00:00:00+00:00", wall_s=1, cpu_s=1, peak_rss_mb=1
            )
            record["provenance"].update(commit="c0ffee", dirty=False)
            path.write_text(json.dumps(record))
            if record["status"] == "done":  # which attempt it is, is provenance
                numbered = [record, *record["inputs"].values(), *filter(None, [record["arrays"]])]
                for part in numbered:
                    part.pop("attempt", None), part.pop("file", None)
                records[record["key"]] = json.dumps(record)
    if not wanted:
        return {}, records
    assert main(["table", "small", "--results", str(folder)]) == 0
    tables = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert {"small.csv", "small.md"} <= set(tables)
    return tables, records


@pytest.fixture
def calm(box, monkeypatch):
    """What an undisturbed run makes; the box is empty again afterwards."""

    def run(datasets, methods, seeds="0"):
        box.suite(datasets, methods, seeds)
        break_at(box, monkeypatch, {})
        assert harness(box) == 0
        found, n = comparable(box, "calm"), len(steps(box))
        assert sorted(starts(box)) == sorted(finished(box)) == sorted(box.plan().nodes)
        clean(box)
        return found, n

    return run


def clean(box):
    for name in ("results", "artifacts", "steps"):
        path = box.root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def closing_checks(box, calm, problems=0, tables=True):
    """One more run completes, another has nothing to do, and all is as if nothing had been."""
    done, since = finished(box), len(steps(box))
    assert harness(box) == 0
    assert not done & set(starts(box, since))
    since = len(steps(box))
    assert harness(box) == 0 and starts(box, since) == []
    store = Store(box.results)
    for node in box.plan().nodes.values():
        made = [r for r in store.attempts(node.cell) if r["status"] == "done" and store.intact(r)]
        assert len(made) == 1 and cell_state(node, store).name == "done"
    assert len(store.problems) == problems
    found, records = comparable(box, f"after-{since}", tables)
    assert records == calm[1] and (found.keys() == calm[0].keys() or not tables)
    for name, content in found.items():
        assert content == calm[0][name], name


@pytest.mark.parametrize(
    "n_kills, seeds",
    [
        (5, "0"),
        pytest.param(20, "0-1", marks=pytest.mark.slow),
        pytest.param(100, "0-4", marks=pytest.mark.slow),
    ],
)
def test_kills_at_any_moment_lose_nothing(box, calm, monkeypatch, n_kills, seeds):
    undisturbed, n_steps = calm(["blobs", "flat"], ["kmeans", "mixnet"], seeds)
    rng = random.Random(7)
    moments, at = {}, 0
    for _ in range(n_kills):
        at += rng.randint(1, 2 * n_steps // n_kills - 3)  # all fall before the last step
        moments[at] = rng.choice(["worker", "worker", "parent", "both"])
    break_at(box, monkeypatch, moments)
    ends = []
    while len(steps(box)) < at:
        done, since = finished(box), len(steps(box))
        ends.append(harness(box))
        again = starts(box, since)
        assert not done & set(again) and len(ends) <= n_kills + 1
    # planted kills that came too late strike nothing: how many do, and whom, is for the machine's
    # load to say. A run whose worker was struck ends with 1, one that was struck itself with -9.
    assert sum(end != 0 for end in ends) >= n_kills / 10
    closing_checks(box, undisturbed)


@pytest.mark.slow
def test_each_kill_of_a_worker_is_a_record(box, calm, monkeypatch):
    undisturbed, n_steps = calm(["blobs", "flat"], ["kmeans", "mixnet"])
    moments = dict.fromkeys(range(2, n_steps, 3), "cell")
    break_at(box, monkeypatch, moments)
    while len(steps(box)) < max(moments):
        assert harness(box) in (0, 1)
    struck = [
        line
        for number, line in enumerate(steps(box), 1)
        if number in moments and line[0] != "harness"
    ]
    killed = [r for r in box.store.all() if r["status"] == "killed"]
    assert len(killed) == len(struck) > len(moments) / 4
    assert sorted(r["key"] for r in killed) == sorted(line[0] for line in struck)
    closing_checks(box, undisturbed)


@pytest.mark.parametrize(
    "lasting",
    [
        pytest.param(False, id="one write fails", marks=pytest.mark.slow),
        pytest.param(True, id="all do from there", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_at_every_write_in_turn(box, calm, monkeypatch, lasting):
    undisturbed, n_steps = calm(["flat"], ["kmeans"])
    assert n_steps > 8
    failed = 0
    for number in range(1, n_steps + 1):
        break_at(box, monkeypatch, {"full from": number} if lasting else {number: "full"})
        whole = harness(box) == 0
        assert whole == bool(finished(box)) and len(steps(box)) >= number
        failed += not whole
        for record in box.store.all():
            assert record["status"] == "done" or (
                record["status"] == "killed" and record["error"]["reason"].startswith("disk: ")
            )
        if lasting and not whole:
            assert box.store.all() == []
        break_at(box, monkeypatch, {})
        # tables are functions of records, and take longer than all the rest
        closing_checks(box, undisturbed, tables=number == n_steps)
        clean(box)
        for path in box.root.glob("after-*"):
            shutil.rmtree(path)
    assert failed > n_steps / 2


def test_cells_are_not_computed_where_their_records_would_be_lost(box):
    """A disk that is full from the first record on, and has room again."""
    box.ready(["flat"], ["kmeans"], "0")
    (path,) = (box.results / "records").rglob("*.json")
    box.suite(["flat"], ["kmeans"], "0-5")
    assert harness(box, largest_file=path.stat().st_size - 200) == 1
    assert len(finished(box)) == 1
    assert 1 <= len(box.ran()) <= 2  # those that ran at a time
    box.clear()
    assert harness(box) == 0 and len(box.ran()) == 5 and len(finished(box)) == 6


@pytest.mark.parametrize(
    "below", ["nothing fits", pytest.param("cell.json", marks=pytest.mark.slow), "record"]
)
def test_a_disk_that_takes_no_more(box, calm, below):
    """The system itself refuses to write; other than above, in the harness's own files too."""
    undisturbed, _ = calm(["flat"], ["kmeans"])
    (path,) = (box.root / "calm").rglob("*-1.json")
    size = {"nothing fits": 0, "cell.json": 300, "record": path.stat().st_size - 200}[below]
    assert harness(box, largest_file=size) == 1
    assert not finished(box)
    assert bool(starts(box)) == (below == "record")
    closing_checks(box, undisturbed)


def test_a_full_disk_where_labels_are_unpacked_is_that_of_the_cell(box, monkeypatch, capsys):
    """Labels of a record whose artefact is not here: only the cell that needs them is not done."""
    box.ready(["blobs", "flat"], ["kmeans10"])
    box.suite(["blobs"], ["kmeans10", "mixnet"])
    shutil.rmtree(box.root / "artifacts" / "blobs" / "kmeans10")
    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
        assert main(["run", "small", "--dry-run"]) == 0
        assert "mixnet" in capsys.readouterr().out
        found = outcomes(box, box.run())
    assert found["mixnet"].status == "killed" and found["mixnet"].reason.startswith("not started")
    assert box.run().complete


def test_a_full_disk_while_tables_are_written_is_said(box, monkeypatch, capsys):
    box.suite(["flat"], ["kmeans"])
    assert main(["run", "small"]) == 0
    before = {path: path.read_bytes() for path in box.results.iterdir() if path.is_file()}
    assert {"small.csv"} <= {path.name for path in before}

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    capsys.readouterr()
    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        assert main(["table", "small"]) == 2
    said = capsys.readouterr().err
    assert "No space left on device; the records are whole, and `mixnet table small`" in said
    assert before == {path: path.read_bytes() for path in box.results.iterdir() if path.is_file()}


@pytest.mark.parametrize("suffix", ["json", pytest.param("npz", marks=pytest.mark.slow)])
def test_a_truncated_record_is_made_again_and_no_other(box, calm, suffix):
    undisturbed, _ = calm(["blobs", "flat"], ["kmeans"])
    assert harness(box) == 0
    (path,) = (box.results / "records" / "flat").rglob(f"*-1.{suffix}")
    path.write_bytes(path.read_bytes()[:100])
    since = len(steps(box))
    closing_checks(box, undisturbed, problems=1)
    assert starts(box, since) == [path.name.partition("-")[0]]


@pytest.mark.slow  # two undisturbed ones: test_dispatch.py
@pytest.mark.parametrize(
    "moments",
    [
        pytest.param({}, id="calm"),
        pytest.param({20: "worker", 45: "parent", 55: "worker", 75: "both"}, id="killed"),
    ],
)
def test_two_harnesses_at_once(box, calm, monkeypatch, moments):
    undisturbed, n_steps = calm(["blobs", "flat"], ["kmeans", "mixnet"])
    assert n_steps > max(moments, default=0)
    break_at(box, monkeypatch, moments)
    both = [start_harness(box) for _ in range(2)]
    for process in both:
        process.join()
    ends = sorted(process.exitcode for process in both)
    if not moments:
        assert ends == [0, 0] and sorted(starts(box)) == sorted(box.plan().nodes)
    else:
        assert ends[0] == -signal.SIGKILL
        # Two that share the work may be over before the last moment: it is not for the run below.
        break_at(box, monkeypatch, {})
    closing_checks(box, undisturbed)
