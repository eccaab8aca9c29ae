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
# # Table 2: what the Parzen window says, and what it rewards
#
# Every model of the paper's Table 2 draws 10,000 images; Gaussians around them make a density, and
# the score is the mean log density of the MNIST test images, in nats. The width of the Gaussians is
# chosen on validation images. All of this is read from the records, and nothing is written: a row
# without a record says so.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display

from benchmarks import registry
from benchmarks.records.store import Store
from benchmarks.report import reading
from benchmarks.report.plot import COLOURS
from benchmarks.report.tables import standing
from benchmarks.run.plan import cell_state, suite_plan

pd.set_option("display.float_format", "{:.1f}".format, "display.max_rows", 100)
SUITE = "table2"  # "table2-full": trainings at full length
MODEL = ["model", "space"]

store = Store(reading.results_folder())
plan = suite_plan(SUITE, store=store, recorded=True)
asked = [node for node in plan.nodes.values() if node.requested]

# %% [markdown]
# ## The scores
#
# A row is a model and the space in which it learns. Samples of codes are decoded by an
# autoencoder; its reconstructions of training images (`training-images`, `code`) are what drawing
# codes exactly as they are would score. `se` is the standard error over test images, `std` the
# deviation over seeds, `sigma` the width; `paper` is as printed, most of it copied there from
# earlier papers.


# %%
def evaluated(method):
    """A row for every cell of an evaluation: whose samples, which seed, the values if done."""
    rows = []
    for node in (node for node in asked if node.cell["method"] == method):
        of = node.needs["samples"].cell["method"] if "samples" in node.needs else method
        row = {"model": of.removesuffix("-samples").removesuffix("-full"),
               "space": node.cell["params"]["space"], "seed": node.cell["seed"]}
        record = standing(cell_state(node, store))
        if record and record["status"] == "done":
            row |= {"record": record, "stale": record["stale"], **record["values"]}
        rows.append(row)
    return pd.DataFrame(rows)


scores = evaluated("parzen").reindex(columns=[
    *MODEL, "seed", "record", "stale", "ll", "se", "sigma", "validation", "n_samples", "n_test"])
paper = pd.DataFrame(registry.paper()["table2"]["models"]).T[["mean", "pm"]].astype(float)
rows = scores.groupby(MODEL, sort=False).agg(
    asked=("seed", "size"), n=("ll", "count"), stale=("stale", lambda marks: (marks == 1).sum()),
    ll=("ll", "mean"), std=("ll", "std"), se=("se", "mean"), sigma=("sigma", "mean"))
rows = rows.join(paper, on="model").rename(columns={"mean": "paper", "pm": "paper ±"})
rows.loc[rows.index.get_level_values("model") == "training-images", ["paper", "paper ±"]] = np.nan
rows["less paper"] = rows["ll"] - rows["paper"]
shown = rows.assign(n=[f"{row.n}/{row.asked}" if row.n else "not run yet"
                       for row in rows.itertuples()])
shown["sigma"] = rows["sigma"].map("{:.3f}".format, na_action="ignore")
display(shown.drop(columns="asked").astype(object).fillna(""))
if not rows["n"].any():
    print("No score has been recorded. The command that makes them: mixnet run table2")

# %% [markdown]
# `table2.csv` is the harness's own table of the same records.

# %%
table = reading.table(store.results / f"{SUITE}.csv", f"mixnet table {SUITE}")
if table is not None:
    written = table.set_index(MODEL)[["n", "ll_mean", "ll_se"]]
    gap = (written - rows[["n", "ll", "se"]].set_axis(written.columns, axis=1)).abs()
    same = (gap.fillna(0) <= 0.5001e-4).all(axis=1)
    print(f"{len(written)} rows of {SUITE}.csv, {same.sum()} of them as computed here")
    if not same.all():
        print(f"Differences of the others; this writes the table again: mixnet table {SUITE}")
        display(gap[~same])

# %%
figure, axis = plt.subplots(figsize=(7.5, 0.32 * len(rows) + 1), layout="constrained")
for y, row in enumerate(rows.itertuples()):
    if row.n:
        axis.errorbar(row.ll, y, xerr=2 * row.se, fmt="o", color=COLOURS[0], capsize=3,
                      label="ours, ± 2 standard errors")
    if not np.isnan(row.paper):
        axis.plot(row.paper, y, "D", color=COLOURS[1], label="paper")
