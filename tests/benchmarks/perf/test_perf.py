"""What the speed gate says of its measurements; nothing here depends on how fast anything is."""

import json
import mmap
import re
import time

import numpy as np
import pytest
import torch

from benchmarks.perf import conftest, gpu, growth, measure, plain, workloads
from mixnet_core.likelihood import log_likelihood
from mixnet_core.optimizers import BankTrainer


def test_cluster_sizes():
    assert workloads.sizes(60_000, 10) == [15_000] + [5_000] * 9
    assert workloads.sizes(7, 1) == [7]
    assert sum(workloads.sizes(1_003, 7)) == 1_003
    assert list(workloads.workload(2_000, 4).counts) == workloads.sizes(2_000, 4)


def test_operations_counted_by_hand():
    # 3-4-5: forward 12 + 20, backward 12 + 20 by weights and 20 by activations; twice for + and *
    assert workloads.step_flops("3-4-5", 10) == 2 * 10 * (32 + 32 + 20) + 2 * 100 * 5 * 5


def test_the_plain_loop_trains_as_the_bank_does(monkeypatch):
    """Same weights, batches, inputs: the same networks come out, so the ratio is of equal work."""
    work = workloads.workload(800, 3)
    bank, trainer = work.trainer.bank, work.trainer
    assert isinstance(trainer, BankTrainer)
    how = workloads.settings()
    widths = [m * trainer.objective.scale for m in how.pop("mmd_widths")]
    loop = plain.PlainLoop(workloads.STRUCTURE, 3, widths, **how)
    for j, network in enumerate(loop.networks):
        layers = [part for part in network if isinstance(part, torch.nn.Linear)]
        for layer, weight, bias in zip(layers, bank.weights, bank.biases, strict=True):
            layer.weight.data.copy_(weight[j].T)
            layer.bias.data.copy_(bias[j, 0])
    z = 0.5 * torch.ones(workloads.BATCH, bank.n_inputs)
    z += 0.1 * torch.arange(workloads.BATCH)[:, None] / workloads.BATCH
    monkeypatch.setattr(bank, "draw_inputs", lambda n, batch, generator: z.expand(n, -1, -1))
    monkeypatch.setattr(torch, "rand", lambda *_, **__: (z + 1) / 2)
    queues, factors = workloads.queues(work)
    assert [len(queue) for queue in queues] == [2, 3, 3]
    factors = [0.5 * factor for factor in factors]
    before = bank.weights[0].clone()
    trainer.run(work.x, queues, factors)
    loop.run(work.x, queues, factors)
    assert not torch.equal(bank.weights[0], before)
    for j, network in enumerate(loop.networks):
        torch.testing.assert_close(network[0].weight.data.T, bank.weights[0][j], atol=5e-5, rtol=0)


def test_both_plain_log_likelihoods_agree_with_the_library():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(50, 6, generator=generator), torch.rand(3, 40, 6, generator=generator)
    ours = log_likelihood(x, y, 0.3)
    for theirs in (plain.log_likelihood, plain.log_likelihood_by_products):
        difference = ours - theirs(x, y, 0.3)
        torch.testing.assert_close(
            difference, difference.mean().expand_as(difference), atol=1e-4, rtol=0
        )


def row(**changes):
    base = {
        "task": "E-step",
        "seconds": 2.0,
        "gflops": 30.0,
        "share_of_sgemm": 0.3,
        "others": {},
        "target_share": None,
        "target_seconds": None,
    }
    return base | changes


def test_a_sentence_says_what_was_met_and_missed():
    other = {"seconds": 5.0, "ratio": 2.5, "target": 3.0, "met": False}
    words = conftest.sentence(row(others={"plain": other}, target_share=0.25, target_seconds=1.5))
    assert "30% of sgemm" in words and "2.50 x as fast as plain (target 3: missed)" in words
    assert re.search("target 1.5 s: missed; target 25% of sgemm: met", words)


def test_what_is_kept_names_the_machine_and_no_host(tmp_path, monkeypatch):
    path = measure.keep("gate", "quick", [row()], "cpu", tmp_path)
    kept = json.loads(path.read_text())
    assert kept["rows"][0].items() >= row().items() and "commit" in kept["rows"][0]
    assert kept["machine"]["threads"] == torch.get_num_threads()
    assert re.fullmatch(r"gate-quick-[a-z0-9-]+-threads\.json", path.name)
    assert (
        measure.keep("gate", "quick", [row(seconds=3.0), row(task="NCut")], "cpu", tmp_path) == path
    )
    measure.keep("gate", "quick", [row(task="NCut", seconds=4.0)], "cpu", tmp_path)
    rows = json.loads(path.read_text())["rows"]
    assert [(r["task"], r["seconds"]) for r in rows] == [("E-step", 3.0), ("NCut", 4.0)]


