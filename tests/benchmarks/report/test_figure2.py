"""Figure 2, from the networks to the page: what is drawn, whose neighbours, which digits."""

import csv
import dataclasses
import io
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from benchmarks.exhibits import images, misclustered
from benchmarks.report.figures import figure2
from benchmarks.report.figures import images as page
from mixnet_core.mixture import MixtureOfNetworks

SIZE = {"height": 3, "width": 2, "order": "C"}
ROOM = {
    "n_rows": 2,
    "n_columns": 3,
    "n_of_network": 4,
    "n_same": 2,
    "n_steps": 4,
    "n_pairs": 5,
    "n_distances": 20,
}


# --- pictures stand upright ---------------------------------------------------------------------


@pytest.mark.parametrize("order", ["C", "F"])
def test_pictures_are_the_rows_reshaped(order):
    X = np.random.default_rng(0).random((5, 6))
    found = images.as_images(X, {**SIZE, "order": order})
    expected = [np.rint(255 * row.reshape(3, 2, order=order)) for row in X]
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.uint8


def test_a_stroke_goes_where_the_order_says():
    down = np.array([[1, 1, 1, 0, 0, 0]])  # of a file that stores columns first
    column = images.as_images(down, {**SIZE, "order": "F"})[0]
    assert column.tolist() == [[255, 0], [255, 0], [255, 0]]


def test_what_leaves_the_unit_interval_is_cut_off():
    found = images.as_images(np.array([[-0.2, 0, 0.5, 1, 1.3, 0]]), SIZE)
    assert found.ravel().tolist() == [0, 0, 128, 255, 255, 0]


def test_rows_of_another_size_or_order_are_named():
    with pytest.raises(ValueError, match=r"X must have rows of 3 x 2 pixels; got shape \(4, 5\)"):
        images.as_images(np.zeros((4, 5)), SIZE)
    with pytest.raises(ValueError, match="image.order must be 'C' or 'F'; got 'A'"):
        images.as_images(np.zeros((4, 6)), {**SIZE, "order": "A"})
    with pytest.raises(ValueError, match="the dataset must have images; words has no `image`"):
        images.image_of(SimpleNamespace(name="words", image=None))


@pytest.mark.data
def test_real_digits_and_faces_are_upright():
    from benchmarks.datasets import DatasetMissing, load

    try:
        mnist, yale = load("mnist", download=False), load("yaleb", download=False)
    except DatasetMissing as missing:
        pytest.skip(f"needs {', '.join(missing.files)} in the folder of raw files, MIXNET_DATA")
    ones = images.as_images(mnist.X[mnist.y == 1], mnist.image).mean(0)
    y, x = np.indices(ones.shape)
    centre = [np.average(axis, weights=ones) for axis in (y, x)]
    tall, wide = (
        np.average((axis - c) ** 2, weights=ones) for axis, c in zip((y, x), centre, strict=True)
    )
    assert tall > 2 * wide
    face = images.as_images(yale.X, yale.image).mean(0)

    def likeness(other):
        return np.corrcoef(face.ravel(), other.ravel())[0, 1]

    assert likeness(face[:, ::-1]) > 0.9 > 0.5 > likeness(face[::-1])  # alike left and right
    brows, forehead = face[5:9, 4:28].mean(), face[0:3, 8:24].mean()
    assert brows < forehead


# --- neighbours ---------------------------------------------------------------------------------


def test_neighbours_are_those_of_scikit_learn():
    rng = np.random.default_rng(1)
    codes, queries = (rng.random((n, 8), dtype=np.float32) for n in (400, 50))
    rows = rng.permutation(400)[:300]
    found, distances = images.nearest(queries, codes, rows)
    wanted = NearestNeighbors(n_neighbors=1).fit(codes[rows]).kneighbors(queries)
    np.testing.assert_array_equal(found, rows[wanted[1][:, 0]])
    np.testing.assert_allclose(distances, wanted[0][:, 0], rtol=1e-6)

    own = rows[:40]
    found, distances = images.nearest(codes[own], codes, rows, own=own)
    wanted = NearestNeighbors(n_neighbors=2).fit(codes[rows]).kneighbors(codes[own])
    np.testing.assert_array_equal(found, rows[wanted[1][:, 1]])
    np.testing.assert_allclose(distances, wanted[0][:, 1], rtol=1e-6)