axis.set_yticks(range(len(rows)), [f"{model} ({space})" + ("" if n else ", not run yet")
                                   for (model, space), n in rows["n"].items()])
axis.set(xlabel="log-likelihood of a test image, nats", ylim=(len(rows) - 0.5, -0.5))
axis.grid(axis="x", alpha=0.3)
handles, labels = axis.get_legend_handles_labels()
once = dict(zip(labels, handles, strict=True))
axis.legend(once.values(), once.keys(), frameon=False, loc="lower left", bbox_to_anchor=(0, 1),
            ncols=2)
plt.show()

# %% [markdown]
# ## Single test images
#
# A record of the Parzen window keeps the log-likelihood of each test image. The score is their
# mean; its standard error comes from their spread. One seed of each model is shown.

# %%
done = scores[scores["ll"].notna()].drop_duplicates(MODEL)
images = {f"{row.model} ({row.space})": store.arrays(row.record)["log_likelihood"].astype(float)
          for row in done.itertuples()}
if images:
    images = pd.DataFrame(images)
    summary = images.describe(percentiles=[0.05, 0.5, 0.95]).T.drop(columns="count")
    summary["se"] = images.sem()
    summary["of the record"] = done["ll"].to_numpy()
    display(summary)
    figure, axis = plt.subplots(figsize=(7.5, 3), layout="constrained")
    bins = np.linspace(images.quantile(0.002).min(), images.max().max(), 70)
    for i, (name, values) in enumerate(images.items()):
        axis.hist(values, bins, histtype="step", linewidth=1.5, label=name,
                  color=COLOURS[i % 8], linestyle="-" if i < 8 else "--")
    axis.set(xlabel="log-likelihood, nats", ylabel="test images")
    axis.legend(frameon=False, fontsize="small", loc="upper left")
    plt.show()
    print("Do the models find the same images hard? Correlations over test images:")
    display(images.corr().map("{:.2f}".format))
else:
    print("No single log-likelihood has been recorded. The command that makes them: "
          "mixnet run table2")

# %% [markdown]
# ## What the score rewards
#
# If it measured how well samples stand for the data, nothing could be above the training images
# themselves. Their reconstructions by an autoencoder are smoother, and k-means centroids smoother
# still. `ahead` is the share of the test images to which a row gives a higher density than the
# training images do. (Theis, van den Oord and Bethge, ICLR 2016.)

# %%
REFERENCE = "training-images (raw)"
smooth = ["training-images (code)", "centroids (raw)"]
if REFERENCE in images:
    found = [{"row": name, "less training images": np.nan} for name in smooth if name not in images]
    for name in images.columns.drop(REFERENCE):
        gap = images[name] - images[REFERENCE]
        found.append({"row": name, "less training images": gap.mean(), "se": gap.sem(),
                      "ahead": f"{(gap > 0).mean():.1%}"})
    found = pd.DataFrame(found).set_index("row").astype(object)
    found.loc[found["less training images"].isna(), "ahead"] = "not run yet"
    display(found.fillna(""))
else:
    print("The training images have not been scored. The command that does it: "
          "mixnet run table2 --methods training-images,centroids")

# %% [markdown]
# ## Other measures of the same samples
#
# Here a naive sampler has a harder time. The row `test-images` compares one half of the real test
# images with the other: what a perfect model would get. What each column is, and what it is for a
# perfect model, stands in `baselines/measures.py`; in short, `mmd2` 0, `density` 1, `coverage` near
# 1, the accuracies of classifiers that tell samples from images 0.5; a small
# `training_distance_ratio` betrays samples that are copies of training images.

# %%
measured = pd.concat([evaluated("measures"), evaluated("test-images")], ignore_index=True)
chosen = ["mmd2", "density", "coverage", "nn_accuracy", "classifier_accuracy",
          "training_distance_ratio", "training_distance_share"]
means = measured.reindex(columns=[*MODEL, *chosen]).groupby(MODEL, sort=False).agg(
    {"mmd2": ["count", "mean"], **dict.fromkeys(chosen[1:], "mean")})
means.columns = ["n", *chosen]
means[chosen] = means[chosen].map("{:.4f}".format, na_action="ignore")
means["n"] = means["n"].map(lambda n: n or "not run yet")
display(means.astype(object).fillna(""))
if (means["n"] == "not run yet").all():
    print("No measure has been recorded. The command that makes them: mixnet run table2")
