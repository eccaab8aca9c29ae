"""Cost against n, K and S: ``python -m benchmarks.perf.growth`` measures, keeps and draws.

Processor seconds, so that other work on the machine counts little; of several threads they add up.
A size that is expected to take more than ``--limit`` seconds is left out, and so is any larger one.
``--draw FILE`` draws an earlier measurement again.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import pandas as pd
import torch

from baselines.clustering.ldmgi import LDMGI
from baselines.clustering.llc import LLC
from baselines.clustering.many import nearest_neighbours
from baselines.clustering.ncut import NCut
from baselines.parzen import log_densities
from benchmarks.exhibits.growth import expected
from benchmarks.perf import measure, workloads
from benchmarks.perf.workloads import BATCH, THRESHOLD, WIDTH
from benchmarks.report import plot
from benchmarks.report.figures.growth import LINES, MARKERS, exponent
from mixnet_core.em import algorithm_1_epoch, algorithm_2_iteration
from mixnet_core.likelihood import log_likelihood

N, K, S, CODE, NEIGHBOURS, CENTRES = 10_000, 10, 1000, 32, 10, 1000
SIZES = {
    "n": (1_000, 3_000, 10_000, 30_000, 60_000, 100_000, 300_000, 1_000_000),
    "K": (1, 2, 5, 10, 20, 50, 100),
    "S": (100, 300, 1_000, 3_000, 10_000, 30_000),
}
MOST = max(SIZES["n"])
WORDS = {"n": "points n", "K": "networks K", "S": "samples of a network, S"}
YELLOW = "#F0E442"  # too faint for a line
COLOURS = (*(colour for colour in plot.COLOURS if colour != YELLOW), "#7F7F7F")
QUICK_S = 0.5  # what takes less is run three times, of which the shortest counts


def algorithm_1(n, k, s, device):
    work, generator = workloads.workload(n, k, device), torch.Generator().manual_seed(0)
    return lambda: algorithm_1_epoch(work.trainer, work.x, work.labels, BATCH, generator)


def algorithm_2(n, k, s, device):
    work, generator = workloads.workload(n, k, device), torch.Generator().manual_seed(0)
    return lambda: algorithm_2_iteration(
        work.trainer, work.x, work.log_lik, work.priors, BATCH, THRESHOLD, generator
    )


def e_step(n, k, s, device):
    work = workloads.workload(n, k, device)
    samples = work.trainer.bank.sample(s, torch.Generator().manual_seed(0))
    return lambda: log_likelihood(work.x, samples, WIDTH)


def parzen(n, k, s, device):
    X = workloads.made_points(n, CODE)
    return lambda: log_densities(X, X[:CENTRES], [WIDTH], device=device)


def neighbour_graph(n, k, s, device):
    X = workloads.made_points(n, CODE)
    return lambda: nearest_neighbours(X, NEIGHBOURS)


def clusterer(kind):
    def task(n, k, s, device):
        X = workloads.made_points(n, CODE)
        return lambda: kind(k, random_state=0).fit(X)

    return task


TASKS = {  # name -> (what is timed, the axes along which)
    "Algorithm 1, one epoch": (algorithm_1, "nK"),
    "Algorithm 2, one iteration without its E-step": (algorithm_2, "nK"),
    "E-step": (e_step, "nKS"),
    "Parzen window": (parzen, "n"),
    "neighbour graph": (neighbour_graph, "n"),
    "NCut": (clusterer(NCut), "n"),
    "LLC": (clusterer(LLC), "n"),
    "LDMGI": (clusterer(LDMGI), "n"),
}


ON_CPU = ("neighbour graph", "NCut", "LLC", "LDMGI")  # whatever the device


def processor_seconds(call, device: str) -> float:
    """Of the CPU; on a GPU those of the clock, since the CPU only waits there."""
    if torch.device(device).type == "cuda":
        return measure.seconds(call, device)
    start = time.process_time()
    call()
    return time.process_time() - start


def series(task, axis: str, sizes, limit_s: float, device: str = "cpu") -> list[dict]:
    """One row for each size: ``size``, ``seconds`` (None where it was not run), ``expected``."""
    rows, fixed = [], {"n": N, "K": K, "S": S}
    for size in sizes:
        done = [(row["size"], row["seconds"]) for row in rows if row["seconds"] is not None]
        row = {"size": size, "seconds": None, "expected": expected(size, done)}
        if len(done) == len(rows) and (row["expected"] or 0) <= limit_s:
            at = fixed | {axis: size}
            call = task(at["n"], at["K"], at["S"], device)
            row["seconds"] = processor_seconds(call, device)
            if row["seconds"] < QUICK_S:
                again = [processor_seconds(call, device) for _ in range(2)]
                row["seconds"] = min(row["seconds"], *again)
        rows.append(row)
    return rows


def measure_all(limit_s: float, most: int, device: str = "cpu", say=print) -> pd.DataFrame:
    """Every task along every axis: ``task, axis, size, seconds, expected, exponent``."""
    frames = []
    for axis, sizes in SIZES.items():
        for name, (task, axes) in TASKS.items():
            if axis in axes and (device == "cpu" or name not in ON_CPU):
                some = [size for size in sizes if size <= most]
                frame = pd.DataFrame(series(task, axis, some, limit_s, device))
                frame.insert(0, "task", name)
                frame.insert(1, "axis", axis)
                frame["exponent"] = exponent(frame["size"], frame.seconds.astype(float))
                say(
                    f"{name} against {axis}: exponent {frame.exponent[0]:.2f}, "
                    f"to {frame[frame.seconds.notna()]['size'].max():,}"
                )
                frames.append(frame)
    return pd.concat(frames, ignore_index=True).astype({"seconds": float, "expected": float})


def draw(frame: pd.DataFrame):
    """A panel for each axis; the exponents, fitted to the three largest runs, in the legend."""
    axes = [axis for axis in SIZES if (frame["axis"] == axis).any()]
    figure = plot.canvas(10.5, 5.4)
    widths = [2, 1.2, 1.2][: len(axes)]
    panels = figure.subplots(1, len(axes), squeeze=False, width_ratios=widths)[0]
    names, handles = list(TASKS), {}
    for panel, axis in zip(panels, axes, strict=True):
        for name, rows in frame[frame["axis"] == axis].groupby("task", sort=False):
            i, run = names.index(name), rows[rows.seconds.notna()]
            look = {"color": COLOURS[i], "marker": MARKERS[i], "linestyle": LINES[i % len(LINES)]}
            look |= {"markersize": 4.5, "linewidth": 1.4}
            (handles[name],) = panel.plot(run["size"], run.seconds, **look)
        panel.set(xscale="log", yscale="log", xlabel=WORDS[axis])
        panel.grid(True, which="major", linewidth=0.4, color="#dddddd")
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("processor seconds")
    words = [legend(frame, name) for name in handles]
    look = {"fontsize": 8.5, "ncols": 2, "frameon": False, "handlelength": 3.5}
    figure.legend(handles.values(), words, loc="outside lower center", **look)
    return figure


def legend(frame, name: str) -> str:
    """A task and its exponents, such as ``E-step: n^1.00, K^1.00, S^0.99``."""
    found = frame[(frame.task == name) & frame.exponent.notna()].groupby("axis", sort=False)
    words = [f"{axis}^{rows.exponent.iloc[0]:.2f}" for axis, rows in found]
    return f"{name}: {', '.join(words)}" if words else name


def main(arguments=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--limit", type=float, default=600, help="seconds that a size may take")
    parser.add_argument("--most", type=int, default=MOST, help="largest size")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--into", type=Path, default=measure.RESULTS, help="folder to write to")
    parser.add_argument("--draw", type=Path, metavar="FILE", help="an earlier measurement")
    asked = parser.parse_args(arguments)
    path = asked.draw
    if path is None:
        frame = measure_all(asked.limit, asked.most, asked.device)
        rows = json.loads(frame.to_json(orient="records"))
        size = "full" if asked.most >= MOST else f"to-{asked.most}"
        path = measure.keep("growth", size, rows, asked.device, asked.into)
    frame = pd.DataFrame(json.loads(path.read_text(encoding="utf-8"))["rows"])
    frame = frame.astype({"seconds": float, "expected": float, "exponent": float})
    base = path.with_suffix("")
    frame.to_csv(f"{base}.csv", index=False, float_format="%.6g")
    plot.save(draw(frame), base)
    print(f"{base}.json, .csv, .png, .pdf")


if __name__ == "__main__":
    main()
