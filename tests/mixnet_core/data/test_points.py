"""Points in memory, on disk and from loaders are the same points."""

import math

import numpy as np
import pytest
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    TensorDataset,
)

from mixnet_core.data import points
from mixnet_core.data.checks import check_rows
from mixnet_core.data.loaders import Spool, as_matrix, in_order, is_loader
from mixnet_core.data.points import Points, Units, on_disk
from mixnet_core.mixture import MixtureOfNetworks

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
    box = Units.box(X)
    inside = box.put(X)
    assert inside.min() == pytest.approx(0.05) and inside.max() == pytest.approx(0.95)
    ratio = torch.pdist(inside) / torch.pdist(torch.from_numpy(X))
    np.testing.assert_allclose(ratio, box.scale, rtol=1e-4)
    back = box.back(inside.numpy())
    np.testing.assert_allclose(back, X, rtol=1e-5)
    assert back.dtype == np.float32


def test_spread_units_have_mean_zero_and_variance_one(X):
    for rows in (None, np.arange(7, 90)):
        seen = Units.spread(X, rows).put(X if rows is None else X[rows])
        np.testing.assert_allclose(seen.mean(0), 0, atol=1e-6)
        assert float(seen.var(0, correction=0).mean()) == pytest.approx(1, rel=1e-5)
    np.testing.assert_allclose(Units.spread(X).back(Units.spread(X).put(X)), X, rtol=1e-5)


def test_equal_points_have_units():
    X = np.full((5, 2), 3.0)
    assert torch.all(Units.box(X).put(X) == torch.tensor(0.05))
    assert not Units.spread(X).put(X).any()


@pytest.mark.parametrize("X", [[[-1e308], [1e308]], [[0.0], [1e-310]]])
def test_ranges_beyond_float64_are_named(X):
    for make in (Units.box, Units.spread):
        with pytest.raises(ValueError, match="range float64 can hold"):
            make(np.array(X))
        with pytest.raises(ValueError, match="X must be finite"):
            make(np.array([[0.0], [np.nan]]))


@pytest.mark.parametrize(
    ("place", "unit"),
    [(1.7e9, 1.0), (-(2.0**40), 1.0), (1e6, 2.0**-900), (0.0, 2.0**900), (0.0, 1e200), (0, 3e-200)],
)
def test_place_and_units_change_no_bit(X, place, unit):
    """Wherever float64 holds the data: shifts are exact, and rounding is done once, at the end."""
    X = np.round(X.astype(np.float64) * 1024) / 1024
    moved = (X + place) * unit
    for make in (Units.box, Units.spread):
        here, there = make(X).put(X), make(moved).put(moved)
        differs = (here != there).double().mean()
        assert differs == 0 if math.frexp(unit)[0] == 0.5 else differs < 0.01
        torch.testing.assert_close(here, there, rtol=1e-5, atol=1e-6)


def test_disk_and_memory_give_the_same_rows(X, mapped, monkeypatch):
    monkeypatch.setattr(points, "BLOCK_ROWS", 16)
    assert on_disk(mapped) and on_disk(mapped[3:]) and not on_disk(X) and not on_disk(X[3:])
    boxes = Units.box(X), Units.box(mapped)
    assert np.array_equal(boxes[0].origin, boxes[1].origin) and boxes[0].scale == boxes[1].scale
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


def test_a_map_of_bytes_stays_on_disk(tmp_path):
    X = (np.arange(400).reshape(100, 4) * 7 % 251).astype(np.uint8)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    model = MixtureOfNetworks(**QUICK)
    assert on_disk(check_rows(model, mapped, 2, reset=True)) and model.n_features_in_ == 4
    start = np.arange(100) % 3
    one, other = (MixtureOfNetworks(**QUICK).fit(x, init_labels=start) for x in (X, mapped))
    assert np.array_equal(one.log_likelihood_, other.log_likelihood_)


class Backwards(Sampler):
    """A batch sampler that hands out whole batches from the last to the first."""

    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return iter([[i] for i in reversed(range(self.n))])

    def __len__(self):
        return self.n


class Stream(IterableDataset):
    def __iter__(self):
        return iter(torch.arange(8.0).view(4, 2))


def test_only_what_is_known_to_be_in_order_is():
    data = torch.arange(202.0).view(101, 2)
    generator = torch.Generator()
    out_of_order = [
        DataLoader(data, shuffle=True, generator=generator),
        DataLoader(data, batch_sampler=Backwards(101)),
        DataLoader(data, sampler=Backwards(101)),
        DataLoader(data, sampler=RandomSampler(data, generator=generator), batch_size=4),
        DataLoader(
            data, batch_sampler=BatchSampler(RandomSampler(data, generator=generator), 4, False)
        ),
    ]
    assert not any(map(in_order, out_of_order))
    ordered = [
        DataLoader(data, batch_size=7),
        DataLoader(data, batch_size=None),
        DataLoader(data, batch_sampler=BatchSampler(SequentialSampler(data), 4, False)),
        DataLoader(Stream(), batch_size=2),
        iter([data]),
    ]
    assert all(map(in_order, ordered))


def test_shuffled_loaders_and_labels_do_not_go_together(X):
    for loader in (
        DataLoader(torch.from_numpy(X), shuffle=True, generator=torch.Generator()),
        DataLoader(torch.from_numpy(X), batch_sampler=Backwards(101)),
    ):
        for given in ({"init_labels": np.arange(101) % 3}, {"y": np.arange(101) % 3 - 1}):
            with pytest.raises(ValueError, match="X must hand out its rows in order"):
                MixtureOfNetworks(**QUICK).fit(loader, **given)
        model = MixtureOfNetworks(**QUICK).fit(loader)
    with pytest.raises(ValueError, match="X must be a matrix here; got a loader"):
        model.predict(loader)


def test_masked_entries_are_refused(X):
    with pytest.raises(ValueError, match="X must not have masked entries; got 3"):
        MixtureOfNetworks(**QUICK).fit(np.ma.masked_array(X, X > np.sort(X.ravel())[-4]))
    plain = np.ma.masked_array(X, False)
    assert type(as_matrix(plain)) is np.ndarray and np.array_equal(as_matrix(plain), X)


def test_as_matrix_leaves_other_things_alone():
    X = [[1, 2]]
    assert as_matrix(X) is X and isinstance(as_matrix(torch.ones(2, 2)), np.ndarray)
