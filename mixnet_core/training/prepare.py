"""From the settings and data of a fit to a training that can run."""

import copy

import numpy as np
import torch

from mixnet_core.data import checks
from mixnet_core.data.labels import (
    UNLABELLED,
    check_partial_labels,
    held_out_count,
    match_names,
    split,
)
from mixnet_core.data.points import LIMITS, Points, Units
from mixnet_core.networks.registry import make_bank
from mixnet_core.training import recipes
from mixnet_core.training.clusters import initial_clusters
from mixnet_core.training.fitted import Fitted, streams
from mixnet_core.training.session import Session
from mixnet_core.widths import cluster_scale


def prepare(given: dict, settings, X, y, init_labels, earlier: Fitted | None, **told) -> Session:
    """A training of the mixture on X, or one that goes on from an earlier one.

    Parameters
    ----------
    given, settings : dict, SimpleNamespace
        Parameters of the estimator, and what :func:`~mixnet_core.training.recipes.resolve` made
        of them.
    X : ndarray or memmap, shape (n, p)
        Checked.
    y, init_labels : array or None
        As :meth:`MixtureOfNetworks.fit` takes them.
    earlier : Fitted, optional
    **told
        Checkpoint, progress and callbacks of the session.

    Raises
    ------
    ValueError
        If they do not go together.
    """
    k = settings.n_components
    if len(X) <= k:
        raise ValueError(f"X needs more rows than n_components={k}; got n_samples = {len(X)}")
    settings = recipes.for_data(settings, given, X.shape[1])
    known = check_partial_labels(y, len(X), k)
    n_held_out = held_out_count(settings.validation_size, len(X), k)
    seed = checks.check_seed(settings.random_state)
    splits, weights = streams(seed, 2)
    parts = split(torch.from_numpy(known != UNLABELLED), n_held_out, splits)
    # A structure that does not fit the data is found before the start is computed.
    framed = settings.last_layer == "frame"
    bank = make_bank(
        settings.structure, k, X.shape[1], weights, settings.output, framed, settings.local_scale
    )
    checks.warn_of_lopsided(X, stacklevel=4)
    priors = None
    if earlier is None:
        units = Units.spread(X, np.sort(parts[1].numpy()))
        if init_labels is None:
            linear = settings.linear_stage
            start = initial_clusters(settings.init, X, units, seed, k, linear)
        else:
            start = checks.check_labels(init_labels, len(X), k)
    else:
        if init_labels is not None:
            raise ValueError("init_labels must be None where warm_start goes on from a fit")
        bank, priors = copied(earlier.bank, bank, settings), earlier.priors.clone()
        units, scale = earlier.units, earlier.scale
        start = earlier.posterior(earlier.points(X))[0].argmax(1)
    if (known != UNLABELLED).any():
        names = match_names(start, known, k)
        start = np.where(known == UNLABELLED, names[start], known)
        if earlier is not None:  # networks keep what they have learnt, under their label
            old = torch.from_numpy(names.argsort()).to(priors.device)
            priors = priors[old]
            bank.reorder(old)
    start, known = torch.from_numpy(start), torch.from_numpy(known)
    if earlier is None:
        units, scale = networks_units(settings, X, units, start, parts[1], splits)
        if bank.output == "sigmoid" and settings.units == "w":
            cover_data(bank, X, units)
    points, bank = Points(X, units, settings.device), bank.to(settings.device)
    return Session(
        settings, points, bank, start, known, seed, parts, scale, earlier, priors, **told
    )


def copied(old, new, settings):
    """The networks, to be trained on; ValueError if settings ask for others, such as `new`."""
    if [t.shape for t in new.tensors()] != [t.shape for t in old.tensors()]:
        raise ValueError(
            "structure and n_components must stay as they were with warm_start=True; got "
            f"{settings.structure!r} and {settings.n_components}"
        )
    return copy.deepcopy(old)


def networks_units(settings, X, units: Units, start, rows, generator) -> tuple[Units, float]:
    """What the networks see of the data, and w in it."""
    if settings.units == "box":
        units = Units.box(X)
    trained = Points(X, units).subset(rows)
    scale = cluster_scale(trained, start[rows], generator)
    return (units.times(1 / scale), 1.0) if settings.units == "w" else (units, scale)


def cover_data(bank, X, units: Units) -> None:
    """Let sigmoid outputs cover the box of the data in any units."""
    box, margin = Units.box(X), LIMITS[0] / (LIMITS[1] - LIMITS[0])
    span = units.scale / box.scale
    low = units.put(box.origin[None])[0] - margin * (LIMITS[1] - LIMITS[0]) * span
    bank.cover(low, span)
