"""The mixture of networks as an estimator (paper §3)."""

import copy
from numbers import Integral

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClusterMixin, DensityMixin, clone
from sklearn.cluster import KMeans
from sklearn.utils.validation import check_is_fitted, validate_data

from mixnet_core.banks import make_bank
from mixnet_core.fitting import Fitting, streams
from mixnet_core.kernels import log_likelihood
from mixnet_core.labels import UNLABELLED, check_partial_labels, match_names
from mixnet_core.memberships import memberships, mixture_log_likelihood
from mixnet_core.mixture_file import load_mixture, save_mixture
from mixnet_core.points import (
    Box,
    Points,
    Spool,
    as_matrix,
    blocks,
    is_loader,
    on_disk,
    shuffles,
)
from mixnet_core.validation import check_labels, check_settings

START_ROWS = 200_000  # rows that the initial clustering sees where the data are on disk


class MixtureOfNetworks(ClusterMixin, DensityMixin, BaseEstimator):
    """K generator networks, trained by Algorithms 1 and 2 to cluster data and to generate them.

    Data are moved into a box inside (0, 1)^p by one shift a feature and one scale for all. Every
    width follows w, the median distance within an initial cluster. What the paper does not
    state is marked "ours"; no such choice sees a label.

    Parameters
    ----------
    n_components : int
        K.
    structure : str, torch.nn.Module or callable
        Layer sizes such as ``"10-16-256-256-512-32"``, from random input to output; ``x`` as the
        last stands for the number of features, and ``HxWxC`` for a feature map, which makes the
        networks convolutional. A module is copied K times and drawn anew; a callable makes one
        from a ``torch.Generator``. See :func:`mixnet_core.banks.make_bank`.
    objective : str, Objective or callable
        What a network minimises: ``"mmd"`` (eq. 9), ``"rational_quadratic"``, ``"energy"``,
        ``"sliced_wasserstein"``, ``"adversarial"``, or a function ``f(x, y, mask)``. See
        :func:`mixnet_core.objectives.make_objective`.
    init : None or clusterer
        Initial clustering: a scikit-learn clusterer, of which a copy is fitted; k-means (best of
        ten starts, §3.1) if None. ``fit`` takes labels instead.
    t1, t2 : int
        Epochs of Algorithm 1, and the most iterations of Algorithm 2.
    min_updates : int
        Algorithm 1 runs on past `t1` epochs until a cluster of mean size has had this many
        mini-batches (ours: small clusters have few batches an epoch).
    batch_size, batch_share : int, float
        B is `batch_size`, but in Algorithm 1 at most the mean cluster, and in Algorithm 2 at most
        this share of it: its batches are cut from one row of points, and one as large as a
        cluster would seldom hold points of one cluster only (limits ours).
    n_samples, n_final_samples : int
        S of eq. 4 during the training, and for the final labels and every later likelihood (ours).
    memory : float
        Share of the old likelihood matrix that stays at each update: fresh samples alone would make
        it noisy, points would change sides by chance (ours; stochastic approximation as in SAEM,
        Delyon et al. 1999). 0 keeps nothing.
    optimizer : {"sgd", "adam"}
        Mini-batch SGD is the paper's.
    lr, momentum, weight_decay : float
        α = β, heavy-ball momentum (SGD only) and weight decay (values ours).
    mmd_widths : sequence of float
        Gaussian kernels of eq. 9, as multiples of w; MMD² is averaged over them (ours).
    likelihood_widths : sequence of float
        Candidates for the kernel of eq. 4, as multiples of w / √(2p), the standard deviation of a
        feature in a Gaussian cluster of scale w. After Algorithm 1 the one under which held-out
        points are most likely is taken; the smallest is the floor (ours).
    threshold : float
        Mini-batches with a smaller membership are skipped (§3.3).
    validation_size : float or int
        Share or number of the points that no network is trained on. They get labels too.
    patience : int
        Algorithm 2 stops when the moving mean of the held-out log-likelihood has not risen for this
        many iterations (§4: "until … saturated"; the numbers are ours).
    warm_start : bool
        If true, a second ``fit`` goes on with Algorithm 2 from the networks, priors and width of
        the first, for at most `t2` further iterations.
    random_state : int, RandomState or None
        None: other draws at every fit.
    device : str

    Attributes
    ----------
    labels_ : ndarray of int64, shape (n,)
        Component of highest membership (eq. 5) of every point, held-out ones too.
    log_likelihood_ : ndarray of float32, shape (n,)
        Log density of every point in nats, in the box's units (see :meth:`score_samples`).
    bank_, priors_, width_, scale_ : GeneratorBank, Tensor (K,), float, float
        Networks, π, the chosen width of eq. 4 and w, both in the box's units.
    history_ : dict of list
        ``heldout`` and ``train`` mean log-likelihood, ``mmd`` (eq. 9 between components and their
        samples, by Gaussian kernels whatever the objective), ``priors``, ``min_prior`` and
        ``changed`` (share of points with a new label), at iteration 0 (after Algorithm 1) and each
        of Algorithm 2.
    snapshots_ : dict of int -> ndarray
        Labels at every tenth iteration.
    values_ : dict
        Scalars worth recording.
    n_iter_, n_features_in_, seed_ : int
    """

    def __init__(
        self,
        n_components=10,
        structure="10-64-256-256-512-x",
        objective="mmd",
        init=None,
        t1=30,
        t2=200,
        min_updates=1000,
        batch_size=100,
        batch_share=0.25,
        n_samples=1000,
        n_final_samples=10000,
        memory=0.8,
        optimizer="sgd",
        lr=0.3,
        momentum=0.9,
        weight_decay=1e-5,
        mmd_widths=(0.25, 0.5, 1.0),
        likelihood_widths=(0.4, 0.6, 0.8, 1.2, 1.6, 2.4, 4.0),
        threshold=0.001,
        validation_size=0.1,
        patience=100,
        warm_start=False,
        random_state=0,
        device="cpu",
    ):
        self.n_components = n_components
        self.structure = structure
        self.objective = objective
        self.init = init
        self.t1 = t1
        self.t2 = t2
        self.min_updates = min_updates
        self.batch_size = batch_size
        self.batch_share = batch_share
        self.n_samples = n_samples
        self.n_final_samples = n_final_samples
        self.memory = memory
        self.optimizer = optimizer
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.mmd_widths = mmd_widths
        self.likelihood_widths = likelihood_widths
        self.threshold = threshold
        self.validation_size = validation_size
        self.patience = patience
        self.warm_start = warm_start
        self.random_state = random_state
        self.device = device

    def fit(self, X, y=None, init_labels=None, checkpoint=None, progress=None, callbacks=()):
        """Train on X.

        Parameters
        ----------
        X : array or tensor of float, shape (n, p); memory map; DataLoader or iterator of blocks
            Of a memory map only the rows of the moment are in memory. Blocks are written to a
            temporary file first.
        y : array of int, shape (n,), optional
            Known components of some points, -1 for the others. Labelled points start in their
            component and stay there; they reach the other points through the networks only. A `y`
            without any -1 is ignored, as scikit-learn's clusterers do: pipelines hand the labels
            of a whole data set to every step, and clustering must not see them. (So classes must
            not be named -1.)
        init_labels : array of int, shape (n,), optional
            Initial hard clusters in 0..K-1, instead of `init`.
        checkpoint : path, optional
            Where to keep the state of the training; an interrupted one goes on from there to the
            same result.
        progress : callable, optional
            Called as ``progress(done, total, text)``.
        callbacks : sequence of callable
            Each is called with a :class:`mixnet_core.fitting.Step` after every epoch and iteration;
            one that returns True ends the training there.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For settings or data out of range, with the name, what it was and what it must be.
        """
        check_settings(self)
        given = {"y": y, "init_labels": init_labels}
        y, init_labels = (None if v is None else as_matrix(v) for v in given.values())
        options = y, init_labels, checkpoint, progress, tuple(callbacks or ())
        if not is_loader(X):
            return self._fit(X, *options)
        if any(v is not None for v in given.values()) and shuffles(X):
            raise ValueError(
                "X must not be shuffled where y or init_labels is given: its rows would not be "
                "those of the labels; got a DataLoader with shuffle=True or another sampler"
            )
        with Spool(X) as rows:
            return self._fit(rows, *options)

    def _fit(self, X, y, init_labels, checkpoint, progress, callbacks):
        warm = self.warm_start and hasattr(self, "samples_")
        k = self.n_components
        X = self._checked(X, minimum=2, reset=not warm)
        if len(X) <= k:
            raise ValueError(f"X needs more rows than n_components={k}; got n_samples = {len(X)}")
        known = check_partial_labels(y, len(X), k)
        seed = self._seed()
        weights = streams(seed, 2)[1]
        if warm:
            bank, priors = self._copied_bank(), self.priors_.to(self.device)
            points = Points(X, self.box_, self.device)
            start = self._posterior(points)[0].argmax(1)
            if init_labels is not None:
                raise ValueError("init_labels must be None where warm_start goes on from a fit")
        else:
            # A structure that does not fit the data is found before the start is computed.
            bank = make_bank(self.structure, k, X.shape[1], weights).to(self.device)
            priors = None
            box = Box.around(X)
            if init_labels is None:
                start = self._initial_clusters(X, seed)
            else:
                start = check_labels(init_labels, len(X), k)
            points = Points(X, box, self.device)
        if (known != UNLABELLED).any():
            names = match_names(start, known, k)
            start = np.where(known == UNLABELLED, names[start], known)
            if warm:  # networks keep what they have learnt, under the number of its label
                old = torch.from_numpy(names.argsort()).to(self.device)
                priors = priors[old]
                for t in bank.tensors():
                    t.copy_(t[old])
        self.seed_ = seed
        fitting = Fitting(
            self,
            points,
            bank,
            torch.from_numpy(start),
            torch.from_numpy(known),
            priors,
            checkpoint,
            progress,
            callbacks,
        )
        fitting.run()
        return self

    def fit_predict(self, X, y=None, **options) -> np.ndarray:
        """:meth:`fit`, then `labels_`; known labels and options as there."""
        return self.fit(X, y, **options).labels_

    def predict(self, X) -> np.ndarray:
        """Component of highest membership of each row of X, shape (n,) (eq. 5)."""
        return self.predict_proba(X).argmax(1)

    def predict_proba(self, X) -> np.ndarray:
        """Memberships m_ij of eq. 5, shape (n, K)."""
        return self._posterior(self._points(X))[0]

    def score_samples(self, X) -> np.ndarray:
        """Log density of each row of X in nats, shape (n,), normalised in the units of X.

        It is `log_likelihood_` plus p log(0.9 / span), the change of volume from the box.
        """
        points = self._points(X)
        volume = points.n_features * np.log(self.box_.scale)
        return self._posterior(points)[1] + np.float32(volume)

    def score(self, X, y=None) -> float:
        """Mean of :meth:`score_samples`."""
        return float(self.score_samples(X).mean(dtype=np.float64))

    def sample(self, n_samples=1, component=None, random_state=None):
        """Draw points, from components chosen by the priors or from one chosen by hand (§3.1).

        Parameters
        ----------
        n_samples : int
        component : int, optional
        random_state : int, optional
            The model's own if None: the same points at every call.

        Returns
        -------
        X : ndarray, shape (n_samples, p)
            In the units of the training data; float32 where they were, else float64.
        components : ndarray of int64, shape (n_samples,)
        """
        check_is_fitted(self, "bank_")
        if n_samples < 1:
            raise ValueError(f"n_samples must be at least 1; got {n_samples!r}")
        g = torch.Generator().manual_seed(self.seed_ if random_state is None else int(random_state))
        if component is None:
            components = torch.multinomial(
                self.priors_.cpu(), n_samples, replacement=True, generator=g
            )
        else:
            components = torch.full((n_samples,), self._checked_component(component))
        z = self.bank_.draw_inputs(n_samples, generator=g)
        out = np.empty((n_samples, self.bank_.n_outputs), dtype=self.box_.low.dtype)
        for j in components.unique().tolist():
            rows = components == j
            out[rows.numpy()] = self.generate(z[rows], j)
        return out, components.numpy()

    def generate(self, z, component: int) -> np.ndarray:
        """Outputs of one network for given inputs, in the units of the training data.

        Parameters
        ----------
        z : array or tensor, shape (n, n_inputs)
            The networks were trained on inputs uniform in [-1, 1] (§4).
        component : int

        Returns
        -------
        ndarray of float32, shape (n, p)
        """
        check_is_fitted(self, "bank_")
        j = self._checked_component(component)
        z = torch.from_numpy(np.ascontiguousarray(as_matrix(z), dtype=np.float32))
        if z.dim() != 2 or z.shape[1] != self.bank_.n_inputs:
            raise ValueError(f"z must have shape (n, {self.bank_.n_inputs}); got {tuple(z.shape)}")
        one = [t[j : j + 1] for t in self.bank_.tensors()]
        with torch.no_grad():
            out = self.bank_.run(one, z.unsqueeze(0).to(one[0].device))[0]
        return self.box_.back(out.cpu().numpy())

    def interpolate(self, component: int, z0, z1, n: int = 10) -> np.ndarray:
        """Outputs of one network on the straight line between two inputs (Figures 2b and 3).

        Parameters
        ----------
        component : int
        z0, z1 : array, shape (n_inputs,)
        n : int
            Points on the line, both ends included; at least 2.

        Returns
        -------
        ndarray of float32, shape (n, p)
        """
        if n < 2:
            raise ValueError(f"n must be at least 2, the two ends; got {n!r}")
        z0, z1 = (torch.from_numpy(np.array(as_matrix(z), dtype=np.float32)) for z in (z0, z1))
        if z0.dim() != 1 or z0.shape != z1.shape:
            raise ValueError(
                f"z0 and z1 must be vectors of one length; got shapes {tuple(z0.shape)} and "
                f"{tuple(z1.shape)}"
            )
        return self.generate(torch.lerp(z0, z1, torch.linspace(0, 1, n).unsqueeze(1)), component)

    def save(self, path) -> None:
        """Write settings, networks and curves to one file that :meth:`load` reads without pickle.

        Of a structure that is a module or function, the weights and buffers are written; it must
        be given again to :meth:`load`, as must an objective that is a function. A clusterer given
        as `init` is not kept. `labels_` and `log_likelihood_` are not either: :meth:`predict` and
        :meth:`score_samples` give them again.
        """
        check_is_fitted(self, "bank_")
        save_mixture(self, path)

    @classmethod
    def load(cls, path, **given):
        """Read what :meth:`save` wrote.

        Parameters
        ----------
        path : path
        **given
            Settings that replace those of the file: ``device``, and those that a file cannot hold,
            a module or function as ``structure``, a function as ``objective``.

        Raises
        ------
        FileNotFoundError
            If there is no file.
        ValueError
            For a foreign, damaged or later file, and where a setting must be given again.
        """
        return load_mixture(cls, path, given)

    def _seed(self) -> int:
        """A seed from `random_state`, which may be None, an int or a generator of numpy's."""
        if self.random_state is None:
            return int(np.random.SeedSequence().generate_state(1)[0])
        if isinstance(self.random_state, np.random.RandomState):
            return int(self.random_state.randint(2**31))
        if isinstance(self.random_state, Integral) and self.random_state >= 0:
            return int(self.random_state)
        raise ValueError(
            "random_state must be a whole number of 0 or more, None or a numpy RandomState; got "
            f"{self.random_state!r}"
        )

    def _copied_bank(self):
        """The networks, to be trained on; ValueError if settings ask for others."""
        bank = make_bank(self.structure, self.n_components, self.n_features_in_, torch.Generator())
        new, old = ([t.shape for t in b.tensors()] for b in (bank, self.bank_))
        if new != old:
            raise ValueError(
                "structure and n_components must stay as they were with warm_start=True; got "
                f"{self.structure!r} and {self.n_components}"
            )
        return copy.deepcopy(self.bank_).to(self.device)

    def _initial_clusters(self, X, seed: int) -> np.ndarray:
        """Labels of the initial clustering; where X is on disk, found on a random part of it."""
        k = self.n_components
        start = KMeans(k, n_init=10, random_state=seed) if self.init is None else clone(self.init)
        if on_disk(X) and len(X) > START_ROWS:
            if not hasattr(start, "predict"):
                raise ValueError(
                    f"init must have predict where X is on disk; {type(start).__name__} has not"
                )
            rows = np.sort(np.random.default_rng(seed).choice(len(X), START_ROWS, replace=False))
            start.fit(np.array(X[rows]))
            parts = np.array_split(np.arange(len(X)), -(-len(X) // START_ROWS))
            found = np.concatenate([start.predict(np.array(X[part])) for part in parts])
        else:
            found = start.fit_predict(np.ascontiguousarray(X))
        if found.min() < 0:  # DBSCAN and its like leave noise out: a cluster of its own
            found = np.where(found < 0, found.max() + 1, found)
        if found.max() >= k:
            raise ValueError(
                f"init must find at most n_components={k} clusters; "
                f"{type(start).__name__} found {found.max() + 1}"
            )
        return found.astype(np.int64)

    def _checked(self, X, minimum: int, reset: bool) -> np.ndarray:
        """X as a finite matrix of floats; one on disk stays there, whatever its numbers are."""
        X = as_matrix(X)
        if is_loader(X):
            raise ValueError("X must be a matrix here; got a loader or iterator, which fit takes")
        if not on_disk(X):
            return validate_data(
                self,
                X,
                dtype=["float64", "float32"],
                ensure_min_samples=minimum,
                reset=reset,
            )
        if X.ndim != 2 or X.dtype.kind not in "fiub" or len(X) < minimum:
            raise ValueError(
                f"X must be a matrix of numbers with at least {minimum} rows; got shape {X.shape}, "
                f"dtype {X.dtype}"
            )
        if not all(np.isfinite(block).all() for block in blocks(X)):
            raise ValueError("X must be finite; it has NaN or infinite values")
        validate_data(self, np.asarray(X[:minimum]), dtype=None, reset=reset)
        return X

    def _points(self, X) -> Points:
        check_is_fitted(self, "bank_")
        return Points(self._checked(X, 1, reset=False), self.box_, self.samples_.device)

    def _posterior(self, points: Points) -> tuple[np.ndarray, np.ndarray]:
        """Memberships (n, K) and log densities (n,) under the stored samples of the networks."""
        shares, density = [], []
        for x in points.blocks():
            log_lik = log_likelihood(x, self.samples_, self.width_)
            if not bool(log_lik.isfinite().all()):
                raise ValueError(
                    "X must lie within the range of float32 around the training data; it has "
                    "points so far away that their likelihood overflows"
                )
            shares.append(memberships(log_lik, self.priors_).cpu().numpy())
            density.append(mixture_log_likelihood(log_lik, self.priors_).cpu().numpy())
        return np.concatenate(shares), np.concatenate(density)

    def _checked_component(self, component) -> int:
        if not 0 <= component < self.n_components or component != int(component):
            raise ValueError(f"component must be in 0..{self.n_components - 1}; got {component}")
        return int(component)
