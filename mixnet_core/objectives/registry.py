"""An objective from its name, an instance, a function or what a file keeps of it."""

import copy
import difflib

from mixnet_core.mmd import GaussianMMD
from mixnet_core.objectives.adversarial import Adversarial
from mixnet_core.objectives.base import FunctionObjective, Objective
from mixnet_core.objectives.kernels import EnergyDistance, RationalQuadraticMMD
from mixnet_core.objectives.sliced import SlicedWasserstein
from mixnet_core.objectives.smoothed import SmoothedMMD

OBJECTIVES = {
    kind.name: kind
    for kind in (
        GaussianMMD,
        SmoothedMMD,
        RationalQuadraticMMD,
        EnergyDistance,
        SlicedWasserstein,
        Adversarial,
    )
}


def make_objective(objective) -> Objective:
    """An objective of one's own, not yet prepared, from any of the ways to name one.

    Parameters
    ----------
    objective : str, Objective, callable or dict
        A name of `OBJECTIVES`, with its default settings; an instance, which is copied, so that a
        training changes nothing the caller holds; a function ``f(x, y, mask) -> (A,)``; or what
        :meth:`Objective.plain` returned.

    Raises
    ------
    ValueError
        For a name that there is not.
    TypeError
        For anything else, a class for one, or settings that the named objective does not have.
    """
    if isinstance(objective, Objective):
        return copy.deepcopy(objective)
    if isinstance(objective, str):
        objective = {"name": objective}
    if isinstance(objective, dict):
        settings = dict(objective)
        name = settings.pop("name", None)
        if name not in OBJECTIVES:
            raise ValueError(_unknown(name, settings))
        return OBJECTIVES[name](**settings)
    if isinstance(objective, type) or not callable(objective):
        got = f"the class {objective.__name__}" if isinstance(objective, type) else repr(objective)
        raise TypeError(
            f"objective must be a name ({', '.join(OBJECTIVES)}), an instance of Objective or a "
            f"function f(x, y, mask); got {got}"
        )
    return FunctionObjective(objective)


def _unknown(name, settings: dict) -> str:
    if name == FunctionObjective.name and settings:
        return (
            f"objective was the function {settings['function']}, of which the file keeps the name "
            f"only; it must be handed in again"
        )
    close = difflib.get_close_matches(str(name).lower(), OBJECTIVES, n=1, cutoff=0.45)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"objective must be one of {', '.join(OBJECTIVES)}; got {name!r}{hint}"
