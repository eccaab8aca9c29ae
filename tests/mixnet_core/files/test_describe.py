"""Two settings that differ are described differently, in any process, or refused."""

import functools
import math
import subprocess
import sys
import types

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from mixnet_core.files.describe import describe, fingerprint
from mixnet_core.mixture import MixtureOfNetworks
from mixnet_core.objectives.base import Objective
from mixnet_core.objectives.kernels import RationalQuadraticMMD

SCALE = 1.0


def scaled(scale):
    return lambda x, y, mask: scale * y.sum((1, 2))


def with_default(scale):
    def function(x, y, mask, s=scale):
        return s * y.sum((1, 2))

    return function


class Bound:
    def __init__(self, scale):
        self.scale = scale

    def loss(self, x, y, mask):
        return self.scale * y.sum((1, 2))

    def __call__(self, x, y, mask):
        return self.loss(x, y, mask)


class Mine(Objective):
    name = "mine"

    def __init__(self, scale):
        self.hidden = scale

    def __call__(self, x, y, mask, networks):
        return self.hidden * y.sum((1, 2))


def global_scaled(x, y, mask):
    return SCALE * y.sum((1, 2))


def of_code(words):
    names = {}
    exec(f"def f(x, y, mask): return {words}", {"torch": torch, "math": math}, names)
    return names["f"]


PAIRS = {
    "default argument": lambda s: with_default(s),
    "closure": scaled,
    "bound method": lambda s: Bound(s).loss,
    "callable object": Bound,
    "partial": lambda s: functools.partial(with_default(0), s=s),
    "objective of one's own": Mine,
    "objective of the library": lambda s: RationalQuadraticMMD([s]),
    "code": lambda s: of_code(f"{s} * y.sum()"),
    "keyword default": lambda s: types.FunctionType(
        global_scaled.__code__, globals() | {"SCALE": s}, "global_scaled"
    ),
    "array": lambda s: np.full(100, s),
    "tensor": lambda s: torch.full((3,), float(s)),
    "module": lambda s: torch.nn.LeakyReLU(s),
    "clusterer": lambda s: KMeans(int(s)),
}


@pytest.mark.parametrize("kind", PAIRS)
def test_settings_that_differ_are_told_apart(kind):
    make = PAIRS[kind]
    assert describe(make(3)) == describe(make(3))
    assert describe(make(3)) != describe(make(1000))


def test_a_global_that_changes_changes_the_description(monkeypatch):
    before = describe(global_scaled)
    monkeypatch.setitem(globals(), "SCALE", 7.0)
    assert describe(global_scaled) != before


def test_modules_of_the_user_are_refused(monkeypatch):
    """What lies in a module can change without a trace in the function."""
    settings = types.ModuleType("my_settings")
    settings.scale = 1
    function = types.FunctionType(of_code("math.scale * y").__code__, {"math": settings}, "f")
    with pytest.raises(ValueError, match="objective must not use the module my_settings"):
        describe(function, "objective")
    describe(of_code("torch.exp(y) * math.pi"), "objective")  # those of the libraries are known


def test_what_cannot_be_described_is_refused():
    with pytest.raises(ValueError, match="init must be something that a checkpoint can tell apart"):
        describe(iter([1, 2]), "init")
    with pytest.raises(ValueError, match="objective must not hold a random generator"):
        describe(functools.partial(global_scaled, torch.Generator()), "objective")


def test_the_description_is_the_same_in_another_process(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import torch\nA = {'b', 'a'}\ndef f(x, y, mask):\n    return [y for _ in A]\n"
    )
    code = (
        "import mine; from mixnet_core.files.describe import fingerprint; "
        "print(fingerprint({'f': mine.f}))"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1


def test_a_recursive_function_has_a_description():
    def again(n):
        return again(n - 1) if n else 0

    assert describe(again) == describe(again)


def test_data_are_part_of_the_key():
    X = np.arange(12.0).reshape(4, 3)
    assert fingerprint({}, X) == fingerprint({}, X.copy()) != fingerprint({}, X + 1)
    assert fingerprint({}, X) != fingerprint({}, X.astype(np.float32))


@pytest.mark.parametrize("kind", ["default argument", "bound method", "callable object"])
def test_a_checkpoint_of_another_objective_is_not_resumed(kind, tmp_path):
    X = np.random.default_rng(0).normal(size=(60, 2))
    settings = dict(
        n_components=2,
        structure="2-4-x",
        recipe="mixnet",
        t1=4,
        t2=0,
        n_samples=20,
        n_final_samples=20,
        lr=0.01,
    )

    def square(s):
        make = {
            "default argument": lambda: with_square(s),
            "bound method": lambda: Square(s).loss,
            "callable object": lambda: Square(s),
        }
        return make[kind]()

    path = tmp_path / "state"
    MixtureOfNetworks(objective=square(1.0), **settings).fit(
        X, checkpoint=path, callbacks=[lambda step: step.done == 2]
    )
    resumed = MixtureOfNetworks(objective=square(50.0), **settings).fit(X, checkpoint=path)
    fresh = MixtureOfNetworks(objective=square(50.0), **settings).fit(X)
    assert np.array_equal(resumed.log_likelihood_, fresh.log_likelihood_)


def with_square(scale):
    def function(x, y, mask, s=scale):
        return s * (y - 0.5).square().sum((1, 2))

    return function


class Square(Bound):
    def loss(self, x, y, mask):
        return self.scale * (y - 0.5).square().sum((1, 2))
