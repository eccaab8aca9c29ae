"""How many components: the knee of the k-means curve, and how stable that knee is.

The paper names the knee method (§3.1; §4.2.1: 12 clusters on MNIST) and "the knee stability method"
(four on Yale B), and cites Salvador & Chan, "Determining the number of clusters/segments in
hierarchical clustering/segmentation algorithms", ICTAI 2004, pp. 576-584. That is the L method: the
graph of the error against the number of clusters is cut where a straight line on either side fits
best. It sees no labels. It finds a knee in any graph but one straight line, and never less than 3,
since a line needs two points and the graph begins at 2. K separate clusters put the corner of the
k-means curve at K, close to both lines, so that small differences decide between K and K - 1.
"""

from collections import Counter
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from sklearn.cluster import KMeans
from sklearn.utils.validation import check_array

from mixnet_core.data.loaders import as_matrix
from mixnet_core.data.points import Units

MIN_POINTS = 5  # of a graph: two for each line, and two places at least to cut it
REFINED_POINTS = 20  # refinement leaves about as many (Salvador & Chan), lest noise decide
TIE = 1e-10  # errors this close, as a share of the graph's range, differ by rounding only


@dataclass(frozen=True, eq=False)
class Knee:
    """Where the L method cuts a graph, and the (slope, intercept) of its two lines."""

    n_components: int  # c, the last point of the left line
    left: tuple[float, float]  # through the points up to c
    right: tuple[float, float]  # through the points after c
    candidates: np.ndarray  # (n_points - 3,), every c at which the graph can be cut
    errors: np.ndarray  # (n_points - 3,), weighted root mean squared error of each
    cutoff: int  # the largest k of the graph


@dataclass(frozen=True, eq=False)
class Suggestion:
    """A number of components, and what it rests on: r restarts, b clusters at most."""

    n_components: int  # the most frequent iterated knee; of equally frequent ones the smallest
    stability: float  # its share of all knees, in (0, 1]
    table: dict[int, int]  # how often each knee was found, the most frequent first
    knees: np.ndarray  # (r, n_cutoffs)
    cutoffs: tuple[int, ...]  # the largest k of the graph, for each column of `knees`
    k: np.ndarray  # (b - 1,), 2..b
    graphs: np.ndarray  # (r, b - 1), within-cluster sums of squares in squared units of X
    knee: Knee  # a fit to show: one that gave `n_components`, at the largest such cutoff
    restart: int  # the row of `graphs` which that was fitted to, the first such


def evaluation_graph(X, max_components: int, n_init: int = 10, random_state: int = 0):
    """Within-cluster sum of squares of k-means for k = 2..b.

    It stands for the merge distance of Salvador & Chan. It falls with k but for local minima, so
    that their removal of the points before a maximum is not needed.

    Parameters
    ----------
    X : array of float, shape (n, d)
    max_components : int
        b, from 6 to the number of distinct points.
    n_init : int
        k-means++ starts for each k; the best is kept.
    random_state : int
        Gives each k a seed of its own; a smaller b gives the beginning of the same graph.

    Returns
    -------
    k, values : ndarrays of int64 and float64, shape (b - 1,)
        The values in squared units of X.

    Raises
    ------
    ValueError
        If X is not a finite matrix, has fewer than b distinct points, or a number is out of range.
    """
    # Sums over many points need the digits, and far from zero there would be none left.
    X = check_array(as_matrix(X), dtype="float64", ensure_min_samples=2)
    units = Units.spread(X)
    X = X - units.origin - units.shift
    _check_count("max_components", max_components, MIN_POINTS + 1)
    _check_count("n_init", n_init, 1)
    n_distinct = len(np.unique(X, axis=0))
    if max_components > n_distinct:
        raise ValueError(
            f"max_components must be at most the number of distinct points of X, {n_distinct}; "
            f"got {max_components}"
        )
    k = np.arange(2, max_components + 1)
    values = [
        KMeans(c, n_init=int(n_init), random_state=seed).fit(X).inertia_
        for c, seed in zip(k.tolist(), _seeds(random_state, len(k)), strict=True)
    ]
    return k, np.array(values)


