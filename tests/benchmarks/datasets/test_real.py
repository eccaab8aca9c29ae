"""The real data, where it lies: published class counts, ranges and layout."""

import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks.datasets import DatasetMissing, load

FOLDER = Path(os.environ.get("MIXNET_DATA") or Path(__file__).resolve().parents[4] / "shared/data")

COUNTS = {
    "coil20": [72] * 20,
    "usps": [1553, 1269, 929, 824, 852, 716, 834, 792, 708, 821],
    "isolet": None,
    "mnist": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    "mnist-test": [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
    "yaleb": None,
    "reuters10k": [4095, 2180, 2852, 873],
}


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")

    def get(name):
        try:
            return load(name, source=FOLDER, cache_dir=cache)
        except DatasetMissing as reason:
            pytest.skip(str(reason))

    return get


@pytest.mark.parametrize("name", COUNTS)
def test_loads_with_its_assertions(real, name):
    ds = real(name)
    counts = np.bincount(ds.y)
    if COUNTS[name] is not None:
        assert counts.tolist() == COUNTS[name]
    assert ds.X.dtype == np.float32 and ds.X.flags.c_contiguous and ds.source == "offline folder"
    if name == "reuters10k":
        if ds.variant == "lyrl2004-subset":
            assert np.allclose(np.linalg.norm(ds.X, axis=1), 1, atol=1e-5)
    else:
        assert ds.X.min() == 0 and ds.X.max() == 1
    again = real(name)  # from the cache
    assert again.content_hash == ds.content_hash and np.array_equal(again.X, ds.X)


def test_isolet_has_26_letters_of_nearly_300(real):
    counts = np.bincount(real("isolet").y)
    assert counts.max() == 300 and counts.min() >= 298 and counts.sum() == 7797


def test_yaleb_has_38_people_of_about_64(real):
    ds = real("yaleb")
    counts = np.bincount(ds.y)
    assert len(counts) == 38 and counts.min() >= 59 and counts.max() <= 64
    assert (ds.n_classes, ds.n_clusters) == (38, 4)


def test_stated_pixel_order_gives_upright_images(real):
    """Seen from all sides the duck (object 1) is symmetrical left to right and heavier below; a
    face is darker at the eyes than at the cheeks, and symmetrical left to right on average."""
    def mean(ds, label):
        image = ds.image
        return ds.X[ds.y == label].mean(axis=0).reshape(
            image["height"], image["width"], order=image["order"])

    duck = mean(real("coil20"), 0)
    assert duck[16:].sum() > 1.2 * duck[:16].sum()
    assert 0.85 < duck[:, 16:].sum() / duck[:, :16].sum() < 1.15
    face = mean(real("yaleb"), 0)
    assert np.abs(face - face[:, ::-1]).mean() < np.abs(face - face[::-1]).mean()
