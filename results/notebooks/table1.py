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
# # Does the mixture cluster better? Table 1, from its single runs
#
# Is the purity of the mixture of networks that of the paper, is it above that of the k-means that
# it starts from, and is it above that of the other methods? `table1.csv` is what the harness wrote;
# here it is computed again, with pandas, from the runs that it stands on, and read for an answer.
# Nothing is written.

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display
from scipy.stats import t as student

from benchmarks import results

pd.set_option("display.float_format", "{:.1f}".format, "display.max_rows", 100)
ROW = ["dataset", "method", "space"]

folder = Path(os.environ.get("MIXNET_RESULTS", ".."))  # `results/`, from its notebooks
try:
    runs, table = results.load(folder, suite="table1"), pd.read_csv(folder / "table1.csv")
except (results.NoResults, FileNotFoundError) as error:
    print(f"{error}. The command that makes it: mixnet run table1")
    ready = False
else:
    ready = True
    runs = runs[runs["status"] == "done"].rename(columns={"accuracy": "acc"})
    runs = runs.sort_values([*ROW, "seed"])
    print(f"{int(table['n_asked'].sum())} runs asked for, {len(runs)} done, "
          f"{int(runs['stale'].sum())} of them made by code that has changed since")
    display(runs[[*ROW, "seed", "purity", "acc", "nmi", "ari", "seconds"]].head(3))

# %% [markdown]
# ## The same table, computed again
#
# Means over seeds; deviations with n − 1 in the denominator. The file keeps four decimals: half a
# unit of the last is rounding. Where every seed gave the same partition the file has one run.

# %%
if ready:
    measured = {"purity_mean": ("purity", "mean"), "purity_std": ("purity", "std"),
                "acc_mean": ("acc", "mean"), "acc_std": ("acc", "std"),
                "nmi_mean": ("nmi", "mean"), "ari_mean": ("ari", "mean"),
                "seconds_mean": ("seconds", "mean")}
    columns = ["n", *measured]
    written = table.set_index(ROW)[columns]
    ours = runs.groupby(ROW).agg(n=("seed", "count"), **measured).reindex(written.index)
    ours["n"] = ours["n"].fillna(0)
    alike = table.set_index(ROW)["alike"] > 0
    ours.loc[alike, "n"] = 1
    ours.loc[alike, ["purity_std", "acc_std"]] = np.nan
    gap = (written - ours).abs()
    gap[written.isna() & ours.isna()] = 0  # neither has a deviation of a single run
    same = (gap <= 0.5001e-4).all(axis=1)
    print(f"{len(written)} rows of table1.csv, {same.sum()} of them as computed here")
    if not same.all():
        print("Differences of the others; this writes the table again: mixnet table table1")
        display(gap[~same])

# %% [markdown]
# ## Against the paper
#
# `low` and `high` bound the mean purity (95%, Student's t over seeds). `less paper` is our mean
# less the paper's, over runs of the present code, with its 95% Welch interval, and the verdict is
# that of tests adjusted for their number; it is empty where they show nothing (see `table1.md`).
# The paper has one figure a method; it stands beside the raw row of a baseline and the code row of
# `mixnet`.

# %%
def interval_of_mean(mean, std, n, confidence=0.95):
    """Lower and upper bound of a mean by Student's t; nan where one run says nothing of it."""
    half = student.ppf(0.5 + confidence / 2, n - 1) * std / np.sqrt(n) if n > 1 else np.nan
    return mean - half, mean + half


if ready:
    bounds = [interval_of_mean(row.purity_mean, row.purity_std, row.n)
              for row in table.itertuples()]
    shown = pd.DataFrame(bounds, columns=["low", "high"]).assign(
        n=table["n"].astype(str) + "/" + table["n_asked"].astype(str),
        purity=table["purity_mean"], paper=table["paper_mean"],
        **{"less paper": table["less_paper"], "from": table["less_paper_low"],
           "to": table["less_paper_high"]}, verdict=table["verdict"])
    shown.index = pd.MultiIndex.from_frame(table[ROW])
    columns = ["n", "purity", "low", "high", "paper", "less paper", "from", "to", "verdict"]
    display(shown[columns].astype(object).fillna(""))

# %% [markdown]
# ## Every seed
#
# A point is a run, small where code has changed since it was made. The black line is the paper's
# mean where it has one. Methods without chance give every seed the same partition.

# %%
COLOURS = {"raw": "#0072B2", "code": "#E69F00"}


def panels(n, height=2.9):
    """A row of n axes that share their ordinate."""
    figure, axes = plt.subplots(1, n, figsize=(2 * n + 0.6, height), sharey=True, squeeze=False,
                                layout="constrained")
    return figure, axes[0]


