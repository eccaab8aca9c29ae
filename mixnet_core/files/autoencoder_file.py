"""Files of autoencoders: the fitted state as a header and arrays."""

import numpy as np
import torch

from mixnet_core.autoencoder import FittedAutoencoder, Network
from mixnet_core.data.points import Units
from mixnet_core.files.storage import load_model, plain, save_model

KIND, VERSION = "autoencoder", 2


def save_autoencoder(model, path) -> None:
    """Write a fitted autoencoder; see :meth:`Autoencoder.save`."""
    fitted, units = model.fitted_, model.fitted_.units
    header = {
        "params": {name: plain(v) for name, v in model.get_params().items()},
        "sizes": fitted.network.sizes,
        "units": {"scale": units.scale, "dtype": units.dtype.name},
        "history": fitted.history,
        "values": fitted.values,
    }
    if hasattr(model, "feature_names_in_"):
        header["feature_names"] = list(model.feature_names_in_)
    arrays = {"origin": units.origin, "shift": units.shift}
    weights = fitted.network.state_dict()
    arrays |= {f"network_{name}": t.cpu().numpy() for name, t in weights.items()}
    save_model(path, KIND, VERSION, header, arrays)


def load_autoencoder(cls, path, given: dict):
    """Read an autoencoder of class `cls`; see :meth:`Autoencoder.load`."""
    header, arrays = load_model(path, KIND, VERSION, VERSION)
    try:
        params = header["params"]
        model = cls(**params | {"hidden": tuple(params["hidden"])} | given)
        d, *hidden, code_dim = header["sizes"]
        network = Network(d, tuple(hidden), code_dim, torch.Generator())
        names = network.state_dict()
        network.load_state_dict({n: torch.from_numpy(arrays[f"network_{n}"]) for n in names})
        scale, dtype = header["units"]["scale"], np.dtype(header["units"]["dtype"])
        units = Units(arrays["origin"], arrays["shift"], scale, 0.0, dtype)
        network = network.to(model.device)
        model.fitted_ = FittedAutoencoder(network, units, header["history"], header["values"])
        model.n_features_in_ = d
        if "feature_names" in header:
            model.feature_names_in_ = np.array(header["feature_names"], dtype=object)
    except Exception as error:  # a header of other types stops any line of it
        raise ValueError(f"{path} is a damaged {KIND}: {error!r}") from error
    return model
