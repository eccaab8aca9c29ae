"""Generative baselines of Table 2, on torch, each an estimator in its own file.

All derive from ``model.GenerativeModel``: ``fit(X, validation=None, checkpoint=None,
progress=None)``, ``sample(n, generator)``, ``values_``, ``history_``, ``save(path)`` and
``load(path)``. ``training`` holds the loop, the mini-batches and the checkpoints that they share.
"""