if ready:
    datasets = list(dict.fromkeys(table["dataset"]))
    methods = list(dict.fromkeys(table["method"]))
    figure, axes = panels(len(datasets), 3.3)
    for axis, name in zip(axes, datasets, strict=True):
        for space, shift in (("raw", -0.16), ("code", 0.16)):
            some = runs[(runs["dataset"] == name) & (runs["space"] == space)]
            x = some["method"].map(methods.index) + shift
            size = np.where(some["stale"].astype(bool), 6, 22)
            axis.scatter(x, some["purity"], size, COLOURS[space], label=space, alpha=0.7,
                         linewidths=0)
        paper = table[(table["dataset"] == name) & table["paper_mean"].notna()]
        x = paper["method"].map(methods.index)
        axis.hlines(paper["paper_mean"], x - 0.4, x + 0.4, color="black", label="paper")
        axis.set(title=name, xticks=range(len(methods)))
        axis.set_xticklabels(methods, rotation=90)
        axis.grid(axis="y", alpha=0.3)
    axes[0].set_ylabel("purity, %")
    axes[-1].legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    plt.show()

# %% [markdown]
# ## Purity beside accuracy
#
# Purity (eq. 10) gives every cluster its largest class, so that two clusters may both stand for one
# class; accuracy matches clusters and classes one to one and is never larger. Some of the paper's
# figures look like accuracies copied from elsewhere (see the notes under `table1.md`): the last
# column says which of ours the printed figure is nearer to.

# %%
if ready:
    figure, axes = panels(len(datasets), 3.1)
    for axis, name in zip(axes, datasets, strict=True):
        axis.axline((50, 50), slope=1, color="0.7", linewidth=1, label="equal")
        for row in table[table["dataset"] == name].itertuples():
            axis.plot(row.acc_mean, row.purity_mean, "osv^D*PX"[methods.index(row.method) % 8],
                      color=COLOURS[row.space], markersize=5, label=f"{row.method} ({row.space})")
        axis.set(title=name, xlabel="accuracy, %", xlim=(30, 100), ylim=(30, 100))
    axes[0].set_ylabel("purity, %")
    axes[-1].legend(loc="upper left", bbox_to_anchor=(1, 1.1), frameon=False, fontsize="x-small")
    plt.show()

    printed = table[table["paper_mean"].notna() & (table["n"] > 0)].set_index(ROW)
    gaps = pd.DataFrame({"purity": printed["purity_mean"], "accuracy": printed["acc_mean"],
                         "paper": printed["paper_mean"]})
    distances = gaps[["purity", "accuracy"]].sub(gaps["paper"], axis=0).abs()
    display(gaps.assign(nearer=distances.idxmin(axis=1)))

# %% [markdown]
# ## What wins where
#
# First the best row of each dataset by each measure, among the rows with all their runs. Then
# `mixnet` less every other method on the same codes and seeds: means of the paired differences, 95%
# intervals, and the seeds on which `mixnet` was ahead.

# %%
if ready:
    full = table[(table["n"] > 0) & (table["n"] == table["n_asked"])]
    best = {}
    for measure in ("purity", "acc", "nmi", "ari"):
        top = full.loc[full.groupby("dataset", sort=False)[f"{measure}_mean"].idxmax()]
        words = [f"{row.method} ({row.space}) {getattr(row, f'{measure}_mean'):.1f}"
                 for row in top.itertuples()]
        best[measure] = pd.Series(words, index=top["dataset"])
    display(pd.DataFrame(best))

# %%
if ready:
    rows = []
    for name in datasets:
        some = runs[(runs["dataset"] == name) & (runs["space"] == "code")]
        wide = some.pivot(index="seed", columns="method", values="purity").reindex(columns=methods)
        for other in wide.columns.drop("mixnet"):
            gap = (wide["mixnet"] - wide[other]).dropna()
            if len(gap) > 1:
                low, high = interval_of_mean(gap.mean(), gap.std(), len(gap))
                rows.append((name, other, len(gap), gap.mean(), low, high, int((gap > 0).sum())))
    columns = ["dataset", "mixnet less", "n", "mean", "low", "high", "seeds ahead"]
    display(pd.DataFrame(rows, columns=columns).set_index(columns[:2]))

# %% [markdown]
# ## Seconds
#
# Mean wall time of the method alone, and of the autoencoder whose codes it took; those are made
# once for all methods.

# %%
if ready:
    seconds = table.set_index(ROW)[["seconds_mean", "codes_seconds_mean"]].dropna(how="all")
    display(seconds.astype(object).fillna(""))