def l_method(k, values) -> Knee:
    """The cut of a graph whose two least-squares lines have the smallest error. O(b).

    At c it is (n_L · RMSE_L + n_R · RMSE_R) / (n_L + n_R), with n_L points up to c and n_R after
    it, two at least on either side; for k = 2..b the weights are (c - 1)/(b - 1) and
    (b - c)/(b - 1) (Salvador & Chan). A corner that lies on both lines leaves two cuts equally
    good: the corner is taken, not the point before it (ours).

    Parameters
    ----------
    k : array of int, shape (n_points,)
        Numbers of clusters, rising.
    values : array of float, shape (n_points,)

    Raises
    ------
    ValueError
        If these are not five or more finite points, or are all on one straight line.
    """
    k, values = _check_graph(k, values)
    n = len(k)
    left, right = _prefix_lines(k, values), _prefix_lines(k[::-1], values[::-1])
    n_left = np.arange(2, n - 1)
    n_right = n - n_left
    errors = (np.sqrt(n_left * left[2][n_left - 1]) + np.sqrt(n_right * right[2][n_right - 1])) / n
    tolerance = TIE * np.ptp(values)
    if np.sqrt(left[2][-1] / n) <= tolerance:
        raise ValueError(f"values have no knee: the {n} points are on one straight line")
    best = int(np.flatnonzero(errors <= errors.min() + tolerance)[-1])
    lines = [
        (float(slope[count - 1]), float(intercept[count - 1]))
        for (slope, intercept, _), count in ((left, n_left[best]), (right, n_right[best]))
    ]
    candidates = k[n_left - 1]
    return Knee(int(candidates[best]), *lines, candidates, errors, int(k[-1]))


def iterated_l_method(k, values) -> list[Knee]:
    """The L method on shorter graphs, as long as the knee moves left (Salvador & Chan, fig. 5).

    A long flat tail draws the knee to the right. So the graph is cut off at twice its knee, but
    never to fewer than 20 points, and the knee is found anew.

    Parameters
    ----------
    k, values : arrays, shape (n_points,)
        As for :func:`l_method`, which also says what is raised.

    Returns
    -------
    list of Knee
        One an iteration, two at least; the last is the result.
    """
    k, values = _check_graph(k, values)
    knees, last = [l_method(k, values)], k[-1]
    while knees[-1].n_components < last:
        last = knees[-1].n_components
        n_points = max(int((k <= 2 * last).sum()), REFINED_POINTS)
        knees.append(l_method(k[:n_points], values[:n_points]))
    return knees


def suggest_n_components(
    X, max_components=50, n_restarts=10, cutoffs=None, random_state=0, n_init=10
) -> Suggestion:
    """The iterated knee found most often over restarts of k-means and lengths of the graph.

    The paper does not define its "knee stability method", and none is published under that name.
    This reading is ours: a knee is stable if it depends neither on where k-means started nor on how
    far the graph was drawn.

    Parameters
    ----------
    X, max_components, random_state, n_init
        As for :func:`evaluation_graph`. All takes n_restarts × n_init × (b - 1) runs of k-means.
    n_restarts : int
        Graphs, each from k-means starts of its own.
    cutoffs : sequence of int, optional
        Lengths b at which each graph is judged, from 6 to `max_components`; by default six, from
        half of `max_components` to the whole.

    Raises
    ------
    ValueError
        As :func:`evaluation_graph` and :func:`l_method`, or if a cutoff is out of range.
    """
    _check_count("max_components", max_components, MIN_POINTS + 1)
    _check_count("n_restarts", n_restarts, 1)
    _check_cutoffs(cutoffs, max_components)
    graphs = np.empty((n_restarts, max_components - 1))
    for r, seed in enumerate(_seeds(random_state, n_restarts)):
        k, graphs[r] = evaluation_graph(X, max_components, n_init, seed)
    return judge_graphs(k, graphs, cutoffs)


