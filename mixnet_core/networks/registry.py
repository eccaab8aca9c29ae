"""Which bank of networks a structure asks for."""

from torch import nn

from mixnet_core.bank import DenseBank, GeneratorBank
from mixnet_core.networks.structure import parse_structure, resolve_structure


def make_bank(
    structure,
    n_components: int,
    n_features: int,
    generator,
    output: str = "sigmoid",
    framed: bool = False,
    local: bool = False,
) -> GeneratorBank:
    """K networks whose points have `n_features` features.

    Parameters
    ----------
    structure : str, torch.nn.Module or callable
        A structure string (:func:`parse_structure`): dense networks, or convolutional ones where it
        names a map. Or a module, or a function ``factory(generator)`` that builds one
        (:class:`~mixnet_core.networks.modules.ModuleBank`).
    n_components, n_features : int
        K; features of the data.
    generator : torch.Generator
        Source of the initial weights.
    output : {"sigmoid", "linear"}
    framed, local : bool
        Of dense networks; see :class:`~mixnet_core.networks.framed.FramedBank`.

    Raises
    ------
    ValueError
        If the structure is none of these, or does not fit the data.
    """
    if isinstance(structure, str):
        structure = resolve_structure(structure, n_features)
        if not any(isinstance(element, tuple) for element in parse_structure(structure)):
            if not framed and not local:
                return DenseBank(structure, n_components, generator, output)
            from mixnet_core.networks.framed import FramedBank

            return FramedBank(structure, n_components, generator, output, framed, local)
        from mixnet_core.networks.convolutional import ConvolutionalBank

        return ConvolutionalBank(structure, n_components, generator, output)
    if isinstance(structure, nn.Module) or callable(structure):
        from mixnet_core.networks.modules import ModuleBank

        return ModuleBank(structure, n_components, generator, n_outputs=n_features, output=output)
    raise ValueError(
        f"structure must be a string such as '10-64-x', a torch.nn.Module, or a function of a "
        f"torch.Generator that builds one; got {structure!r}"
    )