def test_memory_is_that_of_the_block():
    with measure.Memory() as small:
        pass
    with measure.Memory() as large:
        # pages of its own: an array can lie in memory that was freed, and is resident already
        pages = mmap.mmap(-1, 50_000_000)
        held = np.frombuffer(pages, np.uint8)
        held[:] = 1
        end = time.monotonic() + 300
        while large.peak_mb - small.peak_mb <= 30 and time.monotonic() < end:
            time.sleep(0.01)  # until it was looked at
        del held
        pages.close()
    assert large.peak_mb - small.peak_mb > 30


def test_rates_are_by_one_yardstick():
    assert conftest.rates(row(), 60.0) == {"sgemm_gflops": 60.0, "share_of_sgemm": 0.5}
    assert conftest.rates(row(gflops=None), 60.0)["share_of_sgemm"] is None


def test_sgemm_is_a_rate_of_the_best_product():
    yardstick = measure.Sgemm(size=64)
    yardstick.best = 1e-3
    assert yardstick.gflops == pytest.approx(2 * 64**3 / 1e-3 / 1e9)
    yardstick.measure()
    assert yardstick.best <= 1e-3


def test_sizes_beyond_the_limit_are_left_out(monkeypatch):
    monkeypatch.setattr(growth, "processor_seconds", lambda call, device: call())
    rows = growth.series(
        lambda n, k, s, device: lambda: 1e-3 * n**2, "n", (10, 20, 40, 80, 160), 7.0
    )
    assert [r["seconds"] for r in rows] == [0.1, 0.4, 1.6, 6.4, None]
    assert rows[-1]["expected"] == pytest.approx(25.6)


def test_growth_is_fitted_drawn_and_drawn_again_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(growth, "processor_seconds", lambda call, device: call())
    power = {"n": 1.5, "K": 1.0, "S": 0.5}
    monkeypatch.setattr(
        growth,
        "TASKS",
        {
            "NCut": (lambda n, k, s, device: lambda: 1e-7 * n**1.5, "n"),
            "E-step": (lambda n, k, s, device: lambda: 1e-9 * n**1.5 * k * s**0.5, "nKS"),
        },
    )
    growth.main(["--into", str(tmp_path)])
    (kept,) = tmp_path.glob("*.json")
    frame = growth.pd.read_csv(kept.with_suffix(".csv"))
    for (_, axis), rows in frame.groupby(["task", "axis"]):
        assert np.allclose(rows.exponent, power[axis], atol=1e-4)
        assert rows.seconds.notna().all()
    first = {kind: kept.with_suffix(kind).read_bytes() for kind in (".csv", ".png", ".pdf")}
    growth.main(["--draw", str(kept)])
    assert first == {kind: kept.with_suffix(kind).read_bytes() for kind in first}
    assert growth.legend(frame, "E-step") == "E-step: n^1.50, K^1.00, S^0.50"


@pytest.mark.slow
def test_the_gpu_script_trains_both_recipes_and_keeps_a_row_of_each(tmp_path, monkeypatch, capsys):
    """On the processor, with made-up points in the place of MNIST, shortened."""
    monkeypatch.setenv("MIXNET_DATA", str(tmp_path))
    words = ["mnist", "--device", "cpu", "--points", "250", "--fast", "--output"]
    assert gpu.main([*words, str(tmp_path / "kept")]) == 0
    (path,) = (tmp_path / "kept").iterdir()
    rows = json.loads(path.read_text())["rows"]
    assert [row["task"] for row in rows] == [
        "MNIST, autoencoder",
        "MNIST, mixnet+",
        "MNIST, mixnet",
    ]
    assert all(row["made_up"] and row["n"] == 250 and row["seconds"] > 0 for row in rows)
    assert all(row["iterations"] >= 1 for row in rows[1:])
    assert "points of its size are made up" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mnits", "--device", "cpu"], "PART is 'mnits', needs one of tests, speed, mnist"),
        pytest.param(
            ["mnist"],
            "sees no GPU",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is one"),
        ),
    ],
)
def test_the_gpu_script_refuses_what_it_cannot_do(words, message, capsys):
    with pytest.raises(SystemExit):
        gpu.main(words)
    assert message in capsys.readouterr().err
