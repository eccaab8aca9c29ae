"""The real data, where it lies: published class counts, ranges and layout."""

import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks import registry
from benchmarks.datasets import DatasetMissing, load
from benchmarks.datasets.rawfile import find, mismatch
from benchmarks.stanzas import merge

FOLDER = Path(os.environ.get("MIXNET_DATA") or Path(__file__).resolve().parents[4] / "shared/data")

COUNTS = {
    "coil20": [72] * 20,
    "usps": [1553, 1269, 929, 824, 852, 716, 834, 792, 708, 821],
    "isolet": None,
    "mnist": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    "mnist-test": [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
    "yaleb": None,
    "reuters10k": [4095, 2180, 2852, 873],
    "isolet1": [60] * 26,
    "optdigits": [554, 571, 557, 572, 568, 558, 558, 566, 554, 562],
    "pendigits": [1143, 1143, 1144, 1055, 1144, 1055, 1056, 1142, 1055, 1055],
    "letter": [
        789,
        766,
        736,
        805,
        768,
        775,
        773,
        734,
        755,
        747,
        739,
        761,
        792,
        783,
        753,
        803,
        783,
        758,
        748,
        796,
        813,
        764,
        752,
        787,
        786,
        734,
    ],
    "basehock": [994, 999],
    "pcmac": [982, 961],
    "relathe": [779, 648],
    "pie": [21] * 10,
    "yale": [11] * 15,
}


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")

    def get(name):
        try:
            return load(name, source=FOLDER, cache_dir=cache)
        except DatasetMissing as reason:
            pytest.skip(f"needs {', '.join(reason.files)} in the folder of raw files, MIXNET_DATA")

    return get


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] if n == "mnist" else []) for n in COUNTS],
)
def test_loads_with_its_assertions(real, name):
    ds = real(name)
    counts = np.bincount(ds.y)
    if COUNTS[name] is not None:
        assert counts.tolist() == COUNTS[name]
    assert ds.X.dtype == np.float32 and ds.X.flags.c_contiguous and ds.source == "offline folder"
    if ds.scaling == "tf-idf" or (name == "reuters10k" and ds.variant == "lyrl2004-subset"):
        norms = np.linalg.norm(ds.X, axis=1)
        assert np.allclose(norms[norms > 0], 1, atol=1e-4) and (norms == 0).sum() <= 1
    elif name == "reuters10k":
        assert ds.X.min() == 0
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
        return (
            ds.X[ds.y == label]
            .mean(axis=0)
            .reshape(image["height"], image["width"], order=image["order"])
        )

    one = mean(real("usps"), 1)  # stands: narrow, and as high as the image
    assert (one.max(axis=1) > 0.5).sum() > 1.5 * (one.max(axis=0) > 0.5).sum()
    for faces in ("pie", "yale"):  # symmetrical left to right
        ds = real(faces)
        face = ds.X.mean(axis=0).reshape(
            ds.image["height"], ds.image["width"], order=ds.image["order"]
        )
        assert np.abs(face - face[:, ::-1]).mean() < np.abs(face - face[::-1]).mean()
    duck = mean(real("coil20"), 0)
    assert duck[16:].sum() > 1.2 * duck[:16].sum()
    assert 0.85 < duck[:, 16:].sum() / duck[:, :16].sum() < 1.15
    face = mean(real("yaleb"), 0)
    assert np.abs(face - face[:, ::-1]).mean() < np.abs(face - face[::-1]).mean()


def test_isolet1_is_the_first_30_speakers_of_isolet(real):
    one, whole = real("isolet1"), real("isolet")
    assert np.array_equal(one.X, whole.X[:1560]) and np.array_equal(one.y, whole.y[:1560])


def test_the_test_half_of_optdigits_is_scikit_learns_digits(real):
    """Row for row, but for the order: another copy of the same numbers."""
    rows = {row.tobytes() for row in np.column_stack([real("optdigits").X, real("optdigits").y])}
    digits = load("digits")
    assert all(row.tobytes() in rows for row in np.column_stack([digits.X, digits.y]))


def test_tf_idf_is_that_of_scikit_learn(real):
    from sklearn.feature_extraction.text import TfidfTransformer

    from benchmarks.datasets.formats import mat

    real("relathe")
    counts, _ = mat(FOLDER / "dev" / "RELATHE.mat", "X", "Y")
    expected = TfidfTransformer(sublinear_tf=True).fit_transform(counts.astype(float)).toarray()
    assert np.abs(real("relathe").X - expected).max() < 1e-6


def test_the_files_have_the_hashes_that_their_stanzas_pin():
    files = {
        file["name"]: file
        for stanza in registry.datasets().values()
        for variant in stanza["variants"]
        for file in merge(stanza, variant).get("files", ())
    }
    here = {name: find(FOLDER, name) for name in files if find(FOLDER, name)}
    if not here:
        pytest.skip("needs the folder of raw files, MIXNET_DATA")
    assert not [
        name for name in here if not any("sha256" in key or "md5" in key for key in files[name])
    ]
    wrong = {name: mismatch(path, files[name]) for name, path in here.items()}
    assert {name: why for name, why in wrong.items() if why} == {}
