"""Clustering baselines of Table 1, on numpy, scipy and scikit-learn only.

``kmeans.KMeans``, ``ncut.NCut``, ``llc.LLC`` and ``ldmgi.LDMGI`` share ``graph`` (neighbours,
smallest eigenvectors) and ``rotation`` (the discretisation of Yu and Shi).

The three spectral methods separate what no seed changes from what one does:
``spectral_embedding(X)`` is deterministic and may be computed once and kept (a dict of arrays that
``numpy.savez`` can hold), ``fit(X, embedding=that)`` then only discretises.
"""
