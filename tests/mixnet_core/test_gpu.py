"""On a GPU: the same results as on the CPU, and nothing waits for it within an epoch."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs

from mixnet_core import Autoencoder, MixtureOfNetworks
from mixnet_core.optimizers import BankTrainer

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
QUICK = dict(structure="4-16-32-x", t1=3, t2=3, n_samples=200, n_final_samples=300)


@pytest.fixture(scope="module")
def X():
    return make_blobs(600, 6, centers=3, random_state=0)[0]


@pytest.mark.parametrize("recipe", ["mixnet", "mixnet+"])
def test_the_gpu_finds_what_the_cpu_finds(X, recipe, tmp_path):
    cpu, gpu = (
        MixtureOfNetworks(3, recipe=recipe, device=d, **QUICK).fit(X) for d in ("cpu", "cuda")
    )
    assert (cpu.labels_ == gpu.labels_).mean() > 0.98
    assert gpu.history_["heldout"][0] == pytest.approx(cpu.history_["heldout"][0], rel=0.02)
    assert gpu.fitted_.samples.is_cuda
    gpu.save(tmp_path / "model")
    again = MixtureOfNetworks.load(tmp_path / "model", device="cpu")
    np.testing.assert_allclose(again.score_samples(X), gpu.score_samples(X), atol=0.05)


def test_the_autoencoder_runs_on_a_gpu(X):
    settings = dict(code_dim=3, hidden=(16,), epochs=5, min_updates=50)
    cpu, gpu = (Autoencoder(device=d, **settings).fit(X) for d in ("cpu", "cuda"))
    np.testing.assert_allclose(gpu.transform(X), cpu.transform(X), atol=0.05)


@pytest.mark.parametrize("recipe", ["mixnet", "mixnet+"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_nothing_waits_for_the_gpu_within_an_epoch(X, recipe, optimizer, monkeypatch):
    """From the first step to the last torch itself would raise where the host waits."""
    run, epochs = BankTrainer.run, []

    def watched(self, x, queues, factors):
        gradient = type(self.objective).gradient

        def first(*args):
            torch.cuda.set_sync_debug_mode("error")
            return gradient(self.objective, *args)

        self.objective.gradient = first
        try:
            run(self, x, queues, factors)
        finally:
            torch.cuda.set_sync_debug_mode("default")
            del self.objective.gradient
        epochs.append(len(queues))

    monkeypatch.setattr(BankTrainer, "run", watched)
    MixtureOfNetworks(3, recipe=recipe, optimizer=optimizer, lr=1e-3, device="cuda", **QUICK).fit(X)
    assert len(epochs) == 6
