"""The mixture of networks as an estimator (paper §3), and its two recipes."""

import copy

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClusterMixin, DensityMixin, clone
from sklearn.cluster import KMeans
from sklearn.utils.validation import check_is_fitted, validate_data

from mixnet_core.data import checks
from mixnet_core.data.labels import (
    UNLABELLED,
    check_partial_labels,
    held_out_count,
    match_names,
    split,
)
from mixnet_core.data.loaders import Spool, as_matrix, in_order, is_loader
from mixnet_core.data.points import LIMITS, Points, Units, blocks, on_disk
from mixnet_core.networks.registry import make_bank
from mixnet_core.training import recipes
from mixnet_core.training.fitted import streams
from mixnet_core.training.session import Session
from mixnet_core.widths import cluster_scale

START_ROWS = 200_000  # rows that the initial clustering sees where the data are on disk


def _of_fitted(name: str, doc: str) -> property:
    return property(lambda self: getattr(self.fitted_, name), doc=doc)


class MixtureOfNetworks(ClusterMixin, DensityMixin, BaseEstimator):
    """K generator networks, trained by Algorithms 1 and 2 to cluster data and to generate them.

    ``recipe="mixnet"`` is the paper as printed; ``"mixnet+"``, the default, is ours. A recipe is
    nothing but values of the parameters below: each that is None has the recipe's value, and each
    can be given by itself, which makes a ladder from one to the other. No choice sees a label.

    ================ ============== ============== ================================================
    parameter        mixnet         mixnet+        the paper
    ================ ============== ============== ================================================
    objective        "mmd"          "likelihood"   MMD² of eq. 9
    output           "sigmoid"      "linear"       sigmoid (§4)
    optimizer        "sgd"          "adam"         SGD (eqs. 3 and 7)
    batches          "rearranged"   "drawn"        rearranged (§3.1)
    order            "columns"      –              columns 1 … K (§3.1)
    threshold        0.001          –              0.001 (§3.3)
    draws            "fresh"        "fixed"        "generate S samples"
    kernel           "shared"       "covariance"   one Gaussian kernel (eq. 4)
    local_scale      False          True           none
    units            "box"          "w"            not said
    last_layer       "random"       "frame"        "initialize … randomly"
    linear_stage     False          True           none
    momentum         0.9            –              none: a departure
    memory           0.8            0              0: a departure of mixnet
    prior_floor      1              1              0: a departure
    batch_share      0.25           1              B is one number: a departure of mixnet
    smoothing        10             1              not said
    keep, patience   "best", 100    "best", 10     the last, when "saturated" (§4): a departure
    cuts, revive     0, False       1, True        none
    ================ ============== ============== ================================================

    Parameters
    ----------
    n_components : int
        K.
    structure : str, torch.nn.Module or callable
        Layer sizes such as ``"10-16-256-256-512-32"``, from random input to output; ``x`` as the
        last stands for the number of features, and ``HxWxC`` for a feature map, which makes the
        networks convolutional. A module is copied K times and drawn anew; a callable makes one
        from a ``torch.Generator``. See :func:`mixnet_core.networks.registry.make_bank`.
    recipe : {"mixnet+", "mixnet"}
        Values of every parameter that is None.
    objective : str, Objective or callable
        What a network minimises: ``"mmd"`` (eq. 9), ``"smoothed_mmd"`` (against the density of
        eq. 4), ``"likelihood"`` (of eq. 4 itself), ``"rational_quadratic"``, ``"energy"``,
        ``"sliced_wasserstein"``, ``"adversarial"``, or a function ``f(x, y, mask)``. See
        :func:`mixnet_core.objectives.registry.make_objective`.
    init : None or clusterer
        Initial clustering: a scikit-learn clusterer, of which a copy is fitted; k-means (best of
        ten starts, §3.1) if None. ``fit`` takes labels instead.
    units : {"box", "w"}
        What the networks see: the data in [0.05, 0.95]^p, or around their mean in units of w, the
        median distance within an initial cluster. Either way by one shift a feature and one scale
        for all, so that neither place nor units of the data matter.
    output : {"sigmoid", "linear"}
    last_layer : {"random", "cluster", "frame"}
        Where linear outputs start: at random; at mean and spread of the initial cluster; or in its
        principal directions, as a linear network of a third of its spread, the MLP being zero.
    linear_stage : bool
        Let EM of Gaussians of equal volume move the initial clusters first, in closed form.
    kernel : {"shared", "component", "covariance"}
        Of eq. 4: one σ, a multiple of w, for all; for each component a multiple of what is left of
        its initial cluster outside as many principal directions as the networks have inputs; or a
        full covariance each, fitted in closed form in every iteration.
    local_scale : bool
        Whether the networks give a factor of the kernel of each point, too.
    likelihood_widths : sequence of float
        Candidates for those multiples ("shared": of w / √(2p)). After Algorithm 1 the one under
        which held-out points are most likely is taken; the smallest is the floor (ours).
    mmd_widths : sequence of float
        Gaussian kernels of eq. 9, as multiples of w; MMD² is averaged over them (ours).
    t1, min_updates : int
        Epochs of Algorithm 1. Where `t1` is not given, more, until a cluster of mean size has had
        `min_updates` mini-batches (ours: small clusters have few an epoch); with both given, both
        hold.
    t2, patience : int
        Most iterations of Algorithm 2, a cap; it stops when the moving mean of the held-out
        log-likelihood has not risen for `patience` iterations (§4: "until … saturated").
    keep : {"best", "last"}
        Weights of the highest smoothed held-out likelihood, never below what Algorithm 1 left, or
        those at the end.
    schedule, cuts : {"constant", "cosine"}, int
        "cosine": the rate falls to a tenth in Algorithm 1. Where likelihood has saturated,
        Algorithm 2 goes back to its best state and on with 0.3 of the rate, `cuts` times.
    revive : bool
        A component is dead when it has less than a twentieth of the points that it started with.
        If true, the training then goes back as after saturation, and no state with a dead component
        is kept. A warning says which are dead at the end, or took over, either way.
    batch_size, batch_share : int, float
        B is `batch_size`, but in Algorithm 1 at most the mean cluster, and in Algorithm 2 at most
        this share of it: its batches are cut from one row of points, and one as large as a
        cluster would seldom hold points of one cluster only.
    batches, updates : {"rearranged", "drawn"}, int
        Mini-batches of Algorithm 2: cut from the rearranged rows and weighed by eq. 7, or drawn by
        chance in proportion to the memberships, at least `updates` a network and iteration.
    n_generated : int, optional
        Samples that a network generates for a mini-batch; B, as in the paper, where None.
    draws : {"fresh", "fixed"}
        Samples of eq. 4: new ones at every iteration, or of inputs that cover [-1, 1] evenly and
        never change, so that likelihoods are not random.
    smoothing : int
        Iterations in the moving mean of the held-out log-likelihood.
    n_samples, n_final_samples : int
        S of eq. 4 during the training, and for the final labels and every later likelihood (ours).
    memory : float
        Share of the old likelihood matrix that stays at each update: fresh samples alone would make
        it noisy, points would change sides by chance. 0 keeps nothing.
    optimizer : {"sgd", "adam"}
    lr, momentum, weight_decay : float
        α = β (where None, 0.3 for SGD and 0.001 for Adam), heavy-ball momentum (SGD only) and
        weight decay (values ours).
    order : {"columns", "random"}
        Of the networks in the rearrangement of §3.1.
    prior_floor : float
        No π_j falls below the share of so many points.
    threshold : float
        Mini-batches with a smaller membership are skipped (§3.3).
    validation_size : float or int
        Share or number of the points that no network is trained on. They get labels too.
    warm_start : bool
        If true, a second ``fit`` goes on with Algorithm 2 from the networks, priors and kernels of
        the first, for at most `t2` further iterations.
    random_state : int, RandomState or None
        None: other draws at every fit.
    device : str

    Attributes
    ----------
    fitted_ : mixnet_core.training.fitted.Fitted
        All of the fitted state as one frozen object; those below are parts of it.
    labels_ : ndarray of int64, shape (n,)
        Component of highest membership (eq. 5) of every point, held-out ones too.
    log_likelihood_ : ndarray of float64, shape (n,)
        Log density of every point in nats, in the units of X.
    bank_, priors_, samples_ : GeneratorBank, Tensor (K,), Tensor (K, S, p)
        Networks, π, and the points of each network behind every likelihood, in their own units.
    widths_, scale_ : ndarray (K,), float
        σ_j of eq. 4 and w in the units of X.
    history_ : dict of list
        ``heldout`` and ``train`` mean log-likelihood, ``mmd`` (eq. 9 between components and their
        samples, by Gaussian kernels whatever the objective), ``priors``, ``min_prior``, ``lr``,
        ``empty`` (components without a training point) and ``changed`` (share of points with a new
        label), at iteration 0 (after Algorithm 1) and each of Algorithm 2.
    snapshots_ : dict of int -> ndarray
        Labels at every tenth iteration.
    values_ : dict
        Scalars worth recording.
    converged_ : bool
        Whether held-out likelihood saturated; else T2 or a callback ended the training.
    n_iter_, n_features_in_, seed_ : int
    """

    def __init__(
        self,
        n_components=10,
        structure="10-16-64-64-x",
        recipe="mixnet+",
        objective=None,
        init=None,
        units=None,
        output=None,
        last_layer=None,
        kernel=None,
        likelihood_widths=None,
        mmd_widths=(0.25, 0.5, 1.0),
        t1=None,
        min_updates=None,
        t2=None,
        patience=None,
        keep=None,
        schedule=None,
        cuts=None,
        revive=None,
        batch_size=None,
        batch_share=None,
        n_samples=None,
        n_final_samples=None,
        memory=None,
        optimizer=None,
        lr=None,
        momentum=None,
        weight_decay=None,
        order=None,
        prior_floor=None,
        threshold=None,
        linear_stage=None,
        local_scale=None,
        batches=None,
        updates=None,
        n_generated=None,
        draws=None,
        smoothing=None,
        validation_size=0.1,
        warm_start=False,
        random_state=0,
        device="cpu",
    ):
        self.n_components = n_components
        self.structure = structure
        self.recipe = recipe
        self.objective = objective
        self.init = init
        self.units = units
        self.output = output
        self.last_layer = last_layer
        self.kernel = kernel
        self.likelihood_widths = likelihood_widths
        self.mmd_widths = mmd_widths
        self.t1 = t1
        self.min_updates = min_updates
        self.t2 = t2
        self.patience = patience
        self.keep = keep
        self.schedule = schedule
        self.cuts = cuts
        self.revive = revive
        self.batch_size = batch_size
        self.batch_share = batch_share
        self.n_samples = n_samples
        self.n_final_samples = n_final_samples
        self.memory = memory
        self.optimizer = optimizer
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.order = order
        self.prior_floor = prior_floor
        self.threshold = threshold
        self.linear_stage = linear_stage
        self.local_scale = local_scale
        self.batches = batches
        self.updates = updates
        self.n_generated = n_generated
        self.draws = draws
        self.smoothing = smoothing
        self.validation_size = validation_size
        self.warm_start = warm_start
        self.random_state = random_state
        self.device = device

    labels_ = _of_fitted("labels", "Component of every training point.")
    log_likelihood_ = _of_fitted("log_likelihood", "Log density of every training point.")
    bank_ = _of_fitted("bank", "The networks.")
    priors_ = _of_fitted("priors", "π.")
    samples_ = _of_fitted("samples", "Points of each network behind every likelihood.")
    widths_ = _of_fitted("widths", "σ_j of eq. 4 in the units of X.")
    scale_ = _of_fitted("data_scale", "w in the units of X.")
    history_ = _of_fitted("history", "Curves of the training.")
    snapshots_ = _of_fitted("snapshots", "Labels at every tenth iteration.")
    values_ = _of_fitted("values", "Scalars worth recording.")
    converged_ = _of_fitted("converged", "Whether held-out likelihood saturated.")
    n_iter_ = _of_fitted("n_iter", "Iterations of Algorithm 2.")
    seed_ = _of_fitted("seed", "Seed of the training.")

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
            Each is called with a :class:`mixnet_core.training.session.Step` after every epoch and
            iteration; one that returns True ends the training there.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For settings or data out of range, with the name, what it was and what it must be. The
            estimator then stays as it was.
        FloatingPointError
            If the training diverges.

        Warns
        -----
        ConvergenceWarning
            If T2 ended the training before likelihood saturated, or components died or took over.
        UserWarning
            If one feature has nearly all of the variance.
        """
        settings = recipes.resolve(self.get_params(deep=False))
        y, init_labels = as_matrix(y, "y"), as_matrix(init_labels, "init_labels")
        options = y, init_labels, checkpoint, progress, tuple(callbacks or ())
        with checks.own_torch_modes():
            if not is_loader(X):
                return self._fit(settings, X, *options)
            if (y is not None or init_labels is not None) and not in_order(X):
                raise ValueError(
                    "X must hand out its rows in order where y or init_labels is given: they would "
                    "not be those of the labels; got a DataLoader with shuffle=True or with a "
                    "sampler or batch_sampler of its own"
                )
            with Spool(X) as rows:
                return self._fit(settings, rows, *options)

    def _fit(self, settings, X, y, init_labels, checkpoint, progress, callbacks):
        earlier = self.fitted_ if self.warm_start and hasattr(self, "fitted_") else None
        k = settings.n_components
        checked = copy.copy(self)  # a fit that fails leaves no trace
        X = checked._checked(X, minimum=2, reset=earlier is None)
        if len(X) <= k:
            raise ValueError(f"X needs more rows than n_components={k}; got n_samples = {len(X)}")
        settings = recipes.for_data(settings, self.get_params(deep=False), X.shape[1])
        known = check_partial_labels(y, len(X), k)
        n_held_out = held_out_count(settings.validation_size, len(X), k)
        seed = checks.check_seed(self.random_state)
        splits, weights = streams(seed, 2)
        parts = split(torch.from_numpy(known != UNLABELLED), n_held_out, splits)
        # A structure that does not fit the data is found before the start is computed.
        bank = make_bank(
            settings.structure,
            k,
            X.shape[1],
            weights,
            settings.output,
            settings.last_layer == "frame",
            settings.local_scale,
        )
        checks.warn_of_lopsided(X, stacklevel=4)
        priors = None
        if earlier is None:
            units = Units.spread(X, np.sort(parts[1].numpy()))
            if init_labels is None:
                start = self._initial_clusters(X, units, seed, k)
            else:
                start = checks.check_labels(init_labels, len(X), k)
        else:
            if init_labels is not None:
                raise ValueError("init_labels must be None where warm_start goes on from a fit")
            bank, priors = self._copied_bank(bank), earlier.priors.clone()
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
            units, scale = _networks_units(settings, X, units, start, parts[1], splits)
            if bank.output == "sigmoid" and settings.units == "w":
                box, margin = Units.box(X), LIMITS[0] / (LIMITS[1] - LIMITS[0])
                span = units.scale / box.scale
                low = units.put(box.origin[None])[0] - margin * (LIMITS[1] - LIMITS[0]) * span
                bank.cover(low, span)
        fitted = Session(
            settings,
            Points(X, units, settings.device),
            bank.to(settings.device),
            start,
            known,
            seed,
            parts,
            scale,
            earlier,
            priors,
            checkpoint,
            progress,
            callbacks,
        ).run()
        vars(self).update(
            {name: v for name, v in vars(checked).items() if name in _CHECKED}, fitted_=fitted
        )
        if "feature_names_in_" not in vars(checked):
            vars(self).pop("feature_names_in_", None)
        return self

    def fit_predict(self, X, y=None, **options) -> np.ndarray:
        """:meth:`fit`, then `labels_`; known labels and options as there."""
        return self.fit(X, y, **options).labels_

    def predict(self, X) -> np.ndarray:
        """Component of highest membership of each row of X, shape (n,) (eq. 5)."""
        return self.predict_proba(X).argmax(1)

    def predict_proba(self, X) -> np.ndarray:
        """Memberships m_ij of eq. 5, shape (n, K)."""
        return self._posterior(X)[0]

    def score_samples(self, X) -> np.ndarray:
        """Log density of each row of X in nats, in the units of X, shape (n,)."""
        return self._posterior(X)[1]

    def score(self, X, y=None) -> float:
        """Mean of :meth:`score_samples`."""
        return float(self.score_samples(X).mean())

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
        check_is_fitted(self)
        checks.whole("n_samples", n_samples, 1)
        fitted = self.fitted_
        g = torch.Generator().manual_seed(
            fitted.seed if random_state is None else checks.check_seed(random_state)
        )
        if component is None:
            components = torch.multinomial(
                fitted.priors.cpu(), n_samples, replacement=True, generator=g
            )
        else:
            components = torch.full((n_samples,), self._checked_component(component))
        z = fitted.bank.draw_inputs(n_samples, generator=g)
        out = np.empty((n_samples, fitted.bank.n_outputs), dtype=fitted.units.dtype)
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
        ndarray, shape (n, p)
        """
        check_is_fitted(self)
        bank, j = self.fitted_.bank, self._checked_component(component)
        z = torch.from_numpy(np.ascontiguousarray(as_matrix(z, "z"), dtype=np.float32))
        if z.dim() != 2 or z.shape[1] != bank.n_inputs:
            raise ValueError(f"z must have shape (n, {bank.n_inputs}); got {tuple(z.shape)}")
        one = [t[j : j + 1] for t in bank.tensors()]
        with torch.no_grad():
            device = one[0].device
            out = bank.run(one, z.unsqueeze(0).to(device), torch.tensor([j], device=device))[0]
        return self.fitted_.units.back(out[:, : bank.n_outputs].cpu().numpy())

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
        ndarray, shape (n, p)
        """
        checks.require(n >= 2, "n", n, "at least 2, the two ends")
        z0, z1 = (torch.from_numpy(np.array(as_matrix(z), dtype=np.float32)) for z in (z0, z1))
        if z0.dim() != 1 or z0.shape != z1.shape:
            raise ValueError(
                f"z0 and z1 must be vectors of one length; got shapes {tuple(z0.shape)} and "
                f"{tuple(z1.shape)}"
            )
        steps = torch.linspace(0, 1, n, dtype=torch.float32)
        return self.generate(torch.lerp(z0, z1, steps.unsqueeze(1)), component)

    def save(self, path) -> None:
        """Write settings, networks and curves to one file that :meth:`load` reads without pickle.

        Of a structure that is a module or function, the weights and buffers are written; it must
        be given again to :meth:`load`, as must an objective that is a function. A clusterer given
        as `init` is not kept. `labels_` and `log_likelihood_` are not either: :meth:`predict` and
        :meth:`score_samples` give them again.
        """
        from mixnet_core.files.mixture_file import save_mixture

        check_is_fitted(self)
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
        from mixnet_core.files.mixture_file import load_mixture

        return load_mixture(cls, path, given)

    def _copied_bank(self, new):
        """The networks, to be trained on; ValueError if settings ask for others than `new` has."""
        old = self.fitted_.bank
        if [t.shape for t in new.tensors()] != [t.shape for t in old.tensors()]:
            raise ValueError(
                "structure and n_components must stay as they were with warm_start=True; got "
                f"{self.structure!r} and {self.n_components}"
            )
        return copy.deepcopy(old)

    def _initial_clusters(self, X, units: Units, seed: int, k: int) -> np.ndarray:
        """Labels of the initial clustering; where X is on disk, found on a random part of it.

        k-means sees the data in standard units, so that neither place nor units matter; a clusterer
        of the user's sees them as they are.
        """
        own = self.init is None
        start = KMeans(k, n_init=10, random_state=seed) if own else clone(self.init)

        def seen(rows):
            return units.put(X[rows]).numpy() if own else np.array(X[rows])

        if on_disk(X) and len(X) > START_ROWS:
            if not hasattr(start, "predict"):
                raise ValueError(
                    f"init must have predict where X is on disk; {type(start).__name__} has not"
                )
            rows = np.sort(np.random.default_rng(seed).choice(len(X), START_ROWS, replace=False))
            start.fit(seen(rows))
            parts = np.array_split(np.arange(len(X)), -(-len(X) // START_ROWS))
            found = np.concatenate([start.predict(seen(part)) for part in parts])
        else:
            found = start.fit_predict(seen(slice(None)))
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
        if is_loader(X):
            raise ValueError("X must be a matrix here; got a loader or iterator, which fit takes")
        X = as_matrix(X)
        if not on_disk(X):
            kinds = ["float64", "float32"]
            return validate_data(
                self, X, dtype=kinds, ensure_min_samples=minimum, reset=reset, order="C"
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

    def _posterior(self, X) -> tuple[np.ndarray, np.ndarray]:
        check_is_fitted(self)
        X = self._checked(X, minimum=1, reset=False)
        with checks.own_torch_modes(), torch.no_grad():
            return self.fitted_.posterior(self.fitted_.points(X))

    def _checked_component(self, component) -> int:
        k = self.fitted_.bank.n_components
        if not 0 <= component < k or component != int(component):
            raise ValueError(f"component must be in 0..{k - 1}; got {component}")
        return int(component)


_CHECKED = ("n_features_in_", "feature_names_in_")


def _networks_units(settings, X, units: Units, start, rows, generator) -> tuple[Units, float]:
    """What the networks see of the data, and w in it."""
    if settings.units == "box":
        units = Units.box(X)
    trained = Points(X, units).subset(rows)
    scale = cluster_scale(trained, start[rows], generator)
    return (units.times(1 / scale), 1.0) if settings.units == "w" else (units, scale)
