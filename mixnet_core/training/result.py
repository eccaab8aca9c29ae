"""The end of a training: which state is kept, what is recorded of it, and what is warned of."""

import warnings

import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from mixnet_core.data.labels import hold
from mixnet_core.likelihood import log_likelihood
from mixnet_core.memberships import memberships, mixture_log_likelihood
from mixnet_core.training.fitted import Fitted, final_samples
from mixnet_core.training.watch import dead_components, taken_over


def result(session) -> Fitted:
    """The state to be kept, by held-out likelihood; warnings where something is wrong.

    Parameters
    ----------
    session : mixnet_core.training.session.Session
        A finished training; it goes to the state that is kept.
    """
    s = session
    kept, samples = best_state(s)
    log_lik = s.plain_likelihood(samples)
    density = mixture_log_likelihood(log_lik, s.priors).double().cpu().numpy()
    density += s.curves.volume
    hold(log_lik, s.known, s.y)
    labels = memberships(log_lik, s.priors).argmax(1).cpu()
    labels[s.known] = s.y.cpu()
    counts = torch.bincount(labels[s.train_rows], minlength=s.settings.n_components)
    ended_by = "callback" if s.stopped else "cap"
    if s.watch.saturated:
        ended_by = "saturation"
    _warn(s, counts, ended_by)
    history, snapshots, n_iter = s.history, s.curves.snapshots, s.iteration
    if s.earlier is not None:
        history, snapshots = s.curves.after(
            s.earlier.history, s.earlier.snapshots, s.earlier.n_iter
        )
        n_iter += s.earlier.n_iter
    p = s.points.n_features
    shared = (s.noise.log_det(p).mean() / p).exp()
    values = {
        "heldout_log_likelihood": float(density[s.held_out.numpy()].mean()),
        "n_held_out": len(s.held_out),
        "batch_size": int(s.batch_size_1),
        "batch_size_2": int(s.batch_size_2),
        "t1": int(s.epoch),
        "iterations": s.iteration,
        "kept_iteration": int(kept),
        "ended_by": ended_by,
        "cuts": s.watch.cuts_made,
        "scale": s.scale / s.points.units.scale,
        "width_ratio": float(shared) / s.scale,
        "min_prior": float(s.priors.min()),
        "empty_components": int((torch.bincount(labels, minlength=len(counts)) == 0).sum()),
        "dead_components": len(dead_components(counts, s.start_counts)),
    }
    return Fitted(
        bank=s.bank,
        priors=s.priors,
        noise=s.noise,
        units=s.points.units,
        scale=s.scale,
        samples=samples,
        seed=s.seed,
        strength=s.strength,
        settings=vars(s.settings),
        history=history,
        snapshots=snapshots,
        values=values,
        n_iter=n_iter,
        converged=s.watch.saturated,
        labels=labels.numpy(),
        log_likelihood=density,
    )


def best_state(session) -> tuple[int, Tensor]:
    """Go to the state that is kept; its iteration, and samples of its networks.

    The best by smoothed held-out likelihood is kept; the one after Algorithm 1, or before it
    where it is a linear mixture (-1), instead where held-out points are likelier under it by
    as many samples.
    """
    s, watch = session, session.watch
    if s.settings.keep == "last" or watch.first is None:
        return s.iteration, _samples(s)
    x, found, states = s.points[s.held_out], [], {}
    for state in (watch.start, watch.first, watch.best):
        if state is not None:
            states[state["iteration"]] = state
    for state in states.values():
        s.return_to(state)
        samples = _samples(s)
        log_lik = log_likelihood(x, samples, s.noise)
        value = float(mixture_log_likelihood(log_lik, s.priors).double().mean())
        found.append((value, state, samples))
    _, state, samples = max(found, key=lambda entry: entry[0])
    s.return_to(state)
    return state["iteration"], samples


def _samples(session) -> Tensor:
    settings = session.settings
    return final_samples(session.bank, settings.n_final_samples, session.seed, settings.draws)


def _warn(session, counts: Tensor, ended_by: str) -> None:
    """A ConvergenceWarning with the numbers where T2 ended the fit, or components died."""
    settings, start_counts, words = session.settings, session.start_counts, []
    if settings.t2 and ended_by == "cap":
        words.append(
            f"Algorithm 2 was ended by t2={settings.t2} iterations before held-out likelihood "
            f"had saturated (no rise for patience={settings.patience}); raise t2"
        )
    dead = dead_components(counts, start_counts)
    if dead:
        shown = ", ".join(
            f"{j} ({int(counts[j])} of {int(start_counts[j])} points)" for j in dead[:5]
        )
        words.append(
            f"{len(dead)} of {len(counts)} components are dead, with less than a twentieth of "
            f"the training points that they started with: {shown}"
            f"{', …' if len(dead) > 5 else ''}"
        )
    over = taken_over(counts, start_counts)
    if over and len(counts) > 1:
        j = over[0]
        words.append(
            f"component {j} took over: {int(counts[j])} of {int(counts.sum())} training "
            f"points, {int(start_counts[j])} at the start"
        )
    if words:
        warnings.warn("; ".join(words), ConvergenceWarning, stacklevel=5)
