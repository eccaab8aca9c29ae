"""Points in memory, on disk and from loaders are the same points."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from mixnet_core import points
from mixnet_core.mixture import MixtureOfNetworks
from mixnet_core.points import Box, Points, Spool, as_matrix, is_loader, on_disk

QUICK = dict(
    n_components=3, structure="2-8-x", t1=2, t2=2, min_updates=0, n_samples=20, n_final_samples=50
)


@pytest.fixture
def X(rng):
    return (rng.normal(size=(101, 4)) * [1, 5, 0.1, 2] + 30).astype(np.float32)


@pytest.fixture
def mapped(X, tmp_path):
    np.save(tmp_path / "X.npy", X)
    return np.load(tmp_path / "X.npy", mmap_mode="r")


def test_the_box_keeps_shape_and_returns(X):
    box = Box.around(X)
    inside = box.put(X)
    assert inside.min() == pytest.approx(0.05) and inside.max() == pytest.approx(0.95)
    ratio = torch.pdist(inside) / torch.pdist(torch.from_numpy(X))
    np.testing.assert_allclose(ratio, box.scale, rtol=1e-4)
    np.testing.assert_allclose(box.back(inside.numpy()), X, rtol=1e-5)


def test_equal_points_have_a_box():
    box = Box.around(np.full((5, 2), 3.0))
    assert box.span == 1 and torch.all(box.put(np.full((5, 2), 3.0)) == torch.tensor(0.05))


@pytest.mark.parametrize("X", [[[0.0], [1e300]], [[-3e38], [3e38]], [[0.0], [1e-41]]])
def test_ranges_beyond_float32_are_named(X):
    with pytest.raises(ValueError, match="range float32 can hold"):
        Box.around(np.array(X))
    with pytest.raises(ValueError, match="X must be finite"):
        Box.around(np.array([[0.0], [np.nan]]))


def test_an_offset_loses_nothing(X):
    """Time stamps: what differs is small against what is common."""
    far = X.astype(np.float64) + 1.7e9
    box = Box.around(far)
    np.testing.assert_allclose(box.put(far), Box.around(X).put(X), atol=1e-6)
    np.testing.assert_allclose(box.back(box.put(far).numpy()), far, rtol=0, atol=1e-4)


def test_disk_and_memory_give_the_same_rows(X, mapped, monkeypatch):
    monkeypatch.setattr(points, "BLOCK_ROWS", 16)
    assert on_disk(mapped) and on_disk(mapped[3:]) and not on_disk(X) and not on_disk(X[3:])
    boxes = Box.around(X), Box.around(mapped)
    assert np.array_equal(boxes[0].low, boxes[1].low) and boxes[0].span == boxes[1].span
    memory, disk = Points(X, boxes[0]), Points(mapped, boxes[1])
    assert memory.x is not None and disk.x is None
    rows = torch.tensor([[5, 100], [0, 5]])
    assert torch.equal(memory[rows], disk[rows]) and disk[rows].shape == (2, 2, 4)
    assert len(list(disk.blocks())) == 7
    assert torch.equal(torch.cat(list(disk.blocks())), memory.x)
    some = torch.tensor([7, 3, 99])
    for parent in (memory, disk):
        part = parent.subset(some)
        assert len(part) == 3
        assert torch.equal(part[torch.tensor([2, 0])], memory[torch.tensor([99, 7])])
        assert torch.equal(part.subset(torch.tensor([1]))[torch.tensor([0])], memory.x[3:4])


def blocks_of(X, size):
    yield from (X[i : i + size] for i in range(0, len(X), size))


@pytest.mark.parametrize(
    "make",
    [
        lambda X: blocks_of(X, 13),
        lambda X: iter([torch.from_numpy(X[:50]), torch.from_numpy(X[50:])]),
        lambda X: DataLoader(TensorDataset(torch.from_numpy(X)), batch_size=10),
        lambda X: DataLoader(torch.from_numpy(X), batch_size=1000),
    ],
)
def test_loaders_are_spooled(X, make):
    loader = make(X)
    assert is_loader(loader)
    with Spool(loader) as rows:
        assert on_disk(rows) and np.array_equal(rows, X)
        path = rows.filename
    assert not path.parent.exists()


def test_lists_and_arrays_are_not_loaders(X):
    assert not any(map(is_loader, (X, X.tolist(), torch.from_numpy(X), np.float32(3))))


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([], "hands out no rows"),
        ([np.zeros(3)], r"blocks \(rows, features\); got \(3,\)"),
        ([np.zeros((2, 3)), np.zeros((2, 4))], r"blocks \(rows, 3\); got \(2, 4\)"),
        ([{"x": 1}], r"blocks \(rows, features\); got dict"),
    ],
)
def test_bad_loaders_are_named(blocks, message):
    with pytest.raises(ValueError, match=message), Spool(iter(blocks)):
        pass


def test_every_source_gives_the_same_model(X, mapped, monkeypatch):
    start = np.arange(101) % 3
    whole = MixtureOfNetworks(**QUICK).fit(X, init_labels=start)
    sources = {
        "memory map": mapped,
        "float64": X.astype(np.float64),
        "tensor": torch.from_numpy(X).requires_grad_(),
        "columns first": np.asfortranarray(X),
        "list": X.tolist(),
        "iterator": blocks_of(X, 30),
    }
    for name, source in sources.items():
        model = MixtureOfNetworks(**QUICK).fit(source, init_labels=start)
        assert np.array_equal(model.labels_, whole.labels_), name
        assert np.array_equal(model.log_likelihood_, whole.log_likelihood_), name
        assert np.array_equal(model.predict_proba(mapped), whole.predict_proba(X)), name
    monkeypatch.setattr(points, "BLOCK_ROWS", 20)
    blocked = MixtureOfNetworks(**QUICK).fit(mapped, init_labels=start)
    np.testing.assert_allclose(blocked.log_likelihood_, whole.log_likelihood_, atol=1e-3)


def test_the_start_of_a_map_sees_a_part_of_it(X, mapped, monkeypatch):
    from sklearn.cluster import AgglomerativeClustering, KMeans

    from mixnet_core import mixture

    monkeypatch.setattr(mixture, "START_ROWS", 40)
    model = MixtureOfNetworks(**QUICK, init=KMeans(3, n_init=1, random_state=0))
    found = model._initial_clusters(mapped, 0)
    assert found.shape == (101,) and set(found) == {0, 1, 2}
    assert not np.array_equal(found, model._initial_clusters(X, 0))
    with pytest.raises(ValueError, match="init must have predict.*AgglomerativeClustering"):
        model.set_params(init=AgglomerativeClustering(3)).fit(mapped)


def test_a_map_of_bytes_stays_on_disk(tmp_path):
    X = (np.arange(400).reshape(100, 4) * 7 % 251).astype(np.uint8)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    model = MixtureOfNetworks(**QUICK)
    assert on_disk(model._checked(mapped, 2, reset=True)) and model.n_features_in_ == 4
    start = np.arange(100) % 3
    one, other = (MixtureOfNetworks(**QUICK).fit(x, init_labels=start) for x in (X, mapped))
    assert np.array_equal(one.log_likelihood_, other.log_likelihood_)


def test_shuffled_loaders_and_labels_do_not_go_together(X):
    loader = DataLoader(torch.from_numpy(X), shuffle=True, generator=torch.Generator())
    for given in ({"init_labels": np.arange(101) % 3}, {"y": np.arange(101) % 3 - 1}):
        with pytest.raises(ValueError, match="X must not be shuffled"):
            MixtureOfNetworks(**QUICK).fit(loader, **given)
    model = MixtureOfNetworks(**QUICK).fit(loader)
    with pytest.raises(ValueError, match="X must be a matrix here; got a loader"):
        model.predict(loader)


def test_as_matrix_leaves_other_things_alone():
    X = [[1, 2]]
    assert as_matrix(X) is X and isinstance(as_matrix(torch.ones(2, 2)), np.ndarray)
