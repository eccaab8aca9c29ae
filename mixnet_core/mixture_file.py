"""Files of mixtures: what a fitted model is, as a header and arrays (see `storage.py`)."""

import numpy as np
import torch

from mixnet_core.banks import make_bank
from mixnet_core.checkpoints import plain_params
from mixnet_core.fitting import final_samples
from mixnet_core.objective_base import Objective
from mixnet_core.objectives import make_objective
from mixnet_core.points import Box
from mixnet_core.storage import load_model, save_model

KIND, VERSION = "mixture of networks", 2


def save_mixture(model, path) -> None:
    """Write a fitted mixture; see :meth:`MixtureOfNetworks.save`."""
    params, given = plain_params(model), []
    if not isinstance(model.structure, str):
        given.append("structure")
    if isinstance(model.objective, Objective | dict):
        params["objective"] = make_objective(model.objective).plain()
    elif not isinstance(model.objective, str):
        given.append("objective")
    header = {
        "params": params | {"init": None, "random_state": model.seed_},
        "given": given,
        "n_features": model.n_features_in_,
        "span": model.box_.span,
        "width": model.width_,
        "scale": model.scale_,
        "n_iter": model.n_iter_,
        "history": model.history_,
        "values": model.values_,
        "snapshots": list(model.snapshots_),
    }
    if hasattr(model, "feature_names_in_"):
        header["feature_names"] = list(model.feature_names_in_)
    arrays = {"priors": model.priors_.cpu().numpy(), "low": model.box_.low}
    arrays |= {f"snapshot_{i}": labels for i, labels in model.snapshots_.items()}
    arrays |= {name: t.cpu().numpy() for name, t in _named(model.bank_).items()}
    save_model(path, KIND, VERSION, header, arrays)


def load_mixture(cls, path, given: dict):
    """Read a mixture of class `cls`; see :meth:`MixtureOfNetworks.load`."""
    header, arrays = load_model(path, KIND, VERSION)
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
    params = {k: tuple(v) if isinstance(v, list) else v for k, v in header["params"].items()}
    if isinstance(params["objective"], dict):
        params["objective"] = make_objective(params["objective"])
    model = cls(**params | given)
    model.n_features_in_, model.seed_ = header["n_features"], header["params"]["random_state"]
    bank = make_bank(model.structure, model.n_components, model.n_features_in_, torch.Generator())
    for name, t in _named(bank).items():
        values = arrays.get(name)
        if values is None or values.shape != tuple(t.shape):
            raise ValueError(f"{path} holds networks of another structure than {model.structure}")
        t.copy_(torch.from_numpy(values))
    model.bank_ = bank.to(model.device)
    model.priors_ = torch.from_numpy(arrays["priors"]).to(model.device)
    model.box_ = Box(arrays["low"], header["span"])
    model.width_, model.scale_ = header["width"], header["scale"]
    model.n_iter_ = header["n_iter"]
    model.history_, model.values_ = header["history"], header["values"]
    model.snapshots_ = {i: arrays[f"snapshot_{i}"] for i in header["snapshots"]}
    if "feature_names" in header:
        model.feature_names_in_ = np.array(header["feature_names"], dtype=object)
    model.samples_ = final_samples(model.bank_, model)
    return model


def _named(bank) -> dict[str, torch.Tensor]:
    """Trained tensors and constants of a bank under the names that a file gives them."""
    trained = {f"bank_{i}": t for i, t in enumerate(bank.tensors())}
    return trained | {f"constant_{name}": t for name, t in bank.constants().items()}
