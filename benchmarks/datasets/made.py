"""Points that are drawn or that a library brings, so that no file is needed; `toys` has Figure 1's.

All are development sets: labels may be looked at, and rules be made on them. Features are not
scaled, for rules must stand that too. What is drawn is rounded to 6 decimals, since the last bits
of a machine's logarithm or matrix product differ, and its content hash must not.
"""

import numpy as np

DECIMALS = 6


def blobs(deviation):
    """Five spherical clusters in 10 dimensions whose centres lie in a box of side 20.

    Parameters
    ----------
    deviation : float
        Of every cluster in every dimension.

    Returns
    -------
    X : ndarray (1000, 10)
    y : ndarray (1000,)
    """
    from sklearn.datasets import make_blobs

    return make_blobs(1000, n_features=10, centers=5, cluster_std=deviation, random_state=0)


def swiss_roll():
    """A sheet of 2000 points rolled up in three dimensions, cut across into five equal strips.

    The cuts go by the parameter of the roll, t in [1.5 pi, 4.5 pi], at equal steps.

    Returns
    -------
    X : ndarray (2000, 3)
    y : ndarray (2000,)
    """
    from sklearn.datasets import make_swiss_roll

    X, t = make_swiss_roll(2000, random_state=0)
    y = np.floor(5 * (t - 1.5 * np.pi) / (3 * np.pi)).astype(np.int64)
    return X, np.clip(y, 0, 4)


def classification():
    """Five classes on corners of a cube in 8 of 20 dimensions, with 4 redundant and 8 of noise.

    Returns
    -------
    X : ndarray (5000, 20)
    y : ndarray (5000,)
    """
    from sklearn.datasets import make_classification

    return make_classification(
        5000,
        20,
        n_informative=8,
        n_redundant=4,
        n_classes=5,
        n_clusters_per_class=1,
        class_sep=1.5,
        random_state=2,
    )


def correlated_blobs(seed=0):
    """Eight Gaussian clusters of unequal size and spread, each correlated in its own way, in 50-d.

    Cluster k has 120 (k + 1) points, centre m ~ N(0, I), and points m + s (A u + 0.3 e) with
    u ~ N(0, I) in 5 dimensions, A (50, 5) ~ N(0, 1), e ~ N(0, I) and s from 0.4 to 0.8 in equal
    steps, dealt to the clusters by a permutation. Ours.

    Parameters
    ----------
    seed : int
        Of ``numpy.random.default_rng``; the registered set uses 0.

    Returns
    -------
    X : ndarray (4320, 50)
    y : ndarray (4320,)
    """
    rng = np.random.default_rng(seed)
    sizes, spreads = 120 * np.arange(1, 9), rng.permutation(np.linspace(0.4, 0.8, 8))
    parts = []
    for size, spread in zip(sizes, spreads, strict=True):
        centre, loadings = rng.normal(size=50), rng.normal(size=(50, 5))
        within = rng.normal(size=(size, 5)) @ loadings.T + 0.3 * rng.normal(size=(size, 50))
        parts.append(centre + spread * within)
    order = rng.permutation(sizes.sum())
    return np.concatenate(parts)[order], np.repeat(np.arange(8), sizes)[order]


def wine():
    """Chemistry of 178 Italian wines of three growers, as scikit-learn has it: raw units.

    Returns
    -------
    X : ndarray (178, 13)
    y : ndarray (178,)
    """
    from sklearn.datasets import load_wine

    return load_wine(return_X_y=True)


def digits():
    """The test half of Optdigits, as scikit-learn has it: 8 x 8 counts from 0 to 16.

    Returns
    -------
    X : ndarray (1797, 64)
    y : ndarray (1797,)
    """
    from sklearn.datasets import load_digits

    return load_digits(return_X_y=True)


GENERATORS = {
    "blobs": blobs,
    "swiss-roll": swiss_roll,
    "classification": classification,
    "correlated-blobs": correlated_blobs,
    "wine": wine,
}


def generate(name, params):
    """Points of one of `GENERATORS`, rounded to 6 decimals.

    Parameters
    ----------
    name : str
    params : dict
        Keyword arguments of the generator.

    Returns
    -------
    X : ndarray of float64, (n, d)
    y : ndarray of int64, (n,)
    """
    X, y = GENERATORS[name](**params)
    return np.round(X, DECIMALS), np.asarray(y, dtype=np.int64)
