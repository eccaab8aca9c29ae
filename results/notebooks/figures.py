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
# # Figures, and the numbers behind them
#
# Every figure of `results/figures/` was drawn from records, and the `.csv` beside it holds the
# numbers that it shows. Pictures are made small here; the files are full size, each with a `.pdf`.
# Nothing is written.

# %%
import io

import numpy as np
import pandas as pd
from IPython.display import Image, Markdown, display
from PIL import Image as Picture

from benchmarks import registry
from benchmarks.report import reading

pd.set_option("display.float_format", "{:.2f}".format, "display.max_columns", 20)
BYTES, WIDTH = 400_000, 900  # of all pictures together; of one, in pixels

folder = reading.results_folder() / "figures"
suites = {name: suite for name, suite in registry.suites().items()
          if suite.get("report", "").startswith("figure")}
stems = {name: suite.get("table", name) for name, suite in suites.items()}
files = {name: [path for path in sorted(folder.glob(f"{stem}*"))
                if path.stem == stem or path.stem.startswith(f"{stem}-")]
         for name, stem in stems.items()}
pictures = [path for found in files.values() for path in found if path.suffix == ".png"]
for name in suites:
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
    display(Markdown(f"## {suites[name]['title']}"))
    for path in paths:
        if path.suffix == ".png":
            display(small(path, BYTES / len(pictures)))
    for path in paths:
        if path.suffix == ".csv":
            frame = reading.table(path, f"mixnet table {name}")
            if frame is not None:
                part = VIEWS.get(path.stem, some)(frame)
                words = "in short" if path.stem in VIEWS else f"{len(part)} of them"
                display(Markdown(f"`{path.name}` has {len(frame)} rows; {words}:"), part)


# %%
for name, paths in files.items():
    if paths:
        show(name, paths)
