"""Options and the fixture `compare` of the speed gate; ``tox -e perf -- --full --keep``."""

from __future__ import annotations

import pytest
import torch

from benchmarks.perf import measure

LONG = 20.0  # seconds
ROUNDS = ((1.0, 5), (LONG, 2), (float("inf"), 1))  # what takes less than so many seconds: how often


def pytest_addoption(parser):
    group = parser.getgroup("speed gate")
    group.addoption("--full", action="store_true", help="the sizes of MNIST instead of quick ones")
    group.addoption("--keep", action="store_true", help="write what was measured to results/perf")
    group.addoption(
        "--perf-device",
        default="cpu",
        metavar="DEVICE",
        help="where torch runs: cpu (default) or cuda",
    )


def pytest_configure(config):
    config.perf_rows, config.perf_sgemm = [], None


def pytest_collection_modifyitems(config, items):
    for item in items:
        if config.getoption("--full"):
            item.add_marker(pytest.mark.timeout(7200))


def pytest_terminal_summary(terminalreporter, config):
    rows = config.perf_rows
    if not rows:
        return
    terminalreporter.section("speed gate")
    for row in rows:  # by the best yardstick of the whole session, all alike
        row.update(rates(row, config.perf_sgemm.gflops))
        terminalreporter.write_line(sentence(row))
    if config.getoption("--keep"):
        size = "full" if config.getoption("--full") else "quick"
        path = measure.keep("gate", size, rows, config.getoption("--perf-device"))
        terminalreporter.write_line(f"kept in {path.relative_to(measure.provenance.ROOT)}")


def rates(row: dict, sgemm: float) -> dict:
    """Share of the machine's rate that a row reached, if its operations were counted."""
    gflops = row["gflops"]
    return {"sgemm_gflops": sgemm, "share_of_sgemm": None if gflops is None else gflops / sgemm}


def sentence(row: dict) -> str:
    """One row in words."""
    words = f"{row['task']}: {row['seconds']:.3g} s"
    if row["gflops"] is not None:
        words += f", {row['gflops']:.3g} Gflop/s, {100 * row['share_of_sgemm']:.0f}% of sgemm"
    for name, other in row["others"].items():
        words += f", {other['ratio']:.2f} x as fast as {name}"
        if other["target"] is not None:
            words += f" (target {other['target']:g}: {'met' if other['met'] else 'missed'})"
    if row["target_seconds"] is not None:
        words += f"; target {row['target_seconds']:g} s: "
        words += "met" if row["seconds"] <= row["target_seconds"] else "missed"
    if row["target_share"] is not None:
        words += f"; target {100 * row['target_share']:.0f}% of sgemm: "
        words += "met" if row["share_of_sgemm"] >= row["target_share"] else "missed"
    return words


@pytest.fixture(scope="session")
def full(pytestconfig) -> bool:
    return pytestconfig.getoption("--full")


@pytest.fixture(scope="session")
def device(pytestconfig) -> str:
    name = pytestconfig.getoption("--perf-device")
    if torch.device(name).type == "cuda" and not torch.cuda.is_available():
        pytest.skip("--perf-device is a GPU, and torch sees none")
    return name


@pytest.fixture(scope="session")
def sgemm(device, pytestconfig):
    pytestconfig.perf_sgemm = measure.Sgemm(device)
    return pytestconfig.perf_sgemm


@pytest.fixture
def compare(benchmark, device, sgemm, pytestconfig):
    """Time a task in turns with the yardstick and with what else one would use.

    ``compare(task, ours, flops=None, others={}, target_share=None, target_seconds=None)``. `others`
    maps a name to (function, share, target): `share` of the whole work is done by the function, and
    its time divided by it (1 for all of it; less where all would take hours); `target` is the ratio
    aimed at, or None. On the CPU the ratio must be at least half the target: a gate, not a photo
    finish; what else is aimed at is reported only. More keywords are kept with the row. No side's
    first call counts, except of others that take long.
    """

    def run(
        task, ours, *, flops=None, others=None, target_share=None, target_seconds=None, **facts
    ):
        others = others or {}
        best = dict.fromkeys(others, float("inf"))
        with measure.Memory() as memory:
            first = measure.seconds(ours, device)
        rounds = next(n for limit, n in ROUNDS if first < limit)
        if first < LONG:
            for call, _, _ in others.values():
                call()
        times = []

        def before():
            sgemm.measure()
            for name, (call, share, _) in others.items():
                best[name] = min(best[name], measure.seconds(call, device) / share)

        def timed():
            times.append(measure.seconds(ours, device))

        benchmark.pedantic(timed, setup=before, rounds=rounds)
        spent = min(times)
        gflops = None if flops is None else flops / spent / 1e9
        row = {
            "task": task,
            "seconds": spent,
            "rounds": rounds,
            "gflops": gflops,
            **rates({"gflops": gflops}, sgemm.gflops),
            "target_share": target_share,
            "target_seconds": target_seconds,
            "peak_rss_mb": memory.peak_mb,
            "device": device,
            **facts,
            "others": {
                name: {
                    "seconds": best[name],
                    "share_run": share,
                    "ratio": best[name] / spent,
                    "target": target,
                    "met": None if target is None else best[name] / spent >= target,
                }
                for name, (_, share, target) in others.items()
            },
        }
        benchmark.extra_info.update(row)
        pytestconfig.perf_rows.append(row)
        print("\n" + sentence(row))
        if device == "cpu":
            slow = [
                name
                for name, other in row["others"].items()
                if other["target"] is not None and other["ratio"] < other["target"] / 2
            ]
            assert not slow, sentence(row)
        return row

    return run
