"""A suite on a dask cluster: whatever dies, nothing is lost and nothing finished runs twice."""

import json
import os
import shutil
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.cli.main import main
from benchmarks.run import scheduler
from benchmarks.run.scheduler import Cluster, SchedulerError

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def shared():
    yield from workers(2)


@pytest.fixture
def cluster(box, shared):
    """Two dask workers, each a process with one thread, that live as long as these tests.

    One that a test kills is replaced by its nanny.
    """
    shared.wait_for_workers(2)
    ours = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("MIXNET_", "FAKE_", "PYTHON"))
    }

    def adopt():
        os.environ.update(ours)

    with distributed.Client(shared, set_as_default=False) as client:
        client.run(adopt)
    return shared


def local_cluster(**options):
    """A cluster; dask asserts that its loop has started within ten seconds, whatever the load."""
    for _ in range(30):
        try:
            return distributed.LocalCluster(dashboard_address=None, **options)
        except AssertionError:
            continue
    raise TimeoutError("no loop of dask's started in 30 attempts of ten seconds")


def workers(n, **options):
    with local_cluster(n_workers=n, threads_per_worker=1, processes=True, **options) as made:
        made.wait_for_workers(n)
        yield made


def on(box, cluster, jobs=2, **settings):
    with Cluster(cluster.scheduler_address, box.results) as door:
        return box.run(jobs=jobs, launch=door.launch, **settings)


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def test_a_suite_runs_as_it_does_here(box, cluster):
    box.suite(["blobs", "flat"], ["mixnet"])
    assert on(box, cluster).complete
    assert box.ran() == sorted(f"{name} 0" for name in ("embed", "good", "good", "mix", "mix"))
    there = {r["key"]: (r["outputs"], r["metrics"]) for r in box.store.all()}
    assert not list(box.root.rglob(".*.tmp"))
    shutil.rmtree(box.results)
    shutil.rmtree(box.root / "artifacts")
    box.ready(["blobs", "flat"], ["mixnet"])
    assert there == {r["key"]: (r["outputs"], r["metrics"]) for r in box.store.all()}


def test_a_worker_that_is_killed_midway(box, cluster):
    """The first cell that sleeps loses its dask worker; all others are untouched."""
    box.suite(["flat"], ["slow", "kmeans"], "0-3")
    flag = box.root / "asleep"
    box.edit(
        "cluster",
        'time.sleep(float(os.environ.get("FAKE_SLEEP", "2")))',
        f"open({str(flag)!r}, 'a').close(); time.sleep(2)",
    )
    killed = []

    def kill():
        box.wait_for(flag.exists)
        cell = next(
            int(line.split()[-1])
            for line in box.log.read_text().splitlines()
            if line.startswith("slow")
        )
        killed.append(cell)
        os.kill(parent(cell), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    summary = on(box, cluster)
    killer.join()
    assert summary.complete
    wanted = sorted(f"{name} {seed}" for name in ("good", "slow") for seed in range(4))
    ran = box.ran()
    for name in wanted:  # the one that was killed ran twice, and no other
        ran.remove(name)
    assert len(ran) == 1 and ran[0].startswith("slow")
    assert killed[0] not in alive(box)
    assert len(box.store.all()) == 8 and {r["attempt"] for r in box.store.all()} == {1}


@pytest.mark.slow
def test_a_cell_that_loses_every_worker_is_a_killed_record(box, cluster, monkeypatch):
    box.suite(["flat"], ["slow", "kmeans"])
    box.edit(
        "cluster",
        'time.sleep(float(os.environ.get("FAKE_SLEEP", "2")))',
        "os.kill(os.getppid(), 9); time.sleep(60)",
    )
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 1)
    summary = on(box, cluster)
    assert sorted(o.status for o in summary.outcomes.values()) == ["done", "killed"]
    (record,) = [r for r in box.store.all() if r["status"] == "killed"]
    assert "KilledWorker" in record["error"]["reason"]
    assert box.ran().count("slow 0") == 2 and "was lost" in record["error"]["traceback"]


def test_what_is_finished_is_not_run_again_by_the_next_try(box, cluster):
    """The worker dies after its cell wrote the record and before it could say so."""
    box.suite(["flat"], ["kmeans"])
    (node,) = box.plan().nodes.values()
    with Cluster(cluster.scheduler_address, box.results) as door:
        first = box.run(jobs=1, launch=door.launch)
        assert first.complete
        job = {"cell": node.cell, "artifacts": str(node.artifacts), "results": str(box.results)}
        again = door.client.submit(
            scheduler.launch, job, 60, 0, door.topic, "again", scheduler.code_hash(door.topic)
        )
        assert again.result(timeout=300) == {"attempts": [1]}
    assert box.ran() == ["good 0"]


