# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What did the networks of one run learn?
#
# Which class does each cluster hold, what does its network generate, what does a walk through its
# latent space change, and which points lie between two clusters? Loads the model that a run saved
# and looks. Models lie in `artifacts/` (or `MIXNET_ARTIFACTS`), which is not tracked:
# where the one asked for is not there, a message says which command makes it, and the cells after
# it do nothing. `exported` may be a file of `mixnet export` instead. Nothing is written. These
# lines say which run, and which of its clusters:

# %%
dataset, method, seed, fast, cluster = "digits", "mixnet", 0, False, 3
exported = ""

# %%
from itertools import zip_longest

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display

from benchmarks import results
from benchmarks.report import reading

pd.set_option("display.float_format", "{:.2f}".format)
BLUE, ORANGE = "#0072B2", "#E69F00"

folder = reading.results_folder()
run = reading.saved_run(folder, dataset, method, seed, fast, exported)
data = reading.dataset(dataset) if run else None
if run:
    model = run.model
    print(f"{run.node}: {model.n_components} networks {model.structure}")
    if cluster not in range(model.n_components):
        print(f"cluster is {cluster}, needs one of 0 to {model.n_components - 1}; 0 is shown")
        cluster = 0


# %% [markdown]
# The mixture generates what it was trained on: the codes of an autoencoder, or points themselves.
# `decoded` gives points of the dataset. Images are shown upright, whichever way the file stores
# their pixels; points of a plane in it; of other data each point is a strip of its features.


# %%
def coded(points):
    """Points as the model sees them."""
    return points if run.autoencoder is None else run.autoencoder.transform(points)


def decoded(rows):
    """Points of the dataset from what the model generates."""
    return rows if run.autoencoder is None else run.autoencoder.inverse_transform(rows)


def show(axis, point, title=None):
    """Draw one point of the dataset into an axis."""
    image = run.node.data.get("image")
    if image:
        picture = point.reshape((image["height"], image["width"]), order=image["order"])
        axis.imshow(picture, cmap="gray", vmin=0, vmax=1)
    elif len(point) == 2:
        axis.plot(*point, "o", color=ORANGE)
        axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    else:
        axis.imshow(point[None], cmap="gray", aspect="auto")
    axis.set(xticks=[], yticks=[])
    if title is not None:
        axis.set_title(title, fontsize="small")


def sheet(points, columns, names=(), titles=None, heading=None, scale=0.62):
    """Draw points in rows of so many, with a name a row; those of a plane into one picture."""
    rows = [points[i : i + columns] for i in range(0, len(points), columns)]
    if points.shape[1] == 2:
        figure, axis = plt.subplots(figsize=(4.5, 3.5), layout="constrained")
        if data is not None:
            axis.plot(*data.X[::4].T, ".", color="0.85", markersize=2)
        for name, row in zip_longest(names, rows):
            axis.plot(*row.T, ".", label=name)
        if names:
            axis.legend(frameon=False)
        axis.set(aspect="equal")
    else:
        size = scale * columns + 0.4, scale * len(rows) * (1.45 if titles else 1) + 0.2
        figure, axes = plt.subplots(len(rows), columns, squeeze=False, layout="constrained",
                                    figsize=size)
        for axis in axes.flat[len(points):]:
            axis.axis("off")
        for i, point in enumerate(points):
            show(axes.flat[i], point, titles[i] if titles else None)
        for name, axis in zip(names, axes[:, 0], strict=False):
            axis.set_ylabel(name, rotation=0, ha="right", va="center")
    if heading:
        figure.suptitle(heading, fontsize="medium")
    plt.show()


# %% [markdown]
# ## Labels, priors and history
#
# Labels come from eq. 5: the network under which a point has the highest membership. A prior is the
# share of the points that a network stands for. `class` is the largest class of a cluster and
# `share` its part; classes describe here and chose nothing.

# %%
if run and data is not None:
    X = coded(data.X)
    memberships = model.predict_proba(X)
    labels = memberships.argmax(1)
    counts = pd.crosstab(data.y, labels).to_numpy()
    found = np.unique(labels)
    overview = pd.DataFrame({"prior": model.priors_.numpy(),
                             "points": np.bincount(labels, minlength=model.n_components)})
    overview.loc[found, "class"] = np.unique(data.y)[counts.argmax(0)].astype(str)
    overview.loc[found, "share"] = counts.max(0) / counts.sum(0)
    display(overview.rename_axis("cluster").astype(object).fillna("").T)
    print(f"purity {100 * counts.max(0).sum() / len(labels):.2f}%")
    if run.record:
        recorded = results.labels({**run.record, **run.record["cell"]}, folder)
        print(f"purity of the record {run.record['metrics'].get('purity', np.nan):.2f}%, "
              f"{(recorded == labels).mean():.2%} of its labels as here")

