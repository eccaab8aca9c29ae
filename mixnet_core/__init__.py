"""Generative mixture of networks (arXiv:1702.03307) as a library.

Importing the package imports no torch; the classes come when they are asked for.
"""

from importlib import import_module

__version__ = "0.2.0"
__all__ = ["Autoencoder", "MixtureOfNetworks", "__version__"]

_HOMES = {
    "MixtureOfNetworks": "mixnet_core.mixture",
    "Autoencoder": "mixnet_core.autoencoder",
}


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