def test_failures_are_the_same_records_as_here(box, cluster):
    box.suite(["flat"], ["crash", "fail", "hang", "exit"])
    summary = on(box, cluster)
    found = {r["cell"]["method"]: r for r in box.store.all()}
    assert {m: r["status"] for m, r in found.items()} == {
        "crash": "killed",
        "fail": "error",
        "hang": "timeout",
        "exit": "error",
    }
    assert len(summary.outcomes) == 4 and "SIGKILL" in found["crash"]["error"]["reason"]
    assert found["hang"]["error"]["reason"] == "longer than 2.5 s"
    assert "last words" in found["exit"]["error"]["traceback"]
    assert "fakepkg.cluster" in found["crash"]["provenance"]["modules"]
    assert found["crash"]["provenance"]["cores"] >= 1


@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGKILL]
)
def test_no_cell_outlives_a_stopped_or_killed_harness(box, cluster, number):
    box.suite(["flat"], ["hang", "kmeans"])
    path = box.registry / "methods.toml"
    path.write_text(path.read_text().replace("timeout_s = 2.5", "timeout_s = 600"))
    process = box.spawn("run", "small", "--scheduler", cluster.scheduler_address)
    box.wait_for(lambda: "hang 0" in box.ran() and len(box.store.all()) == 1)
    process.send_signal(number)
    text = process.communicate(timeout=300)[0]
    box.wait_for(lambda: not alive(box))
    assert len(cluster.scheduler.workers) == 2
    statuses = sorted(r["status"] for r in box.store.all())
    if number == signal.SIGTERM:
        assert process.returncode == 130 and "stopped" in text
        assert statuses == ["done", "interrupted"]
    else:
        assert statuses == ["done"]


def test_progress_comes_through(box, cluster):
    box.suite(["flat"], ["mixnet"])
    box.edit(
        "mix",
        'progress(step, 3, "iteration")',
        "__import__('time').sleep(0.7); progress(step, 3, 'iteration')",
    )
    seen = []
    with Cluster(cluster.scheduler_address, box.results) as door:

        def launch(job, timeout):
            cell = door.launch(job, timeout)
            take = cell._take

            def told(line):
                take(line)
                seen.append(cell.progress)

            cell._take = told
            return cell

        assert box.run(jobs=1, launch=launch).complete
    assert "1/3 iteration" in seen


def test_folders_that_a_worker_does_not_see(box, cluster, tmp_path, monkeypatch):
    """A worker whose folder of that name is another one: it is left as it was found."""
    hidden = tmp_path / "elsewhere"
    hidden.mkdir()
    look = scheduler.look

    def blind(door, dask_worker=None):
        return look({**door, "folders": [str(hidden), door["folders"][1]]}, dask_worker)

    monkeypatch.setattr(scheduler, "look", blind)
    with pytest.raises(SchedulerError, match="does not see .*elsewhere.*all machines share"):
        Cluster(cluster.scheduler_address, box.results).__enter__()
    monkeypatch.setattr(scheduler, "look", look)
    with pytest.raises(SchedulerError, match="does not see /no/such/folder"):
        Cluster(cluster.scheduler_address, box.results, "/no/such/folder").__enter__()
    assert not list(tmp_path.rglob(".*.tmp")) and not list(hidden.iterdir())


def test_a_folder_that_a_worker_cannot_write_to(box, monkeypatch):
    door = {"token": "t", "source": None, "cuda": False, "folders": [str(box.results)]}
    box.results.mkdir()
    (box.results / ".t.tmp").write_text("t")
    worker = SimpleNamespace(state=SimpleNamespace(total_resources={}, nthreads=1))
    judge = Cluster("tcp://nowhere:1", box.results)._problems
    assert judge(scheduler.look(door, worker), door) == []

    def touch(*_, **__):
        raise PermissionError

    monkeypatch.setattr(Path, "touch", touch)
    assert judge(scheduler.look(door, worker), door) == [f"cannot write to {box.results}"]


def test_other_code_on_a_worker_is_refused(box, cluster, monkeypatch):
    monkeypatch.setattr(scheduler, "code_hash", lambda token="": "another")
    with pytest.raises(SchedulerError, match="has other code than this checkout"):
        Cluster(cluster.scheduler_address, box.results).__enter__()