def test_a_twin_is_a_neighbour_but_not_the_point_itself():
    codes = np.array([[0.1, 0.1], [0.9, 0.9], [0.1, 0.1], [0.5, 0.5]], dtype=np.float32)
    found, distances = images.nearest(codes, codes, np.arange(4), own=np.arange(4))
    assert found[[0, 2]].tolist() == [2, 0] and (found != np.arange(4)).all()
    assert distances[[0, 2]].tolist() == [0, 0]


def test_too_few_rows_are_named():
    codes = np.zeros((3, 2), dtype=np.float32)
    with pytest.raises(ValueError, match="rows must name at least 2 points .*; got 1"):
        images.nearest(codes[:1], codes, np.array([0]), own=np.array([0]))


# --- the networks -------------------------------------------------------------------------------


class Twice:
    """Stands in for an autoencoder: codes are the first four of six pixels."""

    def transform(self, X):
        return np.ascontiguousarray(X[:, :4])

    def inverse_transform(self, codes):
        return np.concatenate([codes, codes[:, :2]], 1)


@pytest.fixture(scope="module")
def dataset():
    # Far enough from 0 and 1 for no sample to be cut off.
    X = 0.3 + 0.4 * np.random.default_rng(2).random((120, 6), dtype=np.float32)
    return SimpleNamespace(name="made up", X=X, image=SIZE, y=np.arange(120) % 3, n_classes=3)


@pytest.fixture(scope="module")
def inputs(dataset):
    codes = Twice().transform(dataset.X)
    model = MixtureOfNetworks(
        3,
        "2-8-x",
        "mixnet",
        t1=2,
        t2=1,
        min_updates=0,
        n_samples=50,
        n_final_samples=200,
        random_state=5,
    )
    return {"model": model.fit(codes), "autoencoder": Twice(), "codes": codes}


def made(dataset, inputs, seed=0, **room):
    return images.generated(dataset, inputs, seed, **ROOM | room)


def test_shapes_and_neighbours_of_what_is_generated(dataset, inputs):
    arrays, values = made(dataset, inputs)
    assert values == {"n_training": 108, "n_held_out": 12}
    assert arrays["samples"].shape == (6, 3, 2) and arrays["neighbours"].shape == (2, 3, 2)
    assert arrays["networks"].shape == (3, 4, 3, 2) and arrays["lines"].shape == (3, 4, 3, 2)
    train, held_out = images.training_rows(inputs["model"], inputs["codes"])
    assert sorted([*train, *held_out]) == list(range(120)) and len(held_out) == 12
    search = NearestNeighbors(n_neighbors=1).fit(inputs["codes"][train])
    for name in ("samples", "networks", "lines"):
        pixels = arrays[name].reshape(-1, 6)[:, :4] / 255  # within half a grey level
        distances, _ = search.kneighbors(pixels)
        off = 2 * 0.5 / 255
        np.testing.assert_allclose(arrays[f"{name}_distances"].ravel(), distances[:, 0], atol=off)
        near = np.linalg.norm(inputs["codes"][arrays[f"{name}_rows"].ravel()] - pixels, axis=1)
        np.testing.assert_allclose(near, distances[:, 0], atol=off)
    beside = arrays["samples_rows"].reshape(2, 3)[:, -1]
    np.testing.assert_array_equal(arrays["neighbours"], images.as_images(dataset.X[beside], SIZE))
    apart = np.linalg.norm(np.diff(arrays["lines"].reshape(3, 4, 6)[..., :4] / 255, axis=1), axis=2)
    np.testing.assert_allclose(arrays["lines_steps"], apart, atol=4 / 255)
    to_self = NearestNeighbors(n_neighbors=2).fit(inputs["codes"][train])
    known = to_self.kneighbors(inputs["codes"][train])[0][:, 1]
    assert len(arrays["nearest_training"]) == 20
    assert all(np.isclose(known, d, rtol=1e-5).any() for d in arrays["nearest_training"])
    held = np.sort(search.kneighbors(inputs["codes"][held_out])[0][:, 0])
    np.testing.assert_allclose(np.sort(arrays["nearest_held_out"]), held, rtol=1e-5)


