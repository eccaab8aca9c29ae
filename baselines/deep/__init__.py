"""Deep clusterings: what one would use today in place of the paper's model, on torch.

Each is an estimator in a file of its own: ``idec.IDEC`` (and DEC), ``vade.VaDE``, ``n2d.N2D``.
They share ``base`` (the estimator: inputs, scale, checkpoints) and ``autoencoder``
(d-500-500-2000-p, how it is trained).
"""
