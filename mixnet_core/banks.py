"""The bank that a structure asks for."""

from torch import nn

from mixnet_core.convolution import ConvolutionalBank
from mixnet_core.generators import DenseBank, GeneratorBank, parse_structure, resolve_structure
from mixnet_core.modules import ModuleBank


def make_bank(structure, n_components: int, n_features: int, generator) -> GeneratorBank:
    """K networks whose points have `n_features` features.

    Parameters
    ----------
    structure : str, torch.nn.Module or callable
        A structure string (:func:`~mixnet_core.generators.parse_structure`): dense networks, or
        convolutional ones where it names a map. Or a module, or a function ``factory(generator)``
        that builds one (:class:`~mixnet_core.modules.ModuleBank`).
    n_components : int
        K.
    n_features : int
        Features of the data.
    generator : torch.Generator
        Source of the initial weights.

    Raises
    ------
    ValueError
        If the structure is none of these, or does not fit the data.
    """
    if isinstance(structure, str):
        structure = resolve_structure(structure, n_features)
        maps = any(isinstance(element, tuple) for element in parse_structure(structure))
        return (ConvolutionalBank if maps else DenseBank)(structure, n_components, generator)
    if isinstance(structure, nn.Module) or callable(structure):
        return ModuleBank(structure, n_components, generator, n_outputs=n_features)
    raise ValueError(
        f"structure must be a string such as '10-64-x', a torch.nn.Module, or a function of a "
        f"torch.Generator that builds one; got {structure!r}"
    )
