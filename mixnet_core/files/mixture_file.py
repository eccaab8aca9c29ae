"""Files of mixtures: the fitted state, and nothing else, as a header and arrays."""

import numpy as np
import torch

from mixnet_core.data.points import Units
from mixnet_core.files.storage import load_model, plain, save_model
from mixnet_core.likelihood import Noise
from mixnet_core.networks.registry import make_bank
from mixnet_core.objectives.base import Objective
from mixnet_core.training.fitted import Fitted, final_samples

KIND, VERSION = "mixture of networks", 3


def save_mixture(model, path) -> None:
    """Write a fitted mixture; see :meth:`MixtureOfNetworks.save`."""
    fitted, given = model.fitted_, []
    params = model.get_params(deep=False) | {"init": None, "random_state": fitted.seed}
    if not isinstance(fitted.settings["structure"], str):
        given.append("structure")
    if not _nameable(params["objective"]):
        given.append("objective")
    header = {
        "params": _params(params),
        "settings": _params(fitted.settings | {"init": None}),
        "given": given,
        "output": fitted.bank.output,
        "n_components": fitted.bank.n_components,
        "n_features": fitted.bank.n_outputs,
        "units": {
            "scale": fitted.units.scale,
            "offset": fitted.units.offset,
            "dtype": fitted.units.dtype.name,
        },
        "scale": fitted.scale,
        "seed": fitted.seed,
        "strength": fitted.strength,
        "framed": fitted.bank.framed,
        "local": fitted.bank.local,
        "n_samples": fitted.samples.shape[1],
        "n_iter": fitted.n_iter,
        "converged": bool(fitted.converged),
        "history": fitted.history,
        "values": fitted.values,
        "snapshots": list(fitted.snapshots),
    }
    if hasattr(model, "feature_names_in_"):
        header["feature_names"] = list(model.feature_names_in_)
    arrays = {
        "priors": fitted.priors.cpu().numpy(),
        "noise": fitted.noise.roots.cpu().numpy(),
        "origin": fitted.units.origin,
        "shift": fitted.units.shift,
    }
    arrays |= {f"snapshot_{i}": labels for i, labels in fitted.snapshots.items()}
    arrays |= {name: t.cpu().numpy() for name, t in _trained(fitted.bank).items()}
    arrays |= {f"constant_{name}": t.cpu().numpy() for name, t in fitted.bank.constants().items()}
    save_model(path, KIND, VERSION, header, arrays)


def load_mixture(cls, path, given: dict):
    """Read a mixture of class `cls`; see :meth:`MixtureOfNetworks.load`."""
    header, arrays = load_model(path, KIND, VERSION, VERSION)
    try:
        return _mixture(cls, path, given, header, arrays)
    except ValueError:
        raise
    except Exception as error:  # a header of other types stops any line of it
        raise ValueError(f"{path} is a damaged {KIND}: {error!r}") from error


def _mixture(cls, path, given, header, arrays):
    missing = [name for name in header["given"] if name not in given]
    if missing:
        raise ValueError(
            f"{path} was made with a setting that a file cannot hold; give it again: "
            f"load(path, {', '.join(f'{name}=...' for name in missing)})"
        )
    model = cls(**_tuples(header["params"]) | given)
    structure = given.get("structure", header["settings"]["structure"])
    k, p = header["n_components"], header["n_features"]
    shape = (header["output"], header["framed"], header["local"])
    bank = make_bank(structure, k, p, torch.Generator(), *shape)
    for name, t in _trained(bank).items():
        values = arrays.get(name)
        if values is None or values.shape != tuple(t.shape):
            raise ValueError(f"{path} holds networks of another structure than {structure}")
        t.copy_(torch.from_numpy(values))
    if "constant_span" in arrays:
        low, span = torch.from_numpy(arrays["constant_low"]), float(arrays["constant_span"][0])
        bank.cover(low, span)
    for name, t in bank.constants().items():
        t.copy_(torch.from_numpy(arrays[f"constant_{name}"]))
    bank = bank.to(model.device)
    units, draws = header["units"], header["settings"]["draws"]
    model.fitted_ = Fitted(
        bank=bank,
        priors=torch.from_numpy(arrays["priors"]).to(model.device),
        noise=Noise(torch.from_numpy(arrays["noise"]).to(model.device)),
        units=Units(
            arrays["origin"],
            arrays["shift"],
            units["scale"],
            units["offset"],
            np.dtype(units["dtype"]),
        ),
        scale=header["scale"],
        samples=final_samples(bank, header["n_samples"], header["seed"], draws),
        seed=header["seed"],
        strength=header["strength"],
        settings=_tuples(header["settings"]) | given,
        history=header["history"],
        snapshots={i: arrays[f"snapshot_{i}"] for i in header["snapshots"]},
        values=header["values"],
        n_iter=header["n_iter"],
        converged=header["converged"],
    )
    model.n_features_in_ = p
    if "feature_names" in header:
        model.feature_names_in_ = np.array(header["feature_names"], dtype=object)
    return model


def _nameable(objective) -> bool:
    return objective is None or isinstance(objective, str | Objective | dict)


def _params(params: dict) -> dict:
    """Parameters as JSON holds them; None in the place of what it cannot hold."""
    out = {name: plain(value) for name, value in params.items()}
    objective = params["objective"]
    if isinstance(objective, Objective | dict):
        from mixnet_core.objectives.registry import make_objective

        out["objective"] = make_objective(objective).plain()
    return out


def _tuples(params: dict) -> dict:
    """Parameters from a header: lists were tuples, and a dict is an objective."""
    out = {k: tuple(v) if isinstance(v, list) else v for k, v in params.items()}
    if isinstance(out["objective"], dict):
        from mixnet_core.objectives.registry import make_objective

        out["objective"] = make_objective(out["objective"])
    return out


def _trained(bank) -> dict[str, torch.Tensor]:
    """Trained tensors of a bank under the names that a file gives them."""
    return {f"bank_{i}": t for i, t in enumerate(bank.tensors())}
