"""The mixture of networks as an estimator (paper §3), and its two recipes."""

import copy

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClusterMixin, DensityMixin
from sklearn.utils.validation import check_is_fitted

from mixnet_core.data import checks
from mixnet_core.data.loaders import as_matrix, as_rows
from mixnet_core.training import recipes
from mixnet_core.training.prepare import prepare


def _of_fitted(*names: str) -> list[property]:
    return [property(lambda self, name=name: getattr(self.fitted_, name)) for name in names]


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
        Initial clustering: a scikit-learn clusterer, of which a copy is fitted. If None, k-means
        (best of ten starts, §3.1); before a linear stage, that or a spectral partition, whichever
        makes held-out points likelier. ``fit`` takes labels instead.
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
        self.n_components, self.structure, self.recipe = n_components, structure, recipe
        self.objective, self.init, self.units = objective, init, units
        self.output, self.last_layer, self.kernel = output, last_layer, kernel
        self.likelihood_widths, self.mmd_widths = likelihood_widths, mmd_widths
        self.t1, self.min_updates, self.t2 = t1, min_updates, t2
        self.patience, self.keep, self.schedule = patience, keep, schedule
        self.cuts, self.revive = cuts, revive
        self.batch_size, self.batch_share = batch_size, batch_share
        self.n_samples, self.n_final_samples, self.memory = n_samples, n_final_samples, memory
        self.optimizer, self.lr = optimizer, lr
        self.momentum, self.weight_decay = momentum, weight_decay
        self.order, self.prior_floor, self.threshold = order, prior_floor, threshold
        self.linear_stage, self.local_scale = linear_stage, local_scale
        self.batches, self.updates, self.n_generated = batches, updates, n_generated
        self.draws, self.smoothing = draws, smoothing
        self.validation_size, self.warm_start = validation_size, warm_start
        self.random_state, self.device = random_state, device

    labels_, log_likelihood_ = _of_fitted("labels", "log_likelihood")
    bank_, priors_, samples_ = _of_fitted("bank", "priors", "samples")
    widths_, scale_ = _of_fitted("widths", "data_scale")
    history_, snapshots_, values_ = _of_fitted("history", "snapshots", "values")
    converged_, n_iter_, seed_ = _of_fitted("converged", "n_iter", "seed")

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
        given = self.get_params(deep=False)
        settings = recipes.resolve(given)
        y, init_labels = as_matrix(y, "y"), as_matrix(init_labels, "init_labels")
        told = dict(checkpoint=checkpoint, progress=progress, callbacks=tuple(callbacks or ()))
        earlier = self.fitted_ if self.warm_start and hasattr(self, "fitted_") else None
        labelled = y is not None or init_labels is not None
        checked = copy.copy(self)  # a fit that fails leaves no trace
        with checks.own_torch_modes(), as_rows(X, labelled) as rows:
            rows = checks.check_rows(checked, rows, minimum=2, reset=earlier is None)
            session = prepare(given, settings, rows, y, init_labels, earlier, **told)
            fitted = session.run()  # Algorithms 1 and 2: mixnet_core.em.train
        vars(self).pop("feature_names_in_", None)
        vars(self).update({n: v for n, v in vars(checked).items() if n.endswith("_in_")})
        self.fitted_ = fitted
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
        seed = self.seed_ if random_state is None else checks.check_seed(random_state)
        j = None if component is None else self._checked_component(component)
        return self.fitted_.sample(n_samples, j, torch.Generator().manual_seed(seed))

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
        n_inputs, j = self.fitted_.bank.n_inputs, self._checked_component(component)
        z = torch.from_numpy(np.ascontiguousarray(as_matrix(z, "z"), dtype=np.float32))
        if z.dim() != 2 or z.shape[1] != n_inputs:
            raise ValueError(f"z must have shape (n, {n_inputs}); got {tuple(z.shape)}")
        return self.fitted_.generate(z, j)

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

    def _posterior(self, X) -> tuple[np.ndarray, np.ndarray]:
        check_is_fitted(self)
        X = checks.check_rows(self, X, minimum=1, reset=False)
        with checks.own_torch_modes(), torch.no_grad():
            return self.fitted_.posterior(self.fitted_.points(X))

    def _checked_component(self, component) -> int:
        k = self.fitted_.bank.n_components
        if not 0 <= component < k or component != int(component):
            raise ValueError(f"component must be in 0..{k - 1}; got {component}")
        return int(component)