def test_the_last_columns_have_identical_inputs(dataset, inputs):
    model = inputs["model"]
    kept = [t.clone() for t in model.bank_.tensors()]
    try:
        for t in model.bank_.tensors():
            t[1] = t[0]  # two networks that draw the same from the same input
        model.samples_[1] = model.samples_[0]
        values = model.values_ | {"heldout_log_likelihood": _heldout(model, inputs["codes"])}
        model.fitted_ = dataclasses.replace(model.fitted_, values=values)
        pictures = made(dataset, inputs)[0]["networks"]
    finally:
        for t, old in zip(model.bank_.tensors(), kept, strict=True):
            t.copy_(old)
    np.testing.assert_array_equal(pictures[0, -2:], pictures[1, -2:])
    assert all((pictures[0, i] != pictures[1, i]).any() for i in (0, 1))


def _heldout(model, codes):
    held_out = images.split(
        images.torch.zeros(len(codes), dtype=bool), 12, images.streams(model.seed_, 1)[0]
    )[0]
    return model.score(codes[held_out])


def test_the_ends_of_a_line_are_the_farthest_of_some_pairs(inputs):
    model = inputs["model"]
    chosen = images.distant_inputs(model, 1, 6, np.random.default_rng(3))
    z = np.random.default_rng(3).uniform(-1, 1, (6, 2, 2)).astype(np.float32)
    apart = [np.linalg.norm(np.diff(model.generate(pair, 1), axis=0)) for pair in z]
    np.testing.assert_array_equal(chosen, z[int(np.argmax(apart))])


def test_the_seed_fixes_every_array(dataset, inputs):
    first, again, other = (
        made(dataset, inputs)[0],
        made(dataset, inputs)[0],
        made(dataset, inputs, seed=1)[0],
    )
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["samples"], other["samples"])


def test_foreign_models_are_refused(dataset, inputs, monkeypatch):
    other = {**inputs, "codes": inputs["codes"] * np.float32(0.5)}
    with pytest.raises(RuntimeError, match="not the one that made the codes"):
        made(dataset, other)
    fitted = inputs["model"].fitted_
    values = fitted.values | {"heldout_log_likelihood": 99.0}
    monkeypatch.setattr(inputs["model"], "fitted_", dataclasses.replace(fitted, values=values))
    with pytest.raises(RuntimeError, match="could not be drawn again.* the training kept 99.0"):
        made(dataset, inputs)


# --- digits that only the mixture puts right ----------------------------------------------------


def test_majority_classes_by_hand():
    labels = [0, 0, 0, 1, 1, 3, 3, 3, 3]
    classes = [2, 2, 1, 1, 0, 4, 4, 0, 0]  # ties of 1 and 3 go to the smaller; 2 is empty
    found = misclustered.majority_classes(labels, classes)
    assert found.tolist() == [2, 0, -1, 0]
    with pytest.raises(ValueError, match="vectors of one length"):
        misclustered.majority_classes([0, 1], [0, 1, 2])


@pytest.fixture
def digits():
    y = np.repeat([0, 1], 10)
    wrong = {"kmeans": [0, 1, 2, 12], "ncut": [1, 2, 3, 12], "mixture": [3, 4, 13]}
    labels = {}
    for name, rows in wrong.items():
        labels[name] = 1 - y  # cluster 1 stands for class 0
        labels[name][rows] = y[rows]
    X = np.random.default_rng(4).random((20, 6))
    return SimpleNamespace(name="made up", X=X, y=y, n_classes=2, image=SIZE), labels


