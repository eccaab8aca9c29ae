"""The two recipes, and the settings of a fit that come of them."""

from types import SimpleNamespace

import numpy as np

from mixnet_core.bank import OUTPUTS
from mixnet_core.data import checks
from mixnet_core.data.points import UNITS
from mixnet_core.memberships import ORDERS
from mixnet_core.networks.structure import parse_structure

KERNELS = ("shared", "component", "covariance")
RATES = {"sgd": 0.3, "adam": 1e-3}
FACTORS = {
    "shared": (0.4, 0.6, 0.8, 1.2, 1.6, 2.4, 4.0),
    "component": (0.5, 0.7, 1.0, 1.4, 2.0),
}
CUT = 0.3  # what a rate is multiplied by where likelihood has saturated

RECIPES = {
    # What the paper prints, and the departures from it that are kept.
    "mixnet": dict(
        objective="mmd",
        units="box",
        output="sigmoid",
        last_layer="random",
        kernel="shared",
        optimizer="sgd",
        momentum=0.9,
        weight_decay=1e-5,
        schedule="constant",
        t1=30,
        t2=1000,
        min_updates=1000,
        batch_size=100,
        batch_share=0.25,
        n_samples=1000,
        n_final_samples=10000,
        memory=0.8,
        order="columns",
        prior_floor=1.0,
        threshold=0.001,
        linear_stage=False,
        local_scale=False,
        batches="rearranged",
        updates=0,
        draws="fresh",
        smoothing=10,
        patience=100,
        keep="best",
        cuts=0,
        revive=False,
    ),
    # Ours.
    "mixnet+": dict(
        objective="likelihood",
        units="w",
        output="linear",
        last_layer="frame",
        kernel="covariance",
        optimizer="adam",
        momentum=0.0,
        weight_decay=0.0,
        schedule="constant",
        t1=15,
        t2=500,
        min_updates=0,
        batch_size=64,
        batch_share=1.0,
        n_generated=128,
        n_samples=1000,
        n_final_samples=1000,
        memory=0.0,
        order="random",
        prior_floor=1.0,
        threshold=0.001,
        linear_stage=True,
        local_scale=True,
        batches="drawn",
        updates=40,
        draws="fixed",
        smoothing=1,
        patience=10,
        keep="best",
        cuts=1,
        revive=True,
    ),
}
# Full covariances are for fewer features, and frames for dense networks; beyond, these instead.
MOST_FEATURES = 512
WITHOUT = dict(kernel="component", last_layer="cluster", linear_stage=False, local_scale=False)


def resolve(given: dict) -> SimpleNamespace:
    """Parameters with the recipe's values where they are None, checked.

    Raises
    ------
    ValueError
        For one out of range, with the name, what it was and what it must be.
    """
    checks.one_of("recipe", given["recipe"], RECIPES)
    recipe = dict(RECIPES[given["recipe"]])
    if given["t1"] is not None:
        recipe["min_updates"] = 0  # a length that was asked for is kept
    s = SimpleNamespace(**given)
    for name, value in recipe.items():
        if given[name] is None:
            setattr(s, name, value)
    for name, options in (
        ("units", UNITS),
        ("output", OUTPUTS),
        ("last_layer", ("random", "cluster", "frame")),
        ("kernel", KERNELS),
        ("keep", ("best", "last")),
        ("schedule", ("constant", "cosine")),
        ("optimizer", tuple(RATES)),
        ("order", ORDERS),
        ("batches", ("rearranged", "drawn")),
        ("draws", ("fresh", "fixed")),
    ):
        checks.one_of(name, getattr(s, name), options)
    if s.lr is None:
        s.lr = RATES[s.optimizer]
    at_least_one = ("n_components", "batch_size", "n_samples", "n_final_samples", "patience")
    for name in (*at_least_one, "smoothing", *(["n_generated"] if s.n_generated else [])):
        checks.whole(name, getattr(s, name), 1)
    for name in ("t1", "t2", "min_updates", "cuts", "updates"):
        checks.whole(name, getattr(s, name), 0)
    for needed, good, names in (
        ("positive", lambda v: v > 0, ("lr", "batch_share", "validation_size")),
        ("zero or more", lambda v: v >= 0, ("weight_decay", "threshold", "prior_floor")),
        ("0 or more and below 1", lambda v: 0 <= v < 1, ("memory", "momentum")),
    ):
        for name in names:
            checks.number(name, getattr(s, name), needed, good)
    checks.numbers("mmd_widths", s.mmd_widths)
    if s.likelihood_widths is not None:
        checks.numbers("likelihood_widths", s.likelihood_widths)
    for name in ("revive", "linear_stage", "local_scale", "warm_start"):
        value = getattr(s, name)
        checks.require(isinstance(value, bool | np.bool_), name, value, "true or false")
    good = s.init is None or hasattr(s.init, "fit_predict")
    checks.require(good, "init", s.init, "None or a clusterer with fit_predict")
    checks.check_device(s.device)
    s.cut = CUT
    return s


def for_data(settings: SimpleNamespace, given: dict, n_features: int) -> SimpleNamespace:
    """The settings for data of `n_features` and the structure that was asked for.

    Frames and full kernels need dense networks with linear outputs, they and the linear stage no
    more than 512 features. Otherwise a recipe that has them goes without; where they were asked for
    it is an error.
    """
    s = SimpleNamespace(**vars(settings))
    text = isinstance(s.structure, str)
    dense = text and not any(isinstance(part, tuple) for part in parse_structure(s.structure))
    few = [] if n_features <= MOST_FEATURES else [f"at most {MOST_FEATURES} features"]
    plain = [] if dense else ["a structure of plain sizes"]
    linear = [] if s.output == "linear" else ["output='linear'"]
    needs = {
        "kernel": plain + linear + few,
        "last_layer": plain + linear + few,
        "linear_stage": few,
        "local_scale": plain,
    }
    for name, missing in needs.items():
        if missing and getattr(s, name) == RECIPES["mixnet+"][name]:
            if given[name] is not None:
                raise ValueError(
                    f"{name}={given[name]!r} needs {' and '.join(missing)}; got "
                    f"structure={s.structure!r}, output={s.output!r}, {n_features} features"
                )
            setattr(s, name, WITHOUT[name])
    if s.local_scale and s.objective != "likelihood":
        if given["local_scale"]:
            raise ValueError(
                f"local_scale=True needs objective='likelihood'; got objective={s.objective!r}"
            )
        s.local_scale = False
    if s.last_layer == "frame" and s.kernel != "covariance":
        raise ValueError(f"last_layer='frame' needs kernel='covariance'; got kernel={s.kernel!r}")
    if s.likelihood_widths is None:
        s.likelihood_widths = FACTORS.get(s.kernel, (1.0,))
    return s
