"""A dry run says what a run would do and how long it takes, and does nothing."""

from itertools import permutations
from types import SimpleNamespace

import pytest

from benchmarks.cli.main import main
from benchmarks.run.preview import makespan


def dry(box, capsys, *words):
    capsys.readouterr()
    assert main(["run", "small", "--dry-run", *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_nothing_known_yet(box, capsys):
    box.suite(["blobs"], ["mixnet"])
    assert dry(box, capsys) == [
        "blobs autoencoder raw seed 0: missing, needed by others, never run; unknown time",
        "blobs kmeans10 code seed 0: missing, needed by others, never run; unknown time",
        "blobs mixnet code seed 0: missing, never run; unknown time",
        "3 of 3 cells would run, 3 of unknown time",
    ]
    assert box.ran() == [] and box.store.all() == [] and not (box.root / "artifacts").exists()


def test_times_come_from_history_and_reasons_from_the_records(box, capsys):
    box.ready(["blobs"], ["kmeans", "mixnet"])
    for record in box.store.all():  # as if each had taken ten seconds, a mixture a hundred
        wall = 100.0 if record["cell"]["method"] == "mixnet" else 10.0
        box.store.write({**record, "provenance": {**record["provenance"], "wall_s": wall}})
        path = box.store.folder(record["cell"]) / f"{record['key']}-1.json"
        path.unlink()
    box.suite(["blobs"], ["kmeans", "mixnet", "spectral"], "0-1")
    box.edit("mix", "-np.square(X)", "-2 * np.square(X)")
    assert dry(box, capsys, "--jobs", "1") == [
        "blobs mixnet code seed 0: stale, code changed: fakepkg.mix; 1 min 40 s",
        "blobs spectral raw seed 0: missing, never run; unknown time",
        "blobs kmeans raw seed 1: missing, never run; 10 s",
        "blobs autoencoder raw seed 1: missing, needed by others, never run; 10 s",
        "blobs kmeans code seed 1: missing, never run; 10 s",
        "blobs kmeans10 code seed 1: missing, needed by others, never run; 10 s",
        "blobs mixnet code seed 1: missing, never run; 1 min 40 s",
        "blobs spectral raw seed 1: missing, never run; unknown time",
        "8 of 12 cells would run, 4 min 0 s with 1 at a time, 2 of unknown time not counted",
    ]
    # one place is the mixture's of seed 0, in the other seed 1 follows: 4 × 10 + 100 s
    assert dry(box, capsys, "--jobs", "2")[-1] == (
        "8 of 12 cells would run, 2 min 20 s with 2 at a time, 2 of unknown time not counted"
    )
    assert box.ran() == []
    shorter = dry(box, capsys, "--fast", "--methods", "kmeans", "--seeds", "0", "--jobs", "1")
    assert shorter[0].endswith(
        "missing, needed by others, never run with these parameters: "
        "power was 1, is 2; unknown time"
    )  # 10 s are of a full schedule
    assert box.run().complete is True and dry(box, capsys) == ["0 of 12 cells would run"]


def test_a_cell_whose_need_failed_for_good_would_not_run(box, capsys):
    box.suite(["blobs"], ["kmeans", "mixnet"])
    box.edit("embed", 'note("embed", self.seed)', "raise ValueError('no codes today')")
    box.run()
    assert dry(box, capsys) == [
        f"blobs {name} code seed 0: not run, needs blobs autoencoder raw seed 0: error"
        for name in ("kmeans", "kmeans10", "mixnet")
    ] + ["0 of 5 cells would run"]
    assert dry(box, capsys, "--retry-failed")[-1].startswith("4 of 5 cells would run")


def node(key, *needs):
    return SimpleNamespace(key=key, needs={need.key: need for need in needs})


def test_makespan_by_hand():
    a, b, c = node("a"), node("b"), node("c")
    d = node("d", a, b)
    seconds = {"a": 3.0, "b": 2.0, "c": 4.0, "d": 1.0}
    assert makespan([a, b, c, d], seconds, 1) == 10
    assert makespan([a, b, c, d], seconds, 2) == 6  # c follows b, d follows a
    assert makespan([a, b, c, d], seconds, 3) == 4
    assert makespan([d], seconds, 1) == 1  # what it needs is there
    assert makespan([], {}, 2) == 0


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_makespan_lies_within_the_bounds_of_list_scheduling(jobs):
    """Never below work / jobs or the longest chain, never above the sum of both (Graham)."""
    for times in permutations([1.0, 2.0, 4.0, 7.0, 3.0]):
        a, b = node("a"), node("b")
        nodes = [a, b, node("c", a), node("d", a, b), node("e")]
        seconds = dict(zip("abcde", times, strict=True))
        chain = max(
            seconds["a"] + max(seconds["c"], seconds["d"]),
            seconds["b"] + seconds["d"],
            seconds["e"],
        )
        found = makespan(nodes, seconds, jobs)
        assert max(sum(times) / jobs, chain) <= found <= sum(times) / jobs + chain
