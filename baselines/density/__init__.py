"""Density models with a Gaussian a component: the linear yardstick of a mixture of networks.

``gaussian.GaussianMixture`` (full covariances) and ``ppca.MixtureOfPPCA`` (Tipping and Bishop 1999)
share ``em``: starts, held-out points, EM in the log domain, scores in nats a point in the units of
X. ``held_out`` has the rule by which points are set aside.
"""
