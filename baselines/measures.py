"""Measures of samples besides the Parzen window: what a naive sampler cannot win so easily.

The Parzen score rewards blur: k-means centroids beat real images (Theis et al. 2016). These ask in
other ways whether samples and test images have one distribution, and whether samples are copies.
Samples of that distribution have, in the mean:

* ``mmd2`` 0 (either sign), ``density`` 1, ``coverage`` 1 - 2^-k;
* ``nn_accuracy``, ``classifier_accuracy`` 1/2 (above: told apart; below: copies of test images);
* ``training_distance_ratio`` 1, ``training_distance_share`` 0.01.

No one of them suffices; the distance from the row of test images counts. Blur takes density far
above 1, raises coverage too, and pulls the halves of ``nn_accuracy`` apart (samples near 1, test
images below 1/2), so show both; mmd2 and the classifier find it out. Copies of training images have
distance 0, share 1, and all else as real images; blurred images are closer to them as well.

All compare pixels in [0, 1] by Euclidean distance. Every constant is ours: no published protocol
has these measures on the pixels of MNIST.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from torch import Tensor

from .generative.model import check_number, check_unit
from .generative.training import streams
from .tiles import Counts, Kernel, Nearest, sweep, tensor

MULTIPLES = (0.5, 1.0, 2.0)  # widths of the kernel, in median distances among training images
MEDIAN_OF = 2000  # training images, evenly spaced, between which that median is taken
K = 5  # nearest neighbours: the choice of Naeem et al.
COMPONENTS = 50  # principal components that the classifier sees
QUANTILE = 0.01  # of the test images' distances to training images: who is closer is suspect


def measures(samples, test, training, random_state: int = 0, *, device="cpu") -> dict[str, float]:
    """All measures of samples (n, d) against test (m, d) and training images (l, d).

    Where n and m differ, as many of the larger set are drawn as the smaller one has. Several sets
    of samples are quicker by one :class:`Reference`, which also says the errors raised.
    """
    samples, test = _pair(samples, test, "test")
    draw = _streams(random_state)[0]
    test = _drawn(test, min(len(samples), len(test)), draw)
    return Reference(test, training, device=device).measures(samples, random_state)


def measures_of_test_images(
    test, training, random_state: int = 0, *, device="cpu"
) -> dict[str, float]:
    """The reference row: a random half of the test images, as samples, against the other half."""
    test = check_unit("test", test, minimum=4)
    half = len(test) // 2
    order = torch.randperm(len(test), generator=_streams(random_state)[0]).numpy()
    reference = Reference(test[order[half : 2 * half]], training, device=device)
    return reference.measures(test[order[:half]], random_state)


class Reference:
    """Real images to measure samples against, and what of the measures needs no samples.

    Parameters
    ----------
    test : array of float, shape (m, d), in [0, 1]; m > k
    training : array of float, shape (l, d), in [0, 1]
    widths : sequence of float, optional
        Of the kernel of :func:`mmd2`. None: :func:`kernel_widths` of `training`.
    k : int
        Neighbours, of :func:`density_coverage`.
    device : str or torch.device
        Where distances are computed; the classifier is scikit-learn's.

    Raises
    ------
    ValueError
        If images or settings are not as said, or all test images are training images.
    """

    def __init__(self, test, training, *, widths=None, k: int = K, device="cpu"):
        training, test = _pair(training, test, "test", first="training")
        _check_k(k, test, "test")
        self.widths = kernel_widths(training) if widths is None else _numbers("widths", widths)
        self.k, self.device = k, device
        self._images, self._training = test, tensor(training, device)
        self._test = tensor(test, device)
        self._kernel, self._balls = Kernel(self.widths), Nearest(self._test, k)
        sweep(self._test, self._test, self._kernel, self._balls)
        self._of_test = _to_training(test, self._training)
        _check_apart(self._of_test)

    def measures(self, samples, random_state: int = 0) -> dict[str, float]:
        """All measures of samples (n, d), of which m are drawn: sets of one size are compared.

        Raises ValueError on samples that are fewer than the m test images, not in [0, 1] or of
        other dimensions, or a random_state below 0.
        """
        y, (m, d) = self._test, self._images.shape
        samples = check_unit("samples", samples, d)
        if len(samples) < m:
            raise ValueError(f"samples must be at least as many as test, {m}; got {len(samples)}")
        draw, split = _streams(random_state)
        samples = _drawn(samples, m, draw)
        x = tensor(samples, self.device)
        within, across = Kernel(self.widths), Kernel(self.widths)
        own, other, others = Nearest(x), Nearest(x), Nearest(y, axis=0)
        counts = Counts(self._balls, y)
        sweep(x, x, within, own)
        sweep(x, y, across, other, others, counts)
        density, coverage = _density_coverage(counts, m, self.k)
        return {
            "mmd2": _mmd2(within, self._kernel, across, m, m),
            "density": density,
            "coverage": coverage,
            **_nn_accuracy(x, y, own, self._balls, other, others),
            "classifier_accuracy": _classifier_accuracy(samples, self._images, split),
            **_closeness(_to_training(samples, self._training), self._of_test),
        }


# ---- one by one ---------------------------------------------------------------------------------


def kernel_widths(training, multiples: Sequence[float] = MULTIPLES) -> tuple[float, ...]:
    """Multiples of the median distance of all pairs of ``MEDIAN_OF`` evenly spaced training images.

    Raises ValueError on images not in [0, 1], multiples not above 0, or images that do not differ.
    """
    training = check_unit("training", training)
    multiples = _numbers("multiples", multiples)
    rows = np.linspace(0, len(training) - 1, min(len(training), MEDIAN_OF)).astype(int)
    median = float(np.median(pdist(training[rows])))
    if not median > 0:
        raise ValueError("training must be images that differ; got a median distance of 0")
    return tuple(multiple * median for multiple in multiples)


def mmd2(samples, reference, widths: Sequence[float], *, device="cpu") -> float:
    """Unbiased estimate of the squared maximum mean discrepancy (Gretton et al. 2012, eq. 3).

    Σ_{i≠j} k(x_i, x_j) / n(n-1) + Σ_{i≠j} k(y_i, y_j) / m(m-1) - 2 Σ_ij k(x_i, y_j) / nm for the
    samples x (n, d) and the reference y (m, d), n, m >= 2. k is the mean over `widths` of the
    kernels exp(-|x - y|² / 2 width²): figures compare where the widths are the same.

    Raises ValueError on points not in [0, 1], unequal d, or widths not above 0.
    """
    samples, reference = _pair(samples, reference)
    x, y = tensor(samples, device), tensor(reference, device)
    kernels = [Kernel(_numbers("widths", widths)) for _ in range(3)]
    for kernel, (a, b) in zip(kernels, ((x, x), (y, y), (x, y)), strict=True):
        sweep(a, b, kernel)
    return _mmd2(*kernels, len(x), len(y))


def density_coverage(samples, reference, k: int = K, *, device="cpu") -> tuple[float, float]:
    """Density and coverage of samples (n, d) and reference (m, d), on pixels (Naeem et al. 2020).

    The ball of a reference image reaches to its k-th nearest other one. Density: in how many balls
    a sample lies, over k, in the mean. Coverage: the share of balls with a sample in them. The
    surface is outside, as in the published code (clovaai/generative-evaluation-prdc). Where n = m
    is large and the distribution one, they are 1 and 1 - 2^-k in the mean; more samples cover more.

    Raises ValueError on points not in [0, 1], unequal d, or k not in 1..m-1.
    """
    samples, reference = _pair(samples, reference)
    _check_k(k, reference, "reference")
    x, y = tensor(samples, device), tensor(reference, device)
    balls = Nearest(y, k)
    sweep(y, y, balls)
    counts = Counts(balls, y)
    sweep(x, y, counts)
    return _density_coverage(counts, len(x), k)


def two_sample_accuracy(
    samples, reference, random_state: int = 0, *, device="cpu"
) -> dict[str, float]:
    """Accuracy of two classifiers that tell samples from the reference (Lopez-Paz & Oquab 2017).

    Where their sizes differ, as many of the larger set are drawn as the smaller one has.

    Returns
    -------
    dict
        ``nn_accuracy``: of the label of the nearest other point of both sets, a tie counting half;
        ``nn_accuracy_samples``, ``nn_accuracy_test``: of samples and of reference points alone (Xu
        et al. 2018: the first is high where samples clump, the second where they leave out much);
        ``classifier_accuracy``: of boosted trees on principal components, both made with a random
        half of each set, on the other halves.

    Raises ValueError on points not in [0, 1], unequal d, or a random_state below 0.
    """
    samples, reference = _pair(samples, reference)
    draw, split = _streams(random_state)
    n = min(len(samples), len(reference))
    samples, reference = _drawn(samples, n, draw), _drawn(reference, n, draw)
    x, y = tensor(samples, device), tensor(reference, device)
    nearest = Nearest(x), Nearest(y), Nearest(x), Nearest(y, axis=0)
    sweep(x, x, nearest[0])
    sweep(y, y, nearest[1])
    sweep(x, y, *nearest[2:])
    accuracy = _classifier_accuracy(samples, reference, split)
    return {**_nn_accuracy(x, y, *nearest), "classifier_accuracy": accuracy}


def nearest_training_distance(samples, training, test, *, device="cpu") -> dict[str, float]:
    """How close samples (n, d) come to training images (l, d), beside test images (m, d).

    Returns
    -------
    dict
        ``training_distance``: mean distance of a sample to its nearest training image;
        ``training_distance_ratio``: that, over the same of the test images;
        ``training_distance_share``: of samples no farther than the ``QUANTILE`` of test images is.

    Raises ValueError on points not in [0, 1], unequal d, or if all test images are in `training`.
    """
    samples, training = _pair(samples, training, "training", minimum=1)
    test = check_unit("test", test, training.shape[1], minimum=1)
    training = tensor(training, device)
    of_test = _to_training(test, training)
    _check_apart(of_test)
    return _closeness(_to_training(samples, training), of_test)


# ---- formulas -----------------------------------------------------------------------------------


def _mmd2(xx: Kernel, yy: Kernel, xy: Kernel, n: int, m: int) -> float:
    return xx.total / (n * (n - 1)) + yy.total / (m * (m - 1)) - 2 * xy.total / (n * m)


def _density_coverage(counts: Counts, n: int, k: int) -> tuple[float, float]:
    return counts.inside.sum().item() / (k * n), (counts.inside > 0).double().mean().item()


def _nn_accuracy(x, y, own_x: Nearest, own_y: Nearest, x_to_y: Nearest, y_to_x: Nearest) -> dict:
    def accuracy(a, b, own, other):
        gap = other.distances(a, b) - own.distances(a, a)
        return float(((gap > 0) + (gap == 0) / 2).mean())

    of_x, of_y = accuracy(x, y, own_x, x_to_y), accuracy(y, x, own_y, y_to_x)
    both = (of_x + of_y) / 2
    return {"nn_accuracy": both, "nn_accuracy_samples": of_x, "nn_accuracy_test": of_y}


def _classifier_accuracy(samples, reference, generator: torch.Generator) -> float:
    """On a random half of two sets of n points, after training on the other half."""
    n = len(samples)
    known, held_out = np.split(torch.randperm(n, generator=generator).numpy(), [n // 2])
    seed = int(torch.randint(2**31 - 1, (), generator=generator))
    components = min(COMPONENTS, samples.shape[1], 2 * len(known))
    classifier = make_pipeline(
        PCA(components, svd_solver="covariance_eigh"),
        HistGradientBoostingClassifier(early_stopping=False, random_state=seed),
    )
    sides = np.concatenate([samples[known], reference[known]])
    classifier.fit(sides, np.repeat([0, 1], len(known)))
    sides = np.concatenate([samples[held_out], reference[held_out]])
    return float(classifier.score(sides, np.repeat([0, 1], len(held_out))))


def _to_training(points: np.ndarray, training: Tensor) -> np.ndarray:
    points = tensor(points, training.device)
    nearest = Nearest(points)
    sweep(points, training, nearest)
    return nearest.distances(points, training)


def _closeness(of_samples: np.ndarray, of_test: np.ndarray) -> dict[str, float]:
    return {
        "training_distance": float(of_samples.mean()),
        "training_distance_ratio": float(of_samples.mean() / of_test.mean()),
        "training_distance_share": float((of_samples <= np.quantile(of_test, QUANTILE)).mean()),
    }


# ---- at the door --------------------------------------------------------------------------------


def _pair(samples, other, second="reference", *, first="samples", minimum=2):
    samples = check_unit(first, samples, minimum=minimum)
    return samples, check_unit(second, other, samples.shape[1], minimum=minimum)


def _streams(random_state) -> list[torch.Generator]:
    """Of the draw from the larger set, and of the classifier."""
    check_number("random_state", random_state, whole=True)
    return streams(random_state, 2)


def _drawn(points: np.ndarray, n: int, generator: torch.Generator) -> np.ndarray:
    if n == len(points):
        return points
    return points[torch.randperm(len(points), generator=generator)[:n].numpy()]


def _check_k(k, points, name: str) -> None:
    check_number("k", k, 1, whole=True)
    if len(points) <= k:
        raise ValueError(f"{name} must have more than k = {k} points; got {len(points)}")


def _check_apart(of_test: np.ndarray) -> None:
    if not of_test.any():
        raise ValueError("test must not consist of training images alone; got distances of 0")


def _numbers(name: str, values) -> tuple[float, ...]:
    values = tuple(values) if np.iterable(values) and not isinstance(values, str) else ()
    if not values:
        raise ValueError(f"{name} must be one or more numbers above 0; got none")
    for value in values:
        check_number(f"each of {name}", value, above=True)
    return tuple(float(value) for value in values)