def test_examples_are_those_that_only_the_mixture_puts_right(digits):
    dataset, labels = digits
    arrays, values = misclustered.misclustered(dataset, labels, 0, n_examples=5)
    assert arrays["rows"].tolist() == [1, 2, 12]  # wrong in both k-means and NCut
    assert arrays["classes"].tolist() == arrays["mixture_classes"].tolist() == [0, 0, 1]
    assert arrays["kmeans_classes"].tolist() == arrays["ncut_classes"].tolist() == [1, 1, 0]
    assert arrays["only_mixture"].tolist() == [2, 1]
    assert arrays["only_others"].tolist() == [1, 1]  # rows 4 and 13
    assert values == {
        "n": 20,
        "kmeans_right": 16,
        "ncut_right": 16,
        "mixture_right": 17,
        "only_mixture": 3,
        "only_others": 2,
    }
    np.testing.assert_array_equal(arrays["images"], images.as_images(dataset.X[[1, 2, 12]], SIZE))


def test_the_seed_draws_the_examples(digits):
    dataset, labels = digits
    drawn = {
        seed: misclustered.misclustered(dataset, labels, seed, n_examples=1)[0]["rows"][0]
        for seed in range(20)
    }
    assert set(drawn.values()) == {1, 2}
    again = misclustered.misclustered(dataset, labels, 7, n_examples=1)[0]["rows"][0]
    assert again == drawn[7]


# --- the page -----------------------------------------------------------------------------------


def record(method, arrays, values, seed=0, **more):
    return {
        "cell": {"dataset": "mnist", "method": method, "seed": seed, "params": {"n_pairs": 7}},
        "status": "done",
        "kind": "exhibit",
        "values": values,
        "stale": False,
        "load": lambda: arrays,
        **more,
    }


@pytest.fixture
def records(dataset, inputs, digits):
    return [
        record("generated-digits", *made(dataset, inputs)),
        record("misclustered", *misclustered.misclustered(*digits, 0, n_examples=5)),
    ]


SUITE = {"name": "figure2", "title": "Figure 2", "seeds": [0]}


def test_csv_has_every_picture_and_its_neighbour(records, tmp_path):
    text, paths = figure2.report(records, SUITE, tmp_path, "figure2")
    assert {kind: path.name for kind, path in paths.items()} == {
        "csv": "figure2.csv",
        "png": "figure2.png",
        "pdf": "figure2.pdf",
    }
    rows = list(csv.DictReader(io.StringIO(paths["csv"].read_text())))
    parts = [row["part"] for row in rows]
    arrays = records[0]["load"]()
    counted = {
        "sample": 6,
        "nearest": 2,
        "line": 12,
        "network": 12,
        "misclustered": 3,
        "rule": 1,
        "only_mixture": 2,
        "only_others": 2,
        "distances of samples": 1,
        "distances of held-out": 1,
        "distances of training": 1,
    }
    assert {part: parts.count(part) for part in parts} == counted
    last = rows[2]  # of the first row of samples
    assert (last["row"], last["column"]) == ("0", "2")
    assert int(last["nearest_training_row"]) == arrays["samples_rows"][2]
    nearest = rows[parts.index("nearest")]
    assert nearest["training_row"] == last["nearest_training_row"] and nearest["column"] == "3"
    line = [row for row in rows if row["part"] == "line" and row["network"] == "1"]
    assert [float(row["position"]) for row in line] == pytest.approx([0, 1 / 3, 2 / 3, 1], abs=1e-4)
    assert line[0]["step"] == "" and float(line[1]["step"]) == pytest.approx(
        arrays["lines_steps"][1, 0], abs=1e-4
    )
    own = [row for row in rows if row["part"] == "misclustered"]
    assert [
        (r["training_row"], r["class"], r["kmeans_class"], r["mixture_class"]) for r in own
    ] == [("1", "0", "1", "0"), ("2", "0", "1", "0"), ("12", "1", "0", "1")]
    assert [r["column"] for r in own] == ["0", "1", "0"]
    assert all("labels are used for display only" in r["note"] for r in own)
    distances = rows[parts.index("distances of samples")]
    assert (
        float(distances["distance"])
        == pytest.approx(np.median(arrays["nearest_samples"]), abs=1e-4)
        and distances["n"] == "20"
    )
    assert (
        "the mixture 17; the mixture alone 3 (2 of them 0s), k-means and NCut but not the "
        "mixture 2" in text
    )


