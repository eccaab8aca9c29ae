"""torch's global switches, set aside while something of ours computes."""

from __future__ import annotations

import contextlib

import torch


@contextlib.contextmanager
def own_switches(gradients: bool = True):
    """float32, gradients on, no autocast, no inference mode, tensors on the CPU unless said.

    A caller may work under ``torch.set_default_dtype(torch.float64)``, ``no_grad``,
    ``inference_mode``, ``autocast`` or ``set_default_device``; what is computed here is what it
    would be without. All is as it was afterwards. Also a decorator.
    Without `gradients` these, and inference mode, are left as they are: its tensors may be changed
    only within it.
    """
    with contextlib.ExitStack() as stack:
        dtype = torch.get_default_dtype()
        if dtype != torch.float32:
            torch.set_default_dtype(torch.float32)
            stack.callback(torch.set_default_dtype, dtype)
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if gradients:
            if torch.is_inference_mode_enabled():
                stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
        yield