def judge_graphs(k, graphs, cutoffs=None) -> Suggestion:
    """As :func:`suggest_n_components`, from graphs that are there already.

    Parameters
    ----------
    k : array of int, shape (b - 1,)
        2..b.
    graphs : array of float, shape (n_restarts, b - 1)
    cutoffs : sequence of int, optional
    """
    k, graphs = np.asarray(k), np.asarray(graphs, dtype=np.float64)
    cutoffs = _check_cutoffs(cutoffs, int(k[-1]))
    fits = [[iterated_l_method(k[: b - 1], row[: b - 1])[-1] for b in cutoffs] for row in graphs]
    knees = np.array([[fit.n_components for fit in row] for row in fits])
    table = dict(sorted(Counter(knees.ravel().tolist()).items(), key=lambda kc: (-kc[1], kc[0])))
    best = next(iter(table))
    restart, column = min(np.argwhere(knees == best).tolist(), key=lambda rc: (-cutoffs[rc[1]], rc))
    stability, shown = table[best] / knees.size, fits[restart][column]
    return Suggestion(best, stability, table, knees, cutoffs, k, graphs, shown, restart)


def _prefix_lines(x, y):
    """Least-squares lines through the first 1, 2, … points: slope, intercept, squared residuals.

    The last are summed from recursive residuals (Brown, Durbin & Evans 1975), all of one sign;
    differences of sums of squares would lose half of the digits.
    """
    n = np.arange(1, len(x) + 1)
    u, v = (x - x[0]).astype(np.float64), y - y[0]
    mean_u, mean_v = u.cumsum() / n, v.cumsum() / n
    s_uu = (u * u).cumsum() - n * mean_u**2
    s_uu[0] = 1  # one point has no slope, and its s_uv is 0
    slope = ((u * v).cumsum() - n * mean_u * mean_v) / s_uu
    ahead = u[2:] - mean_u[1:-1]
    surprise = v[2:] - mean_v[1:-1] - slope[1:-1] * ahead
    added = surprise**2 / (1 + 1 / n[1:-1] + ahead**2 / s_uu[1:-1])
    return slope, mean_v + y[0] - slope * (mean_u + x[0]), np.append([0, 0], added.cumsum())


def _seeds(random_state, n):
    """n seeds, the first of them the same for every n."""
    _check_count("random_state", random_state, 0)
    return np.random.SeedSequence(int(random_state)).generate_state(n).tolist()


def _check_graph(k, values):
    k, values = np.asarray(k), np.asarray(values, dtype=np.float64)
    if k.ndim != 1 or k.shape != values.shape:
        raise ValueError(f"k and values must be rows of one length; got {k.shape}, {values.shape}")
    if len(k) < MIN_POINTS:
        raise ValueError(f"k and values need at least {MIN_POINTS} points; got {len(k)}")
    if k.dtype.kind not in "iu" or not (k[1:] > k[:-1]).all():
        raise ValueError(f"k must be rising integers; got {k.tolist()}")
    if not np.isfinite(values).all():
        n_bad = int((~np.isfinite(values)).sum())
        raise ValueError(f"values must be finite; {n_bad} entries are NaN or infinite")
    return k.astype(np.int64), values


def _check_cutoffs(cutoffs, largest):
    least = MIN_POINTS + 1
    if cutoffs is None:
        spaced = np.linspace(max(least, (largest + 1) // 2), largest, 6)
        return tuple(np.unique(spaced.round().astype(int)).tolist())
    cutoffs = tuple(cutoffs)
    good = all(isinstance(b, Integral) and least <= b <= largest for b in cutoffs)
    if not cutoffs or not good or len(set(cutoffs)) < len(cutoffs):
        raise ValueError(f"cutoffs must be different integers in {least}..{largest}; got {cutoffs}")
    return tuple(int(b) for b in cutoffs)


def _check_count(name, value, minimum):
    if not isinstance(value, Integral) or value < minimum:
        raise ValueError(f"{name} must be an integer of at least {minimum}; got {value!r}")