@pytest.mark.slow
def test_the_same_records_give_the_same_bytes(records, tmp_path):
    _, first = figure2.report(records, SUITE, tmp_path / "one", "figure2")
    _, again = figure2.report(records, SUITE, tmp_path / "two", "figure2")
    for kind, path in first.items():
        assert path.stat().st_size > 500 and path.read_bytes() == again[kind].read_bytes()


def test_pictures_lie_where_they_belong(records):
    arrays, digits = (r["load"]() for r in records)
    sheet = figure2.draw(arrays, digits, "t", "chosen", ["caption"])
    shown = [axis.images[0].get_array() for axis in sheet.figure.axes]
    samples, neighbours = shown[:2]
    for i in range(2):
        for j in range(3):
            np.testing.assert_array_equal(
                samples[5 * i : 5 * i + 3, 4 * j : 4 * j + 2], arrays["samples"][3 * i + j]
            )
        np.testing.assert_array_equal(neighbours[5 * i : 5 * i + 3], arrays["neighbours"][i])
    panels = shown[2 + 3 : 2 + 3 + 3]  # after the three examples
    np.testing.assert_array_equal(panels[1][5:8, 4:6], arrays["lines"][1, 3])
    own, same = shown[-2:]
    np.testing.assert_array_equal(same[10:13, 4:6], arrays["networks"][2, 3])
    assert own.shape[1] == 2 * 2 + 2 and same.shape == own.shape
    words = [text.get_text() for text in sheet.figure.texts]
    assert {"k 1  N 1", "k 0  N 0", "network 0  “1”", "caption"} <= set(words)


def test_pixels_are_squares_of_whole_dots():
    sheet = page.Sheet(3, 2)
    pictures = np.zeros((2, 3, 4, 5), dtype=np.uint8)
    grid = sheet.grid(pictures, 0.123, 0.321, "gray", zoom=3, apart=1)
    for axis in sheet.figure.axes:
        box = axis.get_position()
        dots = np.array([box.x0 * 3, box.width * 3, box.height * 2, (1 - box.y1) * 2]) * page.DPI
        np.testing.assert_allclose(dots, np.rint(dots), atol=1e-6)
    rows, columns = sheet.figure.axes[0].images[0].get_array().shape
    box = sheet.figure.axes[0].get_position()
    assert box.width * 3 / columns == pytest.approx(box.height * 2 / rows) == 3 / page.DPI
    assert grid.lefts[2] - grid.lefts[1] == pytest.approx(7 * 3 / page.DPI + page.APART)


@pytest.mark.parametrize("cmap, paper", [("gray", 255), ("gray_r", 0)])
def test_gaps_are_of_paper(cmap, paper):
    sheet = page.Sheet(1, 1)
    sheet.grid(np.full((1, 2, 2, 2), 77, dtype=np.uint8), 0, 0, cmap)
    pixels = sheet.figure.axes[0].images[0].get_array()
    assert pixels.tolist() == [[77, 77, paper, paper, 77, 77]] * 2


def test_a_missing_record_is_named_with_the_command(records, tmp_path):
    failed = {**records[1], "status": "error", "error": {"reason": "ncut is not here"}}
    text, paths = figure2.report([records[0], failed], SUITE, tmp_path, "figure2")
    assert (
        text == "nothing is drawn: misclustered of seed 0 is error (ncut is not here); "
        "run `mixnet run figure2`"
    )
    assert paths == {} and not list(tmp_path.iterdir())
    text, _ = figure2.report([], SUITE, tmp_path, "figure2")
    assert "generated-digits is missing; run `mixnet run figure2`" in text


def test_a_stale_record_is_said_to_be_stale(records, tmp_path):
    old = [records[0], {**records[1], "stale": True}]
    text, _ = figure2.report(old, SUITE, tmp_path, "figure2")
    assert text.endswith("Stale, made by code that has changed since: misclustered.")