# %% [markdown]
# `heldout` is the mean log-likelihood of points that no network was trained on, `mmd` the objective
# (eq. 9), `changed` the share of points with a new label. Iteration 0 is the end of Algorithm 1.

# %%
if run:
    figure, axes = plt.subplots(1, 4, figsize=(11, 2.4), layout="constrained")
    for axis, name in zip(axes, ("heldout", "mmd", "changed"), strict=False):
        axis.plot(model.history_[name], color=BLUE)
        axis.set_title(name)
    axes[3].plot(model.history_["priors"], linewidth=1)
    axes[3].set_title("priors")
    for axis in axes:
        axis.set_xlabel("iteration of Algorithm 2")
    plt.show()

# %% [markdown]
# ## Samples
#
# A row of the first sheet is a cluster; below are more of the chosen one. A network maps uniform
# inputs to points; none of these is picked by hand.

# %%
if run:
    drawn = [model.sample(10, component=k, random_state=1)[0] for k in range(model.n_components)]
    sheet(decoded(np.concatenate(drawn)), 10, names=range(model.n_components))

# %%
if run:
    samples, _ = model.sample(36, component=cluster, random_state=2)
    sheet(decoded(samples), 12, heading=f"cluster {cluster}")

# %% [markdown]
# ## A walk through the latent space
#
# The network of one cluster along a straight line between two random inputs, four times; then along
# single coordinates of its input from −1 to 1, the others 0.

# %%
if run:
    rng = np.random.default_rng(3)
    ends = rng.uniform(-1, 1, (4, 2, model.bank_.n_inputs))
    walks = [model.interpolate(cluster, start, end, n=12) for start, end in ends]
    sheet(decoded(np.concatenate(walks)), 12, heading=f"cluster {cluster}: straight lines")

    n_walked = min(6, model.bank_.n_inputs)
    inputs = np.zeros((n_walked, 12, model.bank_.n_inputs))
    for i in range(n_walked):
        inputs[i, :, i] = np.linspace(-1, 1, 12)
    points = model.generate(inputs.reshape(-1, model.bank_.n_inputs), cluster)
    sheet(decoded(points), 12, heading=f"cluster {cluster}: single coordinates",
          names=[f"$z_{{{i}}}$" for i in range(n_walked)])


# %% [markdown]
# ## Memberships
#
# First some points, at random: how much of each belongs to each network. Then the most ambiguous
# ones, whose highest membership is smallest; over each stand the two clusters that it lies between.


# %%
def show_memberships(rows):
    """Points above, their memberships in the networks below."""
    figure = plt.figure(figsize=(0.62 * len(rows) + 1, 3.6), layout="constrained")
    grid = figure.add_gridspec(2, len(rows), height_ratios=(1, 3))
    for i, row in enumerate(rows):
        show(figure.add_subplot(grid[0, i]), data.X[row])
        axis = figure.add_subplot(grid[1, i])
        axis.barh(range(model.n_components), memberships[row], color=BLUE)
        axis.set(xlim=(0, 1), ylim=(model.n_components - 0.5, -0.5), xticks=[0, 1], yticks=[])
        if i == 0:
            axis.set_yticks(range(model.n_components))
            axis.set_ylabel("network")
    plt.show()


if run and data is not None:
    show_memberships(np.sort(np.random.default_rng(4).choice(len(X), 12, replace=False)))
    top = memberships.max(1)
    print(f"highest membership above 0.99: {(top > 0.99).mean():.1%} of the points, "
          f"below 0.6: {(top < 0.6).mean():.1%}")

# %%
if run and data is not None:
    ambiguous = np.argsort(top, kind="stable")[:24]
    two = np.argsort(memberships[ambiguous], axis=1)[:, ::-1][:, :2]
    titles = [f"{a}: {memberships[row, a]:.2f}\n{b}: {memberships[row, b]:.2f}"
              for row, (a, b) in zip(ambiguous, two, strict=True)]
    sheet(data.X[ambiguous], 12, titles=titles, scale=0.75)

# %% [markdown]
# Points of the chosen cluster, from the most to the least likely under the mixture (log density in
# nats, in the units of what the model was trained on).

# %%
if run and data is not None:
    members = np.flatnonzero(labels == cluster)
    if len(members):
        density = model.score_samples(X[members])
        order = np.argsort(-density, kind="stable")
        rows = order[np.linspace(0, len(order) - 1, min(12, len(order))).astype(int)]
        titles = [f"{value:.1f}" for value in density[rows]]
        sheet(data.X[members[rows]], 12, titles=titles, scale=0.75)
    else:
        print(f"cluster {cluster} has no points")