def test_workers_of_one_machine_share_its_memory_and_cores(box, cluster, monkeypatch):
    """Two workers of a thread each: a cell may take half of the memory, not all of it."""
    monkeypatch.setattr(scheduler.provenance, "n_cores", lambda: 1)
    box.suite(["flat"], ["slow"])
    box.edit(
        "cluster",
        'time.sleep(float(os.environ.get("FAKE_SLEEP", "2")))',
        "import pathlib, sys; pathlib.Path(os.environ['FAKE_LOG'] + '.job').write_text("
        "pathlib.Path(sys.argv[-1]).read_text())",
    )
    with Cluster(cluster.scheduler_address, box.results, threads=8) as door:
        assert door.slots == 2 and list(door.slots_of.values()) == [2]
        assert box.run(launch=door.launch).complete
        (words,) = door.warnings
        assert "its workers take 2 cells of 8 thread(s)" in words
    assert json.loads(Path(f"{box.log}.job").read_text())["at_once"] == 2


def test_gpu_cells_need_workers_with_slots(box, cluster):
    with pytest.raises(SchedulerError, match="needs dask workers with a GPU resource"):
        Cluster(cluster.scheduler_address, box.results, device="cuda").__enter__()
    with pytest.raises(SchedulerError, match="needs cpu or cuda"):
        Cluster(cluster.scheduler_address, box.results, device="cuda:1").__enter__()


@pytest.mark.slow
def test_gpu_slots_limit_how_many_cells_run_at_a_time(box, monkeypatch):
    """Two slots on a worker of four threads; what the cells do needs no GPU here."""
    box.suite(["flat"], ["slow"], "0-3")
    box.edit(
        "cluster",
        'time.sleep(float(os.environ.get("FAKE_SLEEP", "2")))',
        "open(os.environ['FAKE_LOG'] + '.times', 'a').write(f'{time.time()} 1\\n'); "
        "time.sleep(1.5); "
        "open(os.environ['FAKE_LOG'] + '.times', 'a').write(f'{time.time()} -1\\n')",
    )
    monkeypatch.setattr(Cluster, "_problems", lambda *_: [])
    for made in workers(1, resources={"GPU": 2}):
        with Cluster(made.scheduler_address, box.results, device="cuda") as door:
            assert door.slots == 2
            assert box.run(jobs=4, device="cuda", launch=door.launch).complete
    events = sorted(line.split() for line in Path(f"{box.log}.times").read_text().splitlines())
    running = [sum(int(step) for _, step in events[: i + 1]) for i in range(len(events))]
    assert max(running) <= 2 and len(events) == 8


@pytest.mark.parametrize(
    "address, message",
    [("tcp://127.0.0.1:9", "needs the address"), ("nonsense:x:y", "needs the address")],
)
def test_no_scheduler_there(box, capsys, monkeypatch, address, message):
    monkeypatch.setattr(scheduler, "DOOR_S", 1.0)
    assert main(["run", "small", "--scheduler", address]) == 2
    assert message in capsys.readouterr().err and box.ran() == []


def test_no_worker_there(box, monkeypatch, capsys):
    wait = distributed.Client.wait_for_workers
    monkeypatch.setattr(distributed.Client, "wait_for_workers", lambda *a, **_: wait(*a, timeout=1))
    with local_cluster(n_workers=0) as made:
        assert main(["run", "small", "--scheduler", made.scheduler_address]) == 2
    assert "no worker at tcp://" in capsys.readouterr().err


@pytest.mark.parametrize("late", [1, 2])
def test_a_loop_of_dask_that_starts_late_is_tried_again_once(box, shared, monkeypatch, late):
    """Its client asserts that, and the same assertion is what fails here."""
    asked, start = [], distributed.utils.LoopRunner.start

    def late_start(runner):
        asked.append(runner)
        assert len(asked) > late
        start(runner)

    monkeypatch.setattr(distributed.utils.LoopRunner, "start", late_start)
    cluster = Cluster(shared.scheduler_address, box.results)
    if late == 1:
        with cluster:
            assert cluster.slots == 2
    else:
        with pytest.raises(SchedulerError, match="not started here in two attempts"):
            cluster.__enter__()
    assert len(asked) == 2


@pytest.mark.slow
def test_a_scheduler_that_is_lost_ends_the_run(box, capsys):
    box.suite(["flat"], ["hang", "kmeans"])
    made = local_cluster(n_workers=1, threads_per_worker=1)
    process = box.spawn("run", "small", "--scheduler", made.scheduler_address)
    box.wait_for(lambda: "hang 0" in box.ran())
    made.close()
    text = process.communicate(timeout=300)[0]
    assert process.returncode == 2 and "is lost" in text
    box.wait_for(lambda: not alive(box))
    assert not any(r["status"] == "killed" for r in box.store.all())


def alive(box):
    """Processes of cells that are still there."""
    time.sleep(0.1)
    found = []
    for pid in box.worker_pids():
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        found += [pid] if state != "Z" else []
    return found
