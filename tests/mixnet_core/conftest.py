"""Every test here runs on one thread and must leave the global random states alone."""

import numpy as np
import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def untouched_global_random_state():
    """What a test runs may draw from its own generators only."""
    before_torch = torch.random.get_rng_state()
    before_numpy = np.random.get_state(legacy=False)  # noqa: NPY002 - read, not drawn from
    yield
    assert torch.equal(torch.random.get_rng_state(), before_torch)
    after_numpy = np.random.get_state(legacy=False)  # noqa: NPY002
    assert np.array_equal(after_numpy["state"]["key"], before_numpy["state"]["key"])
    assert after_numpy["state"]["pos"] == before_numpy["state"]["pos"]


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def g():
    return torch.Generator().manual_seed(11)
