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
# # What do the figures show, and by which numbers?
#
# Every figure of `results/figures/` was drawn from records, and the `.csv` beside it holds the
# numbers that it shows. Pictures are made small here; the files are full size, each with a `.pdf`.
# Nothing is written.

# %%
import io
import os
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import Image, Markdown, display
from PIL import Image as Picture

pd.set_option("display.float_format", "{:.2f}".format, "display.max_columns", 20)
BYTES, WIDTH = 400_000, 900  # of all pictures together; of one, in pixels

SUITES = {"figure1": "Figure 1: the toy sets, and what clustering them costs",
          "figure2": "Figure 2: digits that the mixture generates",
          "figure3": "Figure 3: faces that the mixture generates, and what its clusters capture",
          "curves": "Purity and held-out likelihood over the training",
          "sensitivity": "Purity and held-out likelihood against the width of eq. 4"}

folder = Path(os.environ.get("MIXNET_RESULTS", "..")) / "figures"  # of `results/`
files = {name: [path for path in sorted(folder.glob(f"{name}*"))
                if path.stem == name or path.stem.startswith(f"{name}-")] for name in SUITES}
pictures = [path for found in files.values() for path in found if path.suffix == ".png"]
for name in SUITES:
    if not any(path in pictures for path in files[name]):
        print(f"{name} is not there yet. The command that makes it: mixnet run {name}")


# %%
def small(path, most):
    """A picture in few colours, narrowed until it takes at most so many bytes."""
    picture = Picture.open(path).convert("RGB")
    for width in range(min(WIDTH, picture.width), 300, -50):
        size = width, round(picture.height * width / picture.width)
        data = io.BytesIO()
        smaller = picture.resize(size, Picture.Resampling.LANCZOS)
        smaller.quantize(256, Picture.Quantize.FASTOCTREE, dither=0).save(data, "PNG")
        if data.tell() <= most:
            break
    return Image(data.getvalue())


def stages(frame):
    """Of training curves: means over seeds where a stage ends."""
    ends = frame[frame["stage"].notna()]
    table = ends.pivot_table(index=["measure", "dataset"], columns="stage", values="value",
                             sort=False)
    return table.assign(seeds=ends.groupby(["measure", "dataset"])["seed"].nunique())


def widths(frame):
    """Of the widths of eq. 4: means over seeds at each fixed width."""
    fixed = frame[~frame["chosen"]]
    return fixed.pivot_table(index=["dataset", "width"], values=["purity", "heldout"], sort=False)


def some(frame, n=8):
    """A short table whole, of a long one rows from top to bottom."""
    if len(frame) > 3 * n:
        frame = frame.iloc[np.linspace(0, len(frame) - 1, n).astype(int)]
    return frame.dropna(axis=1, how="all").convert_dtypes().astype(object).fillna("")


VIEWS = {"curves": stages, "sensitivity": widths}  # what is worth reading of a file


def show(name, paths):
    """The pictures of a suite, then the numbers behind them."""
    display(Markdown(f"## {SUITES[name]}"))
    for path in paths:
        if path.suffix == ".png":
            display(small(path, BYTES / len(pictures)))
    for path in paths:
        if path.suffix == ".csv":
            frame = pd.read_csv(path, low_memory=False)
            part = VIEWS.get(path.stem, some)(frame)
            words = "in short" if path.stem in VIEWS else f"{len(part)} of them"
            display(Markdown(f"`{path.name}` has {len(frame)} rows; {words}:"), part)


# %%
for name, paths in files.items():
    if paths:
        show(name, paths)
