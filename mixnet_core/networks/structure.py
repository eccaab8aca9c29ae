"""Structure strings: the paper's "10-16-256-256-512-32", and what goes beyond them (ours).

The first number is the size of the random input z, the last the size of the output. Ours: the last
size may be ``x``, as many as the data have features, and ``HxW`` or ``HxWxC`` is a feature map
(:mod:`mixnet_core.networks.convolutional`).
"""

import math
import re

Element = int | tuple[int, int, int] | str


def parse_structure(structure: str) -> list[Element]:
    """Elements of a structure string.

    Parameters
    ----------
    structure : str
        Sizes joined by ``-``, input first: ``"2-32-128-32-2"``, ``"10-64-x"``,
        ``"10-256-8x8x16-16x16"``.

    Returns
    -------
    list
        At least two: a size as int, a feature map as (H, W, C) with C = 1 where none is given, and
        ``"x"``, at the end only, as it is.

    Raises
    ------
    ValueError
        If the string is no such chain; the message says which element is wrong.
    """
    parts = str(structure).split("-")
    if len(parts) < 2:
        raise _wrong(structure, "there are fewer than two sizes")
    elements: list[Element] = []
    for place, part in enumerate(parts):
        first, last = place == 0, place == len(parts) - 1
        if part == "x":
            if not last:
                raise _wrong(structure, "only the last size may be 'x'")
            elements.append("x")
            continue
        sizes = (
            [int(n) for n in part.split("x")] if re.fullmatch(r"[0-9]+(x[0-9]+){,2}", part) else []
        )
        if not sizes or min(sizes) < 1:
            raise _wrong(structure, f"{part!r} is neither a positive size nor a map HxW or HxWxC")
        if first and len(sizes) > 1:
            raise _wrong(structure, f"the input must be a plain size, not the map {part!r}")
        elements.append(sizes[0] if len(sizes) == 1 else (*sizes, 1)[:3])
    return elements


def n_values(element: Element) -> int:
    """How many numbers an element holds: a size itself, H · W · C of a map."""
    return math.prod(element) if isinstance(element, tuple) else int(element)


def resolve_structure(structure: str, n_features: int) -> str:
    """The structure with ``x`` at its end replaced by the number of features of the data.

    Raises
    ------
    ValueError
        If the structure is none, or ends with a size or map of other than `n_features` values.
    """
    last = parse_structure(structure)[-1]
    if last == "x":
        return f"{str(structure)[:-1]}{n_features}"
    if n_values(last) != n_features:
        raise ValueError(
            f"structure must end with as many values as X has features, {n_features} (or with 'x'"
            f" for that many); got {structure!r}, which ends with {n_values(last)}"
        )
    return str(structure)


def _wrong(structure, reason: str) -> ValueError:
    return ValueError(
        f"structure must be at least two positive layer sizes joined by '-', such as "
        f"'2-32-128-32-2', '10-64-x' or '10-256-8x8x16-16x16'; got {structure!r}: {reason}"
    )
