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
# # Does the mixture generate the best digits? Table 2, and what its score rewards
#
# Every model of the paper's Table 2 draws 10,000 images; Gaussians around them make a density, and
# the score is the mean log density of the MNIST test images, in nats. The width of the Gaussians is
# chosen on validation images. Is the mixture's score the highest, is it the printed one, and does
# a higher score mean better samples? Read from the tables that the harness wrote; nothing is
# written.

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import display

pd.set_option("display.float_format", "{:.1f}".format, "display.max_rows", 100)
SUITE = "table2"  # "table2-full": trainings at full length
MODEL = ["model", "space"]

folder = Path(os.environ.get("MIXNET_RESULTS", ".."))  # `results/`, from its notebooks
try:
    scores = pd.read_csv(folder / f"{SUITE}.csv").set_index(MODEL)
    measures = pd.read_csv(folder / f"{SUITE}-measures.csv").set_index(MODEL)
except FileNotFoundError as error:
    print(f"{error}. The command that makes it: mixnet run {SUITE}")
    ready = False
else:
    ready = True

# %% [markdown]
# ## The scores
#
# A row is a model and the space in which it learns. Samples of codes are decoded by an
# autoencoder; its reconstructions of training images (`training-images`, `code`) are what drawing
# codes exactly as they are would score. `se` is the standard error over test images, `std` the
# deviation over seeds; `stale` counts runs of code that has changed since; `paper` is as printed,
# most of it copied there from earlier papers.

# %%
if ready:
    shown = pd.DataFrame({"n": scores["n"].astype(str) + "/" + scores["n_asked"].astype(str),
                          "stale": scores["stale"], "ll": scores["ll_mean"],
                          "std": scores["ll_std"], "se": scores["ll_se"],
                          "sigma": scores["sigma"].map("{:.3f}".format, na_action="ignore"),
                          "paper": scores["paper_mean"],
                          "less paper": scores["ll_mean"] - scores["paper_mean"],
                          "verdict": scores["verdict"]})
    display(shown.astype(object).fillna(""))
    for model, space in scores.index[scores["n"] == 0]:
        print(f"{model} ({space}) has not been run by the present code: mixnet run {SUITE}")

# %%
if ready:
    figure, axis = plt.subplots(figsize=(7, 0.3 * len(scores) + 1), layout="constrained")
    names = [f"{model} ({space})" for model, space in scores.index]
    run = (scores["n"] > 0).to_numpy()
    y = pd.Series(range(len(scores)))
    axis.errorbar(scores["ll_mean"][run], y[run], xerr=2 * scores["ll_se"][run], fmt="o",
                  color="#0072B2", capsize=3, label="ours, ± 2 standard errors")
    axis.plot(scores["paper_mean"], y, "D", color="#E69F00", label="paper")
    axis.set_yticks(y, names)
    axis.set(xlabel="log-likelihood of a test image, nats", ylim=(len(scores) - 0.5, -0.5))
    axis.grid(axis="x", alpha=0.3)
    axis.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    plt.show()

# %% [markdown]
# ## What the score rewards
#
# If it measured how well samples stand for the data, nothing could be above the training images
# themselves. Their reconstructions by an autoencoder are smoother, and k-means centroids smoother
# still. (Theis, van den Oord and Bethge, ICLR 2016.)

# %%
REFERENCE = ("training-images", "raw")
if ready and scores["ll_mean"].notna()[REFERENCE]:
    gap = (scores["ll_mean"] - scores["ll_mean"][REFERENCE]).drop(REFERENCE)
    gap = gap.rename("less training images").sort_values(ascending=False)
    display(gap.dropna().to_frame())

# %% [markdown]
# ## Other measures of the same samples
#
# Here a naive sampler has a harder time. The row `test-images` compares one half of the real test
# images with the other: what a perfect model would get. What each column is, and what it is for a
# perfect model, stands in `baselines/measures.py`; in short, `mmd2` 0, `density` 1, `coverage` near
# 1, the accuracies of classifiers that tell samples from images 0.5; a small
# `training_distance_ratio` betrays samples that are copies of training images. The last table has
# the order of the models by the score and by these measures, 1 the best.

# %%
if ready:
    chosen = ["mmd2", "density", "coverage", "nn_accuracy", "classifier_accuracy",
              "training_distance_ratio", "training_distance_share"]
    means = measures.rename(columns=lambda name: name.removesuffix("_mean"))
    means = means.reindex(columns=["n", *chosen]).dropna(how="all", subset=chosen)
    display(means.assign(**means[chosen].map("{:.4f}".format)))

# %%
if ready:
    models = scores.index[scores["ll_mean"].notna()].difference(
        [("training-images", "raw"), ("training-images", "code"), ("centroids", "raw")], sort=False)
    away = pd.DataFrame({"score": -scores["ll_mean"], "mmd2": means["mmd2"],
                         "coverage": -means["coverage"],
                         "nn_accuracy": (means["nn_accuracy"] - 0.5).abs(),
                         "classifier_accuracy": (means["classifier_accuracy"] - 0.5).abs()})
    display(away.loc[models].rank().astype("Int64"))
